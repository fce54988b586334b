//! Files of a machine. Every path is resolved by its text against the workspace; where a link in there leads is not looked at, because
//! the machine itself is the wall and its code could read there anyway.
//!
//! What is written goes to a place of its own first and is then moved, so that readers see the old or the new content. What the
//! toolbox's own calls cannot do in one round trip is done by `files.sh`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::download::{Fetched, deadline};
use super::info::{Described, FILE_TYPE, REGULAR, find_arguments, walked};
use super::machine::DaytonaSandbox;
use super::script::{self, FilesAnswer, MAX_VARIABLE};
use super::toolbox::{Script, Toolbox, Trouble};
use super::{ApiError, Body, Call, Content, ErrorKind, Part, Retry};
use crate::sandbox::paths::{self, TEMPORARY};
use crate::sandbox::{FileInfo, Sandbox, SandboxError, WalkBounds, Walked, walk_by_listing};

/// More entries than this in one directory are refused: nobody reads them, and the code may have made millions.
const MAX_ENTRIES: usize = 20_000;
/// Files that are uploaded at once, and their bytes.
const BATCH: (usize, usize) = (200, 16 << 20);
/// Content that travels with the script instead of being uploaded; encoded it is a third longer.
const INLINE: usize = MAX_VARIABLE / 4 * 3;
/// Time a file script gets beside what the network needs.
const PATIENCE: Duration = Duration::from_secs(20);
/// Least that one answer with many files brings.
const BULK: usize = 8 << 20;

impl Toolbox {
    /// Uploads contents to these absolute paths, with their parents.
    pub(super) async fn upload_bytes(&self, files: &[(String, Bytes)]) -> Result<(), Trouble> {
        let size = files.iter().map(|(_, content)| content.len() as u64).sum();
        let contents = files.iter().map(|(path, content)| (path.as_str(), Content::Bytes(content.clone()))).collect();
        self.upload(contents, size).await
    }

    async fn upload(&self, files: Vec<(&str, Content)>, size: u64) -> Result<(), Trouble> {
        let mut parts = Vec::with_capacity(files.len() * 2);
        for (number, (path, content)) in files.into_iter().enumerate() {
            let text = Content::Bytes(Bytes::copy_from_slice(path.as_bytes()));
            parts.push(Part { name: format!("files[{number}].path"), file_name: None, content: text });
            parts.push(Part { name: format!("files[{number}].file"), file_name: Some(format!("{number}")), content });
        }
        let body = Body::Multipart(parts);
        self.call(|base| {
            Call::post(base, &["files", "bulk-upload"]).body(body.clone()).retry(Retry::Safe).deadline(deadline(size))
        })
        .await
        .map(drop)
    }

    async fn files(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<FilesAnswer, SandboxError> {
        self.run(Script { text: script::FILES, arguments, variables, patience: PATIENCE }, FilesAnswer::parse).await
    }
}

impl DaytonaSandbox {
    /// The absolute path that is meant, as text.
    fn absolute(&self, path: &str) -> Result<String, SandboxError> {
        let absolute = paths::resolve(self.workspace(), path)?;
        // Made of text and separators only.
        Ok(absolute.to_string_lossy().into_owned())
    }

    /// Where a file is written to; neither a directory nor one of the places themselves.
    fn target(&self, path: &str) -> Result<String, SandboxError> {
        let absolute = self.absolute(path)?;
        if path.ends_with('/') || self.is_place(&absolute) {
            return Err(SandboxError::Invalid(format!("{path}: is a directory, not a file name")));
        }
        Ok(absolute)
    }

    fn is_place(&self, absolute: &str) -> bool {
        [self.workspace(), TEMPORARY, "/"].contains(&absolute)
    }

    pub(super) async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<(Bytes, u64), SandboxError> {
        let absolute = self.absolute(path)?;
        if limit > 0 {
            match self.toolbox.download(&absolute, offset, limit).await {
                Ok(Some(piece)) => return Ok((piece.bytes, piece.size)),
                Ok(None) => {}
                Err(Trouble::Api(error)) if error.kind == ErrorKind::Lost => {
                    return self.read_after_silence(path, &absolute, offset, limit).await;
                }
                Err(trouble) => return Err(self.explain(path, &absolute, trouble, Wanted::File).await),
            }
        }
        let info = self.describe(path, &absolute).await?;
        if info.is_dir {
            return Err(is_directory(path));
        }
        Ok((Bytes::new(), info.size))
    }

