//! Looks at a workspace for what should land: everything that differs from the checkout, with exact bytes, modes and links. Which
//! files are ignored is asked of git in the sandbox; everything else is decided here, and no name from there is trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::object::{Change, Changes, Mode, Node, Tree, blob_sha};
use super::path;
use crate::sandbox::{Exec, Sandbox, SandboxError};

/// Largest file GitHub takes.
pub const LARGEST_FILE: u64 = 100 << 20;
/// Bytes of everything that lands at once.
const MOST_BYTES: u64 = 160 << 20;
/// Files that land at once.
const MOST_FILES: usize = 20_000;
/// What a listing may be long.
const MOST_LISTED: usize = 64 << 20;
/// Asked for at once.
const BATCH: u64 = 4 << 20;

const SCRIPT: &str = include_str!("survey.sh");
const TIME: Duration = Duration::from_secs(180);
const PLACE: &str = "/tmp/.threadbox-landing";
/// Where a review proves its suggestions, in the workspace itself: a copy of all of it, which an interruption may leave there.
const SCRATCH: &str = ".threadbox-review/";
/// A checkout of fewer files may go whole.
const FEW: usize = 10;

/// Something that differs and does not land.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Its path, as it can be shown.
    pub path: String,
    /// Why not.
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What differs from the checkout.
    pub changes: Changes,
    /// What differs and does not land.
    pub left_out: Vec<LeftOut>,
    /// What is there of everything that was looked at.
    pub present: Tree,
}

/// A path as the sandbox tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    kind: u32,
    executable: bool,
    size: u64,
}

/// Compares the workspace with `checkout`. `made` are paths that the setup of the repository made what they are.
///
/// # Errors
/// When the sandbox does not answer, or its listing cannot be had.
pub async fn survey(
    sandbox: &dyn Sandbox,
    checkout: &Tree,
    made: &BTreeSet<String>,
    cancel: &CancellationToken,
) -> Result<Survey, SandboxError> {
    let mut survey = Survey::default();
    let listing = list(sandbox, checkout, cancel).await?;
    let listed = read_listing(&listing, &mut survey.left_out);
    let Sorted { mut differing, doubtful, links } = sort(checkout, &listed, &mut survey);
    let hashed = hashes(sandbox, &doubtful, cancel).await?;
    for (path, sha) in doubtful.iter().zip(hashed) {
        match (sha, checkout.get(path)) {
            (Some(sha), Some(node)) if sha == node.sha => {
                survey.present.insert(path.clone(), Node { mode: mode(listed[path]), sha });
            }
            _ => drop(differing.insert(path.clone())),
        }
    }
    // Their mode may be all that differs.
    let moded = |path: &&String| survey.present.get(*path).is_some_and(|node| checkout.get(*path).is_some_and(|was| was != node));
    let moded: Vec<String> = doubtful.iter().filter(moded).cloned().collect();
    differing.extend(moded);
    differing.retain(|path| !made.contains(path));
    read_links(sandbox, &links, checkout, &mut survey, cancel).await?;
    read_files(sandbox, differing, &listed, &mut survey).await?;
    delete(checkout, &listed, &mut survey);
    if let Some(why) = is_emptied(checkout, &survey.changes) {
        return Err(SandboxError::Invalid(why));
    }
    let Survey { changes, present, .. } = &mut survey;
    present.extend(changes.iter().filter_map(|(path, change)| Some((path.clone(), change.node()?))));
    // What was read may turn out to be what it was.
    changes.retain(|path, change| change.node().as_ref() != checkout.get(path));
    Ok(survey)
}

