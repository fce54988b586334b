//! Fuses what two searches found. Words lead: how much of what a question is worth a text has says the same in every memory. How similar
//! vectors are does not: every embedder has its own idea of it, and a weak one finds everything a little similar to everything. So a vector
//! counts by how far it stands out from the others that were found with it, and only as far as words found little. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::{MemoryId, MessageId};
use crate::memory::terms;

/// What the best vector adds where words found nothing that fits. A text that has every word of the question once has about 1, one that is
/// found by half of what the words are worth 0.5.
const MEANING: f64 = 2.0;
/// How well the best of the words fits from where on vectors count less, and from where on not at all. These three were measured with an
/// embedder that only counts words and with a small neural one: neither makes what words find worse, and the neural one finds what is
/// said in other words.
const LITTLE: f64 = 0.6;
const ENOUGH: f64 = 0.8;
/// The best vector is at least so much more similar than usual, or none stands out.
const APART: f64 = 0.05;
/// Similarity that says nothing, where too few were found to tell.
const NOTHING: f64 = 0.25;
const FEW: usize = 3;
/// The newest candidate is lifted by so much: of two that fit alike, the later said is what holds.
const RECENT: f64 = 0.05;
/// What is this much older is lifted by half.
const HALF: TimeDelta = TimeDelta::days(30);
/// Terms that two texts share of all they have, above which they say the same.
const SAME: f64 = 0.85;

/// A piece that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub id: MemoryId,
    pub message: MessageId,
    pub said_at: DateTime<Utc>,
    pub text: &'a str,
}

/// The best of two searches, the best first, with their scores: of each message one piece, and of what says the same the best. `by_words`
/// says how well each fits; `by_meaning` how similar each is, the most similar first.
pub(super) fn fuse(
    by_words: &[(MemoryId, f64)],
    by_meaning: &[(MemoryId, f32)],
    candidates: &[Candidate<'_>],
    most: usize,
) -> Vec<(MemoryId, f64)> {
    let mut scores: HashMap<MemoryId, f64> = by_words.iter().copied().collect();
    let best_fit = by_words.iter().map(|(_, fit)| *fit).fold(0.0, f64::max);
    let meaning = MEANING * ((ENOUGH - best_fit) / (ENOUGH - LITTLE)).clamp(0.0, 1.0);
    let usual = usual(by_meaning);
    let most_similar = by_meaning.first().map_or(usual, |(_, similarity)| f64::from(*similarity));
    let apart = (most_similar - usual).max(APART);
    let similarities: HashMap<MemoryId, f64> = by_meaning.iter().map(|(id, similarity)| (*id, f64::from(*similarity))).collect();
    for (id, similarity) in &similarities {
        let adds = meaning * ((similarity - usual) / apart).clamp(0.0, 1.0);
        if adds > 0.0 {
            *scores.entry(*id).or_default() += adds;
        }
    }
    let newest = candidates.iter().map(|candidate| candidate.said_at).max().unwrap_or_default();
    let mut ranked: Vec<(f64, f64, &Candidate<'_>)> = candidates
        .iter()
        .filter_map(|candidate| {
            let score = scores.get(&candidate.id).map(|score| score + recent(newest - candidate.said_at));
            let similarity = similarities.get(&candidate.id).copied();
            // What only vectors found, and that has no say: behind everything else, the most similar first.
            (score.is_some() || similarity.is_some())
                .then(|| (score.unwrap_or_default(), similarity.unwrap_or_default(), candidate))
        })
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.total_cmp(&one.1)).then(other.2.id.cmp(&one.2.id)));
    let mut kept: Vec<(MemoryId, f64)> = Vec::new();
    let mut messages = HashSet::new();
    let mut said: Vec<HashSet<String>> = Vec::new();
    for (score, _, candidate) in ranked {
        if kept.len() == most {
            break;
        }
        if !messages.insert(candidate.message) {
            continue;
        }
        let terms: HashSet<String> = terms::split(candidate.text).into_iter().map(|term| term.text).collect();
        if said.iter().any(|other| says_the_same(other, &terms)) {
            continue;
        }
        said.push(terms);
        kept.push((candidate.id, score));
    }
    kept
}

/// How similar what is found is to any question: half of it is less.
fn usual(by_meaning: &[(MemoryId, f32)]) -> f64 {
    let middle = by_meaning.get(by_meaning.len() / 2).filter(|_| by_meaning.len() > FEW);
    middle.map_or(NOTHING, |(_, similarity)| f64::from(*similarity))
}

fn recent(age: TimeDelta) -> f64 {
    RECENT * 0.5f64.powf(age.num_seconds().max(0) as f64 / HALF.num_seconds() as f64)
}

