//! `threadbox serve`: the service, until it is told to end.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{Failure, Progress};
use super::{Outcome, Role, ServeArgs};
use crate::app::{self, App, Parts};
use crate::db;
use crate::http::api;
use crate::secret::ExposeSecret;
use crate::settings::{Settings, Warning};

/// Serves until SIGINT or SIGTERM, then hands work back and ends.
pub async fn main(args: ServeArgs, settings: Settings, warnings: Vec<Warning>) -> Outcome {
    let role = match args.role {
        Role::All => app::Role::All,
        Role::Web => app::Role::Web,
        Role::Worker => app::Role::Worker,
        Role::Gateway if settings.discord.is_none() => {
            return Err(Failure::new("There is no chat to listen to.", "Set DISCORD_TOKEN, or use --role all, web or worker."));
        }
        Role::Gateway => app::Role::Gateway,
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
    if !matches!(role, app::Role::Worker | app::Role::Gateway) && settings.admin_token.is_none() {
        show_first_token(&database.pool).await?;
    }
    let app = App::start(settings, role, database.pool.clone(), Parts::real()?).await?;
    // Before it says that it is ready, so that whoever waits for that may also end it.
    let mut signals = Signals::listen().context("Cannot listen for signals")?;
    if let Some(address) = app.address() {
        tracing::info!(%address, "ready");
        println!("Threadbox is ready on http://{address}");
    } else {
        println!("Threadbox is working");
    }
    let failed = tokio::select! {
        () = signals.next() => false,
        () = app.ending().cancelled() => true,
    };
    tracing::info!("ending: handing work back");
    let end = async {
        app.shut_down().await;
        database.close().await
    };
    tokio::select! {
        ended = end => ended?,
        () = signals.next() => {
            // As if it had been killed: leases run out, and others go on from the last save.
            return Err(Failure::new("Ended at once, at the second signal.", "What was under way is taken up again within half a minute."));
        }
    }
    if failed {
        return Err(Failure::new("A part of the service ended by itself.", "The log says why; a supervisor may start it again."));
    }
    Ok(ExitCode::SUCCESS)
}

/// The admin token is shown at the first start, and never again: only its digest is kept.
async fn show_first_token(pool: &sqlx::PgPool) -> Result<(), Failure> {
    let made = api::first_token(pool).await.context("Cannot keep the admin token")?;
    if let Some(token) = made {
        println!("The admin token, which is shown only now: {}", token.expose_secret());
        println!("Keep it for the API, or set another one as THREADBOX_ADMIN_TOKEN.");
    }
    Ok(())
}

/// SIGINT and SIGTERM.
pub(super) struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Hears those that come from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
