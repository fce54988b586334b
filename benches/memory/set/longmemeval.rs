//! The public LongMemEval files (`longmemeval_s`, `longmemeval_m`, `longmemeval_oracle` and their cleaned versions): a JSON array of
//! questions, each with a haystack of its own. Read one question at a time, because the largest file has several gigabytes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::Read;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use threadbox::id::MessageId;
use threadbox::memory::Reach;

use super::chance::Chance;
use super::judge::{ndcg, recall};
use super::world::{AGENT, Category, Question, Role, Said, Thread, World, made_id};

/// Whose memory the haystack becomes.
const OWNER: &str = "longmemeval";
/// Turns of a session are a minute apart.
const TURN: TimeDelta = TimeDelta::minutes(1);

/// One question as the file has it.
#[derive(Debug, Deserialize)]
pub struct Instance {
    pub question_id: String,
    pub question_type: String,
    pub question: String,
    #[serde(default)]
    pub question_date: String,
    pub haystack_dates: Vec<String>,
    pub haystack_session_ids: Vec<String>,
    pub haystack_sessions: Vec<Vec<Turn>>,
    pub answer_session_ids: Vec<String>,
}

/// One turn of a session.
#[derive(Debug, Deserialize)]
pub struct Turn {
    pub role: TurnRole,
    pub content: String,
    /// True where the turn holds the evidence. Missing in sessions that hold none.
    #[serde(default)]
    pub has_answer: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnRole {
    User,
    Assistant,
}

/// Shows `each` the questions of the array one after another, until it answers false; the rest of the file is not read then.
pub fn read(file: impl Read, each: impl FnMut(Instance) -> bool) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(file);
    let mut stopped = false;
    let all = OneByOne { each, stopped: &mut stopped }.deserialize(&mut json).and_then(|()| json.end());
    if stopped { Ok(()) } else { all }
}

struct OneByOne<'a, F> {
    each: F,
    stopped: &'a mut bool,
}

impl<'de, F: FnMut(Instance) -> bool> DeserializeSeed<'de> for OneByOne<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Instance) -> bool> Visitor<'de> for OneByOne<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of questions")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut all: A) -> Result<(), A::Error> {
        while let Some(instance) = all.next_element::<Instance>()? {
            if !(self.each)(instance) {
                *self.stopped = true;
                // Only an error ends an array before its end.
                return Err(A::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

impl Instance {
    /// Questions without an answer; the paper leaves them out of retrieval.
    pub fn is_abstention(&self) -> bool {
        self.question_id.contains("_abs")
    }

    /// A world of this haystack with its one question, asked in a conversation of its own. Sessions are conversations.
    pub fn world(&self) -> World {
        let mut chance = Chance::new(self.question_id.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte)));
        let mut world = World { threads: Vec::new(), messages: Vec::new(), questions: Vec::new(), forgotten: Vec::new() };
        let mut answers = Vec::new();
        for (number, turns) in self.haystack_sessions.iter().enumerate() {
            let begin = self.haystack_dates.get(number).and_then(|date| moment(date)).unwrap_or(DateTime::UNIX_EPOCH);
            let thread = new_thread(&mut world, &mut chance, begin);
            for (turn, said) in turns.iter().enumerate() {
                let at = begin + TURN * i32::try_from(turn).unwrap_or(i32::MAX);
                if said.has_answer == Some(true) {
                    answers.push(world.messages.len());
                }
                let (role, author) = match said.role {
                    TurnRole::User => (Role::User, "user"),
                    TurnRole::Assistant => (Role::Assistant, AGENT),
                };
                let id = MessageId::from(made_id(&mut chance, at.timestamp_millis()));
                let (author, text) = (author.to_owned(), said.content.clone());
                world.messages.push(Said { id, thread, role, author, at, shared: true, text });
            }
        }
        let thread = new_thread(&mut world, &mut chance, moment(&self.question_date).unwrap_or(DateTime::UNIX_EPOCH));
        let (category, kind, text) = (Category::Decision, "public", self.question.clone());
        let (rivals, forbidden) = (Vec::new(), Vec::new());
        world.questions.push(Question { category, kind, text, thread, reach: Reach::Owner, answers, rivals, forbidden });
        world
    }
}

fn new_thread(world: &mut World, chance: &mut Chance, at: DateTime<Utc>) -> usize {
    let id = made_id(chance, at.timestamp_millis()).into();
    world.threads.push(Thread { id, owner: OWNER.to_owned(), home: 0 });
    world.threads.len() - 1
}

/// `2023/05/20 (Sat) 02:36`, with or without the day of the week.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let (date, rest) = text.trim().split_once(' ')?;
    let time = rest.rsplit(' ').next()?;
    NaiveDateTime::parse_from_str(&format!("{date} {time}"), "%Y/%m/%d %H:%M").ok().map(|moment| moment.and_utc())
}

