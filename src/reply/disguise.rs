//! Known secrets in disguise: spelled with gaps, backwards, in other letters or numbers. Pure.
//!
//! A text is looked at without everything that is neither a letter nor a digit, in lower case; so is each form of a secret. What is
//! found that way stands in the text from its first to its last character. This is a second wall: secrets are nowhere a model could
//! read them. What no search can find is a secret that was compressed, encrypted, or given out piece by piece.

use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;

/// Shorter forms would take ordinary words with them.
const SHORTEST: usize = 12;
/// A piece of a random value that is as telling as the whole.
const PIECE: usize = 16;
/// Values up to this length are looked for in pieces, too; longer ones are keys in lines.
const LONGEST_IN_PIECES: usize = 200;

/// Forms of known secrets that are looked for without regard to what stands between their characters.
pub(super) struct Disguises(Option<Regex>);

impl Disguises {
    /// Of these values; `is_random` tells which of their pieces are no words.
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a str>, is_random: fn(&str) -> bool) -> Self {
        let mut forms = BTreeSet::new();
        for value in values {
            add_forms(value.trim(), is_random, &mut forms);
        }
        let mut forms: Vec<String> = forms.into_iter().filter(|form| form.len() >= SHORTEST).collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let pattern = forms.iter().map(String::as_str).collect::<Vec<_>>().join("|");
        let regex = regex::RegexBuilder::new(&pattern).unicode(false).size_limit(64 << 20).build();
        Self(regex.ok().filter(|_| !forms.is_empty()))
    }

    /// Where they stand, in order, not overlapping.
    pub(super) fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let Some(regex) = &self.0 else { return Vec::new() };
        let (bare, places) = bare(text);
        regex.find_iter(&bare).map(|found| places[found.start()]..places[found.end() - 1] + 1).collect()
    }
}

/// Letters and digits in lower case, and the byte each stood at.
fn bare(text: &str) -> (String, Vec<usize>) {
    let kept = text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric());
    let (mut bare, mut places) = (String::new(), Vec::new());
    for (at, byte) in kept {
        bare.push(char::from(byte.to_ascii_lowercase()));
        places.push(at);
    }
    (bare, places)
}

fn add_forms(value: &str, is_random: fn(&str) -> bool, forms: &mut BTreeSet<String>) {
    let plain = bare(value).0;
    if plain.len() < SHORTEST {
        return;
    }
    let backwards: String = value.chars().rev().collect();
    let each = |write: fn(u8) -> String| value.bytes().map(write).collect::<String>();
    let all = [
        value.to_owned(),
        backwards.clone(),
        rotated(value),
        hex::encode(value),
        hex::encode(&backwards),
        each(|byte| format!("x{byte:02x}")),
        each(|byte| format!("0x{byte:02x}")),
        each(|byte| format!("u{byte:04x}")),
        each(|byte| byte.to_string()),
        each(|byte| format!("{byte:03o}")),
        each(|byte| format!("{byte:08b}")),
        base32(value.as_bytes()),
        STANDARD_NO_PAD.encode(&backwards),
        STANDARD_NO_PAD.encode(hex::encode(value)),
        STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(value)),
        STANDARD_NO_PAD.encode(base64::engine::general_purpose::STANDARD.encode(value)),
        STANDARD_NO_PAD.encode(value),
        STANDARD_NO_PAD.encode(value).chars().rev().collect(),
    ];
    forms.extend(all.iter().map(|form| bare(form).0));
    // The last characters of an encoding depend on what follows.
    forms.extend(all[12..].iter().filter_map(|form| form.get(..form.len().saturating_sub(2)).map(|form| bare(form).0)));
    if value.len() <= LONGEST_IN_PIECES {
        for start in 0..(value.len() + 1).saturating_sub(PIECE) {
            let piece = value.get(start..start + PIECE);
            forms.extend(piece.filter(|piece| is_random(piece)).map(|piece| bare(piece).0).filter(|piece| piece.len() == PIECE));
        }
    }
}

/// Each letter thirteen places on.
fn rotated(text: &str) -> String {
    let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    let one = |c: char| match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        other => other,
    };
    text.chars().map(one).collect()
}

fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |five: &[u8]| five.iter().chain([0; 4].iter()).take(5).fold(0usize, |digit, bit| digit << 1 | usize::from(*bit));
    bits.chunks(5).map(|five| char::from(LETTERS[digit(five)])).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VALUE: &str = "sk-q7Zp4Xk9Lm2Rt8Vw3Nc6Yb1";

    fn found(text: &str) -> bool {
        !Disguises::new([VALUE].into_iter(), |piece| piece.bytes().any(|byte| byte.is_ascii_digit())).spans(text).is_empty()
    }

    #[test]
    fn a_value_is_found_however_it_is_spelled() {
        let spaced = |separator: &str| VALUE.chars().map(String::from).collect::<Vec<_>>().join(separator);
        let each = |write: fn(u8) -> String, separator: &str| VALUE.bytes().map(write).collect::<Vec<_>>().join(separator);
        for disguised in [
            spaced(" "),
            spaced("\u{200b}"),
            spaced("\n- "),
            VALUE.to_uppercase(),
            VALUE.chars().rev().collect(),
            rotated(VALUE),
            each(|byte| format!("{byte:02X}"), ":"),
            each(|byte| format!("%{byte:02x}"), ""),
            each(|byte| format!("\\x{byte:02x}"), ""),
            each(|byte| format!("0x{byte:02x}"), ", "),
            each(|byte| format!("\\u{byte:04x}"), ""),
            each(|byte| format!("&#{byte};"), ""),
            each(|byte| format!("&#x{byte:x};"), ""),
            each(|byte| byte.to_string(), ", "),
            each(|byte| format!("{byte:08b}"), " "),
            base32(VALUE.as_bytes()),
            STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(VALUE)),
            STANDARD_NO_PAD.encode(hex::encode(VALUE)),
            format!("first {} then the rest", &VALUE[..20]),
        ] {
            assert!(found(&format!("before {disguised} after")), "{disguised}");
        }
        assert!(!found("an ordinary text with words, numbers 1 2 3 and a hash 9fceb02d0ae598e95dc970b74767f19372d61af8"));
    }

    #[test]
    fn base32_is_as_published() {
        assert_eq!(base32(b"foobar"), "MZXW6YTBOI");
        assert_eq!(base32(b"fo"), "MZXQ");
    }

    #[test]
    fn the_place_is_that_of_the_original() {
        let text = format!("ü {} ü", VALUE.chars().map(String::from).collect::<Vec<_>>().join("·"));
        let spans = Disguises::new([VALUE].into_iter(), |_| false).spans(&text);
        assert_eq!(spans.len(), 1);
        assert!(text[spans[0].clone()].starts_with('s') && text[spans[0].clone()].ends_with('1'));
    }
}
