//! Lines of the ledger for what runs made necessary beside their own steps.

use sqlx::PgPool;
use sqlx::types::Json;

use super::Charge;

/// Two that count their steps at the same moment take the same number; the one that comes second counts again.
const TRIES: usize = 5;

/// Enters a charge. Counts anew with every call: call it once for each answer.
///
/// # Errors
/// As the database. A run that is gone has no ledger any more; that is no error.
pub async fn charge(pool: &PgPool, charge: &Charge) -> Result<(), sqlx::Error> {
    for _ in 0..TRIES {
        let done = sqlx::query!(
            r#"
            insert into ledger (run_id, step, purpose, requester, repository, model, input, cached, output, estimated, cost_usd, at)
            select s.run_id, (select coalesce(max(l.step), 0) + 1 from ledger l where l.run_id = s.run_id and l.purpose = s.purpose),
                   s.purpose, s.requester, s.repository, s.model, s.input, s.cached, s.output, s.estimated, s.cost_usd, s.at
            from jsonb_to_record($1) as s (
                run_id uuid, purpose text, requester text, repository text, model text, input bigint, cached bigint, output bigint,
                estimated boolean, cost_usd double precision, at timestamptz)
            where exists (select 1 from runs r where r.id = s.run_id)
            on conflict do nothing
            "#,
            Json(charge.row()) as _,
        )
        .execute(pool)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
    }
    Ok(())
}
