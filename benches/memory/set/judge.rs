//! The judge: what was found for each question against what answers it. Pure, so that the same findings get the same figures.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::{Value, json};
use threadbox::id::MessageId;
use threadbox::memory::Reach;

use super::world::{Category, Question, World};

/// How it was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Lexical,
    Vector,
    Hybrid,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Lexical, Self::Vector, Self::Hybrid];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
        }
    }
}

/// What a search gave for a question.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Hits, the best first.
    pub ranked: Vec<MessageId>,
    /// Everything that would be shown, neighbours included.
    pub shown: Vec<MessageId>,
}

/// Sums over the questions of a category, or of all.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub questions: usize,
    /// Questions that have an answer; the next five are over these.
    pub answerable: usize,
    recall_5: f64,
    recall_10: f64,
    first: f64,
    ndcg: f64,
    /// Questions with something that must rank below the answer, and how often all of it did.
    rivalled: usize,
    above: usize,
    /// Questions that showed something their conversation may not see.
    pub leaks: usize,
    /// Questions that showed something forgotten.
    pub undead: usize,
    /// Questions without an answer for which something was found all the same.
    pub false_alarms: usize,
    pub unanswerable: usize,
}

impl Figures {
    pub fn recall_at_5(&self) -> f64 {
        share(self.recall_5, self.answerable)
    }

    pub fn recall_at_10(&self) -> f64 {
        share(self.recall_10, self.answerable)
    }

    /// Mean of one over the rank of the first answer.
    pub fn reciprocal_rank(&self) -> f64 {
        share(self.first, self.answerable)
    }

    pub fn ndcg_at_10(&self) -> f64 {
        share(self.ndcg, self.answerable)
    }

    /// How often the answer stood above everything it replaced or that others said. None where there is no such thing.
    pub fn above_rivals(&self) -> Option<f64> {
        (self.rivalled > 0).then(|| share(self.above as f64, self.rivalled))
    }

    pub fn false_alarm_rate(&self) -> f64 {
        share(self.false_alarms as f64, self.unanswerable)
    }

    fn add(&mut self, other: &Self) {
        self.questions += other.questions;
        self.answerable += other.answerable;
        self.recall_5 += other.recall_5;
        self.recall_10 += other.recall_10;
        self.first += other.first;
        self.ndcg += other.ndcg;
        self.rivalled += other.rivalled;
        self.above += other.above;
        self.leaks += other.leaks;
        self.undead += other.undead;
        self.false_alarms += other.false_alarms;
        self.unanswerable += other.unanswerable;
    }
}

fn share(sum: f64, of: usize) -> f64 {
    if of == 0 { 0.0 } else { sum / of as f64 }
}

/// Share of the answers among the first `k`.
pub fn recall(ranked: &[MessageId], answers: &HashSet<MessageId>, k: usize) -> f64 {
    let found: HashSet<_> = ranked.iter().take(k).filter(|id| answers.contains(id)).collect();
    share(found.len() as f64, answers.len())
}

/// Gain of the answers among the first `k`, discounted by the logarithm of their rank, as a share of the best possible.
pub fn ndcg(ranked: &[MessageId], answers: &HashSet<MessageId>, k: usize) -> f64 {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let best: f64 = (0..answers.len().min(k)).map(gain).sum();
    let got: f64 = ranked.iter().take(k).enumerate().filter(|(_, id)| answers.contains(id)).map(|(rank, _)| gain(rank)).sum();
    if best == 0.0 { 0.0 } else { got / best }
}

/// The figures of one way of searching.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub way: Way,
    pub all: Figures,
    pub categories: BTreeMap<Category, Figures>,
    pub kinds: BTreeMap<(Category, &'static str), Figures>,
}

impl Verdict {
    /// The means, for a reader that is a program.
    pub fn json(&self) -> Value {
        let of = |figures: &Figures| {
            json!({
                "questions": figures.questions, "answerable": figures.answerable, "recall_5": figures.recall_at_5(),
                "recall_10": figures.recall_at_10(), "mrr": figures.reciprocal_rank(), "ndcg_10": figures.ndcg_at_10(),
                "above_rivals": figures.above_rivals(), "leaks": figures.leaks, "forgotten_found": figures.undead,
                "false_alarms": figures.false_alarm_rate(),
            })
        };
        let categories: BTreeMap<&str, Value> =
            self.categories.iter().map(|(category, figures)| (category.name(), of(figures))).collect();
        json!({ "way": self.way, "all": of(&self.all), "categories": categories })
    }
}

/// Judges what was found, in the order of the world's questions.
pub fn judge(world: &World, way: Way, findings: &[Findings]) -> Verdict {
    assert_eq!(world.questions.len(), findings.len());
    let places: HashMap<MessageId, usize> = world.messages.iter().enumerate().map(|(place, said)| (said.id, place)).collect();
    let forgotten: HashSet<MessageId> = world.forgotten.iter().map(|place| world.messages[*place].id).collect();
    let mut verdict = Verdict { way, all: Figures::default(), categories: BTreeMap::new(), kinds: BTreeMap::new() };
    for (question, found) in world.questions.iter().zip(findings) {
        let mut one = of_question(world, question, found);
        let everything = || found.ranked.iter().chain(&found.shown);
        one.leaks = usize::from(everything().any(|id| !may_see(world, &places, question, *id)));
        one.undead = usize::from(everything().any(|id| forgotten.contains(id)));
        verdict.all.add(&one);
        verdict.categories.entry(question.category).or_default().add(&one);
        verdict.kinds.entry((question.category, question.kind)).or_default().add(&one);
    }
    verdict
}

