//! The toolbox daemon: what answers inside a sandbox of the stand-in. It is this binary, started by the stand-in inside a local
//! sandbox, where it listens on a unix socket until the sandbox is stopped. What it starts lives between requests.
//!
//! It checks no credentials: who reaches the socket may do everything inside, and nothing outside.

mod code;
mod files;
mod machine;
mod port;
mod process;
mod run;
mod session;
mod trouble;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tokio::net::UnixListener;

use self::session::Sessions;
use super::DaemonVersion;

/// What the daemon is told on its command line.
struct Settings {
    socket: PathBuf,
    version: DaemonVersion,
    /// Work and home directory at once, as in the stock image.
    home: PathBuf,
}

/// Runs the daemon until it is killed. Only the stand-in starts it, inside a sandbox.
pub fn main(arguments: Vec<String>) -> ExitCode {
    let Some(settings) = Settings::parse(&arguments) else {
        eprintln!("toolbox-daemon: this command is started by threadbox itself, not by people.");
        return ExitCode::from(2);
    };
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("toolbox-daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Settings {
    fn parse(arguments: &[String]) -> Option<Self> {
        let [socket, version, home] = arguments else { return None };
        Some(Self { socket: socket.into(), version: DaemonVersion::parse(version)?, home: home.into() })
    }
}

fn serve(settings: Settings) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(16).build()?;
    runtime.block_on(async move {
        // What a daemon before us left; a directory in its place is not ours to remove, and binding says so.
        let _ = std::fs::remove_file(&settings.socket);
        let listener = UnixListener::bind(&settings.socket)?;
        axum::serve(listener, routes(Arc::new(Daemon::new(settings)))).await
    })
}

/// What all requests share.
struct Daemon {
    version: DaemonVersion,
    home: PathBuf,
    /// The shell commands are fed to.
    shell: &'static str,
    /// What later processes get, beyond what the daemon itself got; none for what they do not get.
    env: Mutex<BTreeMap<String, Option<String>>>,
    sessions: Sessions,
}

impl Daemon {
    fn new(settings: Settings) -> Self {
        let shells = ["zsh", "bash"];
        let shell =
            shells.into_iter().find(|name| Path::new("/usr/bin").join(name).exists() || Path::new("/bin").join(name).exists());
        Self {
            version: settings.version,
            home: settings.home,
            shell: shell.unwrap_or("sh"),
            env: Mutex::default(),
            sessions: Sessions::default(),
        }
    }

    fn env(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.env.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a path means: relative ones start at the work directory, and nothing is expanded.
    fn resolve(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }
}

fn routes(daemon: Arc<Daemon>) -> Router {
    let mut routes = Router::new()
        .route("/version", get(machine::version))
        .route("/work-dir", get(machine::directory))
        .route("/user-home-dir", get(machine::directory))
        .route("/port", get(machine::ports))
        .route("/port/{port}/in-use", get(machine::in_use))
        .route("/process/execute", post(process::execute))
        .route("/process/code-run", post(code::run))
        .route("/process/session", get(session::list).post(session::create))
        .route("/process/session/entrypoint/logs", get(session::entrypoint_logs))
        .route("/process/session/{id}", get(session::show).delete(session::delete))
        .route("/process/session/{id}/exec", post(session::exec))
        .route("/process/session/{id}/command/{command}", get(session::command))
        .route("/process/session/{id}/command/{command}/logs", get(session::logs))
        .route("/process/session/{id}/command/{command}/input", post(session::input))
        .route("/.port/{port}/", any(port::forward_root))
        .route("/.port/{port}/{*path}", any(port::forward))
        .merge(files::routes(daemon.version));
    if daemon.version == DaemonVersion::Hosted {
        routes = routes.route("/env", post(machine::env));
    }
    routes
        // Text, not JSON: the route is missing, not the thing.
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found"))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(daemon.clone(), trouble::dress))
        .with_state(daemon)
}
