//! What is kept of a conversation, of an owner or of a person, as people may see it and take it with them.
//!
//! A thread's export holds everything that is kept of it. A person's holds what they wrote, everywhere, what they asked for with its
//! times and costs, and what is kept in mind because of them; what others or the agent said in the same conversations is not theirs,
//! and is in there only where their own words quote it.

pub mod said;
mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use self::said::{Said, Which};
use super::Person;
use crate::id::ThreadId;
use crate::memory::Period;

/// Most threads in one list, and most messages in one look at a thread.
pub const MOST_LISTED: u32 = 200;

/// A conversation in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: Uuid,
    /// Whose memory it shares.
    pub owner: String,
    /// What it is called.
    pub title: Option<String>,
    /// `open` or `closed`.
    pub state: String,
    /// Where it is talked about, such as `acme/rocket#7`.
    pub places: Vec<String>,
    /// How much was said that is still kept.
    pub messages: i64,
    /// How often the agent was at work.
    pub runs: i64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When something last happened.
    pub updated_at: DateTime<Utc>,
}

/// Where a list goes on: after the last thread of the page before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// When that was updated.
    pub updated_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.updated_at.timestamp_micros(), self.id.simple())
    }
}

impl std::str::FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.rsplit_once('-').ok_or(())?;
        let updated_at = at.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or(())?;
        Ok(Self { updated_at, id: id.parse().map_err(|_| ())? })
    }
}

/// Which conversations are wanted; all by default.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Of this owner.
    pub owner: Option<String>,
    /// In which something last happened then.
    pub period: Period,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// Talked about there, such as `acme/rocket#7`.
    pub place: Option<String>,
}

/// Conversations, the latest first, at most [`MOST_LISTED`].
///
/// # Errors
/// As the database.
pub async fn list(pool: &PgPool, listed: &Listed, after: Option<After>, most: u32) -> Result<Vec<Summary>, sqlx::Error> {
    store::list(pool, listed, after, i64::from(most.min(MOST_LISTED))).await
}

/// A conversation as people look at it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// What it is.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was said last, oldest first.
    pub conversation: Vec<Said>,
    /// Lines kept in mind for it.
    pub working_memory: Vec<Value>,
    /// What its older part was condensed to.
    pub observations: Vec<Value>,
}

/// Whether there is such a thread.
///
/// # Errors
/// As the database.
pub async fn is_known(pool: &PgPool, thread: ThreadId) -> Result<bool, sqlx::Error> {
    store::is_known(pool, thread).await
}

/// A conversation with the last `most` things said in it that are wanted. None when there is no such thread.
///
/// # Errors
/// As the database.
pub async fn show(pool: &PgPool, thread: ThreadId, which: &Which, most: u32) -> Result<Option<Shown>, sqlx::Error> {
    let Some(summary) = store::summary(pool, thread).await? else { return Ok(None) };
    Ok(Some(Shown {
        conversation: said::store::last(pool, thread, which, i64::from(most.min(MOST_LISTED))).await?,
        working_memory: store::lines(pool, "thread", &thread.to_string()).await?,
        observations: store::observations(pool, thread, None, i64::from(MOST_LISTED)).await?.records,
        summary,
    }))
}

/// Whose words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A conversation's.
    Thread(ThreadId),
    /// Those of all conversations of an owner.
    Owner(String),
    /// A person's.
    Person(Person),
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Conversations.
    pub threads: i64,
    /// Things said.
    pub messages: i64,
    /// Times the agent was at work.
    pub runs: i64,
    /// Files of answers.
    pub attachments: i64,
    /// Pieces that recall finds.
    pub memories: i64,
}

/// How much there is that would be forgotten. What the agent told of it elsewhere is not counted.
///
/// # Errors
/// As the database.
pub async fn count(pool: &PgPool, whose: &Whose) -> Result<Counts, sqlx::Error> {
    match whose {
        Whose::Thread(thread) => store::count_threads(pool, Some(*thread), None).await,
        Whose::Owner(owner) => store::count_threads(pool, None, Some(owner)).await,
        Whose::Person(person) => store::count_person(pool, person.id).await,
    }
}

/// Writes everything down, a page at a time.
#[derive(Debug)]
pub struct Export {
    pool: PgPool,
    whose: Whose,
    place: Option<Section>,
    /// Of an owner: the thread at hand.
    thread: Option<ThreadId>,
    after: Option<(Uuid, i32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Head,
    Messages,
    Runs,
    Events,
    Observations,
    Lines,
    NextThread,
    OwnerLines,
}

/// Records of one page, and where the next begins; none after the last.
#[derive(Debug, Default)]
struct Page {
    records: Vec<Value>,
    next: Option<(Uuid, i32)>,
}

impl Export {
    /// From the beginning.
    pub fn new(pool: PgPool, whose: Whose) -> Self {
        let thread = match &whose {
            Whose::Thread(thread) => Some(*thread),
            Whose::Owner(_) | Whose::Person(_) => None,
        };
        let first = match &whose {
            Whose::Thread(_) | Whose::Person(_) => Section::Head,
            Whose::Owner(_) => Section::NextThread,
        };
        Self { pool, whose, place: Some(first), thread, after: None }
    }

