//! `threadbox run`: one file or standard input in a sandbox, without a model.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::output::{Failure, Progress};
use crate::app::{self, Parts};
use crate::sandbox::{Command, Exec, Executed, Killed, Language, Provider, SandboxError, SandboxSpec};
use crate::settings::{Settings, parse_duration};

/// Programs larger than this are not typed by people.
const LARGEST_PROGRAM: u64 = 4 * 1024 * 1024;

/// Bytes kept of each stream.
const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The program; - for standard input
    pub file: PathBuf,
    /// Its language: python, javascript, typescript, shell, rust, go, … [default: from the file's ending, else python]
    #[arg(long)]
    pub language: Option<Language>,
    /// When to give up, for example 90s or 5m
    #[arg(long, value_parser = parse_duration, default_value = "60s")]
    pub timeout: Duration,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Arguments for the program
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// Runs the file and exits as it did.
pub async fn main(args: RunArgs, settings: Settings) -> Outcome {
    let provider = app::sandboxes(&settings, &Parts::real()?)?;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let watch = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let executed = execute(&args, &*provider, &cancel).await;
    watch.abort();
    let executed = executed?;
    if args.json {
        print_json(&executed)?
    } else {
        print_text(&executed, args.timeout)?
    }
    Ok(ExitCode::from(u8::try_from(executed.exit_code).unwrap_or(1)))
}

/// Runs the file in a sandbox of its own, which is gone afterwards however it ended.
async fn execute(args: &RunArgs, provider: &dyn Provider, cancel: &CancellationToken) -> Result<Executed, Failure> {
    let language = args.language.or_else(|| Language::of_file(&args.file)).unwrap_or_default();
    let code = read(&args.file).await?;
    let progress = Progress::spinner("starting the sandbox");
    let sandbox = provider.create(SandboxSpec::default()).await.map_err(refused)?;
    progress.say("running");
    let exec = Exec::new(Command::Code { language, code, argv: args.arguments.clone() }, args.timeout, OUTPUT_LIMIT);
    let executed = sandbox.exec(exec, cancel).await;
    if let Err(error) = provider.remove(sandbox.id()).await {
        tracing::warn!(sandbox.id = %sandbox.id(), %error, "the sandbox could not be removed");
    }
    executed.map_err(refused)
}

fn refused(error: SandboxError) -> Failure {
    let remedy = match &error {
        SandboxError::NoIsolation(_) | SandboxError::Refused(_) => "`threadbox doctor` says what else is missing.",
        SandboxError::NotFound(_) | SandboxError::Invalid(_) => "Nothing was run.",
        SandboxError::Unavailable(_) | SandboxError::Gone(_) => "Try again.",
    };
    Failure::new(format!("The sandbox refused: {error}"), remedy)
}

async fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(
            format!("Cannot read {}: {error}.", file.display()),
            "Give the path of a program, or - for standard input.",
        )
    };
    let mut code = String::new();
    let limit = LARGEST_PROGRAM + 1;
    if file == Path::new("-") {
        tokio::io::stdin().take(limit).read_to_string(&mut code).await.map_err(failed)?;
    } else {
        tokio::fs::File::open(file).await.map_err(failed)?.take(limit).read_to_string(&mut code).await.map_err(failed)?;
    }
    if code.len() as u64 > LARGEST_PROGRAM {
        return Err(Failure::usage(format!("{} is larger than 4 MiB.", file.display()), "Give a program, not data."));
    }
    Ok(code)
}

fn print_text(executed: &Executed, timeout: Duration) -> Result<(), Failure> {
    write_all(std::io::stdout(), &executed.stdout.bytes)?;
    write_all(std::io::stderr(), &executed.stderr.bytes)?;
    if let Some(reason) = executed.killed {
        eprintln!("{}", killed(reason, timeout));
    }
    Ok(())
}

/// A reader that went away, such as `head`, is no failure.
fn write_all(mut stream: impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("Cannot print the output: {error}."), "Check where it is sent to."))
        }
        _ => Ok(()),
    }
}

fn killed(reason: Killed, timeout: Duration) -> String {
    match reason {
        Killed::Timeout => format!("threadbox: ended after {timeout:?}; give more time with --timeout"),
        Killed::Cancelled => "threadbox: stopped".to_owned(),
        Killed::DiskLimit => "threadbox: ended because it wrote more than SANDBOX_DISK_MB".to_owned(),
        Killed::MemoryLimit => "threadbox: ended because it used more than SANDBOX_MEMORY_MB".to_owned(),
        Killed::Lost => "threadbox: ended by a restart of the sandbox".to_owned(),
    }
}

/// What a script reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    exit_code: i32,
    killed: Option<Killed>,
    stdout: String,
    stdout_omitted_bytes: u64,
    stderr: String,
    stderr_omitted_bytes: u64,
    duration_ms: u64,
}

fn report(executed: &Executed) -> Report {
    Report {
        exit_code: executed.exit_code,
        killed: executed.killed,
        stdout: executed.stdout.text(),
        stdout_omitted_bytes: executed.stdout.omitted,
        stderr: executed.stderr.text(),
        stderr_omitted_bytes: executed.stderr.omitted,
        duration_ms: u64::try_from(executed.duration.as_millis()).unwrap_or(u64::MAX),
    }
}

fn print_json(executed: &Executed) -> Result<(), Failure> {
    let mut text = serde_json::to_string(&report(executed)).expect("texts and numbers are always JSON");
    text.push('\n');
    write_all(std::io::stdout(), text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sandbox::Output;

    #[tokio::test]
    async fn what_is_too_large_or_missing_is_wrong_usage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("big.py");
        std::fs::write(&path, vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
        assert!(read(&path).await.unwrap_err().what.ends_with("is larger than 4 MiB."));
        assert_eq!(read(Path::new("/nowhere/a.py")).await.unwrap_err().code, 2);
    }

    #[test]
    fn a_script_reads_one_object() {
        let executed = Executed {
            exit_code: 137,
            killed: Some(Killed::Timeout),
            stdout: Output { bytes: b"42\n".to_vec(), omitted: 0 },
            stderr: Output::default(),
            duration: Duration::from_millis(1500),
        };
        insta::assert_snapshot!(serde_json::to_string(&report(&executed)).unwrap(), @r#"{"exitCode":137,"killed":"timeout","stdout":"42\n","stdoutOmittedBytes":0,"stderr":"","stderrOmittedBytes":0,"durationMs":1500}"#);
    }
}
