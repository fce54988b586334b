//! What was said on Discord before a request: the messages of its channel or thread, and those it links to, as far as whoever asks may read
//! them. As data, as it stands when the run begins; what was written or edited after the request is left out.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use regex::Regex;
use serenity::model::channel::Message;
use serenity::model::id::MessageId;

use super::Services;
use super::bridge::audience;
use crate::agent::prompt;
use crate::agent::store::Taken;
use crate::discord::{self, Discord, DiscordError, Page};
use crate::intake::{Author, Place, Quoted, Request, Trigger};
use crate::reply::cut;

/// Messages before a request, and messages it links to.
const MESSAGES: usize = 30;
const LINKS: usize = 5;
/// Bytes of a message that is linked to.
const LONGEST: usize = 6_000;

/// The messages before a request, oldest first, since the run before it, whose own words are in the history.
pub(super) async fn messages(
    services: &Services,
    taken: &Taken,
    since: Option<DateTime<Utc>>,
    horizon: DateTime<Utc>,
) -> Vec<prompt::Comment> {
    let (Some(discord), Place::Discord { channel, opening, .. }) = (&services.discord, &taken.request.place) else {
        return Vec::new();
    };
    let before = match (taken.request.trigger, opening) {
        (_, Some(opening)) => Page::Before(discord::id(*opening)),
        (Trigger::Comment(id), None) => Page::Before(discord::id(id)),
        (_, None) => Page::Before(discord::first_at::<MessageId>(horizon)),
    };
    match said(discord, *channel, before, since, horizon).await {
        Ok(said) => said,
        Err(error) => {
            tracing::warn!(run.id = %taken.id, %error, "the earlier messages are not known to the run");
            Vec::new()
        }
    }
}

async fn said(
    discord: &Discord,
    channel: i64,
    page: Page,
    since: Option<DateTime<Utc>>,
    horizon: DateTime<Utc>,
) -> Result<Vec<prompt::Comment>, DiscordError> {
    let us = discord.known_bot().await?.id;
    let messages = discord.messages(discord::id(channel), page, MESSAGES).await?;
    let counts = |message: &Message| {
        let later = edited_at(message) > horizon;
        let known = since.is_some_and(|since| edited_at(message) <= since || message.author.id == us);
        !later && !known && !message.content.trim().is_empty()
    };
    let comment = |message: Message| prompt::Comment {
        author: author(&message),
        edited_at: edited_at(&message),
        text: message.content.clone(),
    };
    Ok(messages.into_iter().filter(counts).map(comment).collect())
}

/// The request with the messages it links to among those it quotes. Only of the same guild, and of channels whose messages whoever asks
/// may read: what we may read is no measure.
pub(super) async fn with_linked(services: &Services, taken: &Taken) -> Request {
    let mut request = taken.request.clone();
    let (Some(discord), Place::Discord { guild: Some(guild), .. }) = (&services.discord, &taken.request.place) else {
        return request;
    };
    let mut links = links(&request.text, &hosts(services));
    links
        .retain(|link| link.0 == *guild && !request.with.quoted.iter().any(|known| known.url.ends_with(&format!("/{}", link.2))));
    for (guild, channel, message) in links.into_iter().take(LINKS) {
        match linked(discord, &request, (guild, channel, message)).await {
            Ok(Some(quoted)) => request.with.quoted.push(quoted),
            Ok(None) => {}
            Err(error) => tracing::info!(run.id = %taken.id, %error, "a message that is linked to is not known to the run"),
        }
    }
    request
}

async fn linked(
    discord: &Discord,
    request: &Request,
    (guild, channel, message): (i64, i64, i64),
) -> Result<Option<Quoted>, DiscordError> {
    let Place::Discord { channel: here, parent, opening, .. } = &request.place else { return Ok(None) };
    // Who writes here reads here.
    let is_here = channel == *here || Some(channel) == *opening;
    if !is_here && !audience::may_read(discord, (guild, channel), request.author.id).await? {
        return Ok(None);
    }
    let channel_id = match (channel == *here, opening, parent) {
        // The thread of a message is not there before we open it.
        (false, Some(opening), _) if channel == *opening => discord::id(*opening),
        _ => discord::id(channel),
    };
    let found = discord.message(channel_id, discord::id(message)).await?;
    let written_at = edited_at(&found);
    if written_at > request.written_at {
        return Ok(None);
    }
    let url = format!("https://discord.com/channels/{guild}/{channel}/{message}");
    let text = cut::cut_middle(&found.content, LONGEST, None);
    Ok(Some(Quoted { author: author(&found), text, written_at, url }))
}

/// Hosts whose addresses of messages are read.
fn hosts(services: &Services) -> Vec<String> {
    let of = |url: &url::Url| {
        Some(url.port().map_or(url.host_str()?.to_owned(), |port| format!("{}:{port}", url.host_str().unwrap_or_default())))
    };
    let own = services.settings.discord.as_ref().and_then(|discord| of(&discord.api_url));
    let known = ["discord.com", "ptb.discord.com", "canary.discord.com", "discordapp.com"].map(str::to_owned);
    known.into_iter().chain(own).collect()
}

/// Guild, channel and message of the addresses in a text, each once.
fn links(text: &str, hosts: &[String]) -> Vec<(i64, i64, i64)> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"https?://([A-Za-z0-9.:-]+)/channels/(\d{1,19})/(\d{1,19})/(\d{1,19})\b")
            .expect("the pattern is constant and valid")
    });
    let mut found = Vec::new();
    for link in LINK.captures_iter(text) {
        let numbers = (link[2].parse(), link[3].parse(), link[4].parse());
        if let (Ok(guild), Ok(channel), Ok(message)) = numbers
            && hosts.iter().any(|host| host.eq_ignore_ascii_case(&link[1]))
            && !found.contains(&(guild, channel, message))
        {
            found.push((guild, channel, message));
        }
    }
    found
}

fn edited_at(message: &Message) -> DateTime<Utc> {
    let at = message.edited_timestamp.unwrap_or(message.timestamp);
    let milliseconds = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn author(message: &Message) -> Author {
    Author { id: discord::number(message.author.id), login: message.author.name.clone(), is_bot: message.author.bot }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_messages_are_read_where_discord_is() {
        let hosts = ["discord.com".to_owned(), "127.0.0.1:4020".to_owned()];
        let text = "see https://discord.com/channels/1/2/3, <http://127.0.0.1:4020/channels/1/2/4> again https://discord.com/channels/1/2/3 \
                    not https://evil.example/channels/1/2/5 nor https://discord.com/channels/@me/2/6 nor https://discord.com/channels/1/2";
        assert_eq!(links(text, &hosts), [(1, 2, 3), (1, 2, 4)]);
    }
}
