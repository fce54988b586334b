//! The table of sandboxes as a run sees it. Writes carry the lease epoch of the thread: a worker that lost it changes nothing.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::sandbox::checkout::Checkout;

/// How a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// Recorded, perhaps made, not yet prepared.
    Wanted,
    /// Made and prepared.
    Ready,
    /// Removed or lost; what is known of it makes the next one.
    Gone,
}

/// Who writes, for which thread.
#[derive(Clone, Debug)]
pub struct Holder {
    pub pool: PgPool,
    pub provider: String,
    pub thread: ThreadId,
    pub epoch: LeaseEpoch,
    /// The run that stands apart: it works in a sandbox of its own instead of the thread's.
    pub apart: Option<RunId>,
}

/// The row of a thread's own sandbox.
#[derive(Debug)]
pub struct Row {
    /// The deployment.
    pub instance: Uuid,
    pub name: String,
    pub id: Option<String>,
    pub state: State,
    pub generation: i32,
    pub checkout: Option<Json<Checkout>>,
    pub base: Option<Vec<u8>>,
    pub baseline: Option<Vec<u8>>,
    pub baseline_run: Option<RunId>,
    pub checkpoint_at: Option<DateTime<Utc>>,
    /// When a run began with it, or a checkpoint was stored.
    pub used_at: DateTime<Utc>,
    pub lost_run: Option<RunId>,
    pub lost_note: Option<String>,
}