    /// No answer came: because of the connection, or because what is read never ends, as a pipe nobody writes to.
    async fn read_after_silence(
        &self,
        path: &str,
        absolute: &str,
        offset: u64,
        limit: usize,
    ) -> Result<(Bytes, u64), SandboxError> {
        let info = self.describe(path, absolute).await?;
        if info.mode & FILE_TYPE != REGULAR {
            return Err(SandboxError::Invalid(format!("{path}: is not a regular file")));
        }
        match self.toolbox.download(absolute, offset, limit).await {
            Ok(Some(piece)) => Ok((piece.bytes, piece.size)),
            Ok(None) => Ok((Bytes::new(), info.size)),
            Err(trouble) => Err(self.explain(path, absolute, trouble, Wanted::File).await),
        }
    }

    pub(super) async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), SandboxError> {
        let target = self.target(path)?;
        if content.len() <= INLINE {
            let (stage, data) = (self.stage(), BASE64_STANDARD.encode(content));
            let variables = [("TB_INLINE", "yes"), ("TB_DATA", data.as_str())];
            match self.toolbox.files(&["place", &stage, &target], &variables).await? {
                FilesAnswer::Unsupported => {}
                answer => return placed(answer, &[path]),
            }
        }
        self.upload_and_place(&[(path, target, Bytes::copy_from_slice(content))]).await
    }

    pub(super) async fn write_files(&self, files: &[(String, Bytes)]) -> Result<(), SandboxError> {
        if let [(path, content)] = files {
            return self.write_file(path, content).await;
        }
        let mut batch: Vec<(&str, String, Bytes)> = Vec::new();
        let mut size = 0;
        for (path, content) in files {
            let target = match self.target(path) {
                Ok(target) => target,
                Err(error) => {
                    self.upload_and_place(&batch).await?;
                    return Err(error);
                }
            };
            let is_full = batch.len() == BATCH.0 || size + content.len() > BATCH.1;
            if is_full {
                self.upload_and_place(&batch).await?;
                batch.clear();
                size = 0;
            }
            size += content.len();
            batch.push((path, target, content.clone()));
        }
        self.upload_and_place(&batch).await
    }

    async fn upload_and_place(&self, files: &[(&str, String, Bytes)]) -> Result<(), SandboxError> {
        if files.is_empty() {
            return Ok(());
        }
        let stage = self.stage();
        let staged: Vec<_> =
            files.iter().enumerate().map(|(number, (_, _, content))| (format!("{stage}/{number}"), content.clone())).collect();
        self.toolbox.upload_bytes(&staged).await.map_err(not_uploaded)?;
        self.place(&stage, files.iter().map(|(path, target, _)| (*path, target.as_str())).collect()).await
    }

    async fn place(&self, stage: &str, files: Vec<(&str, &str)>) -> Result<(), SandboxError> {
        let mut arguments = vec!["place", stage];
        arguments.extend(files.iter().map(|(_, target)| *target));
        let answer = self.toolbox.files(&arguments, &[]).await?;
        let given: Vec<_> = files.iter().map(|(path, _)| *path).collect();
        placed(answer, &given)
    }

    pub(super) async fn upload_file(&self, source: &Path, path: &str) -> Result<(), SandboxError> {
        let target = self.target(path)?;
        let unreadable = |error: std::io::Error| SandboxError::Invalid(format!("{} cannot be read: {error}", source.display()));
        let size = tokio::fs::metadata(source).await.map_err(unreadable)?.len();
        let stage = self.stage();
        let staged = format!("{stage}/0");
        self.toolbox.upload(vec![(&staged, Content::File(source.to_owned()))], size).await.map_err(not_uploaded)?;
        self.place(&stage, vec![(path, &target)]).await
    }