/// Lists what git would track beside what was checked out, with the directories above that: a link in their place hides what is below.
async fn list(sandbox: &dyn Sandbox, checkout: &Tree, cancel: &CancellationToken) -> Result<Vec<u8>, SandboxError> {
    let mut known: BTreeSet<&str> = checkout.keys().map(String::as_str).collect();
    for path in checkout.keys() {
        known.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    let known: String = known.into_iter().flat_map(|path| [path, "\0"]).collect();
    sandbox.create_directory(PLACE).await?;
    sandbox.write(&format!("{PLACE}/known"), known.as_bytes()).await?;
    let ran = sandbox.exec(Exec::shell(SCRIPT, TIME, 16 << 10), cancel).await?;
    let said = ran.stdout.text();
    if !said.lines().any(|line| line == "listed") {
        let why = ran.stderr.text();
        return Err(SandboxError::Unavailable(format!(
            "the files of the workspace could not be listed ({})",
            why.lines().next().unwrap_or("no reason was given")
        )));
    }
    let listing = whole(sandbox, &format!("{PLACE}/stats")).await?;
    match records(&listing) {
        Some(records) => Ok(records.to_vec()),
        None => Err(SandboxError::Unavailable("the list of the workspace's files is not whole".to_owned())),
    }
}

/// The records of a listing, which ends with one that counts them; none where it does not.
fn records(listing: &[u8]) -> Option<&[u8]> {
    let rest = listing.strip_suffix(b"\0")?;
    let start = rest.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    let counted: usize = std::str::from_utf8(rest[start..].strip_prefix(b"end ")?).ok()?.trim().parse().ok()?;
    let records = &listing[..start];
    (records.iter().filter(|byte| **byte == 0).count() == counted).then_some(records)
}

/// Why nothing lands when all but nothing of the checkout is gone, and nothing like as much came in its place.
fn is_emptied(checkout: &Tree, changes: &Changes) -> Option<String> {
    let gone = changes.values().filter(|change| **change == Change::Delete).count();
    let new = changes.iter().filter(|(path, change)| **change != Change::Delete && !checkout.contains_key(*path)).count();
    let is_emptied = checkout.len() >= FEW && gone * 20 > checkout.len() * 19 && new * 2 < gone;
    is_emptied.then(|| {
        format!(
            "{gone} of the {} files of the checkout are not in the workspace any more: that looks like an accident, so nothing of it \
             lands. Put them back, or remove them in a commit of your own",
            checkout.len()
        )
    })
}

/// Reads a file of ours whole.
async fn whole(sandbox: &dyn Sandbox, path: &str) -> Result<Vec<u8>, SandboxError> {
    let mut bytes = Vec::new();
    loop {
        let (piece, size) = sandbox.read(path, bytes.len() as u64, BATCH as usize).await?;
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 >= size || piece.is_empty() {
            return Ok(bytes);
        }
        if bytes.len() > MOST_LISTED {
            return Err(SandboxError::Invalid("the workspace has more files than can be looked at".to_owned()));
        }
    }
}

/// `mode size name`, each ended by a NUL.
fn read_listing(bytes: &[u8], left_out: &mut Vec<LeftOut>) -> BTreeMap<String, Listed> {
    let mut listed = BTreeMap::new();
    for entry in bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let mut parts = entry.splitn(3, |byte| *byte == b' ');
        let number = |part: Option<&[u8]>, radix| u64::from_str_radix(std::str::from_utf8(part?).ok()?, radix).ok();
        let (Some(mode), Some(size)) = (number(parts.next(), 16), number(parts.next(), 10)) else { continue };
        let (mode, name) = (u32::try_from(mode).unwrap_or_default(), parts.next().unwrap_or_default());
        match std::str::from_utf8(name) {
            Ok(name) => {
                let state = Listed { kind: mode & libc::S_IFMT, executable: mode & 0o111 != 0, size };
                listed.insert(name.to_owned(), state);
            }
            Err(_) => leave(left_out, &String::from_utf8_lossy(name), "its name is not UTF-8"),
        }
    }
    listed
}

fn leave(left_out: &mut Vec<LeftOut>, path: &str, why: &str) {
    left_out.push(LeftOut { path: path.escape_debug().to_string(), why: why.to_owned() });
}

fn mode(listed: Listed) -> Mode {
    if listed.executable { Mode::Executable } else { Mode::File }
}

/// What is to be looked at.
#[derive(Debug, Default)]
struct Sorted {
    /// Certainly different: new, or of another size.
    differing: BTreeSet<String>,
    /// Perhaps the same.
    doubtful: Vec<String>,
    links: Vec<String>,
}

