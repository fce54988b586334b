//! Gives memories their vectors: newest first, in batches, by one process at a time.
//!
//! What the embedder does not take now is tried again, from a second to ten minutes later; everybody can see that it waits
//! ([`vectors::state`](crate::memory::vectors::state)). A text that it will never take is left out, so that one text does not keep
//! the others waiting. A new model starts over in the background; when it has caught up, the vectors of the one before go.

mod bill;
mod store;

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::jobs::Services;
use crate::memory::vectors;
use crate::model::{Embedded, Embedder, Input, ModelError, ModelName};
use store::{Due, Standing};

pub(crate) use store::adopt;

/// Pieces that are looked for, sent and kept at once.
const BATCH: i64 = 64;
/// A batch that takes longer is given up; well within the claim.
const LONGEST_BATCH: Duration = Duration::from_secs(90);
/// Ids are made by many clocks and committed later than made: pieces this much older than what is complete are looked at again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(1);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);
/// What is left of a text that was too long for the model although it was cut.
const SHORT: usize = 1_000;
/// What any embedder that works takes.
const PROBE: &str = "ready";

/// Works until nothing is due.
pub(in crate::jobs) async fn work(services: Services) {
    let Some(embedder) = services.embedder.clone() else { return };
    let worker = Worker { services: &services, embedder: &*embedder, model: embedder.name() };
    if let Err(error) = worker.work().await {
        tracing::warn!(%error, "cannot look after the vectors of memory; trying again");
    }
}

struct Worker<'a> {
    services: &'a Services,
    embedder: &'a dyn Embedder,
    model: &'a ModelName,
}

/// Why a pass ended.
enum Ended {
    /// Nothing is due any more.
    Complete,
    /// Later: the reason is stored, or somebody else goes on.
    Later,
}

