//! One conversation on both surfaces: an issue or pull request, and a thread on Discord.
//!
//! Whoever reads one of the two will read what was said in the other, so somebody joins them who reads both and may write to the
//! repository, the thread is linked to that repository, and as many may read the one as the other: a public repository and a channel
//! that everybody in its guild reads, or a private one and a channel that few read.

use super::links::{self, is_open};
use super::store;
use super::{Who, audience};
use crate::discord::{self, DiscordError};
use crate::github::RepoRef;
use crate::id::ThreadId;
use crate::intake::{Place, Request};
use crate::jobs::Services;
use crate::reply::PostError;
use crate::settings::Permission;

/// An address on Discord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Address {
    /// The guild.
    pub guild: i64,
    /// The channel or thread.
    pub channel: i64,
    /// The message.
    pub message: Option<i64>,
}

/// The issue or pull request that a conversation on Discord may be joined with, and what it is called; else why not. A conversation that
/// is linked to no repository yet is linked to this one.
pub(in crate::jobs) async fn from_discord(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    (repository, number): (&str, i64),
) -> Result<Result<(Place, String), String>, PostError> {
    let Some(github) = &services.github else { return Ok(Err("GitHub is not connected here.".to_owned())) };
    let here = match RepoRef::about(&request.place) {
        Some(here) => {
            if super::permission::<PostError>(&services.pool, github, &here, &Who::of(request)).await? < Permission::Write {
                return Ok(Err(format!(
                    "Joining it with an issue takes an account on GitHub with write permission on {}. Link yours with `@{} link account`.",
                    here.full_name, services.settings.name
                )));
            }
            here
        }
        None => match links::may_link_conversation(services, thread, request, repository).await? {
            Ok(seen) => seen.repo,
            Err(why) => return Ok(Err(why)),
        },
    };
    let Some(found) = github.elsewhere(&here, repository, number).await? else {
        return Ok(Err("There is no such issue or pull request, or not everybody who reads here may read it.".to_owned()));
    };
    if found.repo.id != here.id {
        return Ok(Err(format!(
            "This conversation is linked to {}, and who may ask, approve and land is decided by the permissions of one repository.",
            here.full_name
        )));
    }
    if let Some(why) = uneven(&request.place, found.is_private) {
        return Ok(Err(why));
    }
    if RepoRef::about(&request.place).is_none() {
        links::set_conversation(services, request, &here).await?;
    }
    Ok(Ok(found.conversation(number)))
}

/// The thread on Discord that a conversation on GitHub may be joined with, and what it is called; else why not. What they may not see is
/// not told.
pub(in crate::jobs) async fn from_github(
    services: &Services,
    request: &Request,
    address: Address,
) -> Result<Result<(Place, String), String>, PostError> {
    let (Some(github), Some((repo, _))) = (&services.github, RepoRef::of(&request.place)) else { return Err(PostError::Off) };
    let Some(discord) = &services.discord else { return Ok(Err("Discord is not connected here.".to_owned())) };
    if github.permission(&repo, &request.author.login).await? < Permission::Write {
        return Ok(Err("Joining it with a conversation on Discord takes write permission on this repository.".to_owned()));
    }
    let known = store::on_discord(&services.pool, request.author.id).await?;
    if known.is_empty() {
        return Ok(Err(format!(
            "I need to know who you are on Discord, because I only join what you read there. Write `@{} link account` to me there first.",
            services.settings.name
        )));
    }
    let unseen = || Err("There is no such conversation on Discord, or you cannot read it.".to_owned());
    let mut reads = false;
    for person in known {
        reads = reads || may_read(services, address, person).await?;
    }
    if !reads {
        return Ok(unseen());
    }
    let place = match found(discord, address).await? {
        Found::Conversation(place) => place,
        Found::Channel => return Ok(Err(CHANNEL.to_owned())),
        Found::Nothing => return Ok(unseen()),
    };
    let place = links::placed(services, &Request { place, ..request.clone() }).await?;
    if RepoRef::about(&place).is_none_or(|linked| linked.id != repo.id) {
        return Ok(Err(format!(
            "That conversation is not linked to this repository. Link it there first, with `@{} link {}`.",
            services.settings.name, repo.full_name
        )));
    }
    if let Some(why) = uneven(&place, github.is_private(&repo).await?) {
        return Ok(Err(why));
    }
    Ok(Ok((bare(place), "The conversation on Discord".to_owned())))
}

/// The conversation of an address in the guild of a request, placed as the gate places it, when whoever asks reads it; else why not. What
/// they may not see is not told.
pub(in crate::jobs) async fn in_guild(
    services: &Services,
    request: &Request,
    address: Address,
) -> Result<Result<Place, String>, PostError> {
    let Some(discord) = &services.discord else { return Err(PostError::Off) };
    let is_here = matches!(&request.place, Place::Discord { guild: Some(guild), .. } if *guild == address.guild);
    if !is_here || !may_read(services, address, request.author.id).await? {
        return Ok(Err(UNSEEN.to_owned()));
    }
    Ok(match found(discord, address).await? {
        Found::Conversation(place) => Ok(links::placed(services, &Request { place, ..request.clone() }).await?),
        Found::Channel => Err(CHANNEL.to_owned()),
        Found::Nothing => Err(UNSEEN.to_owned()),
    })
}

