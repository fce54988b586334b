//! People's side of issues and pull requests: opened, reworded, labelled, closed, merged, reviews asked for.

use anyhow::Context;
use serde_json::json;

use super::super::GithubStandin;
use super::super::deliver::Sent;
use super::super::world::{IssueRef, Key, World};
use super::{Course, MergeMethod};

/// A pull request a person opens.
#[derive(Clone, Copy, Debug)]
pub struct NewPull<'a> {
    /// The branch to merge; `owner:branch` for one of a fork.
    pub head: &'a str,
    /// The branch to merge it into.
    pub base: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether those who maintain the base may push to a fork's branch.
    pub maintainer_can_modify: bool,
}

impl<'a> NewPull<'a> {
    /// Of this branch into `main`: no draft, no text, open to maintainers as GitHub proposes.
    pub fn of(head: &'a str, title: &'a str) -> Self {
        Self { head, base: "main", title, body: "", draft: false, maintainer_can_modify: true }
    }
}

impl GithubStandin {
    /// A person opens a pull request between two branches; `pull_request.opened` is sent.
    ///
    /// # Errors
    /// When there is no such repository, person or branch, and for what GitHub refuses: no commits, or one that is open already.
    pub async fn open_pull(&self, repository: &str, user: &str, new: &NewPull<'_>) -> anyhow::Result<(IssueRef, Vec<Sent>)> {
        let (issue, sent) = self.shared.with(|world| {
            let base = world.repository(repository).context("no such repository")?;
            let (head, head_branch) = world.side(base, new.head).context("no such fork")?;
            let head_sha = head.git.branch(&head_branch).with_context(|| format!("there is no branch {}", new.head))?.clone();
            let base_sha = base.git.branch(new.base).with_context(|| format!("there is no branch {}", new.base))?.clone();
            let course = Course { head_repository: head.id, head_branch, head_sha, base_branch: new.base.to_owned(), base_sha };
            world.check_course(base, head, &course).map_err(anyhow::Error::msg)?;
            let modifiable = new.maintainer_can_modify && head.id != base.id;
            let issue = world.open(repository, user, new.title, new.body, true)?;
            let key = world.key(&issue).context("it was just opened")?;
            world.add_pull(key, course, new.draft, modifiable);
            let author = world.issues.get(&key).map(|issue| issue.author.clone()).unwrap_or_default();
            anyhow::Ok((issue, world.pull_event("opened", key, &author, json!({}))))
        })?;
        Ok((issue, self.send_all(sent).await?))
    }

    async fn does(
        &self,
        issue: &IssueRef,
        user: &str,
        act: impl FnOnce(&mut World, Key, &str) -> Vec<u64>,
    ) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| {
            let key = world.key(issue).context("no such issue")?;
            let user = world.user(user).context("no such person")?.login.clone();
            anyhow::Ok(act(world, key, &user))
        })?;
        self.send_all(sent).await
    }

    /// A person changes the title or text of an issue or pull request; `edited` is sent when anything is another.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn reword(
        &self,
        issue: &IssueRef,
        user: &str,
        title: Option<&str>,
        body: Option<&str>,
    ) -> anyhow::Result<Vec<Sent>> {
        self.does(issue, user, |world, key, user| world.reword(key, title, body, user)).await
    }

    /// A person closes an issue or pull request.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn close(&self, issue: &IssueRef, user: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(issue, user, |world, key, user| world.close(key, user)).await
    }

    /// A person opens it again.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn reopen(&self, issue: &IssueRef, user: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(issue, user, |world, key, user| world.reopen(key, user)).await
    }

    /// A person puts a label on an issue or pull request; `labeled` is sent unless it was there.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn add_label(&self, issue: &IssueRef, user: &str, label: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(issue, user, |world, key, user| world.label(key, label, user)).await
    }

    /// A person takes a label away; `unlabeled` is sent when it was there.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn remove_label(&self, issue: &IssueRef, user: &str, label: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(issue, user, |world, key, user| world.unlabel(key, label, user)).await
    }

    /// A person asks somebody, perhaps us, for a review; `pull_request.review_requested` is sent unless that was done.
    ///
    /// # Errors
    /// When there is no such pull request or person.
    pub async fn request_review(&self, pull: &IssueRef, user: &str, reviewer: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(pull, user, |world, key, user| world.ask_review(key, reviewer, user)).await
    }

    /// A person no longer asks for it.
    ///
    /// # Errors
    /// When there is no such pull request or person.
    pub async fn unrequest_review(&self, pull: &IssueRef, user: &str, reviewer: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(pull, user, |world, key, user| world.unask_review(key, reviewer, user)).await
    }

    /// A person makes a pull request a draft, or marks it ready for review.
    ///
    /// # Errors
    /// When there is no such pull request or person.
    pub async fn set_draft(&self, pull: &IssueRef, user: &str, draft: bool) -> anyhow::Result<Vec<Sent>> {
        self.does(pull, user, |world, key, user| world.set_draft(key, draft, user)).await
    }

    /// A person gives a pull request another base branch.
    ///
    /// # Errors
    /// When there is no such pull request or person.
    pub async fn change_base(&self, pull: &IssueRef, user: &str, base: &str) -> anyhow::Result<Vec<Sent>> {
        self.does(pull, user, |world, key, user| world.rebase_onto(key, base, user)).await
    }

    /// A person merges a pull request, past branch protection; the webhooks of the push and of the end are sent. Returns the
    /// commit the base is at then.
    ///
    /// # Errors
    /// When there is no such pull request or person, it is closed, or there are conflicts.
    pub async fn merge_pull(&self, pull: &IssueRef, user: &str, method: MergeMethod) -> anyhow::Result<(String, Vec<Sent>)> {
        let (sha, sent) = self.shared.with(|world| {
            let key = world.key(pull).context("no such pull request")?;
            let user = world.user(user).context("no such person")?.login.clone();
            world.land(key, method, &user).context("it cannot be merged")
        })?;
        Ok((sha, self.send_all(sent).await?))
    }
}
