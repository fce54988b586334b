//! The threads of earlier reviews: what people did with them, and what is done about those that are settled.

use std::collections::{HashMap, HashSet};

use super::plan::{Fate, ThreadStep};
use crate::github::{Github, GithubError, RepoRef, ReviewRemark, ThreadState};
use crate::intake::Trigger;
use crate::reply::marker;
use crate::review::comment::short;
use crate::review::store::{FindingRow, FindingState};
use crate::settings::Permission;

/// What is known of the threads of a pull request.
#[derive(Default)]
pub(super) struct Threads {
    by_root: HashMap<i64, ThreadState>,
    remarks: HashMap<i64, ReviewRemark>,
    /// True when those are all comments there are: only then is one that is missing deleted.
    is_whole: bool,
    /// Comments that somebody with permission to write put 👎 on.
    refused: HashSet<i64>,
    /// Threads in which somebody else wrote.
    answered: HashSet<i64>,
    /// Markers of what we wrote in threads.
    marked: Vec<(i64, String)>,
    us: String,
}

/// Comments whose 👎 are looked at.
const MOST_DISLIKED: usize = 20;

/// What was looked up; nothing where GitHub does not let us look.
pub(super) fn unless_refused<T: Default>(looked_up: Result<T, GithubError>) -> Result<T, GithubError> {
    match looked_up {
        Err(error) if !error.is_transient() => {
            tracing::warn!(%error, "what stands in earlier reviews is not known");
            Ok(T::default())
        }
        known => known,
    }
}

impl Threads {
    /// Looks them up when an earlier review has some.
    pub async fn of(github: &Github, repo: &RepoRef, number: i64, earlier: &[FindingRow]) -> Result<Self, GithubError> {
        if earlier.iter().all(|one| one.comment.is_none()) {
            return Ok(Self::default());
        }
        let (remarks, is_whole) = github.all_remarks(repo, number).await?;
        let posted: HashSet<i64> =
            earlier.iter().filter(|one| one.state == FindingState::Posted).filter_map(|one| one.comment).collect();
        let disliked = remarks.iter().filter(|remark| remark.disliked > 0 && posted.contains(&remark.id));
        let mut refused = HashSet::new();
        for remark in disliked.take(MOST_DISLIKED) {
            if is_refused(github, repo, remark.id).await? {
                refused.insert(remark.id);
            }
        }
        let states = github.review_threads(repo, number).await?;
        let us = github.identity().await?.login;
        let mut answered = HashSet::new();
        let mut marked = Vec::new();
        for remark in &remarks {
            let root = remark.reply_to.unwrap_or(remark.id);
            if remark.is_ours {
                marked.extend(marker::find(&remark.body).map(|key| (root, key)));
            } else {
                answered.insert(root);
            }
        }
        Ok(Self {
            by_root: states.into_iter().map(|state| (state.root, state)).collect(),
            remarks: remarks.into_iter().map(|remark| (remark.id, remark)).collect(),
            is_whole,
            refused,
            answered,
            marked,
            us,
        })
    }

    fn state(&self, one: &FindingRow) -> Option<&ThreadState> {
        self.by_root.get(&one.comment?)
    }

    /// True when a person resolved it or deleted it, or somebody with permission to write put 👎 on it. What is not known is wanted.
    pub fn is_unwanted(&self, one: &FindingRow) -> bool {
        let Some(comment) = one.comment.filter(|_| one.state == FindingState::Posted) else { return false };
        let by_person = |by: &String| !self.is_us(by);
        let resolved = self.state(one).and_then(|state| state.resolved_by.as_ref()).is_some_and(by_person);
        resolved || self.refused.contains(&comment) || (self.is_whole && !self.remarks.contains_key(&comment))
    }

    /// GraphQL names an App's account without what REST puts behind it.
    fn is_us(&self, login: &str) -> bool {
        let bare = |login: &str| login.strip_suffix("[bot]").unwrap_or(login).to_lowercase();
        bare(login) == bare(&self.us)
    }

    /// True when people still see it where it was said. What stands in a body is always there.
    pub fn is_current(&self, one: &FindingRow) -> bool {
        match self.state(one) {
            Some(state) => state.resolved_by.is_none() && !state.is_outdated,
            None => one.comment.is_none() || !self.is_whole,
        }
    }

    /// True when its lines changed since.
    pub fn is_outdated(&self, one: &FindingRow) -> bool {
        self.state(one).is_some_and(|state| state.is_outdated)
    }

    /// Carries a step out: our own thread is resolved when nobody else wrote in it, else it gets a short answer, once.
    pub async fn carry_out(
        &self,
        github: &Github,
        repo: &RepoRef,
        number: i64,
        step: &ThreadStep,
        commit: &str,
    ) -> Result<(), GithubError> {
        let word = match step.fate {
            Fate::Dismissed => return Ok(()),
            Fate::Fixed => None,
            Fate::Moved => Some(format!("Said anew at the lines it stands at in `{}`.", short(commit))),
            Fate::Withdrawn => {
                Some(format!("These lines changed, and this was not found again in `{}`: withdrawn.", short(commit)))
            }
        };
        let Some(state) = step.comment.and_then(|root| self.by_root.get(&root)) else { return Ok(()) };
        if state.resolved_by.is_some() {
            return Ok(());
        }
        let answered = self.answered.contains(&state.root);
        let word = match (word, answered) {
            (None, true) => Some(format!("The code this was about is gone in `{}`.", short(commit))),
            (word, _) => word,
        };
        let key = format!("settled-{}", step.finding);
        if let Some(word) = word.filter(|_| !self.marked.contains(&(state.root, key.clone()))) {
            let body = marker::mark(&word, &key);
            found(github.reply_in_review(repo, number, state.root, &body).await.map(drop))?;
        }
        if !answered {
            found(github.resolve_thread(repo, &state.node).await)?;
        }
        Ok(())
    }
}

/// Fine when somebody deleted it meanwhile, or nobody lets us: the review is there all the same.
fn found(done: Result<(), GithubError>) -> Result<(), GithubError> {
    match done {
        Err(error) if !error.is_transient() => {
            tracing::info!(%error, "a thread of an earlier review is left as it is");
            Ok(())
        }
        done => done,
    }
}

/// True when somebody with permission to write put 👎 on it: whoever reads could silence a review otherwise.
async fn is_refused(github: &Github, repo: &RepoRef, comment: i64) -> Result<bool, GithubError> {
    for given in github.reactions(repo, Trigger::ReviewComment(comment), "-1").await? {
        if let Some(author) = given.author
            && github.permission(repo, &author.login).await? >= Permission::Write
        {
            return Ok(true);
        }
    }
    Ok(false)
}
