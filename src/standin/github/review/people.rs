//! The people's side of reviews: what somebody does in a browser, webhooks included.

use anyhow::{Context, anyhow, ensure};

use super::super::GithubStandin;
use super::super::act::Commented;
use super::super::deliver::Sent;
use super::super::world::{IssueRef, Key, World};
use super::submit::Proposed;
use super::write::Wanted;
use super::{ReviewState, Side};

/// A comment a person puts on lines of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    path: String,
    side: Side,
    lines: (u32, u32),
    body: String,
}

impl NewComment {
    /// On a line of the file after the change.
    pub fn on(path: &str, line: u32, body: &str) -> Self {
        Self::over(path, line, line, body)
    }

    /// On some lines of the file after the change.
    pub fn over(path: &str, first: u32, last: u32, body: &str) -> Self {
        Self { path: path.to_owned(), side: Side::Right, lines: (first, last), body: body.to_owned() }
    }

    /// On the same lines of the file before the change.
    pub fn left(self) -> Self {
        Self { side: Side::Left, ..self }
    }

    fn wanted(&self) -> Wanted {
        let (first, last) = self.lines;
        let side = Some(self.side.as_str().to_owned());
        Wanted {
            path: self.path.clone(),
            body: self.body.clone(),
            line: Some(last),
            side: side.clone(),
            start_line: (first != last).then_some(first),
            start_side: side.filter(|_| first != last),
            ..Wanted::default()
        }
    }
}

/// A review a person gave, and what came of its webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// The review's number.
    pub id: i64,
    /// Its comments' numbers, in their order.
    pub comments: Vec<i64>,
    /// First the review's webhook, then those of the comments.
    pub sent: Vec<Sent>,
}

impl GithubStandin {
    /// A person reviews a pull request at its head. GitHub makes one `pull_request_review` webhook, and one
    /// `pull_request_review_comment` for each comment.
    ///
    /// # Errors
    /// When there is no such pull request or person, and where GitHub would refuse, with its reasons.
    pub async fn review(
        &self,
        pull: &IssueRef,
        user: &str,
        state: ReviewState,
        body: &str,
        comments: &[NewComment],
    ) -> anyhow::Result<Reviewed> {
        let (id, comments, deliveries) = self.shared.with(|world| {
            let (key, author) = (world.pull_key(pull)?, world.account(user)?);
            let asked = Proposed {
                body: Some(body.to_owned()),
                comments: comments.iter().map(NewComment::wanted).collect(),
                ..Proposed::default()
            };
            let checked = world.check(key, &author, state, &asked).map_err(|reasons| anyhow!(reasons.join("; ")))?;
            let id = world.add_review(checked);
            let comments: Vec<i64> = world.review.comments.values().filter(|one| one.review == id).map(|one| one.id).collect();
            anyhow::Ok((id, comments, world.review_events(id)))
        })?;
        Ok(Reviewed { id, comments, sent: self.send_all(deliveries).await? })
    }

    /// A person writes a single comment on lines of a pull request. As on GitHub it comes with a review of its own, whose webhook is
    /// sent, too; the answer told is that to the comment's.
    ///
    /// # Errors
    /// When there is no such pull request or person, and when the diff has no such lines.
    pub async fn review_comment(&self, pull: &IssueRef, user: &str, comment: NewComment) -> anyhow::Result<Commented> {
        let (id, deliveries) = self.shared.with(|world| {
            let (key, author) = (world.pull_key(pull)?, world.account(user)?);
            let head = world.head_of(key).context("the pull request has no commits")?;
            let placed = world.fit(key, &head, &comment.wanted()).map_err(|unfit| anyhow!(unfit.reason()))?;
            let review = world.add_single(key, author, head, placed);
            let id = world.review.comments.values().find(|one| one.review == review).context("it was just made")?.id;
            anyhow::Ok((id, world.review_events(review)))
        })?;
        self.commented(id, deliveries).await
    }

    /// A person answers in the thread a review comment stands in.
    ///
    /// # Errors
    /// When there is no such comment or person.
    pub async fn reply(&self, comment: i64, user: &str, body: &str) -> anyhow::Result<Commented> {
        let (id, deliveries) = self.shared.with(|world| {
            let author = world.account(user)?;
            let id = world.add_reply(comment, &author, body).context("no such comment")?;
            let review = world.review.comments.get(&id).context("it was just made")?.review;
            anyhow::Ok((id, world.review_events(review)))
        })?;
        self.commented(id, deliveries).await
    }

    async fn commented(&self, id: i64, deliveries: Vec<u64>) -> anyhow::Result<Commented> {
        let sent = self.send_all(deliveries).await?.pop().context("a comment has a webhook")?;
        Ok(Commented { id, sent })
    }