    /// The next records, each an object with a `kind`; may be empty. None when that was all. A page is a few hundred records at most.
    ///
    /// # Errors
    /// As the database; the same page may be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, sqlx::Error> {
        let Some(section) = self.place else { return Ok(None) };
        let page = match &self.whose {
            Whose::Person(person) => self.person(section, person).await?,
            Whose::Thread(_) | Whose::Owner(_) => self.section(section).await?,
        };
        self.after = page.next;
        if section == Section::NextThread {
            self.thread = page.next.map(|(thread, _)| ThreadId(thread));
            self.after = None;
            self.place = Some(if self.thread.is_some() { Section::Head } else { Section::OwnerLines });
        } else if page.next.is_none() {
            self.place = self.following(section);
        }
        Ok(Some(page.records))
    }

    fn following(&self, section: Section) -> Option<Section> {
        let of_owner = matches!(self.whose, Whose::Owner(_));
        match section {
            Section::Head => Some(Section::Messages),
            Section::Messages => Some(Section::Runs),
            Section::Runs => Some(Section::Events),
            Section::Events => Some(Section::Observations),
            Section::Observations => Some(Section::Lines),
            Section::Lines => of_owner.then_some(Section::NextThread),
            Section::NextThread => Some(Section::Head),
            Section::OwnerLines => None,
        }
    }

    async fn section(&self, section: Section) -> Result<Page, sqlx::Error> {
        let pool = &self.pool;
        let thread = self.thread.unwrap_or(ThreadId(Uuid::nil()));
        match section {
            Section::Head => {
                let summary = store::summary(pool, thread).await?;
                let head = |summary: Summary| {
                    let mut record = serde_json::to_value(summary).unwrap_or_default();
                    record["kind"] = json!("thread");
                    record
                };
                Ok(Page { records: summary.map(head).into_iter().collect(), next: None })
            }
            Section::Messages => store::messages(pool, thread, self.after).await,
            Section::Runs => store::runs(pool, thread, self.after).await,
            Section::Events => store::events(pool, thread, self.after).await,
            Section::Observations => store::observations(pool, thread, self.after, store::PAGE).await,
            Section::Lines => Ok(lines(store::lines(pool, "thread", &thread.to_string()).await?, json!({ "thread": thread }))),
            Section::NextThread => match &self.whose {
                Whose::Owner(owner) => store::next_thread(pool, owner, self.thread).await,
                Whose::Thread(_) | Whose::Person(_) => Ok(Page::default()),
            },
            Section::OwnerLines => match &self.whose {
                Whose::Owner(owner) => Ok(lines(store::lines(pool, "owner", owner).await?, json!({ "owner": owner }))),
                Whose::Thread(_) | Whose::Person(_) => Ok(Page::default()),
            },
        }
    }

    async fn person(&self, section: Section, person: &Person) -> Result<Page, sqlx::Error> {
        let Some(id) = person.id else { return Ok(Page::default()) };
        match section {
            Section::Head => {
                let record = json!({ "kind": "person", "surface": person.surface, "id": id, "login": person.login });
                Ok(Page { records: vec![record], next: None })
            }
            Section::Messages => store::messages_of(&self.pool, id, self.after).await,
            Section::Runs => store::runs_of(&self.pool, id, self.after).await,
            Section::Lines => store::lines_of(&self.pool, id).await,
            Section::Events | Section::Observations | Section::NextThread | Section::OwnerLines => Ok(Page::default()),
        }
    }
}

fn lines(lines: Vec<Value>, of: Value) -> Page {
    let record = |line: Value| {
        let mut record = of.clone();
        record["kind"] = json!("working_memory");
        record["line"] = line;
        record
    };
    Page { records: lines.into_iter().map(record).collect(), next: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn where_a_list_goes_on_can_be_said_and_read() {
        let after = After { updated_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(), id: Uuid::now_v7() };
        assert_eq!(after.to_string().parse(), Ok(after));
        for wrong in ["", "-", "x", "1-", "99999999999999999999-0", "1-zz", "1-'; drop"] {
            assert!(wrong.parse::<After>().is_err(), "{wrong}");
        }
    }
}
