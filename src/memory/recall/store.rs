//! The table `memories` as recall reads it. Every query names the border.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::rank::Hit;
use super::statistics::Counts;
use super::{Ask, Neighbour, Passage, Seen};
use crate::id::{MemoryId, MessageId, RunId, ThreadId};
use crate::memory::{By, Period, Reach};

/// Candidates that are compared. A search is planned to have far fewer; this is for when the database's counts are wrong.
pub(super) const MOST_HITS: usize = 3_000;
/// The newest pieces that are looked at when all words are common.
const NEWEST: i64 = 2_000;
/// Of so many of the newest it is looked at who said them.
const LOOKED_AT: i64 = 20_000;

/// A piece with all that is shown of it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub id: MemoryId,
    pub message: MessageId,
    pub thread: ThreadId,
    pub title: Option<String>,
    pub role: String,
    pub author: Option<String>,
    pub said_at: DateTime<Utc>,
    pub url: String,
    pub text: String,
}

/// What of a scope a query compares: whose, in which conversation alone, up to where of the asker's own, when and by whom.
struct Border<'a> {
    owner: &'a str,
    own: ThreadId,
    only: Option<ThreadId>,
    hides_own: bool,
    seen_after: Option<RunId>,
    period: Period,
    by: Option<&'a str>,
    seen_before: &'a [RunId],
}

impl<'a> Border<'a> {
    fn of(ask: &'a Ask) -> Self {
        let only = match ask.scope.reach {
            Reach::Thread => Some(ask.scope.thread),
            Reach::Owner => None,
        };
        let (hides_own, seen_after, seen_before) = match &ask.seen {
            Seen::Nothing => (false, None, [].as_slice()),
            Seen::After(run) => (true, *run, [].as_slice()),
            Seen::Branch(run, before) => (true, *run, before.as_slice()),
        };
        let by = ask.filter.by.as_ref().map(By::author);
        let period = ask.filter.period;
        Self { owner: &ask.scope.owner, own: ask.scope.thread, only, hides_own, seen_after, seen_before, period, by }
    }
}

/// How common terms are, by the last count.
pub(super) async fn counts(pool: &PgPool) -> Result<Counts, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select greatest(c.reltuples, 0)::float8 as "rows!", s.most_common_elems::text::text[] as terms, s.most_common_elem_freqs as parts
        from pg_class c
        left join pg_stats s on s.schemaname = c.relnamespace::regnamespace::text and s.tablename = c.relname and s.attname = 'terms'
        where c.oid = 'memories'::regclass
        "#
    )
    .fetch_one(pool)
    .await?;
    // Two figures about them follow the parts of the terms.
    let common: HashMap<String, f32> = row.terms.unwrap_or_default().into_iter().zip(row.parts.unwrap_or_default()).collect();
    let rest = common.values().copied().reduce(f32::min).unwrap_or(0.0);
    Ok(Counts { rows: row.rows, common, rest })
}

/// The pieces that a `tsquery` finds, and which of `words` (each a `tsquery` of its own, at most twelve) they have, the newest first.
///
/// Only the first condition can use an index: the planner must not be tempted to walk along an owner's pieces. The words stand in columns:
/// taken out of an array anew for every piece they cost thirty times as much.
pub(super) async fn hits(pool: &PgPool, ask: &Ask, query: &str, words: &[String]) -> Result<Vec<Hit<MemoryId>>, sqlx::Error> {
    let border = Border::of(ask);
    let rows = sqlx::query!(
        r#"
        with wanted as materialized (
            select q[1] as w1, q[2] as w2, q[3] as w3, q[4] as w4, q[5] as w5, q[6] as w6,
                   q[7] as w7, q[8] as w8, q[9] as w9, q[10] as w10, q[11] as w11, q[12] as w12
            from (select $2::text[]::tsquery[] as q) words
        ), hit as materialized (
            select m.id, m.owner, m.said_at,
                   case when m.terms @@ w1 then 1 else 0 end | case when m.terms @@ w2 then 2 else 0 end
                 | case when m.terms @@ w3 then 4 else 0 end | case when m.terms @@ w4 then 8 else 0 end
                 | case when m.terms @@ w5 then 16 else 0 end | case when m.terms @@ w6 then 32 else 0 end
                 | case when m.terms @@ w7 then 64 else 0 end | case when m.terms @@ w8 then 128 else 0 end
                 | case when m.terms @@ w9 then 256 else 0 end | case when m.terms @@ w10 then 512 else 0 end
                 | case when m.terms @@ w11 then 1024 else 0 end | case when m.terms @@ w12 then 2048 else 0 end as mask
            from wanted, memories m
            where m.terms @@ $1::text::tsquery
              and (m.shared or (m.thread_id = $4) is true)
              and ($5::uuid is null or (m.thread_id = $5) is true)
              and not ($6 and m.thread_id = $4 and ($7::uuid is null or m.run_id > $7) is true)
              and ($9::timestamptz is null or (m.said_at >= $9) is true) and ($10::timestamptz is null or (m.said_at < $10) is true)
              and ($11::text is null or lower(coalesce(m.author, '')) = lower($11))
              and (m.run_id = any($12)) is not true
            limit $8
        )
        select id as "id!: MemoryId", mask as "mask!" from hit where owner = $3 order by said_at desc, id desc
        "#,
        query,
        words,
        border.owner,
        border.own as ThreadId,
        border.only as Option<ThreadId>,
        border.hides_own,
        border.seen_after as Option<RunId>,
        i64::try_from(MOST_HITS).unwrap_or(i64::MAX),
        border.period.since,
        border.period.until,
        border.by,
        border.seen_before as &[RunId],
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| Hit { id: row.id, mask: row.mask }).collect())
}