/// Said of what does not exist and of what is not for everybody alike.
pub(in crate::jobs) const UNSEEN: &str = "There is no such conversation, or not everybody who reads this one may read it.";
const CHANNEL: &str = "That is a channel. Give the address of a thread in it, or of the message it begins with.";

/// What an address leads to, as far as we see it.
enum Found {
    Conversation(Place),
    Channel,
    Nothing,
}

async fn found(discord: &discord::Discord, address: Address) -> Result<Found, PostError> {
    match conversation(discord, address).await {
        Ok(Some(place)) => Ok(Found::Conversation(place)),
        Ok(None) => Ok(Found::Channel),
        Err(error) if error.is_transient() => Err(error.into()),
        Err(_) => Ok(Found::Nothing),
    }
}

async fn may_read(services: &Services, address: Address, person: i64) -> Result<bool, PostError> {
    let Some(discord) = &services.discord else { return Ok(false) };
    match audience::may_read(discord, (address.guild, address.channel), person).await {
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => {
            tracing::info!(discord.channel = address.channel, %error, "a channel is not joined");
            Ok(false)
        }
        Ok(reads) => Ok(reads),
    }
}

/// The place of an address; none for a channel as a whole.
async fn conversation(discord: &discord::Discord, address: Address) -> Result<Option<Place>, DiscordError> {
    let channel = discord.channel(discord::id(address.channel)).await?;
    let place = |opening| Place::Discord {
        guild: Some(address.guild),
        channel: address.channel,
        parent: channel.parent.filter(|_| channel.kind.is_thread()).map(discord::number),
        opening,
        person: None,
        repository: None,
        apart: None,
    };
    Ok(match address.message {
        _ if channel.kind.is_thread() => Some(place(None)),
        Some(message) => {
            discord.message(channel.id, discord::id(message)).await?;
            Some(place(Some(message)))
        }
        None => None,
    })
}

/// Without what the gate fills in for each request.
fn bare(mut place: Place) -> Place {
    if let Place::Discord { repository, apart, .. } = &mut place {
        (*repository, *apart) = (None, None);
    }
    place
}

/// Why those who read the one cannot be those who read the other; none where they may be.
pub(in crate::jobs) fn uneven(place: &Place, is_private: bool) -> Option<String> {
    let why = match place {
        Place::Discord { guild: None, .. } => "Direct messages stay between you and me. Ask for it in a thread of a server.",
        Place::Discord { .. } if is_private && is_open(place) => {
            "The repository is private, and everybody in the server reads that channel."
        }
        Place::Discord { .. } if !is_private && !is_open(place) => {
            "Everybody reads the repository, and not everybody in the server reads that channel: what was said there would be read by others."
        }
        Place::Discord { .. } | Place::Github { .. } => return None,
    };
    Some(why.to_owned())
}

/// Why two that were joined once are not read by as many any more; none where they are. A channel may be closed and a repository opened
/// long after.
pub(in crate::jobs) async fn parted(services: &Services, places: [&Place; 2]) -> Result<Option<String>, PostError> {
    let (place, repo) = match places {
        [place @ Place::Discord { .. }, other @ Place::Github { .. }]
        | [other @ Place::Github { .. }, place @ Place::Discord { .. }] => (place, RepoRef::about(other)),
        [Place::Github { .. }, Place::Github { .. }] | [Place::Discord { .. }, Place::Discord { .. }] => return Ok(None),
    };
    let (Some(github), Some(repo)) = (&services.github, repo) else { return Err(PostError::Off) };
    let mut now = place.clone();
    let readers = audience::apart(services, place).await?;
    if let Place::Discord { apart, .. } = &mut now {
        *apart = readers;
    }
    Ok(uneven(&now, github.is_private(&repo).await?))
}

/// The same about a conversation and all that it is joined with.
pub(in crate::jobs) async fn parted_from(
    services: &Services,
    thread: ThreadId,
    here: &Place,
) -> Result<Option<String>, PostError> {
    if services.discord.is_none() || services.github.is_none() {
        return Ok(None);
    }
    for there in store::elsewhere(&services.pool, thread, here.surface()).await? {
        if let Some(why) = parted(services, [here, &there]).await? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(guild: Option<i64>, apart: Option<i64>) -> Place {
        Place::Discord { guild, channel: 5, parent: Some(4), opening: None, person: None, repository: None, apart }
    }

    #[test]
    fn as_many_read_the_one_as_the_other() {
        let (open, hidden, direct) = (place(Some(1), None), place(Some(1), Some(4)), place(None, None));
        assert!(uneven(&open, false).is_none() && uneven(&hidden, true).is_none());
        assert!(uneven(&open, true).is_some() && uneven(&hidden, false).is_some());
        assert!(uneven(&direct, true).is_some() && uneven(&direct, false).is_some());
    }
}
