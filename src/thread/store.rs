//! The tables of threads: `threads`, `surfaces` and `messages` as they are read.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::types::Json;

use crate::id::{RunId, ThreadId};
use crate::intake::Place;
use crate::model::{Message, Part, Role};

/// Messages a title is made of.
const OPENING: i64 = 4;

/// What a thread without a title began with: its first words, and the run that makes a title necessary.
#[derive(Debug)]
pub struct Opening {
    /// The newest run that is over; what the title costs is its.
    pub run: RunId,
    /// Who asked for that run.
    pub requester: String,
    /// The repository it was for.
    pub repository: String,
    /// What was said first in runs, by people and by the agent.
    pub messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    parts: Vec<Part>,
}

/// What the thread began with and how it was answered first, for finding a title. None once it has one, and while no run is over.
pub async fn opening(pool: &PgPool, thread: ThreadId) -> Result<Option<Opening>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select r.id as "run: RunId", r.requester, r.repository,
               (select coalesce(jsonb_agg(jsonb_build_object('role', m.role, 'parts', m.parts) order by m.run_id, m.place_in_run), '[]')
                from (select * from messages m where m.thread_id = $1 and m.place_in_run is not null and m.role <> 'tool'
                      order by m.run_id, m.place_in_run limit $2) m
               ) as "said!: Json<Vec<Said>>"
        from threads t join runs r on r.thread_id = t.id
        where t.id = $1 and t.title is null and r.state = 'posted' order by r.id desc limit 1
        "#,
        thread as ThreadId,
        OPENING,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Opening {
        run: row.run,
        requester: row.requester,
        repository: row.repository,
        messages: row.said.0.into_iter().map(Said::into_message).collect(),
    }))
}

impl Said {
    fn into_message(self) -> Message {
        Message { role: if self.role == "user" { Role::User } else { Role::Assistant }, parts: self.parts }
    }
}

/// Names a thread, once: a title that is there stays.
pub async fn set_title(pool: &PgPool, thread: ThreadId, title: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("update threads set title = $2 where id = $1 and title is null", thread as ThreadId, title)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The title we gave a thread; none where it has none, or a person's.
pub async fn own_title(pool: &PgPool, thread: ThreadId) -> Result<Option<String>, sqlx::Error> {
    let title = sqlx::query_scalar!("select title from threads where id = $1 and titled_by is null", thread as ThreadId);
    Ok(title.fetch_optional(pool).await?.flatten())
}

/// Gives the thread of a conversation the title a person gave the conversation. It wins over a model's, and over what people said
/// earlier. False where there is no thread, or a later title.
pub async fn rename(pool: &PgPool, place: &Place, title: &str, by: &str, at: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        update threads set title = $3, titled_by = $4, titled_at = $5 from surfaces s
        where s.surface = $1 and s.key = $2 and threads.id = s.thread_id and (threads.titled_at is null or threads.titled_at <= $5)
        "#,
        place.surface().as_str(),
        place.key(),
        title,
        by,
        at,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Everywhere the thread is talked about.
pub async fn places(pool: &PgPool, thread: ThreadId) -> Result<Vec<Place>, sqlx::Error> {
    let places = sqlx::query_scalar!(
        r#"select place as "place: Json<Place>" from surfaces where thread_id = $1 order by surface, key limit 100"#,
        thread as ThreadId,
    );
    Ok(places.fetch_all(pool).await?.into_iter().map(|place| place.0).collect())
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
