//! The test bot on Discord: the real service, connected to a Discord on loopback with a guild, a channel and people in it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use threadbox::secret::ExposeSecret;
use threadbox::standin::discord::{DiscordStandin, GatewayView, Id, Message, NewChannel, Options, Permissions, World};
use threadbox::standin::github;

use super::bot::{Bot, LIMIT, service_environment};

/// The same, with every request to Discord and its answer written down where `THREADBOX_RECORD_DISCORD` says, for
/// `tests/discord/openapi.mjs`.
pub fn recorded(options: Options) -> Options {
    Options { record: std::env::var_os("THREADBOX_RECORD_DISCORD").map(PathBuf::from), ..options }
}

/// The service with its Discord. Everything that is not about Discord is on [`Bot`].
pub struct DiscordBot {
    pub discord: DiscordStandin,
    /// The guild of `ada`; `maya` and `bob` are in it.
    pub guild: Id,
    /// A channel everybody writes in.
    pub channel: Id,
    people: Vec<(&'static str, Id)>,
    bot: Bot,
}

impl Deref for DiscordBot {
    type Target = Bot;

    fn deref(&self) -> &Bot {
        &self.bot
    }
}

impl DerefMut for DiscordBot {
    fn deref_mut(&mut self) -> &mut Bot {
        &mut self.bot
    }
}

/// The people of the guild; `ada` owns it.
pub const PEOPLE: [&str; 3] = ["ada", "maya", "bob"];

#[allow(dead_code, reason = "what people can do is offered as a whole")]
impl DiscordBot {
    /// A running bot that is on Discord and nowhere else.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with other settings, written as in the environment.
    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut bot = Self::prepare(environment, Options::default()).await;
        bot.run().await;
        bot.connected().await;
        bot
    }

    /// Everything but the service itself, without GitHub.
    pub async fn prepare(environment: &[(&str, &str)], options: Options) -> Self {
        let without_github = [("GITHUB_TOKEN", ""), ("GITHUB_API_URL", ""), ("GITHUB_WEBHOOK_SECRET", "")];
        Self::set_up(&[&without_github, environment].concat(), options).await
    }

    /// Everything but the service itself, with the GitHub of [`Bot`].
    pub async fn prepare_with_github(environment: &[(&str, &str)], options: Options) -> Self {
        Self::set_up(environment, options).await
    }

    async fn set_up(environment: &[(&str, &str)], options: Options) -> Self {
        let discord = DiscordStandin::start(recorded(options)).await.unwrap();
        discord.enforce_limits(false);
        let people: Vec<(&str, Id)> = PEOPLE.map(|name| (name, discord.add_person(name))).into();
        let guild = discord.add_guild("Octo", people[0].1);
        people.iter().for_each(|(_, person)| discord.add_member(guild, *person, &[]));
        let channel = discord.add_text_channel(guild, "general");
        let (url, token) = (discord.url(), discord.token());
        let ours = [("DISCORD_API_URL", url.as_str()), ("DISCORD_TOKEN", token.expose_secret())];
        let expects = github::Expects::Token;
        let bot = Bot::prepare(&[&ours, environment].concat(), github::Options { expects, ..github::Options::default() }).await;
        Self { discord, guild, channel, people, bot }
    }

    /// Waits until the service hears what is said.
    pub async fn connected(&self) {
        self.discord.connected(LIMIT).await.unwrap();
    }

