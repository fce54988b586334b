//! `remember`, `forget` and `memory`: people keep things in mind, take them back, and see what is kept.
//!
//! A message does its change once: its id names the change, and its lines carry it.

use std::sync::LazyLock;

use regex::Regex;

use super::dispatch::tell;
use super::store::{Claimed, Verdict};
use crate::jobs::Services;
use crate::jobs::house::House;
use crate::jobs::memory::branch;
use crate::jobs::memory::working::{self, Kept};
use crate::memory::working::change::{self, Wish};
use crate::memory::working::code::{self, Now};
use crate::memory::working::store::{self, By, Updated};
use crate::memory::working::{Line, Template, Whose, WorkingMemory, markdown};
use crate::memory::{Options, Reach, Working};
use crate::reply::{Card, Listing, MemoryCard, PostError, ShownLine};

/// What people say to remember stands here, unless they say where it belongs.
const SECTION: &str = "Remembered";
/// Lines that are forgotten at once.
const MOST_AT_ONCE: usize = 50;

/// Keeps what they say, for the whole repository unless they say `here:` or the repository keeps its conversations apart.
pub(super) async fn remember(services: &Services, claimed: &Claimed, house: &House, text: &str) -> Result<Verdict, PostError> {
    let options = house.memory();
    if options.working == Working::Off {
        return say(services, claimed, MemoryCard::Off).await;
    }
    let (reach, text) = match here(text) {
        Some(text) => (Reach::Thread, text),
        None => (options.scope, text),
    };
    let template = Template::of(options.template.as_deref());
    let wish = Wish::Add { section: SECTION, text: text.to_owned() };
    let sought = markdown::parse_under(text, &template, SECTION);
    if sought.is_empty() {
        let why = "There was nothing in it that I could keep: say it in words.".to_owned();
        return say(services, claimed, MemoryCard::Unfit { why }).await;
    }
    let source = working::source(claimed.message, &claimed.request, false);
    let change = claimed.message.to_string();
    let by = By { key: &change, lease: None };
    let made = working::make(services, &claimed.request, &whose(claimed, reach), by, &wish, &template, &source).await?;
    let shown = |lines: Vec<&Line>| -> Vec<ShownLine> { lines.into_iter().map(|line| show(reach, line, None)).collect() };
    let added = |memory: &WorkingMemory| {
        shown(memory.lines.iter().filter(|line| line.source.message == claimed.message && !line.source.noted).collect())
    };
    let (handle, everywhere) = (services.settings.name.clone(), reach == Reach::Owner);
    let card = match made {
        Updated::Done { before, after } if before.numbered == after.numbered => {
            let had = after.lines.iter().filter(|line| sought.iter().any(|draft| draft.text == line.text)).collect();
            MemoryCard::Had { handle, lines: shown(had) }
        }
        Updated::Done { after, .. } | Updated::Already(after) => MemoryCard::Kept { handle, lines: added(&after), everywhere },
        Updated::Refused(why) => MemoryCard::Unfit { why: why.to_string() },
        Updated::LeaseLost => MemoryCard::Unfit { why: "Try again.".to_owned() },
    };
    say(services, claimed, card).await
}

/// What follows `here:`.
fn here(text: &str) -> Option<&str> {
    static HERE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)^(?:only )?here(?: only)?\s*:\s*").expect("the pattern is constant and valid"));
    let rest = &text[HERE.find(text)?.end()..];
    rest.contains(char::is_alphanumeric).then_some(rest)
}

fn whose(claimed: &Claimed, reach: Reach) -> Whose {
    match reach {
        Reach::Thread => Whose::Thread(claimed.thread),
        Reach::Owner => Whose::Owner(claimed.request.place.owner()),
    }
}

