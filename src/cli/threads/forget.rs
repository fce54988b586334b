//! `threadbox threads forget`: shows what would go, and with `--yes` does it, beside the service if that runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{ForgetArgs, print_json};
use crate::cli::Outcome;
use crate::cli::output::{Failure, Progress};
use crate::clock::{Clock, SystemClock};
use crate::memory::forget::record::{self, Counts, Whose};
use crate::memory::forget::{self, Target, Why, work};

/// Who asks, in the records.
const OPERATOR: &str = "the operator";
/// How long what is at work is waited for; the service goes on with it.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

pub(super) async fn main(pool: &PgPool, args: ForgetArgs, progress: Progress) -> Outcome {
    let whose = args.whose.find(pool).await?;
    let kept = record::count(pool, &whose).await.context("Cannot count what would go")?;
    if !args.yes {
        drop(progress);
        println!("This would go: {}.", words(&kept));
        return Err(Failure::usage(
            "Nothing was forgotten.",
            "Add --yes; nothing brings it back, but what stands on the surface itself stays there.",
        ));
    }
    let target = match whose {
        Whose::Thread(thread) => Target::Thread(thread),
        Whose::Owner(owner) => Target::Owner(owner),
        Whose::Person(person) => Target::Person(person),
    };
    let done = forget_all(pool, &target, &kept, &progress).await.context("Cannot forget now; the service goes on with it")?;
    drop(progress);
    if args.json {
        return print_json(&json!({ "done": done.done, "messages": done.messages, "runs": done.runs, "kept": kept }));
    }
    println!("Forgotten: {} messages, {} runs, and what was made of them.", done.messages, done.runs);
    if !done.done {
        println!("The rest belongs to runs at work, which were asked to stop; the service forgets it when they are over.");
    }
    Ok(ExitCode::SUCCESS)
}

fn words(kept: &Counts) -> String {
    format!(
        "{} messages in {} conversations, {} runs with {} files, {} pieces of memory",
        kept.messages, kept.threads, kept.runs, kept.attachments, kept.memories
    )
}

async fn forget_all(pool: &PgPool, target: &Target, kept: &Counts, progress: &Progress) -> Result<forget::Progress, sqlx::Error> {
    let asked_at = SystemClock.now();
    forget::ask(pool, target, Why::Wanted, OPERATOR, asked_at).await?;
    let patience = Instant::now() + PATIENCE;
    loop {
        let worked = work::step(pool, SystemClock.now()).await?;
        let so_far = forget::progress(pool, target, asked_at).await?;
        progress.say(format!("forgetting: {} of about {} messages", so_far.messages, kept.messages));
        if so_far.done || (!worked && Instant::now() > patience) {
            return Ok(so_far);
        }
        if !worked {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}
