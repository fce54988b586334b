//! Short comments that are no answers: refusals with their reason, help, status, "did you mean".

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::house::{self, HouseCard};
use super::{fence, inline, marker};
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
    /// A command of the grammar that this version cannot carry out.
    NotYet {
        /// Which.
        word: Word,
        /// What works here.
        available: Vec<Word>,
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
        /// The run page, when there is one.
        run_url: Option<String>,
        /// Model and ceiling of the thread.
        #[serde(default)]
        set: Option<String>,
    },
    /// What the rules are here.
    House {
        /// Which of them.
        what: HouseCard,
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
    /// Accepted, and others are before it.
    Queued {
        /// Place in line; 1 is next.
        position: u32,
    },
    /// Joined the current run.
    Noted,
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

fn text(card: &Card) -> String {
    match card {
        Card::NoPermission { login, needed } => no_permission(login, needed),
        Card::Bot => "I do not take requests from bots and apps, so that no two of us talk for ever. Nothing was run. A person can repeat the request.".to_owned(),
        Card::RateLimited { scope, free_at } => rate_limited(*scope, *free_at),
        Card::NotYet { word, available } => format!(
            "`{}` is a command I know, but this version cannot carry it out yet. Nothing was run. What works here: {}, or simply say what you want.",
            word.as_str(),
            listed(available),
        ),
        Card::Help { handle, available } => help(handle, available),
        Card::Status { activity, waiting, run_url, set } => {
            let set = set.as_deref().map(|set| format!(" Here: {}.", inline::plain(set, 200))).unwrap_or_default();
            status(activity, *waiting, &set, run_url.as_deref())
        }
        Card::House { what } => house::text(what),
        Card::DidYouMean { handle, word, suggestion } => did_you_mean(handle, word, *suggestion),
        Card::Invalid { handle, problem } => invalid(handle, problem),
        Card::Stopping => "Stopping. What was reached so far follows.".to_owned(),
        Card::NothingToStop => "Nothing is running here, so there is nothing to stop.".to_owned(),
        Card::NothingToRetry => "There is no earlier request here that I could run again.".to_owned(),
        Card::Queued { position: 1 } => "Noted. It is next in line.".to_owned(),
        Card::Queued { position } => format!("Noted. It is number {position} in line."),
        Card::Noted => "Noted. It joins the current run.".to_owned(),
        Card::GivenUp { report } => format!(
            "I could not handle this: the service stopped each time it tried, so it is given up. Say it again in other words, or ask the operator to look for `{report}` in the log.",
        ),
    }
}

fn no_permission(login: &str, needed: &Needed) -> String {
    let (takes, remedy) = match needed {
        Needed::Permission { name } => (
            format!("people with {} permission on this repository", inline::plain(name, 20)),
            "A maintainer can grant it, or repeat your request in a comment of their own.",
        ),
        Needed::Member => (
            "members of the organisation that owns this repository".to_owned(),
            "A member can repeat your request in a comment of their own.",
        ),
        Needed::Listed => (
            "people on the list of this service".to_owned(),
            "Someone on it can repeat your request in a comment of their own; whoever runs this service keeps the list in `THREADBOX_ALLOW`.",
        ),
    };
    format!("I only work for {takes}, and {} is not among them, so nothing was run. {remedy}", inline::plain(login, 60))
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
        Scope::Budget => format!(
            "The budget for today is used up. Nothing was run. It starts afresh at {at}; whoever runs this service can raise it with `DAILY_BUDGET_USD`."
        ),
    }
}

fn listed(words: &[Word]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_str())).collect::<Vec<_>>().join(" · ")
}

fn help(handle: &str, available: &[Word]) -> String {
    let handle = inline::plain(handle, 60);
    let mut lines = vec![
        format!(
            "Mention `@{handle}` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here."
        ),
        String::new(),
        "| after the mention | what happens |".to_owned(),
        "| --- | --- |".to_owned(),
        "| anything in your own words | I get to work; while I work, it joins the current run |".to_owned(),
    ];
    for word in Word::ALL.iter().filter(|word| available.contains(word)) {
        let (usage, does) = describe(*word);
        lines.push(format!("| {usage} | {does} |"));
    }
    lines.join("\n")
}

