//! The history of a thread: what was said in its finished runs after the cut, whole and in order; in a
//! [`branch`](super::branch) also what was said before it parted.
//!
//! The cut is `threads.condensed_until`. What was said up to it is in the [`observations`](super::observations); between two
//! condensings the history only grows at its end, byte for byte, so that a provider goes on with what it has cached. When condensing
//! lags behind, the oldest runs are left out in portions, so that the beginning stays the same for several runs then, too.

mod at_work;
mod past;
pub(crate) mod store;

pub use at_work::fitting;
pub use past::{Measure, Past, PastRun, measure, size};
pub use store::load;

/// Characters of finished runs a history should have at most, at about four to a token. What is more is due to be condensed.
pub const BUDGET: usize = 96_000;
/// Characters of the newest whole runs that condensing leaves in the history.
pub const KEPT: usize = BUDGET / 2;
/// Characters a history never exceeds, however far condensing lags behind.
pub const CEILING: usize = BUDGET + BUDGET / 2;
/// The oldest runs are left out in portions of a quarter of the ceiling.
pub const PORTION: usize = CEILING / 4;
/// Characters of a single run. Of a larger one only what was asked and answered is given, cut to this size.
pub const LARGEST_RUN: usize = BUDGET / 2;
/// What a run counts beyond its words, so that many short ones have a limit, too.
pub const OVERHEAD: usize = 200;
/// What a run counts that an earlier version of the service ended, until it is measured.
pub const UNMEASURED: usize = 2_000;

/// The same as a number for the database.
fn number(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
