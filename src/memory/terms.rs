//! Terms: what a text is found by. Words by their stem, and code as people write it about: identifiers, paths, error codes, versions,
//! hashes and issue numbers, each as a whole and in its parts. Pure and deterministic.

use std::collections::HashSet;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::stem::stem;

/// Terms of one text; what comes after is left out.
const MOST: usize = 4_000;
/// Characters of a term; of a longer one this much counts.
const LONGEST: usize = 64;
/// Names that are tried for the words of a question.
const JOINED: usize = 24;
/// Characters people quote of a commit hash.
const ABBREVIATED: usize = 7;

/// What a term is, which says how much it means that a text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word of a sentence, by its stem.
    Word,
    /// A part of something written in one piece, such as `config` of `parse_config`.
    Part,
    /// A name, path, code, version, hash or number as a whole: whoever writes it means exactly this.
    Exact,
    /// What neighbouring words of a question would be as one name: see [`joined`]. No text is split into these.
    Joined,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// In lower case; letters, digits and `_ - . / # + @`, never a colon, which marks the terms of a scope.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// The terms of a text in the order they are met, at most a few thousand. Words that every text has are left out. Linear in the text.
pub fn split(text: &str) -> Vec<Term> {
    let mut found = Found::default();
    for token in tokens(text) {
        if found.terms.len() >= MOST {
            break;
        }
        found.token(token);
    }
    found.terms.truncate(MOST);
    found.terms
}

/// The term that all pieces of an owner share. No text has it.
pub fn of_owner(owner: &str) -> String {
    format!("owner:{owner}")
}

/// The term that all pieces of a conversation share. No text has it.
pub fn of_thread(thread: crate::id::ThreadId) -> String {
    format!("thread:{thread}")
}

/// The names that neighbouring words of a question would be as one: who asks for "parse config" may mean `parse_config`. Of two to four
/// words, each once, at most 24; most are no name. Behind its first word a name may have small ones, such as `wait_for_lock`; those come last.
pub fn joined(question: &str) -> Vec<String> {
    let words: Vec<String> = tokens(question).map(str::to_lowercase).collect();
    let is_small = |word: &String| STOP_WORDS.contains(word.as_str());
    let may_stand_in_a_name = |word: &String| {
        let is_plain = word.chars().all(|c| c.is_alphanumeric() && !is_unspaced(c));
        is_plain && (!is_small(word) || IN_NAMES.contains(&word.as_str()))
    };
    let runs = words.split(|word| !may_stand_in_a_name(word));
    let names = runs.flat_map(|run| (2..=4).flat_map(move |length| run.windows(length)));
    let names = names.filter(|words| words.first().is_some_and(|first| !is_small(first)));
    let (of_words, with_small): (Vec<&[String]>, Vec<&[String]>) = names.partition(|words| !words.iter().any(is_small));
    let mut seen = HashSet::new();
    let names = of_words.into_iter().chain(with_small).map(|words| words.concat());
    names.filter(|name| name.chars().count() <= LONGEST && seen.insert(name.clone())).take(JOINED).collect()
}

/// The terms of who said something and when, which are seldom in the text and often in the question: "what did ada say", "in March". The
/// name as people write it, the month's, the year, and both as `2026-03`.
pub fn of_saying(author: Option<&str>, said_at: DateTime<Utc>) -> Vec<Term> {
    let mut terms = split(author.unwrap_or_default());
    terms.extend(split(&said_at.format("%B").to_string()));
    for (format, kind) in [("%Y", Kind::Part), ("%Y-%m", Kind::Exact)] {
        terms.push(Term { text: said_at.format(format).to_string(), kind });
    }
    terms
}

/// Terms as the text of a Postgres `tsvector`, each once.
pub fn vector<'a>(terms: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    let unique = terms.into_iter().filter(|term| !term.is_empty() && seen.insert(*term));
    unique.map(quoted).collect::<Vec<_>>().join(" ")
}

/// A term as it stands in the text of a `tsvector` or a `tsquery`.
pub fn quoted(term: &str) -> String {
    format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"))
}

