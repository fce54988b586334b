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
    Budget(Line),
    /// The conversation is joined with another one that others read.
    Parted {
        /// Who reads what, as a sentence.
        why: String,
    },
}

/// A line that the money of a day does not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Of everybody and everything together.
    Everybody,
    /// Of one person.
    Person,
    /// Of one repository.
    Repository,
}

/// Dollars since midnight UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// By everybody.
    pub everybody: f64,
    /// By one person.
    pub person: f64,
    /// In one repository.
    pub repository: f64,
    /// Runs at work in all processes.
    pub running: i64,
}

/// The lines there are, with their ceilings and what was spent of each; the narrowest first.
fn lines(limits: &Limits, spent: &Spent) -> [(Line, Option<f64>, f64); 3] {
    [
        (Line::Person, limits.user_daily_budget_usd, spent.person),
        (Line::Repository, limits.repository_daily_budget_usd, spent.repository),
        (Line::Everybody, Some(limits.daily_budget_usd), spent.everybody),
    ]
}

/// The line that is reached, or would be crossed by spending `next` more, with its ceiling.
pub fn line_reached(limits: &Limits, spent: &Spent, next: f64) -> Option<(Line, f64)> {
    let mut ceilings = lines(limits, spent).into_iter().filter_map(|(line, ceiling, spent)| Some((line, ceiling?, spent)));
    ceilings.find(|(_, ceiling, spent)| spent >= ceiling || spent + next > *ceiling).map(|(line, ceiling, _)| (line, ceiling))
}

/// True while all runs that work or may begin at once could spend all they may without reaching a line, so that a figure some seconds
/// old will do.
pub fn is_far_from_lines(limits: &Limits, spent: &Spent) -> bool {
    let runs = f64::from(limits.max_concurrent_runs) + spent.running.max(0) as f64;
    let at_once = runs * limits.run_budget_usd;
    lines(limits, spent).into_iter().all(|(_, ceiling, spent)| ceiling.is_none_or(|ceiling| spent + at_once < ceiling))
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
    /// A guild on the list of the service.
    Guild,
    /// A channel on the list of the service.
    Channel,
    /// A role on the list of the service.
    Role,
    /// To be asked in a guild.
    NotDirect,
    /// A linked account on GitHub: the repository is private.
    Account,
    /// A channel that not everybody in the guild reads: the repository is private.
    Apart,
}

/// What the gate found out about a person.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The permission on the repository; `None` where it was not asked for.
    pub permission: Permission,
    /// Member of the owning organisation.
    pub member: bool,
}

/// What a repository says about who may, on its default branch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here<'a> {
    /// People it names.
    pub users: &'a [String],
    /// Whether the person is in a team it names.
    pub in_team: bool,
    /// The permission it asks for.
    pub permission: Option<Permission>,
}

impl Here<'_> {
    /// True when the repository names the person, by login or by team.
    pub fn names(&self, login: &str) -> bool {
        self.in_team || self.users.iter().any(|user| user.eq_ignore_ascii_case(login))
    }
}

/// Whether the person may trigger in a repository.
///
/// What the operator set is the floor. A repository may ask for more permission, never for less; and it may let in people and
/// teams it names, because only those who maintain its default branch can name them. Where the operator lists the people who may, that
/// list is final: a repository can shorten it with a permission, not lengthen it.
pub fn may_trigger_here(allow: &Allow, here: Here<'_>, login: &str, standing: Standing) -> Result<(), Refusal> {
    let is_final = matches!(allow, Allow::Logins(_));
    if !is_final && here.names(login) {
        return Ok(());
    }
    may_trigger(allow, login, standing)?;
    match here.permission {
        Some(needed) if standing.permission < needed => Err(Refusal::NotAllowed { needed: Needed::Permission(needed) }),
        Some(_) | None => Ok(()),
    }
}

/// Whether the person may say what runs of a thread may cost and which model answers: those who maintain the repository, those it
/// names, and those the operator lists.
pub fn may_govern(allow: &Allow, here: Here<'_>, login: &str, permission: Permission) -> bool {
    let is_listed = may_trigger(allow, login, Standing { permission: Permission::None, member: false }).is_ok();
    let lists_people = matches!(allow, Allow::Logins(_));
    permission >= Permission::Maintain || here.names(login) || (lists_people && is_listed)
}

/// Whether the person may trigger at all, as far as the operator is concerned.
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
    /// Money of the day.
    pub spent: Spent,
}

/// Runs that all people together may have in an hour.
pub fn runs_of_everyone(limits: &Limits) -> u32 {
    limits.user_runs_per_hour.saturating_mul(EVERYONE)
}

