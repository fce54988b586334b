//! What a batch cost, and whose pieces it was for.

use chrono::{DateTime, Utc};

use super::store::Due;
use crate::memory::vectors::store::{Bill, Share};
use crate::model::{Embedded, ModelName, Usage, price};

/// Tokens and dollars of a batch, shared out by the length of the texts. `more` are tokens of questions that come on the same bill.
pub(super) fn of(model: &ModelName, pieces: &[Due], embedded: &Embedded, more: u64, now: DateTime<Utc>) -> Bill {
    let sizes: Vec<u64> = pieces.iter().map(|piece| piece.text.len().max(1) as u64).collect();
    let shares = shares(embedded.tokens + more, &sizes).into_iter().map(|tokens| {
        let usage = Usage { input: tokens, ..Usage::default() };
        Share { tokens: i64::try_from(tokens).unwrap_or(i64::MAX), cost_usd: price::cost(model, &usage) }
    });
    Bill { shares: shares.collect(), estimated: embedded.estimated, at: now }
}

/// Parts in proportion that add up to the whole.
fn shares(whole: u64, sizes: &[u64]) -> Vec<u64> {
    let all = u128::from(sizes.iter().sum::<u64>().max(1));
    let (mut size, mut given) = (0u128, 0u64);
    let share = |part: &u64| {
        size += u128::from(*part);
        let until = u64::try_from(u128::from(whole) * size / all).unwrap_or(whole);
        let share = until - given;
        given = until;
        share
    };
    sizes.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_add_up(whole in 0u64..1_000_000, sizes in prop::collection::vec(1u64..10_000, 1..80)) {
            prop_assert_eq!(shares(whole, &sizes).iter().sum::<u64>(), whole);
        }
    }
}
