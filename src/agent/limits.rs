//! The ceilings of a run: steps, time and money, each of which ends it by name.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::snapshot::Snapshot;
use crate::reply::LimitKind;
use crate::settings::Limits;

/// The limit that was reached, if one was. Checked before each model call; a run overshoots its budget by one call at most.
pub fn reached(limits: &Limits, snapshot: &Snapshot, started: DateTime<Utc>, now: DateTime<Utc>) -> Option<LimitKind> {
    let max_steps = i32::try_from(limits.max_steps).unwrap_or(i32::MAX);
    if snapshot.steps >= max_steps {
        return Some(LimitKind::Steps { max: limits.max_steps });
    }
    if remaining(limits, started, now).is_zero() {
        return Some(LimitKind::Time { seconds: limits.run_timeout.as_secs() });
    }
    let cost = snapshot.cost_usd.unwrap_or(0.0);
    (cost >= limits.run_budget_usd).then(|| LimitKind::Cost { max_milli_usd: milli(limits.run_budget_usd) })
}

/// What is left of the run's time.
pub fn remaining(limits: &Limits, started: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let used = (now - started).max(TimeDelta::zero()).to_std().unwrap_or_default();
    limits.run_timeout.saturating_sub(used)
}

/// The end when the money of the day is gone.
pub fn daily(limits: &Limits, spent_today: f64) -> Option<LimitKind> {
    (spent_today >= limits.daily_budget_usd).then(|| LimitKind::DailyCost { max_milli_usd: milli(limits.daily_budget_usd) })
}

/// True while the runs that may work at once cannot possibly spend what is left of the day, so that nobody needs to look.
pub fn far_from_daily(limits: &Limits, spent_today: f64) -> bool {
    spent_today + f64::from(limits.max_concurrent_runs) * limits.run_budget_usd < limits.daily_budget_usd
}

fn milli(usd: f64) -> u64 {
    // Budgets are validated as finite and not negative when settings are read.
    (usd * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            max_steps: 2,
            run_timeout: Duration::from_secs(60),
            run_budget_usd: 0.5,
            daily_budget_usd: 5.0,
            user_runs_per_hour: 30,
            max_concurrent_runs: 8,
        }
    }

    #[test]
    fn each_limit_ends_by_its_own_name() {
        let start = DateTime::UNIX_EPOCH;
        let at = |steps, cost| Snapshot { steps, cost_usd: Some(cost), ..Snapshot::default() };
        let later = |seconds| start + TimeDelta::seconds(seconds);
        assert_eq!(reached(&limits(), &at(1, 0.1), start, later(59)), None);
        assert_eq!(reached(&limits(), &at(2, 0.1), start, later(1)), Some(LimitKind::Steps { max: 2 }));
        assert_eq!(reached(&limits(), &at(1, 0.1), start, later(60)), Some(LimitKind::Time { seconds: 60 }));
        assert_eq!(reached(&limits(), &at(1, 0.5), start, later(1)), Some(LimitKind::Cost { max_milli_usd: 500 }));
        assert_eq!(daily(&limits(), 5.0), Some(LimitKind::DailyCost { max_milli_usd: 5000 }));
        assert!(far_from_daily(&limits(), 0.9) && !far_from_daily(&limits(), 1.0));
    }
}