/// Runs of characters that may be one thing: letters, digits, and what joins them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || is_mark(c) || matches!(c, '_' | '-' | '.' | '/' | '\\' | '#' | '+' | '@')))
        .map(|token| token.trim_matches(|c: char| matches!(c, '-' | '.' | '@' | '\\') || (c == '/')))
        .filter(|token| token.chars().any(char::is_alphanumeric))
}

/// Combining marks belong to the letter before them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{64b}'..='\u{652}' | '\u{93a}'..='\u{94d}' | '\u{e31}'..='\u{e3a}')
}

#[derive(Default)]
struct Found {
    terms: Vec<Term>,
}

impl Found {
    fn push(&mut self, text: &str, kind: Kind) {
        let text: String = text.chars().take(LONGEST).collect();
        let repeats = self.terms.last().is_some_and(|last| last.text == text);
        if !text.is_empty() && !repeats {
            self.terms.push(Term { text, kind });
        }
    }

    /// One run of characters: a path with segments, or a single thing.
    fn token(&mut self, token: &str) {
        let token = token.trim_start_matches("./");
        if token.contains(['/', '\\']) {
            let path = token.replace('\\', "/").to_lowercase();
            self.push(path.trim_end_matches('/'), Kind::Exact);
            for segment in token.split(['/', '\\']).filter(|segment| !segment.is_empty()) {
                self.segment(segment, Kind::Part);
            }
        } else {
            self.segment(token, Kind::Word);
        }
    }

    /// What holds no slash. `kind` is what a plain word is here.
    fn segment(&mut self, segment: &str, kind: Kind) {
        if let Some((name, number)) = segment.rsplit_once('#').filter(|(_, number)| is_number(number)) {
            self.push(&format!("#{number}"), Kind::Exact);
            self.push(number, Kind::Part);
            if !name.is_empty() {
                self.segment(name.trim_end_matches('#'), Kind::Part);
            }
            return;
        }
        let segment = segment.trim_matches(|c: char| matches!(c, '#' | '@' | '.' | '-' | '+')).trim_end_matches('_');
        if let Some(version) = version(segment) {
            self.push(version, Kind::Exact);
            return;
        }
        let lower = segment.to_lowercase();
        if is_hash(&lower) {
            self.push(&lower, Kind::Exact);
            self.push(&lower[..ABBREVIATED], Kind::Exact);
            return;
        }
        let parts = parts(segment);
        match parts.as_slice() {
            [] => {}
            [one] if one.len() == segment.len() => self.plain(&lower, kind),
            parts => {
                self.push(&bare(&lower), Kind::Exact);
                for part in parts {
                    self.plain(&part.to_lowercase(), Kind::Part);
                }
            }
        }
    }

    /// A piece without any joints.
    fn plain(&mut self, word: &str, kind: Kind) {
        if word.chars().any(is_unspaced) {
            self.unspaced(word, kind);
        } else if word.chars().any(|c| c.is_ascii_digit()) {
            // `404`, `E0277`, `utf8`: a digit makes it a name.
            self.push(word, if kind == Kind::Word { Kind::Exact } else { kind });
        } else if !STOP_WORDS.contains(word) && (word.chars().count() > 1) {
            self.push(&stem(word), kind);
        }
    }

    /// Scripts that put no space between words are found by pairs of characters.
    fn unspaced(&mut self, word: &str, kind: Kind) {
        let chars: Vec<char> = word.chars().collect();
        for run in chars.chunk_by(|one, other| is_unspaced(*one) == is_unspaced(*other)) {
            match run {
                [only] => self.push(&only.to_string(), kind),
                run if is_unspaced(run[0]) => {
                    for pair in run.windows(2) {
                        self.push(&pair.iter().collect::<String>(), kind);
                    }
                }
                run => self.push(&run.iter().collect::<String>(), kind),
            }
            if self.terms.len() >= MOST {
                return;
            }
        }
    }
}

