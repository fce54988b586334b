//! How the things that buttons are about stand.

use sqlx::PgPool;
use sqlx::types::Json;

use crate::approval::State;
use crate::id::{ApprovalId, InboxId, RunId};
use crate::intake::{Place, Request};
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

/// A request that was given up, as far as its button goes.
#[derive(Debug)]
pub(in crate::discord) struct OfRequest {
    /// Its conversation on Discord.
    pub place: Place,
    /// As it was made.
    pub request: Request,
    /// Whether it is still given up.
    pub given_up: bool,
    /// Whether something newer of its conversation waits or works.
    pub busy: bool,
}

/// A request; none when it is not known (any more), or has no conversation on Discord.
pub(in crate::discord) async fn request(pool: &PgPool, inbox: InboxId, channel: i64) -> Result<Option<OfRequest>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select s.place as "place!: Json<Place>", i.request as "request: Json<Request>", i.state = 'dead' as "given_up!",
               exists (select 1 from inbox n where n.thread_id = i.thread_id and n.sequence > i.sequence and n.state = 'new')
               or exists (
                   select 1 from runs r join inbox n on n.id = r.inbox_id
                   where r.thread_id = i.thread_id and n.sequence > i.sequence and r.state in ('queued', 'running')
               ) as "busy!"
        from inbox i join lateral (
            select place from surfaces where thread_id = i.thread_id and surface = 'discord' order by key = $2 desc, key limit 1
        ) s on true
        where i.id = $1
        "#,
        inbox as InboxId,
        channel.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| OfRequest { place: row.place.0, request: row.request.0, given_up: row.given_up, busy: row.busy }))
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
