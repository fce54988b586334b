//! The nearest vectors of a scope.

use sqlx::PgPool;

use super::top::Top;
use super::{dot, near, store};
use crate::id::MemoryId;
use crate::memory::{Filter, Scope};
use crate::model::ModelName;

/// No search returns more.
const MOST: usize = 1_000;
/// Where not everything counts, so many of the newest of that time are looked at.
const LOOKED_AT: i64 = 50_000;

/// Where a search stops to compare everything.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Scopes with so many vectors are searched by comparing each of them.
    pub exact_up_to: i64,
    /// Those with more than so many by an index, where the database has one.
    pub index_beyond: i64,
    /// Where it has none, so many of the newest are looked at.
    pub newest: i64,
    /// Of what is looked at so many likely ones are compared, at least.
    pub likely: usize,
    /// And at least so many times what is wanted.
    pub likely_per_wanted: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { exact_up_to: 2_000, index_beyond: 10_000, newest: 100_000, likely: 500, likely_per_wanted: 3 }
    }
}

/// The pieces of the scope whose vectors are nearest to `query`, the nearest first; of equals the newer first. Beside each its
/// similarity: the cosine of the angle, from -1 (opposite) to 1 (same direction).
///
/// `query` has length 1 and comes from `model`; pieces that have no vector of that model, or one of another dimension, are not found.
/// Never more than 1,000. Nothing beyond the scope is compared, let alone returned. In scopes of more than 2,000 vectors only the
/// likely ones are compared exactly, so that one of the nearest may be missing; every similarity is exact. In scopes of more than 100,000
/// older ones are only found where the database has pgvector: without it, what a search takes grows no further.
pub async fn nearest(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    limit: usize,
) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
    search(pool, scope, model, query, limit, Effort::default()).await
}

/// The same with another [`Effort`].
pub async fn search(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    limit: usize,
    effort: Effort,
) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
    let limit = limit.min(MOST);
    if query.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let mut top = Top::new(limit);
    let mut show = |id: MemoryId, vector: &[f32], stored: &[u8]| top.show(id, dot(vector, stored));
    let there = store::count(pool, scope, model, query.len(), effort.exact_up_to.max(effort.index_beyond) + 1).await?;
    if there > effort.exact_up_to {
        let likely = effort.likely.max(limit.saturating_mul(effort.likely_per_wanted));
        let by_index = match there > effort.index_beyond {
            // An index that gave up early would hide what is there.
            true => near::likely(pool, scope, model, query, likely).await?.filter(|found| found.len() >= likely),
            false => None,
        };
        let found = match by_index {
            Some(found) => found,
            None => store::likely(pool, scope, model, query, (effort.newest, likely)).await?,
        };
        for (id, stored) in &found {
            show(*id, query, stored);
        }
    } else {
        store::scan(pool, scope, model, query.len(), |id, stored| show(id, query, stored)).await?;
    }
    Ok(top.into_sorted())
}

/// The same of what counts alone: of the 50,000 newest pieces of that time those that they said.
pub async fn filtered(
    pool: &PgPool,
    (scope, filter): (&Scope, &Filter),
    model: &ModelName,
    query: &[f32],
    limit: usize,
) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
    let limit = limit.min(MOST);
    if query.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let Effort { likely, likely_per_wanted, .. } = Effort::default();
    let likely = likely.max(limit.saturating_mul(likely_per_wanted));
    let mut top = Top::new(limit);
    for (id, stored) in store::likely_of(pool, (scope, filter), model, query, (LOOKED_AT, likely)).await? {
        top.show(id, dot(query, &stored));
    }
    Ok(top.into_sorted())
}
