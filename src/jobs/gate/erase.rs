//! `forget this conversation` and `forget everything I said`: words go as a whole, with everything made of them.
//!
//! Who asks is told first what goes, then it is asked for: stopped in between, both are done again, to the same effect. Where nothing can be
//! said, it is forgotten all the same.

use std::sync::LazyLock;

use regex::Regex;

use super::dispatch::tell;
use super::store::{self, Claimed, Verdict};
use crate::github::RepoRef;
use crate::intake::command::{self, Command};
use crate::intake::{Place, Request, policy};
use crate::jobs::Services;
use crate::jobs::bridge::audience;
use crate::jobs::house::House;
use crate::memory::forget::{self, Reached, Target, Why, Words, own};
use crate::reply::{Card, Extent, Going, MemoryCard, PostError};
use crate::settings::Permission;

/// What takes away what others said on GitHub.
const NEEDED: Permission = Permission::Write;

/// How far somebody takes back what they said; none when the words ask for something else.
pub(super) fn own(request: &Request, handle: &str) -> Option<Extent> {
    match command::parse(&request.text, handle) {
        Some(Command::Forget { text }) => means_own(&text),
        _ => None,
    }
}

/// Words that mean this and nothing more: `forget everything I said about tabs` is about tabs.
fn means_own(text: &str) -> Option<Extent> {
    static OWN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)^(?:about\s+)?(?:everything|all(?:\s+of\s+it)?)\s+(?:that\s+)?i(?:['’]ve|\s+have)?(?:\s+ever)?
              \s+(?:said|wrote|written|told\s+you)(?:\s+to\s+you)?
              (?P<here>\s+(?:here|in\s+(?:this|the)\s+(?:thread|conversation|discussion|issue|pull\s+request|pr|channel)))?
              (?:\s+(?:everywhere|anywhere))?[\s,]*(?:please|pls|thanks)?[\s.!]*$",
        )
        .expect("the pattern is constant and valid")
    });
    let found = OWN.captures(text.trim())?;
    Some(if found.name("here").is_some() { Extent::OwnHere } else { Extent::Own })
}

/// Whether words mean the whole conversation they are said in.
pub(super) fn means_conversation(text: &str) -> bool {
    static ALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)^(?:about\s+)?(?:(?:everything|all)\s+(?:of|in|from|about)\s+)?(?:this|the|our)\s+(?:whole\s+|entire\s+|complete\s+)?
              (?:thread|conversation|discussion|issue|pull\s+request|pr|chat)[\s,]*(?:please|pls|thanks)?[\s.!]*$",
        )
        .expect("the pattern is constant and valid")
    });
    ALL.is_match(text.trim())
}

/// Somebody takes back what they said. None when there is nothing of theirs: whether that is told is for others to decide.
pub(super) async fn take_back(services: &Services, claimed: &Claimed, extent: Extent) -> Result<Option<Verdict>, PostError> {
    let words = words(claimed, extent);
    let amount = own::of_words(&services.pool, words, claimed.message).await?;
    // What was asked for before this was interrupted does not count any more.
    if amount.is_nothing() && !store::has_begun_to_speak(&services.pool, claimed).await? {
        // The request itself is theirs as well, and no reason to be told something the next time.
        ask(services, claimed, &Target::Words(words)).await?;
        return Ok(None);
    }
    let told = tell(services, claimed, &going(claimed, extent, amount)).await;
    ask(services, claimed, &Target::Words(words)).await?;
    told.map(Some)
}

/// There is nothing of theirs.
pub(super) async fn nothing(services: &Services, claimed: &Claimed, what: Extent) -> Result<Verdict, PostError> {
    tell(services, claimed, &Card::Memory { what: MemoryCard::NothingToGo { what } }).await
}

fn words(claimed: &Claimed, extent: Extent) -> Words {
    let request = &claimed.request;
    let thread = match extent {
        Extent::Own => None,
        Extent::OwnHere | Extent::Here | Extent::Conversation => Some(claimed.thread),
    };
    Words { surface: request.place.surface(), author: request.author.id, thread }
}