    pub(super) async fn read_files(
        &self,
        paths: &[String],
        limit: usize,
    ) -> Result<Vec<Result<Bytes, SandboxError>>, SandboxError> {
        let resolved: Vec<Result<String, SandboxError>> = paths.iter().map(|path| self.absolute(path)).collect();
        let mut pending: BTreeSet<&str> = resolved.iter().filter_map(|path| path.as_deref().ok()).collect();
        let mut found: BTreeMap<String, Fetched> = BTreeMap::new();
        while !pending.is_empty() {
            let wanted: Vec<&str> = pending.iter().copied().take(BATCH.0).collect();
            let answer = self.toolbox.bulk_download(&wanted, limit.max(BULK)).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(Trouble::Api(error)) if matches!(error.kind, ErrorKind::RouteMissing | ErrorKind::Lost) => {
                    // One by one, then.
                    break;
                }
                Err(trouble) => return Err(trouble.into()),
            };
            let before = pending.len();
            for (path, file) in answer {
                pending.remove(path.as_str());
                found.insert(path, file);
            }
            if pending.len() == before {
                break;
            }
        }
        let mut files = Vec::with_capacity(paths.len());
        for (path, absolute) in paths.iter().zip(resolved) {
            files.push(match absolute {
                Err(error) => Err(error),
                Ok(absolute) => match found.get(&absolute) {
                    Some(Fetched::Whole(bytes)) if bytes.len() <= limit => Ok(bytes.clone()),
                    Some(Fetched::Whole(bytes)) => Err(too_big(path, bytes.len() as u64, limit)),
                    Some(Fetched::Part { size, .. }) if *size > limit as u64 => Err(too_big(path, *size, limit)),
                    Some(Fetched::Refused(error)) => Err(self.explain(path, &absolute, error.clone().into(), Wanted::File).await),
                    // The answer ended within it, or an old server left it out.
                    Some(Fetched::Part { .. }) | None => match self.read_file(path, 0, limit).await {
                        Ok((bytes, size)) if size > bytes.len() as u64 => Err(too_big(path, size, limit)),
                        Ok((bytes, _)) => Ok(bytes),
                        Err(error @ (SandboxError::Unavailable(_) | SandboxError::Gone(_))) => return Err(error),
                        Err(error) => Err(error),
                    },
                },
            });
        }
        Ok(files)
    }

    pub(super) async fn list_directory(&self, path: &str) -> Result<Vec<FileInfo>, SandboxError> {
        let absolute = self.absolute(path)?;
        let listed = self
            .toolbox
            .call(|base| {
                Call::get(base, &["files"]).query("path", absolute.as_str()).limit(32 << 20).deadline(Duration::from_secs(60))
            })
            .await;
        let response = match listed {
            Ok(response) => response,
            Err(trouble) => return Err(self.explain(path, &absolute, trouble, Wanted::Directory).await),
        };
        let described: Option<Vec<Described>> = response.json().map_err(Trouble::Api)?;
        let mut infos: Vec<FileInfo> = described.unwrap_or_default().into_iter().map(Into::into).collect();
        if infos.len() > MAX_ENTRIES {
            let text = format!("{path}: has more than {MAX_ENTRIES} entries; use a command such as `ls | head`");
            return Err(SandboxError::Invalid(text));
        }
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    pub(super) async fn walk_directory(&self, path: &str, bounds: WalkBounds) -> Result<Walked, SandboxError> {
        let absolute = self.absolute(path)?;
        let entries = bounds.entries.saturating_add(1).to_string();
        let find = find_arguments(bounds);
        let mut arguments = vec!["walk", &absolute, &entries];
        arguments.extend(find.iter().map(String::as_str));
        let script = Script { text: script::FILES, arguments: &arguments, variables: &[], patience: PATIENCE };
        let read = |text: &str| match between(text) {
            Some(records) => Ok(Ok(walked(records, bounds))),
            None => FilesAnswer::parse(text).map(Err),
        };
        match self.toolbox.run(script, read).await? {
            Ok(walked) => Ok(walked),
            Err(FilesAnswer::Failed { reason, .. }) => Err(refused(path, &reason)),
            Err(FilesAnswer::Unsupported | FilesAnswer::Done) => walk_by_listing(self, path, bounds).await,
        }
    }

    pub(super) async fn file_info(&self, path: &str) -> Result<FileInfo, SandboxError> {
        let absolute = self.absolute(path)?;
        self.describe(path, &absolute).await
    }

    async fn describe(&self, path: &str, absolute: &str) -> Result<FileInfo, SandboxError> {
        let answered = self.toolbox.call(|base| Call::get(base, &["files", "info"]).query("path", absolute)).await;
        match answered {
            Ok(response) => Ok(response.json::<Described>().map_err(Trouble::Api)?.into()),
            Err(Trouble::Api(error)) => Err(of_file(path, error)),
            Err(trouble) => Err(trouble.into()),
        }
    }

    pub(super) async fn delete_file(&self, path: &str) -> Result<(), SandboxError> {
        let absolute = self.absolute(path)?;
        if self.is_place(&absolute) {
            return Err(SandboxError::Invalid(format!("{path}: cannot be deleted itself; delete what is in it")));
        }
        let stage = self.stage();
        placed(self.toolbox.files(&["delete", &absolute, &stage], &[]).await?, &[path])
    }

    pub(super) async fn make_directory(&self, path: &str) -> Result<(), SandboxError> {
        let absolute = self.absolute(path)?;
        match self.toolbox.files(&["directory", &absolute], &[]).await? {
            FilesAnswer::Failed { reason, .. } if reason.contains("File exists") || reason.contains("Not a directory") => {
                Err(SandboxError::Invalid(format!("{path}: a file is in the way; delete it or choose another path")))
            }
            answer => placed(answer, &[path]),
        }
    }

    /// The toolbox often says no more than a status: then what is there says why it failed.
    async fn explain(&self, path: &str, absolute: &str, trouble: Trouble, wanted: Wanted) -> SandboxError {
        let error = match trouble {
            Trouble::Machine(error) => return error,
            Trouble::Api(error) => error,
        };
        let is_about_file = matches!(
            error.kind,
            ErrorKind::Invalid | ErrorKind::Server | ErrorKind::Forbidden | ErrorKind::Conflict | ErrorKind::NotFound
        );
        if !is_about_file {
            return error.into();
        }
        match (self.describe(path, absolute).await, wanted) {
            (Ok(info), Wanted::File) if info.is_dir => is_directory(path),
            (Ok(info), Wanted::Directory) if !info.is_dir => {
                SandboxError::Invalid(format!("{path}: is not a directory; use readFile"))
            }
            (Ok(_), _) => match error.kind {
                // It is there, but cannot be opened.
                ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::Server => denied(path),
                _ => of_file(path, error),
            },
            (Err(other), _) => other,
        }
    }
}

