//! Short comments that are no answers: refusals with their reason, help, status, "did you mean", what waits for a yes.

pub(super) mod approval;
mod bridge;
mod going;
pub(super) mod help;
mod memory;
mod sharing;

pub use self::approval::{ApprovalNote, approval_body, landing, outsider, plan};
pub use self::bridge::{BridgeCard, Mirrored, Step, Whole, account_code};
pub use self::going::{Extent, Going};
pub use self::memory::{Listing, MemoryCard, ShownLine};
pub use self::sharing::Sharing;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::help::{did_you_mean, help, invalid};
use super::house::{self, HouseCard};
use super::{inline, marker};
use crate::intake::command::{Problem, Word};

/// A short comment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "card", rename_all = "snake_case")]
pub enum Card {
    /// They may not do this.
    NoPermission {
        /// Who asked.
        login: String,
        /// What it takes.
        needed: Needed,
    },
    /// A bot asked.
    Bot,
    /// Too much at once.
    RateLimited {
        /// Whose limit it is.
        scope: Scope,
        /// When it is free again.
        free_at: DateTime<Utc>,
    },
    /// What can be said.
    Help {
        /// Our name, without `@`.
        handle: String,
        /// What works here; nothing else is shown.
        available: Vec<Word>,
    },
    /// Where it stands.
    Status {
        /// What happens now.
        activity: Activity,
        /// Requests that wait behind it.
        waiting: u32,
        /// What waits for a yes, each as a few plain words.
        approvals: Vec<String>,
        /// The model that answers here, such as `openai/gpt-4.1`.
        model: Option<String>,
        /// Dollars that everybody's runs cost today, and the most they may.
        spent_today: Option<(f64, f64)>,
        /// The run page, when there is one.
        run_url: Option<String>,
    },
    /// What the rules are here.
    House {
        /// Which of them.
        what: HouseCard,
    },
    /// What is kept in mind, and what became of it.
    Memory {
        /// Which of them.
        what: MemoryCard,
    },
    /// What connects Discord and GitHub.
    Bridge {
        /// Which of them.
        what: BridgeCard,
    },
    /// Nearly a command.
    DidYouMean {
        /// Our name, without `@`.
        handle: String,
        /// What they wrote.
        word: String,
        /// What they may have meant.
        suggestion: Word,
    },
    /// A command that lacks something.
    Invalid {
        /// Our name, without `@`.
        handle: String,
        /// What is missing.
        problem: Problem,
    },
    /// `stop` while a run goes on.
    Stopping,
    /// `stop` while nothing goes on.
    NothingToStop,
    /// `retry` without a request before it.
    NothingToRetry,
    /// `approve` while nothing waits for it.
    NothingToApprove {
        /// What became of the last thing that waited; a sentence of ours.
        last: Option<String>,
    },
    /// `approve` while several things wait.
    WhichApproval {
        /// Our name, without `@`.
        handle: String,
        /// The digests' first digits, each with what it is in a few plain words.
        waiting: Vec<(String, String)>,
    },
    /// What was approved is not what is there.
    NotApproved {
        /// Why, and what to do; a sentence of ours.
        why: String,
    },
    /// Somebody without permission asks for too much to be shown.
    TooLongToApprove {
        /// Who.
        login: String,
    },
    /// A command that needs a pull request, on an issue.
    OnlyOnPullRequests {
        /// Which.
        word: Word,
    },
    /// Another conversation joined this one.
    Linked {
        /// Such as `owner/name#7`.
        to: String,
    },
    /// It did not.
    NotLinked {
        /// Why, and what to do; a sentence of ours that may hold code spans.
        why: String,
    },
    /// This conversation begins with what was said in another one.
    Branched {
        /// Such as `owner/name#7`.
        from: String,
    },
    /// It does not.
    NotBranched {
        /// Why, and what to do; a sentence of ours that may hold code spans.
        why: String,
    },
    /// Accepted, and others are before it.
    Queued {
        /// Place in line; 1 is next.
        position: u32,
    },
    /// Joined the current run.
    Noted,
    /// The words it was asked in were changed or gone before they were read.
    WordsGone {
        /// Our name, without `@`.
        handle: String,
    },
    /// Something has to be changed before it can work, by a person.
    Hindered {
        /// Cause and remedy, as the surface says them.
        why: String,
        /// Names it in our log.
        report: String,
    },
    /// Workers died over it, or it was tried too often.
    GivenUp {
        /// Names it in our log.
        report: String,
    },
}

