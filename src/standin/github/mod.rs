//! A GitHub on loopback, after GitHub's published REST description: issues, comments, reactions, permissions, an App with
//! installation tokens, signed webhooks. It keeps state and objects to impossible requests, and it can be told to fail.
//!
//! Three sides: the HTTP side (`api` and below) is what the service talks to; the people's side ([`GithubStandin::comment`] and
//! the like) is what happens on github.com in a browser; the reading side ([`World`], [`GithubStandin::wait_for`]) is for whoever
//! wants to see what became of it.

mod act;
mod api;
mod auth;
mod body;
mod checks;
mod codeload;
mod conversation;
mod deliver;
mod deliveries;
mod diff;
mod fault;
mod git;
mod graphql;
mod issues;
mod look;
mod people;
mod press;
mod pulls;
mod record;
mod refuse;
mod repos;
mod review;
mod shape;
mod teams;
mod unchanged;
mod uploads;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

pub use self::act::Commented;
pub use self::checks::{CheckRun, NewCheck, ReportedCheck};
pub use self::deliver::{Delivery, Sent};
pub use self::fault::{Fault, Limit};
pub use self::git::{Archive, Change, Mode, Node, Person, Status};
pub use self::look::{CommitView, PullView, TreeFile};
pub use self::pulls::{MergeMethod, NewPull};
pub use self::review::{Anchor, NewComment, Review, ReviewComment, ReviewState, Reviewed, Side};
pub use self::world::{Comment, Issue, IssueRef, Reaction, RequestRecord, User, UserKind, Version, Visibility, World};
use crate::clock::{Clock, SystemClock};
use crate::secret::{SecretString, secret};
use crate::settings::{GithubAuth, GithubSettings};

/// How a stand-in is set up. [`Options::default`] is an App named `threadbox` on an empty GitHub.
pub struct Options {
    /// What precedes every path, such as `/api/v3`; empty for none. No trailing slash.
    pub base_path: String,
    /// As whom the service is expected.
    pub expects: Expects,
    /// The App's slug; its account is `slug[bot]`.
    pub slug: String,
    /// What the App is granted, as in the App's settings.
    pub permissions: BTreeMap<String, String>,
    /// The secret webhooks are signed with.
    pub webhook_secret: SecretString,
    /// True: what the service itself writes comes back to it as webhooks, as on GitHub.
    pub echo: bool,
    /// Where every request and its answer is appended as a line of JSON; none for nowhere.
    pub record: Option<PathBuf>,
    /// Where time comes from: timestamps, expiry of tokens and limits.
    pub clock: Arc<dyn Clock>,
}

/// As whom the service is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// As a GitHub App. Its key is made once per process, which takes a moment.
    App,
    /// With a plain token of a machine account named like the slug. Needs no key.
    Token,
}

impl Default for Options {
    fn default() -> Self {
        let granted = [
            ("actions", "read"),
            ("checks", "write"),
            ("contents", "write"),
            ("issues", "write"),
            ("members", "read"),
            ("metadata", "read"),
            ("pull_requests", "write"),
        ];
        Self {
            base_path: String::new(),
            expects: Expects::App,
            slug: "threadbox".into(),
            permissions: granted.map(|(name, level)| (name.into(), level.into())).into(),
            webhook_secret: secret("a secret between GitHub and us"),
            echo: true,
            record: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A running stand-in. Dropping it closes its port.
pub struct GithubStandin {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    codeload: JoinHandle<()>,
}

/// What requests and the handle share.
struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
    origin: String,
    /// Where archives are.
    codeload: String,
    base_path: String,
    expects: Expects,
    token: SecretString,
    webhook_secret: SecretString,
    echo: bool,
    recorder: Option<record::Recorder>,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world, or changes it without anybody being told.
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.lock())
    }

