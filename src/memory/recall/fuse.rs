//! Fuses the ranks of two searches. Ranks can be compared where scores cannot: BM25 has no ceiling, and every embedder has its own idea of
//! how similar things are. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::{MemoryId, MessageId};
use crate::memory::terms;

/// Reciprocal rank fusion: each search gives 1/(K + rank). 60 is the value of the paper that proposed it (Cormack and others, 2009) and
/// what search engines use: the first few ranks count about the same, so what both searches find beats what one finds first.
const K: f64 = 60.0;
/// Words and meaning weigh the same: identifiers and names are found by the one, paraphrases by the other, and what both find is best.
const WORDS: f64 = 1.0;
const MEANING: f64 = 1.0;
/// The newest candidate is lifted by about one rank: of two that fit alike, the later said is what holds.
const RECENT: f64 = 0.000_4;
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

/// The best of two rankings, the best first, with their scores: of each message one piece, and of what says the same the best.
pub(super) fn fuse(
    by_words: &[MemoryId],
    by_meaning: &[MemoryId],
    candidates: &[Candidate<'_>],
    most: usize,
) -> Vec<(MemoryId, f64)> {
    let mut scores: HashMap<MemoryId, f64> = HashMap::new();
    for (ranking, weight) in [(by_words, WORDS), (by_meaning, MEANING)] {
        for (rank, id) in (1..).zip(ranking) {
            *scores.entry(*id).or_default() += weight / (K + f64::from(rank));
        }
    }
    let newest = candidates.iter().map(|candidate| candidate.said_at).max().unwrap_or_default();
    let mut ranked: Vec<(f64, &Candidate<'_>)> = candidates
        .iter()
        .filter_map(|candidate| Some((scores.get(&candidate.id)? + recent(newest - candidate.said_at), candidate)))
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.id.cmp(&one.1.id)));
    let mut kept: Vec<(MemoryId, f64)> = Vec::new();
    let mut messages = HashSet::new();
    let mut said: Vec<HashSet<String>> = Vec::new();
    for (score, candidate) in ranked {
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

    #[test]
    fn what_both_find_beats_what_one_finds_first() {
        let all = [candidate("apples grow", 0), candidate("pears fall", 0), candidate("plums rot", 0)];
        let ids: Vec<MemoryId> = all.iter().map(|candidate| candidate.id).collect();
        let found = fuse(&[ids[0], ids[1]], &[ids[2], ids[1]], &all, 9);
        assert_eq!(order(&found, &all)[0], 1);
        assert_eq!(fuse(&[], &[], &all, 9), []);
    }

    #[test]
    fn of_two_that_fit_alike_the_newer_comes_first() {
        let all = [candidate("we use mysql", 90), candidate("we use postgres now", 1)];
        let found = fuse(&[all[0].id, all[1].id], &[], &all, 9);
        assert_eq!(order(&found, &all), [1, 0]);
    }

    #[test]
    fn a_message_and_a_saying_come_once() {
        let first = candidate("the port is 8080 and it stays", 0);
        let second_piece = Candidate { id: MemoryId::new(), ..first };
        let echo = candidate("The port is 8080, and it stays!", 1);
        let all = [first, second_piece, echo];
        assert_eq!(fuse(&all.map(|candidate| candidate.id), &[], &all, 9).len(), 1);
    }

    proptest! {
        #[test]
        fn no_more_than_wanted_and_in_order(count in 0usize..30, most in 1usize..8) {
            let texts: Vec<String> = (0..count).map(|number| format!("word{number} other{number}")).collect();
            let all: Vec<Candidate<'_>> = texts.iter().map(|text| candidate(text, 3)).collect();
            let ids: Vec<MemoryId> = all.iter().map(|candidate| candidate.id).collect();
            let found = fuse(&ids, &ids, &all, most);
            prop_assert_eq!(found.len(), count.min(most));
            prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}
