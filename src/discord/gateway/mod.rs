//! The gateway: one process at a time is connected and hears what people say; what was said while nobody was, is found afterwards.
//!
//! The connection is held under a lease in the database, so that of several processes one is connected, and another takes over when it
//! dies. Everything heard goes through the same intake as webhooks. Until when everything is accounted for is written down; a new session
//! looks through what was said since, and the unique keys of intake make sure that nothing counts twice.

mod backfill;
mod channels;
mod listen;
mod store;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serenity::client::{Client, ClientBuilder, Context, RawEventHandler};
use serenity::gateway::ConnectionStage;
use serenity::http::HttpBuilder;
use serenity::model::application::Interaction;
use serenity::model::event::Event;
use serenity::model::gateway::GatewayIntents;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::listen::Listener;
pub use self::trouble::Trouble;
use super::{Discord, number};
use crate::clock::Clock;
use crate::intake::Intake;
use crate::secret::ExposeSecret;
use crate::settings::DiscordSettings;

/// How long the connection is held without renewal: as long as others wait when its holder dies.
const LEASE: Duration = Duration::from_secs(20);
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How often a process without the connection asks for it.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// Events that wait to be taken in; what comes beyond is found by looking through what was said.
const WAITING: usize = 10_000;

/// What the connection works with.
#[derive(Clone)]
pub struct Gateway {
    /// The database.
    pub pool: PgPool,
    /// Calls Discord.
    pub discord: Arc<Discord>,
    /// Token and address.
    pub settings: DiscordSettings,
    /// Our handle, without `@`.
    pub handle: Arc<str>,
    /// Takes in what is said.
    pub intake: Intake,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names this process.
    pub holder: Arc<str>,
    /// Answers interactions; they wait for nothing else.
    pub interactions: Option<Arc<dyn Interactions>>,
    /// Cancelled when the service ends.
    pub shutdown: CancellationToken,
}

