//! serenity's shards, on a thread of their own: what serenity does there disturbs nobody, and events keep their order, which tasks on several
//! threads would not.
//!
//! The manager is used without serenity's client, which would ask discord.com for a gateway where the one it was given does not answer.
//! Shards are started one after the other, five seconds apart, which every `max_concurrency` allows.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use serenity::all::{Cache, GatewayIntents, HttpBuilder, RawEventHandler, ShardManager, ShardManagerOptions};
use serenity::cache::Settings as CacheSettings;
use serenity::gateway::{ConnectionStage, GatewayError};
use serenity::prelude::TypeMap;
use tokio::sync::{Mutex, RwLock, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::trouble::Trouble;
use crate::discord::Gateway;
use crate::secret::{ExposeSecret, SecretString};

/// What we ask to be told.
const INTENTS: GatewayIntents = GatewayIntents::GUILDS
    .union(GatewayIntents::GUILD_MESSAGES)
    .union(GatewayIntents::DIRECT_MESSAGES)
    .union(GatewayIntents::MESSAGE_CONTENT);
/// serenity looks for orders twice in a second.
const GOODBYE: Duration = Duration::from_millis(800);

/// Running shards. Dropped, their connections break.
pub(super) struct Shards {
    /// How many there are.
    pub total: u32,
    manager: Arc<ShardManager>,
    results: UnboundedReceiver<Result<(), GatewayError>>,
    _cut: DropGuard,
}

impl Shards {
    /// Starts as many as the gateway recommends. They connect in the background, to the gateway's address and nowhere else.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub async fn start(
        gateway: &Gateway,
        api: &str,
        token: &SecretString,
        ear: Arc<dyn RawEventHandler>,
    ) -> Result<Self, Trouble> {
        let failed = |error: &dyn std::fmt::Display| Trouble::Passing(format!("its thread cannot start: {error}"));
        let options = options(gateway, api, token, ear);
        let total = options.shard_total;
        let (cut, (tell, made)) = (CancellationToken::new(), oneshot::channel());
        let end = cut.clone();
        let work = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let made = {
                let _inside = runtime.enter();
                ShardManager::new(options)
            };
            if tell.send(Ok(made)).is_ok() {
                // With the runtime everything in it is dropped, connections included.
                runtime.block_on(end.cancelled());
            }
        };
        std::thread::Builder::new().name("discord-gateway".into()).spawn(work).map_err(|error| failed(&error))?;
        let (manager, results) = made.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let shards = Self { total, manager, results, _cut: cut.drop_guard() };
        shards.manager.initialize().map_err(|error| failed(&error))?;
        Ok(shards)
    }

    /// Whether every shard is connected.
    pub async fn are_connected(&self) -> bool {
        let runners = self.manager.runners.lock().await;
        runners.len() == self.total as usize && runners.values().all(|runner| runner.stage == ConnectionStage::Connected)
    }

    /// Resolves when they end by themselves.
    pub async fn ended(&mut self) -> Trouble {
        match self.results.next().await {
            Some(Err(error)) => Trouble::of_gateway(&error),
            Some(Ok(())) | None => Trouble::Passing("the gateway ended the connection".to_owned()),
        }
    }

    /// Says goodbye, so that Discord need not wait for us; then the connections break. serenity's own shutdown is not used: it waits for
    /// ever for an answer on a connection that is broken.
    pub async fn leave(self) {
        if !self.are_connected().await {
            return;
        }
        for runner in self.manager.runners.lock().await.values() {
            runner.runner_tx.shutdown_clean();
        }
        tokio::time::sleep(GOODBYE).await;
    }
}

fn options(gateway: &Gateway, api: &str, token: &SecretString, ear: Arc<dyn RawEventHandler>) -> ShardManagerOptions {
    // It only lends the token. The proxy and the missing limiter keep it from discord.com, should serenity ever ask for something.
    let http = HttpBuilder::new(token.expose_secret()).proxy(api).ratelimiter_disabled(true).build();
    let mut remembered = CacheSettings::default();
    (remembered.max_messages, remembered.cache_guilds, remembered.cache_channels, remembered.cache_users) =
        (0, false, false, false);
    let address = gateway.url.as_str().trim_end_matches('/');
    let shards = gateway.shards.max(1);
    ShardManagerOptions {
        data: Arc::new(RwLock::new(TypeMap::new())),
        event_handlers: Vec::new(),
        raw_event_handlers: vec![ear],
        shard_index: 0,
        shard_init: shards,
        shard_total: shards,
        ws_url: Arc::new(Mutex::new(format!("{address}/"))),
        cache: Arc::new(Cache::new_with_settings(remembered)),
        http: Arc::new(http),
        intents: INTENTS,
        presence: None,
    }
}