/// What an operation expects at a path.
#[derive(Clone, Copy)]
enum Wanted {
    File,
    Directory,
}

/// The records of a walk, when the answer is whole. A file may be named like the end of an answer: the last one counts.
fn between(text: &str) -> Option<&str> {
    let (_, records) = text.split_once("\n@tb walk\n")?;
    Some(records.rsplit_once("\n@tb end")?.0)
}

fn placed(answer: FilesAnswer, paths: &[&str]) -> Result<(), SandboxError> {
    match answer {
        FilesAnswer::Done => Ok(()),
        FilesAnswer::Failed { number, reason } => Err(refused(paths.get(number).copied().unwrap_or("a file"), &reason)),
        FilesAnswer::Unsupported => {
            Err(SandboxError::Refused("the sandbox lacks basic tools; use another snapshot (DAYTONA_SNAPSHOT)".to_owned()))
        }
    }
}

/// What a tool in the machine said, in our words.
fn refused(path: &str, reason: &str) -> SandboxError {
    let says = |words: &str| reason.contains(words);
    if says("No space left") || says("quota exceeded") {
        return SandboxError::Invalid(format!("{path}: the disk of the sandbox is full; delete files that are not needed"));
    }
    if says("Is a directory") {
        return SandboxError::Invalid(format!("{path}: is a directory"));
    }
    if says("Not a directory") || says("File exists") {
        return SandboxError::Invalid(format!("{path}: a part of this path is not a directory"));
    }
    if says("Permission denied") || says("not permitted") {
        return denied(path);
    }
    if says("No such file") {
        return SandboxError::NotFound(path.to_owned());
    }
    SandboxError::Invalid(format!("{path}: {reason}"))
}

fn of_file(path: &str, error: ApiError) -> SandboxError {
    match error.kind {
        ErrorKind::NotFound => SandboxError::NotFound(path.to_owned()),
        ErrorKind::Forbidden if error.code.as_deref().is_none_or(|code| code.starts_with("FILE_")) => denied(path),
        // Old servers answer all problems of a file so.
        ErrorKind::Invalid | ErrorKind::Server => refused(path, &error.message),
        _ => error.into(),
    }
}

fn not_uploaded(trouble: Trouble) -> SandboxError {
    match trouble {
        Trouble::Api(error) if error.message.contains("no space left") => {
            SandboxError::Invalid("the disk of the sandbox is full; delete files that are not needed".to_owned())
        }
        trouble => trouble.into(),
    }
}

fn denied(path: &str) -> SandboxError {
    SandboxError::Invalid(format!("{path}: permission denied; check its mode with getFileInfo, change it with chmod"))
}

fn is_directory(path: &str) -> SandboxError {
    SandboxError::Invalid(format!("{path}: is a directory; use listFiles"))
}

fn too_big(path: &str, size: u64, limit: usize) -> SandboxError {
    SandboxError::Invalid(format!("{path}: {size} bytes are more than the {limit} that are read"))
}
