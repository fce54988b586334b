//! The Discord of the demo: a server, the people in it, and how what is said there is printed.

use anyhow::Context;
use serde_json::Value;
use url::Url;

use crate::cli::demo::{PATIENCE, PERSON, print_indented};
use crate::cli::output::Progress;
use crate::settings::DiscordSettings;
use crate::standin::discord::{DiscordStandin, Id, Message, Options, Words, World};

/// A server with two channels, where [`PERSON`] is.
pub struct Town {
    pub discord: DiscordStandin,
    pub person: Id,
    pub data: Id,
    pub rocket: Id,
}

impl Town {
    pub async fn start() -> anyhow::Result<Self> {
        let discord = DiscordStandin::start(Options::default()).await?;
        let person = discord.add_person(PERSON);
        let guild = discord.add_guild("Acme", person);
        let [data, rocket] = ["flight-data", "rocket"].map(|name| discord.add_text_channel(guild, name));
        Ok(Self { discord, person, data, rocket })
    }

    /// Settings that make the service talk to it: everybody may.
    pub fn settings(&self) -> anyhow::Result<DiscordSettings> {
        Ok(DiscordSettings {
            token: self.discord.token(),
            api_url: Url::parse(&self.discord.url())?,
            allow_guilds: None,
            allow_roles: None,
            allow_channels: None,
            guild_daily_budget_usd: None,
        })
    }

    /// [`PERSON`] writes in a channel or thread, and that is printed. The message, whose number its thread will have.
    pub fn says(&self, place: Id, text: &str, files: &[(&str, &str)]) -> anyhow::Result<Id> {
        let mention = self.discord.mention(self.discord.us());
        let words = Words::new(&text.replace("@threadbox", &mention));
        let words = files.iter().fold(words, |words, (name, content)| words.attach(name, content.as_bytes().to_vec()));
        self.shown(self.discord.say(place, self.person, words)?)
    }

    /// [`PERSON`] writes to the service alone. The conversation and the message.
    pub fn says_alone(&self, text: &str) -> anyhow::Result<(Id, Id)> {
        let (place, message) = self.discord.direct(self.person, text)?;
        Ok((place, self.shown(message)?))
    }

    fn shown(&self, message: Id) -> anyhow::Result<Id> {
        let said = self.discord.world(|world| world.message(message).cloned());
        self.show(&said.context("the message is gone")?);
        Ok(message)
    }

    /// Waits until the service wrote something newer than `after` in a place that looks like this.
    pub async fn answer(&self, place: Id, after: Id, what: &str, look: impl Fn(&Message) -> bool) -> anyhow::Result<Message> {
        let progress = Progress::spinner("waiting for the answer");
        let us = self.discord.us();
        let find = |world: &World| {
            let mut ours = world.messages(place).filter(|message| message.author == us && message.id > after);
            ours.find(|message| look(message)).cloned()
        };
        let found = self.discord.wait_for(what, PATIENCE, find).await;
        drop(progress);
        found
    }

    /// Prints a message as people see it: text, frames, files and buttons.
    pub fn show(&self, message: &Message) {
        let (author, place) = self.discord.world(|world| {
            let author = world.user(message.author).map_or_else(String::new, |user| format!("@{}", user.name));
            (author, named(world, message.channel))
        });
        println!("\n{author} {place}:\n");
        let us = self.discord.us();
        print_indented(message.content.replace(&self.discord.mention(us), "@threadbox").trim_end());
        for embed in &message.embeds {
            print_indented(&framed(embed));
        }
        for file in &message.attachments {
            println!("    📎 {} · {} bytes", file.name, file.bytes.len());
        }
        let buttons: Vec<String> = labels(message).map(|label| format!("[{label}]")).collect();
        if !buttons.is_empty() {
            println!("    {}", buttons.join(" "));
        }
    }
}

/// Where a message stands, in words.
fn named(world: &World, place: Id) -> String {
    match world.channel(place) {
        Some(channel) if channel.thread.is_some() => format!("in the thread “{}”", channel.name),
        Some(channel) if channel.guild.is_some() => format!("in #{}", channel.name),
        Some(_) | None => "in a direct message".to_owned(),
    }
}

fn framed(embed: &Value) -> String {
    let text = |name: &str| embed[name].as_str().unwrap_or_default();
    let whole = format!("{}\n{}\n{}", text("title"), text("url"), text("description"));
    whole.lines().filter(|line| !line.is_empty()).map(|line| format!("┃ {line}\n")).collect()
}

fn labels(message: &Message) -> impl Iterator<Item = &str> {
    let all = message.components.iter().flat_map(|row| row["components"].as_array().into_iter().flatten());
    all.filter_map(|button| button["label"].as_str())
}

/// Whether the message has a button of this name.
pub fn has_button(message: &Message, label: &str) -> bool {
    labels(message).any(|known| known == label)
}
