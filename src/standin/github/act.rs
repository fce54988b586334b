//! The people's side: what happens on github.com in a browser. Whatever would send a webhook sends one.

use std::sync::Arc;

use anyhow::Context;
use uuid::Uuid;

use super::GithubStandin;
use super::deliver::{Delivery, Sent};
use super::world::{Installation, Issue, IssueRef, Repository, UserKind, Visibility, World};
use crate::settings::Permission;

/// A comment a person wrote, and what came of its webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commented {
    /// The comment's number.
    pub id: i64,
    /// Its webhook.
    pub sent: Sent,
}

impl GithubStandin {
    /// Sends webhooks to this URL from now on.
    pub fn deliver_to(&self, url: impl Into<String>) {
        self.shared.with(|world| world.hook = Some(url.into()));
    }

    /// Makes an account; one that exists stays as it is.
    pub fn add_user(&self, login: &str, kind: UserKind) -> i64 {
        self.shared.with(|world| world.add_user(login, kind))
    }

    /// Makes a repository, its owner (an organisation, unless the account exists) and the App's installation there. Returns its
    /// number.
    pub fn add_repository(&self, full_name: &str, visibility: Visibility) -> i64 {
        let as_app = self.shared.expects == super::Expects::App;
        self.shared.with(|world| {
            let owner = full_name.split('/').next().unwrap_or_default();
            world.add_user(owner, UserKind::Organization);
            if as_app {
                world.install(owner);
            }
            let (id, created_at) = (world.id(), world.now());
            let mut repository = Repository {
                id,
                full_name: full_name.to_owned(),
                old_names: Vec::new(),
                visibility,
                collaborators: Default::default(),
                created_at,
                pushed_at: created_at,
                open_issues: 0,
                archived: false,
                parent: None,
                git: Default::default(),
            };
            if !as_app {
                // A machine account is invited to work; an App is installed.
                repository.collaborators.insert(world.our_login().to_lowercase(), Permission::Write);
            }
            world.repositories.insert(id, repository);
            id
        })
    }

