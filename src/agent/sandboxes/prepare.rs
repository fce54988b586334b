//! Opens the thread's own sandbox: finds it, or makes it and puts into it what belongs there. Every step finds what an earlier,
//! interrupted one did.

use std::sync::Arc;

use super::store::{Ready, Row, State};
use super::{Kept, Own, Thread, database, stored, taken_over, wake_and_find};
use crate::id::RunId;
use crate::reply::inline;
use crate::sandbox::checkout::{self, Checkout};
use crate::sandbox::checkpoint::Checkpoint;
use crate::sandbox::workspace::WorkspaceSnapshot;
use crate::sandbox::{Sandbox, SandboxError, SandboxId, SandboxSpec};

/// How often a sandbox is prepared that goes meanwhile.
const MOST_ATTEMPTS: u32 = 3;

/// How a run finds a workspace that was prepared before.
struct Found<'a> {
    /// Of the row.
    name: &'a str,
    /// Whose beginning is recorded.
    run: Option<RunId>,
    /// Nothing was changed since the checkout.
    clean: bool,
    empty: bool,
}

const REPLACED: &str = "The sandbox of this conversation was lost and replaced by a new one.";

impl Thread {
    /// The thread's own sandbox, opened when this run has not done so yet.
    pub(super) async fn open(&self) -> Result<Own, SandboxError> {
        tokio::select! {
            opened = self.open_anyway() => opened,
            () = self.with.stop.cancelled() => Err(stopped()),
        }
    }

    async fn open_anyway(&self) -> Result<Own, SandboxError> {
        let mut own = self.own.lock().await;
        if let Some(own) = own.as_ref() {
            return Ok(own.clone());
        }
        let mut attempts = 1;
        let opened = loop {
            match Box::pin(self.establish()).await {
                // It went while it was prepared. The row says what the next attempt begins with.
                Err(error @ (SandboxError::Gone(_) | SandboxError::NotFound(_))) if attempts < MOST_ATTEMPTS => {
                    tracing::info!(run.id = %self.with.run, %error, "the sandbox went while it was prepared");
                    attempts += 1;
                }
                opened => break opened?,
            }
        };
        Ok(own.insert(opened).clone())
    }

