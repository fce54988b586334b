//! The table `forgettings`: what was asked, what is due, and how far it is.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{Person, Target, Words};
use crate::id::{RunId, ThreadId};
use crate::intake::{Place, Surface};

/// How long a claim holds; one step takes far less.
const HOLD: TimeDelta = TimeDelta::minutes(5);

/// How far the clock of a surface and ours may be apart.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// What asking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is written down.
    New,
    /// It was asked before and is not done yet; it covers what was said since.
    Again,
}

/// Why something is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody wants it; it may be there on its surface.
    Wanted,
    /// It is gone from its surface: what was written there before can only arrive late.
    Gone,
}

/// Writes down what is to be forgotten, once, and takes from memory what can be taken at once: nothing of a message, a thread or a person
/// is found again from now on; for an owner see [`hides_owner`]. Idempotent.
///
/// # Errors
/// As the database.
pub async fn ask(pool: &PgPool, target: &Target, why: Why, by: &str, now: DateTime<Utc>) -> Result<Asked, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let asked = ask_why(&mut tx, target, why, by, now).await?;
    tx.commit().await?;
    Ok(asked)
}

pub(super) async fn ask_in(
    tx: &mut Transaction<'_, Postgres>,
    target: &Target,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Asked, sqlx::Error> {
    ask_why(tx, target, Why::Wanted, by, now).await
}

async fn ask_why(
    tx: &mut Transaction<'_, Postgres>,
    target: &Target,
    why: Why,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Asked, sqlx::Error> {
    let new = sqlx::query_scalar!(
        r#"
        insert into forgettings as f (id, what, key, login, asked_by, asked_at, gone, next_try_at)
        values ($1, $2, $3, $4, $5, $6, $7, $6)
        on conflict (what, key) where done_at is null do update set
            asked_at = greatest(f.asked_at, excluded.asked_at), next_try_at = least(f.next_try_at, excluded.next_try_at),
            gone = f.gone or excluded.gone, login = coalesce(f.login, excluded.login), cursor = null
        returning id = $1 as "new!"
        "#,
        Uuid::now_v7(),
        target.what(),
        target.key(),
        target.login(),
        by,
        now,
        why == Why::Gone,
    )
    .fetch_one(&mut **tx)
    .await?;
    hide(tx, target, now).await?;
    Ok(if new { Asked::New } else { Asked::Again })
}

async fn hide(tx: &mut Transaction<'_, Postgres>, target: &Target, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    match target {
        Target::Message(object) | Target::Edited(object) => {
            sqlx::query!(
                "delete from memories using inbox i where i.object = $1 and memories.message_id = i.message_id and memories.said_at <= $2",
                object,
                now,
            )
            .execute(&mut **tx)
            .await?;
        }
        Target::Thread(thread) => {
            sqlx::query!("delete from memories where thread_id = $1 and said_at <= $2", *thread as ThreadId, now)
                .execute(&mut **tx)
                .await?;
        }
        Target::Person(Person { id: Some(id), .. }) => {
            sqlx::query!(
                "delete from memories using messages m where m.author_id = $1 and m.forgotten_at is null and m.created_at <= $2
                   and memories.message_id = m.id",
                id,
                now,
            )
            .execute(&mut **tx)
            .await?;
        }
        Target::Words(Words { author, thread, .. }) => {
            sqlx::query!(
                "delete from memories using messages m where m.author_id = $1 and m.forgotten_at is null and m.created_at <= $2
                   and ($3::uuid is null or m.thread_id = $3) and memories.message_id = m.id",
                author,
                now,
                *thread as Option<ThreadId>,
            )
            .execute(&mut **tx)
            .await?;
        }
        // An owner has too much of it for one statement; the others are what comes after words that are gone already.
        Target::Person(_) | Target::Owner(_) | Target::Answer(_) | Target::Quotes(_) => {}
    }
    Ok(())
}

/// An installation is gone: all owners whose conversations are known under it are to be forgotten. Returns how many there are.
///
/// # Errors
/// As the database.
pub async fn installation_gone(pool: &PgPool, installation: i64, by: &str, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let owners = sqlx::query_scalar!(
        "select distinct t.owner from surfaces s join threads t on t.id = s.thread_id where s.place->>'installation' = $1::bigint::text",
        installation,
    )
    .fetch_all(pool)
    .await?;
    for owner in &owners {
        ask(pool, &Target::Owner(owner.clone()), Why::Gone, by, now).await?;
    }
    Ok(owners.len())
}

/// A guild was left: it and those of its channels that have a memory of their own are to be forgotten. Of threads that belong to somebody
/// else, only what was said in the guild. Returns how many owners there are.
///
/// # Errors
/// As the database.
pub async fn guild_gone(pool: &PgPool, guild: i64, by: &str, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let owner = format!("discord:{guild}");
    let owners = sqlx::query_scalar!(
        r#"select owner as "owner!" from threads where owner = $1 or starts_with(owner, $1 || ':')
           union select key from working_memories where scope = 'owner' and (key = $1 or starts_with(key, $1 || ':'))"#,
        owner,
    )
    .fetch_all(pool)
    .await?;
    for owner in &owners {
        ask(pool, &Target::Owner(owner.clone()), Why::Gone, by, now).await?;
    }
    let elsewhere = sqlx::query_scalar!(
        r#"select s.place as "place: Json<Place>" from surfaces s join threads t on t.id = s.thread_id
           where s.surface = 'discord' and s.place->>'guild' = $1::bigint::text and not t.owner = any($2)"#,
        guild,
        &owners,
    )
    .fetch_all(pool)
    .await?;
    for place in elsewhere {
        // Not for good, as when the conversation itself is gone: we may be invited again.
        ask_conversation(pool, &place.0, Why::Gone, by, now).await?;
    }
    Ok(owners.len())
}

/// We are in a guild again since then: what is said there from now on is no late arrival of what was said before we left. A minute is
/// allowed for, because Discord's clock and ours differ. Idempotent.
///
/// # Errors
/// As the database.
pub async fn guild_back(pool: &PgPool, guild: i64, since: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update forgettings set gone = false
         where what = 'owner' and gone and (key = $1 or starts_with(key, $1 || ':')) and asked_at < $2",
        format!("discord:{guild}"),
        since + SKEW,
    )
    .execute(pool)
    .await
    .map(drop)
}

