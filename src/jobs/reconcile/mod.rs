//! Reconciliation: finds what never arrived. Webhooks are hints; what GitHub remembers is looked through every minute, and whatever
//! we do not have goes through the same translation and the same unique keys as if it had arrived in time.
//!
//! An App is told which deliveries failed, for three days. Where nobody keeps such a list (a plain token, an old server), the comments
//! of the repositories we know are looked through instead.

mod deliveries;
mod polling;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::store::State;
use super::{Services, Waker};
use crate::github::{Github, GithubError};
use crate::intake::{AcceptError, Intake};

/// How often it is asked whether a look is due. The time itself comes from the clock.
const TICK: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: TimeDelta = TimeDelta::minutes(1);
const SLOWEST: TimeDelta = TimeDelta::hours(1);
/// The same while only some of what was missed cannot be had.
const SLOWEST_OF_SOME: TimeDelta = TimeDelta::minutes(5);
/// GitHub keeps deliveries this long.
const HISTORY: TimeDelta = TimeDelta::days(3);
/// One look; it is over before its lease is.
const LONGEST_LOOK: Duration = Duration::from_secs(100);
const LEASE: Duration = Duration::from_secs(120);

/// Looks at once, then again and again until shutdown.
pub(super) async fn keep_looking(services: Services) {
    let Some(github) = services.github.clone() else { return };
    let (intake, writer) = Intake::start(services.pool.clone(), services.clock.clone(), Waker::Here(services.bells.clone()));
    let lookout = Lookout { services, github, intake, without_list: AtomicBool::new(false) };
    while !lookout.services.shutdown.is_cancelled() {
        match lookout.look().await {
            // More is known to be missing: whoever asked it has waited for long enough.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot look for what was missed"),
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = lookout.services.shutdown.cancelled() => {}
        }
    }
    drop(lookout);
    if let Err(error) = writer.await {
        tracing::error!(%error, "the writer of reconciliation ended badly");
    }
}

struct Lookout {
    services: Services,
    github: Arc<Github>,
    intake: Intake,
    /// The server turned out to keep no list of deliveries for us.
    without_list: AtomicBool,
}

/// Why a look was given up. The next one does it again; nothing can double.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("GitHub keeps no list of deliveries here")]
    NoList,
    #[error(transparent)]
    Github(#[from] GithubError),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Accept(#[from] AcceptError),
    #[error("it took too long")]
    Late,
    /// The list is there, and some of what it lists is not to be had.
    #[error("some of what was missed cannot be taken in: {0}")]
    Partly(Box<Trouble>),
}

/// What could not be taken in, so that what comes after it can. Nothing is accounted for until it is taken in, or gone from its list.
#[derive(Debug, Default)]
struct Skipped {
    first: Option<Trouble>,
    count: usize,
}

impl Skipped {
    /// Beyond this it is not a single thing that is broken.
    const MOST: usize = 20;

    /// What was taken in; none when it is passed over.
    ///
    /// # Errors
    /// When the rest would fare no better: GitHub wants to be left alone.
    fn pass<T>(&mut self, taken: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
        match taken {
            Ok(taken) => return Ok(Some(taken)),
            Err(error @ Trouble::Github(GithubError::RateLimited { .. })) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "something that was missed is passed over");
                self.first.get_or_insert(error);
            }
        }
        self.count += 1;
        Ok(None)
    }

    fn is_too_much(&self) -> bool {
        self.count >= Self::MOST
    }

    fn into_result(self) -> Result<(), Trouble> {
        self.first.map_or(Ok(()), |error| Err(Trouble::Partly(Box::new(error))))
    }
}

/// How a look ended.
#[derive(Debug, PartialEq, Eq)]
struct Looked {
    /// Everything until then is accounted for; none when that did not change.
    seen_until: Option<DateTime<Utc>>,
    /// Where it goes on, and the moment it began at.
    goes_on: Option<(String, DateTime<Utc>)>,
    /// True when more is known to be missing than one look takes in.
    is_more: bool,
}

