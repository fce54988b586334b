//! `threadbox standin-daytona`: the Daytona stand-in alone, so that other clients can be tried against it.

use std::process::ExitCode;

use anyhow::Context as _;

use super::Outcome;
use super::serve::Signals;
use crate::app::Parts;
use crate::secret::ExposeSecret;
use crate::settings::Settings;
use crate::standin::daytona::{Daytona, Options};

/// Prints address and key, each on a line as in an environment file, and serves until SIGINT or SIGTERM.
pub async fn daytona(settings: Settings) -> Outcome {
    let search_path = settings.database.search_path.iter().flat_map(std::env::split_paths).collect();
    let options = Options::new(Parts::real()?.helper, settings.data_dir.join("standin-daytona"));
    let mut signals = Signals::listen().context("Cannot listen for signals")?;
    let daytona = Daytona::start(Options { search_path, ..options }).await?;
    println!("DAYTONA_API_URL={}", daytona.url());
    println!("DAYTONA_API_KEY={}", daytona.key().expose_secret());
    signals.next().await;
    for violation in daytona.violations() {
        eprintln!("A client asked for what does not exist: {violation}");
    }
    daytona.shut_down().await;
    Ok(ExitCode::SUCCESS)
}
