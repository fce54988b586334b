//! Surface-neutral events. Webhook and gateway payloads are translated into these at the edge and go no further.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{ApprovalId, RunId};
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
    /// When the thing was written first, where a list told of it after an edit: a notification of either moment is the same request.
    pub was_also: Option<DateTime<Utc>>,
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
    /// Something that mentions us, or did, was edited or deleted.
    Changed(Changed),
    /// A conversation ended on its surface.
    Closed(Closed),
    /// A person gave a conversation another title.
    Renamed(Renamed),
    /// The app was installed, removed, suspended or given other repositories.
    Installation(Installation),
    /// A repository was renamed, moved or deleted.
    Repository(RepositoryChange),
    /// We are no longer in a guild.
    Left(Left),
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
    /// A thread, a forum post or a direct conversation on Discord. All numbers are Discord's.
    Discord {
        /// The guild; none in direct messages.
        guild: Option<i64>,
        /// The channel it was begun in; for what is said in a thread or forum post, that itself.
        channel: i64,
        /// The channel a thread or forum post is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<i64>,
        /// The message a thread is opened from: the thread has its number, so the conversation is known before the thread is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening: Option<i64>,
        /// Who talks with us in direct messages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<i64>,
        /// The repository it is about; the gate fills it in, nothing that arrives does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<Linked>,
        /// Where not everybody in the guild reads what is said: the channel or private thread whose readers alone do. What is said there is
        /// not found from elsewhere. The gate fills it in, nothing that arrives does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apart: Option<i64>,
    },
}

/// A repository on GitHub that a conversation elsewhere was linked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Its number.
    pub id: i64,
    /// `owner/name` when it was linked, or last seen.
    pub full_name: String,
    /// The App's installation that covers it; none when a plain token is used.
    pub installation: Option<i64>,
    /// The login on GitHub that belongs to whoever asks; none where they linked no account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

impl Place {
    /// The key that identifies the conversation on its surface, unique together with the surface.
    pub fn key(&self) -> String {
        match self {
            Self::Github { repository_id, number, .. } => format!("{repository_id}#{number}"),
            Self::Discord { channel, opening, .. } => opening.unwrap_or(*channel).to_string(),
        }
    }

    /// The surface it is on.
    pub fn surface(&self) -> Surface {
        match self {
            Self::Github { .. } => Surface::Github,
            Self::Discord { .. } => Surface::Discord,
        }
    }

    /// Whose memory may be shared across threads: the repository, the guild (of a channel that not everybody there reads: that channel),
    /// or the person in direct messages.
    pub fn owner(&self) -> String {
        match self {
            Self::Discord { guild: Some(guild), apart: Some(apart), .. } => format!("discord:{guild}:{apart}"),
            Self::Github { .. } | Self::Discord { .. } => self.payer(),
        }
    }

    /// Whose budget runs count against: the repository, the guild, or the person in direct messages.
    pub fn payer(&self) -> String {
        match self {
            Self::Github { repository_id, .. } => Self::owner_of(*repository_id),
            Self::Discord { guild: Some(guild), .. } => format!("discord:{guild}"),
            Self::Discord { guild: None, person, channel, .. } => format!("discord:person:{}", person.unwrap_or(*channel)),
        }
    }

    /// True for a pull request.
    pub fn is_pull_request(&self) -> bool {
        match self {
            Self::Github { is_pull_request, .. } => *is_pull_request,
            Self::Discord { .. } => false,
        }
    }

