//! Condenses the older part of long threads.

use crate::jobs::Services;

/// Works until nothing is due.
pub(in crate::jobs) async fn work(_services: Services) {}
