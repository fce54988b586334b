//! What goes on in a conversation, shown on its other surface: one short message for each run there, edited while it works and when it
//! ends. It is ours, so it is never taken in as a request, and nothing is mirrored back.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{join, store};
use crate::agent::store::Taken;
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::intake::{Place, Request, Surface};
use crate::jobs::Services;
use crate::reply::{AnswerView, BridgeCard, Card, CommentPost, LiveView, Mirrored, Outcome, PostError, Said, Spot, Step};

/// Between two edits: nobody waits for this one.
const BETWEEN_EDITS: Duration = Duration::from_secs(5);

/// The key of what is shown of a run on another surface.
fn key(run: RunId, surface: Surface) -> String {
    format!("run-{run}-{}", surface.as_str())
}

/// Where else a run is shown: the pull request its work landed in, else the issue; or the thread on Discord. What nobody asked for is
/// shown where it came from alone.
async fn elsewhere(services: &Services, thread: ThreadId, request: &Request) -> Result<Option<Place>, sqlx::Error> {
    if request.asks.is_automatic() {
        return Ok(None);
    }
    let places = store::elsewhere(&services.pool, thread, request.place.surface()).await?;
    let rank = |place: &Place| match place {
        Place::Github { is_pull_request, number, .. } => (*is_pull_request, *number),
        Place::Discord { channel, .. } => (false, *channel),
    };
    let Some(place) = places.into_iter().max_by_key(rank) else { return Ok(None) };
    match join::parted(services, [&request.place, &place]).await {
        Ok(None) => Ok(Some(place)),
        Ok(Some(why)) => {
            tracing::warn!(thread.id = %thread, why, "a run is not shown elsewhere any more");
            Ok(None)
        }
        Err(PostError::Database(error)) => Err(error),
        Err(error) => {
            tracing::warn!(thread.id = %thread, %error, "a run is not shown elsewhere: who reads there is not known");
            Ok(None)
        }
    }
}

/// Keeps what is shown elsewhere up to date until it is finished. Dropped before, it shows nothing any more.
pub(in crate::jobs) struct Mirror {
    enough: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mirror {
    /// Starts to follow a run.
    pub fn follow(services: &Services, taken: &Taken, views: watch::Receiver<LiveView>) -> Self {
        let enough = CancellationToken::new();
        let (services, end) = (services.clone(), enough.clone());
        let (run, thread, epoch) = (taken.id, taken.thread, taken.epoch);
        let (request, what) = (taken.request.clone(), begun(&taken.request));
        let task = tokio::spawn(async move {
            let place = match elsewhere(&services, thread, &request).await {
                Ok(Some(place)) => place,
                Ok(None) => return,
                Err(error) => return tracing::info!(run.id = %run, %error, "a run is not shown elsewhere"),
            };
            let key = key(run, place.surface());
            let post = post(&key, thread, run, &place);
            keep_showing(&services, (&post, epoch), what, views, end).await;
        });
        Self { enough, task }
    }

    /// Stops, and waits for an edit that is under way.
    pub async fn finish(mut self) {
        self.enough.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "what shows a run elsewhere failed");
        }
    }
}

async fn keep_showing(
    services: &Services,
    (post, epoch): (&CommentPost<'_>, LeaseEpoch),
    begun: Mirrored,
    mut views: watch::Receiver<LiveView>,
    end: CancellationToken,
) {
    let mut shown = None;
    loop {
        let mut view = views.borrow_and_update().clone();
        services.poster.redactor().live(&mut view);
        let steps = view.steps.into_iter().map(|step| (step.label, Step::from(step.state))).collect();
        let what = Mirrored { steps, ..begun.clone() };
        // As with the live comment: another worker may have shown the end already.
        if shown.as_ref() != Some(&what) && services.poster.holds(post.thread, epoch).await {
            if let Err(error) = say(services, post, &what).await {
                tracing::info!(post.key = post.key, %error, "a run is not shown elsewhere yet");
            }
            shown = Some(what);
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = views.changed() => if changed.is_err() { return },
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(BETWEEN_EDITS) => {}
        }
    }
}

/// Shows elsewhere how a run ended. Idempotent.
///
/// # Errors
/// As the post.
pub(in crate::jobs) async fn ended(
    services: &Services,
    (run, thread): (RunId, ThreadId),
    request: &Request,
    view: &AnswerView,
) -> Result<(), PostError> {
    let Some(place) = elsewhere(services, thread, request).await? else { return Ok(()) };
    let key = key(run, place.surface());
    say(services, &post(&key, thread, run, &place), &over(request, view)).await
}

async fn say(services: &Services, post: &CommentPost<'_>, what: &Mirrored) -> Result<(), PostError> {
    let card = Card::Bridge { what: BridgeCard::Mirrored { what: what.clone() } };
    services.poster.comment(post, &Said::Card(&card)).await.map(drop)
}

fn post<'a>(key: &'a str, thread: ThreadId, run: RunId, place: &'a Place) -> CommentPost<'a> {
    CommentPost { key, thread, run: Some(run), kind: "mirror", about: None, place, spot: Spot::default() }
}

fn begun(request: &Request) -> Mirrored {
    Mirrored {
        surface: match request.place.surface() {
            Surface::Github => "GitHub",
            Surface::Discord => "Discord",
            Surface::Web => "the console",
            Surface::Cli => "the terminal",
        }
        .to_owned(),
        login: request.author.login.clone(),
        url: request.url.clone(),
        asked: request.text.clone(),
        steps: Vec::new(),
        ended: None,
        answer: String::new(),
        pulls: Vec::new(),
    }
}

fn over(request: &Request, view: &AnswerView) -> Mirrored {
    let ended = match &view.outcome {
        Outcome::Answered => "Answered",
        Outcome::NeedsApproval => "Waits for a yes",
        Outcome::NeedsAnswer { .. } => "Asks back",
        Outcome::Withdrawn { .. } => "Withdrawn",
        Outcome::Limit { .. } => "Ended at a limit",
        Outcome::Stopped { .. } => "Stopped",
        Outcome::Failed { .. } => "Failed",
    };
    let mut pulls: Vec<(i64, String)> =
        view.landed.iter().filter_map(|landed| Some((landed.pull_request?, landed.url.clone()?))).collect();
    pulls.dedup();
    Mirrored { ended: Some(ended.to_owned()), answer: view.text.clone(), pulls, ..begun(request) }
}
