//! Carries a recorded landing to its end: the branch names its commits, the pull request is there, the conversation knows of both, and
//! the workspace goes on from there. Every step looks first, so that it may be taken again.

use std::collections::BTreeMap;

use super::announce::{Announcer, TURNS};
use super::trouble::{Trouble, is_closed};
use super::write::merge_apart;
use super::{GithubLander, Looked};
use crate::github::{CommitTree, GithubError, RepoRef, Writes};
use crate::landing::object::{Change, Mode, Node, Tree};
use crate::landing::{Landing, LandingState, manifest};
use crate::sandbox::checkpoint::Checkpoint;

/// How often a call is made whose answer is lost.
const TRIES: u32 = 3;
/// How often the workspace is tried to be brought to what landed. Something of somebody else's that is too large, or comes too slowly,
/// must not keep everything after it from landing.
const MOST_FOLLOWS: i32 = 3;

impl GithubLander {
    /// Finishes what an earlier attempt began: this run's, or one that ended in between.
    pub(super) async fn settle(&self) -> Result<(), Trouble> {
        for landing in self.writer.landings().await? {
            if landing.state != LandingState::Landing {
                continue;
            }
            let repo = self.repo_of(&landing);
            let there = match self.in_turn(|| self.github.branch_head(&repo, &landing.branch)).await? {
                Some(head) => self.in_turn(|| self.github.holds(&repo, &head, &landing.head)).await?,
                None => false,
            };
            match there {
                true => self.finish(landing).await?,
                // What it meant still stands in the workspace, and is looked at anew.
                false => drop(self.writer.set_state(landing.id, LandingState::Void, None).await?),
            }
        }
        Ok(())
    }

