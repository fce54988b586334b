//! Programs that run in the background, of all sandboxes of this service: their names, their number, and the network they share.
//!
//! The registry owns them: they end when it is closed. Names are also kept in a file beside each sandbox, so that after a restart
//! of the service a program is known to be lost, not unknown.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::{Killed, Offsets, ProcessReport, ProcessState, SandboxError, SandboxId};
use super::process::{End, Process};
use super::shared_network::Network;

/// How many there may be. What has ended is forgotten, oldest first, when its place is needed.
#[derive(Clone, Copy, Debug)]
struct Most {
    /// That live in one sandbox.
    living_here: usize,
    /// That live in all sandboxes.
    living: usize,
    /// Whose output is kept.
    kept: usize,
    /// Names of one sandbox that are remembered.
    names: usize,
}

const MOST: Most = Most { living_here: 8, living: 64, kept: 128, names: 32 };

/// Exit status of a program that was killed.
const BY_KILL: i32 = 128 + 9;

/// Characters of a name.
const LONGEST_NAME: usize = 64;

/// Where the names of a sandbox are remembered, beside its record.
const FILE: &str = "processes.json";

/// Every program in the background.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// In the order in which they were started.
    known: Mutex<Vec<Entry>>,
    /// What the living programs of a sandbox share; each of them holds it.
    networks: Mutex<HashMap<SandboxId, Weak<Network>>>,
    /// One at a time changes the files.
    files: Mutex<()>,
    tasks: TaskTracker,
    closed: CancellationToken,
}

/// Also when the work is dropped or panics, nobody waits for it for ever.
struct Over(Arc<Process>);

impl Drop for Over {
    fn drop(&mut self) {
        if self.0.end().is_none() {
            self.0.ended(BY_KILL, Some(Killed::Cancelled));
        }
        self.0.over.cancel();
    }
}

#[derive(Debug)]
struct Entry {
    sandbox: SandboxId,
    name: String,
    process: Arc<Process>,
}

