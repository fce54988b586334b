//! Changes that need an approval: who may give it, and landing exactly what was approved.

use super::trouble::Trouble;
use super::{GithubLander, Outcome, Work, writes_for};
use crate::agent::Task;
use crate::agent::tools::{Proposal, ToolOutput};
use crate::github::RepoRef;
use crate::id::ThreadId;
use crate::intake::Request;
use crate::jobs::Services;
use crate::landing::store;
use crate::reply::PostError;
use crate::settings::Permission;

/// What an `approve` means for changes that wait for it.
pub(in crate::jobs) enum Approval {
    /// None wait here.
    Nothing,
    /// Some do, but this person may not.
    NotAllowed,
    /// This lands them.
    Lands(Task),
}

/// Whether changes of a thread wait for an approval that this person can give; if so, it is given. It is bound to exactly these changes.
pub(in crate::jobs) async fn approval(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    digest: &str,
) -> Result<Approval, PostError> {
    let pending = store::pending(&services.pool, thread, None).await?.filter(|pending| pending.digest == digest);
    let Some(pending) = pending else { return Ok(Approval::Nothing) };
    let (Some(github), Some((repo, _))) = (&services.github, RepoRef::of(&request.place)) else { return Err(PostError::Off) };
    if github.permission(&repo, &request.author.login).await? < Permission::Maintain {
        return Ok(Approval::NotAllowed);
    }
    let task = Task::LandApproved { digest: pending.digest.clone() };
    match store::approve(&services.pool, thread, &pending.digest, &request.author.login).await? {
        true => Ok(Approval::Lands(task)),
        // Somebody else was faster.
        false => Ok(Approval::Nothing),
    }
}

impl GithubLander {
    /// Lands what was approved, as it was when it was shown, whatever the workspace holds now.
    pub(super) async fn land_pending(&self, digest: &str) -> Result<ToolOutput, Trouble> {
        let _one = self.busy.lock().await;
        self.settle().await?;
        let pending = store::pending(&self.services.pool, self.writer.thread, Some(digest)).await?;
        let Some(pending) = pending else {
            return Err(Trouble::Refused("there is nothing here that was approved".to_owned()));
        };
        let changes = store::unpack(&pending.changes)
            .filter(|changes| crate::landing::plan::digest(&pending.base, changes) == pending.digest)
            .ok_or_else(|| Trouble::Refused("what was approved cannot be read any more; ask me for it anew".to_owned()))?;
        let proposal = Proposal {
            title: format!("Change {}", pending.paths.join(", ")),
            body: format!("Approved by {}.", self.request.author.login),
            ..Proposal::default()
        };
        let writes = writes_for(&changes);
        let work = Work { proposal: &proposal, changes, base: pending.base, left_out: Vec::new(), notes: Vec::new(), writes };
        let output = match self.land_work(work).await? {
            Outcome::Offered(output) => *output,
            Outcome::Landed(landing) => {
                let landing = self.carry(*landing, None).await?;
                self.landed(&landing, Vec::new())
            }
        };
        self.writer.approved_landed(digest).await?;
        Ok(output)
    }
}