/// Drops lines: those with the numbers they name, or the one that has their words. Whoever may ask here may drop what others said.
pub(super) async fn forget(services: &Services, claimed: &Claimed, house: &House, text: &str) -> Result<Verdict, PostError> {
    // What is kept for all conversations can be forgotten even where runs are not shown it.
    let kept = everything(services, claimed).await?;
    let change = claimed.message.to_string();
    let (of_thread, of_owner) = (whose(claimed, Reach::Thread), whose(claimed, Reach::Owner));
    let was_done = store::is_applied(&services.pool, [&of_thread, &of_owner], &change).await?;
    let handle = services.settings.name.clone();
    let (picked, missing) = match numbers(text) {
        Some(labels) => by_number(&kept, &labels),
        // A change that was made is not looked for again: other lines have these words by now.
        None if was_done => (Vec::new(), Vec::new()),
        None => match by_words(&kept, text, &Template::of(house.memory().template.as_deref())) {
            Found::One(line) => (vec![line], Vec::new()),
            Found::None => (Vec::new(), Vec::new()),
            Found::Several(lines) => {
                let now = working::files_for(services, &claimed.request, &kept).await;
                let lines = lines.into_iter().map(|(reach, line)| show(reach, line, Some(&now))).collect();
                return say(services, claimed, MemoryCard::Which { handle, lines }).await;
            }
        },
    };
    if picked.is_empty() && !was_done {
        return say(services, claimed, MemoryCard::NotThere { handle, numbers: missing }).await;
    }
    let by = By { key: &change, lease: None };
    for (reach, whose) in [(Reach::Thread, &of_thread), (Reach::Owner, &of_owner)] {
        let numbers: Vec<i32> = picked.iter().filter(|(of, _)| *of == reach).map(|(_, line)| line.number).collect();
        if !numbers.is_empty() {
            drop_lines(services, whose, by, &numbers).await?;
        }
    }
    let lines = picked.into_iter().map(|(reach, line)| show(reach, line, None)).collect();
    say(services, claimed, MemoryCard::Forgotten { lines }).await
}

async fn drop_lines(services: &Services, whose: &Whose, by: By<'_>, numbers: &[i32]) -> Result<(), sqlx::Error> {
    let keep = |current: &WorkingMemory| Ok::<_, change::Refused>(change::without(current, numbers));
    store::update(&services.pool, whose, by, services.clock.now(), keep).await?;
    Ok(())
}

/// All that is kept, also what runs are not shown.
async fn everything(services: &Services, claimed: &Claimed) -> Result<Kept, sqlx::Error> {
    let owner = claimed.request.place.owner();
    branch::keep_border(services, claimed.thread, &owner).await?;
    working::kept(services, claimed.thread, &owner, &Options::default()).await
}

/// The numbers they name; none when they name no lines.
fn numbers(text: &str) -> Option<Vec<(Reach, i32)>> {
    static LIST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^(?:the\s+)?(?:lines?|numbers?|no\.?)?\s*#?t?\d{1,6}(?:(?:\s*(?:,|and|&)\s*|\s+)+#?t?\d{1,6})*\s*[.!]*(?:\s*(?:please|thanks))?\s*[.!]*$")
            .expect("the pattern is constant and valid")
    });
    static ONE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)(t?)(\d{1,6})").expect("the pattern is constant and valid"));
    let text = text.trim();
    if !LIST.is_match(text) {
        return None;
    }
    let one = |found: regex::Captures<'_>| {
        let reach = if found[1].is_empty() { Reach::Owner } else { Reach::Thread };
        Some((reach, found[2].parse().ok()?))
    };
    Some(ONE.captures_iter(text).filter_map(one).take(MOST_AT_ONCE).collect())
}

type Picked<'k> = Vec<(Reach, &'k Line)>;

