//! Approvals as jobs see them: shown in a comment, compared with what is there now, and their end told.

use super::{Services, bridge};
use crate::agent::store::Taken;
use crate::agent::{Powers, Task};
use crate::approval::store::{self, Approval, Ask};
use crate::approval::{Continues, Covers, Kind, OPEN_FOR, State};
use crate::discord;
use crate::github::{CommentId, GithubError, RepoRef};
use crate::id::ThreadId;
use crate::intake::{Place, Request};
use crate::reply::{self, AnswerView, ApprovalNote, CommentPost, PostError, Said, Spot};
use crate::storable;

/// Messages that show an approval, at the most.
const MOST_MESSAGES: i32 = 200;
/// Messages after the first one of an approval that are looked at together.
const MOST_NEAR: usize = 100;

/// Posts a plan, and lets it be approved from then on. Idempotent, as the post is.
pub(super) async fn show_plan(
    services: &Services,
    taken: &Taken,
    view: &AnswerView,
    post: &CommentPost<'_>,
) -> Result<CommentId, PostError> {
    if view.text.trim().is_empty() {
        let view = AnswerView { outcome: reply::Outcome::Answered, ..view.clone() };
        return services.poster.comment(post, &Said::Answer { view: &view, allowed: &[] }).await;
    }
    let (plan, mut shown) = reply::plan(view);
    let key = format!("plan-{}", taken.id);
    let covers = match store::find(&services.pool, &key).await? {
        // Asked before: that text is what is approved, whatever its receipts would link to by now.
        Some(known) => {
            shown = reply::plan(&AnswerView { text: known.covers.text.clone(), ..view.clone() }).1;
            known.covers
        }
        None => {
            // What the plan was made on, where that is known.
            let head = match &taken.request.head {
                Some(head) => Some(head.clone()),
                None => head(services, &taken.request.place).await?,
            };
            Covers { text: plan, request: taken.request.text.clone(), head }
        }
    };
    let continues = Continues {
        request: taken.request.clone(),
        task: Task::CarryOut { plan: covers.text.clone() },
        powers: Powers::Everything,
    };
    let now = services.clock.now();
    let ask = Ask {
        key: &key,
        thread: taken.thread,
        kind: Kind::Plan,
        run: Some(taken.id),
        covers: &covers,
        continues: Some(&continues),
        expires_at: now + OPEN_FOR,
    };
    let approval = store::ask(&services.pool, ask, now).await?;
    show(services, &approval, post, &shown).await
}

/// Posts what a run would land and may not, each in a comment of its own, and lets it be approved from then on. Idempotent, as the posts
/// are.
pub(super) async fn show_landing(services: &Services, taken: &Taken) -> Result<(), PostError> {
    for approval in store::unshown(&services.pool, taken.thread, taken.id, Kind::Workflows).await? {
        let key = format!("waits-{}", approval.id);
        let (place, spot) = (&taken.request.place, Spot::of(&taken.request));
        let post = CommentPost { key: &key, thread: taken.thread, run: Some(taken.id), kind: "card", about: None, place, spot };
        show(services, &approval, &post, &approval.covers.text).await?;
    }
    Ok(())
}

/// Posts a comment about an approval. `shown` must be safe Markdown; what secrets it holds are taken out.
pub(super) async fn show(
    services: &Services,
    approval: &Approval,
    post: &CommentPost<'_>,
    shown: &str,
) -> Result<CommentId, PostError> {
    let shown = services.poster.redactor().redact(shown).into_owned();
    let said = Said::Approval { shown: &shown, note: &note(services, approval) };
    let comment = services.poster.comment(post, &said).await?;
    store::shown(&services.pool, approval.id, post.key, &shown, services.clock.now()).await?;
    Ok(comment)
}

fn note<'a>(services: &'a Services, approval: &'a Approval) -> ApprovalNote<'a> {
    ApprovalNote {
        id: approval.id,
        kind: approval.kind,
        state: approval.state,
        digest: approval.digest.short(),
        handle: &services.settings.name,
        asker: approval.continues.as_ref().map(|continues| continues.request.author.login.as_str()),
        why: approval.why.as_deref(),
        decided_by: approval.decided_by.as_deref(),
        expires_at: approval.expires_at,
    }
}

