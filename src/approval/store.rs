//! The table `approvals`.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::{Continues, Covers, Decided, Digest, Kind, State};
use crate::id::{ApprovalId, InboxId, RunId, ThreadId};
use crate::intake::Trigger;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Names it for ever, such as `plan-<run>`; asked again under it, the first is found.
    pub key: &'a str,
    /// Where.
    pub thread: ThreadId,
    /// What.
    pub kind: Kind,
    /// The run that asks.
    pub run: Option<RunId>,
    /// What exactly.
    pub covers: &'a Covers,
    /// The run that begins with the yes, where one does. Others ask [`state`] under their key.
    pub continues: Option<&'a Continues>,
    /// Until when it may be given; [`super::OPEN_FOR`] from now is usual.
    pub expires_at: DateTime<Utc>,
}

/// Something that was asked for.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The name it was asked under.
    pub key: String,
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// What it is.
    pub kind: Kind,
    /// The run that asked.
    pub run: Option<RunId>,
    /// What exactly.
    pub covers: Covers,
    /// Names `covers`.
    pub digest: Digest,
    /// The run that begins with the yes.
    pub continues: Option<Continues>,
    /// The key of the comment it is shown in.
    pub post_key: Option<String>,
    /// What that comment says above the line about the approval; none until it is shown.
    pub shown: Option<String>,
    /// The surface's number of that comment.
    pub comment: Option<i64>,
    /// The first comment of the review thread that comment stands in, if it does.
    pub review_thread: Option<i64>,
    /// Where it stands.
    pub state: State,
    /// Why it is void.
    pub why: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// True when what it covers may have changed.
    pub suspect: bool,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

impl Approval {
    /// The comment that shows it; none until there is one.
    pub fn stands_at(&self) -> Option<Trigger> {
        let comment = self.comment?;
        Some(if self.review_thread.is_some() { Trigger::ReviewComment(comment) } else { Trigger::Comment(comment) })
    }
}

struct Row {
    id: ApprovalId,
    key: String,
    thread: ThreadId,
    kind: Kind,
    run: Option<RunId>,
    covers: Json<Covers>,
    digest: Digest,
    continues: Option<Json<Continues>>,
    post_key: Option<String>,
    shown: Option<String>,
    comment: Option<String>,
    review_thread: Option<i64>,
    state: State,
    why: Option<String>,
    decided_by: Option<String>,
    suspect: bool,
    asked_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<Row> for Approval {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            key: row.key,
            thread: row.thread,
            kind: row.kind,
            run: row.run,
            covers: row.covers.0,
            digest: row.digest,
            continues: row.continues.map(|continues| continues.0),
            post_key: row.post_key,
            shown: row.shown,
            comment: row.comment.and_then(|id| id.parse().ok()),
            review_thread: row.review_thread,
            state: row.state,
            why: row.why,
            decided_by: row.decided_by,
            suspect: row.suspect,
            asked_at: row.asked_at,
            expires_at: row.expires_at,
        }
    }
}

/// Which approvals are read.
#[derive(Clone, Copy, Debug, Default)]
struct Which<'a> {
    id: Option<ApprovalId>,
    key: Option<&'a str>,
    thread: Option<ThreadId>,
    comment: Option<i64>,
    run: Option<RunId>,
    inbox: Option<InboxId>,
    waiting: bool,
    untold: bool,
}