fn says_the_same(one: &HashSet<String>, other: &HashSet<String>) -> bool {
    let shared = one.intersection(other).count();
    let all = one.len() + other.len() - shared;
    all > 0 && shared as f64 >= SAME * all as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(text: &str, age_days: i64) -> Candidate<'_> {
        let now: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        Candidate { id: MemoryId::new(), message: MessageId::new(), said_at: now - TimeDelta::days(age_days), text }
    }

    fn order(found: &[(MemoryId, f64)], candidates: &[Candidate<'_>]) -> Vec<usize> {
        found.iter().filter_map(|(id, _)| candidates.iter().position(|candidate| candidate.id == *id)).collect()
    }

    fn fits(ids: &[MemoryId], fits: &[f64]) -> Vec<(MemoryId, f64)> {
        ids.iter().copied().zip(fits.iter().copied()).collect()
    }

    fn similar(ids: &[MemoryId], similarities: &[f32]) -> Vec<(MemoryId, f32)> {
        ids.iter().copied().zip(similarities.iter().copied()).collect()
    }

    #[test]
    fn what_both_find_beats_what_one_finds_first() {
        let all = [candidate("apples grow", 0), candidate("pears fall", 0), candidate("plums rot", 0)];
        let ids = all.map(|candidate| candidate.id);
        let found = fuse(&fits(&[ids[0], ids[1]], &[0.7, 0.65]), &similar(&[ids[2], ids[1]], &[0.6, 0.5]), &all, 9);
        assert_eq!(order(&found, &all), [1, 2, 0]);
        assert_eq!(fuse(&[], &[], &all, 9), []);
    }

    #[test]
    fn where_words_find_it_vectors_have_no_say_and_where_they_find_little_the_nearest_leads() {
        let texts: Vec<String> = (0..12).map(|number| format!("word{number} other{number}")).collect();
        let all: Vec<Candidate<'_>> = texts.iter().map(|text| candidate(text, 3)).collect();
        let ids: Vec<MemoryId> = all.iter().map(|candidate| candidate.id).collect();
        let others: Vec<MemoryId> = ids.iter().rev().copied().collect();
        let near = [0.85, 0.45, 0.44, 0.43, 0.42, 0.41, 0.4, 0.39, 0.38, 0.37, 0.36, 0.35];
        let best = |by_words: &[f64], similarities: &[f32]| {
            order(&fuse(&fits(&ids[..by_words.len()], by_words), &similar(&others, similarities), &all, 3), &all)
        };
        assert_eq!(best(&[1.0, 0.6, 0.5], &near), [0, 1, 2]);
        assert_eq!(best(&[1.0], &near), [0, 11, 10], "places that are left go to the nearest");
        assert_eq!(best(&[0.5, 0.3, 0.1], &near)[..2], [11, 0]);
        assert_eq!(best(&[], &near)[0], 11);
        // Everything is as similar as everything else: nothing stands out.
        assert_eq!(best(&[0.5, 0.4, 0.3], &[0.41; 12]), [0, 1, 2]);
    }

    #[test]
    fn of_two_that_fit_alike_the_newer_comes_first() {
        let all = [candidate("we use mysql", 90), candidate("we use postgres now", 1)];
        let found = fuse(&fits(&[all[0].id, all[1].id], &[0.71, 0.7]), &[], &all, 9);
        assert_eq!(order(&found, &all), [1, 0]);
        let found = fuse(&fits(&[all[0].id, all[1].id], &[0.9, 0.7]), &[], &all, 9);
        assert_eq!(order(&found, &all), [0, 1], "what is older and fits better is first all the same");
    }

    #[test]
    fn a_message_and_a_saying_come_once() {
        let first = candidate("the port is 8080 and it stays", 0);
        let second_piece = Candidate { id: MemoryId::new(), ..first };
        let echo = candidate("The port is 8080, and it stays!", 1);
        let all = [first, second_piece, echo];
        assert_eq!(fuse(&fits(&all.map(|candidate| candidate.id), &[0.9; 3]), &[], &all, 9).len(), 1);
    }

    proptest! {
        #[test]
        fn no_more_than_wanted_and_in_order(count in 0usize..30, most in 1usize..8) {
            let texts: Vec<String> = (0..count).map(|number| format!("word{number} other{number}")).collect();
            let all: Vec<Candidate<'_>> = texts.iter().map(|text| candidate(text, 3)).collect();
            let ids: Vec<MemoryId> = all.iter().map(|candidate| candidate.id).collect();
            let words: Vec<f64> = (0..count).map(|number| 1.0 / (1.0 + number as f64)).collect();
            let near: Vec<f32> = (0..count).map(|number| 0.9 - number as f32 / 50.0).collect();
            let found = fuse(&fits(&ids, &words), &similar(&ids, &near), &all, most);
            prop_assert_eq!(found.len(), count.min(most));
            prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}
