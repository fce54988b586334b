//! `threadbox migrate`: applies migrations and exits.

use super::Outcome;
use super::output::Failure;
use crate::settings::Settings;

/// Brings the database to this version. Harmless when it is there already, and safe while other processes do the same.
pub async fn main(_settings: Settings) -> Outcome {
    Err(Failure::new("There is no database in this build.", "Use a released version."))
}