/// What it takes to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "needed", rename_all = "snake_case")]
pub enum Needed {
    /// A permission on the repository, such as `write`.
    Permission {
        /// Its name as GitHub's pages call it.
        name: String,
    },
    /// Membership in the organisation.
    Member,
    /// To be on the list of the service.
    Listed,
    /// A permission on the repository a conversation elsewhere is linked to.
    OnLinked {
        /// Its name as GitHub's pages call it.
        name: String,
        /// `owner/name`.
        repository: String,
    },
    /// A server on Discord that the service lists.
    Guild,
    /// A channel on Discord that the service lists.
    Channel,
    /// A role on Discord that the service lists.
    Role,
    /// To be asked in a server: direct messages show no roles and no channel.
    NotDirect,
    /// A linked account on GitHub, because the linked repository is private.
    Account {
        /// Our name, without `@`.
        handle: String,
    },
    /// A channel that not everybody in the server reads, because the linked repository is private.
    Apart,
}

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum Scope {
    /// One person's runs per hour.
    Person {
        /// The limit.
        per_hour: u32,
    },
    /// Everybody's together.
    Everyone,
    /// The money of the day.
    Budget,
    /// The money one person may spend in a day.
    PersonBudget,
    /// The money that may be spent in a repository in a day.
    RepositoryBudget,
    /// The money that may be spent in a server on Discord in a day.
    GuildBudget,
}

/// What happens in a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "activity", rename_all = "snake_case")]
pub enum Activity {
    /// Nothing, and nothing waits.
    Idle,
    /// A run waits for a free slot.
    Queued {
        /// Place in line; 1 is next.
        position: u32,
    },
    /// A run goes on.
    Working {
        /// Model answers so far.
        steps: u32,
        /// How long it has been going, in seconds.
        seconds: u64,
        /// What it does now; plain text.
        doing: Option<String>,
    },
}

/// The body of a card, with the marker of its key; a few kilobytes at most.
pub fn card(card: &Card, key: &str) -> String {
    marker::mark(&text(card), key)
}

/// The body without its marker, as GitHub reads it.
pub(super) fn text(card: &Card) -> String {
    match card {
        Card::NoPermission { login, needed } => no_permission(login, needed),
        Card::Bot => "I do not take requests from bots and apps, so that no two of us talk for ever. Nothing was run. A person can repeat the request.".to_owned(),
        Card::RateLimited { scope, free_at } => rate_limited(*scope, *free_at),
        Card::Help { handle, available } => help(handle, available),
        Card::Status { activity, waiting, approvals, model, spent_today, run_url } => {
            let now = status(activity, *waiting);
            let more = more_status(approvals, model.as_deref(), *spent_today);
            format!("{now}{more}{}", run_link(run_url.as_deref()))
        }
        Card::House { what } => house::text(what),
        Card::Memory { what } => memory_of(what, Sharing::Repository),
        Card::Bridge { what } => bridge::text(what),
        Card::DidYouMean { handle, word, suggestion } => did_you_mean(handle, word, *suggestion),
        Card::Invalid { handle, problem } => invalid(handle, problem),
        Card::Stopping => "Stopping. What was reached so far follows.".to_owned(),
        Card::NothingToStop => "Nothing is running here, so there is nothing to stop.".to_owned(),
        Card::NothingToRetry => "There is no earlier request here that I could run again.".to_owned(),
        Card::NothingToApprove { last } => {
            let last = last.as_deref().map(|last| format!(" {}", inline::sentence(last, 300))).unwrap_or_default();
            format!("Nothing waits for a yes here.{last}")
        }
        Card::WhichApproval { handle, waiting } => which(handle, waiting),
        Card::NotApproved { why } => format!("That was not approved, and nothing was run. {}", inline::sentence(why, 600)),
        Card::TooLongToApprove { login } => format!(
            "{} may not start runs here, and the request is too long to be shown to somebody who could approve it. Nothing was run. Say it in fewer words.",
            inline::plain(login, 60)
        ),
        Card::OnlyOnPullRequests { word } => format!(
            "`{}` is for pull requests, and this is an issue. Nothing was run. Mention me in the pull request, or say what you want in your own words.",
            word.as_str()
        ),
        Card::Linked { to } => format!(
            "{} and this conversation are one now: what is said there I know here, and the other way round. I answer where I am asked.",
            inline::plain(to, 200)
        ),
        Card::NotLinked { why } => format!("Nothing was linked. {}", inline::sentence(why, 600)),
        Card::Branched { from } => format!(
            "This conversation begins with what was said in {} up to now: go on from there. What is said there later is no part of this one, and what is said here no part of that one. The files of its sandbox stay there.",
            inline::plain(from, 200)
        ),
        Card::NotBranched { why } => format!("Nothing was taken over. {}", inline::sentence(why, 600)),
        Card::Queued { position: 1 } => "Noted. It is next in line.".to_owned(),
        Card::Queued { position } => format!("Noted. It is number {position} in line."),
        Card::Noted => "Noted. It joins the current run.".to_owned(),
        Card::WordsGone { handle } => format!(
            "Your message was changed before I could read it, so nothing was run. Write what you want in a new one that mentions `@{}`.",
            inline::plain(handle, 60)
        ),
        Card::Hindered { why, report } => format!(
            "I could not handle this, and nothing was run. {} Then ask again; the operator finds this as `{report}` in the log.",
            inline::sentence(why, 600)
        ),
        Card::GivenUp { report } => format!(
            "I could not handle this: the service stopped each time it tried, so it is given up. Say it again in other words, or ask the operator to look for `{report}` in the log.",
        ),
    }
}