/// The same of the newest pieces alone.
pub(super) async fn newest(pool: &PgPool, ask: &Ask, words: &[String]) -> Result<Vec<Hit<MemoryId>>, sqlx::Error> {
    let border = Border::of(ask);
    let rows = sqlx::query!(
        r#"
        with wanted as materialized (
            select q[1] as w1, q[2] as w2, q[3] as w3, q[4] as w4, q[5] as w5, q[6] as w6,
                   q[7] as w7, q[8] as w8, q[9] as w9, q[10] as w10, q[11] as w11, q[12] as w12
            from (select $1::text[]::tsquery[] as q) words
        ), late as (
            (select m.id, m.author, m.said_at from memories m
             where $4::uuid is null and m.owner = $2 and (m.shared or m.thread_id = $3)
               and not ($5 and m.thread_id = $3 and ($6::uuid is null or m.run_id > $6) is true)
               and m.said_at >= coalesce($8, '-infinity'::timestamptz) and m.said_at < coalesce($9, 'infinity'::timestamptz)
               and (m.run_id = any($11)) is not true
             order by m.said_at desc limit $12)
            union all
            (select m.id, m.author, m.said_at from memories m
             where m.thread_id = $4 and m.owner = $2 and (m.shared or m.thread_id = $3)
               and not ($5 and m.thread_id = $3 and ($6::uuid is null or m.run_id > $6) is true)
               and m.said_at >= coalesce($8, '-infinity'::timestamptz) and m.said_at < coalesce($9, 'infinity'::timestamptz)
               and (m.run_id = any($11)) is not true
             order by m.message_id desc limit $12)
        ), theirs as (
            select id from late where $10::text is null or lower(coalesce(author, '')) = lower($10) order by said_at desc limit $7
        )
        select m.id as "id!: MemoryId",
               case when m.terms @@ w1 then 1 else 0 end | case when m.terms @@ w2 then 2 else 0 end
             | case when m.terms @@ w3 then 4 else 0 end | case when m.terms @@ w4 then 8 else 0 end
             | case when m.terms @@ w5 then 16 else 0 end | case when m.terms @@ w6 then 32 else 0 end
             | case when m.terms @@ w7 then 64 else 0 end | case when m.terms @@ w8 then 128 else 0 end
             | case when m.terms @@ w9 then 256 else 0 end | case when m.terms @@ w10 then 512 else 0 end
             | case when m.terms @@ w11 then 1024 else 0 end | case when m.terms @@ w12 then 2048 else 0 end as "mask!"
        from wanted, theirs join memories m on m.id = theirs.id order by m.said_at desc, m.id desc
        "#,
        words,
        border.owner,
        border.own as ThreadId,
        border.only as Option<ThreadId>,
        border.hides_own,
        border.seen_after as Option<RunId>,
        NEWEST,
        border.period.since,
        border.period.until,
        border.by,
        border.seen_before as &[RunId],
        if border.by.is_some() { LOOKED_AT } else { NEWEST },
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| Hit { id: row.id, mask: row.mask }).filter(|hit| hit.mask != 0).collect())
}

