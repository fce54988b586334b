//! Who may ask on Discord: whoever is in an allowed guild, channel and role, as the settings say; and, where the conversation is linked to a
//! private repository, whose account on GitHub may. Guild, channel and roles came with the message.

use super::repository;
use crate::github::RepoRef;
use crate::intake::policy::{Needed, Refusal};
use crate::intake::{Place, Request};
use crate::jobs::Services;
use crate::jobs::bridge::{self, Who};
use crate::jobs::house::House;
use crate::reply::PostError;
use crate::settings::{DiscordSettings, Permission};

/// Whether the author of a request may trigger here.
pub(super) async fn may_trigger(services: &Services, house: &House, request: &Request) -> Result<Result<(), Refusal>, PostError> {
    if let Err(refusal) = may_speak(services, request).await? {
        return Ok(Err(refusal));
    }
    let Some(repo) = RepoRef::about(&request.place) else { return Ok(Ok(())) };
    may_read(services, house, request, &repo).await
}

/// Whether the settings let the author speak to us here at all, whatever the conversation is about.
pub(super) async fn may_speak(services: &Services, request: &Request) -> Result<Result<(), Refusal>, PostError> {
    let Some(settings) = &services.settings.discord else { return Err(PostError::Off) };
    match listed(settings, &request.place, &request.with.roles) {
        Listed::Yes => Ok(Ok(())),
        Listed::No(needed) => Ok(Err(Refusal::NotAllowed { needed })),
        Listed::IfIn(guilds) => {
            let Some(discord) = &services.discord else { return Err(PostError::Off) };
            let (person, now) = (request.author.id, services.clock.now());
            let is_in = services.members.is_in_one(discord, guilds, person, now).await?;
            Ok(if is_in { Ok(()) } else { Err(Refusal::NotAllowed { needed: Needed::Guild }) })
        }
    }
}

/// What the lists say.
#[derive(Debug, PartialEq, Eq)]
enum Listed<'a> {
    Yes,
    No(Needed),
    /// When they are in one of these guilds.
    IfIn(&'a [i64]),
}

/// An unset list lets everybody in, an empty one nobody. Direct messages show neither channel nor roles, so where those are listed
/// nobody is let in by them.
fn listed<'a>(settings: &'a DiscordSettings, place: &Place, roles: &[i64]) -> Listed<'a> {
    let Place::Discord { guild, channel, parent, .. } = place else { return Listed::No(Needed::Guild) };
    let Some(guild) = guild else {
        return match &settings.allow_guilds {
            _ if settings.allow_roles.is_some() || settings.allow_channels.is_some() => Listed::No(Needed::NotDirect),
            Some(guilds) => Listed::IfIn(guilds),
            None => Listed::Yes,
        };
    };
    let lists = |list: &Option<Vec<i64>>, one: &dyn Fn(&i64) -> bool| list.as_ref().is_none_or(|list| list.iter().any(one));
    if !lists(&settings.allow_guilds, &|listed| listed == guild) {
        return Listed::No(Needed::Guild);
    }
    if !lists(&settings.allow_channels, &|listed| listed == channel || Some(listed) == parent.as_ref()) {
        return Listed::No(Needed::Channel);
    }
    // The role of everybody has the number of its guild.
    if !lists(&settings.allow_roles, &|listed| roles.contains(listed) || listed == guild) {
        return Listed::No(Needed::Role);
    }
    Listed::Yes
}

/// What a private repository takes: readers of the channel are few, and whoever asks may read and ask on GitHub.
async fn may_read(
    services: &Services,
    house: &House,
    request: &Request,
    repo: &RepoRef,
) -> Result<Result<(), Refusal>, PostError> {
    let Some(github) = &services.github else { return Err(PostError::Off) };
    if !github.is_private(repo).await? {
        return Ok(Ok(()));
    }
    let refused = |needed| Ok(Err(Refusal::NotAllowed { needed }));
    if matches!(request.place, Place::Discord { guild: Some(_), apart: None, .. }) {
        return refused(Needed::Apart);
    }
    let who = Who::of(request);
    let Some(login) = who.login(&services.pool).await? else { return refused(Needed::Account) };
    let permission: Permission = bridge::permission::<PostError>(&services.pool, github, repo, &who).await?;
    if permission < Permission::Read {
        return refused(Needed::Permission(Permission::Read));
    }
    repository::may_trigger_in(services, house, repo, &login, permission).await
}

