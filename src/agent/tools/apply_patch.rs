//! `applyPatch`: a unified diff over several files, all of it or nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::patch::{self, FilePatch};
use super::{Access, ToolContext, ToolOutput, Typed, read_file::is_binary, text};
use crate::sandbox::{Sandbox, SandboxError};

pub(super) struct ApplyPatch;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The unified diff, with paths relative to the workspace.
    patch: String,
}

const MAX_PATCH: usize = 1 << 20;
const MAX_FILE: usize = 4 << 20;
const MAX_FILES: usize = 200;
/// Problems that are told at once.
const MAX_TOLD: usize = 8;

impl Typed for ApplyPatch {
    type Arguments = Arguments;
    const NAME: &'static str = "applyPatch";
    const DESCRIPTION: &'static str = include_str!("apply_patch.md");

    fn access(_: &Arguments) -> Access {
        Access::Writes
    }

    fn label(arguments: &Arguments) -> String {
        match patch::parse(&arguments.patch).as_deref() {
            Ok([file]) => format!("Patching {}", text::short(file.path())),
            Ok(files) => format!("Patching {} files", files.len()),
            Err(_) => "Patching".to_owned(),
        }
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        if arguments.patch.len() > MAX_PATCH {
            return Err(SandboxError::Invalid(format!("the patch is longer than {MAX_PATCH} bytes; apply it in parts")));
        }
        let files =
            patch::parse(&arguments.patch).map_err(|why| SandboxError::Invalid(format!("the patch cannot be read: {why}")))?;
        if files.len() > MAX_FILES {
            return Err(SandboxError::Invalid(format!("the patch has more than {MAX_FILES} files; apply it in parts")));
        }
        let mut plan =
            Plan { sandbox: &*sandbox, before: BTreeMap::new(), after: BTreeMap::new(), told: Vec::new(), notes: Vec::new() };
        let mut problems = Vec::new();
        for file in &files {
            match plan.add(file).await {
                Ok(()) => {}
                Err(Problem::Patch(more)) => problems.extend(more),
                Err(Problem::Sandbox(error)) => return Err(error),
            }
        }
        if !problems.is_empty() {
            let more = problems.len().saturating_sub(MAX_TOLD);
            problems.truncate(MAX_TOLD);
            problems.extend((more > 0).then(|| format!("{more} more problems")));
            return Err(SandboxError::Invalid(format!("Nothing was changed.\n{}", problems.join("\n"))));
        }
        plan.carry_out().await?;
        let mut content = json!({ "success": true, "files": plan.told });
        if !plan.notes.is_empty() {
            content["notes"] = json!(plan.notes);
        }
        let summary = match &files[..] {
            [file] => format!("Patched {}", text::short(file.path())),
            files => format!("Patched {} files", files.len()),
        };
        Ok(ToolOutput::success(content, summary))
    }
}

impl FilePatch {
    /// The path people know it by.
    fn path(&self) -> &str {
        self.new.as_deref().or(self.old.as_deref()).unwrap_or_default()
    }
}

enum Problem {
    /// What is wrong with the patch; the rest is looked at too.
    Patch(Vec<String>),
    /// The sandbox cannot be used.
    Sandbox(SandboxError),
}

fn problem(path: &str, why: impl std::fmt::Display) -> Problem {
    Problem::Patch(vec![format!("{path}: {why}")])
}

/// What the files are to be, before anything is written. Keys are paths relative to the workspace; none is no file.
struct Plan<'a> {
    sandbox: &'a dyn Sandbox,
    before: BTreeMap<String, Option<Bytes>>,
    after: BTreeMap<String, Option<Bytes>>,
    told: Vec<Value>,
    notes: Vec<String>,
}

