//! What is left to be forgotten, and what goes once the words are gone.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::id::ThreadId;
use crate::memory::forget::rows::store::{condense_again, forget_lines, forget_snapshots, stop as stop_runs};
use crate::memory::forget::{Person, Target, own, store as queue};

type Tx<'t> = Transaction<'t, Postgres>;

/// Messages to be emptied.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// These can be, now.
    pub free: Vec<Uuid>,
    /// These belong to something that is at work.
    pub busy: Vec<Uuid>,
}

struct Row {
    id: Uuid,
    busy: bool,
}

impl Picked {
    fn of(rows: Vec<Row>) -> Self {
        let (busy, free): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.busy);
        let ids = |rows: Vec<Row>| rows.into_iter().map(|row| row.id).collect();
        Self { free: ids(free), busy: ids(busy) }
    }

    pub fn is_empty(&self) -> bool {
        self.free.is_empty() && self.busy.is_empty()
    }
}

/// Those that are a thing's words.
pub(super) async fn of_object(pool: &PgPool, object: &str, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (i.state = 'new' or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from inbox i join messages m on m.id = i.message_id
        where i.object = $1 and m.forgotten_at is null order by m.id limit $2
        "#,
        object,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those of a conversation, what is free first.
pub(super) async fn of_thread(pool: &PgPool, thread: ThreadId, until: DateTime<Utc>, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new') or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from messages m where m.thread_id = $1 and m.forgotten_at is null and m.created_at <= $2
        order by 2, m.id limit $3
        "#,
        thread as ThreadId,
        until,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those of a person, in one conversation or everywhere, what is free first.
pub(super) async fn of_person(
    pool: &PgPool,
    person: i64,
    thread: Option<ThreadId>,
    until: DateTime<Utc>,
    most: i64,
) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, (exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new') or exists (
            select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))) as "busy!"
        from messages m where m.author_id = $1 and m.forgotten_at is null and m.created_at <= $2
          and ($3::uuid is null or m.thread_id = $3)
        order by 2, m.id limit $4
        "#,
        person,
        until,
        thread as Option<ThreadId>,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Those said before a moment that can be emptied.
pub(super) async fn older(pool: &PgPool, before: DateTime<Utc>, most: i64) -> Result<Picked, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select m.id, false as "busy!" from messages m
        where m.forgotten_at is null and m.created_at < $1
          and not exists (select 1 from inbox i where i.message_id = m.id and i.state = 'new')
          and not exists (select 1 from runs r where r.state <> 'posted' and r.thread_id = m.thread_id)
        order by m.created_at limit $2
        "#,
        before,
        most,
    )
    .fetch_all(pool)
    .await?;
    Ok(Picked::of(rows))
}

/// Lines of working memory whose thread or owner has not been touched since go with the rest.
pub(super) async fn old_lines(pool: &PgPool, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from working_memories where updated_at < $1", before).execute(pool).await?;
    Ok(())
}

/// What these messages asked for is not begun, and stops where it has. Runs that messages only joined go on.
pub(super) async fn stop(pool: &PgPool, messages: &[Uuid], by: &str) -> Result<(), sqlx::Error> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "update inbox set state = 'done', verdict = 'it was forgotten', claimed_until = null
         where message_id = any($1) and state = 'new' and (claimed_until is null or claimed_until < now())
           and not exists (select 1 from runs r where r.inbox_id = inbox.id)",
        messages,
    )
    .execute(&mut *tx)
    .await?;
    let runs = sqlx::query_scalar!(
        "select id from runs where message_id = any($1) and state in ('queued', 'running') and stop_requested_by is null",
        messages,
    )
    .fetch_all(&mut *tx)
    .await?;
    stop_runs(&mut tx, &runs, by).await?;
    tx.commit().await
}

