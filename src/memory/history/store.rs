//! The history as it is read, in one round trip, and the sizes of runs that an earlier version of the service ended.

use serde::Deserialize;
use sqlx::PgPool;
use sqlx::types::Json;

use super::{CEILING, LARGEST_RUN, OVERHEAD, PORTION, Past, PastRun, UNMEASURED, number};
use crate::agent::prompt;
use crate::id::{RunId, ThreadId};
use crate::memory::observations::Observation;
use crate::model::{Message, Part, Role};

/// Runs measured in one statement.
const MEASURED: i64 = 200;

#[derive(Debug, Deserialize)]
struct Row {
    run: RunId,
    own: bool,
    reduced: bool,
    role: String,
    author: Option<String>,
    parts: Vec<Part>,
}

/// What is given of the thread's runs before `before`, and of those it began with as a branch. Reads the runs after the cut and, of those that are given, the messages: at
/// most [`CEILING`] characters by our estimate. Cut and observations are of one moment.
///
/// # Errors
/// As the database.
pub async fn load(pool: &PgPool, thread: ThreadId, before: RunId) -> Result<Past, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with run as (
            select r.id, r.thread_id, r.reduced, coalesce(r.size, $3)::bigint as size,
                   (sum(coalesce(r.size, $3)) over (order by r.id))::bigint as upto,
                   (sum(coalesce(r.size, $3)) over ())::bigint as total
            from threads t join histories h on h.thread_id = t.id join runs r on r.thread_id = h.source_id and r.id <= h.until
            where t.id = $1 and r.id < $2 and (t.condensed_until is null or r.id > t.condensed_until)
        ), given as (
            -- From the oldest on as many whole portions as are too much: the same runs while the next portion fills.
            select id, thread_id, reduced from run where upto - size >= (greatest(total - $4, 0) + $5 - 1) / $5 * $5
        )
        select (select count(*) from run) - (select count(*) from given) as "left_out!",
            (select coalesce(jsonb_agg(jsonb_build_object(
                        'run', m.run_id, 'own', g.thread_id = $1, 'reduced', g.reduced, 'role', m.role, 'author', m.author, 'parts', m.parts
                    ) order by m.run_id, m.place_in_run), '[]')
             from given g join messages m on m.thread_id = g.thread_id and m.run_id = g.id
             where m.place_in_run is not null and (m.role <> 'tool' or not g.reduced)
            ) as "said!: Json<Vec<Row>>",
            (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'said_at', o.said_at, 'text', o.text, 'cites', o.cites)
                                       order by o.said_at, o.sequence), '[]')
             from (select * from observations where thread_id = $1 and current order by sequence desc limit $6) o
            ) as "observations!: Json<Vec<Observation>>"
        "#,
        thread as ThreadId,
        before as RunId,
        number(UNMEASURED),
        i64::from(number(CEILING)),
        i64::from(number(PORTION)),
        crate::memory::observations::MOST_LINES,
    )
    .fetch_one(pool)
    .await?;
    Ok(Past { observations: row.observations.0, left_out: row.left_out, runs: runs(row.said.0) })
}

fn runs(rows: Vec<Row>) -> Vec<PastRun> {
    let mut runs: Vec<PastRun> = Vec::new();
    for row in rows {
        let message = match row.role.as_str() {
            "assistant" => Message { role: Role::Assistant, parts: row.parts },
            "tool" => Message { role: Role::Tool, parts: row.parts },
            // Stored as written; read as any other words of a person.
            _ => prompt::spoken(
                row.author.as_deref().unwrap_or_default(),
                &Message { role: Role::User, parts: row.parts }.plain_text(),
            ),
        };
        match runs.last_mut() {
            Some(run) if run.id == row.run => run.messages.push(message),
            _ => runs.push(PastRun { id: row.run, own: row.own, reduced: row.reduced, messages: vec![message] }),
        }
    }
    runs
}

/// Which of these things people wrote stand in the history of a thread, by their names there, such as `issue_comment:42`.
pub(crate) async fn holding(pool: &PgPool, thread: ThreadId, objects: &[String]) -> Result<Vec<String>, sqlx::Error> {
    let held = sqlx::query_scalar!(
        r#"select distinct i.object as "object!" from inbox i join messages m on m.id = i.message_id
           where i.thread_id = $1 and i.object = any($2) and m.place_in_run is not null"#,
        thread as ThreadId,
        objects,
    );
    held.fetch_all(pool).await
}

/// Measures some of the runs that ended without it. Returns how many there were; call it until that is none.
///
/// # Errors
/// As the database.
pub async fn measure_some(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        with measured as (
            select r.id,
                   (select coalesce(sum(length(m.parts::text)), 0) from messages m
                    where m.thread_id = r.thread_id and m.run_id = r.id and m.place_in_run is not null) + $2 as whole,
                   (select coalesce(sum(length(m.parts::text)), 0) from messages m
                    where m.thread_id = r.thread_id and m.run_id = r.id and m.place_in_run is not null and m.role = 'user')
                    + $2 as asked
            from runs r where r.size is null and r.state = 'posted' limit $1
        )
        update runs set
            size = case when whole > $3 then least(asked, $3) else whole end,
            reduced = whole > $3
        from measured where runs.id = measured.id and runs.size is null
        "#,
        MEASURED,
        i64::from(number(OVERHEAD)),
        i64::from(number(LARGEST_RUN)),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
