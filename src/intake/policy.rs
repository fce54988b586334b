//! Who may, and how often: pure decisions on facts that the gate looked up.

use chrono::{DateTime, TimeDelta, Utc};

use crate::settings::{Allow, Limits, Permission};

/// Runs of all people together, as a multiple of what one person may have in an hour.
const EVERYONE: u32 = 10;

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The person lacks the permission.
    NotAllowed {
        /// What would be needed.
        needed: Needed,
    },
    /// The person asked too often.
    PersonLimit {
        /// Runs an hour.
        limit: u32,
        /// When the next one is possible.
        until: DateTime<Utc>,
    },
    /// Everybody together asked too often.
    EverybodyLimit,
    /// The money of the day is gone.
    DailyBudget,
}

/// What it takes to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// At least this permission on the repository.
    Permission(Permission),
    /// Membership of the owning organisation.
    Member,
    /// To be on the list of the service.
    Listed,
}

/// What the gate found out about a person.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The permission on the repository; `None` where it was not asked for.
    pub permission: Permission,
    /// Member of the owning organisation.
    pub member: bool,
}

/// Whether the person may trigger at all.
pub fn may_trigger(allow: &Allow, login: &str, standing: Standing) -> Result<(), Refusal> {
    let (allowed, needed) = match allow {
        Allow::Permission(needed) => (standing.permission >= *needed, Needed::Permission(*needed)),
        Allow::Member => (standing.member, Needed::Member),
        Allow::Logins(logins) => (logins.iter().any(|listed| listed.eq_ignore_ascii_case(login)), Needed::Listed),
    };
    if allowed { Ok(()) } else { Err(Refusal::NotAllowed { needed }) }
}

/// The permission as GitHub's pages call it.
pub fn permission_name(permission: Permission) -> &'static str {
    match permission {
        Permission::None => "any",
        Permission::Read => "read",
        Permission::Triage => "triage",
        Permission::Write => "write",
        Permission::Maintain => "maintain",
        Permission::Admin => "admin",
    }
}

/// Figures of the last hour and of today.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Runs of this person within the hour.
    pub by_person: i64,
    /// The oldest of them.
    pub oldest_by_person: Option<DateTime<Utc>>,
    /// Runs of everybody within the hour.
    pub by_everyone: i64,
    /// Dollars since midnight UTC.
    pub spent_today: f64,
}

/// Runs that all people together may have in an hour.
pub fn runs_of_everyone(limits: &Limits) -> u32 {
    limits.user_runs_per_hour.saturating_mul(EVERYONE)
}

/// Whether one more run is within the limits.
pub fn may_run(limits: &Limits, used: &Use, now: DateTime<Utc>) -> Result<(), Refusal> {
    if used.by_person >= i64::from(limits.user_runs_per_hour) {
        let until = used.oldest_by_person.unwrap_or(now) + TimeDelta::hours(1);
        return Err(Refusal::PersonLimit { limit: limits.user_runs_per_hour, until });
    }
    if used.by_everyone >= i64::from(runs_of_everyone(limits)) {
        return Err(Refusal::EverybodyLimit);
    }
    if used.spent_today >= limits.daily_budget_usd {
        return Err(Refusal::DailyBudget);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOBODY: Standing = Standing { permission: Permission::Read, member: false };

    #[test]
    fn an_empty_list_means_nobody() {
        assert!(may_trigger(&Allow::Logins(vec![]), "ada", NOBODY).is_err());
        assert!(may_trigger(&Allow::Logins(vec!["Ada".into()]), "ada", NOBODY).is_ok());
    }

    #[test]
    fn the_permission_decides() {
        let writer = Standing { permission: Permission::Maintain, member: false };
        assert!(may_trigger(&Allow::Permission(Permission::Write), "ada", writer).is_ok());
        assert_eq!(
            may_trigger(&Allow::Permission(Permission::Write), "eve", NOBODY),
            Err(Refusal::NotAllowed { needed: Needed::Permission(Permission::Write) })
        );
        assert!(may_trigger(&Allow::Member, "eve", NOBODY).is_err());
    }

    #[test]
    fn each_limit_refuses_by_its_own_name() {
        let limits = Limits {
            max_steps: 50,
            run_timeout: Duration::from_secs(60),
            run_budget_usd: 2.0,
            daily_budget_usd: 5.0,
            user_runs_per_hour: 3,
            max_concurrent_runs: 8,
        };
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(5);
        let calm = Use { by_person: 2, oldest_by_person: None, by_everyone: 29, spent_today: 4.9 };
        assert_eq!(may_run(&limits, &calm, now), Ok(()));
        let first = now - TimeDelta::minutes(20);
        let eager = Use { by_person: 3, oldest_by_person: Some(first), ..calm };
        let until = now + TimeDelta::minutes(40);
        assert_eq!(may_run(&limits, &eager, now), Err(Refusal::PersonLimit { limit: 3, until }));
        assert_eq!(may_run(&limits, &Use { by_everyone: 30, ..calm }, now), Err(Refusal::EverybodyLimit));
        assert_eq!(may_run(&limits, &Use { spent_today: 5.0, ..calm }, now), Err(Refusal::DailyBudget));
    }
}
