//! Secrets never leave in a text: values we know, tokens by their shape, and random-looking values next to a telling word.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::{Captures, Regex};

use super::disguise::Disguises;
use super::{AnswerView, LiveView, Outcome, Shown};
use crate::secret::{ExposeSecret, Learned, SecretString};

/// What stands where a secret was. As long as the shortest secret, so that a redacted text is never longer.
const REPLACEMENT: &str = "[secret]";

/// Known values shorter than this are not looked for: they would take ordinary words with them.
const SHORTEST: usize = 8;

/// Replaces secrets by `[secret]`.
///
/// Promises: linear time in the text, never a longer text, and redacting twice changes nothing more. Commit hashes and UUIDs stay,
/// unless a telling word (`token=…`) stands before them.
pub struct Redactor {
    settled: Values,
    learned: Learned,
    /// The learned values as they are looked for, and the newest of them when that was made.
    prepared: Mutex<(Option<SecretString>, Arc<Values>)>,
}

/// Known values as they are looked for.
#[derive(Default)]
struct Values {
    forms: Option<Regex>,
    disguises: Option<Disguises>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("knows_values", &self.settled.forms.is_some()).finish()
    }
}

impl Redactor {
    /// Knows these values, also written in Base64, hexadecimal, as part of an address, as part of a JSON string, with gaps, backwards and
    /// in other disguises. Values under eight bytes are ignored. Too many values to search for (megabytes) leave only the shapes.
    pub fn new(known: impl IntoIterator<Item = SecretString>) -> Self {
        Self::with_learned(known, Learned::default())
    }

    /// The same, and whatever is learned later.
    pub fn with_learned(known: impl IntoIterator<Item = SecretString>, learned: Learned) -> Self {
        let known: Vec<SecretString> = known.into_iter().collect();
        Self { settled: Values::new(&known), learned, prepared: Mutex::default() }
    }

    /// The text without secrets; borrowed when there were none.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let shaped = shapes(text);
        match self.removed(&shaped, Values::remove) {
            Cow::Borrowed(_) => shaped,
            // A value that was taken out may have hidden the beginning of a shape.
            Cow::Owned(unknown) => Cow::Owned(shapes(&unknown).into_owned()),
        }
    }

    /// True when it holds a value we know, whatever else it is. What only looks like a secret is not counted: a repository may be about
    /// such things.
    pub fn is_told_by(&self, content: &[u8]) -> bool {
        matches!(self.known(&String::from_utf8_lossy(content)), Cow::Owned(_))
    }

    /// The text without the values we know, in their usual forms; what only looks like a secret stays. For texts that are worked with,
    /// such as files: these are many and long, so disguises are left to what goes out.
    pub fn known<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.removed(text, Values::remove_plain)
    }

    fn removed<'t>(&self, text: &'t str, remove: for<'a> fn(&Values, &'a str) -> Cow<'a, str>) -> Cow<'t, str> {
        let settled = remove(&self.settled, text);
        match remove(&self.learned(), &settled) {
            Cow::Borrowed(_) => settled,
            Cow::Owned(text) => Cow::Owned(text),
        }
    }

    /// The same for every text in a value, names of fields apart.
    pub fn known_in(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.known(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.known_in(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.known_in(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn learned(&self) -> Arc<Values> {
        let newest = self.learned.newest();
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (&prepared.0, &newest) {
            (Some(before), Some(now)) => before.expose_secret() == now.expose_secret(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            *prepared = (newest, Arc::new(Values::new(&self.learned.all())));
        }
        Arc::clone(&prepared.1)
    }

    /// Redacts every text of an answer. To be done before rendering, so that no secret is cut in two, and once more on the body.
    pub fn answer(&self, view: &mut AnswerView) {
        self.apply(&mut view.text);
        for execution in &mut view.executions {
            self.apply(&mut execution.code);
            self.apply(&mut execution.output);
            execution.new_files.iter_mut().for_each(|file| self.apply(file));
        }
        for attached in &mut view.attachments {
            self.apply(&mut attached.name);
            match &mut attached.shown {
                Shown::Text(text) => self.apply(text),
                Shown::Picture | Shown::Link => {}
            }
        }
        if let Some(diff) = &mut view.diff {
            self.apply(diff);
        }
        for landed in &mut view.landed {
            landed.commits.iter_mut().for_each(|commit| self.apply(&mut commit.subject));
            landed.left_out.iter_mut().for_each(|left| self.apply(&mut left.path));
        }
        match &mut view.outcome {
            Outcome::Failed { reason, .. } => self.apply(reason),
            Outcome::NeedsAnswer { question, options } => {
                self.apply(question);
                options.iter_mut().for_each(|option| self.apply(option));
            }
            Outcome::Answered
            | Outcome::NeedsApproval
            | Outcome::Withdrawn { .. }
            | Outcome::Limit { .. }
            | Outcome::Stopped { .. } => {}
        }
    }

    /// Redacts every text of a live comment.
    pub fn live(&self, view: &mut LiveView) {
        view.steps.iter_mut().for_each(|step| self.apply(&mut step.label));
        for text in [&mut view.words, &mut view.printed].into_iter().flatten() {
            self.apply(text);
        }
    }

    fn apply(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.redact(text) {
            *text = redacted;
        }
    }
}

impl Values {
    fn new(known: &[SecretString]) -> Self {
        let mut forms = BTreeSet::new();
        for secret in known {
            add_forms(secret.expose_secret(), &mut forms);
        }
        let mut forms: Vec<String> = forms.into_iter().filter(|form| form.len() >= SHORTEST).collect();
        if forms.is_empty() {
            return Self::default();
        }
        // At one place the longest wins.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let pattern = forms.iter().map(|form| regex::escape(form)).collect::<Vec<_>>().join("|");
        let forms = regex::RegexBuilder::new(&pattern).size_limit(64 << 20).build().ok();
        let values = known.iter().map(ExposeSecret::expose_secret);
        Self { forms, disguises: Some(Disguises::new(values, looks_random)) }
    }

    fn remove_plain<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.forms.as_ref().map_or(Cow::Borrowed(text), |forms| forms.replace_all(text, REPLACEMENT))
    }

    fn remove<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let plain = self.remove_plain(text);
        let spans = self.disguises.as_ref().map(|disguises| disguises.spans(&plain)).unwrap_or_default();
        if spans.is_empty() {
            return plain;
        }
        let edits: Vec<_> = spans.into_iter().map(|span| (span, REPLACEMENT.to_owned())).collect();
        Cow::Owned(crate::markdown::splice(&plain, &edits))
    }
}

/// A value in all the forms it may show up in.
fn add_forms(secret: &str, forms: &mut BTreeSet<String>) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    forms.insert(secret.to_owned());
    forms.insert(hex::encode(secret));
    forms.insert(hex::encode_upper(secret));
    // Base64 of a text that holds the value somewhere: three alignments, without the characters the neighbours share.
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend(secret.as_bytes());
        let whole = bytes.len() / 3 * 4;
        let skip = if shift == 0 { 0 } else { 4 };
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.get(skip..whole).map(str::to_owned));
            if shift == 0 {
                forms.insert(encoded);
            }
        }
    }
    let plus: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    forms.insert(plus.replace('+', "%20"));
    forms.insert(plus);
    let json = serde_json::Value::from(secret).to_string();
    forms.insert(json[1..json.len() - 1].to_owned());
    forms.insert(secret.replace('\n', "\\n"));
    // A line of a key is enough to matter.
    forms.extend(secret.lines().map(str::trim).filter(|line| line.len() >= 32).map(str::to_owned));
}

