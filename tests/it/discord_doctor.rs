//! What `threadbox doctor` says about Discord.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use threadbox::secret::ExposeSecret;
use threadbox::standin::discord::{NewChannel, Options, Permissions, intents};

use crate::support::bot::{LIMIT, service_environment};
use crate::support::database::passable_dir;
use crate::support::discord_bot::DiscordBot;

/// A Discord to look at, and the program that looks.
struct Looked {
    bot: DiscordBot,
    environment: BTreeMap<String, String>,
    data: tempfile::TempDir,
}

impl Looked {
    async fn at(options: Options) -> Self {
        let bot = DiscordBot::prepare_with_github(&[], options).await;
        let data = passable_dir("threadbox-doctor-");
        let mut environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
        environment.insert("DISCORD_API_URL".into(), bot.discord.url());
        environment.insert("DISCORD_TOKEN".into(), bot.discord.token().expose_secret().to_owned());
        Self { bot, environment, data }
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.environment.insert(name.to_owned(), value.to_string());
    }

    async fn look(&self) -> Findings {
        let output = threadbox(self.data.path(), &["doctor", "--json"], &self.environment).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains(&self.environment["DISCORD_TOKEN"]), "the token is in it");
        let all: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{output:?}"));
        let of_discord = |one: &Value| one["check"].as_str().is_some_and(|check| check.to_lowercase().contains("discord"));
        Findings { all: all.into_iter().filter(of_discord).collect(), exit: output.status.code() }
    }
}

/// What was found about Discord.
struct Findings {
    all: Vec<Value>,
    exit: Option<i32>,
}

impl Findings {
    /// How a check went: its state, and what was found with what is to be done.
    fn of(&self, check: &str) -> (&str, String) {
        let found = self.all.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check}: {:#?}", self.all));
        let text = |name: &str| found[name].as_str().unwrap_or_default();
        (text("state"), format!("{} | {}", text("found"), text("remedy")))
    }

    fn has(&self, check: &str) -> bool {
        self.all.iter().any(|one| one["check"] == check)
    }

    fn wrong(&self) -> Vec<&Value> {
        self.all.iter().filter(|one| one["state"] == "wrong").collect()
    }
}

