//! Moving a reference, and everything that follows from it: pushes are told, pull requests follow their branches.

use super::super::world::{Key, World};
use super::object::Sha;

/// What a reference is set to, by whom.
pub(in super::super) struct Update<'a> {
    pub repository: i64,
    /// The full name, such as `refs/heads/main`.
    pub reference: &'a str,
    /// None deletes it.
    pub after: Option<&'a str>,
    pub sender: &'a str,
}

impl World {
    /// Does it. Returns the webhooks to send, in order.
    pub(in super::super) fn update_ref(&mut self, update: &Update<'_>) -> Vec<u64> {
        let now = self.now();
        let Some(repository) = self.repositories.get_mut(&update.repository) else { return Vec::new() };
        let before = match update.after {
            Some(after) => repository.git.refs.insert(update.reference.to_owned(), after.to_owned()),
            None => repository.git.refs.remove(update.reference),
        };
        if before.as_deref() == update.after {
            return Vec::new();
        }
        repository.pushed_at = now;
        let mut sent = Vec::new();
        if before.is_none() {
            sent.extend(self.ref_event("create", update));
        }
        sent.extend(self.push_event(update, before.as_deref()));
        if update.after.is_none() {
            sent.extend(self.ref_event("delete", update));
        }
        if let Some(branch) = update.reference.strip_prefix("refs/heads/") {
            sent.extend(self.pulls_follow(update, branch, before));
        }
        sent
    }

    fn pulls_follow(&mut self, update: &Update<'_>, branch: &str, before: Option<Sha>) -> Vec<u64> {
        let open: Vec<Key> = self.open_pulls().collect();
        let mut sent = Vec::new();
        for key in open {
            let Some(pull) = self.pulls.get(&key) else { continue };
            if pull.head_repository == update.repository && pull.head_branch == branch {
                sent.extend(self.head_moved(key, update, before.as_deref()));
            } else if key.0 == update.repository && pull.base_branch == branch {
                sent.extend(self.base_moved(key, update, before.as_deref()));
            }
        }
        sent
    }

    fn head_moved(&mut self, key: Key, update: &Update<'_>, before: Option<&str>) -> Vec<u64> {
        let Some(after) = update.after else { return self.close(key, update.sender) };
        self.set_pull_head(key, after);
        let mut sent: Vec<u64> = self.synchronized(key, before.unwrap_or(after), after, update.sender).into_iter().collect();
        if self.commits_of(key).is_empty() {
            sent.extend(self.close(key, update.sender));
        }
        sent
    }

    /// A base that got the head's commits has merged the pull request.
    fn base_moved(&mut self, key: Key, update: &Update<'_>, before: Option<&str>) -> Vec<u64> {
        let Some(after) = update.after else { return self.close(key, update.sender) };
        let (Some(pull), Some(repository)) = (self.pulls.get(&key), self.repositories.get(&key.0)) else { return Vec::new() };
        let arrived = repository.git.store.is_before(&pull.head_sha, after);
        if let Some(pull) = self.pulls.get_mut(&key) {
            pull.looked_at = false;
            if arrived {
                before.unwrap_or(after).clone_into(&mut pull.base_sha);
            }
        }
        if arrived { self.mark_merged(key, after, update.sender) } else { Vec::new() }
    }
}
