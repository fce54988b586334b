//! Reads what stands after a mention as a command, if it makes sense as one.

use super::page::Page;
use super::{Account, CodeBlock, Command, Landing, Problem, Word, misspelt};

/// The command that begins at `start`, or none for a request to the agent.
pub(super) fn read(page: &Page<'_>, start: usize) -> Option<Command> {
    let (word, tail) = first_word(page, start)?;
    match Word::find(word) {
        Some(word) => as_command(word, page, tail),
        None => misspelt::read(word, page, tail),
    }
}

/// Reads the rest of the comment, from `tail`, as the arguments of `word`.
pub(super) fn as_command(word: Word, page: &Page<'_>, tail: usize) -> Option<Command> {
    let rest = Rest { page, tail };
    match word {
        Word::Run => run(&rest),
        Word::Review => {
            rest.alone(&["pr", "pull", "request", "changes", "change", "diff", "code", "again"]).then_some(Command::Review)
        }
        Word::Fix => rest.alone(LANDING).then_some(Command::Land { how: Landing::Fix }),
        Word::Pr => rest.alone(LANDING).then_some(Command::Land { how: Landing::Pr }),
        Word::Queue => rest.with_text(word, |text| Command::Queue { text }),
        Word::Stop => rest.stops_here().then_some(Command::Stop),
        Word::Retry => rest.alone(&["again", "last", "request", "run"]).then_some(Command::Retry),
        Word::Undo => rest.alone_for_sure(&["last", "run", "changes", "change", "your"]).then_some(Command::Undo),
        Word::Plan => plan(&rest),
        Word::Approve => approve(&rest),
        Word::Status => rest.alone(&["update", "report", "check"]).then_some(Command::Status),
        Word::Help => rest.alone(&[]).then_some(Command::Help),
        Word::Remember => rest.with_text(word, |text| Command::Remember { text }),
        Word::Forget => forget(&rest),
        Word::Memory => rest.alone(&["show", "your"]).then_some(Command::Memory),
        Word::Model => model(&rest),
        Word::Budget => budget(&rest),
        Word::Link => link(&rest),
        Word::Branch => branch(&rest),
    }
}

const LANDING: &[&str] = &["issue", "bug", "problem", "open", "create", "draft", "a"];

/// Words that add nothing to a command.
const POLITE: [&str; 24] = [
    "please",
    "pls",
    "plz",
    "thanks",
    "thank",
    "thx",
    "ty",
    "you",
    "now",
    "it",
    "this",
    "that",
    "these",
    "them",
    "the",
    "for",
    "me",
    "us",
    "again",
    "ok",
    "okay",
    "cheers",
    "everything",
    "immediately",
];

/// After these a command word is the subject of a sentence: "plan is wrong", "status of the build".
const STATEMENT: [&str; 36] = [
    "is", "are", "was", "were", "has", "have", "had", "does", "do", "did", "doesn't", "isn't", "wasn't", "didn't", "hasn't",
    "won't", "can't", "cannot", "seems", "looks", "should", "would", "will", "can", "could", "might", "must", "of", "in", "on",
    "at", "from", "or", "vs", "not", "works",
];

/// The first word after the mention, past punctuation and a "please", and where the text after it begins.
fn first_word<'a>(page: &'a Page<'_>, start: usize) -> Option<(&'a str, usize)> {
    let (word, end) = word_at(&page.visible, start)?;
    if ["please", "pls", "plz", "kindly"].contains(&word.to_ascii_lowercase().as_str()) {
        word_at(&page.visible, end)
    } else {
        Some((word, end))
    }
}

fn word_at(visible: &str, start: usize) -> Option<(&str, usize)> {
    let after = visible.get(start..)?;
    let opened = after.trim_start_matches(|c: char| c.is_whitespace() || ",:;!.-–—*_`/\"".contains(c));
    let begin = visible.len() - opened.len();
    let length = opened.bytes().take_while(u8::is_ascii_alphabetic).count();
    let after = &opened[length..];
    // "run-time", "status.md", "plan's", "fix/parser", "pr2" are not command words.
    let joined = match after.chars().next() {
        Some('\'' | '’' | '/' | '\\' | '@' | '=' | '(' | '<') => true,
        Some('-' | '_' | '.') => after[1..].starts_with(|c: char| c.is_alphanumeric()),
        Some(c) => c.is_alphanumeric(),
        None => false,
    };
    let tail = after.trim_start_matches(['*', '_', '`', '"']);
    (length > 0 && !joined).then(|| (&opened[..length], begin + length + (after.len() - tail.len())))
}

/// What follows a command word.
struct Rest<'p, 'a> {
    page: &'p Page<'a>,
    tail: usize,
}

