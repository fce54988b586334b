//! Who on Discord is who on GitHub: somebody on Discord is given a code, alone, and writes it on GitHub, which says who wrote it.
//!
//! The code is random, kept as a digest, used once, good for minutes; wrong ones are counted by who tries them. It counts in a new comment
//! that nobody has edited, because others may edit what people wrote. What was written is forgotten at once.

use chrono::{DateTime, TimeDelta, Utc};
use serenity::model::id::UserId;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::store::{self, OnGithub, Proven};
use crate::discord::{self, DiscordError, Draft};
use crate::github::RepoRef;
use crate::id::{InboxId, MessageId};
use crate::intake::{Asks, Place, Request, Trigger};
use crate::jobs::Services;
use crate::reply::{self, BridgeCard, Card, PostError};

/// How long a code is good.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(15);
/// Codes of one person on Discord, and wrong ones of one on GitHub, in an hour.
const MOST_CODES: i32 = 5;
const MOST_WRONG: i32 = 5;
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// Digits of a code: those that are not mistaken for each other. Forty bits in all.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new code for somebody on Discord, in place of an earlier one, as the text that tells it. It is for them alone: a direct message, or an
/// answer nobody else sees; it must not be stored or logged. None when they had too many.
///
/// # Errors
/// As the database.
pub async fn begin(
    pool: &PgPool,
    handle: &str,
    (id, name): (i64, &str),
    now: DateTime<Utc>,
) -> Result<Option<String>, sqlx::Error> {
    let code = new_code();
    let kept = store::keep_code(pool, (id, name), &digest(&code), (MOST_CODES, WINDOW), (now, now + GOOD_FOR)).await?;
    Ok(kept.then(|| reply::account_code(handle, &code, GOOD_FOR.num_minutes())))
}

/// `link account` on Discord: the code goes into a direct message, and what is said where they asked holds nothing of it.
pub(in crate::jobs) async fn send(services: &Services, request: &Request, inbox: InboxId) -> Result<Card, PostError> {
    let (Place::Discord { .. }, Some(discord)) = (&request.place, &services.discord) else {
        let why = "Accounts are linked from Discord: ask me there with `link account`.".to_owned();
        return Ok(Card::NotLinked { why });
    };
    let author = &request.author;
    let person: UserId = discord::id(author.id);
    let direct = match discord.direct_channel(person).await {
        Ok(direct) => direct,
        Err(error) => return unsent(error),
    };
    let now = services.clock.now();
    let Some(text) = begin(&services.pool, &services.settings.name, (author.id, &author.login), now).await? else {
        return Ok(Card::Bridge { what: BridgeCard::TooManyCodes });
    };
    // A second attempt tells a second code, which takes the first one's place.
    let nonce = discord::nonce(&format!("code-{inbox}-{now}"));
    match discord.create_message(direct.id, &Draft { nonce: Some(nonce), ..Draft::text(text) }).await {
        Ok(_) => Ok(Card::Bridge { what: BridgeCard::CodeSent }),
        Err(error) => unsent(error),
    }
}

fn unsent(error: DiscordError) -> Result<Card, PostError> {
    match error {
        DiscordError::Forbidden { .. } | DiscordError::Invalid { .. } | DiscordError::NotFound { .. } => {
            Ok(Card::Bridge { what: BridgeCard::CodeNotSent })
        }
        error => Err(error.into()),
    }
}

/// A code that somebody wrote. To be followed by [`forget`], once what came of it is told.
pub(in crate::jobs) async fn prove(
    services: &Services,
    request: &Request,
    code: &str,
    inbox: InboxId,
) -> Result<Card, PostError> {
    Ok(Card::Bridge { what: looked_at(services, request, code, inbox).await? })
}

/// Takes the code out of what is kept of a message, whatever came of it.
pub(in crate::jobs) async fn forget(pool: &PgPool, inbox: InboxId, message: MessageId) -> Result<(), sqlx::Error> {
    store::scrub(pool, message, inbox).await
}

async fn looked_at(services: &Services, request: &Request, code: &str, inbox: InboxId) -> Result<BridgeCard, PostError> {
    let Some((repo, _)) = RepoRef::of(&request.place) else { return Ok(BridgeCard::CodeWrittenWrong { on_discord: true }) };
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    if !matches!((request.trigger, &request.asks), (Trigger::Comment(_), Asks::Words)) || request.author.is_bot {
        return Ok(BridgeCard::CodeWrittenWrong { on_discord: false });
    }
    // As it stands there now, by whom GitHub says; the notification may tell of an edit by somebody else.
    let found = github.comment(&repo, request.trigger).await?;
    let is_theirs = |comment: &crate::github::Comment| {
        let theirs = comment.author.as_ref().is_some_and(|author| author.id == request.author.id && !author.is_bot);
        theirs
            && comment.created_at == comment.updated_at
            && comment.body.to_ascii_uppercase().contains(&code.to_ascii_uppercase())
    };
    if !found.as_ref().is_some_and(is_theirs) {
        return Ok(BridgeCard::CodeWrittenWrong { on_discord: false });
    }
    let who = OnGithub { id: request.author.id, login: request.author.login.clone() };
    let handle = services.settings.name.clone();
    let now = services.clock.now();
    Ok(match store::prove(&services.pool, &digest(code), &who, inbox, (MOST_WRONG, WINDOW), now).await? {
        Proven::Joined(name) => BridgeCard::AccountLinked { handle, login: who.login, name },
        Proven::Wrong => BridgeCard::WrongCode { handle },
        Proven::TooMany => BridgeCard::TooManyTries,
    })
}

/// `link account off`, on either surface.
pub(in crate::jobs) async fn part(services: &Services, request: &Request) -> Result<Card, PostError> {
    let was = store::part(&services.pool, request.place.surface(), request.author.id).await?;
    Ok(Card::Bridge { what: BridgeCard::AccountParted { was } })
}

fn new_code() -> String {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    let digits: Vec<char> = bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect();
    let (one, two) = digits.split_at(4);
    format!("discord-{}-{}", one.iter().collect::<String>(), two.iter().collect::<String>())
}

/// The digest of a code as people write it: in any case, with letters that look like digits taken for them.
fn digest(code: &str) -> [u8; 32] {
    let code = code.trim().to_ascii_uppercase();
    let digits = code.strip_prefix("DISCORD-").unwrap_or(&code);
    let read: String = digits
        .chars()
        .filter(|c| *c != '-')
        .map(|c| match c {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect();
    Sha256::digest(read.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_random_and_read_as_people_write_them() {
        let (one, two) = (new_code(), new_code());
        assert_ne!(one, two);
        assert_eq!(one.len(), "discord-0000-0000".len());
        assert!(one[8..].bytes().all(|byte| byte == b'-' || DIGITS.contains(&byte)), "{one}");
        assert_eq!(digest(&one), digest(&one.to_ascii_lowercase()));
        assert_eq!(digest("discord-O0IL-ABCD"), digest("discord-0011-abcd"));
        assert_ne!(digest(&one), digest(&two));
    }
}
