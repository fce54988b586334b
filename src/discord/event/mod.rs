//! From what is said on Discord to the surface-neutral event. Pure: what has to be looked up comes in with [`Heard`].

mod written;

use chrono::{DateTime, Utc};
use serenity::model::channel::{Message, MessageType};

use super::{made_at, number};
use crate::intake::{
    Asks, Author, Delivery, Event, GivenFile, Inbound, ObjectVersion, Place, Quoted, Request, Surface, Trigger, With, command,
};

/// Files of one message that are taken along.
const MOST_FILES: usize = 10;

/// What the translation has to know beside the message.
#[derive(Clone, Debug)]
pub struct Heard<'a> {
    /// Our account.
    pub us: i64,
    /// Our handle, without `@`.
    pub handle: &'a str,
    /// Where it was said.
    pub spot: Spot,
    /// True when whoever wrote it talks with us there, so that no mention is needed.
    pub is_follow_up: bool,
    /// The roles of the author, where the message itself does not tell.
    pub roles: Option<Vec<i64>>,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// In a channel: an answer opens a thread.
    Channel {
        /// The guild.
        guild: i64,
    },
    /// In a thread or forum post.
    Thread {
        /// The guild.
        guild: i64,
        /// What it is in.
        parent: Option<i64>,
        /// Its name.
        name: String,
    },
    /// In a channel, as a reply to a message of ours: that conversation goes on.
    Reply {
        /// Where that message belongs.
        place: Place,
    },
    /// With one person.
    Direct,
}

/// The name under which a message is known, whatever version of it.
pub fn object(message: impl Into<u64>) -> String {
    format!("message:{}", message.into())
}

/// True when the text mentions that account, wherever in it.
pub fn mentions(text: &str, us: i64) -> bool {
    text.contains(&format!("<@{us}>")) || text.contains(&format!("<@!{us}>"))
}

/// What a message means to us. Messages of bots, webhooks and Discord itself mean nothing.
///
/// Every version of a message names the first one as well, so that whichever comes first is the request and the others are not.
pub fn message(message: &Message, heard: &Heard<'_>) -> Inbound {
    let written_at = made_at(message.id);
    let edited_at = edited_at(message);
    let delivery = Delivery {
        surface: Surface::Discord,
        external_id: match edited_at {
            Some(at) => format!("{}:{}", message.id, at.timestamp_millis()),
            None => message.id.to_string(),
        },
        kind: if edited_at.is_some() { "message.edited" } else { "message.created" }.to_owned(),
        object: Some(ObjectVersion { object: object(message.id), edited_at: edited_at.unwrap_or(written_at) }),
        was_also: edited_at.map(|_| written_at),
    };
    let event = match request(message, heard) {
        Ok(request) => Event::Request(Box::new(request)),
        Err(why) => Event::Nothing(why),
    };
    Inbound { delivery, event }
}

fn request(message: &Message, heard: &Heard<'_>) -> Result<Request, &'static str> {
    if message.author.bot || message.webhook_id.is_some() || number(message.author.id) == heard.us {
        return Err("written by a bot");
    }
    match message.kind {
        MessageType::Regular | MessageType::InlineReply | MessageType::ThreadStarterMessage => {}
        _ => return Err("a notice of Discord's"),
    }
    let mut text = written::with_handle(&message.content, heard.us, heard.handle);
    if !command::mentions(&text, heard.handle) {
        let is_direct = matches!(heard.spot, Spot::Direct | Spot::Reply { .. });
        if !heard.is_follow_up && !is_direct {
            return Err("no mention that counts");
        }
        if text.trim().is_empty() && message.attachments.is_empty() {
            return Err("nothing was said");
        }
        text = format!("@{} {text}", heard.handle);
    }
    let mut request = Request {
        place: place(message, heard),
        trigger: Trigger::Comment(number(message.id)),
        author: author(message),
        title: match &heard.spot {
            Spot::Thread { name, .. } => name.clone(),
            Spot::Channel { .. } | Spot::Reply { .. } | Spot::Direct => String::new(),
        },
        text,
        body: None,
        url: link(message, heard),
        written_at: edited_at(message).unwrap_or_else(|| made_at(message.id)),
        asks: Asks::Words,
        head: None,
        review_thread: None,
        from_fork: false,
        opened_by: None,
        with: with(message, heard),
    };
    request.make_storable();
    Ok(request)
}

/// When a message was edited last.
pub fn edited_at(message: &Message) -> Option<DateTime<Utc>> {
    let milliseconds = i64::try_from(message.edited_timestamp?.unix_timestamp_nanos() / 1_000_000).ok()?;
    DateTime::from_timestamp_millis(milliseconds)
}

fn author(message: &Message) -> Author {
    Author { id: number(message.author.id), login: message.author.name.clone(), is_bot: message.author.bot }
}

/// The conversation a message belongs to.
pub fn place(message: &Message, heard: &Heard<'_>) -> Place {
    place_of(number(message.channel_id), number(message.id), number(message.author.id), &heard.spot)
}

/// The conversation that something said there belongs to.
pub fn place_of(channel: i64, message: i64, author: i64, spot: &Spot) -> Place {
    let (guild, parent, opening, person) = match spot {
        Spot::Channel { guild } => (Some(*guild), None, Some(message), None),
        Spot::Thread { guild, parent, .. } => (Some(*guild), *parent, None, None),
        Spot::Reply { place } => return place.clone(),
        Spot::Direct => (None, None, None, Some(author)),
    };
    Place::Discord { guild, channel, parent, opening, person, repository: None, apart: None }
}

fn link(message: &Message, heard: &Heard<'_>) -> String {
    let guild = match &heard.spot {
        Spot::Channel { guild } | Spot::Thread { guild, .. } => guild.to_string(),
        Spot::Reply { place: Place::Discord { guild: Some(guild), .. } } => guild.to_string(),
        Spot::Reply { .. } | Spot::Direct => "@me".to_owned(),
    };
    format!("https://discord.com/channels/{guild}/{}/{}", message.channel_id, message.id)
}

fn with(message: &Message, heard: &Heard<'_>) -> With {
    let told = message.member.as_ref().map(|member| member.roles.iter().map(|role| number(*role)).collect());
    let files = message.attachments.iter().take(MOST_FILES).map(|file| GivenFile {
        name: file.filename.clone(),
        url: file.url.clone(),
        size: u64::from(file.size),
        media_type: file.content_type.clone(),
        from: Some((number(message.channel_id), number(message.id))),
    });
    let quoted = message.referenced_message.iter().map(|quoted| Quoted {
        author: author(quoted),
        text: written::with_handle(&quoted.content, heard.us, heard.handle),
        written_at: edited_at(quoted).unwrap_or_else(|| made_at(quoted.id)),
        url: link(quoted, heard),
    });
    With {
        roles: told.or_else(|| heard.roles.clone()).unwrap_or_default(),
        files: files.collect(),
        quoted: quoted.collect(),
        repository: None,
    }
}

#[cfg(test)]
mod tests;