/// Forgets the conversation, or what was said in it where others share its memory.
pub(super) async fn conversation(services: &Services, claimed: &Claimed, house: &House) -> Result<Verdict, PostError> {
    let request = &claimed.request;
    let is_alone = own::is_alone(&services.pool, claimed.thread, request.author.id).await?;
    if !is_alone && let Err(needed) = may_erase(services, house, request).await? {
        let handle = services.settings.name.clone();
        return tell(services, claimed, &Card::Memory { what: MemoryCard::NotTheirs { handle, needed } }).await;
    }
    let (amount, reached) = own::of_conversation(&services.pool, claimed.thread, &request.place, claimed.message).await?;
    let extent = match reached {
        Reached::Part => Extent::Here,
        Reached::Nothing | Reached::Whole => Extent::Conversation,
    };
    let told = if amount.is_nothing() {
        tell(services, claimed, &Card::Memory { what: MemoryCard::NothingToGo { what: extent } }).await
    } else {
        tell(services, claimed, &going(claimed, extent, amount)).await
    };
    let (by, now) = (&request.author.login, services.clock.now());
    forget::ask_conversation(&services.pool, &request.place, Why::Wanted, by, now).await?;
    services.bells.forgetting.ring();
    told
}

/// Whether somebody may take away what others said: who has write permission on GitHub, and who manages messages or threads on Discord.
/// Else who may, for people to read.
async fn may_erase(services: &Services, _house: &House, request: &Request) -> Result<Result<(), String>, PostError> {
    match &request.place {
        Place::Github { .. } => {
            let (Some(github), Some((repo, _))) = (&services.github, RepoRef::of(&request.place)) else {
                return Err(PostError::Off);
            };
            let has = github.permission(&repo, &request.author.login).await?;
            let needed = || format!("{} permission on this repository", policy::permission_name(NEEDED));
            Ok(if has >= NEEDED { Ok(()) } else { Err(needed()) })
        }
        Place::Discord { guild: None, .. } => Ok(Ok(())),
        Place::Discord { guild: Some(guild), channel, .. } => {
            let Some(discord) = &services.discord else { return Err(PostError::Off) };
            let may = audience::may_manage(discord, (*guild, *channel), request.author.id).await?;
            Ok(if may { Ok(()) } else { Err("the permission to manage messages or threads here".to_owned()) })
        }
    }
}

async fn ask(services: &Services, claimed: &Claimed, target: &Target) -> Result<(), sqlx::Error> {
    forget::ask(&services.pool, target, Why::Wanted, &claimed.request.author.login, services.clock.now()).await?;
    services.bells.forgetting.ring();
    Ok(())
}

fn going(claimed: &Claimed, what: Extent, amount: own::Amount) -> Card {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let surface = match &claimed.request.place {
        Place::Github { .. } => "GitHub",
        Place::Discord { .. } => "Discord",
    };
    let going = Going {
        what,
        surface: surface.to_owned(),
        messages: count(amount.messages),
        answers: count(amount.runs),
        at_work: count(amount.at_work),
        passages: count(amount.passages),
        lines: count(amount.lines),
    };
    Card::Memory { what: MemoryCard::Going(Box::new(going)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_as_a_whole_is_said_in_so_many_words() {
        for (text, extent) in [
            ("everything I said", Some(Extent::Own)),
            ("Everything I've ever told you, please.", Some(Extent::Own)),
            ("all that I have written everywhere", Some(Extent::Own)),
            ("everything I said here", Some(Extent::OwnHere)),
            ("everything I wrote in this issue!", Some(Extent::OwnHere)),
            ("everything I said about tabs", None),
            ("what I said", None),
            ("everything I said and use spaces", None),
            ("everything ada said", None),
            ("this thread", None),
        ] {
            assert_eq!(means_own(text), extent, "{text}");
        }
        for (text, means) in [
            ("this thread", true),
            ("This conversation, please.", true),
            ("everything in this issue", true),
            ("the entire discussion", true),
            ("this thread about tabs", false),
            ("this", false),
            ("the pull request template", false),
            ("everything I said here", false),
        ] {
            assert_eq!(means_conversation(text), means, "{text}");
        }
    }
}