impl Lookout {
    /// True when there is more to look at, now.
    async fn look(&self) -> Result<bool, sqlx::Error> {
        if self.github.has_delivery_list() && !self.without_list.load(Ordering::Relaxed) {
            return self.under_lease("deliveries", store::First::Now, async |state| self.deliveries(state).await).await;
        }
        let since = self.services.clock.now() - polling::ASLEEP;
        for repository in store::repositories(&self.services.pool, since, polling::MOST_REPOSITORIES).await? {
            if self.services.shutdown.is_cancelled() {
                break;
            }
            // A repository that was not known a moment ago has just sent a webhook.
            let first = store::First::At(self.services.clock.now() + BETWEEN_LOOKS);
            let name = format!("repository:{}", repository.id);
            self.under_lease(&name, first, async |state| self.comments(&repository, state).await).await?;
        }
        Ok(false)
    }

    /// Looks when it is due and nobody else does, and writes down how far it came. True when there is more to look at, now.
    async fn under_lease(
        &self,
        name: &str,
        first: store::First,
        look: impl AsyncFnOnce(&State) -> Result<Looked, Trouble>,
    ) -> Result<bool, sqlx::Error> {
        let pool = &self.services.pool;
        let now = self.services.clock.now();
        let Some(state) = store::begin(pool, name, first, now, LEASE).await? else { return Ok(false) };
        let looked = tokio::select! {
            looked = look(&state) => looked,
            () = tokio::time::sleep(LONGEST_LOOK) => Err(Trouble::Late),
            () = self.services.shutdown.cancelled() => {
                store::put_back(pool, name).await?;
                return Ok(false);
            }
        };
        let now = self.services.clock.now();
        match looked {
            Ok(looked) => {
                let seen_until = looked.seen_until.or(state.seen_until);
                let next = if looked.is_more { now } else { now + BETWEEN_LOOKS };
                store::end(pool, name, State { seen_until, goes_on: looked.goes_on, failures: 0 }, next).await?;
                Ok(looked.is_more)
            }
            Err(error) => {
                let next = again(&error, state.failures, now);
                tracing::warn!(lookout = name, %error, next_look_at = %next, "looking for what was missed did not work");
                if matches!(error, Trouble::NoList) {
                    self.without_list.store(true, Ordering::Relaxed);
                }
                // A place in a list that is refused is no longer there.
                let goes_on = if matches!(error, Trouble::Github(GithubError::Invalid(_))) { None } else { state.goes_on };
                let failures = state.failures.saturating_add(1);
                store::end(pool, name, State { seen_until: state.seen_until, goes_on, failures }, next).await?;
                Ok(false)
            }
        }
    }
}

/// When to look again after one that did not work: later each time, but not later than GitHub says.
fn again(error: &Trouble, failures: i32, now: DateTime<Utc>) -> DateTime<Utc> {
    let doubled = BETWEEN_LOOKS * 2_i32.pow(u32::try_from(failures.clamp(0, 10)).unwrap_or_default());
    match error {
        Trouble::Github(GithubError::RateLimited { until }) => (*until).max(now + BETWEEN_LOOKS),
        Trouble::Github(_) | Trouble::NoList => now + doubled.min(SLOWEST),
        // Others are found meanwhile.
        Trouble::Partly(_) => now + doubled.min(SLOWEST_OF_SOME),
        Trouble::Database(_) | Trouble::Accept(_) | Trouble::Late => now + BETWEEN_LOOKS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_makes_looks_rarer_but_not_rare() {
        let now = DateTime::UNIX_EPOCH;
        let refused = Trouble::Github(GithubError::NotFound);
        let minutes = |failures| (again(&refused, failures, now) - now).num_minutes();
        assert_eq!([0, 1, 3, 5, 6, 50].map(minutes), [1, 2, 8, 32, 60, 60]);
        let partly = Trouble::Partly(Box::new(Trouble::Github(GithubError::NotFound)));
        assert_eq!([0, 1, 9].map(|failures| (again(&partly, failures, now) - now).num_minutes()), [1, 2, 5]);
        let until = now + TimeDelta::minutes(7);
        assert_eq!(again(&Trouble::Github(GithubError::RateLimited { until }), 9, now), until);
    }
}
