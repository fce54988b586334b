//! Posts the one review of a run, finds it again when its answer was lost, and settles what earlier reviews said.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::check;
use super::diff::PullDiff;
use super::plan::{Fate, FindingStateWord, Plan, decide, finding_key, misplaced};
use super::threads::{Threads, unless_refused};
use crate::agent::Task;
use crate::agent::store::{Record, Taken};
use crate::github::{Github, GithubError, NewReview, RepoRef};
use crate::jobs::Services;
use crate::reply::{Outcome, PostError, inline, marker};
use crate::review::body::{in_words, permalink};
use crate::review::comment::short;
use crate::review::store::{self, FindingRow, FindingState, Lease, ReviewRow, ReviewStage};

/// How long GitHub is left alone after it said that we write too fast.
const TOO_FAST: TimeDelta = TimeDelta::minutes(1);
/// Pieces the comments are divided into to find the one GitHub refuses.
const PIECES: usize = 8;

/// A review that is being posted.
struct Posting<'a> {
    services: &'a Services,
    github: &'a Arc<Github>,
    repo: RepoRef,
    number: i64,
    lease: Lease,
    row: ReviewRow,
    /// True when the run was to review, and did not only suggest something on the way.
    is_review: bool,
    /// True when the run looked at all of the pull request and came to its end.
    whole: bool,
}

/// Posts the review of a run whose end is stored. What the answer tells of it; none when the run did not review. Idempotent.
pub(in crate::jobs) async fn publish(services: &Services, taken: &Taken, record: &Record) -> Result<Option<String>, PostError> {
    let Some(row) = store::review(&services.pool, taken.id).await? else { return Ok(None) };
    if let Some(told) = row.told.clone().filter(|_| row.state == ReviewStage::Done) {
        return Ok(Some(told).filter(|told| !told.is_empty()));
    }
    let Some((repo, number)) = super::pull_of(&taken.request) else { return Ok(None) };
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    let is_review = matches!(taken.task, Task::Review { .. });
    let whole = is_review && record.outcome == Outcome::Answered;
    let lease = Lease { run: taken.id, epoch: taken.epoch };
    let posting = Posting { services, github, repo, number, lease, row, is_review, whole };
    let told = match posting.post().await {
        Err(PostError::Github(error)) if !error.is_transient() => posting.fallen(&error).await?,
        told => told?,
    };
    Ok(Some(told).filter(|told| !told.is_empty()))
}

/// GitHub's other reason for 422, with nothing wrong in what was sent.
fn is_too_fast(why: &str) -> bool {
    let why = why.to_lowercase();
    why.starts_with("http 422") && (why.contains("too quickly") || why.contains("spam"))
}