/// Whether one more run is within the limits; `everyones` is how many all people together may have in an hour.
pub fn may_run(limits: &Limits, everyones: u32, used: &Use, now: DateTime<Utc>) -> Result<(), Refusal> {
    if used.by_person >= i64::from(limits.user_runs_per_hour) {
        let until = used.oldest_by_person.unwrap_or(now) + TimeDelta::hours(1);
        return Err(Refusal::PersonLimit { limit: limits.user_runs_per_hour, until });
    }
    if used.by_everyone >= i64::from(everyones) {
        return Err(Refusal::EverybodyLimit);
    }
    line_reached(limits, &used.spent, 0.0).map_or(Ok(()), |(line, _)| Err(Refusal::Budget(line)))
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
    fn a_repository_asks_for_more_or_names_people() {
        let writer = Standing { permission: Permission::Write, member: false };
        let write = Allow::Permission(Permission::Write);
        let stricter = Here { permission: Some(Permission::Maintain), ..Here::default() };
        let refused = Err(Refusal::NotAllowed { needed: Needed::Permission(Permission::Maintain) });
        assert_eq!(may_trigger_here(&write, stricter, "ada", writer), refused);
        let looser = Here { permission: Some(Permission::Read), ..Here::default() };
        assert!(may_trigger_here(&write, looser, "eve", NOBODY).is_err(), "the operator's floor holds");
        let users = ["Eve".to_owned()];
        let named = Here { users: &users, ..stricter };
        assert!(may_trigger_here(&write, named, "eve", NOBODY).is_ok());
        assert!(may_trigger_here(&Allow::Member, Here { in_team: true, ..Here::default() }, "mo", NOBODY).is_ok());
        assert!(
            may_trigger_here(&Allow::Logins(vec!["ada".into()]), named, "eve", NOBODY).is_err(),
            "a list of the operator's is final"
        );
        assert!(may_trigger_here(&Allow::Logins(vec![]), named, "eve", NOBODY).is_err());
        assert!(may_trigger_here(&Allow::Logins(vec!["ada".into()]), stricter, "ada", writer).is_err());
    }

    #[test]
    fn ceilings_are_for_those_who_maintain_or_are_named() {
        let write = Allow::Permission(Permission::Write);
        let users = ["eve".to_owned()];
        assert!(!may_govern(&write, Here::default(), "wes", Permission::Write));
        assert!(may_govern(&write, Here::default(), "mio", Permission::Maintain));
        assert!(may_govern(&write, Here { users: &users, ..Here::default() }, "eve", Permission::Read));
        assert!(may_govern(&Allow::Logins(vec!["ada".into()]), Here::default(), "ada", Permission::None));
        assert!(!may_govern(&Allow::Member, Here::default(), "mo", Permission::Write));
    }

    #[test]
    fn each_limit_refuses_by_its_own_name() {
        let limits = Limits {
            max_steps: 50,
            run_timeout: Duration::from_secs(60),
            run_budget_usd: 2.0,
            daily_budget_usd: 5.0,
            user_daily_budget_usd: Some(3.0),
            repository_daily_budget_usd: Some(4.0),
            user_runs_per_hour: 3,
            max_concurrent_runs: 8,
        };
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(5);
        let calm =
            Use { by_person: 2, oldest_by_person: None, by_everyone: 29, spent: Spent { everybody: 4.9, ..Spent::default() } };
        assert_eq!(may_run(&limits, 30, &calm, now), Ok(()));
        let first = now - TimeDelta::minutes(20);
        let eager = Use { by_person: 3, oldest_by_person: Some(first), ..calm };
        let until = now + TimeDelta::minutes(40);
        assert_eq!(may_run(&limits, 30, &eager, now), Err(Refusal::PersonLimit { limit: 3, until }));
        assert_eq!(may_run(&limits, 30, &Use { by_everyone: 30, ..calm }, now), Err(Refusal::EverybodyLimit));
        let rich = |everybody, person, repository| Use { spent: Spent { everybody, person, repository, running: 0 }, ..calm };
        assert_eq!(may_run(&limits, 30, &rich(5.0, 2.9, 3.9), now), Err(Refusal::Budget(Line::Everybody)));
        assert_eq!(may_run(&limits, 30, &rich(4.9, 3.0, 3.9), now), Err(Refusal::Budget(Line::Person)));
        assert_eq!(may_run(&limits, 30, &rich(4.9, 2.9, 4.0), now), Err(Refusal::Budget(Line::Repository)));
        let spent = Spent { everybody: 1.0, person: 0.5, repository: 0.5, running: 0 };
        assert_eq!(line_reached(&limits, &spent, 2.5), None, "reaching a line exactly is no crossing");
        assert_eq!(line_reached(&limits, &spent, 2.51), Some((Line::Person, 3.0)));
        let roomy = Limits { run_budget_usd: 0.1, ..limits };
        assert!(is_far_from_lines(&roomy, &spent));
        assert!(!is_far_from_lines(&roomy, &Spent { running: 17, ..spent }), "runs of other processes count");
    }
}
