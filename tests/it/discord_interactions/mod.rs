//! Commands, buttons and modals: what people see within a second, what is asked for in their name, and that nothing is lost or doubled.
//!
//! The stand-in's gateway is listened to here; between it and the inbox everything is the service's own.

mod buttons;
mod commands;
mod trouble;
mod whole;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use serenity::model::application::Interaction;
use threadbox::clock::{Clock, SystemClock};
use threadbox::discord::interaction::{Interactions, Parts};
use threadbox::discord::{Discord, Pace};
use threadbox::intake::{Intake, Request};
use threadbox::jobs::Waker;
use threadbox::model::{self, Patience, Shelf};
use threadbox::reply::Redactor;
use threadbox::secret::ExposeSecret;
use threadbox::settings::{Settings, Sources};
use threadbox::standin::discord::{Answered, DiscordStandin, Id, Message, Options};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite;

use crate::support::bot::LIMIT;
use crate::support::database::TestDatabase;
use crate::support::discord_bot::recorded;

/// A guild with a channel; `maya` asks, `eve` has no role.
struct Stage {
    discord: DiscordStandin,
    database: TestDatabase,
    settings: Arc<Settings>,
    client: Arc<Discord>,
    maya: Id,
    eve: Id,
    guild: Id,
    channel: Id,
    interactions: Arc<Mutex<Interactions>>,
    listener: JoinHandle<()>,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[], |_, _| {}).await
    }

    /// The same with other settings, some of which are only known once there is a guild.
    async fn with(environment: &[(&str, &str)], change: impl FnOnce(&mut Settings, Id)) -> Self {
        let discord = DiscordStandin::start(recorded(Options::default())).await.unwrap();
        discord.enforce_limits(false);
        let [ada, maya, eve] = ["ada", "maya", "eve"].map(|name| discord.add_person(name));
        let guild = discord.add_guild("Octo", ada);
        [maya, eve].into_iter().for_each(|person| discord.add_member(guild, person, &[]));
        let channel = discord.add_text_channel(guild, "general");
        let database = TestDatabase::create().await;
        let (url, token) = (discord.url(), discord.token().expose_secret().to_owned());
        let ours = [("DISCORD_API_URL", url.as_str()), ("DISCORD_TOKEN", &token), ("OPENAI_API_KEY", "sk-stand-in-0123456789")];
        let process = ours.iter().chain(environment).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Sources { process: process.collect(), file: BTreeMap::new() };
        let mut settings = Settings::load(&sources).unwrap().settings;
        change(&mut settings, guild);
        let settings = Arc::new(settings);
        let client = Discord::new(settings.discord.as_ref().unwrap(), Arc::new(SystemClock), Pace::UNLIMITED).unwrap();
        let client = Arc::new(client);
        let interactions = Arc::new(Mutex::new(interactions(&settings, &client, &database, Arc::new(SystemClock))));
        let application = serenity::model::id::ApplicationId::new(discord.us());
        threadbox::discord::command::register(&client, &database.pool, application, &SystemClock).await.unwrap();
        let listener = listen(&discord, interactions.clone()).await;
        Self { discord, database, settings, client, maya, eve, guild, channel, interactions, listener }
    }

    /// The service ends and another begins.
    async fn restart(&self) {
        self.service().finish().await;
        *self.interactions.lock().unwrap() = interactions(&self.settings, &self.client, &self.database, Arc::new(SystemClock));
    }

    /// Another process on the same database, whose clock is `clock`.
    fn another(&self, clock: Arc<dyn Clock>) -> Interactions {
        interactions(&self.settings, &self.client, &self.database, clock)
    }

    fn service(&self) -> Interactions {
        self.interactions.lock().unwrap().clone()
    }

    /// Maya uses a command in the channel, and is answered. The interaction.
    async fn uses(&self, name: &str, options: &[(&str, Value)]) -> Id {
        self.uses_in(self.channel, name, options).await
    }

    async fn uses_in(&self, place: Id, name: &str, options: &[(&str, Value)]) -> Id {
        let used = self.discord.slash(place, self.maya, name, options).unwrap();
        self.answer_to(used).await;
        used
    }

    /// Waits for the first answer to an interaction.
    async fn answer_to(&self, interaction: Id) -> Answered {
        let look = |world: &threadbox::standin::discord::World| world.interaction(interaction)?.answered.clone();
        self.discord.wait_for("an answer", LIMIT, look).await.unwrap().0
    }

    /// The message that answers an interaction.
    async fn said_to(&self, interaction: Id) -> Message {
        self.answer_to(interaction).await;
        let original = self.discord.interaction(interaction).unwrap().original.unwrap();
        self.discord.world(|world| world.message(original).cloned()).unwrap()
    }

    /// What only who did it is told. Fails when everybody is.
    async fn whispered(&self, interaction: Id) -> String {
        assert_eq!(self.answer_to(interaction).await, Answered::Message { ephemeral: true });
        self.said_to(interaction).await.content
    }

    /// Waits until so many requests are in the inbox; all of them, the oldest first.
    async fn asked(&self, count: usize) -> Vec<Request> {
        let sql = "select request from inbox order by created_at, id";
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let all: Vec<Value> = sqlx::query_scalar(sql).fetch_all(&self.database.pool).await.unwrap();
            if all.len() >= count {
                assert_eq!(all.len(), count, "{all:#?}");
                return all.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect();
            }
            assert!(tokio::time::Instant::now() < deadline, "only {all:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        self.asked(count).await.into_iter().map(|request| request.text).collect()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    /// Everything is answered, and nothing waits.
    async fn finish(self) {
        self.service().finish().await;
        assert_eq!(self.discord.world(|world| world.failed_interactions().len()), 0);
        assert_eq!(self.count("select count(*) from discord_interactions where asked is not null").await, 0);
        assert_eq!(self.discord.faults_left(), 0);
        self.listener.abort();
        drop(self.interactions);
        self.database.finish().await;
    }
}

fn interactions(settings: &Arc<Settings>, client: &Arc<Discord>, database: &TestDatabase, clock: Arc<dyn Clock>) -> Interactions {
    let waker = Waker::Elsewhere(database.pool.clone());
    let (intake, _writer) = Intake::start(database.pool.clone(), clock.clone(), waker);
    Interactions::new(Parts {
        discord: client.clone(),
        intake,
        pool: database.pool.clone(),
        clock,
        settings: settings.clone(),
        models: Shelf::new(settings.models.clone(), model::Http::new().unwrap(), Patience::default()),
        redactor: Arc::new(Redactor::new(settings.secrets())),
    })
}

/// A session that hands over every interaction.
async fn listen(discord: &DiscordStandin, interactions: Arc<Mutex<Interactions>>) -> JoinHandle<()> {
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("{}/?v=10&encoding=json", discord.gateway_url())).await.unwrap();
    let properties = json!({"os": "linux", "browser": "test", "device": "test"});
    let identify = json!({"op": 2, "d": {"token": discord.token().expose_secret(), "intents": 0, "properties": properties}});
    socket.send(tungstenite::Message::text(identify.to_string())).await.unwrap();
    let task = tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.to_text() else { continue };
            let Ok(payload) = serde_json::from_str::<Value>(text) else { continue };
            if payload["t"] == "INTERACTION_CREATE" {
                let interaction: Interaction = serde_json::from_value(payload["d"].clone()).unwrap();
                interactions.lock().unwrap().take(&interaction);
            }
        }
    });
    discord.connected(LIMIT).await.unwrap();
    task
}

fn text(value: &str) -> [(&'static str, Value); 1] {
    [("text", value.into())]
}