    /// The owner that a repository on GitHub is, by its number.
    pub fn owner_of(repository: i64) -> String {
        format!("github:{repository}")
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

/// No login on GitHub has a colon.
const ON_DISCORD: &str = "discord:";

impl Author {
    /// The number on Discord of whom [`Request::requester`] names; none when it is a login on GitHub.
    pub fn of_requester(requester: &str) -> Option<i64> {
        requester.strip_prefix(ON_DISCORD)?.parse().ok()
    }
}

/// The thing that was written, so that it can be reacted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Trigger {
    /// The body of the issue or pull request itself.
    Body,
    /// A comment in the conversation.
    Comment(i64),
    /// The text of a review.
    Review(i64),
    /// A comment in a review thread.
    ReviewComment(i64),
    /// Nothing that was written: a label, a request for review, a push, a check.
    Event,
}

/// Why somebody's request is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Asks {
    /// The text mentions us and says what is wanted.
    #[default]
    Words,
    /// A label was added. When it is the one the repository means: do what the conversation is about.
    Label {
        /// The label.
        name: String,
    },
    /// Somebody's review was requested; counts when that is us. GitHub offers people and teams as reviewers, Apps mostly not: an App
    /// is asked for a review by a mention, and this is for machine accounts.
    ReviewRequest {
        /// Login of who shall review.
        reviewer: String,
    },
    /// A pull request was opened, or pushed to; counts where the repository wants reviews.
    Pushed,
    /// A check failed; counts where the repository wants it fixed.
    CheckFailed {
        /// GitHub's number of the check run; none when only the suite of checks was told of.
        check_run: Option<i64>,
        /// Its name.
        name: String,
        /// Number of the App that made it.
        app: Option<i64>,
    },
    /// Somebody pressed a reaction on a comment of ours that waits for one.
    Reaction {
        /// The surface's number of that comment.
        comment: i64,
        /// Which.
        button: Button,
    },
    /// Somebody pressed a button of ours that says what it is about.
    Pressed {
        /// What it is about.
        press: Press,
        /// The surface's number of the press, under which an answer for their eyes alone can be given for a while.
        interaction: i64,
    },
}

/// A button that names what it is about. It grants nothing: whoever presses it is asked for permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "press", content = "id", rename_all = "snake_case")]
pub enum Press {
    /// Stops that run.
    Stop(RunId),
    /// Runs what that run was asked for again.
    Retry(RunId),
    /// Lands the work of that run's conversation.
    OpenPullRequest(RunId),
    /// Says yes to that.
    Approve(ApprovalId),
    /// Says no to it.
    Decline(ApprovalId),
}

/// A reaction that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// 👍: go ahead.
    Yes,
    /// 👎: do not, or no more.
    No,
}

impl Asks {
    /// True when nobody addressed us: who may not is not told so, and nothing is done where the repository does not want it.
    pub fn is_automatic(&self) -> bool {
        match self {
            Self::Words | Self::Label { .. } | Self::ReviewRequest { .. } | Self::Pressed { .. } => false,
            Self::Pushed | Self::CheckFailed { .. } | Self::Reaction { .. } => true,
        }
    }
}

/// The review thread a comment stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewThread {
    /// GitHub's number of its first comment; answers name it.
    pub root: i64,
    /// The file.
    pub path: String,
    /// The last line it is about, on the side of `is_old`; none when it is about the file, or outdated.
    pub line: Option<i64>,
    /// The first line, when it is about several.
    pub start_line: Option<i64>,
    /// True when the lines are those of before the change.
    pub is_old: bool,
    /// The hunk as GitHub shows it above the thread.
    pub diff_hunk: String,
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
    /// Why it is a request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asks: Asks,
    /// The head of the pull request at that moment, where the notification named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The review thread it stands in; the answer goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_thread: Option<ReviewThread>,
    /// True when it is about a pull request whose commits are in somebody else's fork.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from_fork: bool,
    /// Who opened the conversation, by the surface's number, where the notification says it: title and body are their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<i64>,
    /// What came with it, where the surface has files and roles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub with: With,
}

/// What comes with a message on a surface that has files, roles and answers to messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct With {
    /// The author's roles in the guild, by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<i64>,
    /// Files that people attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<GivenFile>,
    /// Messages it answers or links to: context, never instruction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quoted: Vec<Quoted>,
    /// The repository it is about, where it names one: as its page's address or as `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// A file that somebody attached to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenFile {
    /// Its name, as given.
    pub name: String,
    /// Where the surface keeps it; may expire.
    pub url: String,
    /// Bytes, as the surface says.
    pub size: u64,
    /// Its media type, where the surface says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The channel and the message it came with; none in what was taken in before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<(i64, i64)>,
}

