//! The tables `memories` and `messages.indexed`, as indexing writes them.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::agent::Powers;
use crate::id::{MemoryId, MessageId, RunId, ThreadId};
use crate::intake::Request;
use crate::model::{Message, Part, Role};

/// A message that is not in memory yet.
pub(super) struct Due {
    pub message: MessageId,
    pub thread: ThreadId,
    pub run: Option<RunId>,
    pub owner: String,
    pub role: String,
    pub author: Option<String>,
    pub said_at: DateTime<Utc>,
    pub powers: Option<Powers>,
    /// It is a word such as `approve` or `retry`: the request of its run was written elsewhere.
    pub stands_for_others: bool,
    parts: Vec<Part>,
    /// Where the run was asked for.
    request_url: Option<String>,
    /// The comment that is its answer, and whether it stands in a review thread.
    answer: Option<(i64, bool)>,
}

impl Due {
    /// What was said; empty for tool calls and results.
    pub fn text(&self) -> String {
        Message { role: Role::User, parts: self.parts.clone() }.plain_text()
    }

    /// Where words of ours stand: in the comment that is the answer of their run.
    pub fn answer_url(&self) -> Option<String> {
        if self.role != "assistant" {
            return None;
        }
        let (page, (comment, in_review)) = (self.request_url.as_deref()?.split('#').next()?, self.answer?);
        let fragment = if in_review { "discussion_r" } else { "issuecomment-" };
        Some(format!("{page}#{fragment}{comment}"))
    }
}

/// A piece as it is stored.
pub(super) struct Piece {
    pub id: MemoryId,
    pub message: MessageId,
    pub thread: ThreadId,
    pub run: Option<RunId>,
    pub number: i32,
    pub owner: String,
    pub shared: bool,
    pub role: String,
    pub author: Option<String>,
    pub text: String,
    /// As the text of a `tsvector`.
    pub terms: String,
    pub said_at: DateTime<Utc>,
}

/// The newest messages that are due and in nobody's hands; they are ours until the transaction ends. Words of a run are due once its
/// answer is posted: then it is known where they stand.
pub(super) async fn due(connection: &mut PgConnection, most: usize) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select m.id as "id: MessageId", m.thread_id as "thread: ThreadId", m.run_id as "run: RunId", m.role, m.author, m.created_at,
               m.parts as "parts: Json<Vec<Part>>", t.owner, r.powers as "powers?: Powers", r.request as "request?: Json<Request>",
               p.external_id as "external_id?", p.review_thread as "review_thread?",
               (m.id = r.message_id and r.request->>'url' is distinct from m.url) is true as "stands_for_others!"
        from messages m join threads t on t.id = m.thread_id
        left join runs r on r.id = m.run_id
        left join lateral (
            select external_id, review_thread from posts
            where posts.run_id = m.run_id and kind = 'answer' and m.role = 'assistant' limit 1
        ) p on true
        where not m.indexed and m.place_in_run is not null and (r.state is null or r.state = 'posted')
        order by m.id desc limit $1
        for update of m skip locked
        "#,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    let due = rows.into_iter().map(|row| {
        let request = row.request.map(|request| request.0);
        Due {
            message: row.id,
            thread: row.thread,
            run: row.run,
            owner: request.as_ref().map_or(row.owner, |request| request.place.owner()),
            role: row.role,
            author: row.author,
            said_at: row.created_at,
            powers: row.powers,
            stands_for_others: row.stands_for_others,
            parts: row.parts.0,
            request_url: request.map(|request| request.url),
            answer: row.external_id.and_then(|id| Some((id.parse().ok()?, row.review_thread.is_some()))),
        }
    });
    Ok(due.collect())
}

/// Stores pieces and the addresses of messages, and marks the messages as done, in one statement. Returns how many pieces are new; one
/// that is there stays as it is.
pub(super) async fn enter(
    connection: &mut PgConnection,
    pieces: &[Piece],
    addresses: &[(MessageId, String)],
    done: &[MessageId],
) -> Result<usize, sqlx::Error> {
    let strings = |field: fn(&Piece) -> &String| -> Vec<String> { pieces.iter().map(|piece| field(piece).clone()).collect() };
    let entered = sqlx::query_scalar!(
        r#"
        with entered as (
            insert into memories (id, owner, thread_id, message_id, run_id, piece, shared, role, author, text, terms, said_at)
            select id, owner, thread_id, message_id, run_id, piece, shared, role, author, text, terms::tsvector, said_at
            from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int[], $7::bool[], $8::text[], $9::text[],
                        $10::text[], $11::text[], $12::timestamptz[])
                as p (id, owner, thread_id, message_id, run_id, piece, shared, role, author, text, terms, said_at)
            on conflict (message_id, piece) do nothing
            returning id
        ), marked as (
            update messages set indexed = true, url = coalesce(messages.url, a.url)
            from unnest($15::uuid[]) as d (id) left join unnest($13::uuid[], $14::text[]) as a (id, url) using (id)
            where messages.id = d.id
        )
        select count(*) as "count!" from entered
        "#,
        &pieces.iter().map(|piece| piece.id).collect::<Vec<_>>() as &[MemoryId],
        &strings(|piece| &piece.owner),
        &pieces.iter().map(|piece| piece.thread).collect::<Vec<_>>() as &[ThreadId],
        &pieces.iter().map(|piece| piece.message).collect::<Vec<_>>() as &[MessageId],
        &pieces.iter().map(|piece| piece.run).collect::<Vec<_>>() as &[Option<RunId>],
        &pieces.iter().map(|piece| piece.number).collect::<Vec<_>>(),
        &pieces.iter().map(|piece| piece.shared).collect::<Vec<_>>(),
        &strings(|piece| &piece.role),
        &pieces.iter().map(|piece| piece.author.clone()).collect::<Vec<_>>() as &[Option<String>],
        &strings(|piece| &piece.text),
        &strings(|piece| &piece.terms),
        &pieces.iter().map(|piece| piece.said_at).collect::<Vec<_>>(),
        &addresses.iter().map(|(message, _)| *message).collect::<Vec<_>>() as &[MessageId],
        &addresses.iter().map(|(_, url)| url.clone()).collect::<Vec<_>>(),
        done as &[MessageId],
    )
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(entered).unwrap_or_default())
}

/// Marks the message that is due first as done, without anything of it in memory. Returns how many were marked.
pub(super) async fn leave_out(pool: &PgPool) -> Result<usize, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let due: Vec<MessageId> = due(&mut transaction, 1).await?.iter().map(|due| due.message).collect();
    enter(&mut transaction, &[], &[], &due).await?;
    transaction.commit().await?;
    Ok(due.len())
}
