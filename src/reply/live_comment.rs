//! The live comment while a run works: edited when something changed, but not more often than people and limits bear.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::post::{CommentPost, Poster, Spot};
use super::{LiveView, Said, live};
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::intake::Place;

/// A run that ends within this time is never shown half-way: its comment becomes the answer directly.
const FIRST_EDIT: Duration = Duration::from_millis(1_500);
/// GitHub asks for a second between writes, and allows 80 a minute for everything we do there.
const BETWEEN_EDITS_ON_GITHUB: Duration = Duration::from_secs(4);
/// Discord takes five edits in five seconds in a channel.
const BETWEEN_EDITS_ON_DISCORD: Duration = Duration::from_millis(1_200);
/// What shows that we type lasts ten seconds.
const TYPES_EVERY: Duration = Duration::from_secs(8);

/// Whose comment.
#[derive(Clone, Copy, Debug)]
pub struct LiveOf {
    /// The thread.
    pub thread: ThreadId,
    /// Its run.
    pub run: RunId,
    /// The lease under which it is worked on.
    pub epoch: LeaseEpoch,
}

/// Keeps a run's comment up to date in the background until it is finished.
///
/// Dropped before that (the run was handed over), it edits nothing any more: another worker may be writing the answer.
#[derive(Debug)]
pub struct LiveComment {
    enough: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Drop for LiveComment {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl LiveComment {
    /// Starts to follow `views`. The comment must have been created. It is edited only while the thread's lease is this run's: a worker
    /// that slept through its lease wakes with an edit that is due.
    pub fn follow(poster: Poster, of: LiveOf, (place, spot): (Place, Spot), mut views: watch::Receiver<LiveView>) -> Self {
        let enough = CancellationToken::new();
        let end = enough.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = edit(&poster, of, (&place, spot), &mut views, &end) => {}
                () = keep_typing(&poster, of.run, &place) => {}
            }
        });
        Self { enough, task: Some(task) }
    }

    /// Stops editing and waits for an edit that is under way, so that none can arrive after the answer.
    pub async fn finish(mut self) {
        self.enough.cancel();
        if let Some(task) = &mut self.task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the live comment's task failed");
        }
    }
}

async fn edit(
    poster: &Poster,
    LiveOf { thread, run, epoch }: LiveOf,
    (place, spot): (&Place, Spot),
    views: &mut watch::Receiver<LiveView>,
    end: &CancellationToken,
) {
    let key = answer_key(run);
    let post = CommentPost { key: &key, thread, run: Some(run), kind: "answer", about: None, place, spot };
    let mut pause = FIRST_EDIT;
    let mut shown = String::new();
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = between_edits(place);
        let mut view = views.borrow_and_update().clone();
        view.words = view.words.as_deref().map(whole_words);
        poster.redactor().live(&mut view);
        let body = live(&view, &key);
        if body != shown && poster.holds(thread, epoch).await {
            // An edit that fails is made up for by the next one, and by the answer at the latest.
            if let Err(error) = poster.edit(&post, &Said::Live(&view)).await {
                tracing::info!(run.id = %run, %error, "the live comment was not edited");
            }
            shown = body;
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = views.changed() => if changed.is_err() { return },
        }
    }
}

fn between_edits(place: &Place) -> Duration {
    match place {
        Place::Github { .. } => BETWEEN_EDITS_ON_GITHUB,
        Place::Discord { .. } => BETWEEN_EDITS_ON_DISCORD,
    }
}

/// Shows that somebody is at work for as long as it is asked for.
async fn keep_typing(poster: &Poster, run: RunId, place: &Place) {
    tokio::time::sleep(FIRST_EDIT).await;
    loop {
        if let Err(error) = poster.show_typing(place).await {
            tracing::debug!(run.id = %run, %error, "nobody sees us type");
        }
        tokio::time::sleep(TYPES_EVERY).await;
    }
}

/// Words that still stream end in the middle of one, and half a secret is not recognised as one.
fn whole_words(text: &str) -> String {
    text[..text.rfind(char::is_whitespace).unwrap_or_default()].to_owned()
}

/// The key of a run's one comment.
pub fn answer_key(run: RunId) -> String {
    format!("run-{run}")
}
