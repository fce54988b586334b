//! The table `branches`.
//!
//! Taking over what was made of words and forgetting words must not cross: what is copied while it is being forgotten would stay. Whoever
//! branches is alone with it for the moment it takes ([`begin`]); those who forget hold it together ([`hold`]) before they look for branches.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{Begun, MOST};
use crate::id::{RunId, ThreadId};
use crate::memory::observations::MOST_LINES;
use crate::memory::{forget, working};

type Tx<'t> = Transaction<'t, Postgres>;

/// Runs of others that a search leaves out at most: a history has room for fewer.
const IN_FRONT: i64 = 1_000;

/// Lets `thread` begin with what was said in `source` up to now. May be repeated; another source takes the place of the first while nothing
/// was asked for. In one transaction, in which nothing but the database is waited for.
///
/// # Errors
/// As the database.
pub async fn begin(pool: &PgPool, thread: ThreadId, source: ThreadId, now: DateTime<Utc>) -> Result<Begun, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtext('threadbox branch'))").execute(&mut *tx).await?;
    let Some(seen) = look(&mut tx, thread, source).await? else { return Ok(Begun::NotOurs) };
    let until = match seen.decide() {
        Ok(until) => until,
        Err(begun) => return Ok(begun),
    };
    part_in(&mut tx, thread).await?;
    refer(&mut tx, (thread, source), until, now).await?;
    take_over(&mut tx, thread, source).await?;
    working::store::take_over(&mut tx, source, thread, now).await?;
    tx.commit().await?;
    Ok(Begun::Begun)
}

/// What is known of the two before one begins with the other.
struct Look {
    already: bool,
    has_runs: bool,
    circular: bool,
    behind: i64,
    one_owner: bool,
    gone: bool,
    leaving: bool,
    knows: bool,
    until: Option<RunId>,
}

impl Look {
    fn decide(self) -> Result<RunId, Begun> {
        match self {
            Self { one_owner: false, .. } | Self { gone: true, .. } => Err(Begun::NotOurs),
            Self { already: true, .. } => Err(Begun::Begun),
            Self { has_runs: true, .. } => Err(Begun::HasRuns),
            Self { leaving: true, .. } => Err(Begun::Leaving),
            Self { circular: true, .. } => Err(Begun::Circular),
            Self { behind: MOST.., .. } => Err(Begun::TooFar),
            Self { knows: true, until: Some(until), .. } => Ok(until),
            Self { .. } => Err(Begun::Nothing),
        }
    }
}