/// A message that another one answers or links to, as it stood then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// Who wrote it.
    pub author: Author,
    /// As written.
    pub text: String,
    /// When it was written or last edited.
    pub written_at: DateTime<Utc>,
    /// Where people read it.
    pub url: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Request {
    /// Names who asks, in what runs and money are counted by: the login on GitHub, or the number on Discord, where names are everybody's
    /// to choose. See [`Author::of_requester`].
    pub fn requester(&self) -> String {
        match &self.place {
            Place::Github { .. } => self.author.login.clone(),
            Place::Discord { .. } => format!("{ON_DISCORD}{}", self.author.id),
        }
    }

    /// Makes every text in it storable.
    pub fn make_storable(&mut self) {
        for text in [&mut self.text, &mut self.title, &mut self.url, &mut self.author.login] {
            storable::text(text);
        }
        self.body.as_mut().map(storable::text);
        if let Some(thread) = &mut self.review_thread {
            storable::text(&mut thread.path);
            storable::text(&mut thread.diff_hunk);
        }
        for file in &mut self.with.files {
            storable::text(&mut file.name);
            storable::text(&mut file.url);
        }
        for quoted in &mut self.with.quoted {
            storable::text(&mut quoted.text);
            storable::text(&mut quoted.author.login);
        }
        match &mut self.asks {
            Asks::Label { name } | Asks::CheckFailed { name, .. } | Asks::ReviewRequest { reviewer: name } => {
                storable::text(name)
            }
            Asks::Words | Asks::Pushed | Asks::Reaction { .. } | Asks::Pressed { .. } => {}
        }
    }
}

/// What became of something people wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its text is another one now.
    Edited,
    /// It is gone.
    Deleted,
}

/// Something that mentions us, or did, is no longer what it was.
///
/// A request holds the words it was made with, so an edit takes nothing back that has begun: a run that works goes on and answers. The run
/// of a deleted message is not begun, or stopped; an approval of the words before is void. The earlier words are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where it stands, or stood.
    pub place: Place,
    /// Names it, as [`ObjectVersion::object`] does.
    pub object: String,
    /// What became of it.
    pub change: Change,
    /// Login of who did that.
    pub by: String,
    /// When, as the surface says; for a deletion the last time it was known to be there.
    pub at: DateTime<Utc>,
    /// What it says now; nothing where it is gone.
    pub text: String,
}

/// Why a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Closed or merged; it can be gone on with.
    Closed,
    /// Deleted: nothing can be said there any more.
    Deleted,
    /// It lives elsewhere now, under another number.
    Transferred {
        /// `owner/name#number`, when the surface says it.
        to: Option<String>,
    },
}

/// A conversation ended on its surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub place: Place,
    /// Why.
    pub closing: Closing,
    /// Login of who ended it.
    pub by: String,
    /// When, as the surface says: what was asked later holds.
    pub at: Option<DateTime<Utc>>,
}

/// A person gave a conversation another title. Our thread has it from then on, whatever a model proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Which.
    pub place: Place,
    /// As written.
    pub title: String,
    /// Login of who did that.
    pub by: String,
    /// When, as the surface says: of two, the later one holds.
    pub at: DateTime<Utc>,
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
    /// True when it is deleted: it never comes back, and nothing of it is kept.
    pub deleted: bool,
    /// Numbers of repositories that were taken from it: nothing of them is kept.
    pub removed: Vec<i64>,
    /// When it became so, where GitHub says it: what was said earlier and arrives later changes nothing.
    pub at: Option<DateTime<Utc>>,
}

/// We left a guild, or were put out. Nothing that was said there is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Discord's number of it.
    pub guild: i64,
    /// When it was noticed.
    pub at: DateTime<Utc>,
}

/// A change of a repository as a whole. Its conversations are known by its number, which stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryChange {
    /// It has another name or owner.
    Moved {
        /// Its number.
        id: i64,
        /// `owner/name` now.
        full_name: String,
        /// The installation that covers it now.
        installation: Option<i64>,
    },
    /// It is gone.
    Deleted {
        /// Its number.
        id: i64,
        /// Login of who deleted it.
        by: String,
    },
}

/// A delivery with its meaning.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The notification.
    pub delivery: Delivery,
    /// What it means.
    pub event: Event,
}