/// What is remembered in the file: how a program ended; nothing while it lives.
type Names = BTreeMap<String, Option<End>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// Takes the place of a new program under this name. It counts as living until it has ended or is released.
    pub(super) fn reserve(&self, sandbox: &SandboxId, name: &str) -> Result<Arc<Process>, SandboxError> {
        check_name(name)?;
        let mut known = locked(&self.known);
        if self.closed.is_cancelled() {
            return Err(SandboxError::Unavailable("the service is shutting down".to_owned()));
        }
        reserve(&mut known, sandbox, name, MOST)
    }

    /// Runs a program to its end; `work` says how it ended, or else it counts as killed.
    pub(super) fn run(&self, process: Arc<Process>, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            let _over = Over(process);
            work.await;
        });
    }

    /// Gives a place back: the program never began.
    pub(super) fn release(&self, process: &Arc<Process>) {
        locked(&self.known).retain(|entry| !Arc::ptr_eq(&entry.process, process));
    }

    /// A program this service started.
    pub(super) fn find(&self, sandbox: &SandboxId, name: &str) -> Option<Arc<Process>> {
        let known = locked(&self.known);
        let entry = known.iter().rev().find(|entry| entry.sandbox == *sandbox && entry.name == name)?;
        Some(Arc::clone(&entry.process))
    }

    /// The network of a sandbox, while something lives in it.
    pub(super) fn network(&self, sandbox: &SandboxId) -> Option<Arc<Network>> {
        locked(&self.networks).get(sandbox)?.upgrade()
    }

    /// The network of a sandbox, made when there is none. Blocks.
    pub(super) fn network_or(
        &self,
        sandbox: &SandboxId,
        make: impl FnOnce() -> Result<Network, SandboxError>,
    ) -> Result<Arc<Network>, SandboxError> {
        if let Some(network) = self.network(sandbox) {
            return Ok(network);
        }
        let made = Arc::new(make()?);
        let mut networks = locked(&self.networks);
        // Another one may have been quicker; all must share the same.
        if let Some(network) = networks.get(sandbox).and_then(Weak::upgrade) {
            return Ok(network);
        }
        networks.retain(|_, network| network.strong_count() > 0);
        networks.insert(sandbox.clone(), Arc::downgrade(&made));
        Ok(made)
    }

    /// Ends everything of a sandbox and waits until it is gone.
    pub(super) async fn remove(&self, sandbox: &SandboxId) {
        let mine: Vec<_> = {
            let known = locked(&self.known);
            known.iter().filter(|entry| entry.sandbox == *sandbox).map(|entry| Arc::clone(&entry.process)).collect()
        };
        for process in &mine {
            process.kill.cancel();
        }
        for process in &mine {
            process.over.cancelled().await;
        }
        locked(&self.known).retain(|entry| entry.sandbox != *sandbox);
    }

    /// True once everything is being ended.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Ends everything; nothing can be started any more.
    pub(super) fn close(&self) {
        let known = locked(&self.known);
        self.closed.cancel();
        self.tasks.close();
        for entry in known.iter() {
            entry.process.kill.cancel();
        }
    }

    /// Waits until nothing is left after [`Processes::close`].
    pub(super) async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// Writes down how a program is. Blocks.
    pub(super) fn remember(&self, sandbox: &SandboxId, directory: &Path, name: &str, end: Option<End>) -> std::io::Result<()> {
        let _one_at_a_time = locked(&self.files);
        let mut names = read(directory)?;
        names.remove(name);
        while names.len() >= MOST.names {
            let lost = |name: &str| self.find(sandbox, name).is_none_or(|process| process.end().is_some());
            let least = names.iter().find(|(_, end)| end.is_some()).or_else(|| names.iter().find(|(name, _)| lost(name)));
            let Some(least) = least.map(|(name, _)| name.clone()) else { break };
            names.remove(&least);
        }
        names.insert(name.to_owned(), end);
        write(directory, &names)
    }

    /// A program that never started is not remembered. Blocks.
    pub(super) fn forget(&self, directory: &Path, name: &str) -> std::io::Result<()> {
        let _one_at_a_time = locked(&self.files);
        let mut names = read(directory)?;
        names.remove(name);
        write(directory, &names)
    }
}

fn reserve(known: &mut Vec<Entry>, sandbox: &SandboxId, name: &str, most: Most) -> Result<Arc<Process>, SandboxError> {
    let lives = |entry: &&Entry| entry.process.end().is_none();
    if known.iter().filter(lives).any(|entry| entry.sandbox == *sandbox && entry.name == name) {
        return Err(SandboxError::Invalid(format!(
            "a process `{name}` is running already; stop it first, or choose another name"
        )));
    }
    let here: Vec<&str> =
        known.iter().filter(lives).filter(|entry| entry.sandbox == *sandbox).map(|entry| entry.name.as_str()).collect();
    if here.len() >= most.living_here {
        return Err(SandboxError::Invalid(format!(
            "{} processes are running in this sandbox, and there may not be more; stop one of them first: {}",
            here.len(),
            here.join(", ")
        )));
    }
    if known.iter().filter(lives).count() >= most.living {
        return Err(SandboxError::Unavailable(
            "as many background processes as there may be are running in other sandboxes; try again later".to_owned(),
        ));
    }
    known.retain(|entry| entry.sandbox != *sandbox || entry.name != name);
    while known.len() >= most.kept {
        let Some(oldest) = known.iter().position(|entry| entry.process.end().is_some()) else { break };
        known.remove(oldest);
    }
    let process = Arc::new(Process::default());
    known.push(Entry { sandbox: sandbox.clone(), name: name.to_owned(), process: Arc::clone(&process) });
    Ok(process)
}

fn check_name(name: &str) -> Result<(), SandboxError> {
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(SandboxError::Invalid(format!("the name of a process has 1 to {LONGEST_NAME} characters, all of them visible")))
}

