//! Interactions: somebody uses a command, presses a button, fills in a modal or types an option, and is answered within a second.
//!
//! Discord waits three seconds for a first answer and then tells the person that we did not respond; a second is the promise here, whatever
//! the database does. And what was answered must not be lost. Both hold because of the order:
//!
//! 1. What is asked for is *kept* (one statement, table `discord_interactions`, the interaction's number as key) within [`KEEP_WITHIN`].
//!    When the database takes longer, the answer is that we could not take it down and to say it again, for their eyes alone.
//! 2. Discord is *answered*: everybody sees what was asked for, or, for a press, nothing but its effect. The message of that answer is
//!    what a thread is opened from, so the conversation is known only now.
//! 3. It is *handed over* to [`crate::intake`], with the interaction's number as the delivery's id, and no longer kept.
//!
//! A process that ends between 1 and 2 leaves something unanswered: the person was told that we did not respond, and it is dropped. One that
//! ends between 2 and 3, or a database that goes away there, leaves something answered: [`Interactions::recover`] finds the answer by the
//! token and hands it over. The same when the answer to our answer was lost. What was kept although we said "say it again" is told apart
//! by that answer being for one person's eyes. An interaction that arrives twice has the same number, so all three steps find the
//! first.
//!
//! Tokens stay for a quarter of an hour, which is how long Discord takes them, so that the gate can say why not for one person's eyes
//! ([`whisper`]).

mod answer;
mod decide;
mod heard;
mod policy;
mod store;
mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use serenity::model::application::Interaction;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::answer::{Answer, Original};
use self::decide::Decided;
use self::heard::{Heard, What};
use self::store::{AnsweredBy, Asked, Waiting};
use super::{Discord, DiscordError, code, command, gateway};
use crate::clock::Clock;
use crate::intake::{AcceptError, Delivery, Event, Inbound, Intake, Place, Surface, Trigger};
use crate::model::Shelf;
use crate::reply::Redactor;
use crate::settings::Settings;

/// How long the database has before the person is told to say it again.
pub const KEEP_WITHIN: Duration = Duration::from_millis(700);
/// How long Discord has to take our answer; it takes none later than three seconds after the interaction.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_000);
/// Interactions under way at once; beyond it Discord tells people that we did not respond.
const MOST_AT_ONCE: usize = 1_000;
/// What is kept longer than this without being handed over was left by a process that ended, or by a database that went away.
const LEFT_AFTER: TimeDelta = TimeDelta::seconds(15);
/// How long Discord takes a token, less the time our clocks may differ by.
const TOKEN_LASTS: TimeDelta = TimeDelta::minutes(14);
const WAITS_AT_MOST: TimeDelta = TimeDelta::hours(24);
const MOST_RECOVERED: i64 = 200;
/// How often what was left behind is looked for.
const RECOVER_EVERY: Duration = Duration::from_secs(60);
/// How long the end waits for interactions under way.
const LAST_ANSWERS: Duration = Duration::from_secs(4);

/// Answers interactions. Clones share everything.
#[derive(Clone)]
pub struct Interactions {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    at_once: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// What interactions are answered with.
pub struct Parts {
    /// Answers.
    pub discord: Arc<Discord>,
    /// Takes what is asked for.
    pub intake: Intake,
    /// Keeps it until then.
    pub pool: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Name, limits, models, and who may.
    pub settings: Arc<Settings>,
    /// Knows which models can be asked.
    pub models: Shelf,
    /// What everybody is shown passes it.
    pub redactor: Arc<Redactor>,
}

/// What became of the first answer.
enum Answered {
    /// It is there, as this message.
    As(Original),
    /// It is there, and it is no message, or which one is not known.
    Yes,
    /// It never came to be; Discord told the person so.
    Never,
    /// Nobody knows yet.
    Unknown,
}

impl Interactions {
    /// Nothing is done yet.
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(Inner { parts, at_once: Arc::new(Semaphore::new(MOST_AT_ONCE)), tasks: TaskTracker::new() }) }
    }

    /// Takes an interaction as the gateway tells of it; it is answered in a task of its own. Never blocks. What arrives twice is one.
    pub fn take(&self, interaction: &Interaction) {
        let Some(heard) = heard::read(interaction) else { return };
        let Ok(turn) = self.inner.at_once.clone().try_acquire_owned() else {
            tracing::warn!(discord.interaction = heard.id, "too many interactions at once; this one is not answered");
            return;
        };
        let inner = self.inner.clone();
        self.inner.tasks.spawn(async move {
            inner.handle(heard).await;
            drop(turn);
        });
    }

    /// Hands over what was answered and then left behind, and lets go of what Discord takes no more. To be called when a session begins and
    /// every minute ([`Interactions::tend`] does); several processes may do so at once. Gives how many were handed over.
    ///
    /// # Errors
    /// When the database does not answer; to be called again.
    pub async fn recover(&self) -> Result<usize, sqlx::Error> {
        let inner = &self.inner;
        let (pool, now) = (&inner.parts.pool, inner.parts.clock.now());
        let mut handed_over = 0;
        for waiting in store::waiting(pool, now - LEFT_AFTER, MOST_RECOVERED).await? {
            let answer = if now - waiting.arrived_at > TOKEN_LASTS {
                inner.late_answer(&waiting).await
            } else {
                inner.parts.discord.interaction_answer(waiting.application, &waiting.token).await
            };
            match answer {
                Ok(Some(original)) if is_the_answer(waiting.asked.answer, original) => {
                    handed_over += usize::from(inner.hand_over(waiting.id, waiting.asked, Some(original)).await);
                }
                Ok(_) => store::forget(pool, waiting.id).await?,
                Err(error) => tracing::info!(discord.interaction = waiting.id, %error, "its answer cannot be looked up yet"),
            }
        }
        store::sweep(pool, now - TOKEN_LASTS, now - WAITS_AT_MOST).await?;
        Ok(handed_over)
    }

    /// Recovers every minute until shutdown, and waits then for those under way.
    pub async fn tend(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RECOVER_EVERY) => self.recover_now().await,
                () = shutdown.cancelled() => break,
            }
        }
        self.finish().await;
    }

    async fn recover_now(&self) {
        match self.recover().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "interactions that were left behind are handed over"),
            Err(error) => tracing::warn!(%error, "interactions that were left behind wait for the database"),
        }
    }

    /// Waits for those under way, for a few seconds at most.
    pub async fn finish(&self) {
        self.inner.tasks.close();
        if tokio::time::timeout(LAST_ANSWERS, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("some interactions were still under way at the end");
        }
        self.inner.tasks.reopen();
    }
}

