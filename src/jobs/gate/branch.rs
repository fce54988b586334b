//! `branch`: a conversation in which nothing was asked for yet begins with what was said in another one.
//!
//! Whoever reads this one will read what was said in that one, so both have the same owner, as recall would have it, wherever they are talked
//! about. What somebody may not know of is not told apart from what does not exist.

use super::dispatch::tell;
use super::link::{Address, Hosts, read};
use super::store::{Claimed, Verdict};
use crate::github::RepoRef;
use crate::id::ThreadId;
use crate::intake::Place;
use crate::jobs::Services;
use crate::jobs::bridge::audience;
use crate::jobs::bridge::join::{self, UNSEEN};
use crate::memory::branch::{self, Begun};
use crate::memory::forget;
use crate::reply::{Card, PostError};
use crate::thread;

pub(super) async fn branch(services: &Services, claimed: &Claimed, address: &str) -> Result<Verdict, PostError> {
    let card = match begin(services, claimed, address).await? {
        Ok(from) => Card::Branched { from },
        Err(why) => Card::NotBranched { why },
    };
    tell(services, claimed, &card).await
}

/// What it begins with, as people call it; else why not.
async fn begin(services: &Services, claimed: &Claimed, address: &str) -> Result<Result<String, String>, PostError> {
    let (place, name) = match find(services, claimed, address).await? {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let refused = |why: &str| Ok(Err(why.to_owned()));
    if place.owner() != claimed.request.place.owner() {
        return refused(UNSEEN);
    }
    let Some(source) = forget::conversation(&services.pool, &place).await? else { return refused(NOTHING) };
    if source == claimed.thread {
        return refused("That is this conversation.");
    }
    if !are_read_alike(services, claimed, source).await? {
        return refused(
            "One of the two is joined with a conversation elsewhere, and not everybody who reads the one reads the other.",
        );
    }
    Ok(match branch::begin(&services.pool, claimed.thread, source, services.clock.now()).await? {
        Begun::Begun => Ok(name),
        no => Err(why_not(no).to_owned()),
    })
}

const NOTHING: &str = "I answered nothing there that I still know of, so there is nothing to begin with.";

fn why_not(begun: Begun) -> &'static str {
    match begun {
        Begun::Begun => "",
        Begun::HasRuns => {
            "Something was asked of me here already, and a conversation begins once. Open a new issue or thread and say it there, before \
             anything else."
        }
        Begun::Nothing => NOTHING,
        Begun::Leaving => "What was said there is being forgotten.",
        Begun::NotOurs => UNSEEN,
        Begun::Circular => "That one begins with this one.",
        Begun::TooFar => {
            "That one begins with another, and that with another, and so on: too many for one more. Branch from an earlier one."
        }
    }
}

/// The conversation an address means, and what people call it; else why not.
async fn find(services: &Services, claimed: &Claimed, address: &str) -> Result<Result<(Place, String), String>, PostError> {
    let request = &claimed.request;
    match (read(address, &Hosts::of(services, claimed)), &request.place) {
        (Address::Github { repository, number }, Place::Github { .. }) => {
            on_github(services, &request.place, &repository, number).await
        }
        (Address::Discord(address), Place::Discord { .. }) => {
            let found = join::in_guild(services, request, address).await?;
            Ok(found.map(|place| (place, "that conversation".to_owned())))
        }
        (Address::Github { .. } | Address::Discord(_), _) => {
            Ok(Err("One of the two is on GitHub and the other on Discord. `link` makes such two one.".to_owned()))
        }
        (Address::Repository { .. } | Address::Unknown, Place::Github { .. }) => {
            let why =
                "That is not the address of an issue or pull request here, such as `https://github.com/owner/name/issues/7`.";
            Ok(Err(why.to_owned()))
        }
        (Address::Repository { .. } | Address::Unknown, Place::Discord { .. }) => {
            Ok(Err("That is not the address of a thread here, or of the message it begins with.".to_owned()))
        }
    }
}

/// Another repository has other readers, whoever they are.
async fn on_github(
    services: &Services,
    place: &Place,
    repository: &str,
    number: i64,
) -> Result<Result<(Place, String), String>, PostError> {
    let (github, (here, _)) = (services.github.as_ref().ok_or(PostError::Off)?, RepoRef::of(place).ok_or(PostError::Off)?);
    let found = github.elsewhere(&here, repository, number).await?;
    let Some(found) = found.filter(|found| found.repo.id == here.id) else { return Ok(Err(UNSEEN.to_owned())) };
    Ok(Ok(found.conversation(number)))
}

/// Whether both are, everywhere they are talked about, what recall would take for one owner's.
async fn are_read_alike(services: &Services, claimed: &Claimed, source: ThreadId) -> Result<bool, PostError> {
    let owner = claimed.request.place.owner();
    for thread in [claimed.thread, source] {
        for mut place in thread::places(&services.pool, thread).await? {
            let readers = audience::apart(services, &place).await?;
            if let Place::Discord { apart, .. } = &mut place {
                *apart = readers;
            }
            if place.owner() != owner {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