async fn threadbox(directory: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_threadbox"));
    command.args(arguments).current_dir(directory).env_clear().envs(environment).stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(LIMIT, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn doctor_says_who_we_are_on_discord_and_what_we_may() {
    let mut looked = Looked::at(Options::default()).await;
    let before = looked.look().await;
    assert_eq!((before.wrong(), before.exit), (Vec::new(), Some(0)));
    assert_eq!(before.of("Discord token").0, "fine");
    assert!(before.of("Discord token").1.starts_with("acts as threadbox ("));
    assert!(before.of("Discord intents").1.starts_with("the Message Content Intent is on"));
    let (state, found) = before.of("Discord gateway");
    assert!(state == "fine" && found.contains("1000 session starts left"), "{found}");
    // Nothing has connected yet.
    let (state, found) = before.of("Discord slash commands");
    assert!(
        state == "off" && found.starts_with("none is registered | They are registered when the service connects."),
        "{found}"
    );
    assert!(before.of("Discord servers").1.starts_with("in 1 server: Octo"));
    assert!(before.of("Discord server Octo").1.starts_with("may do all it needs in 1 channel"));
    assert!(!before.has("Discord connection"));

    looked.bot.run().await;
    looked.bot.connected().await;
    let registered = |world: &threadbox::standin::discord::World| {
        world.requests().any(|request| request.method == "PUT" && request.path.ends_with("/commands")).then_some(())
    };
    looked.bot.discord.wait_for("the commands", LIMIT, registered).await.unwrap();
    let (after, commands) = (looked.look().await, threadbox::discord::command::definition::ALL.len());
    assert_eq!(after.of("Discord slash commands").1, format!("{commands} registered, all current | "));
    assert_eq!(after.exit, Some(0));
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_names_a_token_that_is_refused_and_where_another_is() {
    let mut looked = Looked::at(Options::default()).await;
    looked.set("DISCORD_TOKEN", "not.the.token");
    let found = looked.look().await;
    assert_eq!((found.all.len(), found.exit), (1, Some(1)));
    let (state, text) = found.of("Discord token");
    assert_eq!(state, "wrong");
    for expected in ["401", "4004", "https://discord.com/developers/applications", "Reset Token", "DISCORD_TOKEN"] {
        assert!(text.contains(expected), "{expected} is missing in: {text}");
    }
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_names_a_server_that_is_no_discord() {
    let mut looked = Looked::at(Options::default()).await;
    looked.set("DISCORD_API_URL", "http://127.0.0.1:1");
    let found = looked.look().await;
    let (state, text) = found.of("Discord token");
    assert!(state == "wrong" && text.contains("not available") && text.contains("Check DISCORD_API_URL"), "{text}");
    assert_eq!(found.exit, Some(1));
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_names_the_intent_that_is_missing_and_what_the_gateway_said() {
    let mut looked = Looked::at(Options { privileged: 0, ..Options::default() }).await;
    looked.bot.run().await;
    looked.bot.until_count("select count(*) from discord_gateway where trouble like '%(4014)%'", 1).await;
    let off = looked.look().await;
    let (state, text) = off.of("Discord intents");
    let page = format!("https://discord.com/developers/applications/{}/bot", looked.bot.discord.us());
    assert!(state == "wrong" && text.contains("4014") && text.contains(&page), "{text}");
    assert!(text.contains("Privileged Gateway Intents → Message Content Intent"), "{text}");
    assert_eq!(off.of("Discord connection").0, "wrong");
    assert_eq!(off.exit, Some(1));
    looked.bot.discord.set_privileged(intents::PRIVILEGED);
    let on = looked.look().await;
    assert_eq!(on.of("Discord intents").0, "fine");
    let (state, text) = on.of("Discord connection");
    assert!(state == "off" && text.contains("The intent is on now"), "{text}");
    assert_eq!(on.exit, Some(0));
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_says_which_permission_is_missing_where() {
    let looked = Looked::at(Options::default()).await;
    let (bot, discord) = (&looked.bot, &looked.bot.discord);
    let dev = bot.add_channel(NewChannel::text("dev"));
    let ideas = bot.add_channel(NewChannel::forum("ideas", &[]));
    bot.deny(bot.channel, Permissions(Permissions::ATTACH_FILES.0 | Permissions::CREATE_PUBLIC_THREADS.0));
    bot.deny(dev, Permissions(Permissions::ATTACH_FILES.0 | Permissions::READ_MESSAGE_HISTORY.0));
    bot.deny(ideas, Permissions(Permissions::ATTACH_FILES.0 | Permissions::CREATE_PUBLIC_THREADS.0));
    bot.add_channel(NewChannel::text("secret").hidden());
    let silent = discord.add_guild("Silent", bot.person("bob"));
    let mute = discord.add_text_channel(silent, "mute");
    bot.deny(mute, Permissions(Permissions::SEND_MESSAGES.0 | Permissions::SEND_MESSAGES_IN_THREADS.0));
    let found = looked.look().await;
    let (state, text) = found.of("Discord server Octo");
    assert_eq!(state, "off");
    for expected in [
        "3 channels (1 more hidden from it):",
        "Create Public Threads is missing in #general (answers stand in the channel)",
        "Read Message History is missing in #dev",
        "Attach Files is missing everywhere",
        "&scope=bot+applications.commands&permissions=",
    ] {
        assert!(text.contains(expected), "{expected} is missing in: {text}");
    }
    assert!(!text.contains("#ideas"), "nobody opens posts for us: {text}");
    let (state, text) = found.of("Discord server Silent");
    assert!(state == "wrong" && text.contains("nothing can be said in 1 channel"), "{text}");
    assert_eq!(found.exit, Some(1));
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_names_ids_of_the_settings_that_are_nowhere() {
    let mut looked = Looked::at(Options::default()).await;
    let (guild, channel) = (looked.bot.guild, looked.bot.channel);
    looked.set("DISCORD_ALLOW_GUILDS", format!("{guild},11"));
    looked.set("DISCORD_ALLOW_CHANNELS", format!("{channel},22"));
    looked.set("DISCORD_ALLOW_ROLES", format!("{guild},33"));
    let found = looked.look().await;
    for (setting, id) in [("DISCORD_ALLOW_GUILDS", "11"), ("DISCORD_ALLOW_CHANNELS", "22"), ("DISCORD_ALLOW_ROLES", "33")] {
        let (state, text) = found.of(setting);
        assert!(state == "off" && text.contains(&format!(": {id} |")), "{text}");
    }
    assert_eq!(found.exit, Some(0));
    // Where none of them is ours nobody could ask.
    looked.set("DISCORD_ALLOW_GUILDS", "11");
    let found = looked.look().await;
    assert!(found.of("Discord servers").1.contains("Correct DISCORD_ALLOW_GUILDS"));
    assert_eq!((found.of("Discord servers").0, found.exit), ("wrong", Some(1)));
    looked.bot.finish().await;
}

#[tokio::test]
async fn doctor_says_how_a_bot_in_no_server_gets_into_one() {
    let looked = Looked::at(Options::default()).await;
    looked.bot.discord.kick(looked.bot.guild);
    let found = looked.look().await;
    let (state, text) = found.of("Discord servers");
    let invite = format!("https://discord.com/oauth2/authorize?client_id={}&scope=bot", looked.bot.discord.us());
    assert!(state == "wrong" && text.contains("in no server") && text.contains(&invite), "{text}");
    looked.bot.finish().await;
}