/// Whether the author may set the model and the ceiling of a thread: who has a listed role, and who could on GitHub.
pub(super) async fn may_govern(services: &Services, house: &House, request: &Request) -> Result<bool, PostError> {
    let settings = services.settings.discord.as_ref().ok_or(PostError::Off)?;
    let in_guild = matches!(request.place, Place::Discord { guild: Some(_), .. });
    let has_role = |roles: &Vec<i64>| roles.iter().any(|role| request.with.roles.contains(role));
    if in_guild && settings.allow_roles.as_ref().is_some_and(has_role) {
        return Ok(true);
    }
    let (Some(repo), Some(github)) = (RepoRef::about(&request.place), &services.github) else { return Ok(false) };
    let who = Who::of(request);
    let Some(login) = who.login(&services.pool).await? else { return Ok(false) };
    let permission: Permission = bridge::permission::<PostError>(&services.pool, github, &repo, &who).await?;
    repository::may_govern_in(services, house, &repo, &login, permission).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::secret;

    fn settings(guilds: Option<&[i64]>, channels: Option<&[i64]>, roles: Option<&[i64]>) -> DiscordSettings {
        DiscordSettings {
            token: secret("t"),
            api_url: url::Url::parse("https://discord.com").expect("it is constant"),
            allow_guilds: guilds.map(<[i64]>::to_vec),
            allow_roles: roles.map(<[i64]>::to_vec),
            allow_channels: channels.map(<[i64]>::to_vec),
            guild_daily_budget_usd: None,
        }
    }

    fn place(guild: Option<i64>, channel: i64, parent: Option<i64>) -> Place {
        Place::Discord { guild, channel, parent, opening: None, person: None, repository: None, apart: None }
    }

    #[test]
    fn an_unset_list_is_everybody_and_an_empty_one_nobody() {
        let here = place(Some(1), 2, None);
        assert_eq!(listed(&settings(None, None, None), &here, &[]), Listed::Yes);
        assert_eq!(listed(&settings(Some(&[]), None, None), &here, &[]), Listed::No(Needed::Guild));
        assert_eq!(listed(&settings(None, Some(&[]), None), &here, &[]), Listed::No(Needed::Channel));
        assert_eq!(listed(&settings(None, None, Some(&[])), &here, &[7]), Listed::No(Needed::Role));
    }

    #[test]
    fn all_three_lists_count() {
        let all = settings(Some(&[1]), Some(&[2]), Some(&[7]));
        assert_eq!(listed(&all, &place(Some(1), 2, None), &[6, 7]), Listed::Yes);
        assert_eq!(listed(&all, &place(Some(1), 5, Some(2)), &[7]), Listed::Yes, "a thread is in its channel");
        assert_eq!(listed(&all, &place(Some(9), 2, None), &[7]), Listed::No(Needed::Guild));
        assert_eq!(listed(&all, &place(Some(1), 3, None), &[7]), Listed::No(Needed::Channel));
        assert_eq!(listed(&all, &place(Some(1), 2, None), &[6]), Listed::No(Needed::Role));
        assert_eq!(listed(&settings(None, None, Some(&[1])), &place(Some(1), 2, None), &[]), Listed::Yes, "everybody's role");
    }

    #[test]
    fn direct_messages_show_no_roles_and_no_channel() {
        let direct = place(None, 5, None);
        assert_eq!(listed(&settings(None, None, None), &direct, &[]), Listed::Yes);
        assert_eq!(listed(&settings(Some(&[1]), None, None), &direct, &[]), Listed::IfIn(&[1]));
        assert_eq!(listed(&settings(Some(&[1]), None, Some(&[7])), &direct, &[7]), Listed::No(Needed::NotDirect));
        assert_eq!(listed(&settings(None, Some(&[5]), None), &direct, &[]), Listed::No(Needed::NotDirect));
    }
}
