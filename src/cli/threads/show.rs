//! `threadbox threads show`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;
use sqlx::PgPool;

use super::{ShowArgs, no_thread, plain, print_json};
use crate::cli::Outcome;
use crate::cli::output::Progress;
use crate::id::ThreadId;
use crate::memory::By;
use crate::memory::forget::record::said::Which;
use crate::memory::forget::record::{self, Shown};

pub(super) async fn main(pool: &PgPool, args: ShowArgs, own_name: &str, progress: Progress) -> Outcome {
    let by = args.author.and_then(|name| By::named(&name, own_name));
    let which = Which { period: args.when.read()?, by, ..Which::default() };
    let shown = record::show(pool, ThreadId(args.id), &which, args.limit).await.context("Cannot read the thread")?;
    drop(progress);
    let shown = shown.ok_or_else(|| no_thread(args.id))?;
    if args.json {
        return print_json(&shown);
    }
    print!("{}", plain(&text(&shown)));
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &Shown) -> String {
    let summary = &shown.summary;
    let mut text = String::new();
    let mut line = |what: String| {
        text.push_str(&what);
        text.push('\n');
    };
    line(summary.title.clone().unwrap_or_else(|| "(no title)".to_owned()));
    line(format!("{}, {}, {}", summary.places.join(", "), summary.owner, summary.state));
    section(
        &mut line,
        "What was said last",
        shown.conversation.iter().map(|said| {
            let who = said.author.as_deref().unwrap_or(&said.role);
            let mut head = format!("{who}, {} {}", said.at.format("%Y-%m-%d %H:%M"), said.receipt);
            if let Some(url) = &said.url {
                let _ = write!(head, " {url}");
            }
            format!("{head}\n    {}", said.text.replace('\n', "\n    "))
        }),
    );
    section(&mut line, "Kept in mind", shown.working_memory.iter().map(Value::to_string));
    section(
        &mut line,
        "Condensed",
        shown.observations.iter().map(|observation| {
            let words = |name: &str| observation[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", words("said_at"), words("text"))
        }),
    );
    text
}

fn section(line: &mut impl FnMut(String), title: &str, entries: impl Iterator<Item = String>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        line(format!("\n{title}"));
    }
    for entry in entries {
        line(format!("- {entry}"));
    }
}
