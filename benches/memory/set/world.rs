//! A world of conversations: owners, people, threads over a year, and what is said in them. The same seed makes the same bytes.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use threadbox::id::{MessageId, ThreadId};
use threadbox::memory::Reach;
use uuid::Uuid;

use super::chance::Chance;
use super::facts::Facts;
use super::filler;
use super::vocabulary::{PEOPLE, SUBJECTS};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub seed: u64,
    pub messages: usize,
    /// Questions of each category.
    pub questions: usize,
}

impl Size {
    /// What the benchmark asks.
    pub const FULL: Self = Self { seed: 5, messages: 50_000, questions: 48 };
    /// What the tests ask.
    pub const SMALL: Self = Self { seed: 5, messages: 2_000, questions: 6 };
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// What was decided, asked from its own conversation or another.
    Decision,
    /// What was decided last, after something else had been.
    Reversal,
    /// What one of several people said.
    WhoSaid,
    /// Identifiers, paths and error codes, as written or in words.
    Code,
    /// Asked in other words than it was said.
    Paraphrase,
    /// Told apart only by when it was said.
    Temporal,
    /// Two messages together.
    MultiHop,
    /// Answered in another conversation, while this one speaks of it without the answer.
    CrossThread,
    /// Answered differently in other conversations, which were not asked.
    OwnThread,
    /// Answered only where the one who asks may not look.
    Border,
    /// Answered nowhere.
    Abstention,
    /// Answered once, and forgotten.
    Forgotten,
}

impl Category {
    pub const ALL: [Self; 12] = [
        Self::Decision,
        Self::Reversal,
        Self::WhoSaid,
        Self::Code,
        Self::Paraphrase,
        Self::Temporal,
        Self::MultiHop,
        Self::CrossThread,
        Self::OwnThread,
        Self::Border,
        Self::Abstention,
        Self::Forgotten,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Decision => "decisions",
            Self::Reversal => "reversals",
            Self::WhoSaid => "who said what",
            Self::Code => "code names",
            Self::Paraphrase => "paraphrases",
            Self::Temporal => "temporal",
            Self::MultiHop => "two messages",
            Self::CrossThread => "other thread",
            Self::OwnThread => "own thread only",
            Self::Border => "borders",
            Self::Abstention => "abstention",
            Self::Forgotten => "after forget",
        }
    }
}

/// A conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Thread {
    pub id: ThreadId,
    pub owner: String,
    #[serde(skip)]
    pub home: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

/// A message.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    pub id: MessageId,
    /// Place in [`World::threads`].
    pub thread: usize,
    pub role: Role,
    pub author: String,
    pub at: DateTime<Utc>,
    /// False where only its own conversation may find it.
    pub shared: bool,
    pub text: String,
}

/// A question. Messages are places in [`World::messages`].
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    pub category: Category,
    /// Which kind within its category, for reading the results.
    pub kind: &'static str,
    pub text: String,
    /// The conversation it is asked in.
    pub thread: usize,
    #[serde(skip)]
    pub reach: Reach,
    /// All of these answer it; none where nothing may be found.
    pub answers: Vec<usize>,
    /// These must rank below the answers: what was replaced, what others said.
    pub rivals: Vec<usize>,
    /// These must not be found.
    pub forbidden: Vec<usize>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct World {
    pub threads: Vec<Thread>,
    /// Ordered by time within a thread.
    pub messages: Vec<Said>,
    pub questions: Vec<Question>,
    /// Messages that are forgotten before anything is asked.
    pub forgotten: Vec<usize>,
}

/// Repositories, with their shares of the messages.
const OWNERS: &[(&str, usize)] = &[("github:101", 5), ("github:202", 3), ("github:303", 2)];
/// Who speaks for the agent.
pub const AGENT: &str = "threadbox";
/// 2025-01-01, in milliseconds.
const BEGIN: i64 = 1_735_689_600_000;
const MINUTE: i64 = 60_000;
/// Conversations begin in the first eleven months.
const BEGIN_WITHIN: usize = 330 * 24 * 60;

impl World {
    pub fn generate(size: Size) -> Self {
        let mut chance = Chance::new(size.seed);
        let mut world = Self { threads: Vec::new(), messages: Vec::new(), questions: Vec::new(), forgotten: Vec::new() };
        let shares: usize = OWNERS.iter().map(|(_, share)| share).sum();
        for (owner, share) in OWNERS {
            world.add_owner(&mut chance, owner, size.messages * share / shares);
        }
        let planted = Facts::plant(&mut world, &mut chance.apart(1), size.questions);
        world.fill(&mut chance.apart(2), &planted);
        world
    }

    /// Empty conversations with times and ids; what is said comes later.
    fn add_owner(&mut self, chance: &mut Chance, owner: &str, messages: usize) {
        let mut left = messages;
        while left > 0 {
            let long = chance.percent(4);
            let wanted = if long { chance.between(200, 600) } else { chance.between(8, 60) };
            let count = wanted.min(left).min(messages.div_ceil(4));
            let mut at = BEGIN + chance.below(BEGIN_WITHIN) as i64 * MINUTE;
            let thread = self.threads.len();
            let id = ThreadId::from(made_id(chance, at));
            self.threads.push(Thread { id, owner: owner.to_owned(), home: chance.below(SUBJECTS.len()) });
            for place in 0..count {
                let pause = if chance.percent(8) { chance.between(600, 4_000) } else { chance.between(1, 90) };
                at += pause as i64 * MINUTE;
                let role = if place % 2 == 0 || chance.percent(30) { Role::User } else { Role::Assistant };
                let id = MessageId::from(made_id(chance, at));
                let at = DateTime::from_timestamp_millis(at).expect("a moment of this century");
                let (author, text) = (String::new(), String::new());
                self.messages.push(Said { id, thread, role, author, at, shared: true, text });
            }
            left -= count;
        }
    }

    /// Says something wherever nothing was planted.
    fn fill(&mut self, chance: &mut Chance, planted: &[bool]) {
        for (place, message) in self.messages.iter_mut().enumerate() {
            if planted[place] {
                continue;
            }
            let by_agent = message.role == Role::Assistant;
            message.author = if by_agent { AGENT.to_owned() } else { (*chance.pick(PEOPLE)).to_owned() };
            message.text = filler::message(chance, self.threads[message.thread].home, by_agent);
        }
    }

    pub fn owner(&self, thread: usize) -> &str {
        &self.threads[thread].owner
    }

    /// The whole world as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// From the first message to the last.
    pub fn span(&self) -> TimeDelta {
        let times = || self.messages.iter().map(|message| message.at);
        times().max().zip(times().min()).map_or(TimeDelta::zero(), |(last, first)| last - first)
    }
}

/// Ids as the service makes them, except that chance is ours.
pub(super) fn made_id(chance: &mut Chance, at: i64) -> Uuid {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&chance.next().to_le_bytes());
    random[8..].copy_from_slice(&chance.next().to_le_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(at.unsigned_abs(), &random).into_uuid()
}