fn shapes(text: &str) -> Cow<'_, str> {
    let mut text = keys(text);
    for rule in RULES.iter() {
        if let Some(changed) = rule.apply(&text) {
            text = Cow::Owned(changed);
        }
    }
    text
}

/// Decides about a text that has the shape of a secret.
type Check = fn(&str) -> bool;

/// A pattern; its group `s` is the secret, `check` decides about what was found.
struct Rule {
    pattern: Regex,
    check: Check,
}

impl Rule {
    fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(found) = self.pattern.captures_at(text, at) {
            let secret = secret_range(&found)?;
            if (self.check)(&text[secret.clone()]) {
                out.push_str(&text[copied..secret.start]);
                out.push_str(REPLACEMENT);
                copied = secret.end;
                at = secret.end;
            } else {
                // What was refused may end in a telling word, if this rule has one: then it is looked at again, else passed over.
                // Either way the place moves on past what was matched last, which keeps this linear.
                let again = secret.start > found.get(0).map_or(0, |whole| whole.start()) && secret.start > at;
                at = if again { secret.start } else { secret.end };
            }
        }
        (copied > 0).then(|| out + &text[copied..])
    }
}

fn secret_range(found: &Captures<'_>) -> Option<Range<usize>> {
    found.name("s").map(|secret| secret.range())
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let any = |_: &str| true;
    let list: [(&str, Check); 6] = [
        // Tokens whose beginning says what they are.
        (
            r"(?-u:\b)(?P<s>(?:gh[opusr]_[A-Za-z0-9]{20,}(?:[._-][A-Za-z0-9_-]{4,})*|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{18,}|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}|dtn_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{50,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{20,}|tgp_v1_[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|discord-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}(?-u:\b)))",
            any,
        ),
        // Beginnings that words have too: only when the rest looks random.
        (r"(?-u:\b)(?P<s>(?:sk|csk|xai|r8|nvapi|pplx|fw)[-_][A-Za-z0-9_-]{20,})", looks_random),
        // JSON web tokens and Discord bot tokens.
        (
            r"(?-u:\b)(?P<s>eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,})",
            any,
        ),
        (r"(?i)(?-u:\b)(?:bearer|basic|token)[ \t]+(?P<s>[A-Za-z0-9._~+/-]{16,}={0,2})", looks_random),
        // User names and passwords in addresses.
        (
            r"(?i)(?-u:\b)[a-z][a-z0-9+.-]{0,20}://(?P<s>[^\s/@:\[\]<>`]{0,200}:[^\s/@\[\]<>`]{1,500}|[A-Za-z0-9_-]{16,500})@",
            |secret| secret.len() >= SHORTEST,
        ),
        (
            r#"(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key|auth|credentials?)[\\"'`]*[ \t]*(?::=|=>|[:=])[ \t]*[\\"'`]*(?P<s>[A-Za-z0-9+/_.~!@#$%^&*-]{12,}={0,2})"#,
            looks_random,
        ),
    ];
    let compile = |pattern| Regex::new(pattern).expect("the pattern is constant and valid");
    list.into_iter().map(|(pattern, check)| Rule { pattern: compile(pattern), check }).collect()
});

