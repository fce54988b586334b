//! A Discord on loopback, after Discord's published description: guilds, channels, threads, forums, messages, files, reactions,
//! application commands, interactions, and a gateway. It keeps state, objects to impossible requests with Discord's own codes, and
//! can be told to fail.
//!
//! Three sides: the HTTP and websocket side is what the service talks to; the people's side ([`DiscordStandin::say`] and the like)
//! is what happens in Discord's own client; the reading side ([`World`], [`DiscordStandin::wait_for`]) is for whoever wants to see
//! what became of it.

mod body;
mod cdn;
mod command;
mod component;
mod draft;
mod embed;
mod error;
mod fault;
mod gateway;
mod http;
mod interaction;
mod limits;
mod mention;
mod message;
mod model;
mod people;
mod permission;
mod record;
mod rest;
mod shape;
mod thread;
mod world;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::fault::Fault;
pub use self::gateway::{Ending, GatewayView, intents};
pub use self::interaction::{Answered, Interaction, InteractionKind};
pub use self::limits::{Scope, Storm};
pub use self::model::{
    Attachment, Channel, ChannelKind, Guild, Id, Member, Message, Overwrite, OverwriteOf, Pings, Role, Tag, Thread, User,
};
pub use self::people::{NewChannel, Upload, Words};
pub use self::permission::Permissions;
pub use self::world::{RequestRecord, Typing, World, made_at};
use crate::clock::{Clock, SystemClock};
use crate::secret::{ExposeSecret, SecretString, secret};

/// How a stand-in is set up. [`Options::default`] is a bot named `threadbox` on a Discord without guilds, with every privileged
/// intent switched on.
pub struct Options {
    /// The bot's name.
    pub name: String,
    /// Privileged intents switched on in the application's settings; see [`intents`].
    pub privileged: u64,
    /// What a client is told about how often to send heartbeats. A client silent for twice as long is closed with 4009; this is
    /// measured in real time, because clients do so too.
    pub heartbeat_interval: Duration,
    /// How many shards there must be at least.
    pub shards: u64,
    /// How many may identify within `identify_every`.
    pub max_concurrency: usize,
    /// Discord's is five seconds; zero lets a client identify as often as it likes.
    pub identify_every: TimeDelta,
    /// Where every request and its answer is appended as a line of JSON; none for nowhere.
    pub record: Option<PathBuf>,
    /// Where time comes from: snowflakes, limits, expiry of tokens and addresses, the three seconds of interactions, resuming.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "threadbox".into(),
            privileged: intents::PRIVILEGED,
            heartbeat_interval: Duration::from_millis(41_250),
            shards: 1,
            max_concurrency: 1,
            identify_every: TimeDelta::zero(),
            record: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A running stand-in. Dropping it closes its port.
pub struct DiscordStandin {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What requests, connections and the handle share.
struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
    address: String,
    token: SecretString,
    /// The token is refused, as after another was made.
    token_refused: AtomicBool,
    /// What is named as the gateway's address, where that is not its own.
    named_gateway: Mutex<Option<String>>,
    heartbeat_interval: Duration,
    shards: AtomicU64,
    max_concurrency: usize,
    identify_every: TimeDelta,
    recorder: Option<record::Recorder>,
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

    fn is_right(&self, token: &str) -> bool {
        token == self.token.expose_secret() && !self.token_refused.load(Ordering::SeqCst)
    }

    fn named_gateway(&self) -> String {
        let named = self.named_gateway.lock().unwrap_or_else(PoisonError::into_inner).clone();
        named.unwrap_or_else(|| self.gateway_url())
    }

    fn shards(&self) -> u64 {
        self.shards.load(Ordering::SeqCst)
    }

