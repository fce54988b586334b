//! `link`: another conversation joins this one, a channel on Discord gets its repository, and people say who they are elsewhere.

use url::Url;

use super::dispatch::tell;
use super::store::{self, Claimed, Joined, Verdict};
use crate::github::{Elsewhere, Github, RepoRef};
use crate::intake::command::Account;
use crate::intake::{Place, Request};
use crate::jobs::Services;
use crate::jobs::bridge::{accounts, join, links};
use crate::memory::{branch, forget};
use crate::reply::{Card, PostError};

pub(super) async fn link(services: &Services, claimed: &Claimed, address: &str) -> Result<Verdict, PostError> {
    let read = read(address, &Hosts::of(services, claimed));
    let request = &claimed.request;
    let found = match (&read, &request.place) {
        (Address::Repository { name }, Place::Discord { .. }) => {
            let card = links::link(services, claimed.thread, request, name).await?;
            return tell(services, claimed, &card).await;
        }
        (Address::Github { repository, number }, Place::Github { .. }) => {
            on_github(services, claimed, repository, *number).await?
        }
        (Address::Github { repository, number }, Place::Discord { .. }) => {
            join::from_discord(services, claimed.thread, request, (repository, *number)).await?
        }
        (Address::Discord(address), Place::Github { .. }) => join::from_github(services, request, *address).await?,
        (Address::Discord(_), Place::Discord { .. }) => {
            Err("Both are on Discord. Link an issue or pull request on GitHub, or a repository.".to_owned())
        }
        (Address::Unknown | Address::Repository { .. }, _) => {
            Err("That is not the address of an issue or pull request here, such as `https://github.com/owner/name/issues/7`."
                .to_owned())
        }
    };
    let card = match found {
        Ok((place, name)) => joined(services, claimed, &place, name).await?,
        Err(why) => Card::NotLinked { why },
    };
    tell(services, claimed, &card).await
}

/// `link owner/name` and `link off`.
pub(super) async fn repository(services: &Services, claimed: &Claimed, name: Option<&str>) -> Result<Verdict, PostError> {
    let card = match name {
        Some(name) => links::link(services, claimed.thread, &claimed.request, name).await?,
        None => links::unlink(services, &claimed.request).await?,
    };
    tell(services, claimed, &card).await
}

/// The same request, at the repository it names: its conversation is linked to that. None when that may not be, which is said.
pub(super) async fn at_repository(services: &Services, claimed: &Claimed, named: &str) -> Result<Option<Claimed>, PostError> {
    let name = match read(named, &Hosts::of(services, claimed)) {
        Address::Repository { name } => Some(name),
        Address::Unknown if !named.contains("://") => Some(named.to_owned()),
        Address::Unknown | Address::Github { .. } | Address::Discord(_) => None,
    };
    let linked = match name {
        Some(name) => links::link_conversation(services, claimed.thread, &claimed.request, &name).await?,
        None => Err("That is not the address of a repository here, such as `owner/name`.".to_owned()),
    };
    if let Err(why) = linked {
        tell(services, claimed, &Card::NotLinked { why }).await?;
        return Ok(None);
    }
    let place = links::placed(services, &claimed.request).await?;
    Ok(Some(Claimed { request: Request { place, ..claimed.request.clone() }, ..claimed.clone() }))
}

/// `link account` and what belongs to it. Needs no permission: it says who somebody is, not what they may.
pub(super) async fn account(services: &Services, claimed: &Claimed, what: &Account) -> Result<Verdict, PostError> {
    let request = &claimed.request;
    let card = match what {
        Account::Begin => accounts::send(services, request, claimed.id).await?,
        Account::Off => accounts::part(services, request).await?,
        Account::Code(code) => accounts::prove(services, request, code, claimed.id).await?,
    };
    let verdict = tell(services, claimed, &card).await?;
    if let Account::Code(_) = what {
        accounts::forget(&services.pool, claimed.id, claimed.message).await?;
    }
    Ok(verdict)
}

/// What an address means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Github { repository: String, number: i64 },
    Repository { name: String },
    Discord(join::Address),
    Unknown,
}

/// Where pages of the surfaces are: host and port.
pub(super) struct Hosts {
    github: Option<(String, Option<u16>)>,
    discord: Option<(String, Option<u16>)>,
}

impl Hosts {
    pub(super) fn of(services: &Services, claimed: &Claimed) -> Self {
        let page = |url: &Url| Some((url.host_str()?.trim_start_matches("api.").to_ascii_lowercase(), url.port()));
        let here = || Url::parse(&claimed.request.url).ok();
        let github = match &claimed.request.place {
            Place::Github { .. } => here().as_ref().and_then(page),
            Place::Discord { .. } => services.settings.github.as_ref().and_then(|github| page(&github.api_url)),
        };
        Self { github, discord: services.settings.discord.as_ref().and_then(|discord| page(&discord.api_url)) }
    }
}

pub(super) fn read(address: &str, hosts: &Hosts) -> Address {
    let Ok(url) = Url::parse(address) else { return Address::Unknown };
    let at = (url.host_str().unwrap_or_default().to_ascii_lowercase(), url.port());
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let known = ["discord.com", "discord.gg", "discordapp.com"];
    let is_discord = known.iter().any(|known| at.0 == *known || at.0.ends_with(&format!(".{known}")));
    let channels = matches!(parts.as_slice(), ["channels", ..]);
    if is_discord || (channels && hosts.discord.as_ref() == Some(&at)) {
        return on_discord(&parts).map_or(Address::Unknown, Address::Discord);
    }
    let here = hosts.github.as_ref() == Some(&at);
    match parts.as_slice() {
        [owner, name, "issues" | "pull", number, ..] if here => match number.parse() {
            Ok(number) if number > 0 => Address::Github { repository: format!("{owner}/{name}"), number },
            Ok(_) | Err(_) => Address::Unknown,
        },
        [owner, name] if here => Address::Repository { name: format!("{owner}/{}", name.trim_end_matches(".git")) },
        _ => Address::Unknown,
    }
}

