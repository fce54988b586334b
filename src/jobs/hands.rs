//! What a run can do where its conversation is.

use super::{Services, review};
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::Hands;

/// The hands of a run.
pub(super) fn of(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Hands {
    let mut hands = Hands::default();
    if let Some(reviewer) = review::reviewer(services, taken, sandboxes) {
        hands.reviewer = Some(reviewer);
    }
    hands
}