async fn read(pool: &PgPool, which: Which<'_>) -> Result<Vec<Approval>, sqlx::Error> {
    const MOST: i64 = 50;
    let rows = sqlx::query_as!(
        Row,
        r#"
        select a.id as "id: ApprovalId", a.key, a.thread_id as "thread: ThreadId", a.kind as "kind: Kind", a.run_id as "run: RunId",
               a.covers as "covers: Json<Covers>", a.digest as "digest: Digest", a.continues as "continues: Json<Continues>",
               a.post_key, a.shown, p.external_id as "comment?", p.review_thread as "review_thread?", a.state as "state: State", a.why, a.decided_by, a.suspect,
               a.asked_at, a.expires_at
        from approvals a left join posts p on p.key = a.post_key
        where ($1::uuid is null or a.id = $1) and ($2::text is null or a.key = $2) and ($3::uuid is null or a.thread_id = $3)
          and ($4::text is null or p.external_id = $4) and (not $5 or a.state = 'waiting')
          and (not $6 or (a.state <> 'waiting' and not a.told))
          and ($8::uuid is null or a.id = (select approval_id from runs where runs.id = $8))
          and ($9::uuid is null or a.decided_inbox = $9)
        -- Of many whose end cannot be told, none keeps the others from being told.
        order by case when $6 then random() end, a.asked_at, a.id limit $7
        "#,
        which.id as Option<ApprovalId>,
        which.key,
        which.thread as Option<ThreadId>,
        which.comment.map(|id| id.to_string()),
        which.waiting,
        which.untold,
        MOST,
        which.run as Option<RunId>,
        which.inbox as Option<InboxId>,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Approval::from).collect())
}

/// Asks; or finds what was asked under the key, whatever became of it. A kind that waits one at a time takes the place of what waited
/// in the thread.
///
/// # Errors
/// When the database does not answer.
pub async fn ask(pool: &PgPool, ask: Ask<'_>, now: DateTime<Utc>) -> Result<Approval, sqlx::Error> {
    sqlx::query!(
        r#"
        with asked as (
            insert into approvals (id, key, thread_id, kind, run_id, covers, digest, continues, asked_at, expires_at, asker_id)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12)
            on conflict (key) do nothing
            returning id, thread_id, kind
        )
        update approvals a set state = 'replaced', decided_at = $9 from asked
        where $11 and a.thread_id = asked.thread_id and a.kind = asked.kind and a.id <> asked.id and a.state = 'waiting'
        "#,
        ApprovalId::new() as ApprovalId,
        ask.key,
        ask.thread as ThreadId,
        ask.kind as Kind,
        ask.run as Option<RunId>,
        Json(ask.covers) as _,
        Digest::of(ask.kind, ask.thread, ask.covers) as Digest,
        ask.continues.map(Json) as _,
        now,
        ask.expires_at,
        ask.kind.is_one_at_a_time(),
        ask.continues.map(|continues| continues.request.author.id),
    )
    .execute(pool)
    .await?;
    find(pool, ask.key).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Records that people can see it, in the comment posted under `post_key`, which says `shown` above the line about the approval. From
