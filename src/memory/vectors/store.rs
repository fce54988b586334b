//! The table of vectors.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::{Failing, State, bytes_of, signs_of};
use crate::id::MemoryId;
use crate::memory::{By, Filter, Reach, Scope};
use crate::model::ModelName;

/// What a batch cost: a share for each of its pieces, in order.
#[derive(Clone, Debug)]
pub struct Bill {
    /// As many as there are pieces.
    pub shares: Vec<Share>,
    /// The provider did not say; the figures are ours.
    pub estimated: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What one piece cost.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Tokens of its text.
    pub tokens: i64,
    /// None where the price is not known.
    pub cost_usd: Option<f64>,
}

/// Keeps the vectors of pieces, which have length 1 and one dimension, and puts what they cost on the bills of the runs they come from,
/// in one statement. A piece that is gone meanwhile is left out, and so is one that has a vector of this model already; they were
/// paid for all the same. Returns how many were new.
pub async fn keep(pool: &PgPool, model: &ModelName, vectors: &[(MemoryId, Vec<f32>)], bill: &Bill) -> Result<u64, sqlx::Error> {
    let ids: Vec<_> = vectors.iter().map(|(id, _)| id.0).collect();
    let bytes: Vec<Vec<u8>> = vectors.iter().map(|(_, vector)| bytes_of(vector)).collect();
    let signs: Vec<String> = vectors.iter().map(|(_, vector)| signs_of(vector)).collect();
    let dims: Vec<i16> = vectors.iter().map(|(_, vector)| i16::try_from(vector.len()).unwrap_or(i16::MAX)).collect();
    let tokens: Vec<i64> = bill.shares.iter().map(|share| share.tokens).collect();
    let costs: Vec<Option<f64>> = bill.shares.iter().map(|share| share.cost_usd).collect();
    let day = i32::try_from(bill.at.timestamp() / (24 * 60 * 60)).unwrap_or(i32::MAX);
    let kept = sqlx::query_scalar!(
        r#"
        with piece as (
            -- Locked, so that nobody deletes it before its vector is there to be deleted with it.
            select id, owner, thread_id, message_id, shared from memories where id = any($2) order by id for key share
        ), made as (
            insert into memory_vectors (memory_id, model, dims, owner, thread_id, shared, vector, signs)
            select piece.id, $1, v.dims, piece.owner, piece.thread_id, piece.shared, v.vector, v.signs::varbit
            from piece join unnest($2::uuid[], $3::smallint[], $4::bytea[], $5::text[]) as v (id, dims, vector, signs) on v.id = piece.id
            on conflict do nothing
            returning 1
        ), spent as (
            insert into ledger as l (run_id, step, purpose, requester, repository, model, input, cached, output, estimated, cost_usd, at)
            select r.id, $8, 'embedding', r.requester, r.repository, $1, sum(s.tokens)::bigint, 0, 0, $9, sum(s.cost_usd), $10
            from piece join unnest($2::uuid[], $6::bigint[], $7::float8[]) as s (id, tokens, cost_usd) on s.id = piece.id
            join messages m on m.id = piece.message_id join runs r on r.id = m.run_id
            group by r.id
            on conflict (run_id, step, purpose) do update
            set input = l.input + excluded.input, estimated = l.estimated or excluded.estimated, at = excluded.at,
                cost_usd = case when l.cost_usd is null then excluded.cost_usd else l.cost_usd + coalesce(excluded.cost_usd, 0) end
        )
        select count(*) as "made!" from made
        "#,
        model.to_string(),
        &ids,
        &dims,
        &bytes,
        &signs,
        &tokens,
        &costs as &[Option<f64>],
        day,
        bill.estimated,
        bill.at,
    )
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(kept).unwrap_or(0))
}

/// Removes the vectors of other models, a thousand at a time. Returns how many there were.
pub async fn forget_other_models(pool: &PgPool, model: &ModelName) -> Result<u64, sqlx::Error> {
    let mut gone = 0;
    loop {
        let removed = sqlx::query!(
            "delete from memory_vectors where ctid = any(array(select ctid from memory_vectors where model <> $1 limit 1000))",
            model.to_string(),
        );
        match removed.execute(pool).await?.rows_affected() {
            0 => return Ok(gone),
            removed => gone += removed,
        }
    }
}

/// Removes the vectors of the model that do not have this dimension.
pub async fn forget_other_dims(pool: &PgPool, model: &ModelName, dims: usize) -> Result<(), sqlx::Error> {
    let (model, dims) = (model.to_string(), i16::try_from(dims).unwrap_or(i16::MAX));
    sqlx::query!("delete from memory_vectors where model = $1 and dims <> $2", model, dims).execute(pool).await.map(drop)
}

/// How far the model that was adopted last is.
pub(super) async fn state(pool: &PgPool) -> Result<Option<State>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select model, dims, failure, failing_since, next_try_at,
               (select count(*) from memory_vectors v where v.model = e.model) as "done!",
               (select count(*) from memory_refusals r where r.model = e.model) as "refused!",
               (select count(*) from memories m
                where not exists (select from memory_vectors v where v.memory_id = m.id and v.model = e.model)
                  and not exists (select from memory_refusals r where r.memory_id = m.id and r.model = e.model)) as "due!"
        from embedding_models e order by adopted_at desc limit 1
        "#
    );
    let Some(row) = row.fetch_optional(pool).await? else { return Ok(None) };
    let failing =
        row.failure.zip(row.failing_since).map(|(reason, since)| Failing { reason, since, next_try_at: row.next_try_at });
    let dims = row.dims.and_then(|dims| usize::try_from(dims).ok());
    Ok(Some(State { model: row.model, dims, done: row.done, due: row.due, refused: row.refused, failing }))
}

