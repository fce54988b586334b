//! The gateway: one process at a time is connected and hears what people say; what was said while nobody was, is found afterwards.
//!
//! The connection is held under a lease in the database, so that of several processes one is connected, and another takes over when it
//! dies. Everything heard goes through the same intake as webhooks. Until when everything is accounted for is written down; a new session
//! looks through what was said since, and the unique keys of intake make sure that nothing counts twice. A direct conversation is known once
//! something was said in it: Discord lists none.

mod backfill;
mod channels;
mod ear;
mod guilds;
mod listen;
mod places;
mod said;
mod shards;
mod store;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serenity::model::application::Interaction;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ear::Ear;
use self::listen::Listener;
use self::shards::Shards;
pub(in crate::discord) use self::store::addressed;
pub use self::trouble::Trouble;
use super::{Discord, number};
use crate::clock::Clock;
use crate::intake::Intake;
use crate::settings::DiscordSettings;

/// How long the connection is held without renewal: as long as others wait when its holder dies.
const LEASE: Duration = Duration::from_secs(20);
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How often a process without the connection asks for it.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// Events that wait to be taken in; what comes beyond is found by looking through what was said.
const WAITING: usize = 10_000;
/// How often it is looked whether a person has helped.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(60);
/// How long shards may be without a connection before it is asked whether Discord wants more of them, and before everything is begun anew;
/// and for each of them, because they start one after the other.
const WANTS_MORE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(180);
const START_OF_ONE: Duration = Duration::from_secs(6);

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
    /// It has to be begun anew; why.
    Anew(&'static str),
    Trouble(Trouble),
}

/// What was tried before.
#[derive(Default)]
struct Tried {
    told: Option<Trouble>,
    failures: u32,
}

