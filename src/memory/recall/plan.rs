//! Which words a search begins with, so that it never looks at more than about a thousand pieces however many there are. Pure.

use std::collections::HashMap;

use super::statistics::Counts;
use crate::memory::terms::{self, Kind, Term};

/// Words of a query that count. A question has fewer; of a long text these are the rarest.
pub(super) const WORDS: usize = 12;
/// Pieces that all rare words together may have.
const SINGLES: f64 = 1_000.0;
/// Pieces that common words may have together.
const TOGETHER: f64 = 800.0;
/// A word that more pieces have is no beginning at all, not even together with another.
const COMMON: f64 = 30_000.0;

/// A word of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub text: String,
    pub kind: Kind,
    /// Pieces of the scope that have it, by our estimate; 0 when none is known to.
    pub expected: f64,
    /// What else it may be: other names that the same words may stand for.
    pub also: Vec<String>,
}

impl Word {
    /// Everything it is found by.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.also.iter().map(String::as_str))
    }

    /// As a `tsquery`.
    pub fn query(&self) -> String {
        let texts: Vec<String> = self.texts().map(terms::quoted).collect();
        if texts.len() == 1 { texts.concat() } else { format!("({})", texts.join(" | ")) }
    }
}

/// How a search is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// The words that are compared, at most [`WORDS`].
    pub words: Vec<Word>,
    /// Pieces in the scope, by our estimate.
    pub rows: f64,
    pub begin: Begin,
}

/// Where candidates come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Begin {
    /// The query has no word to be found by.
    Nowhere,
    /// The pieces that a `tsquery` finds.
    Words {
        /// To be asked first: enough pieces may have a rare word, or all of the common ones. Words of one question are about one thing, so
        /// that far more pieces have two of them than chance would have it.
        narrow: Option<String>,
        /// All that have a rare word, or two of the common ones.
        wide: String,
    },
    /// All words are too common: the pieces that this `tsquery` finds, which asks for what the words may be as one name; if there are
    /// none, the newest.
    Newest(Option<String>),
}

/// Plans a search for `query` among the pieces that have the term `scope`.
pub(super) fn plan(query: &str, scope: &str, counts: &Counts) -> Plan {
    let rows = counts.rows_with(scope).max(1.0);
    let words = words(query, rows, counts);
    let begin = begin(&words, scope, rows);
    Plan { words, rows, begin }
}

/// The words of a query that say most, in their order.
fn words(query: &str, rows: f64, counts: &Counts) -> Vec<Word> {
    let mut distinct: Vec<(Term, usize)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for term in terms::split(query) {
        match places.get(&term.text) {
            Some(place) => distinct[*place].1 += 1,
            None => {
                places.insert(term.text.clone(), distinct.len());
                distinct.push((term, 1));
            }
        }
    }
    let share = if counts.rows > 0.0 { (rows / counts.rows).min(1.0) } else { 1.0 };
    let mut words: Vec<(usize, f64, Word)> = (0..)
        .zip(distinct)
        .map(|(place, (term, times))| {
            let expected = counts.rows_with(&term.text) * share;
            let weight = weight(term.kind) * (1.0 + (times as f64).ln()) * (1.0 + rows / (expected + 1.0)).ln();
            (place, weight, Word { text: term.text, kind: term.kind, expected, also: Vec::new() })
        })
        .collect();
    words.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    words.truncate(WORDS - 1);
    words.sort_by_key(|(place, ..)| *place);
    words.into_iter().map(|(.., word)| word).chain(name(query, share, counts)).collect()
}

/// The names that the query's words may stand for, as one word: whichever exists is meant.
fn name(query: &str, share: f64, counts: &Counts) -> Option<Word> {
    let mut names = terms::joined(query).into_iter();
    let text = names.next()?;
    let also: Vec<String> = names.collect();
    let all = std::iter::once(&text).chain(&also);
    let expected = all.filter_map(|name| counts.common.get(name)).map(|part| f64::from(*part) * counts.rows * share).sum();
    Some(Word { text, kind: Kind::Joined, expected, also })
}

/// What a word's match is worth beside its rarity: who writes an identifier means it, and a part of one may be chance.
pub(super) fn weight(kind: Kind) -> f64 {
    match kind {
        Kind::Word => 1.0,
        Kind::Part => 0.7,
        Kind::Exact | Kind::Joined => 1.5,
    }
}