impl Worker<'_> {
    async fn work(&self) -> Result<(), sqlx::Error> {
        let Some(standing) = store::look(&self.services.pool, self.model).await? else { return Ok(()) };
        let now = self.services.clock.now();
        if !standing.newest || standing.next_try_at.is_some_and(|next| next > now) {
            return Ok(());
        }
        let floor = floor(standing.complete_until);
        let anything = !store::due(&self.services.pool, self.model, floor, Uuid::max(), 1).await?.is_empty();
        if !anything && standing.complete_until.is_some() {
            return Ok(());
        }
        if !store::claim(&self.services.pool, self.model, &self.services.holder).await? {
            return Ok(());
        }
        let ended = self.pass(&standing, floor).await;
        store::release(&self.services.pool, self.model, &self.services.holder).await?;
        if matches!(ended?, Ended::Complete) {
            if standing.complete_until.is_none() {
                self.forget_others().await?;
            }
            if let Some(dims) = store::dims(&self.services.pool, self.model).await? {
                vectors::near::tend(&self.services.pool, self.model, dims, vectors::near::WORTH_IT).await?;
            }
        }
        Ok(())
    }

    /// From the newest piece to the oldest, once.
    async fn pass(&self, standing: &Standing, floor: Uuid) -> Result<Ended, sqlx::Error> {
        let pool = &self.services.pool;
        let mut before = Uuid::max();
        let mut failing = standing.failure.clone();
        loop {
            let pieces = store::due(pool, self.model, floor, before, BATCH).await?;
            let Some(oldest) = pieces.last() else { break };
            before = oldest.id.0;
            if self.services.shutdown.is_cancelled() || !store::claim(pool, self.model, &self.services.holder).await? {
                return Ok(Ended::Later);
            }
            if self.is_budget_used_up().await? {
                self.wait_for_money(standing).await?;
                return Ok(Ended::Later);
            }
            let made = tokio::select! {
                made = self.batch(&pieces) => made?,
                () = self.services.shutdown.cancelled() => return Ok(Ended::Later),
            };
            match made {
                Ok(()) => self.healed(&mut failing).await?,
                Err(error) => {
                    self.failed(standing, &error).await?;
                    return Ok(Ended::Later);
                }
            }
        }
        self.healed(&mut failing).await?;
        store::complete(pool, self.model, standing.seen_at).await?;
        Ok(Ended::Complete)
    }

    /// All of them, but those that the embedder will never take.
    async fn batch(&self, pieces: &[Due]) -> Result<Result<(), ModelError>, sqlx::Error> {
        let mut parts = vec![pieces];
        let mut works = None;
        while let Some(part) = parts.pop() {
            let texts: Vec<String> = part.iter().map(|piece| piece.text.clone()).collect();
            let error = match self.embed(&texts).await {
                Ok(embedded) => {
                    self.keep(part, embedded).await?;
                    continue;
                }
                Err(error @ ModelError::Retry { .. }) => return Ok(Err(error)),
                Err(error @ (ModelError::TooLong(_) | ModelError::Fail { .. })) => error,
            };
            // The embedder itself, or one of the texts?
            if works.is_none() {
                works = Some(self.embed(&[PROBE.to_owned()]).await.is_ok());
            }
            if works == Some(false) {
                return Ok(Err(error));
            }
            match part {
                [only] => self.alone(only, &error).await?,
                several => {
                    let (newer, older) = several.split_at(several.len() / 2);
                    parts.extend([older, newer]);
                }
            }
        }
        Ok(Ok(()))
    }

    /// A text that is refused by itself: its beginning, or nothing.
    async fn alone(&self, piece: &Due, error: &ModelError) -> Result<(), sqlx::Error> {
        let beginning: String = piece.text.chars().take(SHORT).collect();
        if matches!(error, ModelError::TooLong(_))
            && let Ok(embedded) = self.embed(&[beginning]).await
        {
            return self.keep(std::slice::from_ref(piece), embedded).await;
        }
        tracing::warn!(memory.id = %piece.id, model = %self.model, reason = %error, "a piece of memory cannot be embedded; it is found by its words");
        store::refuse(&self.services.pool, self.model, piece.id, &error.to_string(), self.services.clock.now()).await
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, ModelError> {
        let late = || ModelError::Retry { reason: format!("{} took too long.", self.model), after: None };
        tokio::time::timeout(LONGEST_BATCH, self.embedder.embed_counted(texts, Input::Passage)).await.map_err(|_| late())?
    }

    async fn keep(&self, pieces: &[Due], embedded: Embedded) -> Result<(), sqlx::Error> {
        let dims = embedded.vectors.first().map_or(0, Vec::len);
        if store::measure(&self.services.pool, self.model, dims).await? {
            tracing::warn!(model = %self.model, dims, "the embedding model makes vectors of another length now; all are made anew");
            vectors::store::forget_other_dims(&self.services.pool, self.model, dims).await?;
        }
        let bill = bill::of(self.model, pieces, &embedded, self.embedder.take_unbilled(), self.services.clock.now());
        let vectors: Vec<_> = pieces.iter().map(|piece| piece.id).zip(embedded.vectors).collect();
        vectors::store::keep(&self.services.pool, self.model, &vectors, &bill).await.map(drop)
    }

    /// Of the whole service, for the day.
    async fn is_budget_used_up(&self) -> Result<bool, sqlx::Error> {
        let (kit, now) = (&self.services.kit, self.services.clock.now());
        let spent = kit.spending.today(&self.services.pool, &kit.limits, "", "", now).await?;
        Ok(spent.everybody >= kit.limits.daily_budget_usd)
    }

    async fn wait_for_money(&self, standing: &Standing) -> Result<(), sqlx::Error> {
        let now = self.services.clock.now();
        let tomorrow = (now + TimeDelta::days(1)).with_time(NaiveTime::MIN).earliest().unwrap_or(now);
        let reason = "The budget of the day is used up (DAILY_BUDGET_USD); embedding goes on tomorrow.";
        self.say(standing, reason);
        store::fail(&self.services.pool, self.model, reason, now, tomorrow).await
    }

    async fn failed(&self, standing: &Standing, error: &ModelError) -> Result<(), sqlx::Error> {
        let now = self.services.clock.now();
        let asked = match error {
            ModelError::Retry { after, .. } => after.and_then(|after| TimeDelta::from_std(after).ok()),
            ModelError::TooLong(_) | ModelError::Fail { .. } => None,
        };
        let wait = wait(standing.failures).max(asked.unwrap_or_default()).min(LONGEST_WAIT);
        let reason = error.to_string();
        self.say(standing, &reason);
        store::fail(&self.services.pool, self.model, &reason, now, now + wait).await
    }

    /// Once for each change, not at every try.
    fn say(&self, standing: &Standing, reason: &str) {
        if standing.failure.as_deref() != Some(reason) {
            tracing::warn!(model = %self.model, reason, "memories are not embedded now; recall goes by words and by the vectors there are");
        }
    }

    async fn healed(&self, failing: &mut Option<String>) -> Result<(), sqlx::Error> {
        if failing.take().is_some() {
            store::heal(&self.services.pool, self.model).await?;
            tracing::info!(model = %self.model, "memories are embedded again");
        }
        Ok(())
    }

    /// Everything has a vector of this model: the others have had their time.
    async fn forget_others(&self) -> Result<(), sqlx::Error> {
        if store::due(&self.services.pool, self.model, Uuid::nil(), Uuid::max(), 1).await?.is_empty() {
            let gone = vectors::store::forget_other_models(&self.services.pool, self.model).await?;
            store::forget_other_models(&self.services.pool, self.model).await?;
            if gone > 0 {
                tracing::info!(model = %self.model, vectors = gone, "the vectors of earlier embedding models are removed");
            }
        }
        Ok(())
    }
}

/// The smallest id of what may have been made since: ids begin with the time.
fn floor(complete_until: Option<DateTime<Utc>>) -> Uuid {
    let milliseconds = complete_until.map_or(0, |until| (until - OVERLAP).timestamp_millis().max(0));
    Uuid::from_u128(u128::from(milliseconds.unsigned_abs()) << 80)
}

/// After so many failures in a row.
fn wait(failures: i32) -> TimeDelta {
    let doubled = FIRST_WAIT * (1 << failures.clamp(0, 12));
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::id::MemoryId;

    fn made_since(id: MemoryId, time: DateTime<Utc>) -> bool {
        id.0 >= floor(Some(time + OVERLAP))
    }

    #[test]
    fn ids_tell_when_a_piece_was_made() {
        let now = SystemClock.now();
        let id = MemoryId::new();
        assert!(made_since(id, now - TimeDelta::seconds(1)));
        assert!(!made_since(id, now + TimeDelta::seconds(10)));
        assert_eq!(floor(None), Uuid::nil());
    }

    #[test]
    fn waits_double_from_a_second_to_ten_minutes() {
        let waits: Vec<i64> = [0, 1, 2, 9, 10, 1_000].iter().map(|failures| wait(*failures).num_seconds()).collect();
        assert_eq!(waits, [1, 2, 4, 512, 600, 600]);
    }
}
