//! pgvector, where the database has it: an index that finds the likely vectors of very large scopes.
//!
//! Optional in every respect: what it finds is compared exactly afterwards, what it does not find is looked for without it, and
//! nothing depends on it being there. It indexes a copy of half the precision, which is enough to be likely.

mod store;

use sqlx::PgPool;

use crate::id::MemoryId;
use crate::memory::Scope;
use crate::model::ModelName;

/// Models with fewer vectors need none.
pub const WORTH_IT: i64 = 20_000;
/// pgvector indexes no longer ones.
const LONGEST: usize = 4_000;
/// The first version that goes on where a filter left too little.
const OLDEST: (u32, u32) = (0, 8);
const BATCH: i64 = 500;

/// Makes the index of a model that has at least `from` vectors, where the database can and nobody else is at it, and copies what came
/// since into it. May take minutes; harmless when it stops anywhere. True when the index is there.
pub async fn tend(pool: &PgPool, model: &ModelName, dims: usize, from: i64) -> Result<bool, sqlx::Error> {
    if dims > LONGEST || !is_new_enough(store::version(pool).await?.as_deref()) || !store::has(pool, model, from).await? {
        return Ok(false);
    }
    let Some(mut turn) = store::Turn::take(pool).await? else { return Ok(false) };
    let made = make(pool, &mut turn, model, dims).await;
    turn.give_back().await?;
    match made {
        Ok(()) => Ok(true),
        // Not ours to make here: no right to create the extension, or no memory for the index.
        Err(sqlx::Error::Database(error)) => {
            tracing::debug!(%error, "large scopes are searched without pgvector");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn make(pool: &PgPool, turn: &mut store::Turn, model: &ModelName, dims: usize) -> Result<(), sqlx::Error> {
    store::prepare(pool).await?;
    while store::fill(pool, model, dims, BATCH).await? > 0 {}
    store::index(pool, turn, model, dims).await
}

/// The likely ones of a scope, with their vectors; none where there is no index.
pub(super) async fn likely(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    count: usize,
) -> Result<Option<Vec<(MemoryId, Vec<u8>)>>, sqlx::Error> {
    if query.len() > LONGEST || !store::is_indexed(pool, model, query.len()).await? {
        return Ok(None);
    }
    store::likely(pool, scope, model, query, count).await.map(Some)
}

fn is_new_enough(version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_go_on_after_a_filter_will_do() {
        for (version, enough) in
            [(None, false), (Some("0.7.4"), false), (Some("0.8.0"), true), (Some("0.10.1"), true), (Some("1.0"), true)]
        {
            assert_eq!(is_new_enough(version), enough, "{version:?}");
        }
    }
}
