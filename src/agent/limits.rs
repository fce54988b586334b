//! The ceilings of a run: steps, time and money, each of which ends it by name.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::snapshot::Snapshot;
use crate::intake::policy::{self, Line, Spent};
use crate::reply::{LimitKind, Outcome, Reckoning};
use crate::settings::Limits;

/// The limit that was reached, if one was. Checked before each model call: money ends a run when the next step, as dear as the dearer of
/// the last two, would cross the line. Only where no step tells what the next one costs can a line be crossed, by one call.
pub fn reached(limits: &Limits, snapshot: &Snapshot, started: DateTime<Utc>, now: DateTime<Utc>) -> Option<LimitKind> {
    let max_steps = i32::try_from(limits.max_steps).unwrap_or(i32::MAX);
    if snapshot.steps >= max_steps {
        return Some(LimitKind::Steps { max: limits.max_steps });
    }
    if remaining(limits, started, now).is_zero() {
        return Some(LimitKind::Time { seconds: limits.run_timeout.as_secs() });
    }
    let cost = snapshot.cost_usd.unwrap_or(0.0);
    let crossed = cost >= limits.run_budget_usd || cost + snapshot.next_step_usd() > limits.run_budget_usd;
    crossed.then(|| LimitKind::Cost { max_milli_usd: milli(limits.run_budget_usd) })
}

/// What is left of the run's time.
pub fn remaining(limits: &Limits, started: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let used = (now - started).max(TimeDelta::zero()).to_std().unwrap_or_default();
    limits.run_timeout.saturating_sub(used)
}

/// The end when the money of the day is gone, or would be with the next step.
pub fn daily(limits: &Limits, spent: &Spent, snapshot: &Snapshot) -> Option<LimitKind> {
    let (line, ceiling) = policy::line_reached(limits, spent, snapshot.next_step_usd())?;
    let max_milli_usd = milli(ceiling);
    Some(match line {
        Line::Everybody => LimitKind::DailyCost { max_milli_usd },
        Line::Person => LimitKind::PersonDailyCost { max_milli_usd },
        Line::Repository => LimitKind::RepositoryDailyCost { max_milli_usd },
    })
}

/// The end at a limit, with what people need to decide whether it goes on. `doing` is what was done last.
pub fn outcome(limit: LimitKind, snapshot: &Snapshot, doing: Option<String>) -> Outcome {
    let spent = snapshot.cost_usd.unwrap_or(0.0);
    let next = snapshot.next_step_usd();
    let ceiling = match limit {
        LimitKind::Cost { max_milli_usd } => max_milli_usd as f64 / 1000.0,
        LimitKind::Steps { .. }
        | LimitKind::Time { .. }
        | LimitKind::DailyCost { .. }
        | LimitKind::PersonDailyCost { .. }
        | LimitKind::RepositoryDailyCost { .. } => 0.0,
    };
    // Room for as much again, or for some further steps, whichever is more.
    let raise_to = (2.0 * ceiling).max(spent + 5.0 * next).ceil().max(1.0);
    let reckoning = Reckoning {
        spent_milli_usd: milli(spent),
        next_milli_usd: (next > 0.0).then(|| milli(next).max(1)),
        raise_to_usd: raise_to as u64,
        doing,
    };
    Outcome::Limit { limit, reckoning: limit.is_money().then_some(reckoning) }
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
            max_steps: 20,
            run_timeout: Duration::from_secs(60),
            run_budget_usd: 0.5,
            daily_budget_usd: 5.0,
            user_daily_budget_usd: Some(2.0),
            repository_daily_budget_usd: None,
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
        assert_eq!(reached(&limits(), &at(20, 0.1), start, later(1)), Some(LimitKind::Steps { max: 20 }));
        assert_eq!(reached(&limits(), &at(1, 0.1), start, later(60)), Some(LimitKind::Time { seconds: 60 }));
        assert_eq!(reached(&limits(), &at(1, 0.5), start, later(1)), Some(LimitKind::Cost { max_milli_usd: 500 }));
        let spent = |everybody, person| Spent { everybody, person, ..Spent::default() };
        let daily = |spent| daily(&limits(), &spent, &at(1, 0.1));
        assert_eq!(daily(spent(5.0, 0.0)), Some(LimitKind::DailyCost { max_milli_usd: 5000 }));
        assert_eq!(daily(spent(4.0, 2.0)), Some(LimitKind::PersonDailyCost { max_milli_usd: 2000 }));
        assert_eq!(daily(spent(4.9, 1.9)), None);
    }

    #[test]
    fn money_ends_a_run_before_the_line_is_crossed() {
        let start = DateTime::UNIX_EPOCH;
        let mut run = Snapshot::default();
        for cost in [0.1, 0.2, 0.05] {
            assert_eq!(reached(&limits(), &run, start, start), None);
            run.spend(Some(cost));
        }
        // 0.35 so far, and the next one like the dearer of the last two.
        assert_eq!(reached(&limits(), &run, start, start), Some(LimitKind::Cost { max_milli_usd: 500 }));
        let cheap = Limits { run_budget_usd: 0.56, ..limits() };
        assert_eq!(reached(&cheap, &run, start, start), None);
        assert!(daily(&limits(), &Spent { person: 1.81, ..Spent::default() }, &run).is_some());
        let ended = outcome(LimitKind::Cost { max_milli_usd: 500 }, &run, Some("Running the tests".into()));
        let reckoning = Reckoning {
            spent_milli_usd: 350,
            next_milli_usd: Some(200),
            raise_to_usd: 2,
            doing: Some("Running the tests".into()),
        };
        assert_eq!(ended, Outcome::Limit { limit: LimitKind::Cost { max_milli_usd: 500 }, reckoning: Some(reckoning) });
    }
}