/// A program that is known from the file alone.
pub(super) fn remembered(directory: &Path, name: &str, asked: Offsets) -> std::io::Result<Option<ProcessReport>> {
    Ok(read(directory)?.get(name).map(|end| match end {
        Some(end) => end.report(asked),
        None => ProcessReport {
            state: ProcessState::Lost,
            stdout: bytes::Bytes::new(),
            stderr: bytes::Bytes::new(),
            from: asked,
            next: asked,
        },
    }))
}

/// All names of a sandbox, sorted.
pub(super) fn names(directory: &Path) -> std::io::Result<Vec<String>> {
    Ok(read(directory)?.into_keys().collect())
}

fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

fn read(directory: &Path) -> std::io::Result<Names> {
    match std::fs::read(file(directory)) {
        // A file that cannot be read as what it is says nothing about programs; the next change replaces it.
        Ok(json) => Ok(serde_json::from_slice(&json).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Names::new()),
        Err(error) => Err(error),
    }
}

fn write(directory: &Path, names: &Names) -> std::io::Result<()> {
    let path = file(directory);
    let new = path.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec(names)?)?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FEW: Most = Most { living_here: 2, living: 3, kept: 4, names: 4 };

    fn id(name: &str) -> SandboxId {
        SandboxId(name.to_owned())
    }

    #[test]
    fn there_are_only_so_many() {
        let mut known = Vec::new();
        let one = reserve(&mut known, &id("a"), "one", FEW).unwrap();
        assert!(reserve(&mut known, &id("a"), "one", FEW).unwrap_err().to_string().contains("is running already"));
        reserve(&mut known, &id("a"), "two", FEW).unwrap();
        let full = reserve(&mut known, &id("a"), "three", FEW).unwrap_err().to_string();
        assert!(full.contains("stop one of them first: one, two"), "{full}");
        let other = reserve(&mut known, &id("b"), "one", FEW).unwrap();
        assert!(matches!(reserve(&mut known, &id("c"), "one", FEW), Err(SandboxError::Unavailable(_))));
        one.ended(0, None);
        other.ended(0, None);
        reserve(&mut known, &id("a"), "one", FEW).unwrap();
        assert_eq!(known.len(), 3, "what ended was replaced");
    }

    #[test]
    fn what_ended_first_is_forgotten_first() {
        let mut known = Vec::new();
        for name in ["1", "2", "3", "4", "5", "6"] {
            reserve(&mut known, &id("a"), name, FEW).unwrap().ended(0, None);
        }
        let names: Vec<_> = known.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["3", "4", "5", "6"]);
    }

    #[test]
    fn names_are_kept_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::default();
        assert!(names(directory.path()).unwrap().is_empty());
        processes.remember(&id("a"), directory.path(), "web", None).unwrap();
        processes.remember(&id("a"), directory.path(), "job", None).unwrap();
        let end = End { exit_code: 3, killed: None, printed: Offsets { stdout: 5, stderr: 0 } };
        processes.remember(&id("a"), directory.path(), "job", Some(end)).unwrap();
        assert_eq!(names(directory.path()).unwrap(), ["job", "web"]);
        let state = |name| remembered(directory.path(), name, Offsets::default()).unwrap().map(|report| report.state);
        assert_eq!(state("web"), Some(ProcessState::Lost));
        assert_eq!(state("job"), Some(ProcessState::Ended { exit_code: 3, killed: None }));
        assert_eq!(state("other"), None);
        for number in 0..100 {
            processes.remember(&id("a"), directory.path(), &format!("n{number}"), Some(end)).unwrap();
        }
        assert_eq!(names(directory.path()).unwrap().len(), MOST.names);
        assert_eq!(state("web"), Some(ProcessState::Lost), "what ended is forgotten first");
        for number in 0..100 {
            processes.remember(&id("a"), directory.path(), &format!("l{number}"), None).unwrap();
        }
        assert_eq!(names(directory.path()).unwrap().len(), MOST.names);
    }

    #[test]
    fn names_are_visible() {
        for name in ["", "a\nb", "\0", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("web server ä").is_ok());
    }
}