fn sort(checkout: &Tree, listed: &BTreeMap<String, Listed>, survey: &mut Survey) -> Sorted {
    let mut sorted = Sorted::default();
    let kept: BTreeSet<&str> = checkout.keys().filter_map(|path| path::artefacts(path)).collect();
    for (path, state) in listed {
        let known = checkout.get(path);
        if known.is_none() && path.starts_with(SCRATCH) {
            continue;
        }
        if hidden(path, listed) || (known.is_none() && path::artefacts(path).is_some_and(|made| !kept.contains(made))) {
            continue;
        }
        if state.kind == libc::S_IFDIR {
            if path.ends_with('/') {
                leave(&mut survey.left_out, path, "it is a git repository of its own");
            }
            continue;
        }
        if let Some(why) = path::refusal(path) {
            leave(&mut survey.left_out, path, why);
            continue;
        }
        match state.kind {
            libc::S_IFLNK => sorted.links.push(path.clone()),
            libc::S_IFREG if known.is_some_and(|known| known.mode != Mode::Link) => sorted.doubtful.push(path.clone()),
            libc::S_IFREG => drop(sorted.differing.insert(path.clone())),
            _ => leave(&mut survey.left_out, path, "it is neither a file nor a link"),
        }
    }
    sorted
}

/// True when something above it is no directory: what is seen there lies elsewhere.
fn hidden(path: &str, listed: &BTreeMap<String, Listed>) -> bool {
    let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
    above.any(|above| listed.get(above).is_some_and(|state| state.kind != libc::S_IFDIR))
}

/// The names of contents, as the sandbox computes them; none where it does not tell. What it tells wrongly hurts itself alone.
async fn hashes(
    sandbox: &dyn Sandbox,
    paths: &[String],
    cancel: &CancellationToken,
) -> Result<Vec<Option<String>>, SandboxError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let script = format!(
        "GIT_DIR={PLACE}/git GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null xargs -0 -r git hash-object --no-filters -- <{PLACE}/list >{PLACE}/hashes"
    );
    let told = on_paths(sandbox, paths, &script, cancel).await?;
    let told = if told { whole(sandbox, &format!("{PLACE}/hashes")).await.unwrap_or_default() } else { Vec::new() };
    let lines: Vec<&str> = std::str::from_utf8(&told).unwrap_or_default().lines().collect();
    // One that is missing moves all the others.
    if lines.len() != paths.len() {
        return Ok(vec![None; paths.len()]);
    }
    Ok(lines.into_iter().map(|line| Some(line.to_owned())).collect())
}

async fn on_paths(
    sandbox: &dyn Sandbox,
    paths: &[String],
    script: &str,
    cancel: &CancellationToken,
) -> Result<bool, SandboxError> {
    let list: String = paths.iter().flat_map(|path| [path.as_str(), "\0"]).collect();
    sandbox.write(&format!("{PLACE}/list"), list.as_bytes()).await?;
    Ok(sandbox.exec(Exec::shell(script, TIME, 4 << 10), cancel).await?.exit_code == 0)
}

async fn read_links(
    sandbox: &dyn Sandbox,
    links: &[String],
    checkout: &Tree,
    survey: &mut Survey,
    cancel: &CancellationToken,
) -> Result<(), SandboxError> {
    if links.is_empty() {
        return Ok(());
    }
    let script = format!("xargs -0 -r readlink -z -- <{PLACE}/list >{PLACE}/targets");
    on_paths(sandbox, links, &script, cancel).await?;
    let told = whole(sandbox, &format!("{PLACE}/targets")).await?;
    let mut targets: Vec<&[u8]> = told.split(|byte| *byte == 0).collect();
    targets.pop();
    if targets.len() != links.len() {
        return Err(SandboxError::Unavailable("the links of the workspace changed while they were read".to_owned()));
    }
    for (path, target) in links.iter().zip(targets) {
        let node = Node { mode: Mode::Link, sha: blob_sha(target) };
        if checkout.get(path) == Some(&node) {
            survey.present.insert(path.clone(), node);
        } else {
            survey.changes.insert(path.clone(), Change::Put { mode: Mode::Link, content: Bytes::copy_from_slice(target) });
        }
    }
    Ok(())
}

