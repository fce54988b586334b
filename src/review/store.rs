//! The tables `reviews` and `findings`. Every write of a run is fenced by the lease it is held with and says whether it took effect.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::finding::Kept;
use crate::id::{LeaseEpoch, RunId};

/// Findings of a pull request that are looked at.
const MOST_EARLIER: i64 = 500;

/// The lease a run is held with.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub run: RunId,
    pub epoch: LeaseEpoch,
}

/// What a review is of.
#[derive(Clone, Debug)]
pub struct Of<'a> {
    pub repository: i64,
    pub number: i64,
    pub commit: &'a str,
    pub digest: &'a str,
    pub files: i32,
}

/// How far a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReviewStage {
    /// Findings are collected.
    Open,
    /// It is decided what is posted; it may be there already.
    Sending,
    /// It is over.
    Done,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum FindingState {
    /// Kept until the end of the run.
    Kept,
    /// People see it.
    Posted,
    /// An earlier review said it.
    Repeated,
    /// Its code changed.
    Resolved,
    /// No longer said.
    Withdrawn,
    /// People do not want it.
    Dismissed,
}

/// A review as it is recorded.
#[derive(Clone, Debug)]
pub struct ReviewRow {
    pub commit: String,
    pub files: i32,
    pub state: ReviewStage,
    pub plan: Option<serde_json::Value>,
    pub told: Option<String>,
    /// GitHub's number of what was posted.
    pub external_id: Option<i64>,
}

/// A finding as it is recorded.
#[derive(Clone, Debug)]
pub struct FindingRow {
    pub id: Uuid,
    pub path: String,
    pub fingerprint: String,
    pub state: FindingState,
    pub data: Kept,
    pub comment: Option<i64>,
}

/// A review that was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    pub commit: String,
    pub digest: String,
    pub external_id: Option<i64>,
}

/// Begins the review of a run. Finds it when it was begun before, as it was begun.
pub async fn begin(pool: &PgPool, lease: Lease, of: &Of<'_>, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query_scalar!(
        r#"
        insert into reviews (run_id, repository_id, number, commit, digest, files, created_at, updated_at)
        select r.id, $3, $4, $5, $6, $7, $8, $8 from runs r where r.id = $1 and r.lease_epoch = $2
        on conflict (run_id) do update set updated_at = excluded.updated_at
        returning run_id as "run: RunId"
        "#,
        lease.run as RunId,
        lease.epoch as LeaseEpoch,
        of.repository,
        of.number,
        of.commit,
        of.digest,
        of.files,
        now,
    )
    .fetch_optional(pool)
    .await?;
    Ok(begun.is_some())
}

/// The review of a run.
pub async fn review(pool: &PgPool, run: RunId) -> Result<Option<ReviewRow>, sqlx::Error> {
    sqlx::query_as!(
        ReviewRow,
        r#"select commit, files, state as "state: ReviewStage", plan, told, external_id from reviews where run_id = $1"#,
        run as RunId,
    )
    .fetch_optional(pool)
    .await
}

/// Keeps a finding of a run; the same again replaces it.
pub async fn keep(pool: &PgPool, lease: Lease, fingerprint: &str, kept: &Kept, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "
        insert into findings (id, run_id, repository_id, number, path, fingerprint, data, created_at)
        select $3, v.run_id, v.repository_id, v.number, $4, $5, $6, $7
        from reviews v join runs r on r.id = v.run_id
        where v.run_id = $1 and r.lease_epoch = $2 and v.state = 'open'
        on conflict (run_id, path, fingerprint) do update
            set data = case when findings.state = 'kept' then excluded.data else findings.data end
        ",
        lease.run as RunId,
        lease.epoch as LeaseEpoch,
        Uuid::now_v7(),
        kept.path,
        fingerprint,
        Json(kept) as _,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

macro_rules! finding_row {
    ($row:expr) => {{
        let row = $row;
        FindingRow {
            id: row.id,
            path: row.path,
            fingerprint: row.fingerprint,
            state: row.state,
            data: row.data.0,
            comment: row.comment_id,
        }
    }};
}
/// The findings of a run, oldest first.
pub async fn findings(pool: &PgPool, run: RunId) -> Result<Vec<FindingRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, path, fingerprint, state as "state: FindingState", data as "data: Json<Kept>", comment_id
        from findings where run_id = $1 order by id
        "#,
        run as RunId,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| finding_row!(row)).collect())
}