/// How a command is written and what it does.
fn describe(word: Word) -> (&'static str, &'static str) {
    match word {
        Word::Run => ("`run` and a fenced code block", "the code is run as it is, without a model"),
        Word::Review => ("`review`", "I review this pull request"),
        Word::Fix => ("`fix`", "I land the work: a pull request, or commits on this branch"),
        Word::Pr => ("`pr`", "the same"),
        Word::Plan => ("`plan …`", "I propose first and change nothing"),
        Word::Approve => ("`approve`", "the proposed plan is carried out"),
        Word::Queue => ("`queue …`", "I do this after the current run"),
        Word::Stop => ("`stop`", "the current run stops and says where it stood"),
        Word::Retry => ("`retry`", "the last request is run again"),
        Word::Undo => ("`undo`", "the changes of the last run are taken back"),
        Word::Status => ("`status`", "where it stands"),
        Word::Help => ("`help`", "this"),
        Word::Remember => ("`remember …`", "I keep it in mind"),
        Word::Forget => ("`forget …`", "I drop it from memory"),
        Word::Memory => ("`memory`", "what I keep in mind"),
        Word::Model => ("`model provider/name`", "this thread uses that model"),
        Word::Budget => ("`budget 5`", "a run in this thread may cost 5 dollars"),
        Word::Link => ("`link <address>`", "that issue or channel joins this thread"),
    }
}

fn status(activity: &Activity, waiting: u32, set: &str, run_url: Option<&str>) -> String {
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
    let run = run_url.filter(|url| url.len() < 1_000).map(|url| format!("\n\n<sub>[run]({})</sub>", inline::target(url)));
    format!("{now}{behind}{set}{}", run.unwrap_or_default())
}

fn did_you_mean(handle: &str, word: &str, suggestion: Word) -> String {
    let (word, handle) = (fence::code_span(&word.chars().take(40).collect::<String>()), inline::plain(handle, 60));
    format!(
        "I do not know the command {word}. Did you mean `{}`? Nothing was run: write `@{handle} {}`, or say in a few more words what you want.",
        suggestion.as_str(),
        suggestion.as_str(),
    )
}

