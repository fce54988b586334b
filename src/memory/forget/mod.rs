//! Forgetting: what can be forgotten, and what goes with it.
//!
//! Whoever asks writes a row ([`ask`]); from then on recall does not find it. A worker does the rest in small transactions
//! ([`work::step`]), each of which may be repeated. What is forgotten of a message: its words, the run it asked for with all that the
//! agent said and did in it, retries of that run and what an approval of it began, the pieces and vectors made of any of these, the
//! lines of working memory that come from them, the observations of the thread (condensed again from what is left), a title a model
//! found, and the agent's side of every other run that was shown any of it. What others said stays theirs.
//!
//! Rows keep their ids, times, money and the kind of their outcome, so that a redelivery still finds that it was handled:
//! [`rows::TABLES`] says for each column of each table what happens to it. Posts on a surface are the surface's own and stay there.
//! There is no grace period: what people delete is gone for them at once, and so it is here.

pub mod own;
pub mod record;
pub mod rows;
mod store;
pub mod work;

pub(in crate::memory) use rows::store::condense_again;
pub use store::{
    Asked, Progress, Reached, Why, ask, ask_conversation, conversation, find_owner, find_person, forget_done, guild_back,
    guild_gone, hides_owner, installation_gone, place_gone, progress,
};

use uuid::Uuid;

use crate::id::{RunId, ThreadId};
use crate::intake::Surface;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A thing somebody wrote and that is deleted, as `ObjectVersion::object` names it, such as `issue_comment:42`.
    Message(String),
    /// The earlier words of a thing that was edited.
    Edited(String),
    /// What the agent made of words that are gone: its side of a run.
    Answer(RunId),
    /// What runs of a thread that were at work when something was forgotten still quote of it.
    Quotes(ThreadId),
    /// A conversation.
    Thread(ThreadId),
    /// All conversations of an owner, as [`crate::intake::Place::owner`] names it.
    Owner(String),
    /// What a person said, and their name.
    Person(Person),
    /// What a person said.
    Words(Words),
}

/// What somebody said themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Where.
    pub surface: Surface,
    /// The surface's unchanging number of whoever said it.
    pub author: i64,
    /// The conversation; all of them when there is none.
    pub thread: Option<ThreadId>,
}

/// Somebody, as they are known on a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Where.
    pub surface: Surface,
    /// The surface's unchanging number of them; none when nothing they wrote is here.
    pub id: Option<i64>,
    /// What they are called; none when only the number is known.
    pub login: Option<String>,
}

impl Target {
    /// The word in the table.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Edited(_) => "edited",
            Self::Answer(_) => "answer",
            Self::Quotes(_) => "quotes",
            Self::Thread(_) => "thread",
            Self::Owner(_) => "owner",
            Self::Person(_) => "person",
            Self::Words(_) => "words",
        }
    }

    /// Names it in the table, together with [`Target::what`].
    pub fn key(&self) -> String {
        match self {
            Self::Message(object) | Self::Edited(object) => object.clone(),
            Self::Answer(run) => run.to_string(),
            Self::Quotes(thread) | Self::Thread(thread) => thread.to_string(),
            Self::Owner(owner) => owner.clone(),
            Self::Person(person) => person.key(),
            Self::Words(words) => words.key(),
        }
    }

    fn login(&self) -> Option<String> {
        match self {
            Self::Person(person) => person.login.clone(),
            Self::Message(_)
            | Self::Edited(_)
            | Self::Answer(_)
            | Self::Quotes(_)
            | Self::Thread(_)
            | Self::Owner(_)
            | Self::Words(_) => None,
        }
    }

    /// What a row of the table means; none when it was written by another version.
    fn read(what: &str, key: &str, login: Option<String>) -> Option<Self> {
        let id = || key.parse::<Uuid>().ok();
        Some(match what {
            "message" => Self::Message(key.to_owned()),
            "edited" => Self::Edited(key.to_owned()),
            "answer" => Self::Answer(RunId(id()?)),
            "quotes" => Self::Quotes(ThreadId(id()?)),
            "thread" => Self::Thread(ThreadId(id()?)),
            "owner" => Self::Owner(key.to_owned()),
            "person" => Self::Person(Person::read(key, login)?),
            "words" => Self::Words(Words::read(key)?),
            _ => return None,
        })
    }
}

impl Person {
    /// Such as `github:42`, or `github:@maya` while no number is known.
    fn key(&self) -> String {
        match (self.id, &self.login) {
            (Some(id), _) => format!("{}:{id}", self.surface.as_str()),
            (None, login) => format!("{}:@{}", self.surface.as_str(), login.as_deref().unwrap_or_default().to_lowercase()),
        }
    }

    fn read(key: &str, login: Option<String>) -> Option<Self> {
        let (name, id) = key.split_once(':')?;
        let login = login.or_else(|| id.strip_prefix('@').filter(|login| !login.is_empty()).map(str::to_owned));
        Some(Self { surface: surface(name)?, id: id.parse().ok(), login })
    }
}

impl Words {
    /// Such as `github:42`, or `github:42@` and the id of a thread.
    fn key(&self) -> String {
        let whose = format!("{}:{}", self.surface.as_str(), self.author);
        self.thread.map_or_else(|| whose.clone(), |thread| format!("{whose}@{thread}"))
    }

    fn read(key: &str) -> Option<Self> {
        let (whose, thread) = match key.split_once('@') {
            Some((whose, thread)) => (whose, Some(ThreadId(thread.parse().ok()?))),
            None => (key, None),
        };
        let (name, author) = whose.split_once(':')?;
        Some(Self { surface: surface(name)?, author: author.parse().ok()?, thread })
    }
}

/// The surface of that name.
pub fn surface(name: &str) -> Option<Surface> {
    [Surface::Github, Surface::Discord, Surface::Web, Surface::Cli].into_iter().find(|surface| surface.as_str() == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again() {
        let person = |id, login: Option<&str>| Person { surface: Surface::Github, id, login: login.map(str::to_owned) };
        let all = [
            Target::Message("issue_comment:42".into()),
            Target::Edited("review:7:0a1b".into()),
            Target::Answer(RunId::new()),
            Target::Quotes(ThreadId::new()),
            Target::Thread(ThreadId::new()),
            Target::Owner("github:7".into()),
            Target::Person(person(Some(42), Some("maya"))),
            Target::Person(person(None, Some("42"))),
            Target::Person(person(Some(42), None)),
            Target::Words(Words { surface: Surface::Github, author: 42, thread: None }),
            Target::Words(Words { surface: Surface::Discord, author: 42, thread: Some(ThreadId::new()) }),
        ];
        for target in all {
            assert_eq!(Target::read(target.what(), &target.key(), target.login()).unwrap(), target);
        }
        assert_eq!(Target::read("thread", "x", None), None);
        for broken in ["github", "github:x", "moon:1", "github:1@", "github:1@x"] {
            assert_eq!(Target::read("words", broken, None), None, "{broken}");
        }
        assert_eq!(Target::read("star", "x", None), None);
    }
}