impl<'p> Rest<'p, '_> {
    fn visible(&self) -> &'p str {
        self.page.visible.get(self.tail..).unwrap_or_default()
    }

    fn has_code(&self) -> bool {
        self.page.has_code(self.tail..self.page.text.len())
    }

    /// Nothing follows but courtesy and the given words.
    fn alone(&self, fillers: &[&str]) -> bool {
        !self.has_code() && all_filler(self.visible(), fillers)
    }

    /// As [`Self::alone`], and it is not a question: for what is hard to take back.
    fn alone_for_sure(&self, fillers: &[&str]) -> bool {
        self.alone(fillers) && !self.visible().contains('?')
    }

    /// `stop` ends at the first punctuation or line end: whoever wants to stop must not be misread because they give a reason.
    fn stops_here(&self) -> bool {
        let sentence = self.visible().split(['\n', '.', ',', ';', '!', ':', '—', '–', '?']).next().unwrap_or_default();
        all_filler(sentence, &["running", "run", "working", "right", "that", "all"])
    }

    /// The text as written, without punctuation between it and the command word.
    fn text(&self) -> String {
        let text = self.page.text.get(self.tail..).unwrap_or_default();
        text.trim_start_matches(|c: char| c.is_whitespace() || ":,;-–—".contains(c)).trim_end().to_owned()
    }

    fn with_text(&self, word: Word, make: impl FnOnce(String) -> Command) -> Option<Command> {
        let text = self.text();
        if text.chars().all(|c| !c.is_alphanumeric()) {
            return (!text.contains('?')).then_some(Command::Invalid { problem: Problem::NoText { word } });
        }
        let is_question = text.ends_with('?') && word == Word::Remember;
        (!self.is_statement() && !is_question).then(|| make(text))
    }

    fn is_statement(&self) -> bool {
        words(self.visible()).next().is_some_and(|word| STATEMENT.contains(&word.as_str()))
    }

    /// The one word that follows, courtesy aside, as written; empty when nothing follows, none when more does.
    fn only_word(&self) -> Option<String> {
        self.only_word_beside(&["to", "thread"])
    }

    fn only_word_beside(&self, fillers: &[&str]) -> Option<String> {
        if self.has_code() {
            return None;
        }
        let mut given = self.visible().split_whitespace().filter(|word| !all_filler(word, fillers));
        let first = given.next().unwrap_or_default();
        given
            .next()
            .is_none()
            .then(|| first.trim_matches(|c: char| "`*\"'<>,;:!?()".contains(c)).trim_end_matches('.').to_owned())
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let bare =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'"));
    bare.filter(|word| !word.is_empty())
}

fn all_filler(text: &str, fillers: &[&str]) -> bool {
    words(text).all(|word| POLITE.contains(&word.as_str()) || fillers.contains(&word.as_str()))
}

/// `run` with a fence is a command when the words between only point at the fence. "Run the tests, they say:" and a log is a request.
fn run(rest: &Rest<'_, '_>) -> Option<Command> {
    const POINTING: [&str; 24] = [
        "following",
        "code",
        "snippet",
        "snippets",
        "script",
        "scripts",
        "block",
        "blocks",
        "program",
        "below",
        "here",
        "as",
        "is",
        "in",
        "with",
        "using",
        "python",
        "javascript",
        "typescript",
        "js",
        "ts",
        "bash",
        "shell",
        "node",
    ];
    let blocks: Vec<&(usize, CodeBlock)> = rest.page.blocks.iter().filter(|(at, _)| *at >= rest.tail).collect();
    let Some((first, _)) = blocks.first() else {
        return rest.alone(&POINTING).then_some(Command::Invalid { problem: Problem::NoCode });
    };
    let between = rest.page.visible.get(rest.tail..*first).unwrap_or_default();
    let lead: Vec<String> = words(between).take(2).collect();
    let points = match lead.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["this" | "these" | "it" | "them" | "following", ..] => true,
        ["the" | "my", noun] => POINTING.contains(noun),
        _ => false,
    };
    if !points && !all_filler(between, &POINTING) {
        return None;
    }
    let blocks: Vec<CodeBlock> =
        blocks.into_iter().filter(|(_, block)| !block.code.trim().is_empty()).map(|(_, block)| block.clone()).collect();
    let problem = Command::Invalid { problem: Problem::NoCode };
    Some(if blocks.is_empty() { problem } else { Command::Run { blocks } })
}

/// With the digest of what is meant, or alone.
fn approve(rest: &Rest<'_, '_>) -> Option<Command> {
    if rest.alone_for_sure(&["plan", "your"]) {
        return Some(Command::Approve { digest: None });
    }
    let given = rest.only_word()?.to_ascii_lowercase();
    let is_digest = (6..=64).contains(&given.len()) && given.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_digest && given.contains(|c: char| c.is_ascii_digit())).then_some(Command::Approve { digest: Some(given) })
}

