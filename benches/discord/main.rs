//! How long people wait for the first answer to a command: 200 commands in a second, for `SECONDS` (60).
//!
//! `cargo bench --bench discord` prints the figures and fails when one answer took a second or more. A Discord on loopback tells of the
//! commands through its gateway; the database is the one of `DATABASE_URL`, else a private one with fsync on.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use serenity::model::application::Interaction;
use threadbox::app;
use threadbox::clock::SystemClock;
use threadbox::db;
use threadbox::discord::interaction::{Interactions, Parts};
use threadbox::discord::{Discord, Pace, command};
use threadbox::intake::Intake;
use threadbox::jobs::Waker;
use threadbox::model::{self, Patience, Shelf};
use threadbox::reply::Redactor;
use threadbox::secret::ExposeSecret;
use threadbox::settings::{Settings, Sources};
use threadbox::standin::discord::{DiscordStandin, Id, Options};
use tokio_tungstenite::tungstenite::Message;

const A_SECOND: u64 = 200;

fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

async fn measure() {
    let seconds: u64 = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let data = tempfile::Builder::new().prefix("threadbox-bench-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let discord = DiscordStandin::start(Options::default()).await.unwrap();
    discord.enforce_limits(false);
    let settings = settings(&discord, data.path());
    let options = db::Options { connections: app::connections(&settings), ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await.unwrap();
    app::migrate(&database.pool).await.unwrap();

    let client = Arc::new(Discord::new(settings.discord.as_ref().unwrap(), Arc::new(SystemClock), Pace::UNLIMITED).unwrap());
    let application = serenity::model::id::ApplicationId::new(discord.us());
    command::register(&client, &database.pool, application, &SystemClock).await.unwrap();
    let (intake, _writer) = Intake::start(database.pool.clone(), Arc::new(SystemClock), Waker::Elsewhere(database.pool.clone()));
    let interactions = Interactions::new(Parts {
        discord: client,
        intake,
        pool: database.pool.clone(),
        clock: Arc::new(SystemClock),
        models: Shelf::new(settings.models.clone(), model::Http::new().unwrap(), Patience::default()),
        redactor: Arc::new(Redactor::new(settings.secrets())),
        settings: Arc::new(settings),
    });
    listen(&discord, interactions.clone()).await;

    let used = use_commands(&discord, seconds).await;
    interactions.finish().await;
    report(&discord, &used, seconds);
    let stored: i64 = sqlx::query_scalar("select count(*) from inbox").fetch_one(&database.pool).await.unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), used.len(), "everything that was asked for is in the inbox");
    database.close().await.unwrap();
}

fn settings(discord: &DiscordStandin, data: &std::path::Path) -> Settings {
    let mut environment = BTreeMap::from([
        ("DISCORD_API_URL".to_owned(), discord.url()),
        ("DISCORD_TOKEN".to_owned(), discord.token().expose_secret().to_owned()),
        ("THREADBOX_DATA_DIR".to_owned(), data.display().to_string()),
        ("USER_RUNS_PER_HOUR".to_owned(), "100000".to_owned()),
    ]);
    for name in ["DATABASE_URL", "PATH", "THREADBOX_POSTGRES_BIN"] {
        environment.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    Settings::load(&Sources { process: environment, file: BTreeMap::new() }).unwrap().settings
}

async fn listen(discord: &DiscordStandin, interactions: Interactions) {
    let address = format!("{}/?v=10&encoding=json", discord.gateway_url());
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let properties = json!({"os": "linux", "browser": "bench", "device": "bench"});
    let identify = json!({"op": 2, "d": {"token": discord.token().expose_secret(), "intents": 0, "properties": properties}});
    socket.send(Message::text(identify.to_string())).await.unwrap();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_secs(20));
        let mut last = Value::Null;
        loop {
            tokio::select! {
                _ = beat.tick() => socket.send(Message::text(json!({"op": 1, "d": last}).to_string())).await.unwrap(),
                message = socket.next() => {
                    let Some(Ok(message)) = message else { return };
                    let Ok(payload) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else { continue };
                    if !payload["s"].is_null() {
                        last = payload["s"].clone();
                    }
                    if payload["t"] == "INTERACTION_CREATE" {
                        interactions.take(&serde_json::from_value::<Interaction>(payload["d"].clone()).unwrap());
                    }
                }
            }
        }
    });
    discord.connected(Duration::from_secs(30)).await.unwrap();
}

/// Somebody uses a command every five milliseconds.
async fn use_commands(discord: &DiscordStandin, seconds: u64) -> Vec<Id> {
    let owner = discord.add_person("ada");
    let guild = discord.add_guild("Octo", owner);
    let channels: Vec<Id> = (0..20).map(|n| discord.add_text_channel(guild, &format!("channel-{n}"))).collect();
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / A_SECOND));
    let mut used = Vec::new();
    for n in 0..A_SECOND * seconds {
        tick.tick().await;
        let channel = channels[usize::try_from(n).unwrap() % channels.len()];
        used.push(discord.slash(channel, owner, "ask", &[("text", format!("question {n}").into())]).unwrap());
    }
    used
}

fn report(discord: &DiscordStandin, used: &[Id], seconds: u64) {
    let took = |id: &Id| discord.interaction(*id).unwrap().took().map(|took| took.num_milliseconds());
    let mut answered: Vec<i64> = used.iter().filter_map(took).collect();
    answered.sort_unstable();
    let at = |share: f64| answered[((answered.len() - 1) as f64 * share) as usize];
    let in_time = answered.iter().filter(|took| **took < 1_000).count();
    println!("{} commands in {seconds} s, {A_SECOND} a second", used.len());
    println!(
        "answered {} ({} under 1 s): median {} ms, 99 % {} ms, slowest {} ms",
        answered.len(),
        in_time,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert_eq!(in_time, used.len(), "every command is answered within a second");
}