/// Whether a sentence names a path, and not only holds its letters.
fn names(why: &str, path: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '/');
    why.match_indices(path).any(|(at, _)| {
        let (before, after) = (why[..at].chars().next_back(), why[at + path.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// What came of it.
pub(super) struct Told {
    /// For the answer.
    pub text: String,
    /// Findings that are open now.
    pub open: usize,
    /// Findings that people here did not want.
    pub unwanted: usize,
}

impl Posting<'_> {
    async fn post(&self) -> Result<String, PostError> {
        let findings = store::findings(&self.services.pool, self.lease.run).await?;
        let begun = self.row.state == ReviewStage::Sending;
        let mut plan = match store::planned::<Plan>(&self.row).filter(|_| begun) {
            Some(plan) => plan,
            None => {
                let diff = self.diff().await?;
                let plan = decide(self.services, &self.repo, self.number, self.lease.run, &diff, self.whole).await?;
                self.keep(&plan).await?;
                plan
            }
        };
        // A run that went on after a ceiling reviews a second time, which is another post.
        let key = match self.row.external_id {
            Some(first) => format!("review-{}-{first}", self.lease.run),
            None => format!("review-{}", self.lease.run),
        };
        let review = if plan.says_anything() { Some(self.send(&mut plan, &findings, &key, begun).await?) } else { None };
        self.settle(&plan, &findings, review).await?;
        self.end(self.tell(&plan, &findings, review), review, self.whole && !plan.partial).await
    }

    /// Ends the check, then the review, so that whoever repeats this ends the check, too.
    async fn end(&self, told: Told, review: Option<i64>, whole: bool) -> Result<String, PostError> {
        if self.is_review {
            check::end(self.services, &self.repo, self.number, &self.row.commit, whole, &told).await?;
        }
        store::end(&self.services.pool, self.lease, &told.text, review, whole, self.services.clock.now()).await?;
        Ok(told.text)
    }

    async fn diff(&self) -> Result<Arc<PullDiff>, GithubError> {
        let commit = self.row.commit.clone();
        Ok(Arc::new(PullDiff::load(self.github.clone(), self.repo.clone(), self.number, commit).await?))
    }

    async fn keep(&self, plan: &Plan) -> Result<(), PostError> {
        if store::plan(&self.services.pool, self.lease, plan, self.services.clock.now()).await? {
            Ok(())
        } else {
            // The lease is gone; whoever has it posts.
            Err(GithubError::Unavailable { maybe_done: false, cause: "another worker has the run".to_owned() }.into())
        }
    }

    /// Writes the review, without what GitHub refuses. `begun` when it may be there already.
    async fn send(&self, plan: &mut Plan, findings: &[FindingRow], key: &str, begun: bool) -> Result<i64, PostError> {
        if begun && let Some(id) = self.github.find_review(&self.repo, self.number, &marker::marker(key)).await? {
            return Ok(id);
        }
        loop {
            let refused = match self.write(plan, findings, key).await {
                Err(GithubError::Invalid(why)) if is_too_fast(&why) => {
                    return Err(GithubError::RateLimited { until: self.services.clock.now() + TOO_FAST }.into());
                }
                Err(GithubError::Invalid(why)) if why.starts_with("HTTP 422") => why,
                written => return Ok(written?),
            };
            tracing::warn!(run.id = %self.lease.run, why = refused, "GitHub refused a review; it is posted without what may be at fault");
            if plan.inline.is_empty() {
                if plan.commit_id.is_none() {
                    return Err(GithubError::Invalid(refused).into());
                }
                // Whatever it said, nothing but the commit is left that may be at fault.
                plan.commit_id = None;
                self.keep(plan).await?;
                continue;
            }
            if let Some(id) = self.pruned(plan, findings, key, &refused).await? {
                return Ok(id);
            }
        }
    }

    async fn write(&self, plan: &Plan, findings: &[FindingRow], key: &str) -> Result<i64, GithubError> {
        let (body, mut comments) = plan.render(&self.row, findings, key);
        let redactor = self.services.poster.redactor();
        let body = redactor.redact(&body).into_owned();
        for comment in &mut comments {
            comment.body = redactor.redact(&comment.body).into_owned();
        }
        let review = NewReview { commit: plan.commit_id.as_deref(), body: &body, comments: &comments };
        self.github.create_review(&self.repo, self.number, review).await
    }

    /// Changes the plan so that GitHub may take it; when it was taken on the way, its number.
    async fn pruned(&self, plan: &mut Plan, findings: &[FindingRow], key: &str, why: &str) -> Result<Option<i64>, PostError> {
        plan.refusals += 1;
        const REFUSED: &str = "GitHub did not take it on these lines";
        if why.to_lowercase().contains("commit_id") || why.contains("end_commit_oid") {
            plan.lose_commit();
            self.keep(plan).await?;
            return Ok(None);
        }
        if plan.refusals == 1 {
            let mut wrong = misplaced(&self.diff().await?, findings, &plan.inline).await?;
            let named = |row: &&FindingRow| plan.inline.contains(&row.id) && names(why, &row.path);
            wrong.extend(findings.iter().filter(named).map(|row| row.id));
            if !wrong.is_empty() {
                plan.prune(&wrong, REFUSED);
                self.keep(plan).await?;
                return Ok(None);
            }
        }
        // It is not known which: each attempt that is refused leaves nothing behind, and the first that is taken is the review.
        let size = plan.inline.len().div_ceil(PIECES);
        let half = plan.inline.len().div_ceil(2);
        let pieces = plan.inline.chunks(size).chain(plan.inline.chunks(half).filter(|_| half > size));
        let pieces: Vec<HashSet<Uuid>> = pieces.map(|piece| piece.iter().copied().collect()).collect();
        for piece in pieces {
            let mut less = plan.clone();
            less.prune(&piece, REFUSED);
            self.keep(&less).await?;
            match self.write(&less, findings, key).await {
                Ok(id) => {
                    *plan = less;
                    return Ok(Some(id));
                }
                Err(GithubError::Invalid(why)) if why.starts_with("HTTP 422") => {}
                Err(error) => return Err(error.into()),
            }
        }
        let all = plan.inline.iter().copied().collect();
        plan.prune(&all, REFUSED);
        self.keep(plan).await?;
        Ok(None)
    }

    /// Records what people see now, and finishes with the threads of earlier reviews.
    async fn settle(&self, plan: &Plan, findings: &[FindingRow], review: Option<i64>) -> Result<(), PostError> {
        let remarks = match review {
            // The review is there; what is not known of its comments is no reason to say otherwise.
            Some(review) if !plan.inline.is_empty() => {
                unless_refused(self.github.remarks_of(&self.repo, self.number, review).await)?
            }
            Some(_) | None => Vec::new(),
        };
        let comment_of = |id: Uuid| {
            let key = finding_key(id);
            remarks.iter().find(|remark| marker::has(&remark.body, &key)).map(|remark| remark.id)
        };
        let mut settled: Vec<(Uuid, FindingState, Option<i64>)> = Vec::new();
        settled.extend(plan.inline.iter().map(|id| (*id, FindingState::Posted, comment_of(*id))));
        settled.extend(plan.below.iter().map(|(id, _)| (*id, FindingState::Posted, None)));
        settled.extend(plan.unsaid.iter().map(|(id, word)| {
            let state = match word {
                FindingStateWord::Repeated => FindingState::Repeated,
                FindingStateWord::Dismissed => FindingState::Dismissed,
            };
            (*id, state, None)
        }));
        debug_assert!(settled.len() <= findings.len());
        if !plan.threads.is_empty() {
            let earlier = store::earlier(&self.services.pool, Some(self.lease.run), self.repo.id, self.number).await?;
            let threads = unless_refused(Threads::of(self.github, &self.repo, self.number, &earlier).await)?;
            for step in &plan.threads {
                threads.carry_out(self.github, &self.repo, self.number, step, &self.row.commit).await?;
                let state = match step.fate {
                    Fate::Fixed => FindingState::Resolved,
                    Fate::Moved | Fate::Withdrawn => FindingState::Withdrawn,
                    Fate::Dismissed => FindingState::Dismissed,
                };
                settled.push((step.finding, state, None));
            }
        }
        Ok(store::settle(&self.services.pool, self.lease, &settled).await?)
    }

    /// What the answer says of it. Nothing only where no review was asked for and none came of it.
    fn tell(&self, plan: &Plan, findings: &[FindingRow], review: Option<i64>) -> Told {
        let files = inline::counted(u64::try_from(self.row.files).unwrap_or_default(), "changed file");
        let looked = format!("{files} at `{}`", short(&self.row.commit));
        let suggested = plan.inline.iter().filter(|id| findings.iter().any(|row| row.id == **id && row.data.block().is_some()));
        let suggested = suggested.count();
        let mut said = Vec::new();
        let mut count = |number: usize, what: &str| {
            if number > 0 {
                said.push(inline::counted(number as u64, what));
            }
        };
        count(suggested, "proved suggestion");
        count(plan.inline.len() - suggested, "remark");
        count(plan.below.len(), "further finding");
        let mut text = match review {
            Some(id) => {
                let url = format!("{}/pull/{}#pullrequestreview-{id}", plan.page, self.number);
                format!("**[Review]({})** of {looked}: {}.", inline::target(&url), said.join(", "))
            }
            None if !self.is_review => return Told { text: String::new(), open: 0, unwanted: 0 },
            None if self.whole => format!("**Review** of {looked}: nothing new to suggest."),
            None => format!("**Review** of {looked}: not finished, nothing was posted."),
        };
        let unsaid = |word| plan.unsaid.iter().filter(|(_, one)| *one == word).count();
        let fates = |fate| plan.threads.iter().filter(|step| step.fate == fate).count();
        let open = plan.inline.len() + plan.below.len() + unsaid(FindingStateWord::Repeated) + plan.standing;
        let unwanted = unsaid(FindingStateWord::Dismissed) + fates(Fate::Dismissed);
        for (number, what, rest) in [
            (unsaid(FindingStateWord::Repeated), "finding", "said by an earlier review, not said twice"),
            (unsaid(FindingStateWord::Dismissed), "finding", "left out, because somebody here did not want it"),
            (plan.standing, "earlier finding", "still open"),
            (fates(Fate::Fixed), "earlier finding", "settled by the changes since"),
            (fates(Fate::Moved), "earlier finding", "said anew at the new lines"),
            (fates(Fate::Withdrawn), "earlier finding", "withdrawn"),
        ] {
            if number > 0 {
                text.push_str(&format!(" {}: {rest}.", inline::counted(number as u64, what)));
            }
        }
        if plan.partial {
            text.push_str(" GitHub does not list all files of so large a pull request; the others were not looked at.");
        }
        Told { text, open, unwanted }
    }

    /// GitHub takes no review: what was found is said in the answer.
    async fn fallen(&self, error: &GithubError) -> Result<String, PostError> {
        tracing::error!(run.id = %self.lease.run, %error, "the review cannot be posted; its findings are told in the answer");
        const MOST: usize = 30;
        let mut findings = store::findings(&self.services.pool, self.lease.run).await?;
        findings.retain(|row| row.state == FindingState::Kept);
        let row = store::review(&self.services.pool, self.lease.run).await?;
        let plan = row.as_ref().and_then(store::planned::<Plan>).unwrap_or_default();
        let mut text = format!("**The review could not be posted:** {}", inline::sentence(&error.to_string(), 400));
        for row in findings.iter().take(MOST) {
            let link = if plan.page.is_empty() { String::new() } else { permalink(&plan.page, &self.row.commit, &row.data) };
            let link = if link.is_empty() { link } else { format!(" ([lines]({link}))") };
            text.push_str(&format!("\n- {}{link}: {}", in_words(&row.data), inline::sentence(&row.data.body, 300)));
        }
        if findings.len() > MOST {
            text.push_str(&format!("\n- {} not shown here", inline::counted((findings.len() - MOST) as u64, "more finding")));
        }
        self.end(Told { text, open: findings.len(), unwanted: 0 }, None, false).await
    }
}
