//! What the cards say.
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
        Card::Status {
            activity: Activity::Idle,
            waiting: 0,
            approvals: Vec::new(),
            model: None,
            spent_today: None,
            run_url: None,
        },
        Card::Status {
            activity: Activity::Queued { position: 2 },
            waiting: 0,
            approvals: Vec::new(),
            model: None,
            spent_today: None,
            run_url: None,
        },
        Card::Status {
            activity: Activity::Working { steps: 3, seconds: 75, doing: Some("Running the tests.".into()) },
            waiting: 2,
            approvals: vec!["the plan 0123456789".into()],
            model: Some("openai/gpt-4.1".into()),
            spent_today: Some((1.5, 50.0)),
            run_url: Some("https://bot.example/runs/1".into()),
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
        Card::NothingToApprove { last: None },
        Card::NothingToApprove { last: Some("The last plan was approved by maya.".into()) },
        Card::WhichApproval {
            handle: handle(),
            waiting: vec![("0123456789".into(), "the plan".into()), ("abcdef0123".into(), "what eve asks".into())],
        },
        Card::NotApproved { why: "The comment with it was edited. Ask for it again.".into() },
        Card::TooLongToApprove { login: "eve".into() },
        Card::OnlyOnPullRequests { word: Word::Review },
        Card::Linked { to: "acme/rocket#7".into() },
        Card::NotLinked { why: "Discord is not connected in this version.".into() },
        Card::Branched { from: "acme/rocket#7".into() },
        Card::NotBranched { why: "That is this conversation.".into() },
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

    Nothing is running here.

    ---

    Waiting for a free slot: number 2 in line.

    ---

    Working for 1 min 15 s, 3 steps so far. Now: Running the tests. 2 requests wait behind it.

    This waits for a yes:

    - the plan 0123456789

    <sub>model openai/gpt-4.1 · $1.50 of $50.00 spent today</sub>

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

    `link` needs the address of an issue or of a thread on Discord, or a repository. For example: `@threadbox link https://github.com/owner/name/issues/7`

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

    ---

    Nothing waits for a yes here.

    ---

    Nothing waits for a yes here. The last plan was approved by maya.

    ---

    Several things wait for a yes here, so I need to know which. Nothing was run. Press 👍 on the comment you mean, or write:

    - `@threadbox approve 0123456789` for the plan
    - `@threadbox approve abcdef0123` for what eve asks

    ---

    That was not approved, and nothing was run. The comment with it was edited. Ask for it again.

    ---

    eve may not start runs here, and the request is too long to be shown to somebody who could approve it. Nothing was run. Say it in fewer words.

    ---

    `review` is for pull requests, and this is an issue. Nothing was run. Mention me in the pull request, or say what you want in your own words.

    ---

    acme/rocket\#7 and this conversation are one now: what is said there I know here, and the other way round. I answer where I am asked.

    ---

    Nothing was linked. Discord is not connected in this version.

    ---

    This conversation begins with what was said in acme/rocket\#7 up to now: go on from there. What is said there later is no part of this one, and what is said here no part of that one. The files of its sandbox stay there.

    ---

    Nothing was taken over. That is this conversation.
    "#);
}

#[test]
fn help_shows_only_what_works_here() {
    let help =
        Card::Help { handle: "threadbox".into(), available: vec![Word::Help, Word::Stop, Word::Run, Word::Retry, Word::Status] };
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

#[test]
fn what_could_not_be_handled_says_why_and_what_to_do() {
    let hindered = Card::Hindered {
        why: "To look up what I need on GitHub I lack the permission members: read. Grant it, @everyone.".into(),
        report: "0190".into(),
    };
    insta::assert_snapshot!(text(&hindered).replace('\u{200b}', "·"), @"I could not handle this, and nothing was run. To look up what I need on GitHub I lack the permission members: read. Grant it, @·everyone. Then ask again; the operator finds this as `0190` in the log.");
    let gone = text(&Card::WordsGone { handle: "threadbox".into() });
    insta::assert_snapshot!(gone.replace('\u{200b}', "·"), @"Your message was changed before I could read it, so nothing was run. Write what you want in a new one that mentions `@threadbox`.");
}