/// False while something that was asked for with a thing is under way.
pub(super) async fn can_be_reworded(pool: &PgPool, object: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select not exists (
            select 1 from inbox i where i.object = $1 and (i.state = 'new' or exists (
                select 1 from runs r join messages m on m.id = i.message_id
                where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id)
            ) or exists (
                -- Somebody approved these words, or may: that they were edited is found by comparing.
                select 1 from approvals a left join runs r on r.approval_id = a.id
                where a.key = 'outsider-' || i.id and (a.state = 'waiting' or not a.told or r.state <> 'posted')))
        ) as "can!"
        "#,
        object,
    )
    .fetch_one(pool)
    .await
}

/// Everything that holds the earlier words of a thing gets those it has now, and what was made of them goes. A message that came after
/// the edit has words nobody can read any more: it is emptied. What is still to be decided about, or at work, is left alone: it holds the
/// words it was made with. False when there is no such message.
pub(super) async fn reword(
    tx: &mut Tx<'_>,
    object: &str,
    edited_at: DateTime<Utc>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    // Written down after the edit was, and older than it: its delivery came late.
    let messages = sqlx::query_scalar!(
        r#"
        update messages m set indexed = false, parts = case when m.created_at > $2 then '[]' else m.parts end
        from inbox i left join changes c on c.surface = 'github' and c.object = i.object
        where i.object = $1 and i.message_id = m.id and m.forgotten_at is null
          and (i.request->>'written_at')::timestamptz <= coalesce(c.edited_at, $2)
          -- It may have arrived since somebody looked.
          and i.state <> 'new'
          and not exists (select 1 from runs r where r.state <> 'posted' and (r.message_id = m.id or r.id = m.run_id))
        returning m.id
        "#,
        object,
        edited_at,
    )
    .fetch_all(&mut **tx)
    .await?;
    if messages.is_empty() {
        return Ok(false);
    }
    let runs = reword_runs(tx, &messages).await?;
    sqlx::query!(
        r#"
        update inbox set request = request || jsonb_build_object('text', coalesce(m.parts->0->>'text', ''))
        from messages m where m.id = inbox.message_id and m.id = any($1) and inbox.state <> 'new'
        "#,
        &messages,
    )
    .execute(&mut **tx)
    .await?;
    let threads = sqlx::query_scalar!(r#"select distinct thread_id from messages where id = any($1)"#, &messages)
        .fetch_all(&mut **tx)
        .await?;
    sqlx::query!("delete from memories where message_id = any($1)", &messages).execute(&mut **tx).await?;
    sqlx::query!(
        "delete from approvals where (run_id = any($1) or key in (select 'outsider-' || i.id from inbox i where i.message_id = any($2)))
           and state <> 'waiting' and told",
        &runs,
        &messages,
    )
    .execute(&mut **tx)
    .await?;
    forget_lines(tx, &messages, &threads).await?;
    condense_again(tx, &threads).await?;
    forget_snapshots(tx, &threads).await?;
    sqlx::query!("update threads set title = null where id = any($1) and titled_by is null", &threads).execute(&mut **tx).await?;
    for thread in &threads {
        if still_at_work(tx, *thread).await? {
            queue::ask_in(tx, &Target::Quotes(ThreadId(*thread)), by, now).await?;
        }
    }
    Ok(true)
}

/// The runs of these messages, retries of them and what an approval of them began: all that was asked for in the earlier words, which the
/// inbox still has. A whole second is all that GitHub says of a time, so the words tell one comment from another, and of two that say the
/// same each keeps its own run. What is run again is read from the words of the request; other words than those that were approved are
/// none.
async fn reword_runs(tx: &mut Tx<'_>, messages: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with reworded as (
            select m.id, m.thread_id, i.request->>'text' as was, i.request->>'written_at' as written_at,
                   coalesce(m.parts->0->>'text', '') as words
            from messages m join inbox i on i.message_id = m.id where m.id = any($1) and i.state <> 'new'
        ), said as (
            select r.id as run, case when r.approval_id is null then w.words else '' end as words
            from reworded w join runs r on r.thread_id = w.thread_id
                and r.request->>'written_at' = w.written_at and r.request->>'text' = w.was
            where w.was <> '' and r.state = 'posted' and (r.message_id = w.id or not exists (
                select 1 from inbox o where o.message_id = r.message_id
                  and o.request->>'written_at' = w.written_at and o.request->>'text' = w.was
            ))
        )
        update runs set
            request = runs.request || jsonb_build_object('text', said.words),
            task = case
                when runs.task ? 'text' then runs.task || jsonb_build_object('text', said.words)
                when runs.task ? 'blocks' then runs.task || '{"blocks": []}'
                else runs.task
            end,
            snapshot = null
        from said where runs.id = said.run
        returning runs.id
        "#,
        messages,
    )
    .fetch_all(&mut **tx)
    .await
}