/// What is said about what is kept in mind, where `sharing` shares it.
pub(super) fn memory_of(what: &MemoryCard, sharing: Sharing) -> String {
    memory::text(what, sharing)
}

fn no_permission(login: &str, needed: &Needed) -> String {
    let (takes, remedy) = match needed {
        Needed::Permission { name } => (
            format!("people with {} permission on this repository", inline::plain(name, 20)),
            "A maintainer can grant it, or repeat your request in a comment of their own.".to_owned(),
        ),
        Needed::Member => (
            "members of the organisation that owns this repository".to_owned(),
            "A member can repeat your request in a comment of their own.".to_owned(),
        ),
        Needed::Listed => (
            "people on the list of this service".to_owned(),
            "Someone on it can repeat your request in a comment of their own; whoever runs this service keeps the list in `THREADBOX_ALLOW`.".to_owned(),
        ),
        Needed::OnLinked { name, repository } => (
            format!("people with {} permission on {}, which this is linked to", inline::plain(name, 20), inline::plain(repository, 150)),
            "A maintainer of it can grant that to your account on GitHub.".to_owned(),
        ),
        Needed::Role => (
            "people with certain roles here".to_owned(),
            "Someone who has one can repeat your request; whoever runs this service keeps the list in `DISCORD_ALLOW_ROLES`.".to_owned(),
        ),
        Needed::Guild | Needed::Channel | Needed::NotDirect | Needed::Account { .. } | Needed::Apart => return not_here(needed),
    };
    format!("I only work for {takes}, and {} is not among them, so nothing was run. {remedy}", inline::plain(login, 60))
}

/// Where it is the place that does not fit, or the next step is theirs.
fn not_here(needed: &Needed) -> String {
    let why = match needed {
        Needed::Guild => "I do not work in this server, or for people who share no server with me where I do. Whoever runs this service keeps the list in `DISCORD_ALLOW_GUILDS`.".to_owned(),
        Needed::Channel => "I do not work in this channel. Whoever runs this service keeps the list in `DISCORD_ALLOW_CHANNELS`.".to_owned(),
        Needed::NotDirect => "Who may ask me is decided by roles and channels of a server, which direct messages do not show. Ask me in the server.".to_owned(),
        Needed::Account { handle } => format!(
            "This is about a private repository, and I do not know who you are on GitHub. Link your account first: `@{} link account`.",
            inline::plain(handle, 60)
        ),
        Needed::Apart => "This is linked to a private repository, and everybody in this server can read here. Hide the channel from those who may not read the repository, or link it anew.".to_owned(),
        Needed::Permission { .. } | Needed::Member | Needed::Listed | Needed::OnLinked { .. } | Needed::Role => String::new(),
    };
    format!("{why} Nothing was run.")
}

