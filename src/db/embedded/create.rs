//! Makes the cluster: in a directory beside its place first, so that a start that was killed leaves nothing half-made.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::account::Account;
use super::layout::Layout;
use super::search::Binaries;
use super::{DATABASE, Durability, EmbeddedError, SUPERUSER};

/// Generous, because a busy machine with a slow disk needs many times the usual second.
const LIMIT: Duration = Duration::from_secs(180);

/// The major version of the cluster that is there, if there is one.
pub(super) fn version(layout: &Layout) -> Result<Option<u32>, EmbeddedError> {
    let file = layout.data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(EmbeddedError::NotACluster { path: layout.data.clone() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && !layout.data.exists() => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(EmbeddedError::NotACluster { path: layout.data.clone() }),
        Err(source) => Err(EmbeddedError::Files { what: "read", path: file, source }),
    }
}

/// Makes the cluster and its database. The caller holds the start lock.
pub(super) async fn cluster(
    layout: &Layout,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    // Letters beyond ASCII are letters in the first locale. Not every system has it.
    let mut outcome = initdb(layout, binaries, account, durability, "C.UTF-8").await?;
    if !outcome.status.success() {
        outcome = initdb(layout, binaries, account, durability, "C").await?;
    }
    check("initdb", &outcome)?;
    check("postgres --single", &create_database(layout, binaries, account).await?)?;
    fs::rename(&layout.unfinished, &layout.data).and_then(|()| sync_dir(&layout.root)).map_err(|source| EmbeddedError::Files {
        what: "rename",
        path: layout.unfinished.clone(),
        source,
    })
}

async fn initdb(
    layout: &Layout,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
    letters: &str,
) -> Result<Output, EmbeddedError> {
    clear(&layout.unfinished)?;
    let mut command = account.command(&binaries.dir.join("initdb"));
    command.arg("-D").arg(&layout.unfinished).args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-instructions"]);
    command.args(["--locale=C".to_string(), format!("--lc-ctype={letters}")]);
    match durability {
        Durability::Full => {}
        Durability::None => drop(command.arg("--no-sync")),
    }
    run(command, "").await
}

async fn create_database(layout: &Layout, binaries: &Binaries, account: &Account) -> Result<Output, EmbeddedError> {
    let mut command = account.command(&binaries.dir.join("postgres"));
    command.arg("--single").arg("-D").arg(&layout.unfinished).arg("postgres");
    run(command, &format!("CREATE DATABASE {DATABASE};\n")).await
}

async fn run(command: std::process::Command, input: &str) -> Result<Output, EmbeddedError> {
    let program = Path::new(command.get_program()).to_path_buf();
    let fail = |source| EmbeddedError::Files { what: "run", path: program.clone(), source };
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended before it read everything says why in its own words.
        stdin.write_all(input.as_bytes()).await.ok();
    }
    match tokio::time::timeout(LIMIT, child.wait_with_output()).await {
        Ok(output) => output.map_err(fail),
        Err(_) => Err(fail(io::ErrorKind::TimedOut.into())),
    }
}

fn check(step: &'static str, output: &Output) -> Result<(), EmbeddedError> {
    let errors = String::from_utf8_lossy(&output.stderr);
    // `postgres --single` ends with success also when the statement failed.
    if output.status.success() && !errors.contains("ERROR:") {
        return Ok(());
    }
    Err(EmbeddedError::Create { step, tail: super::tail_of(&errors) })
}

fn clear(dir: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::Files { what: "remove", path: dir.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