/// The commit a conversation is about, when it is a pull request.
pub(super) async fn head(services: &Services, place: &Place) -> Result<Option<String>, PostError> {
    let Place::Github { is_pull_request: true, .. } = place else { return Ok(None) };
    let (github, (repo, number)) = target(services, place)?;
    match github.pull(&repo, number).await {
        Ok(pull) => Ok(Some(pull.head)),
        Err(GithubError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn target<'a>(services: &'a Services, place: &Place) -> Result<(&'a crate::github::Github, (RepoRef, i64)), PostError> {
    let github = services.github.as_deref().ok_or(PostError::Off)?;
    Ok((github, RepoRef::of(place).ok_or(PostError::Off)?))
}

/// Why what an approval covers is not what is there any more; none when it is. Asks GitHub, because notifications may be late.
pub(super) async fn changed(services: &Services, approval: &Approval) -> Result<Option<&'static str>, PostError> {
    let Some(continues) = &approval.continues else { return Ok(None) };
    let request = &continues.request;
    if approval.kind == Kind::Outsider {
        let (github, (repo, number)) = target(services, &request.place)?;
        match github.text_of(&repo, number, request.trigger).await? {
            None => return Ok(Some("The message was deleted after this was asked.")),
            Some(text) if !is_same(&text, &request.text) => return Ok(Some("The message was edited after this was asked.")),
            Some(_) => {}
        }
    }
    let is_at = head(services, &request.place).await?;
    let moved = approval.covers.head.is_some() && is_at != approval.covers.head;
    Ok(moved.then_some("The pull request has other commits than when this was asked."))
}

/// Line ends and what stands after the last word apart.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let mut text = text.replace("\r\n", "\n");
        storable::text(&mut text);
        text.trim_end().to_owned()
    };
    plain(one) == plain(other)
}

/// What stands in the comment that shows an approval.
pub(super) enum Seen {
    /// What we wrote; the moment it was written.
    AsWritten(chrono::DateTime<chrono::Utc>),
    /// Something else, or nothing any more.
    Otherwise,
}

/// Looks at the comment that shows an approval.
pub(super) async fn seen(services: &Services, approval: &Approval) -> Result<Seen, PostError> {
    let (Some(at), Some(shown), Some(key), Some(place)) =
        (approval.stands_at(), &approval.shown, &approval.post_key, place(services, approval).await?)
    else {
        return Ok(Seen::Otherwise);
    };
    if let Place::Discord { .. } = &place {
        return seen_on_discord(services, key).await;
    }
    let (github, (repo, _)) = target(services, &place)?;
    let found = github.comment(&repo, at).await?;
    let wanted = Said::Approval { shown, note: &note(services, approval) }.on_github(key);
    Ok(match found {
        Some(found) if found.is_ours && is_same(&found.body, &wanted) => Seen::AsWritten(found.updated_at),
        Some(_) | None => Seen::Otherwise,
    })
}

/// Nobody can edit a message of ours on Discord, but some may delete it. Every message it was shown in has to be there.
async fn seen_on_discord(services: &Services, key: &str) -> Result<Seen, PostError> {
    let discord = services.discord.as_ref().ok_or(PostError::Off)?;
    let places = bridge::store::messages_of(&services.pool, key, MOST_MESSAGES).await?;
    let Some((channel, first)) = places.first().copied() else { return Ok(Seen::Otherwise) };
    // They follow each other, so that a page or two has them.
    let page = discord::Page::After(discord::id(first.saturating_sub(1)));
    let near = match discord.messages(discord::id(channel), page, MOST_NEAR).await {
        Err(error) if error.is_transient() => return Err(error.into()),
        near => near.unwrap_or_default(),
    };
    let mut latest = chrono::DateTime::default();
    for (channel, message) in places {
        let found = match near.iter().find(|near| discord::number(near.id) == message) {
            Some(found) => Ok(found.clone()),
            None => discord.message(discord::id(channel), discord::id(message)).await,
        };
        match found {
            Ok(found) => latest = latest.max(written_at(&found)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::info!(post.key = key, %error, "what shows an approval is gone");
                return Ok(Seen::Otherwise);
            }
        }
    }
    Ok(Seen::AsWritten(latest))
}