#[async_trait]
impl gateway::Interactions for Interactions {
    async fn begin(&self) {
        let parts = &self.inner.parts;
        let registered = async {
            let application = parts.discord.application().await?.id;
            command::register(&parts.discord, &parts.pool, application, parts.clock.as_ref()).await
        };
        if let Err(error) = registered.await {
            tracing::warn!(%error, "the slash commands are not registered; the next session tries again");
        }
        self.recover_now().await;
    }

    async fn interaction(&self, interaction: Interaction) {
        self.take(&interaction);
    }
}

/// Says something about an interaction for the eyes of who did it alone. False when that is not possible any more.
///
/// # Errors
/// When the database does not answer. What Discord does not take is logged.
pub async fn whisper(discord: &Discord, pool: &PgPool, interaction: i64, text: &str) -> Result<bool, sqlx::Error> {
    let Some((application, token, _)) = store::token(pool, interaction).await? else { return Ok(false) };
    match discord.whisper_after(application, &token, text).await {
        Ok(_) => Ok(true),
        Err(error) => {
            tracing::info!(discord.interaction = interaction, %error, "the person is not told alone");
            Ok(false)
        }
    }
}

/// Whether the message is what was answered when all was well, and not that it is to be said again.
fn is_the_answer(answer: AnsweredBy, original: Original) -> bool {
    match answer {
        AnsweredBy::Message { .. } => !original.is_whisper,
        AnsweredBy::Press { message } => original.id == message,
    }
}