/// These pieces, in no order: those that may be shown in this scope, at this moment. What was said where the App has been taken away or
/// suspended since is not.
pub(super) async fn load(pool: &PgPool, ask: &Ask, ids: &[MemoryId]) -> Result<Vec<Found>, sqlx::Error> {
    let border = Border::of(ask);
    let rows = sqlx::query!(
        r#"
        select m.id as "id: MemoryId", m.message_id as "message: MessageId", m.thread_id as "thread: ThreadId", t.title, m.role,
               m.author, m.said_at, coalesce(s.url, '') as "url!", m.text
        from memories m join threads t on t.id = m.thread_id join messages s on s.id = m.message_id
        where m.id = any($1) and m.owner = $2 and (m.shared or m.thread_id = $3) and ($4::uuid is null or m.thread_id = $4)
          and not ($5 and m.thread_id = $3 and ($6::uuid is null or m.run_id > $6) is true)
          and ($7::timestamptz is null or m.said_at >= $7) and ($8::timestamptz is null or m.said_at < $8)
          and ($9::text is null or lower(coalesce(m.author, '')) = lower($9))
          and (m.run_id = any($10)) is not true
          and not exists (
            select 1 from surfaces f join installations i on i.id = (f.place->>'installation')::bigint
            where f.thread_id = m.thread_id and i.gone
          )
        "#,
        ids as &[MemoryId],
        border.owner,
        border.own as ThreadId,
        border.only as Option<ThreadId>,
        border.hides_own,
        border.seen_after as Option<RunId>,
        border.period.since,
        border.period.until,
        border.by,
        border.seen_before as &[RunId],
    )
    .fetch_all(pool)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        id: row.id,
        message: row.message,
        thread: row.thread,
        title: row.title,
        role: row.role,
        author: row.author,
        said_at: row.said_at,
        url: row.url,
        text: row.text,
    });
    Ok(found.collect())
}

/// The passages with what was said right before and after each in its conversation, as far as it may be shown in this scope.
pub(super) async fn surround(pool: &PgPool, ask: &Ask, chosen: Vec<(Found, f64)>) -> Result<Vec<Passage>, sqlx::Error> {
    let border = Border::of(ask);
    let (before, after) = ask.around;
    let (threads, messages): (Vec<ThreadId>, Vec<MessageId>) =
        chosen.iter().map(|(found, _)| (found.thread, found.message)).unzip();
    let rows = sqlx::query!(
        r#"
        select w.message as "of!: MessageId", n.earlier as "earlier!", n.message_id as "message!: MessageId", n.role as "role!", n.author,
               n.said_at as "said_at!", coalesce(s.url, '') as "url!", n.text as "text!"
        from unnest($1::uuid[], $2::uuid[]) as w (thread, message), lateral (
            (select true as earlier, m.message_id, m.role, m.author, m.said_at, m.text from memories m
             where m.thread_id = w.thread and m.message_id < w.message and m.piece = 0 and m.owner = $3
               and (m.shared or m.thread_id = $4)
             order by m.message_id desc limit $5)
            union all
            (select false, m.message_id, m.role, m.author, m.said_at, m.text from memories m
             where m.thread_id = w.thread and m.message_id > w.message and m.piece = 0 and m.owner = $3
               and (m.shared or m.thread_id = $4)
             order by m.message_id limit $6)
        ) n join messages s on s.id = n.message_id
        order by n.message_id
        "#,
        &threads as &[ThreadId],
        &messages as &[MessageId],
        border.owner,
        border.own as ThreadId,
        i64::try_from(before).unwrap_or_default(),
        i64::try_from(after).unwrap_or_default(),
    )
    .fetch_all(pool)
    .await?;
    let mut around: HashMap<MessageId, (Vec<Neighbour>, Vec<Neighbour>)> = HashMap::new();
    for row in rows {
        let (before, after) = around.entry(row.of).or_default();
        let near = Neighbour {
            message: row.message,
            role: row.role,
            author: row.author,
            said_at: row.said_at,
            url: row.url,
            text: row.text,
        };
        if row.earlier { before.push(near) } else { after.push(near) }
    }
    let passages = chosen.into_iter().map(|(found, score)| {
        let (before, after) = around.remove(&found.message).unwrap_or_default();
        Passage {
            message: found.message,
            thread: found.thread,
            title: found.title,
            role: found.role,
            author: found.author,
            said_at: found.said_at,
            url: found.url,
            text: found.text,
            score,
            before,
            after,
        }
    });
    Ok(passages.collect())
}

/// Whose memory a conversation shares.
pub(super) async fn owner(pool: &PgPool, thread: ThreadId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select owner from threads where id = $1", thread as ThreadId).fetch_optional(pool).await
}
