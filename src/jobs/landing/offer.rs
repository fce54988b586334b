//! What people get where nothing may be pushed: the changes as a patch, with the reason.

use bytes::Bytes;
use serde_json::json;

use super::target::Target;
use super::trouble::Trouble;
use super::{GithubLander, Work};
use crate::agent::RunEvent;
use crate::agent::tools::{Attachment, ToolOutput};
use crate::diffing;
use crate::landing::object::{Change, Changes};
use crate::landing::{manifest, patch};
use crate::reply::{Landed, fence, inline};

/// Bytes of originals that are read to compare with.
pub(super) const MOST_ORIGINALS: usize = 32 << 20;
const NAME: &str = "changes.patch";

impl GithubLander {
    /// The changes as an attachment.
    pub(super) async fn offer(&self, work: &Work<'_>, why: &str) -> Result<ToolOutput, Trouble> {
        let (patch, missing) = self.patch_of(&work.base, &work.changes).await?;
        let mut said = format!("Nothing was pushed. {why}");
        if !patch.is_empty() {
            said.push_str(&format!(
                " The changes are attached as `{NAME}`; `git apply {NAME}` puts them on commit {}.",
                short(&work.base)
            ));
        }
        if !missing.is_empty() {
            said.push_str(&format!(" Not in it, because binary or large: {}.", names(&missing)));
        }
        let mut notes = vec![said.clone()];
        notes.extend(work.notes.iter().cloned());
        let content = json!({ "landed": false, "said": said, "leftOut": work.left_out });
        let mut output = ToolOutput::success(content, "Made a patch instead of pushing");
        output.events.push(RunEvent::Landed { landed: Landed { left_out: work.left_out.clone(), notes, ..Landed::default() } });
        output.attachments.extend(attachment(NAME, patch));
        Ok(output)
    }

    /// Changes as a patch of what a commit put into the workspace, and what is not in it.
    pub(super) async fn patch_of(&self, base: &str, changes: &Changes) -> Result<(String, Vec<String>), Trouble> {
        let archive = self.sandboxes.archive(base).await?;
        let originals = manifest::contents(archive, changes.keys().cloned().collect(), MOST_ORIGINALS).await;
        let originals = originals.map_err(|error| Trouble::Refused(format!("the repository cannot be read: {error}")))?;
        let before: Changes = originals.into_iter().map(|(path, mode, content)| (path, Change::Put { mode, content })).collect();
        let changes = changes.clone();
        Ok(diffing::apart(move || patch::patch(&changes, &before)).await)
    }

    /// Both sides changed these files.
    pub(super) async fn conflicts(&self, work: &Work<'_>, target: &Target, paths: &[String]) -> Result<ToolOutput, Trouble> {
        let why = format!(
            "The branch `{}` moved since the workspace was checked out at {}, and {} changed on both sides: {}. Nothing is lost: the \
             workspace is as it was.",
            target.branch,
            short(&work.base),
            inline::counted(paths.len() as u64, "file was").replace("file wass", "files were"),
            names(paths),
        );
        let mut output = self.offer(work, &why).await?;
        output.summary = "Conflicts with the branch".to_owned();
        Ok(output)
    }
}

/// A text as a file of the answer, when there is any.
pub(super) fn attachment(name: &str, text: String) -> Vec<Attachment> {
    if text.is_empty() {
        return Vec::new();
    }
    vec![Attachment { name: name.to_owned(), media_type: "text/plain".to_owned(), content: Bytes::from(text) }]
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn names(paths: &[String]) -> String {
    const MOST: usize = 10;
    let named: Vec<String> = paths.iter().take(MOST).map(|path| fence::code_span(path)).collect();
    let more = paths.len().saturating_sub(MOST);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}