/// Sums of a question type.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Sums {
    pub questions: usize,
    /// Questions whose evidence is marked by turn.
    pub with_turns: usize,
    /// By session, then by turn: share of the evidence within 5 and 10, all of it within 5 and 10, nDCG at 10.
    pub session: [f64; 5],
    pub turn: [f64; 5],
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.questions += other.questions;
        self.with_turns += other.with_turns;
        for (mine, theirs) in [(&mut self.session, &other.session), (&mut self.turn, &other.turn)] {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// Means of `sums` over as many questions as have that evidence.
    fn means(sums: &[f64; 5], of: usize) -> String {
        let mean = |sum: f64| if of == 0 { 0.0 } else { sum / of as f64 };
        let [some_5, some_10, all_5, all_10, ndcg] = sums.map(mean);
        format!("{some_5:>7.3}{some_10:>7.3}{all_5:>8.3}{all_10:>8.3}{ndcg:>8.3}")
    }
}

/// Judges one question: `ranked` are its hits, the best first, as many as it takes to name ten sessions.
pub fn judge(instance: &Instance, world: &World, ranked: &[MessageId]) -> Sums {
    let mut sums = Sums { questions: 1, ..Sums::default() };
    let places: HashMap<MessageId, usize> = world.messages.iter().enumerate().map(|(place, said)| (said.id, place)).collect();
    // A session is named by its first hit, so that both levels are judged by the same measures.
    let name = |thread: usize| MessageId(world.threads[thread].id.0);
    let mut sessions: Vec<MessageId> = Vec::new();
    for thread in ranked.iter().filter_map(|id| places.get(id)).map(|place| world.messages[*place].thread) {
        if !sessions.contains(&name(thread)) {
            sessions.push(name(thread));
        }
    }
    let evidence = instance
        .answer_session_ids
        .iter()
        .filter_map(|id| instance.haystack_session_ids.iter().position(|known| known == id).map(name));
    sums.session = measures(&sessions, &evidence.collect());
    let turns: HashSet<MessageId> = world.questions[0].answers.iter().map(|place| world.messages[*place].id).collect();
    if !turns.is_empty() {
        sums.with_turns = 1;
        sums.turn = measures(ranked, &turns);
    }
    sums
}

fn measures(ranked: &[MessageId], answers: &HashSet<MessageId>) -> [f64; 5] {
    let (five, ten) = (recall(ranked, answers, 5), recall(ranked, answers, 10));
    let whole = |share: f64| if share >= 1.0 { 1.0 } else { 0.0 };
    [five, ten, whole(five), whole(ten), ndcg(ranked, answers, 10)]
}

/// Sums by question type.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Results(pub BTreeMap<String, Sums>);

impl Results {
    pub fn add(&mut self, question_type: &str, sums: &Sums) {
        self.0.entry(question_type.to_owned()).or_default().add(sums);
    }

    /// For a terminal.
    pub fn table(&self) -> String {
        let head = "     @5    @10  all@5  all@10    nDCG";
        let mut lines =
            vec![format!("  {:<32}{:^38}   {:^38}", "", "by session", "by turn"), format!("  {:<32}{head}   {head}", "")];
        let mut all = Sums::default();
        for (question_type, sums) in &self.0 {
            lines.push(Self::row(question_type, sums));
            all.add(sums);
        }
        lines.push(Self::row("all", &all));
        lines.join("\n")
    }

    fn row(label: &str, sums: &Sums) -> String {
        let (session, turn) = (Sums::means(&sums.session, sums.questions), Sums::means(&sums.turn, sums.with_turns));
        format!("  {:<32}{session}   {turn}", format!("{label} ({})", sums.questions))
    }
}
