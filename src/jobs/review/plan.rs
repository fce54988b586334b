//! What a review will say, decided once and written down before anything is posted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::threads::{Threads, unless_refused};
use crate::github::{GithubError, NewRemark, RepoRef};
use crate::id::RunId;
use crate::jobs::Services;
use crate::reply::PostError;
use crate::review::body::{BodyView, body};
use crate::review::comment::{comment, short};
use crate::review::finding::{Kept, Standing};
use crate::review::fingerprint::occurs;
use crate::review::store::{self, FindingRow, FindingState, ReviewRow};

use super::diff::{Content, PullDiff};

/// Comments of one review; what is beyond goes into the body.
pub(super) const MOST_INLINE: usize = 40;

/// What is to be posted, and what becomes of what was said before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The commit the comments are about; none when it is no longer one of the pull request.
    pub commit_id: Option<String>,
    /// Findings with a comment of their own, in the order they are shown.
    pub inline: Vec<Uuid>,
    /// Findings in the body, with why they are there when that is news.
    pub below: Vec<(Uuid, Option<String>)>,
    /// Findings that are not said, and what became of them.
    pub unsaid: Vec<(Uuid, FindingStateWord)>,
    /// Sentences of ours for the body.
    pub notes: Vec<String>,
    /// The repository's page.
    pub page: String,
    /// What is done about threads of earlier reviews, once this one is there.
    pub threads: Vec<ThreadStep>,
    /// Findings of earlier reviews that were not found again and are not settled either.
    #[serde(default)]
    pub standing: usize,
    /// True when GitHub did not list everything that the pull request changes.
    #[serde(default)]
    pub partial: bool,
    /// What GitHub refused so far.
    pub refusals: u32,
}

/// What became of a finding, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingStateWord {
    Repeated,
    Dismissed,
}

/// What is done about a thread of an earlier review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ThreadStep {
    /// The finding it was about.
    pub finding: Uuid,
    /// Number of its first comment; none when it stood in a body.
    pub comment: Option<i64>,
    pub fate: Fate,
}

/// What became of what an earlier review said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// Its code changed.
    Fixed,
    /// It is said anew at other lines.
    Moved,
    /// Its lines changed, and it was not found again.
    Withdrawn,
    /// People do not want it; nothing is said.
    Dismissed,
}

/// Decides. `whole` when the run looked at all of the pull request to its end: only then is what it did not find gone.
pub(super) async fn decide(
    services: &Services,
    repo: &RepoRef,
    number: i64,
    run: RunId,
    diff: &PullDiff,
    whole: bool,
) -> Result<Plan, PostError> {
    let mut rows = store::findings(&services.pool, run).await?;
    // What an earlier review of this run said stands there.
    rows.retain(|row| row.state == FindingState::Kept);
    let earlier = store::earlier(&services.pool, Some(run), repo.id, number).await?;
    let Some(github) = services.github.as_ref() else { return Err(PostError::Off) };
    let threads = unless_refused(Threads::of(github, repo, number, &earlier).await)?;
    let mut plan = Plan {
        commit_id: Some(diff.commit.clone()),
        page: diff.pull.repository_page().to_owned(),
        partial: !diff.is_whole(),
        ..Plan::default()
    };
    if diff.pull.head != diff.commit {
        let still = github.compare(repo, &diff.commit, &diff.pull.head).await;
        match still {
            Ok(compared) if compared.is_ahead => {
                plan.notes.push(format!("The pull request has moved on since; its head is now `{}`.", short(&diff.pull.head)));
            }
            Ok(_) | Err(GithubError::NotFound) => plan.lose_commit(),
            Err(error) => return Err(error.into()),
        }
    }
    let mut matched: HashSet<Uuid> = HashSet::new();
    let mut said: Vec<&FindingRow> = Vec::new();
    for row in &rows {
        let same: Vec<&FindingRow> = earlier.iter().filter(|one| is_same(one, row, diff)).collect();
        matched.extend(same.iter().map(|one| one.id));
        if same.iter().any(|one| one.state == FindingState::Dismissed || threads.is_unwanted(one)) {
            plan.unsaid.push((row.id, FindingStateWord::Dismissed));
        } else if same.iter().any(|one| threads.is_current(one)) {
            plan.unsaid.push((row.id, FindingStateWord::Repeated));
        } else {
            plan.threads.extend(same.iter().map(|one| ThreadStep { finding: one.id, comment: one.comment, fate: Fate::Moved }));
            said.push(row);
        }
    }
    plan.place(&said);
    for one in earlier.iter().filter(|one| one.state == FindingState::Posted) {
        let step = |fate| ThreadStep { finding: one.id, comment: one.comment, fate };
        if threads.is_unwanted(one) {
            plan.threads.push(step(Fate::Dismissed));
        } else if whole && !matched.contains(&one.id) {
            let stands = stands(diff, one).await?;
            match stands {
                false => plan.threads.push(step(Fate::Fixed)),
                true if threads.is_outdated(one) => plan.threads.push(step(Fate::Withdrawn)),
                true => plan.standing += 1,
            }
        }
    }
    Ok(plan)
}

