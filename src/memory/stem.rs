//! Stems of English words, after Porter (1980): `migrations` and `migrated` are found by `migrate`. Words of other languages pass
//! through it nearly unharmed. Pure.

/// The stem of a word in lower case. Only words of ASCII letters have one; others are their own.
pub(super) fn stem(word: &str) -> String {
    if word.len() < 3 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let mut word = word.as_bytes().to_vec();
    plurals(&mut word);
    past_and_progressive(&mut word);
    // `retry` and `retries` meet; `deploy` and `deployment` must, too.
    if word.len() > 2 && ends(&word, "y") && !is_vowel(&word, word.len() - 2) {
        replace(&mut word, 1, "i");
    }
    first_match(&mut word, SECOND, 0);
    first_match(&mut word, THIRD, 0);
    fourth(&mut word);
    last_letters(&mut word);
    String::from_utf8(word).unwrap_or_default()
}

const SECOND: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("ization", "ize"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("iveness", "ive"),
    ("biliti", "ble"),
    ("entli", "ent"),
    ("ousli", "ous"),
    ("ation", "ate"),
    ("alism", "al"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("abli", "able"),
    ("alli", "al"),
    ("ator", "ate"),
    ("eli", "e"),
];

const THIRD: &[(&str, &str)] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ness", ""), ("ful", "")];

const FOURTH: [&str; 18] = [
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "al", "er", "ic",
    "ou",
];

fn plurals(word: &mut Vec<u8>) {
    if ends(word, "sses") || ends(word, "ies") {
        word.truncate(word.len() - 2);
    } else if ends(word, "s") && !ends(word, "ss") && !ends(word, "us") {
        word.truncate(word.len() - 1);
    }
}

fn past_and_progressive(word: &mut Vec<u8>) {
    if ends(word, "eed") {
        if measure(&word[..word.len() - 3]) > 0 {
            word.truncate(word.len() - 1);
        }
        return;
    }
    let cut = ["ed", "ing"].into_iter().find(|suffix| ends(word, suffix) && has_vowel(&word[..word.len() - suffix.len()]));
    let Some(suffix) = cut else { return };
    word.truncate(word.len() - suffix.len());
    if ends(word, "at") || ends(word, "bl") || ends(word, "iz") {
        word.push(b'e');
    } else if has_double_consonant(word) && !["l", "s", "z"].iter().any(|last| ends(word, last)) {
        word.pop();
    } else if measure(word) == 1 && ends_short(word) {
        word.push(b'e');
    }
}

fn fourth(word: &mut Vec<u8>) {
    let is_ion = ends(word, "sion") || ends(word, "tion");
    let cut = if is_ion { Some(3) } else { FOURTH.iter().find(|suffix| ends(word, suffix)).map(|suffix| suffix.len()) };
    if let Some(cut) = cut.filter(|cut| measure(&word[..word.len() - cut]) > 1) {
        word.truncate(word.len() - cut);
    }
}

fn last_letters(word: &mut Vec<u8>) {
    if ends(word, "e") {
        let stem = &word[..word.len() - 1];
        let measure = measure(stem);
        if measure > 1 || (measure == 1 && !ends_short(stem)) {
            word.pop();
        }
    }
    if ends(word, "ll") && measure(word) > 1 {
        word.pop();
    }
}

/// Replaces the first suffix of the table that the word ends with, when what stands before it has more than `least` measures.
fn first_match(word: &mut Vec<u8>, table: &[(&str, &str)], least: usize) {
    let found = table.iter().find(|(suffix, _)| ends(word, suffix));
    if let Some((suffix, replacement)) = found.filter(|(suffix, _)| measure(&word[..word.len() - suffix.len()]) > least) {
        replace(word, suffix.len(), replacement);
    }
}

fn replace(word: &mut Vec<u8>, cut: usize, replacement: &str) {
    word.truncate(word.len() - cut);
    word.extend_from_slice(replacement.as_bytes());
}

fn ends(word: &[u8], suffix: &str) -> bool {
    word.ends_with(suffix.as_bytes())
}

fn is_vowel(word: &[u8], at: usize) -> bool {
    match word[at] {
        b'a' | b'e' | b'i' | b'o' | b'u' => true,
        b'y' => at > 0 && !is_vowel(word, at - 1),
        _ => false,
    }
}

fn has_vowel(word: &[u8]) -> bool {
    (0..word.len()).any(|at| is_vowel(word, at))
}

/// How often a vowel is followed by a consonant.
fn measure(word: &[u8]) -> usize {
    let mut count = 0;
    let mut before = false;
    for at in 0..word.len() {
        let vowel = is_vowel(word, at);
        count += usize::from(before && !vowel);
        before = vowel;
    }
    count
}

fn has_double_consonant(word: &[u8]) -> bool {
    let end = word.len();
    end >= 2 && word[end - 1] == word[end - 2] && !is_vowel(word, end - 1)
}

/// Consonant, vowel, consonant, and the last is none of `w`, `x`, `y`.
fn ends_short(word: &[u8]) -> bool {
    let end = word.len();
    end >= 3
        && !is_vowel(word, end - 3)
        && is_vowel(word, end - 2)
        && !is_vowel(word, end - 1)
        && !matches!(word[end - 1], b'w' | b'x' | b'y')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::stem;

    #[test]
    fn forms_of_a_word_share_a_stem() {
        let families: [&[&str]; 10] = [
            &["migrate", "migrates", "migrated", "migrating", "migration", "migrations"],
            &["configure", "configures", "configured", "configuring", "configuration"],
            &["retry", "retries", "retried"],
            &["deploy", "deploys", "deployed", "deploying", "deployment"],
            &["decide", "decides", "decided", "deciding"],
            &["cache", "caches", "cached", "caching"],
            &["run", "runs", "running"],
            &["index", "indexing", "indexed"],
            &["connect", "connection", "connected", "connecting"],
            &["timeout", "timeouts"],
        ];
        for family in families {
            let stems: Vec<String> = family.iter().map(|word| stem(word)).collect();
            assert!(stems.iter().all(|one| *one == stems[0]), "{family:?}: {stems:?}");
        }
        assert_ne!(stem("universal"), stem("universe_x"));
        assert_eq!((stem("status"), stem("größe"), stem("io")), ("status".into(), "größe".into(), "io".into()));
    }

    proptest! {
        #[test]
        fn any_word_has_a_stem_that_is_not_longer_by_more_than_a_letter(word in "[a-z]{0,20}|\\PC{0,10}") {
            let stem = stem(&word);
            prop_assert!(stem.len() <= word.len() + 1 && (word.is_empty() || !stem.is_empty()));
        }
    }
}
