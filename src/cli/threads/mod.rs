//! `threadbox threads`: look at what is kept in memory, take it along, forget it. Works on the database of the settings, also while the
//! service runs.

mod export;
mod forget;
mod list;
mod recall;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sqlx::PgPool;
use uuid::Uuid;

use super::Outcome;
use super::output::{Failure, Progress};
use crate::db;
use crate::id::ThreadId;
use crate::memory::Period;
use crate::memory::forget::record::{self, Whose};
use crate::memory::forget::{find_owner, find_person, surface};
use crate::settings::Settings;

const CONNECTIONS: u32 = 4;

/// What `threads` takes.
#[derive(Clone, Debug, Args)]
pub struct ThreadsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List conversations, the latest first
    List(ListArgs),
    /// Show a conversation: what was said last, what is kept in mind, what it was condensed to
    Show(ShowArgs),
    /// Ask memory: what was said that answers a question
    Recall(RecallArgs),
    /// Write everything that is kept as JSON lines
    Export(ExportArgs),
    /// Forget a conversation, a person or an owner with everything made of it
    Forget(ForgetArgs),
}

/// What `threads list` takes.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only conversations of this owner, such as acme/rocket or github:42
    #[arg(long)]
    pub owner: Option<String>,
    /// Only the conversation that is talked about there, such as acme/rocket#7
    #[arg(long)]
    pub place: Option<String>,
    /// Only those that are open, or closed
    #[arg(long, value_parser = ["open", "closed"])]
    pub state: Option<String>,
    #[command(flatten)]
    when: PeriodArgs,
    /// How many, at most 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `threads show` takes.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The thread's id, as `threads list` shows it
    pub id: Uuid,
    #[command(flatten)]
    when: PeriodArgs,
    /// Only what somebody of this name said, or the agent by its own
    #[arg(long)]
    pub author: Option<String>,
    /// How much of what was said, at most 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `threads recall` takes.
#[derive(Clone, Debug, Args)]
#[group(id = "where", required = true, multiple = false, args = ["thread", "owner"])]
pub struct RecallArgs {
    /// What you want to know, in words
    pub query: String,
    /// What this conversation said, and what the others of its owner share
    #[arg(long)]
    pub thread: Option<Uuid>,
    /// What all conversations of this owner share, such as acme/rocket or github:42
    #[arg(long)]
    pub owner: Option<String>,
    #[command(flatten)]
    when: PeriodArgs,
    /// Only what somebody of this name said, or the agent by its own
    #[arg(long)]
    pub by: Option<String>,
    /// How many passages, at most 20
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub top_k: u8,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// When something was said, or last happened.
#[derive(Clone, Debug, Args)]
pub struct PeriodArgs {
    /// From this day (2026-03-01, in UTC) or moment (2026-03-01T12:00:00Z) on
    #[arg(long)]
    since: Option<String>,
    /// Up to the end of this day, or to this moment
    #[arg(long)]
    until: Option<String>,
}

impl PeriodArgs {
    fn read(&self) -> Result<Period, Failure> {
        let wrong = |why: String| Failure::usage(format!("{why}."), "Write days such as 2026-03-01; both are in UTC.");
        Period::read(self.since.as_deref(), self.until.as_deref()).map_err(wrong)
    }
}

/// Whose words; exactly one of them.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhoseArgs {
    /// A thread's id
    pub id: Option<Uuid>,
    /// Somebody, such as github:maya or github:42 (their number)
    #[arg(long)]
    pub person: Option<String>,
    /// All conversations of an owner, such as acme/rocket or github:42
    #[arg(long)]
    pub owner: Option<String>,
}

/// What `threads export` takes.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Write to this new file instead of standard output
    #[arg(long)]
    pub output: Option<PathBuf>,
}

/// What `threads forget` takes.
#[derive(Clone, Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Do it; without this only what would go is shown
    #[arg(long)]
    pub yes: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// Does what was typed.
pub async fn main(args: ThreadsArgs, settings: Settings) -> Outcome {
    let progress = Progress::spinner("opening the database");
    let options = db::Options { connections: CONNECTIONS, ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &progress).await?;
    let done = dispatch(args.command, &settings, &database.pool, progress).await;
    database.close().await?;
    done
}

async fn dispatch(command: Command, settings: &Settings, pool: &PgPool, progress: Progress) -> Outcome {
    if !db::is_migrated(pool).await.context("Cannot look at the database")? {
        return Err(Failure::new("The database is not that of this version.", "Run `threadbox migrate` first."));
    }
    match command {
        Command::List(args) => list::main(pool, args, progress).await,
        Command::Show(args) => show::main(pool, args, &settings.name, progress).await,
        Command::Recall(args) => recall::main(pool, args, settings, progress).await,
        Command::Export(args) => export::main(pool, args, progress).await,
        Command::Forget(args) => forget::main(pool, args, progress).await,
    }
}

impl WhoseArgs {
    /// What is meant, as it is known in the database.
    async fn find(&self, pool: &PgPool) -> Result<Whose, Failure> {
        if let Some(id) = self.id {
            let thread = ThreadId(id);
            let is_known = record::is_known(pool, thread).await.context("Cannot look for the thread")?;
            return if is_known { Ok(Whose::Thread(thread)) } else { Err(no_thread(id)) };
        }
        if let Some(owner) = &self.owner {
            return Ok(Whose::Owner(owner_named(pool, owner).await?));
        }
        let name = self.person.as_deref().unwrap_or_default();
        let wrong = || {
            Failure::usage(
                format!("`{name}` is nobody."),
                "Write a surface and a login or number, such as github:maya or github:42.",
            )
        };
        let (on, who) = name.split_once(':').filter(|(_, who)| !who.is_empty()).ok_or_else(wrong)?;
        let person = find_person(pool, surface(on).ok_or_else(wrong)?, who).await.context("Cannot look for the person")?;
        Ok(Whose::Person(person))
    }
}

fn no_thread(id: Uuid) -> Failure {
    Failure::new(format!("There is no thread {id}."), "`threadbox threads list` shows them.")
}

async fn owner_named(pool: &PgPool, name: &str) -> Result<String, Failure> {
    let found = find_owner(pool, name).await.context("Cannot look for the owner")?;
    found.ok_or_else(|| Failure::new(format!("Nothing is known of {name}."), "`threadbox threads list` shows what is."))
}

/// Words from people and models, on a terminal: nothing in them moves the cursor or changes a colour.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' && char != '\t' { '\u{fffd}' } else { char }).collect()
}

fn print_json(value: &impl serde::Serialize) -> Outcome {
    println!("{}", serde_json::to_string_pretty(value).context("Cannot write JSON")?);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_that_was_said_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{7}"), "a\u{fffd}[2Jb\nc\u{fffd}");
    }
}