/// The same rule on the same code, in the same file whatever it is called now.
fn is_same(earlier: &FindingRow, row: &FindingRow, diff: &PullDiff) -> bool {
    if earlier.fingerprint != row.fingerprint {
        return false;
    }
    let renamed = diff.file(&row.path).and_then(|file| file.previous.as_deref()) == Some(&earlier.path);
    earlier.path == row.path || renamed || diff.file(&earlier.path).is_none_or(|file| file.status == "removed")
}

/// Whether the code of an earlier finding is still there, under its old name or a new one.
async fn stands(diff: &PullDiff, one: &FindingRow) -> Result<bool, GithubError> {
    let renamed = diff.files.iter().find(|file| file.previous.as_deref() == Some(&one.path)).map(|file| file.path.as_str());
    for path in renamed.into_iter().chain([one.path.as_str()]) {
        if let Content::Text(text) = diff.content(path).await?
            && occurs(&one.data.code, &text)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Plan {
    /// The reviewed commit is not one of the pull request any more, so nothing can stand at its lines.
    pub fn lose_commit(&mut self) {
        if self.commit_id.take().is_some() {
            self.notes.push(
                "The reviewed commit is no longer part of the pull request (it was pushed over), so everything found there stands here."
                    .to_owned(),
            );
        }
        let why = "the commit it was proved at is no longer part of the pull request";
        self.below.extend(self.inline.drain(..).map(|id| (id, Some(why.to_owned()))));
    }

    /// What matters most gets a comment.
    fn place(&mut self, said: &[&FindingRow]) {
        let mut said = said.to_vec();
        said.sort_by_key(|row| (row.data.severity, row.data.block().is_none(), row.data.path.clone(), row.data.first));
        for row in said {
            match row.data.lines() {
                Some(_) if self.commit_id.is_none() => {
                    self.below
                        .push((row.id, Some("the commit it was proved at is no longer part of the pull request".to_owned())));
                }
                Some(_) if self.inline.len() < MOST_INLINE => self.inline.push(row.id),
                Some(_) => self.below.push((row.id, Some(format!("a review holds at most {MOST_INLINE} comments")))),
                None => self.below.push((row.id, None)),
            }
        }
    }

    /// Moves these out of the lines into the body.
    pub fn prune(&mut self, ids: &HashSet<Uuid>, why: &str) {
        self.inline.retain(|id| !ids.contains(id));
        self.below.extend(ids.iter().map(|id| (*id, Some(why.to_owned()))));
    }

    /// True when there is something to post.
    pub fn says_anything(&self) -> bool {
        !self.inline.is_empty() || !self.below.is_empty()
    }

    /// The comments and the body.
    pub fn render(&self, row: &ReviewRow, findings: &[FindingRow], key: &str) -> (String, Vec<NewRemark>) {
        let by_id: HashMap<Uuid, &Kept> = findings.iter().map(|row| (row.id, &row.data)).collect();
        let mut below: Vec<Kept> = Vec::new();
        for (id, why) in &self.below {
            let Some(kept) = by_id.get(id) else { continue };
            let mut kept = (*kept).clone();
            if let Some(why) = why {
                kept.standing = Standing::Demoted { why: why.clone() };
            }
            below.push(kept);
        }
        let mut inline: Vec<&Kept> = Vec::new();
        let mut remarks = Vec::new();
        for id in &self.inline {
            let Some(kept) = by_id.get(id) else { continue };
            let lines = kept.lines();
            let text = comment(kept, &row.commit, &finding_key(*id));
            if let (Some((first, last)), Some(body)) = (lines, text) {
                inline.push(kept);
                remarks.push(NewRemark { path: kept.path.clone(), first, last, body });
            } else {
                below.push(Kept {
                    standing: Standing::Demoted { why: "a comment would not show it exactly as it is meant".to_owned() },
                    ..(*kept).clone()
                });
            }
        }
        let view = BodyView {
            commit: &row.commit,
            files: usize::try_from(row.files).unwrap_or_default(),
            inline: &inline,
            below: &below.iter().collect::<Vec<_>>(),
            notes: &self.notes,
            page: &self.page,
        };
        (body(&view, key), remarks)
    }
}

/// Names the comment of a finding.
pub(super) fn finding_key(id: Uuid) -> String {
    format!("finding-{id}")
}

/// What the lines of a plan are checked against again when GitHub refuses them.
pub(super) async fn misplaced(
    diff: &Arc<PullDiff>,
    findings: &[FindingRow],
    inline: &[Uuid],
) -> Result<HashSet<Uuid>, GithubError> {
    let mut wrong = HashSet::new();
    for row in findings.iter().filter(|row| inline.contains(&row.id)) {
        let Some((first, last)) = row.data.lines() else { continue };
        let holds = match diff.content(&row.path).await? {
            Content::Text(text) => diff.hunks(&row.path, &text).await?.iter().any(|hunk| hunk.holds(first, last)),
            Content::Missing | Content::Binary => false,
        };
        // A file whose patch GitHub does not show may have other hunks than we think.
        if !holds || diff.file(&row.path).is_none_or(|file| file.patch.is_none()) {
            wrong.insert(row.id);
        }
    }
    Ok(wrong)
}