/// What earlier reviews of the pull request said, oldest first.
pub async fn earlier(pool: &PgPool, run: Option<RunId>, repository: i64, number: i64) -> Result<Vec<FindingRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, path, fingerprint, state as "state: FindingState", data as "data: Json<Kept>", comment_id
        from findings
        where repository_id = $2 and number = $3 and run_id is distinct from $1 and state in ('posted', 'dismissed')
        order by id desc limit $4
        "#,
        run as Option<RunId>,
        repository,
        number,
        MOST_EARLIER,
    )
    .fetch_all(pool)
    .await?;
    let mut rows: Vec<FindingRow> = rows.into_iter().map(|row| finding_row!(row)).collect();
    rows.reverse();
    Ok(rows)
}

/// The last review of the pull request that looked at all of it.
pub async fn last(pool: &PgPool, run: Option<RunId>, repository: i64, number: i64) -> Result<Option<Posted>, sqlx::Error> {
    sqlx::query_as!(
        Posted,
        "
        select commit, digest, external_id from reviews
        where repository_id = $2 and number = $3 and run_id is distinct from $1 and state = 'done' and complete
        order by created_at desc limit 1
        ",
        run as Option<RunId>,
        repository,
        number,
    )
    .fetch_optional(pool)
    .await
}

/// Writes down what is to be posted, before it is.
pub async fn plan(pool: &PgPool, lease: Lease, plan: &(impl Serialize + Sync), now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "
        update reviews set state = 'sending', plan = $3, updated_at = $4
        where run_id = $1 and state <> 'done' and exists (select 1 from runs where id = $1 and lease_epoch = $2)
        ",
        lease.run as RunId,
        lease.epoch as LeaseEpoch,
        serde_json::to_value(plan).unwrap_or_default(),
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Reads a plan back.
pub fn planned<T: DeserializeOwned>(row: &ReviewRow) -> Option<T> {
    serde_json::from_value(row.plan.clone()?).ok()
}

/// Records what became of findings: their new state, and their comments where they have some.
pub async fn settle(pool: &PgPool, lease: Lease, settled: &[(Uuid, FindingState, Option<i64>)]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = settled.iter().map(|(id, _, _)| *id).collect();
    let states: Vec<String> = settled.iter().map(|(_, state, _)| word(*state).to_owned()).collect();
    let comments: Vec<Option<i64>> = settled.iter().map(|(_, _, comment)| *comment).collect();
    sqlx::query!(
        "
        update findings f set state = s.state, comment_id = coalesce(s.comment_id, f.comment_id)
        from unnest($3::uuid[], $4::text[], $5::bigint[]) as s (id, state, comment_id)
        where f.id = s.id and exists (select 1 from runs where id = $1 and lease_epoch = $2)
        ",
        lease.run as RunId,
        lease.epoch as LeaseEpoch,
        &ids,
        &states,
        &comments as &[Option<i64>],
    )
    .execute(pool)
    .await?;
    Ok(())
}

fn word(state: FindingState) -> &'static str {
    match state {
        FindingState::Kept => "kept",
        FindingState::Posted => "posted",
        FindingState::Repeated => "repeated",
        FindingState::Resolved => "resolved",
        FindingState::Withdrawn => "withdrawn",
        FindingState::Dismissed => "dismissed",
    }
}

/// Ends the review: what the answer tells of it, and whether all was looked at.
pub async fn end(
    pool: &PgPool,
    lease: Lease,
    told: &str,
    external_id: Option<i64>,
    complete: bool,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update reviews set state = 'done', told = $3, external_id = coalesce($4, external_id), complete = $5, updated_at = $6
        where run_id = $1 and exists (select 1 from runs where id = $1 and lease_epoch = $2)
        ",
        lease.run as RunId,
        lease.epoch as LeaseEpoch,
        told,
        external_id,
        complete,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}
