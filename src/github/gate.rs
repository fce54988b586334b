//! One gate per installation: calls wait or are refused while GitHub limits that installation, and calls that create things are
//! spaced, so that the limit is not reached in the first place. Installations do not hold each other up.
//!
//! Calls that create things stand in one line: each that has to wait longer than it should is told a time of its own, later than
//! that of the call before it, so that those who come back at their time neither meet nor overtake each other. When a closed gate
//! opens again there is no burst. The last of the primary limit is kept for calls that change something.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::client::Effect;
use super::error::{GithubError, Quota};

/// How fast calls with an effect may follow each other, per installation.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Created comments: short bursts and the rate that follows.
    pub creates: Rate,
    /// Created comments over the hour.
    pub creates_hourly: Rate,
    /// Every call that changes something: comments, edits, reactions.
    pub changes: Rate,
}

/// A burst, then a steady rate.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// The pause between those that follow.
    pub every: TimeDelta,
}

impl Rate {
    const fn new(burst: u32, every_ms: i64) -> Self {
        Self { burst, every: TimeDelta::milliseconds(every_ms) }
    }
}

impl Pace {
    /// Below GitHub's published secondary limits: about 80 created things a minute and 500 an hour, and 180 changes a minute.
    pub const GITHUB: Self =
        Self { creates: Rate::new(20, 1_000), creates_hourly: Rate::new(80, 8_600), changes: Rate::new(60, 500) };

    /// No spacing, for servers of one's own without such limits. Limits the server announces still hold.
    pub const UNLIMITED: Self = Self { creates: Rate::new(0, 0), creates_hourly: Rate::new(0, 0), changes: Rate::new(0, 0) };
}

/// Waits up to this long are waited; longer ones are answered `RateLimited`, so that the caller can do something else.
const PATIENCE: TimeDelta = TimeDelta::seconds(2);

/// Whose limit a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    App,
    Installation(i64),
    Token,
}

/// The gates of everybody.
pub(super) struct Gates {
    pace: Pace,
    gates: Mutex<HashMap<Payer, Arc<Gate>>>,
}

const MOST_GATES: usize = 4096;

impl Gates {
    pub fn new(pace: Pace) -> Self {
        Self { pace, gates: Mutex::default() }
    }

    pub fn of(&self, payer: Payer, now: DateTime<Utc>) -> Arc<Gate> {
        let mut gates = lock(&self.gates);
        if gates.len() >= MOST_GATES && !gates.contains_key(&payer) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now));
        }
        gates.entry(payer).or_insert_with(|| Arc::new(Gate::new(self.pace))).clone()
    }
}

/// What one installation may do now.
pub(super) struct Gate(Mutex<State>);

struct State {
    closed_until: Option<DateTime<Utc>>,
    /// Calls that only read wait until then, so that answers can still be given.
    low_until: Option<DateTime<Utc>>,
    /// The last time that was told to a call that creates something.
    promised: Option<DateTime<Utc>>,
    creates: Bucket,
    creates_hourly: Bucket,
    changes: Bucket,
}

impl Gate {
    fn new(pace: Pace) -> Self {
        Self(Mutex::new(State {
            closed_until: None,
            low_until: None,
            promised: None,
            creates: Bucket::new(pace.creates),
            creates_hourly: Bucket::new(pace.creates_hourly),
            changes: Bucket::new(pace.changes),
        }))
    }

    /// Returns when the call may be sent; a short wait is waited here.
    ///
    /// # Errors
    /// `RateLimited` when it would be a long one. Nothing is reserved then.
    pub async fn admit(&self, effect: Effect, now: DateTime<Utc>) -> Result<(), GithubError> {
        let wait = self.reserve(effect, now)?;
        if let Ok(wait) = wait.to_std()
            && !wait.is_zero()
        {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn reserve(&self, effect: Effect, now: DateTime<Utc>) -> Result<TimeDelta, GithubError> {
        let mut state = lock(&self.0);
        let mut start = state.closed_until.map_or(now, |until| until.max(now));
        if effect == Effect::None {
            start = state.low_until.map_or(start, |until| until.max(start));
        }
        let (promised, pause) = (state.promised, state.creates.rate.every);
        let buckets: &mut [&mut Bucket] = &mut match effect {
            Effect::None => vec![],
            Effect::Change => vec![&mut state.changes],
            Effect::Create => {
                let State { creates, creates_hourly, changes, .. } = &mut *state;
                vec![creates, creates_hourly, changes]
            }
        };
        let start = buckets.iter().map(|bucket| bucket.free_at(start)).fold(start, DateTime::max);
        if start - now > PATIENCE {
            let behind = promised.filter(|_| effect == Effect::Create).map(|promised| promised + pause);
            let until = behind.map_or(start, |behind| behind.max(start));
            if effect == Effect::Create {
                state.promised = Some(until);
            }
            return Err(GithubError::RateLimited { until });
        }
        buckets.iter_mut().for_each(|bucket| bucket.take(start));
        Ok(start - now)
    }

    /// No call before `until`, and then no burst: others of this installation may come at the same moment.
    pub fn close(&self, until: DateTime<Utc>) {
        let mut state = lock(&self.0);
        state.closed_until = state.closed_until.max(Some(until));
        state.creates.drain(until);
        state.changes.drain(until);
    }

    /// Heeds what GitHub says is left of the primary limit.
    pub fn heed(&self, quota: Quota) {
        let mut state = lock(&self.0);
        state.low_until = quota.is_low().then_some(quota.reset);
    }

    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        let state = lock(&self.0);
        state.closed_until.is_none_or(|until| until <= now) && state.creates_hourly.full_at <= now && state.changes.full_at <= now
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A burst, then a steady rate: remembers only when the whole burst is available again.
struct Bucket {
    rate: Rate,
    full_at: DateTime<Utc>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, full_at: DateTime::<Utc>::MIN_UTC }
    }

    fn free_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.full_at <= now {
            return now;
        }
        let slack = self.rate.every * i32::try_from(self.rate.burst.saturating_sub(1)).unwrap_or(i32::MAX);
        (self.full_at - slack).max(now)
    }

