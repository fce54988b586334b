//! The table `working_memories`: a row per conversation and one per owner.
//!
//! Changes of a row happen one after the other, in whichever process: each holds the row in one short transaction in which nothing
//! but the database is waited for.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use super::{Line, Whose, WorkingMemory, change};
use crate::id::{LeaseEpoch, ThreadId};

/// Changes that are known to have been made: more than can be under way at once, so that one that is asked for again is found.
const MOST_APPLIED: i32 = 200;

impl Whose {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Thread(thread) => ("thread", thread.to_string()),
            Self::Owner(owner) => ("owner", owner.clone()),
        }
    }
}

/// What is kept; nothing when there is no row.
pub async fn read(pool: &PgPool, whose: &Whose) -> Result<WorkingMemory, sqlx::Error> {
    let (scope, key) = whose.columns();
    let row = sqlx::query!(
        r#"select lines as "lines: Json<Vec<Line>>", numbered from working_memories where scope = $1 and key = $2"#,
        scope,
        key,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| WorkingMemory { lines: row.lines.0, numbered: row.numbered }).unwrap_or_default())
}

/// What makes a change.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Names this change, so that it is made once.
    pub key: &'a str,
    /// The lease of the run that makes it; none where a person does.
    pub lease: Option<(ThreadId, LeaseEpoch)>,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated<E> {
    /// It was made, or there was nothing to change.
    Done {
        /// As it was.
        before: WorkingMemory,
        /// As it is.
        after: WorkingMemory,
    },
    /// It had been made before; this is kept now.
    Already(WorkingMemory),
    /// It is not to be made.
    Refused(E),
    /// Another worker has the run.
    LeaseLost,
}

/// Changes what is kept. `change` sees it as it is now, and nobody else changes it meanwhile.
///
/// # Errors
/// When the database does not answer; then it may have been made, which the same key tells.
pub async fn update<E>(
    pool: &PgPool,
    whose: &Whose,
    by: By<'_>,
    now: DateTime<Utc>,
    change: impl FnOnce(&WorkingMemory) -> Result<WorkingMemory, E>,
) -> Result<Updated<E>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if let Some((thread, epoch)) = by.lease
        && !holds(&mut transaction, thread, epoch).await?
    {
        return Ok(Updated::LeaseLost);
    }
    let (before, is_applied) = lock(&mut transaction, whose, by.key, now).await?;
    if is_applied {
        return Ok(Updated::Already(before));
    }
    let after = match change(&before) {
        Ok(after) => after,
        Err(why) => return Ok(Updated::Refused(why)),
    };
    let (scope, key) = whose.columns();
    sqlx::query!(
        r#"
        update working_memories set
            lines = $3, numbered = $4, version = version + 1, updated_at = $5,
            applied = (array_append(applied, $6))[greatest(1, cardinality(applied) + 2 - $7):]
        where scope = $1 and key = $2
        "#,
        scope,
        key,
        Json(&after.lines) as _,
        after.numbered,
        now,
        by.key,
        MOST_APPLIED,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Updated::Done { before, after })
}

/// Takes the lines of one conversation over into another, behind its own.
pub(in crate::memory) async fn take_over(
    connection: &mut PgConnection,
    from: ThreadId,
    to: ThreadId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (scope, key) = Whose::Thread(from).columns();
    let source = sqlx::query!(
        r#"select lines as "lines: Json<Vec<Line>>", numbered, updated_at from working_memories where scope = $1 and key = $2"#,
        scope,
        key,
    );
    let Some(source) = source.fetch_optional(&mut *connection).await? else { return Ok(()) };
    let (own, _) = lock(connection, &Whose::Thread(to), "", now).await?;
    let taken = change::with_lines_of(&own, &WorkingMemory { lines: source.lines.0, numbered: source.numbered });
    // Lines that nobody touches go by their age, and taking them over is no touching.
    let updated_at = if own.is_empty() { source.updated_at } else { now };
    sqlx::query!(
        "update working_memories set lines = $3, numbered = $4, version = version + 1, updated_at = $5 where scope = $1 and key = $2",
        scope,
        to.to_string(),
        Json(&taken.lines) as _,
        taken.numbered,
        updated_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the run is still its worker's; it stays so until the transaction is over.
async fn holds(connection: &mut PgConnection, thread: ThreadId, epoch: LeaseEpoch) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar!(
        "select 1 from threads where id = $1 and lease_epoch = $2 for share",
        thread as ThreadId,
        epoch as LeaseEpoch,
    )
    .fetch_optional(connection)
    .await?;
    Ok(held.is_some())
}

/// The row, made where there is none, and ours until the transaction is over; and whether the change was made already.
async fn lock(
    connection: &mut PgConnection,
    whose: &Whose,
    change: &str,
    now: DateTime<Utc>,
) -> Result<(WorkingMemory, bool), sqlx::Error> {
    let (scope, key) = whose.columns();
    sqlx::query!(
        "insert into working_memories (scope, key, lines, version, updated_at) values ($1, $2, '[]', 0, $3)
         on conflict (scope, key) do nothing",
        scope,
        key,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query!(
        r#"select lines as "lines: Json<Vec<Line>>", numbered, $3 = any(applied) as "is_applied!"
           from working_memories where scope = $1 and key = $2 for update"#,
        scope,
        key,
        change,
    )
    .fetch_one(connection)
    .await?;
    Ok((WorkingMemory { lines: row.lines.0, numbered: row.numbered }, row.is_applied))
}

/// Whether a change of this name was made to any of these.
pub async fn is_applied(pool: &PgPool, whose: [&Whose; 2], change: &str) -> Result<bool, sqlx::Error> {
    let ([one, two], [first, second]) = (whose.map(|whose| whose.columns().0), whose.map(|whose| whose.columns().1));
    sqlx::query_scalar!(
        r#"select exists (
            select 1 from working_memories
            where ((scope = $1 and key = $2) or (scope = $3 and key = $4)) and $5 = any(applied)
        ) as "is_applied!""#,
        one,
        first,
        two,
        second,
        change,
    )
    .fetch_one(pool)
    .await
}

/// What else is remembered, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Messages of finished runs in the conversation.
    pub messages: i64,
    /// When the first of them was said.
    pub since: Option<DateTime<Utc>>,
    /// Observations that stand for its older part.
    pub observations: i64,
    /// Passages of all conversations of the owner that can be found again, counted up to [`MOST_COUNTED`].
    pub passages: i64,
}

/// Counting goes no further.
pub const MOST_COUNTED: i64 = 10_000;

/// What else is remembered of a conversation and its owner.
pub async fn beside(pool: &PgPool, thread: ThreadId, owner: &str) -> Result<Beside, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select count(*) as "messages!", min(m.created_at) as since,
            (select count(*) from observations o where o.thread_id = $1 and o.current) as "observations!",
            (select count(*) from (select 1 from memories where owner = $2 and shared limit $3) as these) as "passages!"
        from messages m where m.thread_id = $1 and m.place_in_run is not null and m.role <> 'tool'
        "#,
        thread as ThreadId,
        owner,
        MOST_COUNTED,
    )
    .fetch_one(pool)
    .await?;
    Ok(Beside { messages: row.messages, since: row.since, observations: row.observations, passages: row.passages })
}
