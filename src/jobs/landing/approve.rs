//! Changes that need an approval: asked for with all that would land, and landed exactly as they were shown.

use super::trouble::Trouble;
use super::write::Both;
use super::{GithubLander, Outcome, Work, writes_for};
use crate::agent::tools::{Attachment, Proposal, ToolOutput};
use crate::agent::{Powers, Task};
use crate::approval::store::{self as approvals, Ask};
use crate::approval::{Continues, Covers, Kind, OPEN_FOR, State};
use crate::landing::object::Changes;
use crate::landing::survey::LeftOut;
use crate::landing::{Pending, store};
use crate::reply::{self, inline};

/// What is said about changes that wait, and what goes with it.
#[derive(Default)]
pub(super) struct Asked {
    pub notes: Vec<String>,
    pub attachments: Vec<Attachment>,
}

impl GithubLander {
    /// Keeps what needs an approval and asks for it; what waited before gives way. It is shown, and can be approved, once the run's answer
    /// is posted.
    pub(super) async fn ask_approval(&self, base: &str, waits: Changes, left_out: &mut Vec<LeftOut>) -> Result<Asked, Trouble> {
        let (pool, thread) = (&self.services.pool, self.writer.thread);
        if waits.is_empty() {
            approvals::give_way(pool, thread, Kind::Workflows, self.services.clock.now()).await?;
            return Ok(Asked::default());
        }
        let digest = crate::landing::plan::digest(base, &waits);
        let paths: Vec<String> = waits.keys().cloned().collect();
        let why = "it decides what runs here or who must agree, so it needs an approval".to_owned();
        left_out.extend(paths.iter().map(|path| LeftOut { path: path.clone(), why: why.clone() }));
        let counted = inline::counted(waits.len() as u64, "file");
        let (patch, missing) = self.patch_of(base, &waits).await?;
        let shown = if missing.is_empty() { reply::landing(base, &digest, &paths, &patch) } else { None };
        let (Some(shown), Some(changes)) = (shown, store::pack(&waits)) else {
            approvals::give_way(pool, thread, Kind::Workflows, self.services.clock.now()).await?;
            let note = format!(
                "{counted} that would need the approval of somebody with admin or maintain permission did not land, and cannot be approved \
                 here: it is more than can be shown whole. As far as it is text it is attached, so that a person can commit it."
            );
            return Ok(Asked { notes: vec![note], attachments: super::offer::attachment("needs-approval.patch", patch) });
        };
        let pending =
            Pending { digest: digest.clone(), run: self.run, base: base.to_owned(), paths, changes, is_approved: false };
        self.writer.keep(&pending, self.services.clock.now()).await?;
        self.ask_for(&digest, shown).await?;
        let note = format!(
            "{counted} not landed yet: it takes a yes of somebody with admin or maintain permission. What exactly would land, and \
             how to say yes, stands by itself."
        );
        Ok(Asked { notes: vec![note], attachments: Vec::new() })
    }

    /// Asks, unless exactly this waits already.
    async fn ask_for(&self, digest: &str, shown: String) -> Result<(), Trouble> {
        const MOST: usize = 20;
        let (pool, thread, now) = (&self.services.pool, self.writer.thread, self.services.clock.now());
        let continues = Continues {
            request: self.request.clone(),
            task: Task::LandApproved { digest: digest.to_owned() },
            powers: Powers::Everything,
        };
        let same = |known: &approvals::Approval| known.continues.as_ref().is_some_and(|known| known.task == continues.task);
        if approvals::waiting(pool, thread, now).await?.iter().any(|known| known.kind == Kind::Workflows && same(known)) {
            return Ok(());
        }
        let covers = Covers { text: shown, request: self.request.text.clone(), head: None };
        for again in 0..MOST {
            let key = format!("lands-{}-{digest}-{again}", self.run);
            let ask = Ask {
                key: &key,
                thread,
                kind: Kind::Workflows,
                run: Some(self.run),
                covers: &covers,
                continues: Some(&continues),
                expires_at: now + OPEN_FOR,
            };
            // One that has ended stays ended.
            if approvals::ask(pool, ask, now).await?.state == State::Waiting {
                return Ok(());
            }
        }
        Err(Trouble::Refused("this was asked for often enough in one run".to_owned()))
    }

    /// Lands what was approved, as it was when it was shown, whatever the workspace holds now.
    pub(super) async fn land_pending(&self, digest: &str) -> Result<ToolOutput, Trouble> {
        let _one = self.busy.lock().await;
        self.settle().await?;
        let approval = approvals::of_run(&self.services.pool, self.run).await?;
        let is_this = |continues: &Continues| matches!(&continues.task, Task::LandApproved { digest: known } if known == digest);
        let is_approved = approval.as_ref().is_some_and(|approval| {
            let is_right = approval.kind == Kind::Workflows && approval.state == State::Approved;
            is_right && approval.continues.as_ref().is_some_and(is_this)
        });
        let kept = store::kept(&self.services.pool, self.writer.thread, digest).await?;
        let Some(pending) = kept.filter(|kept| is_approved || kept.is_approved) else {
            return Err(Trouble::Refused("there is nothing here that was approved".to_owned()));
        };
        let changes = store::unpack(&pending.changes)
            .filter(|changes| crate::landing::plan::digest(&pending.base, changes) == pending.digest)
            .ok_or_else(|| Trouble::Refused("what was approved cannot be read any more; ask me for it anew".to_owned()))?;
        let proposal = Proposal {
            title: format!("Change {}", pending.paths.join(", ")),
            body: format!("Approved by {}.", self.requester_name().await?),
            ..Proposal::default()
        };
        let writes = writes_for(&changes);
        let work = Work {
            proposal: &proposal,
            changes,
            base: pending.base,
            left_out: Vec::new(),
            notes: Vec::new(),
            writes,
            both: Both::Conflict,
        };
        match self.land_work(work).await? {
            // It stays approved: `retry` lands it once nothing is in its way.
            Outcome::Offered(output) => Ok(*output),
            Outcome::Landed(landing) => {
                let (landing, notes) = self.carry_new(*landing, None).await?;
                self.writer.approved_landed(digest).await?;
                Ok(self.landed(&landing, notes))
            }
        }
    }
}