    /// Gives a person a permission, making the account when there is none.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn set_permission(&self, repository: &str, login: &str, permission: Permission) -> anyhow::Result<()> {
        self.shared.with(|world| {
            world.add_user(login, UserKind::User);
            let id = world.repository(repository).context("no such repository")?.id;
            let repository = world.repositories.get_mut(&id).context("no such repository")?;
            repository.collaborators.insert(login.to_lowercase(), permission);
            Ok(())
        })
    }

    /// Takes a person into an organisation.
    pub fn add_member(&self, organization: &str, login: &str) {
        self.shared.with(|world| {
            world.add_user(login, UserKind::User);
            world.members.insert((organization.to_lowercase(), login.to_lowercase()));
        });
    }

    /// Renames a repository; the old name redirects, as on GitHub.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn rename(&self, repository: &str, full_name: &str) -> anyhow::Result<()> {
        self.shared.with(|world| {
            let id = world.repository(repository).context("no such repository")?.id;
            let repository = world.repositories.get_mut(&id).context("no such repository")?;
            let old = std::mem::replace(&mut repository.full_name, full_name.to_owned());
            repository.old_names.push(old);
            Ok(())
        })
    }

    /// The installation's number on an account.
    pub fn installation(&self, account: &str) -> Option<i64> {
        self.world(|world| world.installation_of(account).map(|installation| installation.id))
    }

    /// Suspends the App on an account: its tokens stop working and a webhook says so.
    ///
    /// # Errors
    /// When it is not installed there.
    pub async fn suspend(&self, account: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let id = world.installation_of(account).map(|installation| installation.id)?;
            world.installations.get_mut(&id)?.suspended = true;
            Some(world.installation_event("suspend", id))
        });
        self.send_now(delivery.flatten()).await
    }

    /// Removes the App from an account.
    ///
    /// # Errors
    /// When it is not installed there.
    pub async fn uninstall(&self, account: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let id = world.installation_of(account).map(|installation| installation.id)?;
            let delivery = world.installation_event("deleted", id);
            world.installations.remove(&id);
            delivery
        });
        self.send_now(delivery).await
    }

    /// Takes a permission away from the App, or gives it another level.
    pub fn grant(&self, permission: &str, level: Option<&str>) {
        self.shared.with(|world| match level {
            Some(level) => {
                world.granted.insert(permission.to_owned(), level.to_owned());
            }
            None => {
                world.granted.remove(permission);
            }
        });
    }

    /// A person opens an issue.
    ///
    /// # Errors
    /// When there is no such repository or person.
    pub async fn open_issue(&self, repository: &str, user: &str, title: &str, body: &str) -> anyhow::Result<(IssueRef, Sent)> {
        let (issue, delivery) = self.shared.with(|world| {
            let issue = world.open(repository, user, title, body, false)?;
            let delivery = world.issue_event("opened", &issue, user, None);
            anyhow::Ok((issue, delivery))
        })?;
        Ok((issue, self.send_now(delivery).await?))
    }

    /// A person opens a pull request. It has a conversation and nothing else yet, and sends no webhook.
    ///
    /// # Errors
    /// When there is no such repository or person.
    pub fn open_pull_request(&self, repository: &str, user: &str, title: &str, body: &str) -> anyhow::Result<IssueRef> {
        self.shared.with(|world| world.open(repository, user, title, body, true))
    }

    /// A person changes the text of an issue.
    ///
    /// # Errors
    /// When there is no such issue, or it says that already.
    pub async fn edit_issue(&self, issue: &IssueRef, user: &str, body: &str) -> anyhow::Result<Sent> {
        self.reword(issue, user, None, Some(body)).await?.pop().context("nothing was changed")
    }

    /// A person closes an issue.
    ///
    /// # Errors
    /// When there is no such issue, or it is closed.
    pub async fn close_issue(&self, issue: &IssueRef, user: &str) -> anyhow::Result<Sent> {
        self.close(issue, user).await?.pop().context("nothing was changed")
    }

    /// A person comments; the webhook is sent and its answer waited for.
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub async fn comment(&self, issue: &IssueRef, user: &str, text: &str) -> anyhow::Result<Commented> {
        let (id, delivery) = self.prepare_comment(issue, user, text)?;
        Ok(Commented { id, sent: self.send_now(Some(delivery.id)).await? })
    }

    /// A person comments, but the webhook is not sent: for those who send it themselves ([`Delivery::headers`]).
    ///
    /// # Errors
    /// When there is no such issue or person.
    pub fn prepare_comment(&self, issue: &IssueRef, user: &str, text: &str) -> anyhow::Result<(i64, Delivery)> {
        let prepared = self.shared.with(|world| {
            let key = world.key(issue).context("no such issue")?;
            let user = world.user(user).context("no such person")?.login.clone();
            let id = world.add_comment(key, &user, text);
            let delivery = world.comment_event("created", id, &user, None).context("no such issue")?;
            Ok((id, world.delivery(delivery).context("the delivery was just made")?))
        });
        self.shared.notify();
        prepared
    }

    /// A person edits a comment, their own or another's.
    ///
    /// # Errors
    /// When there is no such comment.
    pub async fn edit_comment(&self, comment: i64, user: &str, text: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let before = world.comments.get(&comment).context("no such comment")?.body().to_owned();
            world.edit(comment, user, text);
            anyhow::Ok(world.comment_event("edited", comment, user, Some(&before)))
        })?;
        self.send_now(delivery).await
    }

    /// A person deletes a comment.
    ///
    /// # Errors
    /// When there is no such comment.
    pub async fn delete_comment(&self, comment: i64, user: &str) -> anyhow::Result<Sent> {
        let delivery = self.shared.with(|world| {
            let delivery = world.comment_event("deleted", comment, user, None);
            world.forget_comment(comment);
            delivery
        });
        self.send_now(delivery).await
    }

    /// Sends a ping.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn ping(&self) -> anyhow::Result<Sent> {
        let payload =
            serde_json::json!({"zen": "Speak like a human.", "hook_id": 1, "hook": {"type": "App", "id": 1, "active": true}});
        let delivery = self.shared.with(|world| world.deliver("ping", &payload));
        self.send_now(Some(delivery)).await
    }

    /// Sends a webhook once more, under the same id, as GitHub's button does.
    ///
    /// # Errors
    /// When it is no longer kept.
    pub async fn redeliver(&self, delivery: u64) -> anyhow::Result<Sent> {
        self.send_now(Some(delivery)).await
    }

    /// Sends the same body under a new id, as a second hook would.
    ///
    /// # Errors
    /// When it is no longer kept.
    pub async fn deliver_again_as_new(&self, delivery: u64) -> anyhow::Result<Sent> {
        let copy = self.shared.with(|world| {
            let mut copy = world.delivery(delivery)?;
            copy.id = world.id().unsigned_abs();
            copy.guid = Uuid::now_v7().to_string();
            copy.attempts.clear();
            let id = copy.id;
            world.keep(copy);
            Some(id)
        });
        self.send_now(copy).await
    }

    /// Sends them one after the other.
    pub(super) async fn send_all(&self, deliveries: impl IntoIterator<Item = u64>) -> anyhow::Result<Vec<Sent>> {
        self.shared.notify();
        let mut sent = Vec::new();
        for delivery in deliveries {
            sent.push(self.send_now(Some(delivery)).await?);
        }
        Ok(sent)
    }

    pub(super) async fn send_now(&self, delivery: Option<u64>) -> anyhow::Result<Sent> {
        self.shared.notify();
        let shared = Arc::clone(&self.shared);
        shared.send(delivery.context("there is nothing to deliver")?).await.context("the delivery is no longer kept")
    }
}

