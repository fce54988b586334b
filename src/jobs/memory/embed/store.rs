//! What is due, who is at it, and how it goes.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::id::MemoryId;
use crate::model::ModelName;

/// A piece without a vector.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: MemoryId,
    pub(super) text: String,
}

/// How the model stands.
#[derive(Debug)]
pub(super) struct Standing {
    /// No other was adopted later.
    pub(super) newest: bool,
    /// Pieces made before have their vectors. None: all are to be looked through.
    pub(super) complete_until: Option<DateTime<Utc>>,
    pub(super) failures: i32,
    pub(super) failure: Option<String>,
    pub(super) next_try_at: Option<DateTime<Utc>>,
    /// When this was read, by the database's clock.
    pub(super) seen_at: DateTime<Utc>,
}

/// Makes the model the one at work: what it has no vectors of is due, at once.
pub(crate) async fn adopt(pool: &PgPool, model: &ModelName) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into embedding_models (model, adopted_at) values ($1, clock_timestamp())
         on conflict (model) do update set adopted_at = clock_timestamp(), complete_until = null, next_try_at = null",
        model.to_string(),
    )
    .execute(pool)
    .await
    .map(drop)
}

/// None before the model is adopted.
pub(super) async fn look(pool: &PgPool, model: &ModelName) -> Result<Option<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"
        select adopted_at >= (select max(adopted_at) from embedding_models) as "newest!",
               -- Once an hour all are looked through, in case an id was made by a clock that was far off.
               case when looked_at > now() - interval '1 hour' then complete_until end as complete_until,
               failures, failure, next_try_at, now() as "seen_at!"
        from embedding_models where model = $1
        "#,
        model.to_string(),
    )
    .fetch_optional(pool)
    .await
}

/// Pieces without a vector of the model, the newest first: with ids from `floor` on and before `before`.
pub(super) async fn due(
    pool: &PgPool,
    model: &ModelName,
    floor: Uuid,
    before: Uuid,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        r#"
        select m.id as "id: MemoryId", m.text
        from memories m
        where m.id >= $2 and m.id < $3
          and not exists (select from memory_vectors v where v.memory_id = m.id and v.model = $1)
          and not exists (select from memory_refusals r where r.memory_id = m.id and r.model = $1)
        order by m.id desc limit $4
        "#,
        model.to_string(),
        floor,
        before,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Two minutes for `holder`, from now; again as often as it likes. False when another is at it.
pub(super) async fn claim(pool: &PgPool, model: &ModelName, holder: &str) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query!(
        "update embedding_models set holder = $2, claimed_until = clock_timestamp() + interval '2 minutes'
         where model = $1 and (holder is null or holder = $2 or claimed_until < clock_timestamp())",
        model.to_string(),
        holder,
    );
    Ok(claimed.execute(pool).await?.rows_affected() > 0)
}

/// Others may begin.
pub(super) async fn release(pool: &PgPool, model: &ModelName, holder: &str) -> Result<(), sqlx::Error> {
    let released = sqlx::query!(
        "update embedding_models set holder = null, claimed_until = null where model = $1 and holder = $2",
        model.to_string(),
        holder
    );
    released.execute(pool).await.map(drop)
}

/// Notes how long the model's vectors are. True when they were of another length before; then everything is due again.
pub(super) async fn measure(pool: &PgPool, model: &ModelName, dims: usize) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query_scalar!(
        r#"
        update embedding_models e set dims = $2, complete_until = case when before.dims is null then e.complete_until end
        from (select model, dims from embedding_models where model = $1) as before
        where e.model = before.model and e.dims is distinct from $2
        returning before.dims is not null as "changed!"
        "#,
        model.to_string(),
        i16::try_from(dims).unwrap_or(i16::MAX),
    );
    Ok(changed.fetch_optional(pool).await?.unwrap_or(false))
}

/// Numbers in the model's vectors; none before the first.
pub(super) async fn dims(pool: &PgPool, model: &ModelName) -> Result<Option<usize>, sqlx::Error> {
    let dims = sqlx::query_scalar!("select dims from embedding_models where model = $1", model.to_string());
    Ok(dims.fetch_optional(pool).await?.flatten().and_then(|dims| usize::try_from(dims).ok()))
}

/// Everything made before `until` has its vector.
pub(super) async fn complete(pool: &PgPool, model: &ModelName, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let complete = sqlx::query!(
        "update embedding_models
         set looked_at = case when complete_until is null or looked_at < now() - interval '1 hour' then now() else looked_at end,
             complete_until = $2
         where model = $1",
        model.to_string(),
        until,
    );
    complete.execute(pool).await.map(drop)
}

/// It goes on at `next_try_at`.
pub(super) async fn fail(
    pool: &PgPool,
    model: &ModelName,
    reason: &str,
    now: DateTime<Utc>,
    next_try_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let failed = sqlx::query!(
        "update embedding_models
         set failures = failures + 1, failure = $2, failing_since = coalesce(failing_since, $3), next_try_at = $4
         where model = $1",
        model.to_string(),
        reason,
        now,
        next_try_at,
    );
    failed.execute(pool).await.map(drop)
}

/// It works again.
pub(super) async fn heal(pool: &PgPool, model: &ModelName) -> Result<(), sqlx::Error> {
    let healed = sqlx::query!(
        "update embedding_models set failures = 0, failure = null, failing_since = null, next_try_at = null where model = $1",
        model.to_string(),
    );
    healed.execute(pool).await.map(drop)
}

/// The model will not take this piece.
pub(super) async fn refuse(
    pool: &PgPool,
    model: &ModelName,
    piece: MemoryId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let refused = sqlx::query!(
        "insert into memory_refusals (memory_id, model, reason, at)
         select id, $2, $3, $4 from memories where id = $1 for key share
         on conflict do nothing",
        piece as MemoryId,
        model.to_string(),
        reason,
        now,
    );
    refused.execute(pool).await.map(drop)
}

/// What earlier models refused, and how they did.
pub(super) async fn forget_other_models(pool: &PgPool, model: &ModelName) -> Result<(), sqlx::Error> {
    let model = model.to_string();
    sqlx::query!("delete from memory_refusals where model <> $1", model).execute(pool).await?;
    let others = sqlx::query!(
        "delete from embedding_models
         where model <> $1 and adopted_at < (select adopted_at from embedding_models where model = $1)",
        model
    );
    others.execute(pool).await.map(drop)
}