/// How many vectors the scope has, counted up to `most`.
pub(super) async fn count(pool: &PgPool, scope: &Scope, model: &ModelName, dims: usize, most: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from (select from memory_vectors
              where model = $1 and dims = $2 and owner = $3 and (thread_id = $4 or (shared and $5)) limit $6) as counted
        "#,
        model.to_string(),
        i16::try_from(dims).unwrap_or(i16::MAX),
        scope.owner,
        scope.thread.0,
        scope.reach == Reach::Owner,
        most,
    )
    .fetch_one(pool)
    .await
}

/// Of the newest vectors of the scope those whose signs differ least from the query's, as they are stored. The newest are compared as they
/// are read: kept aside first, a hundred thousand of them would not fit into what a query may hold, and be written to disk. The query's signs
/// stand in a query of their own, or a plan for any parameters reads them out of their text for each piece anew.
pub(super) async fn likely(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    (newest, count): (i64, usize),
) -> Result<Vec<(MemoryId, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with likely as materialized (
            select memory_id
            from (select memory_id, signs from memory_vectors
                  where model = $1 and dims = $2 and owner = $3 and (thread_id = $4 or (shared and $5))
                  order by memory_id desc limit $8) as newest
            order by bit_count(signs # (select $6::text::varbit)) limit $7
        )
        select v.memory_id as "id: MemoryId", v.vector
        from likely join memory_vectors v on v.memory_id = likely.memory_id and v.model = $1
        "#,
        model.to_string(),
        i16::try_from(query.len()).unwrap_or(i16::MAX),
        scope.owner,
        scope.thread.0,
        scope.reach == Reach::Owner,
        signs_of(query),
        i64::try_from(count).unwrap_or(i64::MAX),
        newest,
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.vector)).collect())
}

/// The same of those alone that count, of so many of the newest pieces of that time.
pub(super) async fn likely_of(
    pool: &PgPool,
    (scope, filter): (&Scope, &Filter),
    model: &ModelName,
    query: &[f32],
    (newest, count): (i64, usize),
) -> Result<Vec<(MemoryId, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with late as (
            (select id, author from memories
             where $5 and owner = $3 and (shared or thread_id = $4)
               and said_at >= coalesce($9, '-infinity'::timestamptz) and said_at < coalesce($10, 'infinity'::timestamptz)
             order by said_at desc limit $8)
            union all
            (select id, author from memories
             where not $5 and thread_id = $4 and owner = $3
               and said_at >= coalesce($9, '-infinity'::timestamptz) and said_at < coalesce($10, 'infinity'::timestamptz)
             order by message_id desc limit $8)
        ), likely as materialized (
            select v.memory_id from late join memory_vectors v on v.memory_id = late.id and v.model = $1 and v.dims = $2
            where $11::text is null or lower(coalesce(late.author, '')) = lower($11)
            order by bit_count(v.signs # (select $6::text::varbit)) limit $7
        )
        select v.memory_id as "id: MemoryId", v.vector
        from likely join memory_vectors v on v.memory_id = likely.memory_id and v.model = $1
        "#,
        model.to_string(),
        i16::try_from(query.len()).unwrap_or(i16::MAX),
        scope.owner,
        scope.thread.0,
        scope.reach == Reach::Owner,
        signs_of(query),
        i64::try_from(count).unwrap_or(i64::MAX),
        newest,
        filter.period.since,
        filter.period.until,
        filter.by.as_ref().map(By::author),
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.vector)).collect())
}

/// Shows `each` every vector of the scope, in no order, as it is stored. Not by a checked macro: those copy each vector, and here the
/// bytes are read where they arrived.
pub(super) async fn scan(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    dims: usize,
    mut each: impl FnMut(MemoryId, &[u8]),
) -> Result<(), sqlx::Error> {
    let sql = match scope.reach {
        Reach::Thread => {
            "select memory_id, vector from memory_vectors where model = $1 and dims = $2 and owner = $3 and thread_id = $4"
        }
        Reach::Owner => {
            "select memory_id, vector from memory_vectors
             where model = $1 and dims = $2 and owner = $3 and (shared or thread_id = $4)"
        }
    };
    let query = sqlx::query(sql)
        .bind(model.to_string())
        .bind(i16::try_from(dims).unwrap_or(i16::MAX))
        .bind(&scope.owner)
        .bind(scope.thread.0);
    let mut rows = query.fetch(pool);
    while let Some(row) = rows.try_next().await? {
        show(&row, dims, &mut each)?;
    }
    Ok(())
}

fn show(row: &PgRow, dims: usize, each: &mut impl FnMut(MemoryId, &[u8])) -> Result<(), sqlx::Error> {
    let vector: &[u8] = row.try_get(1)?;
    if vector.len() == 4 * dims {
        each(row.try_get(0)?, vector);
    }
    Ok(())
}
