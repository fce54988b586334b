//! How the things that buttons are about stand.

use sqlx::PgPool;
use sqlx::types::Json;

use crate::approval::State;
use crate::id::{ApprovalId, RunId};
use crate::intake::Place;
use crate::reply::Outcome;

/// A run, as far as its buttons go.
#[derive(Debug)]
pub(in crate::discord) struct OfRun {
    /// Its conversation on Discord; in the channel it was pressed in, where there are several.
    pub place: Place,
    /// Whether it waits or works.
    pub unfinished: bool,
    /// Whether no other began after it.
    pub newest: bool,
    /// Whether one that began after it is not over.
    pub busy: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// An approval, as far as its buttons go.
#[derive(Debug)]
pub(in crate::discord) struct OfApproval {
    /// Its conversation on Discord.
    pub place: Place,
    /// Where it stands.
    pub state: State,
}

/// A run; none when it is not known (any more), or has no conversation on Discord.
pub(in crate::discord) async fn run(pool: &PgPool, run: RunId, channel: i64) -> Result<Option<OfRun>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select s.place as "place!: Json<Place>", r.state in ('queued', 'running') as "unfinished!",
               r.outcome as "outcome: Json<Outcome>",
               not exists (select 1 from runs n where n.thread_id = r.thread_id and n.id > r.id) as "newest!",
               exists (
                   select 1 from runs n where n.thread_id = r.thread_id and n.id > r.id and n.state in ('queued', 'running')
               ) as "busy!"
        from runs r join lateral (
            select place from surfaces where thread_id = r.thread_id and surface = 'discord' order by key = $2 desc, key limit 1
        ) s on true
        where r.id = $1 and r.forgotten_at is null
        "#,
        run as RunId,
        channel.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| OfRun {
        place: row.place.0,
        unfinished: row.unfinished,
        newest: row.newest,
        busy: row.busy,
        outcome: row.outcome.map(|outcome| outcome.0),
    }))
}

/// An approval; none when it is not known (any more), or has no conversation on Discord.
pub(in crate::discord) async fn approval(
    pool: &PgPool,
    approval: ApprovalId,
    channel: i64,
) -> Result<Option<OfApproval>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select s.place as "place!: Json<Place>", a.state as "state: State"
        from approvals a join lateral (
            select place from surfaces where thread_id = a.thread_id and surface = 'discord' order by key = $2 desc, key limit 1
        ) s on true
        where a.id = $1
        "#,
        approval as ApprovalId,
        channel.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| OfApproval { place: row.place.0, state: row.state }))
}
