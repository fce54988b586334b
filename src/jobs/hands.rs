//! What a run can do where its conversation is.

use super::Services;
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::Hands;

/// The hands of a run.
pub(super) fn of(_services: &Services, _taken: &Taken, _sandboxes: &ThreadSandboxes) -> Hands {
    Hands::default()
}