impl Holder {
    /// The role of the sandbox that is worked in.
    pub fn role(&self) -> &'static str {
        if self.apart.is_some() { "apart" } else { "own" }
    }

    /// The row of the sandbox that is worked in: the thread's own, or that of the run that stands apart. Made now when there is none;
    /// the thread's own with the work of the one at another provider, when there was one. None when the lease was lost.
    pub async fn own(&self, name: &str, now: DateTime<Utc>) -> Result<Option<Row>, sqlx::Error> {
        sqlx::query_as!(
            Row,
            r#"
            with made as (
                insert into sandboxes (provider, name, thread_id, role, baseline_run, checkout, base, checkpoint, checkpoint_at,
                    created_at, used_at)
                select $1, $2, t.id, $6, $7, elsewhere.checkout, elsewhere.base, elsewhere.checkpoint, elsewhere.checkpoint_at, $5, $5
                from threads t left join lateral (
                    select * from sandboxes s where s.thread_id = t.id and s.role = 'own' and $7::uuid is null
                    order by s.used_at desc limit 1
                ) elsewhere on true
                where t.id = $3 and t.lease_epoch = $4
                  and not exists (select 1 from sandboxes s where s.thread_id = t.id and s.provider = $1 and s.role = $6
                    and ($7::uuid is null or s.baseline_run = $7))
                on conflict do nothing
                returning *
            ), own as (
                select * from made
                union all
                select * from sandboxes where thread_id = $3 and provider = $1 and role = $6
                    and ($7::uuid is null or baseline_run = $7)
            )
            select i.id as "instance!", own.name as "name!", own.id, own.state as "state!: State", own.generation as "generation!",
                own.checkout as "checkout: Json<Checkout>", own.base, own.baseline, own.baseline_run as "baseline_run: RunId",
                own.checkpoint_at, own.used_at as "used_at!", own.lost_run as "lost_run: RunId", own.lost_note
            from own, instance i
            "#,
            self.provider,
            name,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            now,
            self.role(),
            self.apart as Option<RunId>,
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Takes the oldest warm sandbox made from `snapshot` for the thread, instead of the row that has no sandbox yet. Returns its name
    /// and id; none when there is none, or somebody was faster.
    pub async fn claim_warm(&self, snapshot: Option<&str>, now: DateTime<Utc>) -> Result<Option<(String, String)>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let warm = sqlx::query!(
            r#"
            select w.name, w.id as "id!" from sandboxes w, threads t
            where w.provider = $1 and w.role = 'warm' and w.state = 'ready' and w.id is not null
              and w.snapshot is not distinct from $2 and t.id = $3 and t.lease_epoch = $4
            order by w.created_at limit 1
            for update of w skip locked
            "#,
            self.provider,
            snapshot,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(warm) = warm else { return Ok(None) };
        let fresh = sqlx::query!(
            "delete from sandboxes where thread_id = $1 and provider = $2 and role = 'own' and state = 'wanted' and id is null",
            self.thread as ThreadId,
            self.provider,
        )
        .execute(&mut *transaction)
        .await?;
        if fresh.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query!(
            "update sandboxes set role = 'own', state = 'wanted', thread_id = $3, used_at = $4 where provider = $1 and name = $2",
            self.provider,
            warm.name,
            self.thread as ThreadId,
            now,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some((warm.name, warm.id)))
    }

    /// The thread's own sandbox is provably gone: the next one gets another name. False when the lease was lost.
    pub async fn lost(&self, name: &str, next: &str, run: RunId, note: &str) -> Result<bool, sqlx::Error> {
        let lost = sqlx::query!(
            r#"
            update sandboxes s set name = $4, id = null, state = 'wanted', generation = s.generation + 1, lost_run = $5, lost_note = $6
            from threads t
            where s.provider = $1 and s.name = $3 and t.id = $2 and s.thread_id = t.id and t.lease_epoch = $7
            "#,
            self.provider,
            self.thread as ThreadId,
            name,
            next,
            run as RunId,
            note,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(lost.rows_affected() == 1)
    }

    /// Records that a sandbox is prepared. False when the lease was lost.
    pub async fn ready(&self, name: &str, ready: Ready<'_>) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            r#"
            update sandboxes s set id = $4, state = 'ready', checkout = coalesce($5, s.checkout), snapshot = $6,
                base = coalesce($7, s.base), baseline = coalesce($8, s.baseline), baseline_run = $9, used_at = $10
            from threads t
            where s.provider = $1 and s.name = $3 and t.id = $2 and s.thread_id = t.id and t.lease_epoch = $11
            "#,
            self.provider,
            self.thread as ThreadId,
            name,
            ready.id,
            ready.checkout.map(Json) as _,
            ready.snapshot,
            ready.base,
            ready.baseline,
            ready.run as Option<RunId>,
            ready.now,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stores a checkpoint. False when the lease was lost.
    pub async fn checkpoint(&self, name: &str, checkpoint: &[u8], now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            r#"
            update sandboxes s set checkpoint = $4, checkpoint_at = $5, used_at = $5 from threads t
            where s.provider = $1 and s.name = $3 and t.id = $2 and s.thread_id = t.id and t.lease_epoch = $6
            "#,
            self.provider,
            self.thread as ThreadId,
            name,
            checkpoint,
            now,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The last checkpoint of the thread's own sandbox.
    pub async fn last_checkpoint(&self, name: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar!("select checkpoint from sandboxes where provider = $1 and name = $2", self.provider, name)
            .fetch_optional(&self.pool)
            .await
            .map(Option::flatten)
    }

    /// Records another sandbox of the thread before it is made; it may have been before.
    pub async fn extra(&self, name: &str, most: i64, now: DateTime<Utc>) -> Result<Extra, sqlx::Error> {
        let row = sqlx::query!(
            r#"
            with known as (
                select name, id from sandboxes where thread_id = $2 and provider = $1 and role = 'extra' order by created_at
            ), made as (
                insert into sandboxes (provider, name, thread_id, role, created_at, used_at)
                select $1, $3, t.id, 'extra', $6, $6 from threads t
                where t.id = $2 and t.lease_epoch = $4 and (select count(*) from known) < $5
                  and not exists (select 1 from known where known.name = $3)
                on conflict do nothing
                returning name
            )
            select i.id as "instance!", exists (select 1 from made) as "made!",
                exists (select 1 from known where known.name = $3) as "known!",
                array(select coalesce(known.id, known.name) from known) as "names!"
            from instance i
            "#,
            self.provider,
            self.thread as ThreadId,
            name,
            self.epoch as LeaseEpoch,
            most,
            now,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Extra { instance: row.instance, recorded: row.made || row.known, others: row.names })
    }

    /// The name of another sandbox of this thread; none when this is not one, or for a run that stands apart. With what it began with.
    pub async fn extra_by_id(&self, id: &str) -> Result<Option<(String, Option<Vec<u8>>)>, sqlx::Error> {
        if self.apart.is_some() {
            return Ok(None);
        }
        let row = sqlx::query!(
            "select name, baseline from sandboxes where thread_id = $1 and provider = $2 and role = 'extra' and id = $3",
            self.thread as ThreadId,
            self.provider,
            id,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (row.name, row.baseline)))
    }

    /// Another sandbox of the thread is provably gone.
    pub async fn forget_extra(&self, name: &str) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "delete from sandboxes s using threads t where s.provider = $1 and s.name = $2 and s.role = 'extra' and t.id = $3
             and s.thread_id = t.id and t.lease_epoch = $4",
            self.provider,
            name,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// What is recorded of a prepared sandbox; what is none stays as it was.
#[derive(Debug)]
pub struct Ready<'a> {
    pub id: &'a str,
    pub checkout: Option<&'a Checkout>,
    pub snapshot: Option<&'a str>,
    pub base: Option<&'a [u8]>,
    pub baseline: Option<&'a [u8]>,
    /// The run whose beginning the baseline is.
    pub run: Option<RunId>,
    pub now: DateTime<Utc>,
}

/// What came of recording another sandbox.
#[derive(Debug)]
pub struct Extra {
    /// The deployment.
    pub instance: Uuid,
    /// False when there are as many as there may be.
    pub recorded: bool,
    /// The ids of those there are.
    pub others: Vec<String>,
}