    /// A person edits a review comment, their own or another's.
    ///
    /// # Errors
    /// When there is no such comment.
    pub async fn edit_review_comment(&self, comment: i64, user: &str, body: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let before = world.edit_remark(comment, user, body)?;
            world.remark_event("edited", comment, user, Some(&before))
        });
        self.send_now(delivery).await
    }

    /// A person deletes a review comment.
    ///
    /// # Errors
    /// When there is no such comment.
    pub async fn delete_review_comment(&self, comment: i64, user: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let delivery = world.remark_event("deleted", comment, user, None);
            world.forget_remark(comment);
            delivery
        });
        self.send_now(delivery).await
    }

    /// A person changes the text of a review.
    ///
    /// # Errors
    /// When there is no such review.
    pub async fn edit_review(&self, review: i64, user: &str, body: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let kept = world.review.all.get_mut(&review)?;
            let before = std::mem::replace(&mut kept.body, body.to_owned());
            world.review_event("edited", review, user, Some(&before))
        });
        self.send_now(delivery).await
    }

    /// A person takes the decision of a review back.
    ///
    /// # Errors
    /// When there is no such review or it decided nothing.
    pub async fn dismiss_review(&self, review: i64, user: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| world.dismiss(review, user)).map_err(|reason| anyhow!(reason))?;
        self.send_now(delivery).await
    }

    /// A person resolves the thread a comment stands in, or opens it again.
    ///
    /// # Errors
    /// When there is no such comment, or the thread is so already.
    pub async fn resolve_thread(&self, comment: i64, user: &str, resolved: bool) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let root = world.review.comments.get(&comment).context("no such comment")?.root();
            anyhow::Ok(world.resolve(root, user, resolved))
        })?;
        self.send_now(delivery).await
    }

    /// A person applies the suggestion of a review comment with GitHub's button: a commit on the pull request's branch that replaces
    /// exactly the lines the comment stands at. Returns the commit.
    ///
    /// # Errors
    /// Where GitHub would refuse, in its words: when the comment is outdated, resolved, on deleted lines or without effect, or the
    /// pull request is closed.
    pub async fn apply_suggestion(&self, comment: i64, user: &str) -> anyhow::Result<String> {
        self.apply_suggestions(&[comment], user).await
    }

    /// The same for several comments of one pull request in one commit.
    ///
    /// # Errors
    /// As before, and when two of them touch the same line; then nothing is done.
    pub async fn apply_suggestions(&self, comments: &[i64], user: &str) -> anyhow::Result<String> {
        let (sha, deliveries) = self.shared.with(|world| {
            let first = comments.first().context("nothing is to be applied")?;
            let key = world.review.comments.get(first).context("no such comment")?.pull;
            let author = world.account(user)?;
            let files = world.suggested(key, comments)?;
            let message =
                if comments.len() == 1 { format!("Update {}", files[0].0) } else { "Apply suggestions from code review".into() };
            let (sha, mut deliveries) = world.commit_on_pull(key, &author, &message, files)?;
            for comment in comments {
                let root = world.review.comments.get(comment).map(|comment| comment.root());
                deliveries.extend(root.and_then(|root| world.resolve(root, &author, true)));
            }
            anyhow::Ok((sha, deliveries))
        })?;
        self.send_all(deliveries).await?;
        Ok(sha)
    }

    /// A person reacts to an issue's text (`comment` none), or to a comment or review comment. GitHub sends nothing for this.
    ///
    /// # Errors
    /// When there is no such issue, comment, person or reaction.
    pub fn add_reaction(&self, issue: &IssueRef, comment: Option<i64>, user: &str, content: &str) -> anyhow::Result<i64> {
        let id = self.shared.with(|world| {
            let (key, user) = (world.key(issue).context("no such issue")?, world.account(user)?);
            let here = |id: i64| {
                world.comments.get(&id).map(|comment| comment.issue) == Some(key)
                    || world.review.comments.get(&id).map(|comment| comment.pull) == Some(key)
            };
            ensure!(comment.is_none_or(here), "no such comment");
            ensure!(super::super::conversation::REACTIONS.contains(&content), "{content} is not a reaction");
            Ok(world.react(&user, key, comment, content).0.id)
        });
        self.shared.notify();
        id
    }

    /// A person takes a reaction back.
    ///
    /// # Errors
    /// When there is no such reaction.
    pub fn remove_reaction(&self, reaction: i64) -> anyhow::Result<()> {
        let found = self.shared.with(|world| {
            let lists = world.reactions.values_mut();
            lists.fold(false, |found, list| {
                let before = list.len();
                list.retain(|one| one.id != reaction);
                found || list.len() < before
            })
        });
        self.shared.notify();
        ensure!(found, "no such reaction");
        Ok(())
    }
}

impl World {
    fn pull_key(&self, pull: &IssueRef) -> anyhow::Result<Key> {
        let key = self.key(pull).context("no such pull request")?;
        ensure!(self.issues.get(&key).is_some_and(|issue| issue.is_pull_request), "it is not a pull request");
        Ok(key)
    }

    fn account(&self, login: &str) -> anyhow::Result<String> {
        Ok(self.user(login).context("no such person")?.login.clone())
    }

    /// Resolves a thread or opens it again; the webhook, when that changed anything.
    pub(in super::super) fn resolve(&mut self, root: i64, by: &str, resolved: bool) -> Option<u64> {
        let was = self.review.resolved.contains_key(&root);
        if was == resolved {
            return None;
        }
        if resolved {
            self.review.resolved.insert(root, by.to_owned());
        } else {
            self.review.resolved.remove(&root);
        }
        self.thread_event(if resolved { "resolved" } else { "unresolved" }, root, by)
    }
}