    fn gateway_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    fn resume_url(&self) -> String {
        format!("ws://{}/resume", self.address)
    }
}

impl DiscordStandin {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound, or the record not be written.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let origin = format!("http://{address}");
        let world = World::new(options.clock.clone(), origin, &options.name, options.privileged);
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            changed: watch::Sender::new(0),
            address,
            token: secret(format!("stand.in.{}", uuid::Uuid::now_v7().simple())),
            token_refused: AtomicBool::new(false),
            named_gateway: Mutex::default(),
            heartbeat_interval: options.heartbeat_interval,
            shards: AtomicU64::new(options.shards),
            max_concurrency: options.max_concurrency,
            identify_every: options.identify_every,
            recorder: options.record.as_deref().map(record::Recorder::open).transpose()?,
            clock: options.clock,
        });
        let server = tokio::spawn(http::serve(listener, shared.clone()));
        Ok(Self { shared, server })
    }

    /// Where it is, as a client takes the place of `https://discord.com`: without `/api` and without trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Where its gateway is.
    pub fn gateway_url(&self) -> String {
        self.shared.gateway_url()
    }

    /// The bot's token, without `Bot `.
    pub fn token(&self) -> SecretString {
        self.shared.token.clone()
    }

    /// The bot's account, which is also the application's number.
    pub fn us(&self) -> Id {
        self.world(World::us)
    }

    /// Looks at the state.
    pub fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.lock())
    }

    /// What everybody sees in a channel, oldest first.
    pub fn messages(&self, channel: Id) -> Vec<Message> {
        self.world(|world| world.messages(channel).filter(|message| message.only_for.is_none()).cloned().collect())
    }

    /// The requests that arrived, oldest first; the last 5,000.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world(|world| world.requests().cloned().collect())
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
    /// After `within`, with `what`, the last messages and requests.
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

    /// Waits until the service has a session on the gateway and was told everything.
    ///
    /// # Errors
    /// After `within`.
    pub async fn connected(&self, within: Duration) -> anyhow::Result<()> {
        self.wait_for("a session", within, |world| (world.gateway.view().connected > 0).then_some(())).await
    }

    /// Makes a request fail; see [`Fault`]. Faults are used up in the order they were given.
    pub fn inject(&self, fault: Fault) {
        self.shared.with(|world| world.faults.faults.push_back(fault));
    }

    /// Refuses requests with 429; see [`Storm`]. Storms are used up in the order they were given, before faults.
    pub fn storm(&self, storm: Storm) {
        self.shared.with(|world| world.faults.storms.push_back(storm));
    }

    /// Refuses the next request with 429, to be tried again after so many seconds.
    pub fn limit_next(&self, scope: Scope, retry_after: f64) {
        self.storm(Storm::of(scope).retry_after(retry_after));
    }

    /// Refuses the next `times` requests with 429, whatever they are.
    pub fn always_429(&self, times: usize) {
        self.storm(Storm::of(Scope::User).times(times));
    }

    /// Faults and refusals of storms that were not used up.
    pub fn faults_left(&self) -> usize {
        self.world(|world| world.faults.faults.len() + world.faults.storms.iter().map(|storm| storm.times).sum::<usize>())
    }

    /// Switches the limits of buckets and the global one off, or on again. They are announced all the same.
    pub fn enforce_limits(&self, on: bool) {
        self.shared.with(|world| world.limits.on = on);
    }

    /// How many requests of a route are answered in so many milliseconds. A route is a method and a path with `:id` for numbers,
    /// such as `POST /channels/:id/messages`.
    pub fn limit_route(&self, route: &str, requests: u32, milliseconds: u32) {
        self.shared.with(|world| world.limits.set(route, requests, milliseconds.into()));
    }

    /// How many requests are answered in a second, all together.
    pub fn limit_global(&self, requests: u32) {
        self.shared.with(|world| world.limits.global = requests);
    }

    /// After how many answers with 401, 403 or 429 within ten minutes nothing is answered any more.
    pub fn limit_invalid(&self, answers: usize) {
        self.shared.with(|world| world.limits.invalid = answers);
    }

    /// How many answers with 401, 403 or 429 count towards the ban.
    pub fn invalid_answers(&self) -> usize {
        self.world(|world| world.limits.refused())
    }

    /// Refuses the bot's token, as after another was made, or takes it again. Sessions stay.
    pub fn refuse_token(&self, refused: bool) {
        self.shared.token_refused.store(refused, Ordering::SeqCst);
    }

    /// Names another address as the gateway's, or its own again.
    pub fn name_gateway(&self, address: Option<&str>) {
        *self.shared.named_gateway.lock().unwrap_or_else(PoisonError::into_inner) = address.map(str::to_owned);
    }

    /// How many shards there must be at least, from the next identify on.
    pub fn set_shards(&self, shards: u64) {
        self.shared.shards.store(shards, Ordering::SeqCst);
    }

    /// Switches privileged intents on or off, as in the application's settings. Sessions keep what they have.
    pub fn set_privileged(&self, intents: u64) {
        self.shared.with(|world| world.app.privileged = intents);
    }
}

impl Drop for DiscordStandin {
    fn drop(&mut self) {
        self.server.abort();
        // Connections are tasks of their own; they see this and end.
        self.shared.with(|world| world.gateway.shut());
        self.shared.notify();
    }
}