fn on_discord(parts: &[&str]) -> Option<join::Address> {
    let number = |part: &&str| part.parse::<i64>().ok().filter(|number| *number > 0);
    match parts {
        ["channels", guild, channel] => Some(join::Address { guild: number(guild)?, channel: number(channel)?, message: None }),
        ["channels", guild, channel, message] => {
            Some(join::Address { guild: number(guild)?, channel: number(channel)?, message: Some(number(message)?) })
        }
        _ => None,
    }
}

/// Joins two that may be; the one that runs were asked for in keeps its conversation.
async fn joined(services: &Services, claimed: &Claimed, place: &Place, name: String) -> Result<Card, PostError> {
    if one_is_a_branch(services, claimed, place).await? {
        let why = "One of the two begins with another conversation, which not everybody may read who reads the other one.";
        return Ok(Card::NotLinked { why: why.to_owned() });
    }
    if place.surface() == claimed.request.place.surface() {
        return Ok(match store::join_place(&services.pool, claimed.thread, place).await? {
            Joined::Joined => Card::Linked { to: name },
            Joined::HasItsOwn => Card::NotLinked { why: has_its_own(&name) },
        });
    }
    match store::join_place(&services.pool, claimed.thread, place).await? {
        Joined::Joined => Ok(Card::Linked { to: name }),
        // Where nothing was asked for here yet, this one joins that one.
        Joined::HasItsOwn => match store::join_other(&services.pool, claimed, place).await? {
            Joined::Joined => Ok(Card::Linked { to: name }),
            Joined::HasItsOwn => Ok(Card::NotLinked { why: has_its_own(&name) }),
        },
    }
}

/// Whether somebody would read what a branch began with who does not read that.
async fn one_is_a_branch(services: &Services, claimed: &Claimed, place: &Place) -> Result<bool, sqlx::Error> {
    if place.payer() == claimed.request.place.payer() {
        return Ok(false);
    }
    let other = forget::conversation(&services.pool, place).await?;
    for thread in other.into_iter().chain([claimed.thread]) {
        if !branch::sources(&services.pool, thread).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_its_own(name: &str) -> String {
    format!("{name} has a conversation with me of its own, and joining would lose what was said in one of the two.")
}

/// The issue or pull request that another one may be joined with; else why not.
async fn on_github(
    services: &Services,
    claimed: &Claimed,
    repository: &str,
    number: i64,
) -> Result<Result<(Place, String), String>, PostError> {
    let request = &claimed.request;
    let (github, (here, own)) =
        (services.github.as_ref().ok_or(PostError::Off)?, RepoRef::of(&request.place).ok_or(PostError::Off)?);
    let Some(found) = github.elsewhere(&here, repository, number).await? else {
        let why = "There is no such issue or pull request, or not everybody who reads this one may read it.";
        return Ok(Err(why.to_owned()));
    };
    if found.repo.id == here.id && number == own {
        return Ok(Err("That is this conversation.".to_owned()));
    }
    if let Some(why) = why_not(github, &here, &found).await? {
        return Ok(Err(why));
    }
    Ok(Ok(found.conversation(number)))
}

/// Whoever reads one of the two will read what was said in the other.
async fn why_not(github: &Github, here: &RepoRef, there: &Elsewhere) -> Result<Option<String>, PostError> {
    if there.repo.id == here.id {
        return Ok(None);
    }
    if there.is_private || github.is_private(here).await? {
        let why = "One of the two repositories is private, and whoever reads one would read what was said in the other.";
        return Ok(Some(why.to_owned()));
    }
    let why = "It is in another repository, and who may ask, approve and land is decided by the permissions of one.";
    Ok(Some(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_where_the_surfaces_are() {
        let here = Hosts { github: Some(("github.com".into(), None)), discord: Some(("127.0.0.1".into(), Some(4020))) };
        let read = |address: &str| super::read(address, &here);
        let github = |repository: &str, number| Address::Github { repository: repository.into(), number };
        let discord = |message| Address::Discord(join::Address { guild: 1, channel: 2, message });
        assert_eq!(read("https://github.com/acme/tools/issues/7"), github("acme/tools", 7));
        assert_eq!(read("https://github.com/acme/tools/pull/8/files#diff"), github("acme/tools", 8));
        assert_eq!(read("https://github.example/acme/tools/issues/7"), Address::Unknown);
        assert_eq!(read("https://github.com/acme/tools/issues/-7"), Address::Unknown);
        assert_eq!(read("https://github.com/acme/tools"), Address::Repository { name: "acme/tools".into() });
        assert_eq!(read("https://github.example/acme/tools"), Address::Unknown);
        assert_eq!(read("https://discord.com/channels/1/2"), discord(None));
        assert_eq!(read("https://ptb.discord.com/channels/1/2/3"), discord(Some(3)));
        assert_eq!(read("http://127.0.0.1:4020/channels/1/2/3"), discord(Some(3)));
        for elsewhere in ["https://discord.gg/abc", "https://discord.com/channels/@me/2", "https://evildiscord.com/channels/1/2"]
        {
            assert_eq!(read(elsewhere), Address::Unknown, "{elsewhere}");
        }
    }
}