fn invalid(handle: &str, problem: &Problem) -> String {
    let handle = inline::plain(handle, 60);
    let instead = |given: &str| match given {
        "" => String::new(),
        given => format!(", not {}", fence::code_span(&given.chars().take(80).collect::<String>())),
    };
    match problem {
        Problem::NoCode => {
            let example = format!("@{handle} run\n```python\nprint(\"hello\")\n```\n");
            format!(
                "`run` needs a fenced code block with something in it. Nothing was run. For example:\n\n{}",
                fence::fence("markdown", &example)
            )
        }
        Problem::NoText { word } => {
            let word = word.as_str();
            format!("`{word}` needs to be told what. For example: `@{handle} {word} the tests need Python 3.12`")
        }
        Problem::NoModel { given } => {
            format!(
                "`model` needs a name of the form `provider/model`{}. For example: `@{handle} model openai/gpt-4.1`",
                instead(given)
            )
        }
        Problem::NoAmount { given } => {
            format!("`budget` needs an amount in dollars above zero{}. For example: `@{handle} budget 5`", instead(given))
        }
        Problem::NoAddress { given } => {
            format!(
                "`link` needs the address of an issue or a Discord channel{}. For example: `@{handle} link https://github.com/owner/name/issues/7`",
                instead(given)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn everything_we_say_in_short() {
        let free_at = "2026-11-22T14:05:00Z".parse().unwrap();
        let handle = || "threadbox".to_owned();
        let cards = [
            Card::NoPermission { login: "mallory".into(), needed: Needed::Permission { name: "write".into() } },
            Card::NoPermission { login: "mallory".into(), needed: Needed::Member },
            Card::NoPermission { login: "@x *y*".into(), needed: Needed::Listed },
            Card::Bot,
            Card::RateLimited { scope: Scope::Person { per_hour: 30 }, free_at },
            Card::RateLimited { scope: Scope::Everyone, free_at },
            Card::RateLimited { scope: Scope::Budget, free_at },
            Card::NotYet { word: Word::Review, available: vec![Word::Run, Word::Stop, Word::Help] },
            Card::Status { activity: Activity::Idle, waiting: 0, run_url: None, set: None },
            Card::Status { activity: Activity::Queued { position: 2 }, waiting: 0, run_url: None, set: None },
            Card::Status {
                activity: Activity::Working { steps: 3, seconds: 75, doing: Some("Running the tests.".into()) },
                waiting: 2,
                run_url: Some("https://bot.example/runs/1".into()),
                set: Some("openai/gpt-4.1, at most $2.00 a run".into()),
            },
            Card::DidYouMean { handle: handle(), word: "stpo".into(), suggestion: Word::Stop },
            Card::Invalid { handle: handle(), problem: Problem::NoCode },
            Card::Invalid { handle: handle(), problem: Problem::NoText { word: Word::Remember } },
            Card::Invalid { handle: handle(), problem: Problem::NoModel { given: "gpt`5".into() } },
            Card::Invalid { handle: handle(), problem: Problem::NoAmount { given: "-1".into() } },
            Card::Invalid { handle: handle(), problem: Problem::NoAddress { given: String::new() } },
            Card::Stopping,
            Card::NothingToStop,
            Card::NothingToRetry,
            Card::Queued { position: 1 },
            Card::Queued { position: 4 },
            Card::Noted,
        ];
        let all: Vec<String> = cards.iter().map(text).collect();
        insta::assert_snapshot!(all.join("\n\n---\n\n").replace('\u{200b}', "·"), @r#"
        I only work for people with write permission on this repository, and mallory is not among them, so nothing was run. A maintainer can grant it, or repeat your request in a comment of their own.

        ---

        I only work for members of the organisation that owns this repository, and mallory is not among them, so nothing was run. A member can repeat your request in a comment of their own.

        ---

        I only work for people on the list of this service, and @·x \*y\* is not among them, so nothing was run. Someone on it can repeat your request in a comment of their own; whoever runs this service keeps the list in `THREADBOX_ALLOW`.

        ---

        I do not take requests from bots and apps, so that no two of us talk for ever. Nothing was run. A person can repeat the request.

        ---

        That was a lot: one person may start 30 runs an hour here. Nothing was run. It is free again at 14:05 UTC on 22 November; please ask then.

        ---

        Too much is being asked of me at once. Nothing was run. It is free again at 14:05 UTC on 22 November; please ask then.

        ---

        The budget for today is used up. Nothing was run. It starts afresh at 14:05 UTC on 22 November; whoever runs this service can raise it with `DAILY_BUDGET_USD`.

        ---

        `review` is a command I know, but this version cannot carry it out yet. Nothing was run. What works here: `run` · `stop` · `help`, or simply say what you want.

        ---

        Nothing is running here.

        ---

        Waiting for a free slot: number 2 in line.

        ---

        Working for 1 min 15 s, 3 steps so far. Now: Running the tests. 2 requests wait behind it. Here: openai/gpt-4.1, at most $2.00 a run.

        <sub>[run](https://bot.example/runs/1)</sub>

        ---

        I do not know the command `stpo`. Did you mean `stop`? Nothing was run: write `@threadbox stop`, or say in a few more words what you want.

        ---

        `run` needs a fenced code block with something in it. Nothing was run. For example:

        ````markdown
        @threadbox run
        ```python
        print("hello")
        ```
        ````


        ---

        `remember` needs to be told what. For example: `@threadbox remember the tests need Python 3.12`

        ---

        `model` needs a name of the form `provider/model`, not ``gpt`5``. For example: `@threadbox model openai/gpt-4.1`

        ---

        `budget` needs an amount in dollars above zero, not `-1`. For example: `@threadbox budget 5`

        ---

        `link` needs the address of an issue or a Discord channel. For example: `@threadbox link https://github.com/owner/name/issues/7`

        ---

        Stopping. What was reached so far follows.

        ---

        Nothing is running here, so there is nothing to stop.

        ---

        There is no earlier request here that I could run again.

        ---

        Noted. It is next in line.

        ---

        Noted. It is number 4 in line.

        ---

        Noted. It joins the current run.
        "#);
    }

    #[test]
    fn help_shows_only_what_works_here() {
        let help = Card::Help {
            handle: "threadbox".into(),
            available: vec![Word::Help, Word::Stop, Word::Run, Word::Retry, Word::Status],
        };
        insta::assert_snapshot!(card(&help, "help:1"), @r"
        Mention `@threadbox` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here.

        | after the mention | what happens |
        | --- | --- |
        | anything in your own words | I get to work; while I work, it joins the current run |
        | `run` and a fenced code block | the code is run as it is, without a model |
        | `stop` | the current run stops and says where it stood |
        | `retry` | the last request is run again |
        | `status` | where it stands |
        | `help` | this |

        <!-- threadbox:post=help:1 -->
        ");
    }

    #[test]
    fn cards_survive_storage() {
        let card = Card::RateLimited { scope: Scope::Person { per_hour: 3 }, free_at: "2026-11-22T14:05:00Z".parse().unwrap() };
        let stored = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Card>(&stored).unwrap(), card);
    }
}
