//! The tables of threads: `threads`, `surfaces` and `messages` as they are read.

use sqlx::PgPool;
use sqlx::types::Json;

use super::PastRun;
use crate::agent::prompt;
use crate::id::{RunId, ThreadId};
use crate::intake::Place;
use crate::model::{Message, Part, Role};
use crate::reply::clean;

/// Newest runs looked at for a history; older ones never fit the budget.
const RUNS: i64 = 50;

/// The conversations of the thread's finished runs before `before`, oldest first, at most the last 50.
pub async fn history(pool: &PgPool, thread: ThreadId, before: RunId) -> Result<Vec<PastRun>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select m.run_id as "run!: RunId", m.role, m.author, m.parts as "parts: Json<Vec<Part>>"
        from messages m
        where m.thread_id = $1 and m.place_in_run is not null and m.run_id in (
            select id from runs where thread_id = $1 and id < $2 order by id desc limit $3
        )
        order by m.run_id, m.place_in_run
        "#,
        thread as ThreadId,
        before as RunId,
        RUNS,
    )
    .fetch_all(pool)
    .await?;
    let mut runs: Vec<PastRun> = Vec::new();
    for row in rows {
        let message = match row.role.as_str() {
            "assistant" => Message { role: Role::Assistant, parts: row.parts.0 },
            "tool" => Message { role: Role::Tool, parts: row.parts.0 },
            // Stored as written; read as any other words of a person.
            _ => prompt::spoken(
                row.author.as_deref().unwrap_or_default(),
                &Message { role: Role::User, parts: row.parts.0 }.plain_text(),
            ),
        };
        match runs.last_mut() {
            Some(run) if run.id == row.run => run.messages.push(message),
            _ => runs.push(PastRun { id: row.run, messages: vec![message] }),
        }
    }
    Ok(runs)
}

/// What the thread began with and how it was answered first, for finding a title. None once it has one.
pub async fn opening_text(pool: &PgPool, thread: ThreadId) -> Result<Option<String>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select m.role, m.parts as "parts: Json<Vec<Part>>" from messages m join threads t on t.id = m.thread_id
        where m.thread_id = $1 and t.title is null and m.role <> 'tool'
        order by m.id limit 4
        "#,
        thread as ThreadId,
    )
    .fetch_all(pool)
    .await?;
    let lines = rows.into_iter().map(|row| {
        let text = clean::clean(&Message { role: Role::User, parts: row.parts.0 }.plain_text());
        let speaker = if row.role == "user" { "User" } else { "Assistant" };
        format!("{speaker}: {}", text.chars().take(1_000).collect::<String>())
    });
    Ok(Some(lines.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty()))
}

/// Names a thread, once: a title that is there stays.
pub async fn set_title(pool: &PgPool, thread: ThreadId, title: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("update threads set title = $2 where id = $1 and title is null", thread as ThreadId, title)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Where the thread is talked about.
pub async fn place(pool: &PgPool, thread: ThreadId) -> Result<Option<Place>, sqlx::Error> {
    let place = sqlx::query_scalar!(
        r#"select place as "place: Json<Place>" from surfaces where thread_id = $1 order by surface, key limit 1"#,
        thread as ThreadId,
    )
    .fetch_optional(pool)
    .await?;
    Ok(place.map(|place| place.0))
}