fn plan(rest: &Rest<'_, '_>) -> Option<Command> {
    let text = Some(rest.text()).filter(|text| text.contains(|c: char| c.is_alphanumeric())).unwrap_or_default();
    (!rest.is_statement()).then_some(Command::Plan { text })
}

/// "Forget it" is how people say never mind.
fn forget(rest: &Rest<'_, '_>) -> Option<Command> {
    let idiom = words(rest.visible()).next().is_some() && all_filler(rest.visible(), &["about"]);
    if idiom { None } else { rest.with_text(Word::Forget, |text| Command::Forget { text }) }
}

fn model(rest: &Rest<'_, '_>) -> Option<Command> {
    let given = rest.only_word()?;
    match given.parse() {
        Ok(name) if !given.contains("://") => Some(Command::Model { name }),
        _ if given.is_empty() || given.contains(|c: char| c.is_ascii_digit() || "-:/".contains(c)) => {
            Some(Command::Invalid { problem: Problem::NoModel { given } })
        }
        _ => None,
    }
}

fn budget(rest: &Rest<'_, '_>) -> Option<Command> {
    let given: Vec<String> = rest.visible().split_whitespace().map(str::to_lowercase).collect();
    let meant: Vec<&str> = given
        .iter()
        .map(String::as_str)
        .filter(|word| !all_filler(word, &["to", "usd", "dollar", "dollars"]) || *word == "$")
        .collect();
    let (amount, rest_of_it) = match meant.as_slice() {
        [] if rest.has_code() => return None,
        [] => return Some(Command::Invalid { problem: Problem::NoAmount { given: String::new() } }),
        [amount, others @ ..] => (*amount, others),
    };
    let looks_like_money =
        amount.starts_with(|c: char| c.is_ascii_digit() || "$-+.€£".contains(c)) && amount.contains(|c: char| c.is_ascii_digit());
    if !looks_like_money || rest_of_it.iter().any(|word| *word != "$") || rest.has_code() {
        return None;
    }
    let number =
        amount.trim_end_matches(['.', ',', '!', '?', ';']).trim_start_matches('$').trim_end_matches('$').trim_end_matches("usd");
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(usd) if plain && usd.is_finite() && usd > 0.0 => Some(Command::Budget { usd }),
        _ => Some(Command::Invalid { problem: Problem::NoAmount { given: amount.to_owned() } }),
    }
}

fn link(rest: &Rest<'_, '_>) -> Option<Command> {
    if let Some(what) = account(rest) {
        return Some(Command::Account { what });
    }
    let given = rest.only_word()?;
    if is_code(&given) {
        return Some(Command::Account { what: Account::Code(given) });
    }
    if given.eq_ignore_ascii_case("off") {
        return Some(Command::LinkRepository { name: None });
    }
    if is_repository(&given) {
        return Some(Command::LinkRepository { name: Some(given) });
    }
    if is_address(&given) {
        return Some(Command::Link { url: given });
    }
    let tries = given.is_empty() || given.contains(['#', '/', '.']);
    tries.then_some(Command::Invalid { problem: Problem::NoAddress { given } })
}

/// Only with an address: people say "branch off main", and mean git.
fn branch(rest: &Rest<'_, '_>) -> Option<Command> {
    let given = rest.only_word_beside(&["off", "from", "of", "to", "here", "thread", "conversation", "issue", "discussion"])?;
    (is_address(&given) && !rest.visible().trim_end().ends_with('?')).then_some(Command::Branch { url: given })
}

fn is_address(given: &str) -> bool {
    url::Url::parse(given).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// "account", "my account", "account off".
fn account(rest: &Rest<'_, '_>) -> Option<Account> {
    if rest.has_code() || rest.visible().contains('?') {
        return None;
    }
    let meant: Vec<String> = words(rest.visible()).filter(|word| !all_filler(word, &["my", "github", "discord"])).collect();
    match meant.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["account" | "accounts"] => Some(Account::Begin),
        ["account" | "accounts", "off"] => Some(Account::Off),
        _ => None,
    }
}

/// `discord-XXXX-XXXX`.
fn is_code(given: &str) -> bool {
    let parts: Vec<&str> = given.split('-').collect();
    let digits = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    matches!(parts.as_slice(), [word, one, two] if word.eq_ignore_ascii_case("discord") && digits(one) && digits(two))
}

/// `owner/name`.
fn is_repository(given: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= 100 && part.chars().all(plain) && !matches!(part, "." | "..")
    };
    given.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}
