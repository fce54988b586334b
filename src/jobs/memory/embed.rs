//! Gives memories their vectors.

use crate::jobs::Services;

/// Works until nothing is due.
pub(in crate::jobs) async fn work(_services: Services) {}
