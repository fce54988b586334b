//! The workspace as landing needs it: what was checked out there, and going on from another commit once work landed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::save::{Saved, encode};
use super::{Kept, ThreadSandboxes, database, stored, taken_over};
use crate::agent::tools::Sandboxes;
use crate::landing::object::{Mode, Tree};
use crate::landing::survey::{self, Survey};
use crate::sandbox::checkout::{Checkout, OriginError};
use crate::sandbox::checkpoint::Checkpoint;
use crate::sandbox::workspace::{Based, WorkspaceSnapshot};
use crate::sandbox::{Sandbox, SandboxError};

/// The thread's own workspace.
pub struct Workplace {
    /// The sandbox it is in.
    sandbox: Arc<dyn Sandbox>,
    /// What was checked out.
    pub checkout: Checkout,
    base: Arc<WorkspaceSnapshot>,
}

impl ThreadSandboxes {
    /// The thread's own workspace; none when the thread never had one.
    pub async fn workplace(&self) -> Result<Option<Workplace>, SandboxError> {
        let thread = &self.thread;
        if !thread.holder.has_own().await.map_err(database)? {
            return Ok(None);
        }
        let own = thread.open().await?;
        let row = thread.holder.own(&own.name, thread.with.clock.now()).await.map_err(database)?.ok_or_else(taken_over)?;
        let checkout = row.checkout.map(|checkout| checkout.0).unwrap_or_default();
        Ok(Some(Workplace { sandbox: self.own().await?, checkout, base: own.base }))
    }

    /// The archive of a commit, on this machine.
    pub async fn archive(&self, commit: &str) -> Result<PathBuf, OriginError> {
        match &self.thread.with.origin {
            Some(origin) => origin.archive(commit).await,
            None => Err(OriginError::Refused("the conversation has no repository".to_owned())),
        }
    }

    /// What differs in the workspace from `checkout`, the files its commit put there. What the setup command made is nobody's work.
    pub async fn survey(&self, place: &Workplace, checkout: &Tree) -> Result<Survey, SandboxError> {
        let with = &self.thread.with;
        let made: BTreeSet<String> = match place.checkout.setup {
            Some(_) => {
                let now = WorkspaceSnapshot::take(place.sandbox.as_ref(), Some(&place.base), with.clock.now()).await?;
                let untouched = place
                    .base
                    .files()
                    .iter()
                    .filter(|(path, state)| now.files().get(*path).is_some_and(|now| now.untouched(state)));
                untouched.map(|(path, _)| path.clone()).collect()
            }
            None => BTreeSet::new(),
        };
        survey::survey(place.sandbox.as_ref(), checkout, &made, &with.stop).await
    }

    /// What is in a file now; none where that is too large, or no file.
    pub async fn content(&self, place: &Workplace, path: &str) -> Result<Option<Bytes>, SandboxError> {
        const LARGEST: usize = 1 << 20;
        match place.sandbox.read(path, 0, LARGEST).await {
            Ok((content, size)) => Ok((content.len() as u64 == size).then_some(content)),
            Err(error @ (SandboxError::Unavailable(_) | SandboxError::Gone(_))) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Puts changes that others made into the workspace.
    pub async fn bring(&self, place: &Workplace, changes: &Checkpoint) -> Result<(), SandboxError> {
        self.thread.touched();
        match changes.restore(place.sandbox.as_ref(), &self.thread.with.stop).await? {
            0 => Ok(()),
            failed => Err(SandboxError::Unavailable(format!("{failed} files could not be written"))),
        }
    }

    /// The workspace goes on from `commit`, whose checkout would be `tree`; `present` is what is there of it. What is kept for the case that
    /// the sandbox is lost is made anew with it. May be repeated.
    pub async fn rebase(&self, commit: &str, tree: &Tree, present: &Tree) -> Result<(), SandboxError> {
        let thread = &self.thread;
        let own = thread.open().await?;
        let clock = &thread.with.clock;
        let row = thread.holder.own(&own.name, clock.now()).await.map_err(database)?.ok_or_else(taken_over)?;
        let checkout = row.checkout.map(|checkout| checkout.0).unwrap_or_default();
        let checkout = Checkout { commit: Some(commit.to_owned()), ..checkout };
        let mut saved = thread.saving.lock().await;
        let now = Arc::new(WorkspaceSnapshot::take(own.sandbox.as_ref(), Some(&own.beginning), clock.now()).await?);
        let based = tree.iter().map(|(path, node)| {
            let based = match node.mode {
                _ if present.get(path) == Some(node) => Based::Same,
                Mode::Link => Based::Link,
                Mode::File | Mode::Executable | Mode::Submodule => Based::File,
            };
            (path, based)
        });
        let base = own.base.based_on(&now, based);
        let checkpoint = Checkpoint::take(own.sandbox.as_ref(), &base, &now, None).await?;
        let (base_bytes, kept) = (base.to_bytes().map_err(stored)?, encode(checkpoint.clone()).await?);
        if !thread.holder.rebase(&own.name, &checkout, &base_bytes, &kept, clock.now()).await.map_err(database)? {
            return Err(taken_over());
        }
        *saved = Saved::now(own.sandbox.id(), now, checkpoint);
        if let Some(own) = thread.own.lock().await.as_mut() {
            own.base = Arc::new(base);
            own.commit = Some(commit.to_owned());
            own.kept = Kept::Now;
        }
        Ok(())
    }
}