async fn still_at_work(tx: &mut Tx<'_>, thread: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from runs where thread_id = $1 and state <> 'posted')
               or exists (select 1 from threads where id = $1 and condensing_until > now()) as "still!""#,
        thread,
    )
    .fetch_one(&mut **tx)
    .await
}

/// True while something that began before `asked_at` is at work in a thread.
pub(super) async fn still_quotes(pool: &PgPool, thread: ThreadId, asked_at: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (select 1 from runs where thread_id = $1 and state <> 'posted' and created_at <= $2)
            or exists (select 1 from threads where id = $1 and (condensing_until > now() or lease_until > now()))
            or exists (select 1 from approvals where thread_id = $1 and state = 'void' and not told and asked_at <= $2) as "still!"
        "#,
        thread as ThreadId,
        asked_at,
    )
    .fetch_one(pool)
    .await
}

/// Approvals that are void because of a deletion, once people were told.
pub(super) async fn forget_told_approvals(tx: &mut Tx<'_>, thread: ThreadId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        delete from approvals a where a.thread_id = $1 and a.state = 'void' and a.told and (
            a.run_id in (select r.id from runs r where r.answer_forgotten_at is not null)
            or a.key in (select 'outsider-' || i.id from inbox i join messages m on m.id = i.message_id where m.forgotten_at is not null)
        )
        "#,
        thread as ThreadId,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What belongs to a conversation as a whole, unless it has gone on since.
pub(super) async fn rest_of_thread(tx: &mut Tx<'_>, thread: ThreadId, asked_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let goes_on = sqlx::query_scalar!(
        r#"select exists (select 1 from messages where thread_id = $1 and forgotten_at is null and created_at > $2) as "goes_on!""#,
        thread as ThreadId,
        asked_at,
    )
    .fetch_one(&mut **tx)
    .await?;
    if goes_on {
        return Ok(());
    }
    sqlx::query!("delete from working_memories where scope = 'thread' and key = $1", thread.to_string())
        .execute(&mut **tx)
        .await?;
    sqlx::query!("delete from observations where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("update discord_talks set names = '{}' where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from landings where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from landing_approvals where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!("delete from approvals where thread_id = $1", thread as ThreadId).execute(&mut **tx).await?;
    sqlx::query!(
        "update threads set title = null, titled_by = null, condensed_until = null, uncondensed = 0 where id = $1",
        thread as ThreadId,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Conversations of which nothing is left, and that were not touched since, with something that belongs to them as a whole.
pub(super) async fn bare_threads(pool: &PgPool, before: DateTime<Utc>, most: i64) -> Result<Vec<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select t.id as "id: ThreadId" from threads t
        where t.updated_at < $1 and not exists (select 1 from messages m where m.thread_id = t.id and m.forgotten_at is null)
          and not exists (select 1 from runs r where r.thread_id = t.id and r.state <> 'posted') and (
            t.title is not null or exists (select 1 from landings l where l.thread_id = t.id)
            or exists (select 1 from approvals a where a.thread_id = t.id)
            or exists (select 1 from sandboxes s where s.thread_id = t.id)
          )
        order by t.updated_at limit $2
        "#,
        before,
        most,
    )
    .fetch_all(pool)
    .await
}