/// Reads what differs, small files first, up to the ceilings.
async fn read_files(
    sandbox: &dyn Sandbox,
    differing: BTreeSet<String>,
    listed: &BTreeMap<String, Listed>,
    survey: &mut Survey,
) -> Result<(), SandboxError> {
    let mut sized: Vec<(u64, String)> = differing.into_iter().map(|path| (listed[&path].size, path)).collect();
    sized.sort();
    let (mut total, mut batches): (u64, Vec<Vec<String>>) = (0, Vec::new());
    let mut filled = u64::MAX;
    for (count, (size, path)) in sized.into_iter().enumerate() {
        if size > LARGEST_FILE {
            leave(&mut survey.left_out, &path, "it is larger than the 100 MB GitHub takes");
            continue;
        }
        if count >= MOST_FILES || total + size > MOST_BYTES {
            leave(&mut survey.left_out, &path, "there is more than lands at once");
            continue;
        }
        total += size;
        if filled.saturating_add(size) > BATCH {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += size;
        batches.last_mut().expect("one was pushed for the first").push(path);
    }
    for paths in batches {
        let limit = usize::try_from(LARGEST_FILE).unwrap_or(usize::MAX);
        let contents = sandbox.read_many(&paths, limit).await?;
        for (path, content) in paths.into_iter().zip(contents) {
            match content {
                Ok(content) => {
                    survey.present.remove(&path);
                    let mode = mode(listed[&path]);
                    survey.changes.insert(path, Change::Put { mode, content });
                }
                Err(error) => leave(&mut survey.left_out, &path, &format!("it cannot be read ({error})")),
            }
        }
    }
    Ok(())
}

/// What was checked out and is not there any more.
fn delete(checkout: &Tree, listed: &BTreeMap<String, Listed>, survey: &mut Survey) {
    let left: BTreeSet<&str> = survey.left_out.iter().map(|left| left.path.as_str()).collect();
    let there = |path: &String| {
        let state = listed.get(path).filter(|state| state.kind != libc::S_IFDIR);
        state.is_some() && !hidden(path, listed)
    };
    let gone = checkout.keys().filter(|path| !there(path) && !left.contains(path.as_str()));
    let gone: Vec<String> = gone.cloned().collect();
    survey.changes.extend(gone.into_iter().map(|path| (path, Change::Delete)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn listed(text: &str) -> (BTreeMap<String, Listed>, Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let bytes: Vec<u8> = text.bytes().collect();
        (read_listing(&bytes, &mut left_out), left_out)
    }

    fn node(content: &str) -> Node {
        Node { mode: Mode::File, sha: blob_sha(content.as_bytes()) }
    }

    #[test]
    fn a_listing_is_sorted_and_hostile_names_are_left_out() {
        let (listed, _) = listed(
            "81a4 1 a\x0081ed 2 run me\0a1ff 3 link\x0041ed 9 dir\x0041ed 9 nested/\x0081a4 1 ../x\x0081a4 1 target/made\x0011b6 0 pipe\0nonsense\x0081a4 1 a\nb\0",
        );
        let checkout = Tree::from([("a".to_owned(), node("1"))]);
        let mut survey = Survey::default();
        let sorted = sort(&checkout, &listed, &mut survey);
        assert_eq!(sorted.doubtful, ["a"]);
        assert_eq!(sorted.links, ["link"]);
        assert_eq!(sorted.differing.into_iter().collect::<Vec<_>>(), ["run me"]);
        let left: Vec<&str> = survey.left_out.iter().map(|left| left.path.as_str()).collect();
        assert_eq!(left, ["../x", "a\\nb", "nested/", "pipe"]);
    }

    #[test]
    fn a_copy_that_a_review_left_does_not_land() {
        let (listed, _) = listed("81a4 1 .threadbox-review/src/a\x0041ed 9 .threadbox-review/\x0081a4 1 .threadbox-reviews/a\0");
        let mut survey = Survey::default();
        let sorted = sort(&Tree::new(), &listed, &mut survey);
        assert_eq!(sorted.differing.into_iter().collect::<Vec<_>>(), [".threadbox-reviews/a"]);
        assert_eq!(survey.left_out, []);
    }

    #[test]
    fn a_listing_that_ends_early_is_none() {
        assert_eq!(records(b"81a4 1 a\x0081a4 1 b\0end 2\0"), Some(&b"81a4 1 a\x0081a4 1 b\0"[..]));
        assert_eq!(records(b"end 0\0"), Some(&b""[..]));
        for bad in [&b""[..], b"81a4 1 a\0", b"81a4 1 a\0end 2\0", b"81a4 1 a\0end 1", b"81a4 1 end 1\0", b"\0"] {
            assert_eq!(records(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_checkout_that_is_all_but_gone_does_not_land() {
        let checkout: Tree = (0..100).map(|n| (n.to_string(), node("1"))).collect();
        let gone = |count: usize| -> Changes { (0..count).map(|n| (n.to_string(), Change::Delete)).collect() };
        assert!(is_emptied(&checkout, &gone(100)).is_some_and(|why| why.contains("100 of the 100 files")));
        assert_eq!(is_emptied(&checkout, &gone(95)), None);
        let mut moved = gone(100);
        moved.extend((0..60).map(|n| (format!("new/{n}"), Change::Put { mode: Mode::File, content: Bytes::new() })));
        assert_eq!(is_emptied(&checkout, &moved), None, "moved elsewhere");
        let few: Tree = (0..3).map(|n| (n.to_string(), node("1"))).collect();
        assert_eq!(is_emptied(&few, &gone(3)), None);
    }

    /// What the script says in a directory, where `broken` (a program of that name that does this) stands in for the real one.
    fn listing(broken: Option<(&str, &str)>) -> Option<Vec<u8>> {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (work, place, programs) =
            (directory.path().join("work"), directory.path().join("place"), directory.path().join("programs"));
        for made in [&work, &place, &programs] {
            std::fs::create_dir(made).unwrap();
        }
        for name in ["a", "b", "c"] {
            std::fs::write(work.join(name), "x").unwrap();
        }
        std::fs::write(place.join("known"), "a\0b\0gone\0").unwrap();
        if let Some((name, does)) = broken {
            std::fs::write(programs.join(name), format!("#!/bin/sh\n{does}\n")).unwrap();
            std::fs::set_permissions(programs.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let script = SCRIPT.replace(PLACE, place.to_str().unwrap());
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
        let ran = std::process::Command::new("sh").args(["-c", &script]).current_dir(&work).env("PATH", path).output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        said.lines().any(|line| line == "listed").then(|| std::fs::read(place.join("stats")).unwrap())
    }

    #[test]
    fn a_step_that_fails_makes_no_list() {
        let (listed, _) = listed(std::str::from_utf8(records(&listing(None).unwrap()).unwrap()).unwrap());
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        for broken in [
            ("sort", "printf 'a\\0'; exit 1"),
            ("sort", "printf 'a\\0'; kill -9 $$"),
            ("cat", "exit 1"),
            ("xargs", "exit 125"),
            // As on a full disk: the first name comes through.
            ("stat", "printf '81a4 1 a\\0'; echo \"stat: write error: No space left on device\" >&2; exit 1"),
            ("stat", "printf '81a4 1 a\\0'; exit 1"),
        ] {
            assert_eq!(listing(Some(broken)), None, "{broken:?}");
        }
    }

    #[test]
    fn what_lies_behind_a_link_is_gone() {
        let (listed, _) = listed("a1ff 3 dir\x0081a4 1 dir/a\x0041ed 9 b\x0081a4 1 b/c\0");
        let checkout = Tree::from(["dir/a", "b/c", "d"].map(|path| (path.to_owned(), node("1"))));
        let mut survey = Survey::default();
        delete(&checkout, &listed, &mut survey);
        assert_eq!(survey.changes.keys().collect::<Vec<_>>(), ["d", "dir/a"]);
        assert!(hidden("dir/a", &listed) && !hidden("b/c", &listed));
    }

    #[test]
    fn artefacts_land_only_where_the_repository_keeps_them() {
        let (listed, _) = listed("81a4 1 target/new\x0081a4 1 x/target/new\0");
        let checkout = Tree::from([("target/kept".to_owned(), node("1"))]);
        let sorted = sort(&checkout, &listed, &mut Survey::default());
        assert_eq!(sorted.differing.into_iter().collect::<Vec<_>>(), ["target/new"]);
    }

    #[test]
    fn names_that_are_no_text_are_named() {
        let mut left_out = Vec::new();
        assert!(read_listing(b"81a4 1 \xff\0", &mut left_out).is_empty());
        assert_eq!(left_out.len(), 1);
    }
}
