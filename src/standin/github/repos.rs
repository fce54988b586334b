//! Repositories over HTTP, and what people do with them: fork, rename, transfer, archive.

use std::collections::BTreeMap;

use anyhow::Context;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::GithubStandin;
use super::auth::{Actor, Level};
use super::deliver::Sent;
use super::git::Git;
use super::git::read::Asked;
use super::refuse::Refuse;
use super::world::{Repository, UserKind, Visibility, World};
use crate::settings::Permission;

impl World {
    fn access_json(&self, actor: &Actor, repository: &Repository) -> Value {
        let held = match actor {
            Actor::User(login) => self.permission(repository, login),
            Actor::Installation(_) if actor.may(self, repository, &[("contents", Level::Write)]).is_ok() => Permission::Write,
            Actor::Installation(_) | Actor::App | Actor::Nobody => Permission::Read,
        };
        json!({"admin": held >= Permission::Admin, "maintain": held >= Permission::Maintain, "push": held >= Permission::Write,
            "triage": held >= Permission::Triage, "pull": held >= Permission::Read})
    }

    /// `full-repository` of the description.
    fn full_repository_json(&self, actor: &Actor, repository: &Repository) -> Value {
        let mut json = self.repository_json(repository);
        json["permissions"] = self.access_json(actor, repository);
        let settings = json!({
            "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true, "allow_auto_merge": false,
            "allow_update_branch": false, "delete_branch_on_merge": false, "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
            "squash_merge_commit_message": "COMMIT_MESSAGES", "merge_commit_title": "MERGE_MESSAGE",
            "merge_commit_message": "PR_TITLE", "use_squash_pr_title_as_default": false, "temp_clone_token": null,
            "subscribers_count": 0, "network_count": json["forks_count"],
        });
        if let (Some(fields), Value::Object(settings)) = (json.as_object_mut(), settings) {
            fields.extend(settings);
        }
        if self.user(repository.owner()).is_some_and(|owner| owner.kind == UserKind::Organization) {
            json["organization"] = self.user_json(repository.owner());
        }
        if let Some(parent) = repository.parent.as_ref().and_then(|(parent, _)| self.repositories.get(parent)) {
            json["parent"] = self.repository_json(parent);
        }
        if let Some(root) = self.repositories.get(&repository.root()).filter(|root| root.id != repository.id) {
            json["source"] = self.repository_json(root);
        }
        json
    }
}

pub(super) async fn get(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo)): Path<(String, String)>,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.named(&owner, &repo)?;
    actor.may(&world, repository, &[("metadata", Level::Read)])?;
    Ok(Json(world.full_repository_json(&actor, repository)))
}

impl GithubStandin {
    /// A person forks a repository into their account, under its name, with all its branches; the App is not installed there and
    /// its events reach nobody. `fork` is sent. Returns the fork's full name.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn fork(&self, repository: &str, user: &str) -> anyhow::Result<(String, Vec<Sent>)> {
        let (name, sent) = self.shared.with(|world| {
            world.add_user(user, UserKind::User);
            let login = world.user(user).context("no such person")?.login.clone();
            let (id, now) = (world.id(), world.now());
            let source = world.repository(repository).context("no such repository")?;
            let mut git = Git { store: source.git.store.clone(), ..Git::default() };
            git.default_branch.clone_from(&source.git.default_branch);
            git.refs = source
                .git
                .refs
                .iter()
                .filter(|(name, _)| !name.starts_with("refs/pull/"))
                .map(|(n, s)| (n.clone(), s.clone()))
                .collect();
            let fork = Repository {
                id,
                full_name: format!("{login}/{}", source.name()),
                old_names: Vec::new(),
                visibility: source.visibility,
                // Who can see a private repository still sees its forks.
                collaborators: if source.visibility == Visibility::Private {
                    readers(&source.collaborators)
                } else {
                    BTreeMap::new()
                },
                created_at: now,
                pushed_at: now,
                open_issues: 0,
                archived: false,
                parent: Some((source.id, source.root())),
                git,
            };
            let (parent, name) = (source.id, fork.full_name.clone());
            anyhow::ensure!(world.repository(&name).is_none(), "{name} is there already");
            world.repositories.insert(id, fork);
            let forkee = world.repositories.get(&id).map(|fork| world.repository_json(fork)).unwrap_or_default();
            let sent = world.event("fork", None, parent, &login, json!({"forkee": forkee}));
            anyhow::Ok((name, sent))
        })?;
        Ok((name, self.send_all(sent).await?))
    }

    /// A person renames a repository; the old name redirects. `repository.renamed` is sent.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn rename_repository(&self, repository: &str, user: &str, name: &str) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| {
            let found = world.repository(repository).context("no such repository")?;
            let (id, old, new) = (found.id, found.name().to_owned(), format!("{}/{name}", found.owner()));
            world.call_it(id, &new)?;
            let changes = json!({"changes": {"repository": {"name": {"from": old}}}});
            anyhow::Ok(world.event("repository", Some("renamed"), id, user, changes))
        })?;
        self.send_all(sent).await
    }

    /// A person gives a repository to another account, which is made as an organisation when there is none; numbers stay and the
    /// old name redirects. `repository.transferred` is sent where the App is installed on the new owner's account.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn transfer(&self, repository: &str, user: &str, owner: &str) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| {
            world.add_user(owner, UserKind::Organization);
            let found = world.repository(repository).context("no such repository")?;
            let (id, old, new) = (found.id, found.owner().to_owned(), format!("{owner}/{}", found.name()));
            world.call_it(id, &new)?;
            let kind = world.user(&old).map(|user| user.kind);
            let kind = if kind == Some(UserKind::Organization) { "organization" } else { "user" };
            let changes = json!({"changes": {"owner": {"from": {kind: world.user_json(&old)}}}});
            anyhow::Ok(world.event("repository", Some("transferred"), id, user, changes))
        })?;
        self.send_all(sent).await
    }

    /// A person archives a repository: it can be read and nothing else. `repository.archived` is sent.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn archive(&self, repository: &str, user: &str) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| {
            let id = world.repository(repository).context("no such repository")?.id;
            world.repositories.get_mut(&id).context("no such repository")?.archived = true;
            anyhow::Ok(world.event("repository", Some("archived"), id, user, json!({})))
        })?;
        self.send_all(sent).await
    }

    /// Installs the App on an account, as for a fork's owner. Returns the installation's number.
    pub fn install(&self, account: &str) -> i64 {
        self.shared.with(|world| world.install(account))
    }
}

fn readers(collaborators: &BTreeMap<String, Permission>) -> BTreeMap<String, Permission> {
    collaborators.keys().map(|login| (login.clone(), Permission::Read)).collect()
}

impl World {
    fn call_it(&mut self, id: i64, full_name: &str) -> anyhow::Result<()> {
        let repository = self.repositories.get_mut(&id).context("no such repository")?;
        let old = std::mem::replace(&mut repository.full_name, full_name.to_owned());
        repository.old_names.retain(|name| name != full_name);
        repository.old_names.push(old);
        Ok(())
    }
}