fn rate_limited(scope: Scope, free_at: DateTime<Utc>) -> String {
    let at = free_at.format("%H:%M UTC on %-d %B");
    match scope {
        Scope::Person { per_hour } => {
            let limit = inline::counted(per_hour.into(), "run");
            format!(
                "That was a lot: one person may start {limit} an hour here. Nothing was run. It is free again at {at}; please ask then."
            )
        }
        Scope::Everyone => {
            format!("Too much is being asked of me at once. Nothing was run. It is free again at {at}; please ask then.")
        }
        Scope::PersonBudget => format!(
            "What one person may spend in a day is used up. Nothing was run. It starts afresh at {at}; whoever runs this service can raise it with `USER_DAILY_BUDGET_USD`."
        ),
        Scope::RepositoryBudget => format!(
            "What may be spent in this repository in a day is used up. Nothing was run. It starts afresh at {at}; it is set by `REPOSITORY_DAILY_BUDGET_USD`, or lower by `[limits]` in the repository's file."
        ),
        Scope::GuildBudget => format!(
            "What may be spent in this server in a day is used up. Nothing was run. It starts afresh at {at}; whoever runs this service can raise it with `DISCORD_GUILD_DAILY_BUDGET_USD`."
        ),
        Scope::Budget => format!(
            "The budget for today is used up. Nothing was run. It starts afresh at {at}; whoever runs this service can raise it with `DAILY_BUDGET_USD`."
        ),
    }
}

fn status(activity: &Activity, waiting: u32) -> String {
    let now = match activity {
        Activity::Idle => "Nothing is running here.".to_owned(),
        Activity::Queued { position: 1 } => "Waiting for a free slot: next in line.".to_owned(),
        Activity::Queued { position } => format!("Waiting for a free slot: number {position} in line."),
        Activity::Working { steps, seconds, doing } => {
            let since = inline::time(Duration::from_secs(*seconds));
            let doing = doing
                .as_deref()
                .map(|doing| format!(" Now: {}.", inline::plain(doing, 120).trim_end_matches('.')))
                .unwrap_or_default();
            format!("Working for {since}, {} so far.{doing}", inline::counted((*steps).into(), "step"))
        }
    };
    let behind = match waiting {
        0 => String::new(),
        1 => " One request waits behind it.".to_owned(),
        waiting => format!(" {waiting} requests wait behind it."),
    };
    format!("{now}{behind}")
}

fn more_status(approvals: &[String], model: Option<&str>, spent_today: Option<(f64, f64)>) -> String {
    let mut more = String::new();
    if !approvals.is_empty() {
        more.push_str("\n\nThis waits for a yes:\n");
        approvals.iter().for_each(|what| more.push_str(&format!("\n- {}", inline::plain(what, 200))));
    }
    let model = model.map(|model| format!("model {}", inline::plain(model, 100)));
    let spent = spent_today.map(|(spent, most)| format!("${spent:.2} of ${most:.2} spent today"));
    let facts: Vec<String> = [model, spent].into_iter().flatten().collect();
    if !facts.is_empty() {
        more.push_str(&format!("\n\n<sub>{}</sub>", facts.join(" · ")));
    }
    more
}

fn run_link(url: Option<&str>) -> String {
    let url = url.filter(|url| url.len() < 1_000);
    url.map(|url| format!("\n\n<sub>[run]({})</sub>", inline::target(url))).unwrap_or_default()
}

fn which(handle: &str, waiting: &[(String, String)]) -> String {
    let handle = inline::plain(handle, 60);
    let mut text = "Several things wait for a yes here, so I need to know which. Nothing was run. Press 👍 on the comment you mean, or write:\n".to_owned();
    for (digest, what) in waiting {
        text.push_str(&format!("\n- `@{handle} approve {digest}` for {}", inline::plain(what, 200)));
    }
    text
}

#[cfg(test)]
mod tests;
