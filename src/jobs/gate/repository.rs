//! What the repository's own file means for letting somebody in, and saying once what is wrong with it.

use super::discord;
use super::store::{Claimed, Standing};

use crate::github::{GithubError, REPOSITORY_FILE, RepoRef};
use crate::intake::command::Command;
use crate::intake::policy::{self, Here, Refusal};
use crate::intake::{Place, Request};
use crate::jobs::Services;
use crate::jobs::house::House;
use crate::reply::{Card, CommentPost, HouseCard, PostError, Said, Spot};
use crate::settings::{Allow, Permission};

/// Whether the author of a request may trigger here: what the operator says, then what the repository's default branch says.
pub(super) async fn may_trigger(services: &Services, house: &House, request: &Request) -> Result<Result<(), Refusal>, PostError> {
    if let Place::Discord { .. } = &request.place {
        return discord::may_trigger(services, house, request).await;
    }
    let Some(github) = &services.github else { return Err(PostError::Off) };
    let login = &request.author.login;
    let Some((repo, _)) = RepoRef::of(&request.place) else { return Err(PostError::Off) };
    let mut permission = Permission::None;
    if matches!(services.settings.allow, Allow::Permission(_)) || house.facts.file.allow.permission.is_some() {
        permission = github.permission(&repo, login).await?;
    }
    may_trigger_in(services, house, &repo, login, permission).await
}

/// The same for somebody of whom GitHub says that they have this permission.
pub(super) async fn may_trigger_in(
    services: &Services,
    house: &House,
    repo: &RepoRef,
    login: &str,
    permission: Permission,
) -> Result<Result<(), Refusal>, PostError> {
    let Some(github) = &services.github else { return Err(PostError::Off) };
    let allow = &services.settings.allow;
    let file = &house.facts.file.allow;
    let mut standing = policy::Standing { permission, member: false };
    if *allow == Allow::Member {
        standing.member = github.is_member(repo, login).await?;
    }
    let mut here = Here { users: &file.users, in_team: false, permission: file.permission };
    let decided = policy::may_trigger_here(allow, here, login, standing);
    if decided.is_ok() || file.teams.is_empty() {
        return Ok(decided);
    }
    here.in_team = is_in_team(services, house, repo, login).await?;
    Ok(policy::may_trigger_here(allow, here, login, standing))
}

/// Whether the author may set the model and the ceiling of a thread.
pub(super) async fn may_govern(services: &Services, house: &House, request: &Request) -> Result<bool, PostError> {
    if let Place::Discord { .. } = &request.place {
        return discord::may_govern(services, house, request).await;
    }
    let Some(github) = &services.github else { return Err(PostError::Off) };
    let Some((repo, _)) = RepoRef::of(&request.place) else { return Err(PostError::Off) };
    let permission = github.permission(&repo, &request.author.login).await?;
    may_govern_in(services, house, &repo, &request.author.login, permission).await
}

/// The same for somebody of whom GitHub says that they have this permission.
pub(super) async fn may_govern_in(
    services: &Services,
    house: &House,
    repo: &RepoRef,
    login: &str,
    permission: Permission,
) -> Result<bool, PostError> {
    let (allow, file) = (&services.settings.allow, &house.facts.file.allow);
    let mut here = Here { users: &file.users, in_team: false, permission: file.permission };
    if !policy::may_govern(allow, here, login, permission) && !file.teams.is_empty() {
        here.in_team = is_in_team(services, house, repo, login).await?;
    }
    Ok(policy::may_govern(allow, here, login, permission))
}

/// Where we may not look, nobody is taken for a member.
async fn is_in_team(services: &Services, house: &House, repo: &RepoRef, login: &str) -> Result<bool, PostError> {
    let Some(github) = &services.github else { return Err(PostError::Off) };
    match github.is_in_team(repo, &house.facts.file.allow.teams, login).await {
        Err(error @ (GithubError::Forbidden { .. } | GithubError::Invalid(_))) => {
            tracing::warn!(repository = repo.full_name, %error, "who is in the teams of the repository's file cannot be looked up");
            Ok(false)
        }
        known => Ok(known?),
    }
}

/// True when a bot is named by the repository, where the operator leaves that to it.
pub(super) fn names_bot(services: &Services, house: &House, login: &str) -> bool {
    let names = house.facts.file.allow.users.iter().any(|user| user.eq_ignore_ascii_case(login));
    names && !matches!(services.settings.allow, Allow::Logins(_))
}

/// What is said where a mention in free words does not count here. During a run it steers all the same: that was begun in another way.
pub(super) fn mentions_off(
    services: &Services,
    house: &House,
    request: &Request,
    command: &Command,
    standing: &Standing,
) -> Option<Card> {
    let triggers = &house.facts.file.triggers;
    let in_free_words = matches!(command, Command::Ask { .. }) && request.asks == crate::intake::Asks::Words;
    let counts = triggers.mention || !in_free_words || standing.active.is_some();
    (!counts).then(|| {
        let card = HouseCard::MentionsOff { handle: services.settings.name.clone(), label: triggers.label.clone() };
        Card::House { what: card }
    })
}

/// Says what is wrong with the repository's file: once in each thread for each version of the file.
pub(super) async fn report(services: &Services, claimed: &Claimed, house: &House) -> Result<(), PostError> {
    let Some(digest) = house.facts.file_digest.as_ref().filter(|_| !house.problems.is_empty()) else { return Ok(()) };
    let key = format!("file-{}-{digest}", claimed.thread);
    if services.poster.is_posted(&key).await? {
        return Ok(());
    }
    let problems = house.problems.iter().map(|problem| (problem.line, problem.reason.clone())).collect();
    let what = Card::House { what: HouseCard::WrongFile { path: REPOSITORY_FILE.to_owned(), problems } };
    let place = &claimed.request.place;
    let post = CommentPost {
        key: &key,
        thread: claimed.thread,
        run: None,
        kind: "notice",
        about: None,
        place,
        spot: Spot::of(&claimed.request),
    };
    services.poster.comment(&post, &Said::Card(&what)).await?;
    Ok(())
}
