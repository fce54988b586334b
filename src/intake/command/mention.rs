//! Where a text mentions us.

use std::ops::Range;

use crate::markdown;

/// Places of `@handle` and `@handle[bot]` in running text, in order.
pub(super) fn find(text: &str, handle: &str) -> Vec<Range<usize>> {
    if handle.is_empty() || !text.contains('@') {
        return Vec::new();
    }
    let spoken = markdown::segments(text).into_iter().filter(|piece| !piece.muted);
    spoken.flat_map(|piece| in_piece(text, piece.range, handle)).collect()
}

fn in_piece(text: &str, piece: Range<usize>, handle: &str) -> Vec<Range<usize>> {
    let at_signs = text[piece.clone()].match_indices('@').map(|(at, _)| piece.start + at);
    at_signs.filter_map(|at| mention_at(text, at, piece.end, handle)).collect()
}

fn mention_at(text: &str, at: usize, end: usize, handle: &str) -> Option<Range<usize>> {
    let name_end = at + 1 + handle.len();
    if name_end > end || !text.get(at + 1..name_end)?.eq_ignore_ascii_case(handle) {
        return None;
    }
    if !may_stand_before(&text[..at]) {
        return None;
    }
    let after = &text[name_end..];
    // The brackets may be cut into pieces of their own, so they are looked for in the source.
    let bot = after.get(..5).is_some_and(|suffix| suffix.eq_ignore_ascii_case("[bot]"));
    let mention_end = if bot { name_end + 5 } else { name_end };
    may_follow(&text[mention_end..]).then_some(at..mention_end)
}

/// How far back the beginning of a web address is looked for, in bytes.
const LOOK_BACK: usize = 2_000;

/// Not the middle of a word, an address or a link.
fn may_stand_before(before: &str) -> bool {
    let joined = before.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || "_+-/@\\=%`".contains(c));
    let near = &before[before.floor_char_boundary(before.len().saturating_sub(LOOK_BACK))..];
    let token = near.rsplit(char::is_whitespace).next().unwrap_or_default();
    !joined && !token.contains("://")
}

/// The name ends here: it is not a longer one, a team, a domain.
fn may_follow(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        None => true,
        Some(c) if c.is_ascii_alphanumeric() => false,
        Some('_' | '/' | '@' | '\\') => false,
        Some('-' | '.') => {
            let next = after.trim_start_matches(['-', '.']).chars().next();
            !next.is_some_and(|c| c.is_ascii_alphanumeric())
        }
        Some(_) => true,
    }
}