/// The owner's next conversation.
pub(super) async fn next_thread(pool: &PgPool, owner: &str, after: Option<Uuid>) -> Result<Option<ThreadId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id: ThreadId" from threads where owner = $1 and ($2::uuid is null or id > $2) order by id limit 1"#,
        owner,
        after,
    )
    .fetch_optional(pool)
    .await
}

/// True while there are words of the owner from before that moment.
pub(super) async fn owner_has_words(pool: &PgPool, owner: &str, until: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select 1 from threads t join messages m on m.thread_id = t.id
            where t.owner = $1 and m.forgotten_at is null and m.created_at <= $2
        ) as "has!"
        "#,
        owner,
        until,
    )
    .fetch_one(pool)
    .await
}

/// What belongs to an owner as a whole: what is kept in mind for all its conversations, and its name.
pub(super) async fn rest_of_owner(pool: &PgPool, owner: &str, asked_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // A guild's channels that not everybody reads have a memory of their own.
    sqlx::query!(
        "delete from working_memories where scope = 'owner' and (key = $1 or starts_with(key, $1 || ':')) and updated_at <= $2",
        owner,
        asked_at,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from discord_repositories where 'discord:' || guild = $1 and linked_at <= $2", owner, asked_at,)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        r#"
        update surfaces s set place = s.place || '{"repository": ""}' from threads t
        where t.owner = $1 and s.thread_id = t.id and s.surface = 'github'
          and not exists (select 1 from messages m where m.thread_id = t.id and m.forgotten_at is null)
        "#,
        owner,
    )
    .execute(&mut *tx)
    .await?;
    let husks = sqlx::query!(
        r#"
        with nameless as (
            update runs set request = jsonb_set(request, '{place,repository}', '""')
            where repository = $1 and forgotten_at is not null and request->'place'->>'surface' = 'github'
        )
        update inbox i set request = jsonb_set(i.request, '{place,repository}', '""') from threads t, messages m
        where t.owner = $1 and i.thread_id = t.id and m.id = i.message_id and m.forgotten_at is not null
          and i.request->'place'->>'surface' = 'github'
        "#,
        owner,
    );
    husks.execute(&mut *tx).await?;
    sqlx::query!(
        r#"
        update installations set account = '' where gone and not exists (
            select 1 from surfaces s where s.place->>'installation' = installations.id::text and s.place->>'repository' <> ''
        )
        "#
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Runs that were looked through.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Those whose agent's side names the person.
    pub naming: Vec<Uuid>,
    /// The last one; none when there are no more.
    pub last: Option<Uuid>,
}

/// The next runs, oldest first, and which of them name somebody by login in what the agent and its tools said.
pub(super) async fn naming(
    pool: &PgPool,
    login: &str,
    after: Option<Uuid>,
    until: DateTime<Utc>,
    most: i64,
) -> Result<Looked, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select r.id, (
            exists (select 1 from messages m where m.run_id = r.id and m.author_id is null and m.parts::text ~* $2)
            or exists (select 1 from run_events e where e.run_id = r.id and e.kind not in ('joined', 'remembered') and e.data::text ~* $2)
            or exists (select 1 from landings l where l.run_id = r.id and l.title || ' ' || l.body || ' ' || l.commits::text ~* $2)
            or exists (select 1 from findings f where f.run_id = r.id and f.data::text ~* $2)
        ) as "names"
        from (
            select id from runs
            where ($1::uuid is null or id > $1) and created_at <= $3 and state = 'posted' order by id limit $4
        ) as r order by r.id
        "#,
        after,
        word_of(login),
        until,
        most,
    )
    .fetch_all(pool)
    .await?;
    let all: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    // What else a run was shown of the conversation stands in its snapshot alone.
    sqlx::query!(
        "update runs set snapshot = null where id = any($1) and state = 'posted' and snapshot::text ~* $2",
        &all,
        word_of(login),
    )
    .execute(pool)
    .await?;
    Ok(Looked {
        naming: rows.into_iter().filter(|row| row.names == Some(true)).map(|row| row.id).collect(),
        last: all.last().copied(),
    })
}

