//! Memory at work: what a run is shown of it when it begins, what it can do with it, and what is done after it.
//!
//! After a run is posted, [`index`] puts what was said into memory, [`embed`] adds vectors where an embedder is configured, and
//! [`condense`] shortens threads whose history has become long. The rows that are due are the queue: whoever wakes works until none
//! is left, and what a process left behind is found by the next sweep.

mod borders;
pub(super) mod branch;
pub(super) mod condense;
pub(super) mod embed;
pub(super) mod forget;
pub(super) mod index;
mod recall;
pub(super) mod receipts;
pub(super) mod working;

use std::sync::Arc;

use super::Services;
use crate::agent::Snapshot;
use crate::agent::store::Taken;
use crate::agent::tools::{Notebook, Recaller};
use crate::memory::Options;

/// Adds what memory has to say to the beginning of a run, as data behind the request, with the receipts of it.
pub(super) async fn remind(services: &Services, taken: &Taken, options: &Options, snapshot: &mut Snapshot) {
    working::remind(services, taken, options, snapshot).await;
    recall::remind(services, taken, options, snapshot).await;
}

/// What finds things for a run.
pub(super) fn recaller(services: &Services, taken: &Taken, options: &Options) -> Option<Arc<dyn Recaller>> {
    Some(Arc::new(recall::Hand::of(services, taken, options)?))
}

/// What keeps things in mind for a run.
pub(super) fn notebook(services: &Services, taken: &Taken, options: &Options) -> Option<Arc<dyn Notebook>> {
    working::notebook(services, taken, options)
}
