//! Vectors: which pieces of memory mean nearly the same as a question.
//!
//! A vector has length 1 and belongs to the model that made it; vectors of different models are never compared. [`nearest`] is the
//! search, [`filtered`] the one where not everything counts, [`store`] keeps the vectors, [`near`] finds likely ones in very large scopes where the database can.

pub mod near;
mod search;
pub mod store;
mod top;

pub use search::{Effort, filtered, nearest, search};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// How far embedding is.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The model at work, as `provider/model`.
    pub model: String,
    /// Numbers in its vectors; none before the first.
    pub dims: Option<usize>,
    /// Pieces that have a vector of it.
    pub done: i64,
    /// Pieces that are to get one.
    pub due: i64,
    /// Pieces that it would not take. They are found by their words.
    pub refused: i64,
    /// Why it does not go on.
    pub failing: Option<Failing>,
}

/// Why embedding does not go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// The last failure, for people to read.
    pub reason: String,
    /// When it began.
    pub since: DateTime<Utc>,
    /// When it is tried again.
    pub next_try_at: Option<DateTime<Utc>>,
}

/// How far the embedding model at work is; none when none ever was. Counts all pieces: for people who look, not for every request.
pub async fn state(pool: &PgPool) -> Result<Option<State>, sqlx::Error> {
    store::state(pool).await
}

/// A vector as it is stored: 32-bit floats, little-endian.
pub(crate) fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The signs of a vector as Postgres reads bits: `1` for what is not negative.
pub(crate) fn signs_of(vector: &[f32]) -> String {
    vector.iter().map(|value| if *value < 0.0 { '0' } else { '1' }).collect()
}

/// The product of a vector with one that is stored; for unit vectors the cosine of their angle. Read in place.
pub(crate) fn dot(query: &[f32], stored: &[u8]) -> f32 {
    const LANES: usize = 8;
    let (queries, values) = (query.chunks_exact(LANES), stored.chunks_exact(4 * LANES));
    let rest: f32 =
        queries.remainder().iter().zip(values.remainder().chunks_exact(4)).map(|(query, value)| query * float(value)).sum();
    let mut sums = [0.0f32; LANES];
    for (query, value) in queries.zip(values) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += query[lane] * float(&value[4 * lane..4 * lane + 4]);
        }
    }
    rest + sums.iter().sum::<f32>()
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_product_is_the_plain_one(pairs in prop::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 0..100)) {
            let (left, right): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let plain: f64 = left.iter().zip(&right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum();
            prop_assert!((f64::from(dot(&left, &bytes_of(&right))) - plain).abs() < 1e-4);
            prop_assert_eq!(signs_of(&left).len(), left.len());
        }
    }
}