    /// As if the burst had just been used up: one at that time, and the steady rate after it.
    fn drain(&mut self, at: DateTime<Utc>) {
        let burst = i32::try_from(self.rate.burst.saturating_sub(1)).unwrap_or(i32::MAX);
        self.full_at = self.full_at.max(at + self.rate.every * burst);
    }

    fn take(&mut self, at: DateTime<Utc>) {
        self.full_at = self.full_at.max(at) + self.rate.every;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_minute_of_eager_comments_stays_below_eighty() {
        let gate = Gate::new(Pace::GITHUB);
        let made = (0..60).flat_map(|second| [second; 10]).filter(|s| gate.reserve(Effect::Create, at(*s)).is_ok()).count();
        assert!((70..=82).contains(&made), "{made}");
    }

    #[test]
    fn an_hour_of_eager_comments_stays_below_five_hundred() {
        let gate = Gate::new(Pace::GITHUB);
        let made = (0..3600).filter(|s| gate.reserve(Effect::Create, at(*s)).is_ok()).count();
        assert!((450..=500).contains(&made), "{made}");
    }

    #[test]
    fn edits_do_not_use_up_what_answers_need() {
        let gate = Gate::new(Pace::GITHUB);
        let edits = (0..100).filter(|_| gate.reserve(Effect::Change, at(0)).is_ok()).count();
        assert!((60..=64).contains(&edits), "{edits}");
        assert!(gate.reserve(Effect::None, at(0)).is_ok());
        assert!(gate.reserve(Effect::Create, at(5)).is_ok());
    }

    #[test]
    fn a_closed_gate_names_the_time_and_opens() {
        let gate = Gate::new(Pace::UNLIMITED);
        gate.close(at(30));
        gate.close(at(10));
        assert_eq!(gate.reserve(Effect::None, at(0)), Err(GithubError::RateLimited { until: at(30) }));
        assert_eq!(gate.reserve(Effect::None, at(29)), Ok(TimeDelta::seconds(1)));
        assert_eq!(gate.reserve(Effect::None, at(30)), Ok(TimeDelta::zero()));
    }

    #[test]
    fn a_gate_that_opens_again_lets_nobody_rush_in() {
        let gate = Gate::new(Pace::GITHUB);
        gate.close(at(60));
        // Ten that wait are each told a time of their own.
        let told: Vec<_> = (0..10).map(|_| gate.reserve(Effect::Create, at(0))).collect();
        let expected: Vec<_> = (0..10).map(|n| Err(GithubError::RateLimited { until: at(60 + n) })).collect();
        assert_eq!(told, expected);
        // Each comes at its time and is let in at once.
        for n in 0..10 {
            assert_eq!(gate.reserve(Effect::Create, at(60 + n)), Ok(TimeDelta::zero()), "{n}");
        }
    }

    #[test]
    fn whoever_comes_back_together_is_let_in_one_by_one() {
        let gate = Gate::new(Pace::GITHUB);
        gate.close(at(60));
        let mut waiting: Vec<i64> = vec![60; 30];
        let mut made = Vec::new();
        for second in 60..200 {
            for due in waiting.iter_mut().filter(|due| **due == second) {
                match gate.reserve(Effect::Create, at(second)) {
                    Ok(wait) => {
                        made.push(second + wait.num_seconds());
                        *due = i64::MAX;
                    }
                    Err(GithubError::RateLimited { until }) => *due = until.timestamp() - 1_800_000_000,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        assert_eq!(made.len(), 30, "all of them in the end");
        assert!(made.iter().all(|at| made.iter().filter(|other| *other == at).count() <= 1), "{made:?}");
    }

    #[test]
    fn the_last_of_the_primary_limit_is_for_answers() {
        let gate = Gate::new(Pace::GITHUB);
        let quota = Quota { limit: 5000, remaining: 99, reset: at(900) };
        gate.heed(quota);
        assert_eq!(gate.reserve(Effect::None, at(0)), Err(GithubError::RateLimited { until: at(900) }));
        assert!(gate.reserve(Effect::Change, at(0)).is_ok() && gate.reserve(Effect::Create, at(0)).is_ok());
        gate.heed(Quota { remaining: 4000, ..quota });
        assert!(gate.reserve(Effect::None, at(0)).is_ok());
    }

    #[test]
    fn installations_do_not_hold_each_other_up() {
        let gates = Gates::new(Pace::GITHUB);
        gates.of(Payer::Installation(1), at(0)).close(at(60));
        assert!(gates.of(Payer::Installation(1), at(0)).reserve(Effect::None, at(0)).is_err());
        assert!(gates.of(Payer::Installation(2), at(0)).reserve(Effect::Create, at(0)).is_ok());
    }
}
