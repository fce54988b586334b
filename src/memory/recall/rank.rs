//! Ranks candidates by the words they share with a query: BM25, with a little more for words that stand side by side. Pure.

use std::collections::HashMap;

use super::plan::{Word, weight};
use crate::memory::terms::{self, Kind, Term};

/// How quickly repeating a word stops to count, and how much a long piece is held against it. Pieces are of similar size.
const K1: f64 = 1.2;
const B: f64 = 0.4;
/// Terms of a usual piece.
const USUAL: f64 = 120.0;
/// What two words of the query that stand side by side in the text add, of what they are worth.
const SIDE_BY_SIDE: f64 = 0.3;
/// The part of what the query is worth that a candidate must have, or this many times its rarest word: less is chance.
const ENOUGH: f64 = 0.3;
const ENOUGH_WORDS: f64 = 1.3;

/// A small memory says little about how common a word is; it counts as part of one of this size.
const LEAST: f64 = 1_000.0;

/// A piece that has some of the words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<I> {
    pub id: I,
    /// A bit for each word of the plan.
    pub mask: i32,
}

/// What each word is worth.
#[derive(Clone, Debug)]
pub(super) struct Worth(Vec<f64>);

impl Worth {
    /// By how many hits have it, or are expected to: the rarer the more. `rows` is the size of the scope.
    pub fn of<I>(words: &[Word], hits: &[Hit<I>], rows: f64) -> Self {
        let total = rows.max(hits.len() as f64).max(LEAST);
        let worth = words.iter().enumerate().map(|(at, word)| {
            let counted = hits.iter().filter(|hit| hit.mask & (1 << at) != 0).count() as f64;
            // Most names that words may stand for do not exist, which tells nothing.
            if counted == 0.0 && word.kind == Kind::Joined {
                return 0.0;
            }
            // What no piece has tells by its absence, but a word that merely nobody used must not hide the others.
            let having = if counted == 0.0 { 1.0 } else { counted.max(word.expected).min(total) };
            weight(word.kind) * (1.0 + (total - having + 0.5) / (having + 0.5)).ln()
        });
        Self(worth.collect())
    }

    fn of_mask(&self, mask: i32) -> f64 {
        self.0.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0).map(|(_, worth)| worth).sum()
    }

    /// The best hits by which words they have, at most `most`, and none that has too little. Of equals the earlier.
    pub fn best<I: Copy>(&self, words: &[Word], hits: &[Hit<I>], most: usize) -> Vec<I> {
        let total: f64 = self.0.iter().sum();
        let rarest = self.0.iter().copied().fold(0.0, f64::max);
        let needed = (ENOUGH * total).min(ENOUGH_WORDS * rarest);
        // A year is a name as well, but everybody has it.
        let means = |at: usize, word: &Word| matches!(word.kind, Kind::Exact | Kind::Joined) && self.0[at] * 2.0 >= rarest;
        let exact = |mask: i32| words.iter().enumerate().any(|(at, word)| mask & (1 << at) != 0 && means(at, word));
        let mut scored: Vec<(f64, I)> = hits
            .iter()
            .map(|hit| (self.of_mask(hit.mask), hit))
            .filter(|(score, hit)| *score > 0.0 && (*score >= needed - 1e-9 || exact(hit.mask)))
            .map(|(score, hit)| (score, hit.id))
            .collect();
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        scored.truncate(most);
        scored.into_iter().map(|(_, id)| id).collect()
    }

    /// How well a text fits, as a part of what all words are worth: see [`Worth::score`].
    pub fn fit(&self, words: &[Word], text: &str, saying: &[Term]) -> f64 {
        let total: f64 = self.0.iter().sum();
        if total > 0.0 { self.score(words, text, saying) / total } else { 0.0 }
    }

    /// How well a text fits that was said under circumstances which have terms of their own.
    fn score(&self, words: &[Word], text: &str, saying: &[Term]) -> f64 {
        let found = terms::split(text);
        let places: HashMap<&str, usize> =
            words.iter().enumerate().flat_map(|(at, word)| word.texts().map(move |text| (text, at))).collect();
        let mut times = vec![0.0; words.len()];
        let mut beside = 0.0;
        let mut last: Option<usize> = None;
        for term in &found {
            let place = places.get(term.text.as_str()).copied();
            if let Some(place) = place {
                times[place] += 1.0;
                if last.is_some_and(|last| last + 1 == place) {
                    beside += SIDE_BY_SIDE * (self.0[place] + self.0[place - 1]) / 2.0;
                }
            }
            last = place;
        }
        for place in saying.iter().filter_map(|term| places.get(term.text.as_str())) {
            times[*place] += 1.0;
        }
        let long = 1.0 - B + B * found.len() as f64 / USUAL;
        let plain: f64 = self.0.iter().zip(&times).map(|(worth, times)| worth * times * (K1 + 1.0) / (times + K1 * long)).sum();
        // However often it is repeated, a phrase counts once or so.
        plain + beside.min(self.0.iter().sum::<f64>() * SIDE_BY_SIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::recall::plan::plan;
    use crate::memory::recall::statistics::Counts;

    fn order(query: &str, texts: &[&str]) -> Vec<usize> {
        let words = plan(query, "owner:x", &Counts::default()).words;
        let hits: Vec<Hit<usize>> = texts
            .iter()
            .enumerate()
            .map(|(id, text)| {
                let terms = terms::split(text);
                let has = |word: &Word| terms.iter().any(|term| word.texts().any(|text| text == term.text));
                let mask = words.iter().enumerate().filter(|(_, word)| has(word)).map(|(at, _)| 1 << at).sum();
                Hit { id, mask }
            })
            .filter(|hit| hit.mask != 0)
            .collect();
        let worth = Worth::of(&words, &hits, 1_000.0);
        let mut best = worth.best(&words, &hits, 10);
        best.sort_by(|one, other| worth.score(&words, texts[*other], &[]).total_cmp(&worth.score(&words, texts[*one], &[])));
        best
    }

    #[test]
    fn rare_words_and_identifiers_decide() {
        let texts = [
            "The test of the queue failed.",
            "parse_config_file panics in the test.",
            "We parse a config from a file.",
            "Lunch?",
        ];
        assert_eq!(order("why does parse_config_file fail in a test?", &texts)[0], 1);
        assert_eq!(order("retry budget", &["We set the retry budget to three.", "The budget of the retry."])[0], 0);
    }

    #[test]
    fn one_common_word_of_many_is_not_enough() {
        let texts = ["The build is green.", "Deploy the billing service to Frankfurt on Fridays."];
        assert_eq!(order("Which build of the billing service is deployed to Frankfurt?", &texts), [1]);
        assert_eq!(order("capital of France", &texts), Vec::<usize>::new());
    }
}
