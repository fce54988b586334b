//! Which repository a conversation on Discord is about: a channel, forum, thread or direct conversation is linked to one by somebody who
//! may write there. A thread without a link of its own goes by its channel's.

use super::store::{self, OnGithub};
use super::{Who, audience};
use crate::github::{Github, RepoRef, Seen};
use crate::id::ThreadId;
use crate::intake::{Linked, Place, Request, Surface};
use crate::jobs::Services;
use crate::reply::{BridgeCard, Card, PostError, Whole};
use crate::settings::Permission;

/// The place with what the gate fills in: the repository, who asks on GitHub, and who alone reads it. A place on GitHub is as it is.
pub(in crate::jobs) async fn placed(services: &Services, request: &Request) -> Result<Place, sqlx::Error> {
    let mut place = request.place.clone();
    let Place::Discord { channel, parent, opening, .. } = &place else { return Ok(place) };
    let mut linked = store::linked(&services.pool, &channels(*channel, *parent, *opening)).await?;
    if let Some(linked) = &mut linked {
        linked.login = Who::of(request).login(&services.pool).await?;
    }
    let readers = audience::apart(services, &place).await?;
    if let Place::Discord { repository, apart, .. } = &mut place {
        (*repository, *apart) = (linked, readers);
    }
    Ok(place)
}

/// Whose link counts in a conversation: its own first; a mention in a channel opens its thread there.
fn channels(channel: i64, parent: Option<i64>, opening: Option<i64>) -> Vec<i64> {
    [Some(opening.unwrap_or(channel)), Some(channel), parent].into_iter().flatten().collect()
}

/// Links where a request was made to a repository; `name` is `owner/name`. Whether a repository exists that they may not write to is not
/// told.
pub(in crate::jobs) async fn link(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    name: &str,
) -> Result<Card, PostError> {
    let Place::Discord { .. } = &request.place else {
        let why = "A repository is linked to a channel on Discord; on GitHub a conversation has one.";
        return Ok(not_linked(why));
    };
    let (guild, at, whole) = whole(&request.place);
    match may_link(services, thread, request, (at, name)).await? {
        Err(why) => Ok(not_linked(&why)),
        Ok(seen) => {
            let linked = as_linked(&seen.repo);
            store::link(&services.pool, (guild, at), &linked, request.author.id, services.clock.now()).await?;
            let what = BridgeCard::Repository { name: linked.full_name, whole, private: seen.is_private };
            Ok(Card::Bridge { what })
        }
    }
}

/// Links the conversation itself, and not its channel; else why not. Nothing to do where it is linked to that repository already.
pub(in crate::jobs) async fn link_conversation(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    name: &str,
) -> Result<Result<(), String>, PostError> {
    let seen = match may_link_conversation(services, thread, request, name).await? {
        Ok(seen) => seen,
        Err(why) => return Ok(Err(why)),
    };
    if RepoRef::about(&request.place).is_none_or(|here| here.id != seen.repo.id) {
        set_conversation(services, request, &seen.repo).await?;
    }
    Ok(Ok(()))
}

/// The repository, when whoever asks may link this conversation to it; else why not.
pub(super) async fn may_link_conversation(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    name: &str,
) -> Result<Result<Seen, String>, PostError> {
    let Place::Discord { channel, opening, .. } = &request.place else {
        return Ok(Err("On GitHub a conversation has its repository.".to_owned()));
    };
    may_link(services, thread, request, (opening.unwrap_or(*channel), name)).await
}

/// Links the conversation itself to a repository that was found to be theirs to link.
pub(super) async fn set_conversation(services: &Services, request: &Request, repo: &RepoRef) -> Result<(), PostError> {
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
    let repo = RepoRef { full_name: linked.full_name, id: linked.id, installation: linked.installation };
    if by != request.author.id && !may_write(services, request, &repo).await? {
        return Ok(not_linked("Who linked it can undo that, or somebody whose linked account may write to the repository."));
    }
    let was = store::unlink(pool, at).await?;
    Ok(Card::Bridge { what: BridgeCard::NoRepository { was } })
}

async fn may_write(services: &Services, request: &Request, repo: &RepoRef) -> Result<bool, PostError> {
    let github = services.github.as_ref().ok_or(PostError::Off)?;
    let may: Permission = super::permission::<PostError>(&services.pool, github, repo, &Who::of(request)).await?;
    Ok(may >= Permission::Write)
}

/// Why what is linked to one repository may not be linked to another by whoever asks; none where it may.
async fn is_others(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    (at, to): (i64, &RepoRef),
) -> Result<Option<String>, PostError> {
    let Place::Discord { channel, parent, opening, .. } = &request.place else { return Ok(None) };
    let joined = store::elsewhere(&services.pool, thread, Surface::Discord).await?;
    if joined.iter().filter_map(RepoRef::about).any(|of| of.id != to.id) {
        return Ok(Some("This conversation is joined with one on GitHub, so it stays with the repository of that.".to_owned()));
    }
    let Some(here) = RepoRef::about(&request.place).filter(|here| here.id != to.id) else { return Ok(None) };
    // A conversation that begins with this is nobody's yet.
    if *opening == Some(at) {
        return Ok(None);
    }
    let by = store::linker(&services.pool, &channels(*channel, *parent, *opening)).await?;
    if by == Some(request.author.id) || may_write(services, request, &here).await? {
        return Ok(None);
    }
    Ok(Some(
        "It is linked to another repository. Who linked it can change that, or somebody whose linked account may write there."
            .to_owned(),
    ))
}

/// The repository, when whoever asks may link what has the number `at` to it; else why not.
async fn may_link(
    services: &Services,
    thread: ThreadId,
    request: &Request,
    (at, name): (i64, &str),
) -> Result<Result<Seen, String>, PostError> {
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
    Ok(is_others(services, thread, request, (at, &seen.repo)).await?.map_or(Ok(seen), Err))
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