/// Answers what people do with commands and buttons.
#[async_trait]
pub trait Interactions: Send + Sync {
    /// A session has begun: what people may use is made known, if that changed.
    async fn begin(&self);
    /// Answers one, within Discord's three seconds.
    async fn interaction(&self, interaction: Interaction);
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// Why a connection ended.
enum Ended {
    Shutdown,
    /// Another process has it.
    Taken,
    Trouble(Trouble),
}

impl Gateway {
    /// Connects whenever nobody else is connected, until shutdown.
    pub async fn run(self) {
        let mut told = None;
        while !self.shutdown.is_cancelled() {
            let pause = match store::take(&self.pool, &self.holder, LEASE).await {
                Ok(true) => self.hold(&mut told).await,
                Ok(false) => ASK_EVERY,
                Err(error) => {
                    tracing::warn!(%error, "cannot ask for the connection to Discord");
                    ASK_EVERY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    /// Holds the connection as long as it goes well; how long to wait afterwards.
    async fn hold(&self, told: &mut Option<Trouble>) -> Duration {
        let ended = self.connect().await;
        let (pause, trouble) = match ended {
            Ended::Shutdown => (Duration::ZERO, None),
            Ended::Taken => {
                tracing::warn!("another process has taken over the connection to Discord");
                (ASK_EVERY, None)
            }
            Ended::Trouble(trouble) => {
                // Said once where only a person can change it.
                if !trouble.needs_a_person() || told.as_ref() != Some(&trouble) {
                    tracing::error!("{trouble}");
                }
                let pause = trouble.pause();
                (pause, Some(told.insert(trouble).to_string()))
            }
        };
        if let Err(error) = store::release(&self.pool, &self.holder, trouble.as_deref()).await {
            tracing::warn!(%error, "the connection to Discord is free only when its lease is over");
        }
        pause
    }

    async fn connect(&self) -> Ended {
        // Asked by our own client first: serenity would turn to Discord itself where the address does not answer.
        let asked = async { Ok::<_, crate::discord::DiscordError>((self.discord.bot().await?, self.discord.gateway().await?)) };
        let (us, gateway) = match asked.await {
            Ok(known) => known,
            Err(error) => return Ended::Trouble(Trouble::of_call(&error)),
        };
        if gateway.sessions_left() == 0 {
            return Ended::Trouble(Trouble::Sessions(gateway.resets_in()));
        }
        let (heard, waiting) = mpsc::channel(WAITING);
        let overflow = Arc::new(AtomicUsize::new(0));
        let handler = Handler { heard, overflow: overflow.clone(), interactions: self.interactions.clone() };
        let mut client = match self.client(handler).await {
            Ok(client) => client,
            Err(error) => return Ended::Trouble(Trouble::of_gateway(&error)),
        };
        let shards = client.shard_manager.clone();
        let stages = Stages(shards.runners.clone());
        let listener = Arc::new(Listener::new(self.clone(), number(us.id), overflow));
        let ended = tokio::select! {
            ended = client.start_shards(gateway.shards.max(1)) => match ended {
                Ok(()) => Ended::Trouble(Trouble::Passing("the gateway closed".to_owned())),
                Err(error) => Ended::Trouble(Trouble::of_gateway(&error)),
            },
            () = listener.listen(waiting) => Ended::Trouble(Trouble::Passing("nobody listens".to_owned())),
            () = self.keep_lease(&listener, &stages) => Ended::Taken,
            () = self.shutdown.cancelled() => Ended::Shutdown,
        };
        shards.shutdown_all().await;
        ended
    }

    async fn client(&self, handler: Handler) -> serenity::Result<Client> {
        let http = HttpBuilder::new(self.settings.token.expose_secret())
            .proxy(self.settings.api_url.as_str().trim_end_matches('/'))
            .ratelimiter_disabled(true)
            .build();
        let intents = GatewayIntents::GUILDS
            | GatewayIntents::GUILD_MESSAGES
            | GatewayIntents::DIRECT_MESSAGES
            | GatewayIntents::MESSAGE_CONTENT;
        let mut cache = serenity::cache::Settings::default();
        (cache.max_messages, cache.cache_guilds, cache.cache_channels, cache.cache_users) = (0, false, false, false);
        ClientBuilder::new_with_http(http, intents).cache_settings(cache).raw_event_handler(handler).await
    }

    /// Renews the lease; ends when it is lost, or was not renewed for so long that it may be.
    async fn keep_lease(&self, listener: &Listener, stages: &Stages) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            // Taken before looking, so that what comes meanwhile is after it.
            let now = self.clock.now();
            let seen = (stages.are_connected().await && listener.is_even()).then_some(now);
            match store::renew(&self.pool, &self.holder, LEASE, seen).await {
                Ok(true) => renewed = tokio::time::Instant::now(),
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot renew the lease of the connection to Discord");
                    if renewed.elapsed() > LEASE - RENEW_EVERY {
                        return;
                    }
                }
            }
        }
    }
}

type Runners =
    Arc<tokio::sync::Mutex<std::collections::HashMap<serenity::model::id::ShardId, serenity::gateway::ShardRunnerInfo>>>;

/// How the shards stand.
struct Stages(Runners);

impl Stages {
    async fn are_connected(&self) -> bool {
        let runners = self.0.lock().await;
        !runners.is_empty() && runners.values().all(|runner| runner.stage == ConnectionStage::Connected)
    }
}

/// Hands events over as they come.
struct Handler {
    heard: mpsc::Sender<Event>,
    /// Events that found no room.
    overflow: Arc<AtomicUsize>,
    interactions: Option<Arc<dyn Interactions>>,
}

#[async_trait]
impl RawEventHandler for Handler {
    async fn raw_event(&self, _: Context, event: Event) {
        match (event, &self.interactions) {
            // serenity gives every event a task of its own, so this holds nothing up.
            (Event::InteractionCreate(made), Some(interactions)) => interactions.interaction(made.interaction).await,
            (event, interactions) => {
                let begins = matches!(event, Event::Ready(_));
                if self.heard.try_send(event).is_err() {
                    self.overflow.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(interactions) = interactions.as_ref().filter(|_| begins) {
                    interactions.begin().await;
                }
            }
        }
    }
}
