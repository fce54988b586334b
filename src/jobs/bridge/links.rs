//! Which repository a conversation on Discord is about: a channel, forum, thread or direct conversation is linked to one by somebody who
//! may write there. A thread without a link of its own goes by its channel's.

use super::store::{self, OnGithub};
use super::{Who, audience};
use crate::github::{Github, RepoRef, Seen};
use crate::intake::{Linked, Place, Request};
use crate::jobs::Services;
use crate::reply::{BridgeCard, Card, PostError, Whole};
use crate::settings::Permission;

/// The place with what the gate fills in: the repository, who asks on GitHub, and who alone reads it. A place on GitHub is as it is.
pub(in crate::jobs) async fn placed(services: &Services, request: &Request) -> Result<Place, sqlx::Error> {
    let mut place = request.place.clone();
    let Place::Discord { channel, parent, opening, .. } = &place else { return Ok(place) };
    // The conversation itself first; a mention in a channel opens its thread there.
    let mut channels = vec![opening.unwrap_or(*channel), *channel];
    channels.extend(*parent);
    let mut linked = store::linked(&services.pool, &channels).await?;
    if let Some(linked) = &mut linked {
        linked.login = Who::of(request).login(&services.pool).await?;
    }
    let readers = audience::apart(services, &place).await?;
    if let Place::Discord { repository, apart, .. } = &mut place {
        (*repository, *apart) = (linked, readers);
    }
    Ok(place)
}

/// Links where a request was made to a repository; `name` is `owner/name`. Whether a repository exists that they may not write to is not
/// told.
pub(in crate::jobs) async fn link(services: &Services, request: &Request, name: &str) -> Result<Card, PostError> {
    let Place::Discord { .. } = &request.place else {
        let why = "A repository is linked to a channel on Discord; on GitHub a conversation has one.";
        return Ok(not_linked(why));
    };
    match may_link(services, request, name).await? {
        Err(why) => Ok(not_linked(&why)),
        Ok(seen) => {
            let linked = as_linked(&seen.repo);
            let (guild, at, whole) = whole(&request.place);
            store::link(&services.pool, (guild, at), &linked, request.author.id, services.clock.now()).await?;
            let what = BridgeCard::Repository { name: linked.full_name, whole, private: seen.is_private };
            Ok(Card::Bridge { what })
        }
    }
}

/// Links the conversation itself, and not its channel, to a repository that was found to be theirs to link.
pub(super) async fn link_conversation(services: &Services, request: &Request, repo: &RepoRef) -> Result<(), PostError> {
    if let Place::Discord { guild, channel, opening, .. } = &request.place {
        let at = (*guild, opening.unwrap_or(*channel));
        store::link(&services.pool, at, &as_linked(repo), request.author.id, services.clock.now()).await?;
    }
    Ok(())
}

/// Takes the link of a channel or thread back. Whoever made it may, and whoever may write to what it is linked to.
pub(in crate::jobs) async fn unlink(services: &Services, request: &Request) -> Result<Card, PostError> {
    let Place::Discord { .. } = &request.place else {
        return Ok(not_linked("On GitHub a conversation has its repository."));
    };
    let (_, at, _) = whole(&request.place);
    let pool = &services.pool;
    let (Some(by), Some(linked)) = (store::linked_by(pool, at).await?, store::linked(pool, &[at]).await?) else {
        return Ok(Card::Bridge { what: BridgeCard::NoRepository { was: false } });
    };
    if by != request.author.id {
        let github = services.github.as_ref().ok_or(PostError::Off)?;
        let repo = RepoRef { full_name: linked.full_name, id: linked.id, installation: linked.installation };
        let may: Permission = super::permission::<PostError>(pool, github, &repo, &Who::of(request)).await?;
        if may < Permission::Write {
            let why = "Who linked it can undo that, or somebody whose linked account may write to the repository.";
            return Ok(not_linked(why));
        }
    }
    let was = store::unlink(pool, at).await?;
    Ok(Card::Bridge { what: BridgeCard::NoRepository { was } })
}

/// The repository, when whoever asks may link this conversation to it; else why not.
pub(super) async fn may_link(services: &Services, request: &Request, name: &str) -> Result<Result<Seen, String>, PostError> {
    let Some(github) = &services.github else {
        return Ok(Err("GitHub is not connected here, so there is no repository to link.".to_owned()));
    };
    let handle = &services.settings.name;
    let Some(known) = store::on_github(&services.pool, request.author.id).await? else {
        return Ok(Err(format!(
            "I need to know who you are on GitHub, because only people with write permission may link a repository. Write `@{handle} link account` first."
        )));
    };
    let Some(seen) = writable(github, &known, name).await? else {
        let name: String = name.chars().take(100).filter(|c| *c != '`').collect();
        return Ok(Err(format!(
            "There is no repository `{name}` where I work and your account on GitHub ({}) has write permission.",
            known.login
        )));
    };
    if seen.is_private && is_open(&request.place) {
        return Ok(Err(
            "The repository is private, and everybody in this server reads here. Link it in a channel that only those see who may read the repository, or in direct messages."
                .to_owned(),
        ));
    }
    Ok(Ok(seen))
}

/// A repository where we work and they may write.
async fn writable(github: &Github, known: &OnGithub, name: &str) -> Result<Option<Seen>, PostError> {
    let Some(seen) = github.find(name).await? else { return Ok(None) };
    let may = github.permission_of(&seen.repo, (known.id, &known.login)).await?;
    Ok((may >= Permission::Write).then_some(seen))
}

/// Whether everybody in a guild reads a conversation there.
pub(super) fn is_open(place: &Place) -> bool {
    matches!(place, Place::Discord { guild: Some(_), apart: None, .. })
}

fn as_linked(repo: &RepoRef) -> Linked {
    Linked { id: repo.id, full_name: repo.full_name.clone(), installation: repo.installation, login: None }
}

/// Guild and number of what a link is made for: the channel where the conversation has none of its own yet, else the thread.
fn whole(place: &Place) -> (Option<i64>, i64, Whole) {
    match place {
        Place::Discord { guild: None, channel, .. } => (None, *channel, Whole::Direct),
        Place::Discord { guild, channel, parent: Some(_), .. } => (*guild, *channel, Whole::Thread),
        Place::Discord { guild, channel, parent: None, .. } => (*guild, *channel, Whole::Channel),
        Place::Github { repository_id, .. } => (None, *repository_id, Whole::Thread),
    }
}

pub(super) fn not_linked(why: &str) -> Card {
    Card::NotLinked { why: why.to_owned() }
}