    async fn establish(&self) -> Result<Own, SandboxError> {
        let now = self.with.clock.now();
        let row = self.holder.own(&self.name(0), now).await.map_err(database)?.ok_or_else(taken_over)?;
        if let (State::Ready, Some(id)) = (row.state, &row.id) {
            match wake_and_find(&self.with, &SandboxId(id.clone())).await {
                Ok(sandbox) => return self.resume(row, sandbox).await,
                Err(SandboxError::NotFound(_)) => {
                    let row = self.lose(row).await?;
                    return self.make(row).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.make(row).await
    }

    /// Records that the sandbox of a row is gone.
    async fn lose(&self, mut row: Row) -> Result<Row, SandboxError> {
        tracing::warn!(run.id = %self.with.run, sandbox.name = row.name, "the sandbox is gone; it is rebuilt");
        let note = lost_note(row.checkpoint_at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()));
        let next = self.name(row.generation + 1);
        if !self.holder.lost(&row.name, &next, self.with.run, &note).await.map_err(database)? {
            return Err(taken_over());
        }
        row.name = next;
        row.id = None;
        row.state = State::Wanted;
        row.generation += 1;
        row.lost_run = Some(self.with.run);
        row.lost_note = Some(note);
        Ok(row)
    }

    /// Goes on with a sandbox that was prepared before.
    async fn resume(&self, row: Row, sandbox: Arc<dyn Sandbox>) -> Result<Own, SandboxError> {
        let mut checkout = row.checkout.map(|checkout| checkout.0).unwrap_or_default();
        let mut base = row.base.as_deref().and_then(WorkspaceSnapshot::from_bytes).unwrap_or_default();
        let known = row.baseline.as_deref().and_then(WorkspaceSnapshot::from_bytes);
        let again = row.baseline_run == Some(self.with.run);
        if let (Some(note), true) = (row.lost_note, row.lost_run == Some(self.with.run)) {
            self.tell(note);
        }
        let now = self.with.clock.now();
        let before = checkout.clone();
        let (mut new_base, mut beginning) = (None, None);
        if !again {
            let mut snapshot = WorkspaceSnapshot::take(sandbox.as_ref(), known.as_ref(), now).await?;
            let found = Found {
                name: &row.name,
                run: row.baseline_run,
                // What is not looked at may have changed.
                clean: checkout.is_interrupted() || (snapshot.is_complete() && snapshot.untouched(&base)),
                empty: snapshot.is_empty(),
            };
            let clean = found.clean;
            if self.renew_checkout(sandbox.as_ref(), &mut checkout, found).await? {
                snapshot = WorkspaceSnapshot::take(sandbox.as_ref(), Some(&snapshot), self.with.clock.now()).await?;
                if clean {
                    base = snapshot.outline();
                    new_base = Some(base.to_bytes().map_err(stored)?);
                }
            }
            beginning = Some(snapshot);
        }
        self.describe(&checkout);
        let unchanged = matches!((&beginning, &known), (Some(now), Some(known)) if now.same_as(known));
        let unchanged_since = known.as_ref().filter(|_| unchanged).map(WorkspaceSnapshot::taken_at);
        let kept = Kept::of(row.checkpoint_at, row.used_at, unchanged_since);
        let baseline = match (&beginning, &known) {
            (Some(now), Some(known)) if now.same_as(known) => None,
            (Some(now), _) => Some(now.to_bytes().map_err(stored)?),
            (None, _) => None,
        };
        if !again {
            let ready = Ready {
                id: &sandbox.id().0,
                checkout: (checkout != before).then_some(&checkout),
                snapshot: checkout.snapshot.as_deref(),
                base: new_base.as_deref(),
                baseline: baseline.as_deref(),
                run: Some(self.with.run),
                now,
            };
            if !self.holder.ready(&row.name, ready).await.map_err(database)? {
                return Err(taken_over());
            }
        }
        self.holder.remember_beginning(&row.name, self.with.run, now).await.map_err(database)?;
        Ok(Own {
            sandbox,
            name: row.name,
            generation: row.generation,
            base: Arc::new(base),
            beginning: Arc::new(beginning.or(known).unwrap_or_default()),
            commit: checkout.commit,
            kept,
            rebuilt: 0,
        })
    }

    /// Brings an earlier checkout up to date: one that failed before, a pull request that moved on, a setup that failed. What the agent
    /// changed (the workspace is then not clean) is never replaced. True when something in the workspace is another now.
    async fn renew_checkout(
        &self,
        sandbox: &dyn Sandbox,
        checkout: &mut Checkout,
        found: Found<'_>,
    ) -> Result<bool, SandboxError> {
        let Some(origin) = &self.with.origin else { return Ok(false) };
        let interrupted = checkout.is_interrupted();
        let other = origin.linked().is_some_and(|linked| checkout.is_of_another(linked));
        let stale = interrupted || other || (checkout.again && found.empty) || (origin.moves() && checkout.commit.is_some());
        let wanted = match stale {
            true => origin.wanted().await.map(Checkout::of),
            false => return self.set_up(sandbox, checkout).await,
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            // What is half there cannot be left as it is.
            Err(_) if interrupted => Checkout { again: false, set_up: false, ..checkout.clone() },
            Err(_) => return self.set_up(sandbox, checkout).await,
        };
        let moved = interrupted || wanted.commit != checkout.commit;
        if moved && found.clean {
            self.begin_again(sandbox, &wanted, &found).await?;
            *checkout = wanted;
            checkout::unpack(sandbox, origin.as_ref(), checkout, &self.with.stop).await?;
            self.show_checkout(checkout);
        } else if let (true, Some(linked)) = (other, origin.linked()) {
            self.tell(format!(
                "The conversation is linked to {linked} now. The workspace stays as it is, without that repository, because there is work in \
                 it: what is about {linked} needs another conversation."
            ));
        } else if let (true, Some(newer)) = (moved, &wanted.commit) {
            self.tell(format!(
                "The request speaks of commit {newer}. The workspace stays at the older commit below, because it has changes, or more \
                 files than are looked at."
            ));
        }
        let set_up = self.set_up(sandbox, checkout).await?;
        Ok((moved && found.clean) || set_up)
    }

    /// Empties the workspace for another checkout. That is recorded first: whoever finds half of it does not take it for work.
    async fn begin_again(&self, sandbox: &dyn Sandbox, wanted: &Checkout, found: &Found<'_>) -> Result<(), SandboxError> {
        let ready = Ready {
            id: &sandbox.id().0,
            checkout: Some(&wanted.clone().interrupted()),
            snapshot: wanted.snapshot.as_deref(),
            base: None,
            baseline: None,
            run: found.run,
            now: self.with.clock.now(),
        };
        if !self.holder.ready(found.name, ready).await.map_err(database)? {
            return Err(taken_over());
        }
        checkout::empty(sandbox).await
    }

    /// Makes the sandbox of a row and puts into it what belongs there.
    async fn make(&self, mut row: Row) -> Result<Own, SandboxError> {
        let mut checkout = match row.checkout.take().map(|checkout| checkout.0) {
            Some(checkout) if !checkout.again => Checkout { set_up: false, ..checkout },
            Some(_) | None => self.wanted().await,
        };
        let sandbox = self.make_empty(&mut row, &checkout).await?;
        if let Some(origin) = &self.with.origin {
            // What is missing is said anew.
            checkout::unpack(sandbox.as_ref(), origin.as_ref(), &mut checkout, &self.with.stop).await?;
        }
        self.show_checkout(&checkout);
        self.set_up(sandbox.as_ref(), &mut checkout).await?;
        let now = self.with.clock.now();
        let fresh = WorkspaceSnapshot::take(sandbox.as_ref(), None, now).await?;
        let base = fresh.outline();
        let begun = self.restore(sandbox.as_ref(), &row, fresh).await?;
        self.describe(&checkout);
        let (base_bytes, baseline) = (base.to_bytes().map_err(stored)?, begun.to_bytes().map_err(stored)?);
        let ready = Ready {
            id: &sandbox.id().0,
            checkout: Some(&checkout),
            snapshot: checkout.snapshot.as_deref(),
            base: Some(&base_bytes),
            baseline: Some(&baseline),
            run: Some(self.with.run),
            now,
        };
        if !self.holder.ready(&row.name, ready).await.map_err(database)? {
            return Err(taken_over());
        }
        self.holder.remember_beginning(&row.name, self.with.run, now).await.map_err(database)?;
        Ok(Own {
            sandbox,
            name: row.name,
            generation: row.generation,
            base: Arc::new(base),
            beginning: Arc::new(begun),
            commit: checkout.commit,
            kept: if row.checkpoint_at.is_some() { Kept::Now } else { Kept::Never },
            rebuilt: 0,
        })
    }

    /// What the workspace of a new thread should hold.
    async fn wanted(&self) -> Checkout {
        let Some(origin) = &self.with.origin else { return Checkout::default() };
        match origin.wanted().await {
            Ok(wanted) => Checkout::of(wanted),
            Err(error) => {
                tracing::warn!(run.id = %self.with.run, %error, "the workspace begins without the repository");
                Checkout::failed(&error)
            }
        }
    }

    /// A warm one for a thread that never had any, or one made under the row's name.
    async fn make_empty(&self, row: &mut Row, checkout: &Checkout) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let given = SandboxSpec { snapshot: checkout.snapshot.clone(), ..SandboxSpec::default() };
        if self.is_warm_enough() && row.state == State::Wanted && row.id.is_none() && row.generation == 0 {
            let claimed = self.holder.claim_warm(given.snapshot.as_deref(), self.with.clock.now()).await.map_err(database)?;
            if let Some((name, id)) = claimed {
                row.name = name;
                row.id = Some(id);
            }
        }
        if let (State::Wanted, Some(id)) = (row.state, row.id.clone()) {
            let id = SandboxId(id);
            let adopted = match self.with.provider.wake(&id).await {
                Ok(()) => self.with.provider.adopt(&id, self.spec(row.instance, row.name.clone(), given.clone())).await,
                Err(error) => Err(error),
            };
            match adopted {
                Err(SandboxError::NotFound(_)) => row.id = None,
                adopted => return adopted,
            }
        }
        self.with.provider.create(self.spec(row.instance, row.name.clone(), given)).await
    }

    /// Whether one that is held ready will do: those were made with all that the provider gives.
    fn is_warm_enough(&self) -> bool {
        self.with.warm && !self.with.apart && self.with.network.is_none()
    }

    /// Puts the work of the last checkpoint over a fresh workspace. Returns the workspace as it was when the run began.
    async fn restore(
        &self,
        sandbox: &dyn Sandbox,
        row: &Row,
        fresh: WorkspaceSnapshot,
    ) -> Result<WorkspaceSnapshot, SandboxError> {
        let checkpoint = match row.checkpoint_at {
            Some(_) => self.holder.last_checkpoint(&row.name).await.map_err(database)?,
            None => None,
        };
        let lost = row.lost_run == Some(self.with.run);
        let mut workspace = fresh;
        match checkpoint.as_deref().map(Checkpoint::from_bytes) {
            Some(Some(checkpoint)) => {
                let failed = checkpoint.restore(sandbox, &self.with.stop).await?;
                let now = self.with.clock.now();
                workspace = WorkspaceSnapshot::take(sandbox, Some(&workspace), now).await?;
                self.say_restored(row, &checkpoint, failed);
            }
            Some(None) => {
                self.tell(format!("{REPLACED} Its last checkpoint cannot be read, so earlier work is lost."));
                self.show("The sandbox was replaced; earlier work is lost", false);
            }
            None if lost || row.state == State::Gone => {
                self.tell(row.lost_note.clone().unwrap_or_else(|| lost_note(None)));
                self.show("The sandbox was lost and replaced by a new one", false);
            }
            None => {}
        }
        // Lost in the middle of a run: that began as it was recorded then.
        let begun = row.baseline.as_deref().filter(|_| row.baseline_run == Some(self.with.run));
        match begun.and_then(WorkspaceSnapshot::from_bytes) {
            Some(mut begun) => {
                begun.moved_to(&workspace);
                Ok(begun)
            }
            None => Ok(workspace),
        }
    }

    fn say_restored(&self, row: &Row, checkpoint: &Checkpoint, failed: usize) {
        let note = row.lost_note.clone().filter(|_| row.lost_run == Some(self.with.run));
        let at = row.checkpoint_at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string());
        let mut told = note.unwrap_or_else(|| lost_note(at));
        told.push_str(&format!(" {} restored.", inline::counted((checkpoint.len() - failed) as u64, "file")));
        if failed > 0 {
            let failed = inline::counted(failed as u64, "file");
            told.push_str(&format!(" {failed} could not be written, because something else stands there."));
        }
        if checkpoint.left_out() > 0 {
            let missing = inline::counted(checkpoint.left_out() as u64, "changed file");
            told.push_str(&format!(" {missing} (large ones) could not be kept and must be made again."));
        }
        self.tell(told);
        self.show("The sandbox was replaced; its files were restored", true);
    }