/// A conversation is gone from its surface. Where it shares its thread with others, only what was said in it is to be forgotten. Nothing
/// that arrives late for it is stored.
///
/// # Errors
/// As the database.
pub async fn place_gone(pool: &PgPool, place: &Place, by: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into changes (surface, object, deleted_at, changed_by, seen_at) values ($1, 'conversation:' || $2, $4, $3, $4)
         on conflict (surface, object) do nothing",
        place.surface().as_str(),
        place.key(),
        by,
        now,
    )
    .execute(pool)
    .await?;
    ask_conversation(pool, place, Why::Gone, by, now).await.map(drop)
}

/// How much of a conversation's thread was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// There is none.
    Nothing,
    /// All of it.
    Whole,
    /// Only what was said there: other conversations share it.
    Part,
}

/// A conversation is to be forgotten: its thread or, where that is shared with other conversations, only what was said in this one.
/// Idempotent.
///
/// # Errors
/// As the database.
pub async fn ask_conversation(
    pool: &PgPool,
    place: &Place,
    why: Why,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Reached, sqlx::Error> {
    let Some(thread) = conversation(pool, place).await? else { return Ok(Reached::Nothing) };
    if !is_shared(pool, thread).await? {
        ask(pool, &Target::Thread(thread), why, by, now).await?;
        return Ok(Reached::Whole);
    }
    for object in objects(pool, thread, place).await? {
        ask(pool, &Target::Message(object), why, by, now).await?;
    }
    Ok(Reached::Part)
}

/// What was said in a conversation, as things people wrote.
pub(super) async fn objects(pool: &PgPool, thread: ThreadId, place: &Place) -> Result<Vec<String>, sqlx::Error> {
    let (repository, number, conversation) = match place {
        Place::Github { repository_id, number, .. } => (Some(*repository_id), Some(*number), None),
        Place::Discord { channel, opening, .. } => (None, None, Some(opening.unwrap_or(*channel))),
    };
    sqlx::query_scalar!(
        r#"select distinct object as "object!" from inbox
           where thread_id = $1 and object is not null
             and (
               (request->'place'->>'repository_id' = $2::bigint::text and request->'place'->>'number' = $3::bigint::text)
               or coalesce(request->'place'->>'opening', request->'place'->>'channel') = $4::bigint::text
             )"#,
        thread as ThreadId,
        repository,
        number,
        conversation,
    )
    .fetch_all(pool)
    .await
}

/// True when several conversations share a thread.
pub(super) async fn is_shared(pool: &PgPool, thread: ThreadId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) > 1 as "shared!" from surfaces where thread_id = $1"#, thread as ThreadId)
        .fetch_one(pool)
        .await
}