/// Digits and letters mixed, and too varied for a word or a name.
fn looks_random(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    digits >= 2 && letters >= 2 && entropy(value) >= 3.0
}

/// Shannon entropy in bits per byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0usize; 256];
    value.bytes().for_each(|byte| counts[byte as usize] += 1);
    let total = value.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total).map(|share| -share * share.log2()).sum()
}

/// Private keys in PEM, also cut off or with their line ends escaped.
fn keys(text: &str) -> Cow<'_, str> {
    static BEGIN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----").expect("the pattern is constant and valid")
    });
    static BODY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:(?:\s|\\[nr]|[+>|-])*[A-Za-z0-9+/=]{24,})*(?:(?:\\[nr]|\s)*[A-Za-z0-9+/]{1,64}={1,2})?")
            .expect("the pattern is constant and valid")
    });
    let mut out = String::new();
    let mut copied = 0;
    for begin in BEGIN.find_iter(text) {
        if begin.start() < copied {
            continue;
        }
        let rest = &text[begin.end()..];
        let dashes = rest.find("-----").unwrap_or(rest.len());
        let end_line = rest[dashes..].strip_prefix("-----END ").and_then(|end| end.find("-----").filter(|at| *at < 60));
        let length = match end_line {
            Some(at) => dashes + "-----END ".len() + at + "-----".len(),
            None => BODY.find(&rest[..dashes]).map_or(0, |body| body.end()),
        };
        out.push_str(&text[copied..begin.start()]);
        out.push_str(REPLACEMENT);
        copied = begin.end() + length;
    }
    if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[copied..]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::computed;
    use crate::secret::secret;
    use proptest::prelude::*;

    /// Shapes are put together here, so that this file holds nothing a scanner would take for a secret.
    fn random(length: usize) -> String {
        "q7Zp4Xk9Lm2Rt8Vw3Nc6Yb1Hd5Jf0Gs".chars().cycle().take(length).collect()
    }

    fn redacted(text: &str) -> String {
        Redactor::new([]).redact(text).into_owned()
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        for token in [
            format!("ghp_{}", random(36)),
            format!("ghs_{}", random(36)),
            format!("ghs_{}_{}.{}.{}", random(24), random(20), random(40), random(43)),
            format!("github_pat_{}", random(60)),
            format!("sk-{}", random(40)),
            format!("sk-ant-api03-{}", random(60)),
            format!("sk-proj-{}", random(60)),
            format!("AKIA{}", random(16).to_uppercase()),
            format!("AIza{}", random(35)),
            format!("xoxb-{}", random(30)),
            format!("M{}.{}.{}", random(23), random(6), random(38)),
            format!("eyJ{}.eyJ{}.{}", random(20), random(40), random(43)),
            format!("dtn_{}", random(64)),
            format!("gsk_{}", random(50)),
        ] {
            assert_eq!(redacted(&format!("before {token} after")), "before [secret] after", "{token}");
            assert_eq!(redacted(&format!("`{token}`, x=\"{token}\"")), "`[secret]`, x=\"[secret]\"", "{token}");
        }
    }

    #[test]
    fn secrets_are_known_by_what_stands_around_them() {
        let value = random(24);
        for (text, expected) in [
            (format!("Authorization: Bearer {value}"), "Authorization: Bearer [secret]"),
            (format!("password={value}"), "password=[secret]"),
            (format!("\"apiKey\": \"{value}\","), "\"apiKey\": \"[secret]\","),
            (format!("MY_SECRET = '{value}'"), "MY_SECRET = '[secret]'"),
            (format!("{{\\\"token\\\":\\\"{value}\\\"}}"), "{\\\"token\\\":\\\"[secret]\\\"}"),
            (format!("postgres://bot:{value}@db:5432/x"), "postgres://[secret]@db:5432/x"),
            (format!("https://{value}@github.com/o/r"), "https://[secret]@github.com/o/r"),
        ] {
            assert_eq!(redacted(&text), expected);
        }
    }

    #[test]
    fn private_keys_go_whole_or_cut() {
        let line = random(64);
        let (begin, end) = (format!("-----BEGIN RSA {} KEY-----", "PRIVATE"), format!("-----END RSA {} KEY-----", "PRIVATE"));
        assert_eq!(redacted(&format!("a\n{begin}\n{line}\n{line}\nabc=\n{end}\nb")), "a\n[secret]\nb");
        assert_eq!(redacted(&format!("a {begin}\\n{line}\\nabc=\\n{end}\\n b")), "a [secret]\\n b");
        assert_eq!(redacted(&format!("{begin}\n{line}\n{line}\n\nThe next words stay.")), "[secret]\n\nThe next words stay.");
        assert_eq!(redacted(&format!("+{begin}\n+{line}\n+{line}\n+{end}")), "+[secret]");
    }

    #[test]
    fn known_values_are_found_in_every_dress() {
        let value = "p@ss \"wörd\"/+long-enough";
        let redactor = Redactor::new([secret(value), secret("short"), secret("")]);
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let json = serde_json::json!({ "a": value }).to_string();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for text in [value.to_owned(), base64(value), json, encoded, hex::encode(value)] {
            let out = redactor.redact(&text);
            assert!(out.contains(REPLACEMENT), "{text} → {out}");
        }
        for user in ["", "x:", "xy:", "user:"] {
            let out = redactor.redact(&base64(&format!("{user}{value}"))).into_owned();
            assert!(out.contains(REPLACEMENT) && out.len() < 30, "{out}");
        }
        assert_eq!(redactor.redact("a short word"), "a short word");
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "9fceb02d0ae598e95dc970b74767f19372d61af8",
            "commit 9fceb02 fixes 550e8400-e29b-41d4-a716-446655440000",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "let token = next_token_from_stream();",
            "password: please-choose-one",
            "max_tokens=1234567890123456",
            "secret: ${{ secrets.DEPLOY_KEY }}",
            "api_key=os.environ[\"OPENAI_API_KEY\"]",
            "the task-management-of-long-words and sk-learn-style-class-names-here",
            "https://user@example.com/path and mail a@b.c",
            "git@github.com:owner/name.git",
            "the bearer of this very-long-message-to-you",
            "https://example.com/a:b@c",
            "+++ b/src/token.rs",
        ] {
            assert_eq!(redacted(text), text);
            assert!(matches!(Redactor::new([]).redact(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let started = computed();
        for piece in [
            "-----BEGIN PRIVATE KEY-----\n",
            "token=",
            "password=aaaaaaaaaaaaaa",
            "eyJaaaaaaaaa.",
            "https://a:",
            "Bearer ",
            "sk-",
            "sk-a1-",
        ] {
            let text = piece.repeat(100_000 / piece.len());
            let _ = redacted(&text);
        }
        let took = computed() - started;
        assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    }

    proptest! {
        #[test]
        fn twice_changes_nothing_more(
            pieces in proptest::collection::vec(prop_oneof![
                Just("ghp_".to_owned()), Just("sk-".to_owned()), Just("sk-ant-".to_owned()), Just("AKIA".to_owned()), Just("password=".to_owned()), Just("token: ".to_owned()),
                Just("Bearer ".to_owned()), Just("https://".to_owned()), Just("@".to_owned()), Just(":".to_owned()), Just("eyJ".to_owned()), Just(".".to_owned()),
                Just("-----BEGIN PRIVATE KEY-----".to_owned()), Just("-----END PRIVATE KEY-----".to_owned()), Just("\n".to_owned()), Just("knownvalue1".to_owned()),
                Just("secret".to_owned()), Just("[secret]".to_owned()), "[A-Z0-9]{16}", "[A-Za-z0-9_-]{8,40}", "\\PC{0,5}",
            ], 0..20),
        ) {
            let redactor = Redactor::new([secret("knownvalue1"), secret("Zq9otherValue")]);
            let text = pieces.concat();
            let once = redactor.redact(&text).into_owned();
            prop_assert_eq!(redactor.redact(&once).into_owned(), once.clone());
            prop_assert!(once.len() <= text.len());
            prop_assert!(!once.contains("knownvalue1"));
        }

        #[test]
        fn hashes_and_uuids_stay(hash in "[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
            let text = format!("commit {hash} is here");
            prop_assert_eq!(redacted(&text), text);
        }
    }
}