    /// Runs the setup command when it has not succeeded here yet. True when it ran.
    async fn set_up(&self, sandbox: &dyn Sandbox, checkout: &mut Checkout) -> Result<bool, SandboxError> {
        let Some(command) = checkout.setup.clone().filter(|_| !checkout.set_up) else { return Ok(false) };
        let done = checkout::set_up(sandbox, &command, &self.with.stop).await?;
        checkout.set_up = done.ok;
        self.tell(done.told);
        self.show(done.shown, done.ok);
        Ok(true)
    }

    fn show_checkout(&self, checkout: &Checkout) {
        if let Some(line) = checkout.shown() {
            self.show(line, true);
        } else if checkout.repository.is_none() && !checkout.notes.is_empty() {
            self.show("The repository is not in the workspace", false);
        }
    }

    /// What is in the workspace: said once in each run.
    fn describe(&self, checkout: &Checkout) {
        if let Some(told) = checkout.told() {
            self.tell(told);
        }
    }

    /// The sandbox of `own` is provably gone: makes the next one.
    pub(super) async fn rebuild(&self, own: &Own) -> Result<Own, SandboxError> {
        let now = self.with.clock.now();
        let row = self.holder.own(&self.name(own.generation), now).await.map_err(database)?.ok_or_else(taken_over)?;
        let row = self.lose(row).await?;
        let made = self.make(row).await?;
        Ok(Own { rebuilt: own.rebuilt + 1, ..made })
    }
}

fn lost_note(checkpoint: Option<String>) -> String {
    match checkpoint {
        Some(at) => format!(
            "{REPLACED} Files were restored from the checkpoint of {at}; what was changed after it, processes, /tmp and commits made in \
             the sandbox are gone."
        ),
        None => format!("{REPLACED} There was no checkpoint: what was made in it is gone."),
    }
}

pub(super) fn stopped() -> SandboxError {
    SandboxError::Unavailable("the run was stopped".to_owned())
}