/// The thread of a conversation.
///
/// # Errors
/// As the database.
pub async fn conversation(pool: &PgPool, place: &Place) -> Result<Option<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select thread_id as "id: ThreadId" from surfaces where surface = $1 and key = $2"#,
        place.surface().as_str(),
        place.key(),
    )
    .fetch_optional(pool)
    .await
}

/// True while everything of the owner is to be forgotten and some of it is still there: recall finds nothing then.
///
/// # Errors
/// As the database.
pub async fn hides_owner(pool: &PgPool, owner: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
               select 1 from forgettings
               where what = 'owner' and done_at is null and (key = $1 or starts_with($1, key || ':'))) as "hides!""#,
        owner,
    )
    .fetch_one(pool)
    .await
}

/// The owner of that name: as it stands in the tables (`github:7`), or a repository by the name people use (`acme/rocket`, without
/// regard to case); of several that had the name one after the other, the last. None when nothing is known of it.
///
/// # Errors
/// As the database.
pub async fn find_owner(pool: &PgPool, name: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select owner from (
            (select t.owner, 1 as place from threads t where t.owner = $1 limit 1)
            union all
            (select w.key, 2 from working_memories w where w.scope = 'owner' and w.key = $1 limit 1)
            union all
            -- Not that of its thread: a conversation on Discord may share it.
            (select 'github:' || (s.place->>'repository_id'), 3 from surfaces s
             where s.surface = 'github' and lower(s.place->>'repository') = lower($1)
             order by (s.place->>'repository_id')::bigint desc limit 1)
        ) known order by place limit 1
        "#,
        name,
    )
    .fetch_optional(pool)
    .await
    .map(Option::flatten)
}

/// Somebody by number (`42`) or login (`maya`, `@maya`, `@42`), without regard to case, with both as far as they are known here. Who
/// never wrote to us may still be named by others.
///
/// # Errors
/// As the database.
pub async fn find_person(pool: &PgPool, surface: Surface, name: &str) -> Result<Person, sqlx::Error> {
    let login = name.strip_prefix('@').unwrap_or(name);
    let id: Option<i64> = name.parse().ok();
    let found = sqlx::query!(
        r#"
        select author_id as id, author as login from messages
        where ($1::bigint is not null and author_id = $1) or ($1::bigint is null and author_id is not null and lower(author) = lower($2))
        order by (author is null), messages.id desc limit 1
        "#,
        id,
        login,
    )
    .fetch_optional(pool)
    .await?;
    let (found_id, found_login) = found.map(|row| (row.id, row.login)).unwrap_or_default();
    let named = Some(login.to_owned()).filter(|_| id.is_none());
    Ok(Person { surface, id: id.or(found_id), login: found_login.or(named) })
}