impl Plan<'_> {
    async fn add(&mut self, file: &FilePatch) -> Result<(), Problem> {
        let old = file.old.as_deref().map(|path| self.inside(path)).transpose()?;
        let new = file.new.as_deref().map(|path| self.inside(path)).transpose()?;
        if file.modes {
            self.notes.push(format!("{}: its mode was not changed; use runCommand with chmod", file.path()));
        }
        let action = match (old, new) {
            (None, Some(new)) => self.create(&new, file).await?,
            (Some(old), None) => self.delete(old, file).await?,
            (Some(old), Some(new)) => self.change(old, new, file).await?,
            (None, None) => return Err(problem(file.path(), "names no file")),
        };
        self.told.push(action);
        Ok(())
    }

    async fn create(&mut self, new: &str, file: &FilePatch) -> Result<Value, Problem> {
        if self.look(new).await?.is_some() {
            return Err(problem(
                new,
                "exists already, but the patch makes it new; give a diff of what is there, or delete it first",
            ));
        }
        let content = patch::new_content(&file.hunks).map_err(|why| problem(new, why))?;
        self.after.insert(new.to_owned(), Some(content.into()));
        Ok(json!({ "path": new, "action": "added" }))
    }

    async fn delete(&mut self, old: String, file: &FilePatch) -> Result<Value, Problem> {
        let content = self.existing(&old).await?;
        if !file.hunks.is_empty() && !self.patched(&old, &content, file)?.is_empty() {
            return Err(problem(&old, "has more in it than the patch deletes; read it again"));
        }
        self.after.insert(old.clone(), None);
        Ok(json!({ "path": old, "action": "deleted" }))
    }

    async fn change(&mut self, old: String, new: String, file: &FilePatch) -> Result<Value, Problem> {
        let content = self.existing(&old).await?;
        let changed = if file.hunks.is_empty() { content } else { self.patched(&old, &content, file)?.into() };
        if old == new {
            self.after.insert(new.clone(), Some(changed));
            return Ok(json!({ "path": new, "action": if file.hunks.is_empty() { "unchanged" } else { "changed" } }));
        }
        if self.look(&new).await?.is_some() {
            return Err(problem(&new, format!("exists already, so {old} cannot be renamed to it")));
        }
        if self.sandbox.info(&old).await.is_ok_and(|info| info.mode & 0o111 != 0) {
            self.notes.push(format!("{new}: is no longer executable; use runCommand with chmod +x"));
        }
        self.after.insert(old.clone(), None);
        self.after.insert(new.clone(), Some(changed));
        Ok(json!({ "path": new, "action": "renamed", "from": old }))
    }

    fn patched(&mut self, path: &str, content: &Bytes, file: &FilePatch) -> Result<String, Problem> {
        let text = match std::str::from_utf8(content) {
            Ok(text) if !is_binary(content) => text,
            Ok(_) | Err(_) => return Err(problem(path, "is not a UTF-8 text file")),
        };
        match patch::apply(text, &file.hunks) {
            Ok(patch::Applied { content, notes }) => {
                self.notes.extend(notes.into_iter().map(|note| format!("{path}: {note}")));
                Ok(content)
            }
            Err(failures) => Err(Problem::Patch(failures.into_iter().map(|failure| format!("{path}: {failure}")).collect())),
        }
    }

    /// A path relative to the workspace; a patch changes nothing else, not even temporary files.
    fn inside(&self, path: &str) -> Result<String, Problem> {
        let absolute = text::absolute(self.sandbox, path);
        let inside = absolute.strip_prefix(self.sandbox.workspace()).and_then(|rest| rest.strip_prefix('/'));
        let outside = || {
            problem(path, format!("is outside the workspace {}; a patch changes only what is in it", self.sandbox.workspace()))
        };
        inside.filter(|path| !path.is_empty()).map(str::to_owned).ok_or_else(outside)
    }

    async fn existing(&mut self, path: &str) -> Result<Bytes, Problem> {
        match self.look(path).await? {
            Some(content) => Ok(content),
            None => {
                let hint = super::nearby::hint(self.sandbox, path).await;
                Err(problem(path, format!("no such file{hint}")))
            }
        }
    }

    /// The file as it is after what was planned so far.
    async fn look(&mut self, path: &str) -> Result<Option<Bytes>, Problem> {
        if let Some(known) = self.after.get(path).or_else(|| self.before.get(path)) {
            return Ok(known.clone());
        }
        let found = match self.sandbox.read(path, 0, MAX_FILE).await {
            Ok((_, size)) if size > MAX_FILE as u64 => {
                return Err(problem(path, format!("{} is too big to patch; use runCommand with sed", text::human_size(size))));
            }
            Ok((content, _)) => Some(content),
            Err(error) if text::is_missing(path, &error) => None,
            Err(SandboxError::Invalid(why)) => return Err(Problem::Patch(vec![why])),
            Err(
                error @ (SandboxError::NotFound(_)
                | SandboxError::Refused(_)
                | SandboxError::Unavailable(_)
                | SandboxError::Gone(_)
                | SandboxError::NoIsolation(_)),
            ) => {
                return Err(Problem::Sandbox(error));
            }
        };
        self.before.insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// Writes, then deletes. What was done is undone when something fails.
    async fn carry_out(&self) -> Result<(), SandboxError> {
        let changes = self.after.iter().filter(|(path, after)| self.before.get(*path) != Some(after));
        let (writes, deletions): (Vec<_>, Vec<_>) = changes.partition(|(_, after)| after.is_some());
        let mut done: Vec<&str> = Vec::new();
        for (path, after) in writes.into_iter().chain(deletions) {
            if let Err(error) = self.put(path, after.as_ref()).await {
                return Err(self.undo(&done, path, error).await);
            }
            done.push(path);
        }
        Ok(())
    }

    async fn put(&self, path: &str, content: Option<&Bytes>) -> Result<(), SandboxError> {
        match content {
            Some(content) => self.sandbox.write(path, content).await,
            None => match self.sandbox.delete(path).await {
                Err(SandboxError::NotFound(_)) => Ok(()),
                deleted => deleted,
            },
        }
    }

    async fn undo(&self, done: &[&str], failed: &str, error: SandboxError) -> SandboxError {
        let mut left = Vec::new();
        for path in done.iter().rev() {
            let before = self.before.get(*path).and_then(Option::as_ref);
            if self.put(path, before).await.is_err() {
                left.push(*path);
            }
        }
        let outcome = if left.is_empty() {
            "Nothing was changed.".to_owned()
        } else {
            format!("What was written before could not be undone; look at {}.", left.join(", "))
        };
        match error {
            SandboxError::Unavailable(why) => SandboxError::Unavailable(format!("{failed}: {why}. {outcome}")),
            SandboxError::Gone(why) => SandboxError::Gone(format!("{failed}: {why}. {outcome}")),
            error @ (SandboxError::NotFound(_)
            | SandboxError::Invalid(_)
            | SandboxError::Refused(_)
            | SandboxError::NoIsolation(_)) => SandboxError::Invalid(format!("{failed}: {error}. {outcome}")),
        }
    }
}
