//! The command line. This file says what can be typed and dispatches; each command has a file of its own.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or wrong settings; `run` exits as the program it ran.

pub mod demo;
pub mod doctor;
pub mod migrate;
pub mod output;
pub mod replay;
pub mod run;
pub mod serve;
pub mod standin;
pub mod threads;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::{Loaded, Settings, Sources, Warning};
use output::Failure;

/// What a command ends with: the exit code, or what went wrong.
pub type Outcome = Result<ExitCode, Failure>;

#[derive(Debug, Parser)]
#[command(name = "threadbox", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole system on this machine with stand-ins and no accounts
    Demo(DemoArgs),
    /// Run the service; parts without credentials are off and say so
    Serve(ServeArgs),
    /// Check every dependency and permission with a real call
    Doctor(DoctorArgs),
    /// Apply database migrations and exit
    Migrate,
    /// Run one file or standard input in a sandbox, without a model
    Run(run::RunArgs),
    /// Look at what is kept in memory, take it along, forget it
    Threads(threads::ThreadsArgs),
    /// Deliver a stored webhook payload, signed, to a running service
    Replay(replay::ReplayArgs),
    /// Run the Daytona stand-in until it is ended, for checks with other clients
    #[command(hide = true)]
    StandinDaytona,
}

/// What `demo` takes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// Leave it running until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Shut the model down in the middle of the run, to see what people see then; the demo fails
    #[arg(long)]
    pub kill_model: bool,
    /// Where the code runs; daytona is a stand-in of it, which runs it on this machine
    #[arg(long, value_enum, default_value_t = DemoSandbox::Local)]
    pub sandbox: DemoSandbox,
}

/// Where the demo's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DemoSandbox {
    /// The local sandbox.
    Local,
    /// The stand-in of Daytona.
    Daytona,
}

/// What `serve` takes.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The part of the service this process is
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub role: Role,
}

/// The parts of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything in one process.
    All,
    /// Webhooks and HTTP.
    Web,
    /// Runs.
    Worker,
    /// Chat connections.
    Gateway,
}

/// What `doctor` takes.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads the command line, does what it says and returns the exit code. Wrong usage ends the process with code 2, as does asking for
/// help with 0.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => block_on(demo::main(args, demo::settings(load()?.settings))),
        Command::Serve(args) => {
            let Loaded { settings, warnings } = logged()?;
            block_on(serve::main(args, settings, warnings))
        }
        Command::Doctor(args) => {
            let Loaded { settings, warnings } = logged()?;
            block_on(doctor::main(args, settings, warnings))
        }
        Command::Migrate => block_on(migrate::main(settings()?)),
        Command::Run(args) => block_on(run::main(args, settings()?)),
        Command::Threads(args) => block_on(threads::main(args, settings()?)),
        Command::Replay(args) => block_on(replay::main(args)),
        Command::StandinDaytona => block_on(standin::daytona(settings()?)),
    }
}

/// Runs a command on a runtime of its own, from the main thread.
pub fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("Cannot start: {error}."), "Check the limits of processes and open files."))?;
    runtime.block_on(command)
}

/// The settings, with logging started. Warnings about variables go to the log; what is off is left to `serve` and `doctor`.
pub fn settings() -> Result<Settings, Failure> {
    Ok(logged()?.settings)
}

fn logged() -> Result<Loaded, Failure> {
    let loaded = load()?;
    crate::telemetry::init(&loaded.settings.log);
    for warning in &loaded.warnings {
        match warning {
            Warning::Setting(finding) => tracing::warn!("{finding}"),
            Warning::Off(part) => tracing::debug!("{part}"),
        }
    }
    Ok(loaded)
}

/// The settings and their warnings, without side effects.
pub fn load() -> Result<Loaded, Failure> {
    Ok(Settings::load(&Sources::from_process()?)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_agreement_names_can_be_typed() {
        let kept = DemoArgs { keep: true, kill_model: false, sandbox: DemoSandbox::Local };
        assert!(matches!(parse("threadbox demo --keep"), Ok(Command::Demo(args)) if args == kept));
        assert!(matches!(parse("threadbox serve"), Ok(Command::Serve(ServeArgs { role: Role::All }))));
        assert!(matches!(parse("threadbox serve --role worker"), Ok(Command::Serve(ServeArgs { role: Role::Worker }))));
        assert!(matches!(parse("threadbox doctor --json"), Ok(Command::Doctor(DoctorArgs { json: true }))));
        assert!(matches!(parse("threadbox migrate"), Ok(Command::Migrate)));
        assert!(parse("threadbox run a.py --language python --timeout 5s --json").is_ok());
        assert!(parse("threadbox run -").is_ok());
        for line in ["list --owner acme/rocket --json", "export --person github:maya", "forget --owner github:7 --yes"] {
            assert!(parse(&format!("threadbox threads {line}")).is_ok(), "{line}");
        }
        assert!(parse("threadbox replay p.json --event issue_comment --url http://127.0.0.1:1 --secret s").is_ok());
    }

    #[test]
    fn wrong_usage_exits_with_two() {
        for line in
            ["threadbox serve --role cook", "threadbox replay p.json", "threadbox fly", "threadbox run a.py --timeout soon"]
        {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_lists_every_command() {
        insta::assert_snapshot!(Cli::command().render_help(), @r"
        Mention it in a GitHub issue and an agent with a memory and a sandbox answers, with code it ran.

        Usage: threadbox <COMMAND>

        Commands:
          demo     Show the whole system on this machine with stand-ins and no accounts
          serve    Run the service; parts without credentials are off and say so
          doctor   Check every dependency and permission with a real call
          migrate  Apply database migrations and exit
          run      Run one file or standard input in a sandbox, without a model
          threads  Look at what is kept in memory, take it along, forget it
          replay   Deliver a stored webhook payload, signed, to a running service
          help     Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version
        ");
    }
}
