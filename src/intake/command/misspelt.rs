//! Words that are nearly a command. Asking back costs a comment; guessing wrong costs a run.

use super::page::Page;
use super::{Command, Word, read};

/// Everyday words that are close to a command and mean what they say.
const ORDINARY: [&str; 70] = [
    "step", "steps", "shop", "top", "spot", "ran", "fun", "sun", "rub", "rum", "gun", "rung", "runs", "mix", "six", "fit", "fig",
    "fax", "or", "pro", "per", "line", "link", "links", "like", "lint", "ink", "think", "pink", "play", "plain", "plane",
    "plant", "place", "pan", "plans", "planned", "entry", "under", "until", "statue", "stats", "state", "held", "hello", "hell",
    "helps", "whelp", "kelp", "mode", "modal", "models", "modern", "preview", "improve", "forgot", "forge", "forged", "memo",
    "queen", "queues", "nudge", "bench", "bunch", "brunch", "branches", "branched", "french", "wrench", "crunch",
];

/// Other words for the same thing.
const SYNONYMS: [(&str, Word); 14] = [
    ("cancel", Word::Stop),
    ("abort", Word::Stop),
    ("halt", Word::Stop),
    ("rerun", Word::Retry),
    ("redo", Word::Retry),
    ("revert", Word::Undo),
    ("rollback", Word::Undo),
    ("commands", Word::Help),
    ("usage", Word::Help),
    ("accept", Word::Approve),
    ("lgtm", Word::Approve),
    ("execute", Word::Run),
    ("enqueue", Word::Queue),
    ("merge", Word::Pr),
];

/// A misspelt command, when the rest of the comment would make sense as that command.
pub(super) fn read(word: &str, page: &Page<'_>, tail: usize) -> Option<Command> {
    let lower = word.to_ascii_lowercase();
    let suggestion = suggest(&lower)?;
    let fits = match read::as_command(suggestion, page, tail) {
        None => false,
        Some(Command::Plan { text }) => text.is_empty(),
        // These take any text, so only a word that is no other word may stand for them.
        Some(Command::Queue { .. } | Command::Remember { .. } | Command::Forget { .. }) => {
            lower.len() >= 5 && !is_inflected(&lower, suggestion)
        }
        Some(_) => true,
    };
    fits.then(|| Command::Misspelt { word: word.to_owned(), suggestion })
}

fn suggest(word: &str) -> Option<Word> {
    if ORDINARY.contains(&word) {
        return None;
    }
    if let Some((_, meant)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == word) {
        return Some(*meant);
    }
    let near = Word::ALL.iter().copied().map(|known| (strsim::osa_distance(word, known.as_str()), known));
    let (distance, nearest) = near.min_by_key(|(distance, _)| *distance)?;
    let allowed = match nearest.as_str().len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    (word.len() >= 3 && distance <= allowed).then_some(nearest)
}

/// "remembered", "queues": the word in another form, used in a sentence.
fn is_inflected(word: &str, command: Word) -> bool {
    word.starts_with(command.as_str())
}
