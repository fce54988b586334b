//! Sandboxes at Daytona, or at any server that speaks its API.
//!
//! Two halves share one [`Client`], which knows headers, deadlines, retries, rate limits and the shapes of errors:
//!
//! - the *control plane* makes, finds, wakes and removes machines: `wire` (what is said), `api` (one function per call),
//!   `state` (what to do in which state, one table), `control` (what follows from it), `provider`;
//! - the *toolbox* is the server inside a machine that runs commands and keeps files. Its calls go to
//!   [`wire::Sandbox::toolbox`] and need only the [`Client`].
//!
//! Where the two meet: the provider makes a machine ready and opens it from a fresh [`wire::Sandbox`]; the opened machine holds a
//! [`Revive`]. When the toolbox answers [`ErrorKind::SandboxUnavailable`] (stopped, archived, restarting, daemon dead: it cannot
//! tell), the machine calls [`Revive::revive`] once and goes on with the [`wire::Sandbox`] it gets, whose toolbox address may have
//! changed. After that processes, sessions and `/dev/shm` are gone while the disk is as it was.
//!
//! Variables of a sandbox (`SandboxSpec::env`) are kept by Daytona and come back as [`wire::Sandbox::env`]. Without any, nothing is sent,
//! because only then a machine from Daytona's warm pool is taken.

mod advice;
pub mod api;
pub mod call;
pub mod client;
pub mod control;
mod download;
pub mod error;
mod files;
mod follow;
mod info;
mod job;
mod machine;
mod multipart;
mod process;
mod program;
mod provider;
mod request;
mod retry;
mod script;
pub mod state;
mod toolbox;
pub mod wire;

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

pub use self::call::{Base, Body, Call, Content, Part, Response, Retry};
pub use self::client::Client;
pub use self::control::Control;
pub use self::error::{ApiError, ErrorKind};
pub use self::machine::DaytonaSandbox;
pub use self::provider::DaytonaProvider;
pub use self::request::{APP_LABEL, THREAD_LABEL};
use super::SandboxError;
pub use crate::settings::DaytonaCredential as Credential;
use crate::settings::Network;

/// Where Daytona is, who we are there, and what its machines should be like.
#[derive(Clone, Debug)]
pub struct DaytonaConfig {
    /// Base of the API, such as `https://app.daytona.io/api`.
    pub api_url: Url,
    /// Who we are.
    pub credential: Credential,
    /// Region; unset is the organisation's default.
    pub target: Option<String>,
    /// What a new machine is made from.
    pub origin: Origin,
    /// What a machine may reach; `Full` leaves it to Daytona and the organisation.
    pub network: Network,
    /// Minutes without use after which Daytona stops a machine. Its disk stays.
    pub idle_minutes: u32,
    /// Minutes after which Daytona deletes a machine whatever happens.
    pub ttl_minutes: Option<u32>,
    /// How long things are waited for.
    pub pace: Pace,
}

/// What a new machine is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The organisation's default snapshot.
    #[default]
    Default,
    /// A snapshot, by name or id. It fixes the size.
    Snapshot(String),
    /// A container image, which Daytona builds a snapshot from at first use.
    Image {
        /// Such as `debian:12.9`.
        reference: String,
        /// Processors.
        cpus: u32,
        /// Memory in GiB.
        memory_gib: u32,
        /// Disk in GiB.
        disk_gib: u32,
    },
}

/// How long things are waited for and how often they are tried. The defaults are for the real service; tests are quicker.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Tries of one call, the first included.
    pub tries: u32,
    /// Wait before the second try; doubled before each further one.
    pub backoff: Duration,
    /// Most that one call waits for rate limits altogether.
    pub rate_limit: Duration,
    /// How long nothing is asked after the credential was refused: repeated refusals block the address we come from.
    pub refused: Duration,
    /// First interval at which the state of a machine is looked at.
    pub poll: Duration,
    /// How long a machine may take to start from a snapshot, or to stop.
    pub start: Duration,
    /// How long a machine may take when a snapshot has to be built or pulled, or an archive restored.
    pub restore: Duration,
    /// How long a removal waits for another change to finish.
    pub remove: Duration,
    /// How long a machine that is said to run may not answer before it is restarted.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            tries: 3,
            backoff: Duration::from_millis(200),
            rate_limit: Duration::from_secs(60),
            refused: Duration::from_secs(60),
            poll: Duration::from_millis(100),
            start: Duration::from_secs(120),
            restore: Duration::from_secs(900),
            remove: Duration::from_secs(60),
            silence: Duration::from_secs(30),
        }
    }
}

/// Brings a machine back whose toolbox does not answer.
#[async_trait]
pub trait Revive: Send + Sync {
    /// Looks up how the machine is, and resumes, restores or restarts it as needed: when it returns, the machine is `started` and its
    /// toolbox has answered. `id` is [`wire::Sandbox::id`]. Fine to call from several places at once, they share one attempt.
    ///
    /// [`SandboxError::NotFound`] when the machine is provably gone, [`SandboxError::Refused`] or [`SandboxError::Unavailable`] with cause and
    /// remedy when it cannot be brought back now. Takes up to [`Pace::restore`] for an archived machine.
    async fn revive(&self, id: &str) -> Result<wire::Sandbox, SandboxError>;
}
