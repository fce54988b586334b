//! `threadbox migrate`: applies migrations and exits.

use std::process::ExitCode;

use super::Outcome;
use super::output::Progress;
use crate::app;
use crate::db;
use crate::settings::Settings;

/// One to migrate with and one that holds the lock meanwhile, and some air.
const CONNECTIONS: u32 = 4;

/// Brings the database to this version. Harmless when it is there already, and safe while other processes do the same.
pub async fn main(settings: Settings) -> Outcome {
    let progress = Progress::spinner("opening the database");
    let options = db::Options { connections: CONNECTIONS, ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &progress).await?;
    progress.say("applying migrations");
    let applied = app::migrate(&database.pool).await;
    database.close().await?;
    drop(progress);
    applied?;
    println!("The database is up to date.");
    Ok(ExitCode::SUCCESS)
}