    /// Waits until the gateway looks like this.
    pub async fn until_gateway(&self, what: &str, look: impl Fn(&GatewayView) -> bool) {
        let search = async {
            loop {
                let changed = self.discord.changed();
                if look(&self.discord.gateway_view()) {
                    return;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(LIMIT * 2, search).await;
        assert!(found.is_ok(), "{what} did not come: {:?}", self.discord.gateway_view());
    }

    /// The environment of a process of its own that is on Discord and nowhere else.
    pub fn environment(&self, data: &Path) -> BTreeMap<String, String> {
        let mut environment = service_environment(&self.bot.github, &self.bot.model, &self.bot.database.url(), data);
        for name in ["GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_WEBHOOK_SECRET"] {
            environment.remove(name);
        }
        environment.insert("DISCORD_API_URL".into(), self.discord.url());
        environment.insert("DISCORD_TOKEN".into(), self.discord.token().expose_secret().to_owned());
        environment.insert("USER_RUNS_PER_HOUR".into(), "1000".into());
        environment
    }

    /// What stands in the way of the connection; none while nothing does.
    pub async fn trouble(&self) -> Option<String> {
        let told = sqlx::query_scalar("select trouble from discord_gateway").fetch_optional(&self.database.pool).await.unwrap();
        told.flatten()
    }

    /// Waits until what stands in the way looks like this.
    pub async fn until_trouble(&self, what: &str, look: impl Fn(Option<&str>) -> bool) -> Option<String> {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let told = self.trouble().await;
            if look(told.as_deref()) {
                return told;
            }
            assert!(tokio::time::Instant::now() < deadline, "{what} did not come: {told:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Somebody's number.
    pub fn person(&self, name: &str) -> Id {
        let found = self.people.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).1
    }

    /// Somebody writes in the channel; `@threadbox` becomes a mention. The message.
    pub fn says(&self, who: &str, text: &str) -> Id {
        self.says_in(self.channel, who, text)
    }

    /// Somebody writes in a channel or thread; `@threadbox` becomes a mention. The message.
    pub fn says_in(&self, place: Id, who: &str, text: &str) -> Id {
        self.discord.say(place, self.person(who), self.with_mention(text)).unwrap()
    }

    /// Somebody writes to us alone. The conversation and the message.
    pub fn says_alone(&self, who: &str, text: &str) -> (Id, Id) {
        self.discord.direct(self.person(who), text).unwrap()
    }

    /// Somebody changes what they wrote; `@threadbox` becomes a mention.
    pub fn edits(&self, message: Id, who: &str, text: &str) {
        self.discord.edit(message, self.person(who), &self.with_mention(text)).unwrap();
    }

    /// The text as it is when `@threadbox` was chosen from the list of people.
    pub fn with_mention(&self, text: &str) -> String {
        text.replace("@threadbox", &self.discord.mention(self.discord.us()))
    }

    /// Another channel of the guild.
    pub fn add_channel(&self, new: NewChannel) -> Id {
        self.discord.add_channel(self.guild, new)
    }

    /// Takes permissions from us in a channel.
    pub fn deny(&self, channel: Id, permissions: Permissions) {
        self.discord.deny_us(channel, permissions);
    }

    /// What we wrote in a channel or thread, oldest first.
    pub fn ours_in(&self, place: Id) -> Vec<Message> {
        let us = self.discord.us();
        self.discord.messages(place).into_iter().filter(|message| message.author == us).collect()
    }

    /// Waits until we wrote something in a channel or thread that looks like this.
    pub async fn until_ours(&self, place: Id, what: &str, look: impl Fn(&Message) -> bool) -> Message {
        let us = self.discord.us();
        let find = |world: &World| world.messages(place).find(|message| message.author == us && look(message)).cloned();
        self.discord.wait_for(what, LIMIT, find).await.unwrap()
    }

    /// Waits until what a message asked for has come to its end and was said. Gives the messages of ours in `place` by then.
    pub async fn answered(&self, message: Id, place: Id) -> Vec<Message> {
        let object = format!("message:{message}");
        let sql = "select count(*) from runs r join inbox i on i.id = r.inbox_id where i.object = $1 and r.state = 'posted'";
        let deadline = tokio::time::Instant::now() + LIMIT;
        while sqlx::query_scalar::<_, i64>(sql).bind(&object).fetch_one(&self.database.pool).await.unwrap() == 0 {
            assert!(tokio::time::Instant::now() < deadline, "{object} was not answered: {:#?}", self.discord.messages(place));
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.ours_in(place)
    }

    /// Waits for the answer to what opened a thread, and gives the last thing we said there.
    pub async fn answer_in(&self, thread: Id) -> String {
        let ours = self.answered(thread, thread).await;
        ours.last().map(|message| message.content.clone()).unwrap_or_default()
    }

    /// Maya asks in the channel. The thread, and the answer in it.
    pub async fn asks(&self, text: &str) -> (Id, String) {
        let thread = self.says("maya", &format!("@threadbox {text}"));
        (thread, self.answer_in(thread).await)
    }

    /// Ends the test: nothing may be left over.
    pub async fn finish(self) {
        let Self { discord, bot, .. } = self;
        bot.finish().await;
        assert_eq!(discord.faults_left(), 0, "a fault of Discord's was never met");
    }
}