impl World {
    /// Installs the App on an account, unless it is there.
    pub(super) fn install(&mut self, account: &str) -> i64 {
        if let Some(installation) = self.installation_of(account) {
            return installation.id;
        }
        let id = self.id();
        self.installations.insert(id, Installation { id, account: account.to_owned(), suspended: false });
        id
    }

    pub(super) fn open(
        &mut self,
        repository: &str,
        user: &str,
        title: &str,
        body: &str,
        is_pull_request: bool,
    ) -> anyhow::Result<IssueRef> {
        let author = self.user(user).context("no such person")?.login.clone();
        let repository = self.repository(repository).context("no such repository")?;
        let (repository_id, full_name) = (repository.id, repository.full_name.clone());
        let known = self.issues.range((repository_id, 0)..=(repository_id, i64::MAX));
        let number = known.last().map_or(0, |(key, _)| key.1) + 1;
        let (id, now) = (self.id(), self.now());
        let issue = Issue {
            id,
            number,
            repository: repository_id,
            title: title.to_owned(),
            body: body.to_owned(),
            author,
            open: true,
            is_pull_request,
            labels: Vec::new(),
            closed_at: None,
            created_at: now,
            updated_at: now,
        };
        self.issues.insert((repository_id, number), issue);
        self.count_open(repository_id, true);
        Ok(IssueRef { repository: full_name, number })
    }

    pub(super) fn count_open(&mut self, repository: i64, opened: bool) {
        if let Some(repository) = self.repositories.get_mut(&repository) {
            let open = repository.open_issues;
            repository.open_issues = if opened { open + 1 } else { open.saturating_sub(1) };
        }
    }

    fn delivery(&self, id: u64) -> Option<Delivery> {
        self.deliveries.iter().rev().find(|delivery| delivery.id == id).cloned()
    }

    fn installation_event(&mut self, action: &str, installation: i64) -> Option<u64> {
        let installation = self.installations.get(&installation)?;
        let owned = self.repositories.values().filter(|repository| repository.owner() == installation.account);
        let brief = |r: &Repository| serde_json::json!({"id": r.id, "name": r.name(), "full_name": r.full_name, "private": r.visibility == Visibility::Private});
        let payload = serde_json::json!({"action": action, "installation": self.installation_json(installation),
            "repositories": owned.map(brief).collect::<Vec<_>>(), "sender": self.user_json(&installation.account)});
        Some(self.deliver("installation", &payload))
    }
}
