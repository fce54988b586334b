//! The Discord stand-in, spoken to in plain HTTP and over a plain websocket: each documented behaviour once; and by serenity.

mod commands;
mod gateway;
mod interactions;
mod limits;
mod messages;
mod permissions;
mod serenity;
mod socket;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use threadbox::clock::ManualClock;
use threadbox::secret::ExposeSecret;
use threadbox::standin::discord::{DiscordStandin, Id, Options};

use self::socket::Socket;
use crate::support::discord_bot::recorded;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// A Discord with a guild of `ada`, in which `maya` is a member, and a channel; and a client with the bot's token.
struct Stage {
    discord: DiscordStandin,
    clock: ManualClock,
    http: reqwest::Client,
    ada: Id,
    maya: Id,
    guild: Id,
    channel: Id,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = ManualClock::at("2026-11-01T10:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let mut options = recorded(Options { clock: Arc::new(clock.clone()), ..Options::default() });
        change(&mut options);
        let discord = DiscordStandin::start(options).await.unwrap();
        discord.enforce_limits(false);
        let [ada, maya] = ["ada", "maya"].map(|name| discord.add_person(name));
        let guild = discord.add_guild("Octo", ada);
        discord.add_member(guild, maya, &[]);
        let channel = discord.add_text_channel(guild, "general");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { discord, clock, http, ada, maya, guild, channel }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v10{path}", self.discord.url())
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let token = format!("Bot {}", self.discord.token().expose_secret());
        self.http.request(method.parse().unwrap(), self.url(path)).header("authorization", token)
    }

    async fn full(&self, method: &str, path: &str, body: Value) -> (u16, HeaderMap, Value) {
        let mut request = self.request(method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, _, answer) = self.full(method, path, body).await;
        (status, answer)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Asks for something that is refused; gives status and Discord's code.
    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, u64) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status >= 400, "{method} {path} was not refused: {answer}");
        assert!(answer["message"].is_string(), "{answer}");
        (status, answer["code"].as_u64().unwrap())
    }

    /// Writes in the channel; the message.
    async fn write(&self, body: Value) -> Value {
        let (status, answer) = self.ask("POST", &format!("/channels/{}/messages", self.channel), body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn messages(&self) -> String {
        format!("/channels/{}/messages", self.channel)
    }

    /// A form with JSON and files.
    async fn upload(&self, method: &str, path: &str, body: Value, files: &[(&str, Vec<u8>)]) -> (u16, Value) {
        let mut form = Form::new().text("payload_json", body.to_string());
        for (n, (name, bytes)) in files.iter().enumerate() {
            form = form.part(format!("files[{n}]"), Part::bytes(bytes.clone()).file_name((*name).to_owned()));
        }
        let answer = self.request(method, path).multipart(form).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// A connection that has said hello.
    async fn connect(&self) -> Socket {
        Socket::open(&self.discord.gateway_url()).await
    }

    /// A session with these intents: the connection, the READY, and whatever guilds came.
    async fn session(&self, intents: u64) -> (Socket, Value) {
        let mut socket = self.connect().await;
        socket.identify(self, intents).await;
        let ready = socket.event("READY").await;
        (socket, ready)
    }

    fn token(&self) -> String {
        self.discord.token().expose_secret().to_owned()
    }
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

fn text(content: &str) -> Value {
    json!({"content": content})
}
