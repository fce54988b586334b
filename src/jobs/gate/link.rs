//! `link`: another issue or pull request joins this conversation.

use url::Url;

use super::dispatch::tell;
use super::store::{self, Claimed, Joined, Verdict};
use crate::github::{Elsewhere, Github, RepoRef};
use crate::intake::Place;
use crate::jobs::Services;
use crate::reply::{Card, PostError};

pub(super) async fn link(services: &Services, claimed: &Claimed, address: &str) -> Result<Verdict, PostError> {
    let card = match join(services, claimed, address).await? {
        Ok(to) => Card::Linked { to },
        Err(why) => Card::NotLinked { why },
    };
    tell(services, claimed, &card).await
}

/// What an address means.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Github { repository: String, number: i64 },
    Discord,
    Unknown,
}

fn read(address: &str, here: &str) -> Address {
    let Ok(url) = Url::parse(address) else { return Address::Unknown };
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    if ["discord.com", "discord.gg", "discordapp.com"].iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
    {
        return Address::Discord;
    }
    let same_host = Url::parse(here).is_ok_and(|here| here.host_str() == url.host_str() && here.port() == url.port());
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [owner, name, "issues" | "pull", number, ..] if same_host => match number.parse() {
            Ok(number) if number > 0 => Address::Github { repository: format!("{owner}/{name}"), number },
            Ok(_) | Err(_) => Address::Unknown,
        },
        _ => Address::Unknown,
    }
}

/// Joins; or says why not.
async fn join(services: &Services, claimed: &Claimed, address: &str) -> Result<Result<String, String>, PostError> {
    let request = &claimed.request;
    let (github, (here, own)) =
        (services.github.as_ref().ok_or(PostError::Off)?, RepoRef::of(&request.place).ok_or(PostError::Off)?);
    let (repository, number) = match read(address, &request.url) {
        Address::Github { repository, number } => (repository, number),
        Address::Discord => return Ok(Err("Discord is not connected in this version.".to_owned())),
        Address::Unknown => {
            let why =
                "That is not the address of an issue or pull request here, such as `https://github.com/owner/name/issues/7`.";
            return Ok(Err(why.to_owned()));
        }
    };
    let Some(found) = github.elsewhere(&here, &repository, number).await? else {
        let why = "There is no such issue or pull request, or not everybody who reads this one may read it.";
        return Ok(Err(why.to_owned()));
    };
    if found.repo.id == here.id && number == own {
        return Ok(Err("That is this conversation.".to_owned()));
    }
    if let Some(why) = why_not(github, &here, &found).await? {
        return Ok(Err(why));
    }
    let name = format!("{}#{number}", found.repo.full_name);
    let place = Place::Github {
        repository: found.repo.full_name,
        repository_id: found.repo.id,
        number,
        installation: found.repo.installation,
        is_pull_request: found.is_pull_request,
    };
    Ok(match store::join_place(&services.pool, claimed.thread, &place).await? {
        Joined::Joined => Ok(name),
        Joined::HasItsOwn => {
            Err(format!("{name} has a conversation with me of its own, and joining would lose what was said in one of the two."))
        }
    })
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
    fn addresses_are_read_where_this_conversation_is() {
        let here = "https://github.com/acme/rocket/issues/1#issuecomment-2";
        let github = |repository: &str, number| Address::Github { repository: repository.into(), number };
        assert_eq!(read("https://github.com/acme/tools/issues/7", here), github("acme/tools", 7));
        assert_eq!(read("https://github.com/acme/tools/pull/8/files#diff", here), github("acme/tools", 8));
        assert_eq!(read("https://github.example/acme/tools/issues/7", here), Address::Unknown);
        assert_eq!(read("https://github.com/acme/tools/issues/-7", here), Address::Unknown);
        assert_eq!(read("https://discord.com/channels/1/2", here), Address::Discord);
        assert_eq!(read("https://discord.gg/abc", here), Address::Discord);
    }
}
