//! The row of a sandbox that stands apart, when its run has ended.

use super::super::store::Holder;
use crate::id::{LeaseEpoch, RunId, ThreadId};

impl Holder {
    /// From now on no row knows the sandbox of `run`. With `keep`, what makes the next one stays, the last checkpoint with it. Returns
    /// its id, or its name when its making was interrupted; none when there is none, or the lease was lost.
    pub async fn end_apart(&self, run: RunId, keep: bool) -> Result<Option<String>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query!(
            r#"
            select s.name, coalesce(s.id, s.name) as "sandbox!", s.state <> 'gone' as "is_there!"
            from sandboxes s join threads t on t.id = s.thread_id
            where s.provider = $1 and s.role = 'apart' and s.baseline_run = $2 and t.id = $3 and t.lease_epoch = $4
            for update of s
            "#,
            self.provider,
            run as RunId,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if keep {
            sqlx::query!(
                "update sandboxes set state = 'gone', id = null where provider = $1 and name = $2",
                self.provider,
                row.name,
            )
            .execute(&mut *transaction)
            .await?;
        } else {
            sqlx::query!("delete from sandboxes where provider = $1 and name = $2", self.provider, row.name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(row.is_there.then_some(row.sandbox))
    }
}