fn of_question(world: &World, question: &Question, found: &Findings) -> Figures {
    let id = |place: &usize| world.messages[*place].id;
    let answers: HashSet<MessageId> = question.answers.iter().map(id).collect();
    let mut one = Figures { questions: 1, ..Figures::default() };
    if answers.is_empty() {
        one.unanswerable = 1;
        one.false_alarms = usize::from(!found.ranked.is_empty());
        return one;
    }
    one.answerable = 1;
    one.recall_5 = recall(&found.ranked, &answers, 5);
    one.recall_10 = recall(&found.ranked, &answers, 10);
    one.ndcg = ndcg(&found.ranked, &answers, 10);
    let first = found.ranked.iter().position(|id| answers.contains(id));
    one.first = first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
    let rivals: HashSet<MessageId> = question.rivals.iter().map(id).collect();
    if !rivals.is_empty() {
        let rival = found.ranked.iter().position(|id| rivals.contains(id)).unwrap_or(usize::MAX);
        one.rivalled = 1;
        one.above = usize::from(first.is_some_and(|first| first < rival));
    }
    one
}

/// Whether the conversation that asks may see the message. One that the world does not know may not be seen.
fn may_see(world: &World, places: &HashMap<MessageId, usize>, question: &Question, id: MessageId) -> bool {
    let Some(place) = places.get(&id) else { return false };
    let said = &world.messages[*place];
    let own = said.thread == question.thread;
    let reaches = match question.reach {
        Reach::Thread => own,
        Reach::Owner => own || (said.shared && world.owner(said.thread) == world.owner(question.thread)),
    };
    reaches && !question.forbidden.contains(place)
}

/// The figures side by side, for a terminal.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut lines = vec![row("", verdicts.iter().map(|verdict| format!("{:^20}", verdict.way.name())))];
    lines.push(row("recall", verdicts.iter().map(|_| format!("{:>6}{:>7}{:>7}", "@5", "@10", "MRR"))));
    for category in Category::ALL {
        let figures: Vec<&Figures> = verdicts.iter().filter_map(|verdict| verdict.categories.get(&category)).collect();
        let Some(questions) = figures.first().map(|figures| figures.answerable).filter(|count| *count > 0) else { continue };
        lines.push(row(&format!("{} ({questions})", category.name()), figures.iter().map(|figures| recalls(figures))));
    }
    let answerable = verdicts.first().map_or(0, |verdict| verdict.all.answerable);
    lines.push(row(&format!("all ({answerable})"), verdicts.iter().map(|verdict| recalls(&verdict.all))));
    let ndcg = verdicts.iter().map(|verdict| format!("{:>20.3}", verdict.all.ndcg_at_10()));
    lines.push(row("nDCG@10, all", ndcg));
    lines.push(String::new());
    for category in Category::ALL {
        let above = |verdict: &Verdict| verdict.categories.get(&category).and_then(Figures::above_rivals);
        if verdicts.iter().any(|verdict| above(verdict).is_some()) {
            let cells = verdicts.iter().map(|verdict| format!("{:>20.3}", above(verdict).unwrap_or_default()));
            lines.push(row(&format!("{}: above rivals", category.name()), cells));
        }
    }
    let kinds = verdicts.first().map(|verdict| verdict.kinds.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
    for kind in kinds.into_iter().filter(|(category, _)| *category == Category::Abstention) {
        let cells = verdicts.iter().map(|verdict| format!("{:>20.3}", verdict.kinds[&kind].false_alarm_rate()));
        lines.push(row(&format!("something found: {}", kind.1), cells));
    }
    lines.push(row("questions with a leak", verdicts.iter().map(|verdict| format!("{:>20}", verdict.all.leaks))));
    lines.push(row("forgotten but found", verdicts.iter().map(|verdict| format!("{:>20}", verdict.all.undead))));
    lines.join("\n")
}

/// The same by kind within each category.
pub fn kinds(verdicts: &[Verdict]) -> String {
    let Some(first) = verdicts.first() else { return String::new() };
    let answerable = first.kinds.iter().filter(|(_, figures)| figures.answerable > 0);
    let line = |((category, kind), figures): (&(Category, &'static str), &Figures)| {
        let label = format!("{}: {kind} ({})", category.name(), figures.answerable);
        row(&label, verdicts.iter().map(|verdict| recalls(&verdict.kinds[&(*category, *kind)])))
    };
    answerable.map(line).collect::<Vec<_>>().join("\n")
}

fn recalls(figures: &Figures) -> String {
    format!("{:>6.3}{:>7.3}{:>7.3}", figures.recall_at_5(), figures.recall_at_10(), figures.reciprocal_rank())
}

fn row(label: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("  {label:<42}{}", cells.join("   ")).trim_end().to_owned()
}
