//! Surface-neutral events. Webhook and gateway payloads are translated into these at the edge and go no further.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::storable;

/// Where people talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Surface {
    /// GitHub issues and pull requests.
    Github,
    /// Discord channels, threads and direct messages.
    Discord,
    /// The built-in console.
    Web,
    /// The terminal.
    Cli,
}

impl Surface {
    /// The word that stands for it in tables, logs and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Discord => "discord",
            Self::Web => "web",
            Self::Cli => "cli",
        }
    }
}

/// One notification as it came in.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The surface it came from.
    pub surface: Surface,
    /// The surface's id of the notification; a redelivery has the same.
    pub external_id: String,
    /// The event's name with its action, such as `issue_comment.created`.
    pub kind: String,
    /// What it speaks of and when that was last edited: the second unique key, because one object can arrive under two ids.
    pub object: Option<ObjectVersion>,
}

/// A thing people wrote, at one moment of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Unique on the surface, such as `issue_comment:123`.
    pub object: String,
    /// When it was created or last edited.
    pub edited_at: DateTime<Utc>,
}

/// What a delivery means to us.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody addressed us.
    Request(Box<Request>),
    /// A conversation ended on its surface (issue closed).
    Closed(Place),
    /// The app was installed, removed, suspended or given other repositories.
    Installation(Installation),
    /// Nothing for us to do; the reason is answered and stored.
    Nothing(&'static str),
}

/// Where a conversation lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "surface", rename_all = "lowercase")]
pub enum Place {
    /// An issue or pull request.
    Github {
        /// `owner/name` as GitHub spells it.
        repository: String,
        /// The repository's number, which survives renames.
        repository_id: i64,
        /// Issue or pull request number.
        number: i64,
        /// The App's installation that may answer; none when a plain token is used.
        installation: Option<i64>,
        /// True for a pull request.
        is_pull_request: bool,
    },
}

impl Place {
    /// The key that identifies the conversation on its surface, unique together with the surface.
    pub fn key(&self) -> String {
        match self {
            Self::Github { repository_id, number, .. } => format!("{repository_id}#{number}"),
        }
    }

    /// The surface it is on.
    pub fn surface(&self) -> Surface {
        match self {
            Self::Github { .. } => Surface::Github,
        }
    }

    /// Whose memory may be shared across threads: the repository.
    pub fn owner(&self) -> String {
        match self {
            Self::Github { repository_id, .. } => format!("github:{repository_id}"),
        }
    }
}

/// Who wrote something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The surface's unchanging id of the person.
    pub id: i64,
    /// The name people mention.
    pub login: String,
    /// True for apps and bots.
    pub is_bot: bool,
}

/// The thing that was written, so that it can be reacted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Trigger {
    /// The body of the issue or pull request itself.
    Body,
    /// A comment in the conversation.
    Comment(i64),
}

/// Somebody addressed us. Holds everything as it stood when it was written; nothing is looked up again later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where.
    pub place: Place,
    /// What was written on, for reactions.
    pub trigger: Trigger,
    /// Who.
    pub author: Author,
    /// The whole text that holds the mention, as written.
    pub text: String,
    /// Title of the conversation at that moment: context, never instruction.
    pub title: String,
    /// Body of the conversation's opening at that moment when `text` is a comment: context, never instruction.
    pub body: Option<String>,
    /// Where a person can read it.
    pub url: String,
    /// When it was written or edited.
    pub written_at: DateTime<Utc>,
}

impl Request {
    /// Makes every text in it storable.
    pub fn make_storable(&mut self) {
        for text in [&mut self.text, &mut self.title, &mut self.url, &mut self.author.login] {
            storable::text(text);
        }
        self.body.as_mut().map(storable::text);
    }
}

/// A change of the App's installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// GitHub's number of it.
    pub id: i64,
    /// The account it belongs to.
    pub account: String,
    /// True when it can no longer be used (deleted or suspended).
    pub gone: bool,
}

/// A delivery with its meaning.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The notification.
    pub delivery: Delivery,
    /// What it means.
    pub event: Event,
}
