//! The best of many, in bounded memory.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::id::MemoryId;

/// Keeps the best `limit` of what it is shown.
pub(super) struct Top {
    limit: usize,
    /// The worst one on top.
    kept: BinaryHeap<Reverse<Candidate>>,
}

/// Ordered by similarity, then by age: of equals the newer is better.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    similarity: f32,
    id: MemoryId,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity.total_cmp(&other.similarity).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Top {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::with_capacity(limit + 1) }
    }

    pub(super) fn show(&mut self, id: MemoryId, similarity: f32) {
        let candidate = Candidate { similarity, id };
        if self.kept.len() < self.limit {
            self.kept.push(Reverse(candidate));
        } else if let Some(mut worst) = self.kept.peek_mut()
            && worst.0 < candidate
        {
            *worst = Reverse(candidate);
        }
    }

    /// The best first.
    pub(super) fn into_sorted(self) -> Vec<(MemoryId, f32)> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(found)| (found.id, found.similarity)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_that_sorting_all_would_give(similarities in prop::collection::vec(-10i8..10, 0..60), limit in 0usize..12) {
            let all: Vec<(MemoryId, f32)> = similarities
                .iter()
                .enumerate()
                .map(|(number, similarity)| (MemoryId(Uuid::from_u128(number as u128)), f32::from(*similarity) / 10.0))
                .collect();
            let mut top = Top::new(limit);
            for (id, similarity) in &all {
                top.show(*id, *similarity);
            }
            let mut sorted = all;
            sorted.sort_by(|left, right| right.1.total_cmp(&left.1).then(right.0.cmp(&left.0)));
            sorted.truncate(limit);
            prop_assert_eq!(top.into_sorted(), sorted);
        }
    }
}
