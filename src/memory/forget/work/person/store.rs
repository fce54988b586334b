//! Runs that name somebody, and the name itself.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::memory::branch::store as branch;
use crate::memory::forget::rows::store::condense_again;
use crate::memory::forget::{Person, own};

type Tx<'t> = Transaction<'t, Postgres>;

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
    branch::hold(tx).await?;
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