/// A run counts when it is over for good, and so are all before it: one that a ceiling of money ended may go on.
async fn look(tx: &mut Tx<'_>, thread: ThreadId, source: ThreadId) -> Result<Option<Look>, sqlx::Error> {
    sqlx::query_as!(
        Look,
        r#"
        select exists (select 1 from branches where thread_id = $1 and source_id = $2 and steps_back = 1) as "already!",
            exists (select 1 from runs where thread_id = $1) as "has_runs!",
            s.id = h.id or exists (select 1 from branches where thread_id = $2 and source_id = $1) as "circular!",
            (select count(*) from branches where thread_id = $2) as "behind!",
            s.owner = h.owner as "one_owner!",
            exists (
                select 1 from surfaces f join installations i on i.id = (f.place->>'installation')::bigint
                where f.thread_id = $2 and i.gone
            ) as "gone!",
            exists (
                select 1 from forgettings f where f.done_at is null and (
                    f.what in ('thread', 'quotes') and f.key = s.id::text
                    or f.what = 'owner' and (f.key = s.owner or starts_with(s.owner, f.key || ':')))
            ) as "leaving!",
            exists (
                select 1 from histories o join runs r on r.thread_id = o.source_id and r.id <= o.until and r.state = 'posted'
                join messages m on m.thread_id = o.source_id and m.run_id = r.id and m.place_in_run is not null
                where o.thread_id = $2
            ) as "knows!",
            greatest(s.condensed_until, (
                select r.id from runs r where r.thread_id = $2 and r.id < coalesce((
                    select e.id from runs e where e.thread_id = $2 and (e.state <> 'posted' or
                        e.snapshot is not null and e.outcome->>'outcome' = 'limit'
                        and e.outcome->'limit'->>'kind' in ('cost', 'daily_cost', 'person_daily_cost', 'repository_daily_cost')
                        and not exists (select 1 from runs l where l.thread_id = $2 and l.id > e.id))
                    order by e.id limit 1
                ), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                order by r.id desc limit 1
            ), (
                select b.until from branches b where b.thread_id = $2 order by b.until desc limit 1
            )) as "until: RunId"
        from threads s, threads h where s.id = $2 and h.id = $1
        "#,
        thread as ThreadId,
        source as ThreadId,
    )
    .fetch_optional(&mut **tx)
    .await
}

async fn refer(
    tx: &mut Tx<'_>,
    (thread, source): (ThreadId, ThreadId),
    until: RunId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into branches (thread_id, source_id, until, steps_back, parted_at)
        select $1::uuid, $2::uuid, $3::uuid, 1, $4::timestamptz
        union all
        select $1, source_id, until, steps_back + 1, parted_at from branches where thread_id = $2
        "#,
        thread as ThreadId,
        source as ThreadId,
        until as RunId,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The cut and the observations up to it. One statement, so that they are of one moment.
async fn take_over(tx: &mut Tx<'_>, thread: ThreadId, source: ThreadId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with line as (
            insert into observations (id, thread_id, sequence, said_at, text, cites, created_at)
            select gen_random_uuid(), $1, o.sequence, o.said_at, o.text, o.cites, o.created_at
            from (select * from observations where thread_id = $2 and current order by sequence desc limit $3) o
        )
        update threads t set condensed_until = s.condensed_until, condensing_until = null, condensing_failures = 0, condense_at = null,
            uncondensed = (
                select coalesce(sum(r.size), 0) from histories h join runs r on r.thread_id = h.source_id and r.id <= h.until
                where h.thread_id = $1 and (s.condensed_until is null or r.id > s.condensed_until))
        from threads s where t.id = $1 and s.id = $2
        "#,
        thread as ThreadId,
        source as ThreadId,
        MOST_LINES,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The conversations that stand before one.
///
/// # Errors
/// As the database.
pub async fn sources(pool: &PgPool, thread: ThreadId) -> Result<Vec<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(r#"select source_id as "id: ThreadId" from branches where thread_id = $1"#, thread as ThreadId)
        .fetch_all(pool)
        .await
}

/// Takes from a conversation what it began with, if that was before `asked_at`; what was said in it stays. Idempotent.
///
/// # Errors
/// As the database.
pub async fn part(pool: &PgPool, thread: ThreadId, asked_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let begun = sqlx::query_scalar!(
        // Not only the conversation that was named: it may be gone, and what that one began with still be there.
        r#"select exists (select 1 from branches where thread_id = $1) and not exists (
               select 1 from branches where thread_id = $1 and steps_back = 1 and parted_at > $2) as "begun!""#,
        thread as ThreadId,
        asked_at,
    );
    if !begun.fetch_one(pool).await? {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    hold(&mut tx).await?;
    part_in(&mut tx, thread).await?;
    tx.commit().await
}

async fn part_in(tx: &mut Tx<'_>, thread: ThreadId) -> Result<(), sqlx::Error> {
    let done = sqlx::query!("delete from branches where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    forget::condense_again(tx, &[thread.0]).await?;
    sqlx::query!(
        r#"
        update working_memories w set version = version + 1, lines = coalesce((
            select jsonb_agg(line order by place) from jsonb_array_elements(w.lines) with ordinality as l (line, place)
            where exists (select 1 from messages m where m.thread_id = $1 and m.id::text = line->>'message')
        ), '[]')
        where scope = 'thread' and key = $2 and jsonb_typeof(w.lines) = 'array'
        "#,
        thread as ThreadId,
        thread.to_string(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// From here to the end of the transaction nothing is taken over into a branch, and every branch there is is found.
pub(in crate::memory) async fn hold(tx: &mut Tx<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock_shared(hashtext('threadbox branch'))").execute(&mut **tx).await?;
    Ok(())
}

/// The branches of where these messages were said, or these runs were. What they have of it is compared word by word; when they parted is
/// not, because clocks differ.
pub(in crate::memory) async fn in_view(tx: &mut Tx<'_>, messages: &[Uuid], runs: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select b.thread_id as "id!" from messages m join branches b on b.source_id = m.thread_id where m.id = any($1)
        union
        select b.thread_id from runs r join branches b on b.source_id = r.thread_id where r.id = any($2)
        "#,
        messages,
        runs,
    )
    .fetch_all(&mut **tx)
    .await
}

/// Nothing is left of a conversation: it stands before no other, and no other before it.
pub(in crate::memory) async fn forget(tx: &mut Tx<'_>, thread: ThreadId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from branches where thread_id = $1 or source_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    Ok(())
}

/// The runs of other conversations that a conversation has in front of it, the newest first.
pub(in crate::memory) async fn in_front(pool: &PgPool, thread: ThreadId) -> Result<(Option<RunId>, Vec<RunId>), sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select t.condensed_until as "cut: RunId", array(
            select r.id from branches b join runs r on r.thread_id = b.source_id and r.id <= b.until
            where b.thread_id = t.id and (t.condensed_until is null or r.id > t.condensed_until)
            order by r.id desc limit $2
        ) as "runs!: Vec<RunId>"
        from threads t where t.id = $1
        "#,
        thread as ThreadId,
        IN_FRONT,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| (row.cut, row.runs)).unwrap_or_default())
}
