//! The nearest vectors of a scope.

use sqlx::PgPool;

use super::top::Top;
use super::{dot, store};
use crate::id::MemoryId;
use crate::memory::Scope;
use crate::model::ModelName;

/// No search returns more.
const MOST: usize = 1_000;

/// The pieces of the scope whose vectors are nearest to `query`, the nearest first; of equals the newer first. Beside each its
/// similarity: the cosine of the angle, from -1 (opposite) to 1 (same direction).
///
/// `query` has length 1 and comes from `model`; pieces that have no vector of that model, or one of another dimension, are not found.
/// Never more than 1,000. Nothing beyond the scope is compared, let alone returned.
pub async fn nearest(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    limit: usize,
) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
    if query.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let mut top = Top::new(limit.min(MOST));
    store::scan(pool, scope, model, query.len(), |id, vector| top.show(id, dot(query, vector))).await?;
    Ok(top.into_sorted())
}
