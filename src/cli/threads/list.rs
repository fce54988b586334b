//! `threadbox threads list`.

use std::process::ExitCode;

use anyhow::Context as _;
use sqlx::PgPool;

use super::{ListArgs, owner_named, plain, print_json};
use crate::cli::Outcome;
use crate::cli::output::Progress;
use crate::memory::forget::record::{self, Listed, Summary};

pub(super) async fn main(pool: &PgPool, args: ListArgs, progress: Progress) -> Outcome {
    let owner = match &args.owner {
        Some(name) => Some(owner_named(pool, name).await?),
        None => None,
    };
    let listed = Listed { owner, period: args.when.read()?, state: args.state, place: args.place };
    let threads = record::list(pool, &listed, None, args.limit).await.context("Cannot list the threads")?;
    drop(progress);
    if args.json {
        return print_json(&threads);
    }
    if threads.is_empty() {
        eprintln!("There are no conversations.");
    }
    for thread in &threads {
        println!("{}", line(thread));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(thread: &Summary) -> String {
    let title = thread.title.as_deref().unwrap_or("(no title)");
    let places = thread.places.join(", ");
    let at = thread.updated_at.format("%Y-%m-%d %H:%M");
    plain(&format!("{}  {at}  {places}  {title}  ({} messages, {} runs)", thread.id, thread.messages, thread.runs))
        .replace('\n', " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_a_line() {
        let at = "2026-05-04T03:02:01Z".parse().unwrap();
        let thread = Summary {
            id: uuid::Uuid::nil(),
            owner: "github:7".into(),
            title: Some("Fix\nthe \u{1b}[31mparser".into()),
            state: "open".into(),
            places: vec!["acme/rocket#7".into()],
            messages: 3,
            runs: 1,
            created_at: at,
            updated_at: at,
        };
        insta::assert_snapshot!(line(&thread), @"00000000-0000-0000-0000-000000000000  2026-05-04 03:02  acme/rocket#7  Fix the �[31mparser  (3 messages, 1 runs)");
    }
}
