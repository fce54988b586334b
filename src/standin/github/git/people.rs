//! People's side of git: pushes, branches, archives replaced.

use anyhow::Context;
use chrono::{DateTime, Utc};

use super::super::GithubStandin;
use super::super::deliver::Sent;
use super::super::world::{IssueRef, World};
use super::object::{Person, Sha};
use super::store::Files;
use super::update::Update;
use super::{Archive, Node, place, remove_below};

fn maya(at: DateTime<Utc>) -> Person {
    Person { name: "Maya".into(), email: "maya@example.com".into(), at: at.fixed_offset() }
}

impl GithubStandin {
    /// Somebody pushes a commit to the default branch: these files are all there are then. Sends no webhook. Returns its SHA.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn push(&self, repository: &str, message: &str, files: &[(&str, Node)]) -> anyhow::Result<String> {
        self.shared.with(|world| {
            let at = world.now();
            let git = world.git(repository)?;
            let reference = format!("refs/heads/{}", git.default_branch);
            let parent = git.refs.get(&reference).cloned();
            let files = files.iter().map(|(path, node)| ((*path).to_owned(), node.store(&git.store))).collect();
            let sha = git.commit(&maya(at), message, parent.into_iter().collect(), &files);
            git.refs.insert(reference, sha.clone());
            Ok(sha)
        })
    }

    /// Somebody pushes a commit to the branch of a pull request, made at that time by its own account: these files are all there
    /// are then. Sends no webhook. A pull request that had only a conversation gets the branch `work`. Returns the SHA.
    ///
    /// # Errors
    /// When there is no such repository or pull request.
    pub fn push_to_pull_request(&self, pull: &IssueRef, files: &[(&str, Node)], at: DateTime<Utc>) -> anyhow::Result<String> {
        self.shared.with(|world| {
            let key = world.key(pull).context("no such pull request")?;
            world.give_branches(key)?;
            let (head, branch) = world
                .pulls
                .get(&key)
                .map(|pull| (pull.head_repository, pull.head_branch.clone()))
                .context("no such pull request")?;
            let git = &mut world.repositories.get_mut(&head).context("no such repository")?.git;
            let reference = format!("refs/heads/{branch}");
            let parent = git.refs.get(&reference).cloned();
            let files: Files = files.iter().map(|(path, node)| ((*path).to_owned(), node.store(&git.store))).collect();
            let sha = git.commit(&maya(at), "Work on it", parent.into_iter().collect(), &files);
            git.refs.insert(reference, sha.clone());
            world.set_pull_head(key, &sha);
            Ok(sha)
        })
    }

    /// Serves something else as the archive of a commit.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn replace_archive(&self, repository: &str, sha: &str, archive: Archive) -> anyhow::Result<()> {
        self.shared.with(|world| {
            world.git(repository)?.archives.insert(sha.to_owned(), archive);
            Ok(())
        })
    }

    /// A person pushes one commit to a branch, upon what is there: each path gets its node, or goes when there is none. A branch
    /// that does not exist is made from the default branch. Sends `push`, `create` when the branch is new, and
    /// `pull_request.synchronize` for pull requests of it. Returns the commit's SHA and what came of the webhooks, in order.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn push_to(
        &self,
        repository: &str,
        user: &str,
        branch: &str,
        message: &str,
        changes: &[(&str, Option<Node>)],
    ) -> anyhow::Result<(String, Vec<Sent>)> {
        self.push_upon(repository, user, branch, None, message, changes).await
    }

    /// The same, but the branch is replaced by one commit upon `onto` (a branch or commit), whatever was on it.
    ///
    /// # Errors
    /// When there is no such repository or nothing called `onto`.
    pub async fn force_push(
        &self,
        repository: &str,
        user: &str,
        branch: &str,
        onto: &str,
        message: &str,
        changes: &[(&str, Option<Node>)],
    ) -> anyhow::Result<(String, Vec<Sent>)> {
        self.push_upon(repository, user, branch, Some(onto), message, changes).await
    }

    async fn push_upon(
        &self,
        repository: &str,
        user: &str,
        branch: &str,
        onto: Option<&str>,
        message: &str,
        changes: &[(&str, Option<Node>)],
    ) -> anyhow::Result<(String, Vec<Sent>)> {
        let (sha, sent) = self.shared.with(|world| {
            let by = world.person(user, world.now());
            let git = world.git(repository)?;
            let parent = match onto {
                Some(onto) => Some(git.resolve(onto).with_context(|| format!("there is nothing called {onto}"))?.sha),
                None => git.branch(branch).or_else(|| git.branch(&git.default_branch)).cloned(),
            };
            let mut files = parent.as_deref().map(|parent| git.store.files_of(parent)).unwrap_or_default();
            for (path, node) in changes {
                match node {
                    Some(node) => place(&mut files, path, node.store(&git.store)),
                    None => _ = files.remove(*path).is_some() | remove_below(&mut files, path),
                }
            }
            let sha = git.commit(&by, message, parent.into_iter().collect(), &files);
            let sent = world.set_branch(repository, branch, Some(&sha), user)?;
            anyhow::Ok((sha, sent))
        })?;
        Ok((sha, self.send_all(sent).await?))
    }

    /// A person makes a branch at a branch, tag or commit; one that exists moves there, as a forced push does.
    ///
    /// # Errors
    /// When there is no such repository or nothing called `from`.
    pub async fn create_branch(&self, repository: &str, user: &str, branch: &str, from: &str) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| {
            let from = world.git(repository)?.resolve(from).with_context(|| format!("there is nothing called {from}"))?;
            world.set_branch(repository, branch, Some(&from.sha), user)
        })?;
        self.send_all(sent).await
    }

    /// A person deletes a branch; its pull requests are closed by that.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn delete_branch(&self, repository: &str, user: &str, branch: &str) -> anyhow::Result<Vec<Sent>> {
        let sent = self.shared.with(|world| world.set_branch(repository, branch, None, user))?;
        self.send_all(sent).await
    }

    /// Lets a branch change only by pull requests from now on, or no longer.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn protect_branch(&self, repository: &str, branch: &str, protected: bool) -> anyhow::Result<()> {
        self.shared.with(|world| {
            let git = world.git(repository)?;
            if protected {
                git.protected.insert(branch.to_owned());
            } else {
                git.protected.remove(branch);
            }
            Ok(())
        })
    }

    /// Truncates listings of trees beyond this many entries; GitHub does so at 100,000.
    pub fn limit_trees(&self, entries: usize) {
        self.shared.with(|world| world.tree_limit = entries);
    }
}

impl World {
    fn set_branch(&mut self, repository: &str, branch: &str, after: Option<&str>, sender: &str) -> anyhow::Result<Vec<u64>> {
        let id = self.repository(repository).context("no such repository")?.id;
        let sender = self.user(sender).context("no such person")?.login.clone();
        let (reference, after) = (format!("refs/heads/{branch}"), after.map(Sha::from));
        Ok(self.update_ref(&Update { repository: id, reference: &reference, after: after.as_deref(), sender: &sender }))
    }
}