/// What is to be forgotten and is not yet.
#[derive(Clone, Debug)]
pub(super) struct Forgetting {
    pub id: Uuid,
    pub target: Target,
    pub by: String,
    pub asked_at: DateTime<Utc>,
    pub cursor: Option<Uuid>,
}

/// Takes the one that is due longest. None when nothing is due. One that nobody can read any more is done.
pub(super) async fn claim(pool: &PgPool, now: DateTime<Utc>) -> Result<Option<Forgetting>, sqlx::Error> {
    loop {
        let row = sqlx::query!(
            r#"
            update forgettings set claimed_until = $2 where id = (
                select id from forgettings
                where done_at is null and next_try_at <= $1 and (claimed_until is null or claimed_until < $1)
                order by next_try_at limit 1 for update skip locked
            )
            returning id, what, key, login, asked_by, asked_at, cursor
            "#,
            now,
            now + HOLD,
        )
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if let Some(target) = Target::read(&row.what, &row.key, row.login) {
            return Ok(Some(Forgetting { id: row.id, target, by: row.asked_by, asked_at: row.asked_at, cursor: row.cursor }));
        }
        done(pool, row.id, row.asked_at, now).await?;
    }
}

/// Notes how far it is. `at` is when it goes on.
pub(super) async fn goes_on(
    pool: &PgPool,
    forgetting: &Forgetting,
    cursor: Option<Uuid>,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update forgettings set cursor = $2, next_try_at = $3, claimed_until = null where id = $1 and done_at is null",
        forgetting.id,
        cursor,
        at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Adds to what was emptied for it.
pub(super) async fn count(
    tx: &mut Transaction<'_, Postgres>,
    forgetting: Uuid,
    messages: u64,
    runs: u64,
) -> Result<(), sqlx::Error> {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query!(
        "update forgettings set messages = messages + $2, runs = runs + $3 where id = $1",
        forgetting,
        whole(messages),
        whole(runs),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// It is forgotten, unless it was asked for again meanwhile. The row stays, with a number instead of a name where it was about a person.
pub(super) async fn done(pool: &PgPool, id: Uuid, asked_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with done as (
            update forgettings set done_at = $3, login = null, asked_by = case when what in ('person', 'words') then '' else asked_by end,
                key = case when what = 'person' and key like '%:@%' then '' else key end
            where id = $1 and done_at is null and asked_at = $2 returning id
        )
        update forgettings set claimed_until = null where id = $1 and not exists (select 1 from done)
        "#,
        id,
        asked_at,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How far something is that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages emptied so far.
    pub messages: i64,
    /// Runs emptied so far.
    pub runs: i64,
    /// True when nothing of it is left.
    pub done: bool,
}

/// How far it is, of what was asked for at `asked_at` or later. Somebody of whom no number is known is not told apart from others once
/// it is done.
///
/// # Errors
/// As the database.
pub async fn progress(pool: &PgPool, target: &Target, asked_at: DateTime<Utc>) -> Result<Progress, sqlx::Error> {
    let row = sqlx::query!(
        r#"select messages, runs, done_at is not null as "done!" from forgettings
           where what = $1 and key in ($2, case when $2 like '%:@%' then '' else $2 end) and asked_at >= $3
           order by done_at is not null, asked_at desc limit 1"#,
        target.what(),
        target.key(),
        asked_at,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Progress { messages: row.messages, runs: row.runs, done: row.done }).unwrap_or_default())
}

/// Drops what was done before `before`: nothing that was written before it arrives any more.
///
/// # Errors
/// As the database.
pub async fn forget_done(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from forgettings where done_at < $1", before).execute(pool).await?;
    Ok(())
}

/// The agent's side of these runs is to be forgotten, too.
pub(super) async fn ask_answers(
    tx: &mut Transaction<'_, Postgres>,
    runs: &[RunId],
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    for run in runs {
        ask_in(tx, &Target::Answer(*run), by, now).await?;
    }
    Ok(())
}
