//! What a run can do where its conversation is.

use std::sync::Arc;

use super::Services;
use super::reader::GithubReader;
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::{Hands, Reader};

/// The hands of a run.
pub(super) fn of(services: &Services, taken: &Taken, _sandboxes: &ThreadSandboxes) -> Hands {
    let reader = GithubReader::of(services, taken).map(|reader| Arc::new(reader) as Arc<dyn Reader>);
    Hands { reader, ..Hands::default() }
}
