//! `threadbox threads recall`: asks memory, as a run does.

use std::process::ExitCode;

use anyhow::Context as _;
use sqlx::PgPool;

use super::{RecallArgs, no_thread, owner_named, plain, print_json};
use crate::app;
use crate::cli::Outcome;
use crate::cli::output::{Failure, Progress};
use crate::id::ThreadId;
use crate::memory::recall::{Ask, Passage, show};
use crate::memory::{By, Filter, Scope, receipt};
use crate::model::Patience;
use crate::reply::{Redactor, clean};
use crate::settings::Settings;

pub(super) async fn main(pool: &PgPool, args: RecallArgs, settings: &Settings, progress: Progress) -> Outcome {
    if args.query.trim().is_empty() {
        return Err(Failure::usage("The question is empty.", "Write what you want to know, in words."));
    }
    let recall = app::recall(settings, pool, &Patience::default())?;
    let scope = match (args.thread, &args.owner) {
        (Some(id), _) => {
            let found = recall.scope_of(ThreadId(id)).await.context("Cannot look for the thread")?;
            found.ok_or_else(|| no_thread(id))?
        }
        (None, owner) => Scope::shared(owner_named(pool, owner.as_deref().unwrap_or_default()).await?),
    };
    let by = args.by.as_deref().and_then(|name| By::named(name, &settings.name));
    let filter = Filter { period: args.when.read()?, by };
    // It goes to whoever embeds it.
    let query = Redactor::new(settings.secrets()).redact(&clean::clean(&args.query)).into_owned();
    let ask = Ask { top_k: usize::from(args.top_k), filter, ..Ask::new(scope, query) };
    progress.say("looking in memory");
    let passages = recall.recall(&ask).await.context("Cannot look in memory")?;
    drop(progress);
    if args.json {
        return print_json(&passages.iter().map(show::json).collect::<Vec<_>>());
    }
    if passages.is_empty() {
        eprintln!("Nothing in memory fits.");
    }
    for passage in &passages {
        println!("{}\n", plain(&shown(passage, &settings.name)));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(passage: &Passage, own_name: &str) -> String {
    let who = passage.author.as_deref().unwrap_or(own_name);
    let title = passage.title.as_deref().unwrap_or("(no title)").replace('\n', " ");
    let at = passage.said_at.format("%Y-%m-%d %H:%M");
    let head = format!("{who}, {at}, in {title} {} {}", receipt::token(passage.message), passage.url);
    format!("{}\n    {}", head.trim_end(), passage.text.trim().replace('\n', "\n    "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::id::MessageId;

    #[test]
    fn a_passage_says_who_when_and_where() {
        let passage = Passage {
            message: MessageId(uuid::Uuid::nil()),
            thread: ThreadId(uuid::Uuid::nil()),
            title: Some("Retries".into()),
            role: "user".into(),
            author: Some("maya".into()),
            said_at: "2026-05-04T03:02:01Z".parse().unwrap(),
            url: "https://github.com/acme/rocket/issues/7#issuecomment-1".into(),
            text: "The retry budget is three.\nNot four.".into(),
            score: 1.0,
            before: vec![],
            after: vec![],
        };
        insta::assert_snapshot!(shown(&passage, "threadbox"), @"
        maya, 2026-05-04 03:02, in Retries [m:0000000000] https://github.com/acme/rocket/issues/7#issuecomment-1
            The retry budget is three.
            Not four.
        ");
    }
}