/// The lines, and the labels there is no line for.
fn by_number<'k>(kept: &'k Kept, labels: &[(Reach, i32)]) -> (Picked<'k>, Vec<String>) {
    let (mut picked, mut missing): (Picked<'k>, Vec<String>) = (Vec::new(), Vec::new());
    for (reach, number) in labels {
        match all(kept).find(|(of, line)| of == reach && line.number == *number) {
            Some(found) if picked.contains(&found) => {}
            Some(found) => picked.push(found),
            None => missing.push(Whose::label(*reach, *number)),
        }
    }
    (picked, missing)
}

enum Found<'k> {
    None,
    One((Reach, &'k Line)),
    Several(Picked<'k>),
}

/// The line that says exactly that; else the one that has all of the words.
fn by_words<'k>(kept: &'k Kept, text: &str, template: &Template) -> Found<'k> {
    let plain = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let drafts = markdown::parse_under(text, template, SECTION);
    let sought: Vec<String> = drafts.iter().flat_map(|draft| plain(&draft.text)).collect();
    if sought.is_empty() {
        return Found::None;
    }
    let exact: Picked<'k> = all(kept).filter(|(_, line)| plain(&line.text) == sought).collect();
    let holds = |line: &Line| {
        let words = plain(&line.text);
        sought.iter().all(|word| words.contains(word))
    };
    let found: Picked<'k> = if exact.is_empty() { all(kept).filter(|(_, line)| holds(line)).collect() } else { exact };
    match found.as_slice() {
        [] => Found::None,
        [one] => Found::One(*one),
        _ => Found::Several(found),
    }
}

fn all(kept: &Kept) -> impl Iterator<Item = (Reach, &Line)> {
    let owner = kept.owner.lines.iter().map(|line| (Reach::Owner, line));
    owner.chain(kept.thread.lines.iter().map(|line| (Reach::Thread, line)))
}

/// Shows what is kept.
pub(super) async fn memory(services: &Services, claimed: &Claimed, house: &House) -> Result<Verdict, PostError> {
    let options = house.memory();
    let kept = everything(services, claimed).await?;
    let owner = claimed.request.place.owner();
    let (now, beside) = tokio::join!(
        working::files_for(services, &claimed.request, &kept),
        store::beside(&services.pool, claimed.thread, &owner)
    );
    let beside = beside?;
    let lines = |reach, memory: &WorkingMemory| memory.lines.iter().map(|line| show(reach, line, Some(&now))).collect();
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let listing = Listing {
        handle: services.settings.name.clone(),
        everywhere: lines(Reach::Owner, &kept.owner),
        here: lines(Reach::Thread, &kept.thread),
        apart: options.scope == Reach::Thread,
        off: options.working == Working::Off,
        messages: count(beside.messages),
        since: beside.since,
        observations: count(beside.observations),
        passages: count(beside.passages),
    };
    say(services, claimed, MemoryCard::List(Box::new(listing))).await
}

fn show(reach: Reach, line: &Line, now: Option<&Now>) -> ShownLine {
    ShownLine {
        label: Whose::label(reach, line.number),
        section: line.section.clone(),
        text: line.text.clone(),
        who: line.source.author.clone(),
        noted: line.source.noted,
        at: line.source.at,
        url: line.source.url.clone(),
        mark: now.and_then(|now| code::mark(line, now)),
    }
}

async fn say(services: &Services, claimed: &Claimed, what: MemoryCard) -> Result<Verdict, PostError> {
    tell(services, claimed, &Card::Memory { what }).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::MessageId;
    use crate::memory::working::Source;

    fn kept(owner: &[&str], thread: &[&str]) -> Kept {
        let source = Source {
            message: MessageId::new(),
            author: "maya".into(),
            author_id: 1,
            url: String::new(),
            at: chrono::DateTime::UNIX_EPOCH,
            noted: false,
        };
        let line = |(at, text): (usize, &&str)| Line {
            number: i32::try_from(at).unwrap() + 1,
            section: SECTION.into(),
            text: (*text).into(),
            source: source.clone(),
            about: Vec::new(),
        };
        let memory = |lines: &[&str]| WorkingMemory { lines: lines.iter().enumerate().map(line).collect(), numbered: 9 };
        Kept { owner: memory(owner), thread: memory(thread) }
    }

    #[test]
    fn lines_are_named_by_number_in_many_ways() {
        let (owner, thread) = (|number| (Reach::Owner, number), |number| (Reach::Thread, number));
        assert_eq!(numbers("3"), Some(vec![owner(3)]));
        assert_eq!(numbers("lines 3, t2 and #4."), Some(vec![owner(3), thread(2), owner(4)]));
        assert_eq!(numbers("T12 please"), Some(vec![thread(12)]));
        for words in ["3 spaces", "Python 3.12", "tabs", "the 3 rules"] {
            assert_eq!(numbers(words), None, "{words}");
        }
    }

    #[test]
    fn lines_are_found_by_their_words_and_never_guessed() {
        let kept = kept(&["We use tabs.", "We use tabs in Makefiles"], &["Ship on Friday"]);
        let found = |text: &str| match by_words(&kept, text, &Template::default()) {
            Found::None => Vec::new(),
            Found::One((reach, line)) => vec![Whose::label(reach, line.number)],
            Found::Several(lines) => lines.iter().map(|(reach, line)| Whose::label(*reach, line.number)).collect(),
        };
        assert_eq!(found("we use TABS"), ["1"], "what says exactly that");
        assert_eq!(found("tabs"), ["1", "2"]);
        assert_eq!(found("makefiles"), ["2"]);
        assert_eq!(found("friday"), ["t1"]);
        assert_eq!(found("spaces"), Vec::<String>::new());
        assert_eq!(found("make"), Vec::<String>::new(), "a piece of a word is no word");
        let (picked, missing) = by_number(&kept, &[(Reach::Owner, 2), (Reach::Owner, 2), (Reach::Thread, 7)]);
        assert_eq!((picked.len(), missing), (1, vec!["t7".to_owned()]));
    }

    #[test]
    fn here_is_said_before_what_is_for_this_conversation() {
        assert_eq!(here("here: we use tabs"), Some("we use tabs"));
        assert_eq!(here("Only here : x"), Some("x"));
        assert_eq!(here("here we use tabs"), None);
        assert_eq!(here("here: …"), None);
    }
}