    /// Tells those who wait that something changed.
    fn notify(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn api(&self) -> String {
        format!("{}{}", self.origin, self.base_path)
    }
}

impl GithubStandin {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound, no key made, or the record not be written.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        if options.expects == Expects::App {
            tokio::task::spawn_blocking(auth::app_key).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let world = World::new(&options, &origin);
        let archives = TcpListener::bind("127.0.0.1:0").await?;
        let codeload = format!("http://{}", archives.local_addr()?);
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            changed: watch::Sender::new(0),
            origin,
            codeload,
            base_path: options.base_path,
            expects: options.expects,
            token: secret(format!("ghp_{}", auth::random())),
            webhook_secret: options.webhook_secret,
            echo: options.echo,
            recorder: options.record.as_deref().map(record::Recorder::open).transpose()?,
            client: deliver::client()?,
            clock: options.clock,
        });
        let server = tokio::spawn(api::serve(listener, shared.clone()));
        let codeload = tokio::spawn(codeload::serve(archives, shared.clone()));
        Ok(Self { shared, server, codeload })
    }

    /// The base URL of the API, base path included, without trailing slash.
    pub fn url(&self) -> String {
        self.shared.api()
    }

    /// Settings that make the service talk to this stand-in.
    ///
    /// # Errors
    /// Never in practice: the address is a URL.
    pub fn settings(&self) -> anyhow::Result<GithubSettings> {
        let auth = match self.shared.expects {
            Expects::App => GithubAuth::App { id: self.app_id(), private_key: self.private_key_pem() },
            Expects::Token => GithubAuth::Token(self.token()),
        };
        Ok(GithubSettings { api_url: Url::parse(&self.url())?, auth, webhook_secrets: vec![self.webhook_secret()] })
    }

    /// The App's number.
    pub fn app_id(&self) -> u64 {
        world::APP_ID.unsigned_abs()
    }

    /// The App's private key (PKCS#8 PEM). Made on first use when a token is expected.
    pub fn private_key_pem(&self) -> SecretString {
        secret(auth::app_key().pem.clone())
    }

    /// The machine account's token.
    pub fn token(&self) -> SecretString {
        self.shared.token.clone()
    }

    /// What webhooks are signed with.
    pub fn webhook_secret(&self) -> SecretString {
        self.shared.webhook_secret.clone()
    }

    /// The login the service acts as.
    pub fn our_login(&self) -> String {
        self.world(|world| world.our_login())
    }

    /// Looks at the state.
    pub fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.lock())
    }

    /// The comments of an issue, oldest first.
    pub fn comments(&self, issue: &IssueRef) -> Vec<Comment> {
        self.world(|world| world.comments(issue))
    }

    /// The requests that arrived, oldest first; the last 2,000.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world(|world| world.requests.iter().cloned().collect())
    }

    /// Waits until something changes. Take it before looking, so that no change is missed.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut versions = self.shared.changed.subscribe();
        async move {
            // The sender lives in the stand-in; when it is gone nothing changes any more.
            if versions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until `look` finds what it looks for.
    ///
    /// # Errors
    /// After `within`, with `what` and the texts of all comments.
    pub async fn wait_for<T>(&self, what: &str, within: Duration, look: impl Fn(&World) -> Option<T>) -> anyhow::Result<T> {
        let search = async {
            loop {
                let changed = self.changed();
                if let Some(found) = self.world(&look) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(within, search).await {
            Ok(found) => Ok(found),
            Err(_) => Err(anyhow::anyhow!("{what} did not happen within {within:?}. {}", self.world(World::describe))),
        }
    }

    /// Waits until no webhook is under way.
    ///
    /// # Errors
    /// After `within`.
    pub async fn quiet(&self, within: Duration) -> anyhow::Result<()> {
        self.wait_for("silence", within, |world| (world.in_flight == 0).then_some(())).await
    }

    /// Makes a request fail; see [`Fault`]. Faults are used up in the order they were given.
    pub fn inject(&self, fault: Fault) {
        self.shared.with(|world| world.faults.push_back(fault));
    }

    /// Faults that were not used up.
    pub fn faults_left(&self) -> usize {
        self.world(|world| world.faults.len())
    }

    /// Switches rate limits.
    pub fn limit(&self, limit: Limit) {
        self.shared.with(|world| world.limit = limit);
    }

    /// Allows this many requests an hour, announced in every answer; answers that nothing changed (304) do not count. None for any
    /// number.
    pub fn limit_requests(&self, per_hour: Option<u64>) {
        self.shared.with(|world| world.allow_hourly(per_hour));
    }

    /// Allows this many created comments a minute, as GitHub's secondary limit does; none for any number.
    pub fn limit_content(&self, per_minute: Option<usize>) {
        self.shared.with(|world| world.content_per_minute = per_minute);
    }

    /// Forgets comments, reactions, deliveries and requests: for long benches, whose memory is measured.
    pub fn prune(&self) {
        self.shared.with(World::prune);
    }
}

impl Drop for GithubStandin {
    fn drop(&mut self) {
        self.server.abort();
        self.codeload.abort();
    }
}