impl Gateway {
    /// Connects whenever nobody else is connected, until shutdown. Trouble with Discord never ends it: it is told, and tried again.
    pub async fn run(self) {
        let mut tried = Tried::default();
        while !self.shutdown.is_cancelled() {
            match store::take(&self.pool, &self.holder, LEASE).await {
                Ok(true) => self.hold(&mut tried).await,
                Ok(false) => self.rest(ASK_EVERY, None).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot ask for the connection to Discord");
                    self.rest(ASK_EVERY, None).await;
                }
            }
        }
    }

    /// Holds the connection as long as it goes well, and waits afterwards for as long as makes sense.
    async fn hold(&self, tried: &mut Tried) {
        let begun = Instant::now();
        let ended = self.connect().await;
        if begun.elapsed() > GOOD {
            tried.failures = 0;
        }
        let (pause, trouble) = match ended {
            Ended::Shutdown => (Duration::ZERO, None),
            Ended::Taken => {
                tracing::warn!("another process has taken over the connection to Discord");
                (ASK_EVERY, None)
            }
            Ended::Anew(why) => {
                tracing::info!(why, "the connection to Discord is begun anew");
                (ASK_EVERY, None)
            }
            Ended::Trouble(trouble) => {
                tried.failures = tried.failures.saturating_add(1);
                // Said once where only a person can change it.
                if !trouble.needs_a_person() || tried.told.as_ref() != Some(&trouble) {
                    tracing::error!("{trouble}");
                }
                tried.told = Some(trouble.clone());
                (trouble.pause(tried.failures), Some(trouble))
            }
        };
        // Asked before anybody is told. What is fine by what can be asked for tells nothing later.
        let can_be_asked = match &trouble {
            Some(trouble) => trouble.needs_a_person() && !trouble.is_over(&self.discord).await,
            None => false,
        };
        let said = trouble.as_ref().map(ToString::to_string);
        if let Err(error) = store::release(&self.pool, &self.holder, said.as_deref()).await {
            tracing::warn!(%error, "the connection to Discord is free only when its lease is over");
        }
        self.rest(pause, trouble.as_ref().filter(|_| can_be_asked)).await;
    }

    /// Waits; not longer than until this trouble is over, as Discord says when it is asked, and not at all at the end.
    async fn rest(&self, pause: Duration, trouble: Option<&Trouble>) {
        let wait = async {
            let until = Instant::now() + pause;
            let Some(trouble) = trouble else { return tokio::time::sleep_until(until).await };
            while Instant::now() < until {
                tokio::time::sleep(LOOK_EVERY).await;
                if trouble.is_over(&self.discord).await {
                    return;
                }
            }
        };
        // Either way it is looked at once more.
        let _ = self.shutdown.run_until_cancelled(wait).await;
    }

    async fn connect(&self) -> Ended {
        let asked = async { Ok::<_, crate::discord::DiscordError>((self.discord.bot().await?, self.discord.gateway().await?)) };
        let (us, gateway) = match self.shutdown.run_until_cancelled(asked).await {
            None => return Ended::Shutdown,
            Some(Err(error)) => return Ended::Trouble(Trouble::of_call(&error)),
            Some(Ok(known)) => known,
        };
        if let Some(trouble) = Trouble::of_address(&self.discord, &gateway.url) {
            return Ended::Trouble(trouble);
        }
        if gateway.sessions_left() < gateway.shards.max(1) {
            return Ended::Trouble(Trouble::Sessions(gateway.resets_in()));
        }
        let (tell, heard) = mpsc::channel(WAITING);
        let listener = Listener::new(self.clone(), number(us.id));
        let ear = Ear {
            heard: tell,
            left_out: listener.left_out(),
            interactions: self.interactions.clone(),
            runtime: Handle::current(),
        };
        let api = self.settings.api_url.as_str().trim_end_matches('/');
        let mut shards = match Shards::start(&gateway, api, &self.settings.token, Arc::new(ear)).await {
            Ok(shards) => shards,
            Err(trouble) => return Ended::Trouble(trouble),
        };
        let ended = tokio::select! {
            () = self.shutdown.cancelled() => Ended::Shutdown,
            ended = self.watch(&listener, &mut shards) => ended,
            () = listener.listen(heard) => Ended::Trouble(Trouble::Passing("nobody listens".to_owned())),
        };
        match &ended {
            Ended::Shutdown | Ended::Taken => shards.leave().await,
            // What is broken answers no goodbye.
            Ended::Anew(_) | Ended::Trouble(_) => {}
        }
        ended
    }

    /// Renews the lease and looks after the shards. Ends when the lease is lost, or was not renewed for so long that it may be, when shards
    /// end, or when they have to be begun anew.
    async fn watch(&self, listener: &Listener, shards: &mut Shards) -> Ended {
        let (mut renewed, mut alone_since, mut asked) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            tokio::select! {
                trouble = shards.ended() => return Ended::Trouble(trouble),
                () = tokio::time::sleep(RENEW_EVERY) => {}
            }
            // Taken before looking, so that what comes meanwhile is after it.
            let now = self.clock.now();
            let connected = shards.are_connected().await;
            let seen = (connected && listener.is_even()).then_some(now);
            let trouble = listener.trouble().map(|trouble| trouble.to_string());
            match store::renew(&self.pool, &self.holder, LEASE, seen, trouble.as_deref()).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return Ended::Taken,
                Err(error) => {
                    tracing::warn!(%error, "cannot renew the lease of the connection to Discord");
                    if renewed.elapsed() > LEASE - RENEW_EVERY {
                        return Ended::Taken;
                    }
                }
            }
            if listener.has_left_out() {
                return Ended::Anew("more was said than could be stored; it is looked for now");
            }
            if connected {
                alone_since = Instant::now();
                continue;
            }
            let alone = alone_since.elapsed();
            if alone > PATIENCE + START_OF_ONE * shards.total {
                return Ended::Trouble(Trouble::Passing("the gateway does not take us back".to_owned()));
            }
            // serenity tries again and again with as many as it has, and tells nobody (4011).
            if alone > WANTS_MORE && asked.elapsed() > WANTS_MORE {
                asked = Instant::now();
                if self.discord.gateway().await.is_ok_and(|gateway| gateway.shards > shards.total) {
                    return Ended::Anew("Discord wants more connections");
                }
            }
        }
    }
}