/// Finds a login as a word of its own, whatever stands around it.
fn word_of(login: &str) -> String {
    format!(r"(^|[^A-Za-z0-9-]){}($|[^A-Za-z0-9-])", regex::escape(login))
}

/// The name of somebody, where only a number is needed.
pub(super) async fn rest_of_person(pool: &PgPool, person: &Person) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    if let Some(id) = person.id {
        sqlx::query!("delete from people where discord_id = $1 or github_id = $1", id).execute(&mut *tx).await?;
        sqlx::query!("delete from account_codes where discord_id = $1", id).execute(&mut *tx).await?;
        sqlx::query!("delete from account_tries where github_id = $1", id).execute(&mut *tx).await?;
        sqlx::query!(
            "update ledger set requester = '#' || $1::bigint from runs r where r.id = ledger.run_id and r.requester_id = $1",
            id,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("update runs set requester = '#' || requester_id where requester_id = $1 and state = 'posted'", id)
            .execute(&mut *tx)
            .await?;
        own::forget_opened(&mut tx, id, None).await?;
        // What they asked for in somebody else's words, such as a retry.
        sqlx::query!(
            r#"update runs set request = jsonb_set(request, '{author,login}', '""')
               where requester_id = $1 and state = 'posted' and request->'author'->>'id' = $1::bigint::text"#,
            id,
        )
        .execute(&mut *tx)
        .await?;
    }
    if let Some(login) = &person.login {
        forget_login(&mut tx, login).await?;
    }
    tx.commit().await
}

async fn forget_login(tx: &mut Tx<'_>, login: &str) -> Result<(), sqlx::Error> {
    let word = word_of(login);
    sqlx::query!(
        r#"
        update working_memories w set version = version + 1, lines = coalesce((
            select jsonb_agg(line order by place) from jsonb_array_elements(w.lines) with ordinality as l (line, place)
            where not line::text ~* $1
        ), '[]')
        where jsonb_typeof(w.lines) = 'array' and w.lines::text ~* $1
        "#,
        word,
    )
    .execute(&mut **tx)
    .await?;
    let condensed =
        sqlx::query_scalar!("select distinct thread_id from observations where text ~* $1", word).fetch_all(&mut **tx).await?;
    condense_again(tx, &condensed).await?;
    sqlx::query!("update threads set title = null where title ~* $1 and titled_by is null", word).execute(&mut **tx).await?;
    sqlx::query!("update approvals set decided_by = '' where lower(decided_by) = lower($1)", login).execute(&mut **tx).await?;
    sqlx::query!("update landing_approvals set approved_by = '' where lower(approved_by) = lower($1)", login)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("update changes set changed_by = '' where lower(changed_by) = lower($1)", login).execute(&mut **tx).await?;
    sqlx::query!("update threads set titled_by = '' where lower(titled_by) = lower($1)", login).execute(&mut **tx).await?;
    sqlx::query!("update forgettings set asked_by = '' where lower(asked_by) = lower($1)", login).execute(&mut **tx).await?;
    sqlx::query!(
        "update runs set stop_requested_by = '' where lower(stop_requested_by) = lower($1) and state = 'posted'",
        login,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"update runs set outcome = '{"outcome": "stopped", "by": ""}'
           where outcome->>'outcome' = 'stopped' and lower(outcome->>'by') = lower($1) and state = 'posted'"#,
        login,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(r#"delete from run_events where kind = 'joined' and lower(data->>'author') = lower($1)"#, login,)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
