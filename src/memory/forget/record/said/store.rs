//! The table `messages` as people look at it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::{LONGEST_SHOWN, Said, Which};
use crate::id::{MessageId, RunId, ThreadId};
use crate::memory::{By, receipt};
use crate::model::{Message, Part, Role};

struct Row {
    id: MessageId,
    role: String,
    author: Option<String>,
    parts: Json<Vec<Part>>,
    url: Option<String>,
    run: Option<RunId>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Said {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            role: row.role,
            author: row.author,
            text: shown(&Message { role: Role::User, parts: row.parts.0 }),
            receipt: receipt::token(row.id),
            url: row.url,
            run: row.run.map(|run| run.0),
            at: row.created_at,
        }
    }
}

/// The words of a message; of a call or a result what it holds, as it is.
fn shown(message: &Message) -> String {
    let words = message.plain_text();
    let text = if words.trim().is_empty() { serde_json::to_string(&message.parts).unwrap_or_default() } else { words };
    let mut cut: String = text.chars().take(LONGEST_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push_str(" […]");
    }
    cut
}

fn name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// The last `most`, oldest first.
pub(in super::super) async fn last(pool: &PgPool, thread: ThreadId, which: &Which, most: i64) -> Result<Vec<Said>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id as "id: MessageId", role, author, parts as "parts: Json<Vec<Part>>", url, run_id as "run: RunId", created_at
        from messages
        where thread_id = $1 and forgotten_at is null
          and ($2::timestamptz is null or created_at >= $2) and ($3::timestamptz is null or created_at < $3)
          and ($4::text is null or role = $4) and ($5::text is null or lower(coalesce(author, '')) = lower($5)) and ($6::uuid is null or run_id = $6)
        order by id desc limit $7
        "#,
        thread as ThreadId,
        which.period.since,
        which.period.until,
        which.role.map(name),
        which.by.as_ref().map(By::author),
        which.run as Option<RunId>,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().rev().map(Said::from).collect())
}

pub(super) async fn page(
    pool: &PgPool,
    thread: ThreadId,
    which: &Which,
    after: Option<Uuid>,
    most: i64,
) -> Result<Vec<Said>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id as "id: MessageId", role, author, parts as "parts: Json<Vec<Part>>", url, run_id as "run: RunId", created_at
        from messages
        where thread_id = $1 and forgotten_at is null and ($8::uuid is null or id > $8)
          and ($2::timestamptz is null or created_at >= $2) and ($3::timestamptz is null or created_at < $3)
          and ($4::text is null or role = $4) and ($5::text is null or lower(coalesce(author, '')) = lower($5)) and ($6::uuid is null or run_id = $6)
        order by id limit $7
        "#,
        thread as ThreadId,
        which.period.since,
        which.period.until,
        which.role.map(name),
        which.by.as_ref().map(By::author),
        which.run as Option<RunId>,
        most,
        after,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Said::from).collect())
}

pub(super) async fn around(
    pool: &PgPool,
    thread: ThreadId,
    ids: &[Uuid],
    (before, after): (i64, i64),
    most: i64,
) -> Result<Vec<Said>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        with wanted as (
            select id from messages where thread_id = $1 and id = any($2) and forgotten_at is null
        ), near as (
            select id from wanted
            union
            select n.id from wanted w, lateral (
                (select m.id from messages m where m.thread_id = $1 and m.id < w.id and m.forgotten_at is null
                 order by m.id desc limit $3)
                union all
                (select m.id from messages m where m.thread_id = $1 and m.id > w.id and m.forgotten_at is null
                 order by m.id limit $4)
            ) n
        )
        select m.id as "id: MessageId", m.role, m.author, m.parts as "parts: Json<Vec<Part>>", m.url, m.run_id as "run: RunId", m.created_at
        from messages m join near on near.id = m.id order by m.id limit $5
        "#,
        thread as ThreadId,
        ids,
        before,
        after,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Said::from).collect())
}