/// A name without what joins its parts: `parse_config`, `parseConfig` and `PARSE-CONFIG` are one name.
fn bare(lower: &str) -> String {
    lower.replace(['_', '-'], "")
}

/// The parts of a name, at `_ - . + @ #` and where the case changes: `parseHTTPConfig2` is `parse`, `HTTP`, `Config2`.
fn parts(segment: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in segment.split(['_', '-', '.', '+', '@', '#']).filter(|piece| !piece.is_empty()) {
        let mut start = 0;
        let chars: Vec<(usize, char)> = piece.char_indices().collect();
        for at in 1..chars.len() {
            let (before, (here, now)) = (chars[at - 1].1, chars[at]);
            let next = chars.get(at + 1).map(|(_, c)| *c);
            let rises = before.is_lowercase() && now.is_uppercase();
            let falls = before.is_uppercase() && now.is_uppercase() && next.is_some_and(char::is_lowercase);
            if rises || falls {
                parts.push(&piece[start..here]);
                start = here;
            }
        }
        parts.push(&piece[start..]);
        if parts.len() > LONGEST {
            break;
        }
    }
    parts
}

/// `1.2.3` of `v1.2.3`, `1.2.3-rc.1`: what begins with two numbers and a dot.
fn version(segment: &str) -> Option<&str> {
    let bare = segment.strip_prefix(['v', 'V']).unwrap_or(segment);
    let (major, rest) = bare.split_once('.')?;
    let minor = rest.split(['.', '-', '+', '_']).next()?;
    (is_number(major) && is_number(minor) && bare.len() <= 40 && bare.is_ascii()).then_some(bare)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// At least seven hexadecimal digits, some of each sort.
fn is_hash(lower: &str) -> bool {
    (ABBREVIATED..=64).contains(&lower.len())
        && lower.bytes().all(|byte| byte.is_ascii_hexdigit())
        && lower.bytes().any(|byte| byte.is_ascii_digit())
        && lower.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Han, kana, Thai and their like. Hangul is written with spaces, but with endings that differ.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Of the words that say nothing those that people put into names.
const IN_NAMES: [&str; 26] = [
    "after", "again", "all", "and", "as", "at", "before", "by", "down", "each", "for", "from", "has", "if", "in", "into", "not",
    "of", "off", "on", "once", "only", "or", "out", "to", "with",
];

/// Words that say nothing about what a text is about.
static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "a about after again all also am an and any are aren as at be because been before being but by can cannot could couldn d did didn \
     do does doesn doing don down during each else etc even few for from further get got had hadn has hasn have haven having he her \
     here hers him his how however i if in into is isn it its itself just let like ll m may maybe me might mine more most much must my \
     myself no nor not now of off ok okay on once only or other our ours out over own please quite rather re really s same shall she \
     should shouldn so some still such t than thank thanks that the their theirs them then there these they thing things this those \
     through to too under until up upon us ve very want was wasn we were weren what when where whether which while who whom whose why \
     will with won would wouldn yes yet you your yours yourself"
        .split_whitespace()
        .collect()
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::computed;

    fn texts(text: &str) -> Vec<String> {
        split(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn code_is_found_whole_and_in_parts() {
        assert_eq!(texts("parseConfigFile"), ["parseconfigfile", "pars", "config", "file"]);
        assert_eq!(texts("parse_config_file()"), ["parseconfigfile", "pars", "config", "file"]);
        assert_eq!(texts("`HTTPServerError`"), ["httpservererror", "http", "server", "error"]);
        assert_eq!(texts("src/memory/terms.rs:12"), ["src/memory/terms.rs", "src", "memori", "terms.rs", "term", "rs", "12"]);
        assert_eq!(texts("error[E0277]: SQLITE_BUSY, 404"), ["error", "e0277", "sqlitebusy", "sqlite", "busi", "404"]);
        assert_eq!(texts("v1.2.3 and 1.2.3-rc.1"), ["1.2.3", "1.2.3-rc.1"]);
        assert_eq!(texts("Fixed in 4A00a0d76bbe, see #42"), ["fix", "4a00a0d76bbe", "4a00a0d", "see", "#42", "42"]);
        assert_eq!(texts("acme/tools#7"), ["acme/tools#7", "acm", "#7", "7", "tool"]);
        assert_eq!(texts("--max-retries=3 std::io::Error"), ["maxretries", "max", "retri", "3", "std", "io", "error"]);
    }

    #[test]
    fn a_query_and_a_text_meet_in_other_forms() {
        let text = texts("We decided that migrations are run by `threadbox migrate`, never at start.");
        for word in ["migration", "deciding", "running", "Threadbox"] {
            assert!(text.contains(&texts(word)[0]), "{word} is not in {text:?}");
        }
        assert_eq!(texts("the and of it is that they don't"), Vec::<String>::new());
    }

    #[test]
    fn all_scripts_have_terms() {
        assert_eq!(texts("Größe ändern, café"), ["größe", "ändern", "café"]);
        assert_eq!(texts("数据库连接"), ["数据", "据库", "库连", "连接"]);
        assert_eq!(texts("Postgresを使う"), ["postgres", "を使", "使う"]);
        assert_eq!(texts("База данных"), ["база", "данных"]);
        assert_eq!(texts("🚀🎉 ship it 👩‍👩‍👧"), ["ship"]);
    }

    #[test]
    fn junk_is_bounded() {
        let start = computed();
        for junk in [
            "a".repeat(1 << 20),
            "a_".repeat(1 << 19),
            "aB".repeat(1 << 19),
            "数".repeat(1 << 18),
            "/x".repeat(1 << 19),
            "\u{301}é#1 ".repeat(1 << 17),
        ] {
            let terms = split(&junk);
            assert!(terms.len() <= MOST && terms.iter().all(|term| term.text.chars().count() <= LONGEST));
        }
        let took = computed() - start;
        assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn words_of_a_question_may_be_one_name() {
        assert_eq!(joined("Where is parse config file?"), ["parseconfig", "configfile", "parseconfigfile"]);
        assert_eq!(joined("the retry_limit of it"), Vec::<String>::new());
        assert_eq!(joined("does it wait for lock"), ["waitfor", "waitforlock"]);
        assert_eq!(joined("parse manifest once"), ["parsemanifest", "manifestonce", "parsemanifestonce"]);
        assert!(texts("PARSE_CONFIG_FILE").contains(&joined("parse config file")[2]));
        assert_eq!(joined(&"many words ".repeat(1_000)).len(), 6);
        assert!(joined("a1 b1 c1 d1 e1 f1 g1 h1 i1 j1 k1 l1 m1 n1 o1 p1").len() <= JOINED);
    }

    #[test]
    fn who_said_it_and_when_are_found_as_people_ask_for_them() {
        let at: DateTime<Utc> = "2026-03-14T10:00:00Z".parse().unwrap_or_default();
        let terms: Vec<String> = of_saying(Some("ada-lovelace"), at).into_iter().map(|term| term.text).collect();
        assert_eq!(terms, ["adalovelace", "ada", "lovelac", "march", "2026", "2026-03"]);
        for question in ["what did @ada-lovelace say", "Ada?", "in March 2026", "since 2026-03"] {
            assert!(texts(question).iter().any(|term| terms.contains(term)), "{question}");
        }
        assert_eq!(of_saying(None, at).len(), 3);
    }

    #[test]
    fn terms_of_a_scope_cannot_be_written() {
        let owner = of_owner("github:42");
        assert!(!texts(&format!("{owner} 'owner:github:42' owner:github:42")).contains(&owner));
        assert_eq!(vector(["it's", "a\\b", "a\\b"]), r"'it''s' 'a\\b'");
    }

    proptest! {
        #[test]
        fn any_text_has_storable_terms(text in "(\\PC|[\\x00-\\x7f]){0,300}") {
            let terms = split(&text);
            prop_assert_eq!(&terms, &split(&text));
            for term in terms {
                prop_assert!(!term.text.is_empty() && !term.text.contains([':', '\'', ' ', '\0', '\\']), "{:?}", term);
            }
        }
    }
}
