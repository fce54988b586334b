//! `threadbox serve`: the service, until it is told to end.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::output::{Failure, Progress};
use super::{Outcome, Role, ServeArgs};
use crate::app::{self, App, Parts};
use crate::db;
use crate::settings::{Settings, Warning};

/// Serves until SIGINT or SIGTERM, then hands work back and ends.
pub async fn main(args: ServeArgs, settings: Settings, warnings: Vec<Warning>) -> Outcome {
    let role = match args.role {
        Role::All => app::Role::All,
        Role::Web => app::Role::Web,
        Role::Worker => app::Role::Worker,
        Role::Gateway => return Err(Failure::new("There is no chat gateway in this version.", "Use --role all, web or worker.")),
    };
    for warning in &warnings {
        if let Warning::Off(part) = warning {
            tracing::warn!("{part}");
        }
    }
    let progress = Progress::spinner("opening the database");
    let options = db::Options { connections: app::connections(&settings), ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &progress).await?;
    progress.say("applying migrations");
    app::migrate(&database.pool).await?;
    drop(progress);
    let app = App::start(settings, role, database.pool.clone(), Parts::real()?).await?;
    // Before it says that it is ready, so that whoever waits for that may also end it.
    let told = told_to_end()?;
    if let Some(address) = app.address() {
        tracing::info!(%address, "ready");
        println!("Threadbox is ready on http://{address}");
    } else {
        println!("Threadbox is working");
    }
    let failed = tokio::select! {
        () = told => false,
        () = app.ending().cancelled() => true,
    };
    tracing::info!("ending: handing work back");
    app.shut_down().await;
    database.close().await?;
    if failed {
        return Err(Failure::new("A part of the service ended by itself.", "The log says why; a supervisor may start it again."));
    }
    Ok(ExitCode::SUCCESS)
}

/// Resolves at SIGINT or SIGTERM.
fn told_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
