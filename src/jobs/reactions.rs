//! Reactions as buttons: nobody tells of them, so the comments that wait for one are looked at, often at first and then ever less.
//!
//! A reaction that means something becomes a request like any other and passes the same gate, once: its number is the delivery's id.
//! Beside that, what else must be made visible without anybody asking: how approvals ended, places in line, reactions that are owed,
//! ends of runs that do not show everywhere yet.

mod store;

use self::store::Due;
pub(super) use self::store::owe;
use super::{Services, approvals, ends};
use crate::agent::store as runs;
use crate::approval;
use crate::github::{GithubError, Given, RepoRef};
use crate::intake::{self, Asks, Button, Delivery, Place, Request, Surface, Trigger, With};
use crate::reply::{CommentPost, LiveState, LiveView, PostError, Said, Spot, answer_key};

/// Works until nothing is due.
pub(super) async fn work(services: Services) {
    if let Err(error) = look(&services).await {
        tracing::warn!(%error, "cannot look for reactions");
    }
}

async fn look(services: &Services) -> Result<(), sqlx::Error> {
    approvals::tell_ends(services).await?;
    // Elsewhere people press buttons.
    while services.github.is_some() && !services.shutdown.is_cancelled() {
        let due = store::due(&services.pool, services.clock.now()).await?;
        if due.is_empty() {
            break;
        }
        for comment in due {
            match look_at(services, &comment).await {
                Ok(()) => {}
                Err(PostError::Database(error)) => return Err(error),
                // The next look makes up for it.
                Err(error) => tracing::info!(post = comment.key, %error, "the reactions on a comment are not known"),
            }
        }
    }
    owed(services).await?;
    ends::owed(services).await?;
    places_in_line(services).await
}

async fn look_at(services: &Services, due: &Due) -> Result<(), PostError> {
    if let Some(id) = due.suspected
        && let Some(approval) = approval::store::get(&services.pool, id).await?
    {
        match approvals::changed(services, &approval).await? {
            Some(why) => {
                approval::store::void(&services.pool, id, why, services.clock.now()).await?;
                approvals::tell_ends(services).await?;
                return Ok(());
            }
            None => approval::store::cleared(&services.pool, id).await?,
        }
    }
    let github = services.github.as_deref().ok_or(PostError::Off)?;
    let Some((repo, _)) = RepoRef::of(&due.place) else { return Ok(()) };
    let us = github.identity().await?;
    // No comes first: whoever pressed both has at least not clearly said yes.
    let buttons = [(Button::No, "-1"), (Button::Yes, "+1")];
    for (button, content) in buttons.into_iter().filter(|(button, _)| *button == Button::No || due.is_approval) {
        let given = match github.reactions(&repo, due.at, content).await {
            Ok(given) => given,
            Err(GithubError::NotFound) => return Ok(store::forget(&services.pool, &due.key).await?),
            Err(error) => return Err(error.into()),
        };
        for given in given {
            let author = given.author.clone().filter(|author| !author.is_bot && !us.is(author));
            let Some(author) = author else { continue };
            let (delivery, request) = pressed(due, button, &given, author);
            intake::accept_found(&services.pool, &delivery, &request, services.clock.now()).await?;
            services.bells.gate.ring();
        }
    }
    Ok(())
}

fn pressed(due: &Due, button: Button, given: &Given, author: intake::Author) -> (Delivery, Request) {
    let external_id = format!("reaction:{}:{}", due.comment, given.id);
    let delivery = Delivery { surface: Surface::Github, external_id, kind: "reaction".to_owned(), object: None, was_also: None };
    let text = match button {
        Button::Yes => "👍",
        Button::No => "👎",
    };
    let request = Request {
        place: due.place.clone(),
        trigger: Trigger::Event,
        from_fork: false,
        opened_by: None,
        with: With::default(),
        author,
        text: text.to_owned(),
        title: String::new(),
        body: None,
        url: String::new(),
        written_at: given.at,
        asks: Asks::Reaction { comment: due.comment, button },
        head: None,
        review_thread: None,
    };
    (delivery, request)
}

/// Reactions at the end of runs that did not work at once.
async fn owed(services: &Services) -> Result<(), sqlx::Error> {
    for owing in store::owing(&services.pool, services.clock.now()).await? {
        match services.poster.react(&owing.request, owing.reaction).await {
            Err(PostError::Database(error)) => return Err(error),
            // The next sweep tries again. What others wait for may be elsewhere, and to be had.
            Err(error) if super::run::later(&error, 0, services.clock.now()).is_some() => {
                tracing::debug!(run.id = %owing.run, %error, "no reaction to the trigger yet");
            }
            Ok(()) | Err(_) => store::paid(&services.pool, owing.run).await?,
        }
    }
    Ok(())
}

/// The comments of runs that wait for a slot say how many are before them. The thread's lease is held meanwhile, so that no worker writes to
/// the same comment.
async fn places_in_line(services: &Services) -> Result<(), sqlx::Error> {
    let slots = i64::from(services.settings.limits.max_concurrent_runs);
    const MOST: usize = 20;
    for _ in 0..MOST {
        // One at a time: the lease lasts one call.
        let Some(moved) = store::moved(&services.pool, slots, &services.holder, super::run::LEASE).await? else { break };
        let shown = show_place(services, &moved.place, moved.run, moved.thread, moved.position).await;
        if let Err(error) = shown {
            tracing::info!(run.id = %moved.run, %error, "its place in line is not shown");
        }
        runs::release(&services.pool, moved.run, moved.epoch, services.clock.now()).await?;
        services.bells.runs.ring();
    }
    Ok(())
}

async fn show_place(
    services: &Services,
    place: &Place,
    run: crate::id::RunId,
    thread: crate::id::ThreadId,
    position: i32,
) -> Result<(), PostError> {
    let key = answer_key(run);
    let post = CommentPost { key: &key, thread, run: Some(run), kind: "answer", about: None, place, spot: Spot::default() };
    let state = LiveState::Queued { position: u32::try_from(position).unwrap_or(1) };
    services.poster.edit(&post, &Said::Live(&LiveView { state, ..LiveView::default() })).await
}