fn written_at(message: &serenity::model::channel::Message) -> chrono::DateTime<chrono::Utc> {
    let at = message.edited_timestamp.unwrap_or(message.timestamp);
    chrono::DateTime::from_timestamp(at.unix_timestamp(), 0).unwrap_or_default()
}

async fn place(services: &Services, approval: &Approval) -> Result<Option<Place>, sqlx::Error> {
    match &approval.continues {
        Some(Continues { request: Request { place, .. }, .. }) => Ok(Some(place.clone())),
        None => crate::thread::place(&services.pool, approval.thread).await,
    }
}

/// Why a run that was approved must not begin after all; none when it may, or has begun.
pub(super) async fn withdrawn(services: &Services, taken: &Taken) -> Result<Option<String>, PostError> {
    let needs_a_yes = taken.powers == Powers::NothingLands || matches!(taken.task, Task::CarryOut { .. });
    if taken.snapshot.is_some() || !needs_a_yes {
        return Ok(None);
    }
    let Some(approval) = store::of_run(&services.pool, taken.id).await? else { return Ok(None) };
    let why = match changed(services, &approval).await {
        Ok(why) => why,
        Err(error) if super::run::later(&error, 0, services.clock.now()).is_some() => return Err(error),
        Err(error) => {
            tracing::warn!(run.id = %taken.id, %error, "what was approved cannot be compared");
            Some("I could not look at it again.")
        }
    };
    Ok(why.map(|why| format!("{why} Only what was approved may begin, so this did not. Ask for it again.")))
}

/// Ends what nobody decided in time, and lets the comments of what ended say so.
pub(super) async fn tell_ends(services: &Services) -> Result<(), sqlx::Error> {
    store::expire(&services.pool, services.clock.now()).await?;
    for approval in store::untold(&services.pool).await? {
        match tell_end(services, &approval).await {
            Err(PostError::Database(error)) => return Err(error),
            Err(error) if super::run::later(&error, 0, services.clock.now()).is_some() => {
                tracing::info!(approval.id = %approval.id, %error, "its end is not told yet");
            }
            Ok(()) | Err(_) => store::told(&services.pool, approval.id).await?,
        }
    }
    Ok(())
}

async fn tell_end(services: &Services, approval: &Approval) -> Result<(), PostError> {
    // The comment of an outsider's request has become that of the run.
    let is_run = approval.kind == Kind::Outsider && approval.state == State::Approved;
    let (Some(shown), Some(key), Some(place)) = (&approval.shown, &approval.post_key, place(services, approval).await?) else {
        return Ok(());
    };
    if is_run {
        return Ok(());
    }
    let post = post(key, approval.thread, &place);
    services.poster.edit(&post, &Said::Approval { shown, note: &note(services, approval) }).await
}

fn post<'a>(key: &'a str, thread: ThreadId, place: &'a Place) -> CommentPost<'a> {
    CommentPost { key, thread, run: None, kind: "card", about: None, place, spot: Spot::default() }
}

/// A sentence about how the last approval of a thread ended.
pub(super) fn how_it_ended(approval: &Approval) -> Option<String> {
    let what = describe(approval);
    let by = approval.decided_by.as_deref().unwrap_or("somebody with permission");
    match approval.state {
        State::Waiting => None,
        State::Approved => Some(format!("The last one, {what}, was approved by {by}.")),
        State::Declined => Some(format!("The last one, {what}, was declined by {by}.")),
        State::Void => Some(format!("The last one, {what}, is void: {}", approval.why.as_deref().unwrap_or_default())),
        State::Replaced => Some(format!("The last one, {what}, was replaced.")),
        State::Expired => Some(format!("The last one, {what}, was not decided in time.")),
    }
}

/// What waits, in a few words.
pub(super) fn describe(approval: &Approval) -> String {
    let asker = approval.continues.as_ref().map_or("somebody", |continues| continues.request.author.login.as_str());
    let what = match approval.kind {
        Kind::Plan => "the plan".to_owned(),
        Kind::Outsider => format!("what {asker} asks"),
        Kind::Workflows => "changes that need maintain permission".to_owned(),
    };
    format!("{what} ({})", approval.digest.short())
}