impl Inner {
    async fn handle(&self, heard: Heard) {
        let decided = match tokio::time::timeout(KEEP_WITHIN, self.decide(&heard)).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(error)) => {
                tracing::warn!(discord.interaction = heard.id, %error, "the interaction cannot be kept");
                not_now(&heard)
            }
            Err(_) => {
                tracing::warn!(discord.interaction = heard.id, "the database takes too long for the interaction");
                not_now(&heard)
            }
        };
        match decided {
            Decided::Answer(answer) => {
                self.answer(&heard, &answer).await;
            }
            Decided::Kept { asked, answer } => match self.answer(&heard, &answer).await {
                Answered::As(original) if is_the_answer(asked.answer, original) => {
                    self.hand_over(heard.id, *asked, Some(original)).await;
                }
                Answered::Yes if matches!(asked.answer, AnsweredBy::Press { .. }) => {
                    self.hand_over(heard.id, *asked, None).await;
                }
                // Another process answered that it be said again, or the person was told that we did not respond.
                Answered::As(_) | Answered::Never => self.forget(heard.id).await,
                Answered::Yes | Answered::Unknown => {
                    tracing::warn!(discord.interaction = heard.id, "what became of the answer is looked up later");
                }
            },
            Decided::Done => {}
        }
    }

    /// Gives the first answer. When what became of it is not known, it is looked up once, and given again while Discord takes it.
    async fn answer(&self, heard: &Heard, answer: &Answer) -> Answered {
        let mut uncertain = false;
        for _ in 0..2 {
            let given = self.parts.discord.answer_interaction(heard.id, &heard.token, answer);
            let error = match tokio::time::timeout(ANSWER_WITHIN, given).await {
                Ok(Ok(Some(original))) => return Answered::As(original),
                Ok(Ok(None)) => return self.look_up(heard).await,
                Ok(Err(error)) if error.code() == Some(code::ALREADY_ACKNOWLEDGED) => return self.look_up(heard).await,
                Ok(Err(error)) if !error.is_transient() => {
                    tracing::warn!(discord.interaction = heard.id, %error, "Discord does not take the answer");
                    // What was answered once is not known there any more, either.
                    return if uncertain { Answered::Unknown } else { Answered::Never };
                }
                Ok(Err(error)) => error,
                Err(_) => DiscordError::Unavailable { maybe_done: true, cause: "no answer in time".to_owned() },
            };
            tracing::info!(discord.interaction = heard.id, %error, "whether Discord took the answer is not known");
            uncertain |= error.maybe_done();
            if error.maybe_done()
                && let Answered::As(original) = self.look_up(heard).await
            {
                return Answered::As(original);
            }
        }
        Answered::Unknown
    }

    /// The answer of one whose token is no longer good. A press leaves no message of its own, so nobody can tell.
    async fn late_answer(&self, waiting: &Waiting) -> Result<Option<Original>, DiscordError> {
        let place = waiting.asked.requests.first().map(|one| &one.request.place);
        match (waiting.asked.answer, place) {
            (AnsweredBy::Message { .. }, Some(Place::Discord { channel, .. })) => {
                self.parts.discord.late_answer(waiting.id, *channel).await
            }
            (AnsweredBy::Message { .. } | AnsweredBy::Press { .. }, _) => {
                tracing::warn!(discord.interaction = waiting.id, "whether a press was answered cannot be known any more");
                Ok(None)
            }
        }
    }

    async fn look_up(&self, heard: &Heard) -> Answered {
        match self.parts.discord.interaction_answer(heard.application, &heard.token).await {
            Ok(Some(original)) => Answered::As(original),
            Ok(None) => match heard.what {
                What::Pressed { .. } | What::Typing { .. } => Answered::Yes,
                What::Command { .. } | What::Filled { .. } => Answered::Unknown,
            },
            Err(_) => Answered::Unknown,
        }
    }

    /// Puts it into the inbox, once. False when the database does not take it now; it is still kept then.
    async fn hand_over(&self, id: i64, asked: Asked, original: Option<Original>) -> bool {
        for one in asked.requests {
            let external_id = if one.name.is_empty() { id.to_string() } else { format!("{id}:{}", one.name) };
            let delivery =
                Delivery { surface: Surface::Discord, external_id, kind: "interaction".to_owned(), object: None, was_also: None };
            let mut request = one.request;
            if let (AnsweredBy::Message { opens }, Some(original)) = (asked.answer, original) {
                answered_with(&mut request, original.id, opens);
            }
            let addressed = addressed(&request);
            let inbound = Inbound { delivery, event: Event::Request(Box::new(request)) };
            if let Err(error) = self.accept(inbound).await {
                tracing::warn!(discord.interaction = id, %error, "what was asked for waits for the database");
                return false;
            }
            // Whoever used a command need not mention us afterwards, as if they had written to us.
            if let (AnsweredBy::Message { .. }, Some(original), Some((thread, person))) = (asked.answer, original, addressed)
                && let Err(error) = gateway::addressed(&self.parts.pool, thread, person, original.id).await
            {
                tracing::warn!(discord.interaction = id, %error, "with whom the conversation is waits for the database");
                return false;
            }
        }
        if let Err(error) = store::handed_over(&self.parts.pool, id).await {
            // It is handed over again then, and found.
            tracing::info!(discord.interaction = id, %error, "that it was handed over is not noted");
        }
        true
    }

    async fn accept(&self, inbound: Inbound) -> Result<(), AcceptError> {
        self.parts.intake.accept(inbound).await.map(drop)
    }

    async fn forget(&self, id: i64) {
        if let Err(error) = store::forget(&self.parts.pool, id).await {
            tracing::info!(discord.interaction = id, %error, "what was not answered is let go of later");
        }
    }
}

/// What is known only with the answer: the message a thread is opened from, and that reactions go on.
fn answered_with(request: &mut crate::intake::Request, message: i64, opens: bool) {
    request.trigger = Trigger::Comment(message);
    request.url = format!("{}/{message}", request.url);
    if let Place::Discord { opening, .. } = &mut request.place
        && opens
    {
        *opening = Some(message);
    }
}

/// The thread in a guild that a request belongs to, and who made it.
fn addressed(request: &crate::intake::Request) -> Option<(i64, i64)> {
    match &request.place {
        Place::Discord { guild: Some(_), channel, parent, opening, .. } if opening.is_some() || parent.is_some() => {
            Some((opening.unwrap_or(*channel), request.author.id))
        }
        Place::Discord { .. } | Place::Github { .. } => None,
    }
}

fn not_now(heard: &Heard) -> Decided {
    Decided::Answer(match heard.what {
        What::Typing { .. } => Answer::Choices(Vec::new()),
        What::Command { .. } | What::Pressed { .. } | What::Filled { .. } => Answer::Whisper(words::SAY_IT_AGAIN.to_owned()),
    })
}