/// now on it can be approved, and reactions on the comment are looked for. Idempotent.
///
/// # Errors
/// When the database does not answer.
pub async fn shown(pool: &PgPool, id: ApprovalId, post_key: &str, shown: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with done as (
            update approvals set post_key = $2, shown = $3 where id = $1 and state = 'waiting' returning post_key
        )
        update posts set look_at = coalesce(look_at, $4) from done where posts.key = done.post_key
        "#,
        id as ApprovalId,
        post_key,
        shown,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What waits in a thread, oldest first, at most fifty. What is not shown yet is among it.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(pool: &PgPool, thread: ThreadId, now: DateTime<Utc>) -> Result<Vec<Approval>, sqlx::Error> {
    let mut all = read(pool, Which { thread: Some(thread), waiting: true, ..Which::default() }).await?;
    all.retain(|approval| approval.expires_at > now);
    Ok(all)
}

/// What was asked for under a key.
///
/// # Errors
/// When the database does not answer.
pub async fn find(pool: &PgPool, key: &str) -> Result<Option<Approval>, sqlx::Error> {
    Ok(read(pool, Which { key: Some(key), ..Which::default() }).await?.pop())
}

/// One approval.
///
/// # Errors
/// When the database does not answer.
pub async fn get(pool: &PgPool, id: ApprovalId) -> Result<Option<Approval>, sqlx::Error> {
    Ok(read(pool, Which { id: Some(id), ..Which::default() }).await?.pop())
}

/// The approval that let a run begin; none when it needed none.
///
/// # Errors
/// When the database does not answer.
pub async fn of_run(pool: &PgPool, run: RunId) -> Result<Option<Approval>, sqlx::Error> {
    Ok(read(pool, Which { run: Some(run), ..Which::default() }).await?.pop())
}

/// The approval that a request has decided.
///
/// # Errors
/// When the database does not answer.
pub async fn decided_with(pool: &PgPool, inbox: InboxId) -> Result<Option<Approval>, sqlx::Error> {
    Ok(read(pool, Which { inbox: Some(inbox), ..Which::default() }).await?.pop())
}

/// The newest approval of a thread, whatever became of it.
///
/// # Errors
/// When the database does not answer.
pub async fn newest(pool: &PgPool, thread: ThreadId) -> Result<Option<Approval>, sqlx::Error> {
    let id = sqlx::query_scalar!(
        r#"select id as "id: ApprovalId" from approvals where thread_id = $1 order by asked_at desc, id desc limit 1"#,
        thread as ThreadId,
    )
    .fetch_optional(pool)
    .await?;
    match id {
        Some(id) => get(pool, id).await,
        None => Ok(None),
    }
}

/// What is shown in a comment of ours in a thread; the newest, where there are several.
///
/// # Errors
/// When the database does not answer.
pub async fn in_comment(pool: &PgPool, thread: ThreadId, comment: i64) -> Result<Option<Approval>, sqlx::Error> {
    Ok(read(pool, Which { thread: Some(thread), comment: Some(comment), ..Which::default() }).await?.pop())
}

/// Those whose comments do not say yet how they ended, at most fifty; when there are more, other ones each time.
///
/// # Errors
/// When the database does not answer.
pub async fn untold(pool: &PgPool) -> Result<Vec<Approval>, sqlx::Error> {
    read(pool, Which { untold: true, ..Which::default() }).await
}

/// The comment says how it ended, or never will.
///
/// # Errors
/// When the database does not answer.
pub async fn told(pool: &PgPool, id: ApprovalId) -> Result<(), sqlx::Error> {
    sqlx::query!("update approvals set told = true, suspect = false where id = $1", id as ApprovalId).execute(pool).await?;
    Ok(())
}

/// Where what was asked for under a key stands; none when nothing was.
///
/// # Errors
/// When the database does not answer.
pub async fn state(pool: &PgPool, key: &str) -> Result<Option<State>, sqlx::Error> {
    sqlx::query_scalar!(r#"select state as "state: State" from approvals where key = $1"#, key).fetch_optional(pool).await
}

/// What somebody without permission has asked for lately.
#[derive(Clone, Copy, Debug)]
pub struct OutsiderUse {
    /// Requests in this thread since `hour` that are not void.
    pub in_thread: i64,
    /// All of them in this thread since `hour`.
    pub all_in_thread: i64,
    /// Requests anywhere since `day`.
    pub anywhere: i64,
}

/// What a person without permission has asked for in this thread since `hour`, and anywhere since `day`.
///
/// # Errors
/// When the database does not answer.
pub async fn outsider_use(
    pool: &PgPool,
    person: i64,
    thread: ThreadId,
    hour: DateTime<Utc>,
    day: DateTime<Utc>,
) -> Result<OutsiderUse, sqlx::Error> {
    sqlx::query_as!(
        OutsiderUse,
        r#"
        select count(*) filter (where thread_id = $2 and asked_at > $3 and state <> 'void') as "in_thread!",
               count(*) filter (where thread_id = $2 and asked_at > $3) as "all_in_thread!", count(*) as "anywhere!"
        from approvals where kind = 'outsider' and asker_id = $1 and asked_at > $4
        "#,
        person,
        thread as ThreadId,
        hour,
        day,
    )
    .fetch_one(pool)
    .await
}

/// What a message that was edited or deleted may be covered by is looked at soon; the notification is only a hint.
///
/// # Errors
/// When the database does not answer.
pub async fn suspect(pool: &PgPool, surface: &str, key: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with suspected as (
            update approvals a set suspect = true from surfaces s
            where s.surface = $1 and s.key = $2 and a.thread_id = s.thread_id and a.state = 'waiting' and a.kind = 'outsider'
            returning a.post_key
        )
        update posts set look_at = $3 from suspected where posts.key = suspected.post_key
        "#,
        surface,
        key,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What was suspected was looked at.
///
/// # Errors
/// When the database does not answer.
pub async fn cleared(pool: &PgPool, id: ApprovalId) -> Result<(), sqlx::Error> {
    sqlx::query!("update approvals set suspect = false where id = $1", id as ApprovalId).execute(pool).await?;
    Ok(())
}

/// Who decides, and with which request.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Their login.
    pub login: &'a str,
    /// The surface's number of the person.
    pub id: i64,
    /// The inbox row that carries the decision; the same again finds its own decision.
    pub inbox: InboxId,
}

/// Says yes. Whether the person may was looked up before. Of many at once one gets [`Decided::Yes`].
///
/// # Errors
/// When the database does not answer.
pub async fn decide(
    pool: &PgPool,
    id: ApprovalId,
    digest: &Digest,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<Decided, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with decided as (
            update approvals set state = 'approved', decided_by = $3, decided_by_id = $4, decided_inbox = $5, decided_at = $6
            where id = $1 and digest = $2 and state = 'waiting' and expires_at > $6 and shown is not null
            returning id
        )
        select a.state as "state: State", a.digest = $2 as "same!", a.decided_inbox = $5 as ours,
               exists (select 1 from decided) as "now!"
        from approvals a where a.id = $1
        "#,
        id as ApprovalId,
        digest as &Digest,
        by.login,
        by.id,
        by.inbox as InboxId,
        now,
    )
    .fetch_optional(pool)
    .await?;
    Ok(match row {
        None => Decided::AlreadyDecided(State::Void),
        Some(row) if row.now => Decided::Yes,
        Some(row) if !row.same => Decided::Changed,
        Some(row) if row.state == State::Approved && row.ours == Some(true) => Decided::Yes,
        Some(row) if row.state == State::Waiting => Decided::AlreadyDecided(State::Expired),
        Some(row) => Decided::AlreadyDecided(row.state),
    })
}

/// Says no. True when that was this call's doing, or that of the same request before.
///
/// # Errors
/// When the database does not answer.
pub async fn decline(pool: &PgPool, id: ApprovalId, by: By<'_>, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        update approvals set state = 'declined', decided_by = $2, decided_by_id = $3, decided_inbox = $4, decided_at = $5
        where id = $1 and (state = 'waiting' or (state = 'declined' and decided_inbox = $4))
        "#,
        id as ApprovalId,
        by.login,
        by.id,
        by.inbox as InboxId,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What it covers is no longer what is there; `why` is a sentence for people.
/// Only what waits changes.
///
/// # Errors
/// When the database does not answer.
pub async fn void(pool: &PgPool, id: ApprovalId, why: &str, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update approvals set state = 'void', why = $2, decided_at = $3 where id = $1 and state = 'waiting'",
        id as ApprovalId,
        why,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What waits of a kind in a thread gives way, because there is nothing to approve any more.
///
/// # Errors
/// When the database does not answer.
pub async fn give_way(pool: &PgPool, thread: ThreadId, kind: Kind, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update approvals set state = 'replaced', decided_at = $3 where thread_id = $1 and kind = $2 and state = 'waiting'",
        thread as ThreadId,
        kind as Kind,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What a run asked for and nobody was shown yet.
///
/// # Errors
/// When the database does not answer.
pub async fn unshown(pool: &PgPool, thread: ThreadId, run: RunId, kind: Kind) -> Result<Vec<Approval>, sqlx::Error> {
    let mut all = read(pool, Which { thread: Some(thread), waiting: true, ..Which::default() }).await?;
    all.retain(|approval| approval.run == Some(run) && approval.kind == kind && approval.shown.is_none());
    Ok(all)
}

/// Ends those that nobody decided in time.
///
/// # Errors
/// When the database does not answer.
pub async fn expire(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("update approvals set state = 'expired', decided_at = $1 where state = 'waiting' and expires_at <= $1", now)
        .execute(pool)
        .await?;
    Ok(())
}
