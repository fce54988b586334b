//! The table `run_beginnings`.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::super::store::Holder;
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::sandbox::checkout::Checkout;

/// Runs of a thread whose beginning is kept.
const MOST: i64 = 8;

/// What a run began with, as it is stored.
#[derive(Debug)]
pub struct Row {
    pub run: RunId,
    pub checkout: Option<Json<Checkout>>,
    pub checkpoint: Option<Vec<u8>>,
    pub baseline: Option<Vec<u8>>,
}

impl Holder {
    /// Keeps what the run begins with, once; that of older runs is forgotten. What stands apart is never taken back.
    pub async fn remember_beginning(&self, name: &str, run: RunId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        if self.apart.is_some() {
            return Ok(());
        }
        sqlx::query!(
            r#"
            with old as (
                delete from run_beginnings where thread_id = $1 and run_id in (
                    select run_id from run_beginnings where thread_id = $1 and run_id <> $3 order by run_id desc offset $6
                )
            )
            insert into run_beginnings (run_id, thread_id, checkout, checkpoint, baseline, created_at)
            select r.id, t.id, s.checkout, s.checkpoint, s.baseline, $7
            from sandboxes s join threads t on t.id = s.thread_id join runs r on r.thread_id = t.id
            where s.provider = $4 and s.name = $5 and t.id = $1 and t.lease_epoch = $2 and r.id = $3
            on conflict do nothing
            "#,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            run as RunId,
            self.provider,
            name,
            MOST - 1,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What the last run before `run` began with that changed something and was not taken back by another than `run`.
    pub async fn beginning(&self, run: RunId) -> Result<Option<Row>, sqlx::Error> {
        sqlx::query_as!(
            Row,
            r#"
            select b.run_id as "run: RunId", b.checkout as "checkout: Json<Checkout>", b.checkpoint, b.baseline
            from run_beginnings b join runs r on r.id = b.run_id
            where b.thread_id = $1 and b.run_id < $2 and (b.undone_by is null or b.undone_by = $2) and r.task->>'task' <> 'undo'
              and (exists (select 1 from run_events e where e.run_id = b.run_id and e.kind = 'changed')
                or exists (select 1 from landings l where l.run_id = b.run_id and l.state <> 'void'))
            order by (b.undone_by is not null) desc, b.run_id desc limit 1
            "#,
            self.thread as ThreadId,
            run as RunId,
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// `by` takes back what `run` did.
    pub async fn take_back(&self, run: RunId, by: RunId) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update run_beginnings b set undone_by = $3 from threads t
             where b.run_id = $1 and b.thread_id = $2 and t.id = $2 and t.lease_epoch = $4",
            run as RunId,
            self.thread as ThreadId,
            by as RunId,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The workspace goes on from another commit. False when the lease was lost.
    pub async fn rebase(
        &self,
        name: &str,
        checkout: &Checkout,
        base: &[u8],
        checkpoint: &[u8],
        now: DateTime<Utc>,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            r#"
            update sandboxes s set checkout = $4, base = $5, checkpoint = $6, checkpoint_at = $7, used_at = $7 from threads t
            where s.provider = $1 and s.name = $3 and t.id = $2 and s.thread_id = t.id and t.lease_epoch = $8
            "#,
            self.provider,
            self.thread as ThreadId,
            name,
            Json(checkout) as _,
            base,
            checkpoint,
            now,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// True when there is, or was, a sandbox to work in: the thread's own, or that of a run that stands apart.
    pub async fn has_own(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select exists (select 1 from sandboxes where thread_id = $1 and role = $2
                and ($3::uuid is null or baseline_run = $3)) as "exists!""#,
            self.thread as ThreadId,
            self.role(),
            self.apart as Option<RunId>,
        )
        .fetch_one(&self.pool)
        .await
    }
}