    /// One that can never be finished is left as it is, so that it does not stand in the way of what comes after it.
    async fn finish(&self, landing: Landing) -> Result<(), Trouble> {
        let (id, branch) = (landing.id, landing.branch.clone());
        let is_announced = landing.pull_request.is_some();
        match self.carry(landing, None).await {
            Ok(landing) if landing.state == LandingState::Landing => Err(Trouble::Behind),
            Ok(_) => Ok(()),
            Err(trouble) if trouble.is_final() => {
                tracing::warn!(landing.id = %id, %trouble, "an earlier landing cannot be finished");
                self.writer.set_state(id, LandingState::Void, None).await?;
                Ok(())
            }
            Err(Trouble::Overtaken) => Err(Trouble::Overtaken),
            Err(trouble) if !is_announced => Err(Trouble::Pushed { branch, why: trouble.to_string() }),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) fn repo_of(&self, landing: &Landing) -> RepoRef {
        match landing.repository_id == self.repo.id {
            true => self.repo.clone(),
            false => RepoRef { full_name: landing.repository.clone(), id: landing.repository_id, installation: None },
        }
    }

    /// Lets the branch name the commits.
    pub(super) async fn move_there(&self, landing: &Landing, writes: Writes) -> Result<(), Trouble> {
        let repo = self.repo_of(landing);
        let mut last = None;
        for _ in 0..TRIES {
            let (branch, ours) = (&landing.branch, &landing.head);
            let moved = match self.in_turn(|| self.github.branch_head(&repo, branch)).await? {
                Some(head) if self.in_turn(|| self.github.holds(&repo, &head, ours)).await? => return Ok(()),
                Some(head) if head == landing.parent && !landing.opens => {
                    self.in_turn(|| self.github.move_branch(&repo, writes, branch, ours)).await
                }
                None if landing.opens => self.in_turn(|| self.github.create_branch(&repo, writes, branch, ours)).await,
                // Somebody's, or what is left of ours from before.
                Some(_) if landing.opens => return Err(Trouble::Taken),
                Some(_) | None => return Err(Trouble::Moved),
            };
            match moved {
                Ok(()) => return Ok(()),
                Err(error) if is_closed(&error) => {
                    return Err(Trouble::Closed(format!("GitHub does not let me push to `{}`: {error}.", landing.branch)));
                }
                Err(error @ (GithubError::Invalid(_) | GithubError::Unavailable { .. })) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(GithubError::Invalid(why)) if why.contains("fast forward") || why.contains("fast-forward") => {
                Err(Trouble::Moved)
            }
            Some(error) => Err(error.into()),
            None => Err(Trouble::Moved),
        }
    }

    /// As [`Self::carry`], for what was pushed just now: what is not done yet is said, and that it did not land is not.
    pub(super) async fn carry_new(
        &self,
        landing: Landing,
        looked: Option<Looked<'_>>,
    ) -> Result<(Landing, Vec<String>), Trouble> {
        match self.carry(landing.clone(), looked).await {
            Ok(landing) => Ok((landing, Vec::new())),
            Err(Trouble::Overtaken) => Err(Trouble::Overtaken),
            Err(trouble) => {
                tracing::warn!(landing.id = %landing.id, %trouble, "what was pushed is not settled yet");
                let then = match trouble.is_final() {
                    true => "Open it there, or ask me again with `pr` when that is put right.",
                    false => "It opens as soon as GitHub lets it; or ask me again with `pr`.",
                };
                let notes = landing.pull_request.is_none().then(|| {
                    format!("The branch `{}` is pushed; its pull request is not open yet: {trouble}. {then}", landing.branch)
                });
                Ok((landing, notes.into_iter().collect()))
            }
        }
    }

    /// From the moment on when the branch names the commits.
    pub(super) async fn carry(&self, landing: Landing, looked: Option<Looked<'_>>) -> Result<Landing, Trouble> {
        let landing = self.announce(landing).await?;
        match self.follow(&landing, looked).await {
            Ok(()) => {}
            Err(trouble @ (Trouble::Overtaken | Trouble::Database(_))) => return Err(trouble),
            Err(trouble) if trouble.is_final() => {
                tracing::warn!(landing.id = %landing.id, %trouble, "the workspace cannot follow its landing");
            }
            // It has landed, and people are told so. The workspace follows when somebody lands next.
            Err(trouble) => {
                let tried = self.writer.count_follow(landing.id).await?;
                tracing::warn!(landing.id = %landing.id, %trouble, tried, "the workspace does not follow its landing yet");
                if tried < MOST_FOLLOWS {
                    return Ok(landing);
                }
            }
        }
        self.close(landing, LandingState::Landed).await
    }

    pub(super) async fn close(&self, mut landing: Landing, state: LandingState) -> Result<Landing, Trouble> {
        if !self.writer.set_state(landing.id, state, None).await? {
            return Err(Trouble::Overtaken);
        }
        landing.state = state;
        Ok(landing)
    }

    /// The pull request, and that it belongs to this conversation.
    pub(super) async fn announce(&self, landing: Landing) -> Result<Landing, Trouble> {
        let announcer = Announcer {
            services: &self.services,
            github: &self.github,
            writer: &self.writer,
            repo: &self.repo,
            from: &self.request.place,
            turns: TURNS,
        };
        announcer.announce(landing).await
    }

    /// The workspace goes on from the landed commit. What others changed on the branch is brought into it, so that nothing of theirs is
    /// taken back later.
    async fn follow(&self, landing: &Landing, looked: Option<Looked<'_>>) -> Result<(), Trouble> {
        let place;
        let looked_place = match looked {
            Some((place, ..)) => place,
            None => match self.sandboxes.workplace().await? {
                Some(found) => {
                    place = found;
                    &place
                }
                None => return Ok(()),
            },
        };
        let Some(base) = looked_place.checkout.commit.clone().filter(|base| *base != landing.head) else { return Ok(()) };
        let repo = self.repo_of(landing);
        let from = self.in_turn(|| self.github.commit_tree(&repo, &base)).await?;
        let to = self.in_turn(|| self.github.commit_tree(&repo, &landing.head)).await?;
        let checkout = match looked {
            Some((_, checkout, _)) => checkout.clone(),
            None => self.checkout_of(&base).await?,
        };
        let next = self.next_checkout(&checkout, &from, &to, &landing.head).await?;
        let present = match looked {
            Some((.., present)) => present.clone(),
            None => self.sandboxes.survey(looked_place, &checkout).await?.present,
        };
        let present = self.bring_theirs(&repo, looked_place, (&checkout, &next), present).await?;
        self.sandboxes.rebase(&landing.head, &next, &present).await?;
        Ok(())
    }

    /// What the checkout of the landed commit would be: that of the one before, with what differs between the two.
    async fn next_checkout(&self, checkout: &Tree, from: &CommitTree, to: &CommitTree, commit: &str) -> Result<Tree, Trouble> {
        // What attributes convert is in no tree as it is here.
        let is_converted = |path: &String| {
            let stored = from.tree.get(path).filter(|node| node.mode != Mode::Submodule);
            stored != to.tree.get(path) && stored.is_some_and(|stored| checkout.get(path).is_some_and(|here| here != stored))
        };
        if !from.is_complete || !to.is_complete || from.tree.keys().any(is_converted) {
            let archive = self.sandboxes.archive(commit).await?;
            let read = manifest::of_archive(archive).await;
            return read.map_err(|error| Trouble::Refused(format!("the landed commit cannot be read: {error}")));
        }
        let mut next = checkout.clone();
        for path in from.tree.keys().chain(to.tree.keys()) {
            match (from.tree.get(path), to.tree.get(path)) {
                (was, is) if was == is => {}
                (_, Some(node)) if node.mode != Mode::Submodule => drop(next.insert(path.clone(), node.clone())),
                (_, _) => drop(next.remove(path)),
            }
        }
        Ok(next)
    }

    /// Puts what the landed commit holds beyond the workspace there. Returns what is there then.
    async fn bring_theirs(
        &self,
        repo: &RepoRef,
        place: &crate::agent::sandboxes::Workplace,
        (was, is): (&Tree, &Tree),
        mut present: Tree,
    ) -> Result<Tree, Trouble> {
        let (mut files, mut links, mut deleted) = (Vec::new(), BTreeMap::new(), Vec::new());
        let paths: std::collections::BTreeSet<&String> =
            was.keys().chain(is.keys()).filter(|path| was.get(*path) != is.get(*path)).collect();
        for path in paths {
            let (before, after, here) = (was.get(path), is.get(path), present.get(path));
            if here == after {
                continue;
            }
            let change = match (before, after, here) {
                // Nobody changed it here.
                (_, after, here) if here == before => match after {
                    Some(node) => {
                        Some(Change::Put { mode: node.mode, content: self.in_turn(|| self.github.blob(repo, &node.sha)).await? })
                    }
                    None => Some(Change::Delete),
                },
                // Both did, and what landed is the two in one.
                (Some(before), Some(after), Some(_)) => self.both(repo, place, path, before, after).await?,
                _ => None,
            };
            match change {
                Some(Change::Put { mode: Mode::Link, content }) => {
                    links.insert(path.clone(), String::from_utf8_lossy(&content).into_owned());
                    deleted.push(path.clone());
                }
                Some(Change::Put { mode, content }) => {
                    present.insert(path.clone(), Node { mode, sha: crate::landing::object::blob_sha(&content) });
                    files.push((path.clone(), mode == Mode::Executable, content));
                    deleted.push(path.clone());
                    continue;
                }
                Some(Change::Delete) => {
                    deleted.push(path.clone());
                    present.remove(path);
                    continue;
                }
                None => continue,
            }
            present.extend(after.map(|node| (path.clone(), node.clone())));
        }
        if !deleted.is_empty() {
            self.sandboxes.bring(place, &Checkpoint::of(files, links, deleted)).await?;
        }
        Ok(present)
    }

    async fn both(
        &self,
        repo: &RepoRef,
        place: &crate::agent::sandboxes::Workplace,
        path: &str,
        before: &Node,
        after: &Node,
    ) -> Result<Option<Change>, Trouble> {
        let Some(ours) = self.sandboxes.content(place, path).await? else { return Ok(None) };
        let (was, is) = (self.github.blob(repo, &before.sha).await?, self.github.blob(repo, &after.sha).await?);
        let merged = merge_apart(after.mode, was, ours, is).await;
        Ok(merged.map(|content| Change::Put { mode: after.mode, content }))
    }
}