fn begin(words: &[Word], scope: &str, rows: f64) -> Begin {
    let mut order: Vec<&Word> = words.iter().collect();
    order.sort_by(|one, other| one.expected.total_cmp(&other.expected));
    let mut left = SINGLES;
    let mut ways: Vec<String> = Vec::new();
    let mut common: Vec<&Word> = Vec::new();
    for word in order {
        if word.expected <= left {
            left -= word.expected;
            ways.push(word.query());
        } else if word.expected <= COMMON {
            common.push(word);
        }
    }
    common.truncate(3);
    let names = words.iter().filter(|word| word.kind == Kind::Joined).count();
    let all: Option<String> = (common.len() == 3).then(|| together(&common));
    let narrow = all.iter().chain(&ways).cloned().collect::<Vec<_>>();
    let rare = ways.len();
    let mut left = TOGETHER;
    for (at, one) in common.iter().enumerate() {
        for other in &common[at + 1..] {
            let expected = one.expected * other.expected / rows;
            if expected <= left {
                left -= expected;
                ways.push(together(&[one, other]));
            }
        }
    }
    let has_pairs = ways.len() > rare;
    if let Some(all) = all.as_ref().filter(|_| !has_pairs) {
        let expected = common.iter().map(|word| word.expected / rows).product::<f64>() * rows;
        if expected <= TOGETHER {
            ways.push(all.clone());
        }
    }
    let scoped = |ways: &[String]| format!("{} & ({})", terms::quoted(scope), ways.join(" | "));
    if words.is_empty() {
        Begin::Nowhere
    } else if ways.len() > names {
        Begin::Words { narrow: (all.is_some() && has_pairs).then(|| scoped(&narrow)), wide: scoped(&ways) }
    } else {
        Begin::Newest((!ways.is_empty()).then(|| scoped(&ways)))
    }
}

fn together(words: &[&Word]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.query()).collect();
    format!("({})", words.join(" & "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(rows: f64, common: &[(&str, f32)]) -> Counts {
        let common = common.iter().map(|(term, part)| ((*term).to_owned(), *part)).collect();
        Counts { rows, common, rest: 0.0001 }
    }

    fn words(wide: &str) -> Begin {
        Begin::Words { narrow: None, wide: wide.to_owned() }
    }

    #[test]
    fn a_small_memory_is_searched_by_every_word() {
        let plan = plan("Where is the retry budget set?", "owner:github:1", &Counts::default());
        assert_eq!(
            plan.begin,
            words("'owner:github:1' & (('retrybudget' | 'budgetset' | 'retrybudgetset') | 'retri' | 'budget' | 'set')")
        );
    }

    #[test]
    fn a_large_one_by_rare_words_and_pairs_of_common_ones() {
        let large = counts(
            1_000_000.0,
            &[("owner:github:1", 1.0), ("test", 0.2), ("queue", 0.01), ("databas", 0.02), ("e0277", 0.0002), ("cach", 0.03)],
        );
        let begin = |query: &str| plan(query, "owner:github:1", &large).begin;
        assert_eq!(begin("test the database queue"), words("'owner:github:1' & ('databasequeue' | ('queue' & 'databas'))"));
        assert_eq!(begin("test E0277"), words("'owner:github:1' & ('teste0277' | 'e0277')"));
        assert_eq!(begin("a test?"), Begin::Newest(None));
        let names = "('databasequeue' | 'queuecache' | 'databasequeuecache')";
        // Pieces with all three may be enough; by chance each two of them have 200, 300 and 600 pieces in common.
        assert_eq!(
            begin("database queue cache"),
            Begin::Words {
                narrow: Some(format!("'owner:github:1' & (('queue' & 'databas' & 'cach') | {names})")),
                wide: format!("'owner:github:1' & ({names} | ('queue' & 'databas') | ('queue' & 'cach'))"),
            }
        );
        assert_eq!(begin("test test"), Begin::Newest(Some("'owner:github:1' & ('testtest')".into())));
        assert_eq!(begin("what is it and why"), Begin::Nowhere);
        // The same words in a small repository of a large installation.
        assert_eq!(plan("a test?", "owner:github:2", &large).begin, words("'owner:github:2' & ('test')"));
    }

    proptest! {
        #[test]
        fn candidates_stay_bounded(parts in prop::collection::vec(0.0f32..1.0, 1..20), rows in 0.0f64..1e7) {
            let names: Vec<String> = (0..parts.len()).map(|number| format!("word{number}")).collect();
            let common: Vec<(&str, f32)> = names.iter().map(String::as_str).zip(parts.iter().copied()).collect();
            let mut counts = counts(rows, &common);
            counts.common.insert("owner:x".into(), 1.0);
            let plan = plan(&names.join(" "), "owner:x", &counts);
            let expected = |text: &str| plan.words.iter().find(|word| text.contains(&format!("'{}'", word.text))).map_or(0.0, |word| word.expected);
            if let Begin::Words { wide, .. } = &plan.begin {
                let ways = wide.split_once(" & (").map_or("", |(_, ways)| ways);
                let singles: f64 = ways.split(" | ").filter(|way| !way.contains('&')).map(expected).sum();
                prop_assert!(singles <= SINGLES + 1.0);
            }
            prop_assert!(plan.words.len() <= WORDS);
        }
    }
}
