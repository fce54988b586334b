//! What people read in short messages on Discord.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::approval::Kind;
use crate::id::ApprovalId;
use crate::reply::cards::{outsider, plan};
use crate::reply::discord::{Buttons, MAX_CONTENT};
use crate::reply::{Activity, AnswerView, Cost, Footer, HouseCard, Listing, MemoryCard, Outcome, Sharing, ShownLine, Whole};

fn shown(pieces: &[Piece]) -> String {
    let one = |piece: &Piece| {
        let buttons: Vec<String> = piece.buttons.iter().map(|button| format!("[{}]", button.label)).collect();
        let files: Vec<String> = piece.files.iter().map(|file| format!("file {}", file.name)).collect();
        let parts = [piece.content.clone(), files.join("\n"), buttons.join(" ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    };
    pieces.iter().map(one).collect::<Vec<_>>().join("\n=====\n").replace('\u{200b}', "·")
}

fn here() -> Here {
    let id = |text: &str| Some(text.to_owned());
    let buttons = Buttons { retry: id("r"), approve: id("a"), decline: id("d"), ..Buttons::default() };
    Here { buttons, ..Here::default() }
}

#[test]
fn short_messages_in_the_words_of_discord() {
    let handle = || "threadbox".to_owned();
    let cards = [
        Card::Help { handle: handle(), available: vec![Word::Run, Word::Approve, Word::Stop, Word::Status] },
        Card::DidYouMean { handle: handle(), word: "st`p".into(), suggestion: Word::Stop },
        Card::Invalid { handle: handle(), problem: Problem::NoCode },
        Card::Invalid { handle: handle(), problem: Problem::NoText { word: Word::Remember } },
        Card::WhichApproval {
            handle: handle(),
            waiting: vec![("0123456789".into(), "the plan".into()), ("abcdef0123".into(), "what @everyone asks".into())],
        },
        Card::OnlyOnPullRequests { word: Word::Review },
        Card::Status {
            activity: Activity::Working { steps: 3, seconds: 75, doing: Some("Running <@1>.".into()) },
            waiting: 1,
            approvals: vec!["the plan 0123456789".into()],
            model: Some("openai/gpt-4.1".into()),
            spent_today: Some((1.5, 50.0)),
            run_url: Some("https://bot.example/runs/1".into()),
        },
        Card::Noted,
        Card::GivenUp { report: "R-1".into() },
    ];
    let all: Vec<String> = cards.iter().map(|one| shown(&card(one, &here()))).collect();
    insta::assert_snapshot!(all.join("\n-----\n"), @r"
    Mention `@threadbox` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here; in a thread of ours I hear you without a mention.

    - in your own words: I get to work; while I work, it joins the current run
    - `run` and a fenced code block: the code is run as it is, without a model
    - `approve`: what waits for a yes (a plan, a request) begins; **Approve** under it does the same
    - `stop`: the current run stops and says where it stood; **Stop** under it does the same
    - `status`: where it stands

    -# each word is a slash command, too, such as `/status`
    -----
    I do not know the command “st\`p”. Did you mean `stop`? Nothing was run: use `/stop`, or say in a few more words what you want.
    -----
    `run` needs a block of code with something in it. Nothing was run. Put three backticks and a language, such as `python`, on a line before the code and three backticks on a line after it, or use `/run`.
    -----
    `remember` needs to be told what. For example: `@threadbox remember the tests need Python 3.12`
    -----
    Several things wait for a yes here, so I need to know which. Nothing was run. Press **Approve** under the one you mean, or use:

    - `/approve 0123456789` for the plan
    - `/approve abcdef0123` for what @·everyone asks
    -----
    `review` is for pull requests, and this conversation is about none. Nothing was run. Mention me in the pull request on GitHub, or say what you want in your own words.
    -----
    Working for 1 min 15 s, 3 steps so far. Now: Running <·@1>. One request waits behind it.

    This waits for a yes:

    - the plan 0123456789

    -# model openai/gpt-4.1 · $1.50 of $50.00 spent today

    -# [run](<https://bot.example/runs/1>)
    -----
    Noted. It joins the current run.
    -----
    I could not handle this: the service stopped each time it tried, so it is given up. Say it again in other words, or ask the operator to look for `R-1` in the log.
    [Retry]
    ");
}

/// What people read of each.
fn all_of(cards: &[Card], here: &Here) -> String {
    let one = |one: &Card| shown(&card(one, here));
    cards.iter().map(one).collect::<Vec<_>>().join("\n-----\n")
}

#[test]
fn refusals_speak_of_what_people_on_discord_have_before_their_eyes() {
    let handle = || "threadbox".to_owned();
    let needed = [
        Needed::Permission { name: "write".into() },
        Needed::Member,
        Needed::Listed,
        Needed::OnLinked { name: "write".into(), repository: "acme/rocket".into() },
        Needed::Guild,
        Needed::Channel,
        Needed::Role,
        Needed::NotDirect,
        Needed::Account { handle: handle() },
        Needed::Apart,
    ];
    let free_at = "2026-11-30T12:00:00Z".parse().unwrap();
    let scopes = [
        Scope::Person { per_hour: 30 },
        Scope::Everyone,
        Scope::Budget,
        Scope::PersonBudget,
        Scope::RepositoryBudget,
        Scope::GuildBudget,
    ];
    let refusals = needed.into_iter().map(|needed| Card::NoPermission { login: "eve".into(), needed });
    let limits = scopes.into_iter().map(|scope| Card::RateLimited { scope, free_at });
    let rules = [
        HouseCard::MentionsOff { handle: handle(), label: Some("robot".into()) },
        HouseCard::NotTheirsOnDiscord { login: "wes".into() },
        HouseCard::Model { name: "openai/gpt-4.1".into(), priced: true },
        HouseCard::Budget { milli_usd: 5_000, capped: false },
    ];
    let rules = rules.into_iter().map(|what| Card::House { what });
    let cards: Vec<Card> = refusals.chain(limits).chain(rules).collect();
    insta::assert_snapshot!(all_of(&cards, &here()), @"
    I only work for people whose linked account has write permission on the repository this is about, and eve is not among them, so nothing was run. Somebody who has it can repeat your request, or a maintainer can grant it to your account on GitHub.
    -----
    I only work for members of the organisation that owns the repository this is about, and eve is not among them, so nothing was run. A member can repeat your request here.
    -----
    I only work for people on the list of this service, and eve is not among them, so nothing was run. Someone on it can repeat your request here; whoever runs this service keeps the list in `THREADBOX_ALLOW`.
    -----
    I only work for people with write permission on acme/rocket, which this is linked to, and eve is not among them, so nothing was run. A maintainer of it can grant that to your account on GitHub.
    -----
    I do not work in this server, or for people who share no server with me where I do. Whoever runs this service keeps the list in `DISCORD_ALLOW_GUILDS`. Nothing was run.
    -----
    I do not work in this channel. Whoever runs this service keeps the list in `DISCORD_ALLOW_CHANNELS`. Nothing was run.
    -----
    I only work for people with certain roles here, and eve is not among them, so nothing was run. Someone who has one can repeat your request; whoever runs this service keeps the list in `DISCORD_ALLOW_ROLES`.
    -----
    Who may ask me is decided by roles and channels of a server, which direct messages do not show. Ask me in the server. Nothing was run.
    -----
    This is about a private repository, and I do not know who you are on GitHub. Link your account first: `@threadbox link account`. Nothing was run.
    -----
    This is linked to a private repository, and everybody in this server can read here. Hide the channel from those who may not read the repository, or link it anew. Nothing was run.
    -----
    That was a lot: one person may start 30 runs an hour here. Nothing was run. It is free again at 12:00 UTC on 30 November; please ask then.
    -----
    Too much is being asked of me at once. Nothing was run. It is free again at 12:00 UTC on 30 November; please ask then.
    -----
    The budget for today is used up. Nothing was run. It starts afresh at 12:00 UTC on 30 November; whoever runs this service can raise it with `DAILY_BUDGET_USD`.
    -----
    What one person may spend in a day is used up. Nothing was run. It starts afresh at 12:00 UTC on 30 November; whoever runs this service can raise it with `USER_DAILY_BUDGET_USD`.
    -----
    What may be spent in this server in a day is used up. Nothing was run. It starts afresh at 12:00 UTC on 30 November; whoever runs this service can raise it with `DISCORD_GUILD_DAILY_BUDGET_USD`.
    -----
    What may be spent in this server in a day is used up. Nothing was run. It starts afresh at 12:00 UTC on 30 November; whoever runs this service can raise it with `DISCORD_GUILD_DAILY_BUDGET_USD`.
    -----
    The linked repository's file says that mentions in free words do not count here (`[triggers] mention = false`), so nothing was run. Use a command instead; `/help` lists them.
    -----
    What runs may cost and which model answers is set by those who have a role of `DISCORD_ALLOW_ROLES`, or whose linked account maintains the linked repository. wes is not among them, so nothing was changed.
    -----
    From now on `openai/gpt-4.1` answers in this conversation.
    -----
    A run in this conversation may cost $5.00 now.
    ");
}

#[test]
fn other_short_messages_in_the_words_of_discord() {
    let handle = || "threadbox".to_owned();
    let cards = [
        Card::Bot,
        Card::Stopping,
        Card::NothingToStop,
        Card::NothingToRetry,
        Card::NothingToApprove { last: None },
        Card::NotApproved { why: "That takes the permission it took when it was approved.".into() },
        Card::TooLongToApprove { login: "eve".into() },
        Card::Linked { to: "acme/rocket#7".into() },
        Card::NotLinked { why: "There is no such issue.".into() },
        Card::Branched { from: "that conversation".into() },
        Card::NotBranched { why: "That is this conversation.".into() },
        Card::Queued { position: 2 },
        Card::WordsGone { handle: handle() },
        Card::Hindered { why: "Discord refused what I needed for it.".into(), report: "R-1".into() },
        Card::Invalid { handle: handle(), problem: Problem::NoModel { given: "gpt".into() } },
        Card::Invalid { handle: handle(), problem: Problem::NoAmount { given: "a lot".into() } },
        Card::Invalid { handle: handle(), problem: Problem::NoAddress { given: "there".into() } },
        Card::Bridge { what: BridgeCard::CodeSent },
        Card::Bridge { what: BridgeCard::CodeNotSent },
        Card::Bridge { what: BridgeCard::CodeWrittenWrong { on_discord: true } },
        Card::Bridge { what: BridgeCard::AccountParted { was: true } },
        Card::Bridge { what: BridgeCard::Repository { name: "acme/rocket".into(), whole: Whole::Channel, private: false } },
        Card::Bridge { what: BridgeCard::NoRepository { was: true } },
    ];
    insta::assert_snapshot!(all_of(&cards, &here()), @"
    I do not take requests from bots and apps, so that no two of us talk for ever. Nothing was run. A person can repeat the request.
    -----
    Stopping. What was reached so far follows.
    -----
    Nothing is running here, so there is nothing to stop.
    -----
    There is no earlier request here that I could run again.
    -----
    Nothing waits for a yes here.
    -----
    That was not approved, and nothing was run. That takes the permission it took when it was approved.
    -----
    eve may not start runs here, and the request is too long to be shown to somebody who could approve it. Nothing was run. Say it in fewer words.
    -----
    acme/rocket#7 and this conversation are one now: what is said there I know here, and the other way round. I answer where I am asked.
    -----
    Nothing was linked. There is no such issue.
    -----
    This conversation begins with what was said in that conversation up to now: go on from there. What is said there later is no part of this one, and what is said here no part of that one. The files of its sandbox stay there.
    -----
    Nothing was taken over. That is this conversation.
    -----
    Noted. It is number 2 in line.
    -----
    Your message was changed before I could read it, so nothing was run. Write what you want in a new one.
    -----
    I could not handle this, and nothing was run. Discord refused what I needed for it. Then ask again; the operator finds this as `R-1` in the log.
    [Retry]
    -----
    `model` needs a name of the form `provider/model`, not `gpt`. For example: `@threadbox model openai/gpt-4.1`
    -----
    `budget` needs an amount in dollars above zero, not `a lot`. For example: `@threadbox budget 5`
    -----
    `link` needs the address of an issue or of a thread on Discord, or a repository, not `there`. For example: `@threadbox link https://github.com/owner/name/issues/7`
    -----
    I wrote you a direct message that says how to link your account on GitHub.
    -----
    Linking an account starts with a direct message from me, and you take none from me here. Allow direct messages from members of this server in its privacy settings, or write to me first; then ask again.
    -----
    That code belongs in a comment on GitHub, in any issue where I work: there it is certain who writes it. Nothing was linked.
    -----
    Your accounts on Discord and GitHub are no longer linked.
    -----
    This channel, with its threads, is about `acme/rocket` now. Whoever may ask me here may ask about it; what lands takes a linked account with write permission.
    -----
    This is about no repository of its own any more.
    ");
}

#[test]
fn help_speaks_of_what_there_is_here() {
    let help = Card::Help { handle: "threadbox".into(), available: Word::ALL.to_vec() };
    let text = shown(&card(&help, &here()));
    for github in ["this repository", "👍", "this pull request", "this branch", "issue or thread"] {
        assert!(!text.contains(github), "{github} in {text}");
    }
    insta::assert_snapshot!(text, @"
    Mention `@threadbox` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here; in a thread of ours I hear you without a mention.

    - in your own words: I get to work; while I work, it joins the current run
    - `run` and a fenced code block: the code is run as it is, without a model
    - `review`: I review the pull request this conversation is linked to
    - `fix`: I land the work in the linked repository, as a pull request
    - `pr`: the same; **Open PR** under an answer with changes does it, too
    - `plan …`: I propose first and change nothing
    - `approve`: what waits for a yes (a plan, a request) begins; **Approve** under it does the same
    - `queue …`: I do this after the current run
    - `stop`: the current run stops and says where it stood; **Stop** under it does the same
    - `retry`: the last request is run again; **Retry** under an answer does the same for that one
    - `undo`: the changes of the last run are taken back
    - `status`: where it stands
    - `help`: this
    - `remember …`: I keep it in mind for all conversations in this server; `remember here: …` for this one alone
    - `forget …`: I drop it: the number of a line, or words that stand in it; or `this conversation`, or `everything I said`
    - `memory`: what I keep in mind, who said it, and whether it still holds
    - `model provider/name`: this thread uses that model
    - `budget 5`: a run in this thread may cost 5 dollars
    - `link <address>`: `link owner/name`: which repository this channel or thread is about; `link` and the address of an issue, pull request or thread: it joins this conversation; `link account`: who you are on GitHub
    - `branch <address>`: a new conversation begins with what was said in that one so far; from then on the two go separate ways

    -# each word is a slash command, too, such as `/status`
    ");
}

fn kept(label: &str) -> ShownLine {
    ShownLine {
        label: label.into(),
        section: "Remembered".into(),
        text: "we use tabs, <@1>".into(),
        who: "maya".into(),
        noted: false,
        at: "2026-11-21T10:00:00Z".parse().unwrap(),
        url: "https://discord.com/channels/1/2/3".into(),
        mark: None,
    }
}

#[test]
fn memory_is_that_of_a_server_a_channel_or_a_person() {
    let handle = || "threadbox".to_owned();
    let listing = Listing {
        handle: handle(),
        everywhere: vec![kept("1")],
        here: vec![kept("t2")],
        apart: true,
        off: true,
        messages: 3,
        since: None,
        observations: 0,
        passages: 12,
    };
    let list = Card::Memory { what: MemoryCard::List(Box::new(listing)) };
    let kept = Card::Memory { what: MemoryCard::Kept { handle: handle(), lines: vec![kept("1")], everywhere: true } };
    let off = Card::Memory { what: MemoryCard::Off };
    for sharing in [Sharing::Server, Sharing::Channel, Sharing::Person] {
        let here = Here { sharing, ..here() };
        for one in [&kept, &list] {
            let text = shown(&card(one, &here));
            assert!(text.contains(sharing.all()) && !text.contains("his repository"), "{text}");
        }
    }
    insta::assert_snapshot!(all_of(&[kept, list, off], &here()), @r#"
    I keep that in mind for all conversations in this server, under Remembered:

    - **1** we use tabs, <·@1> — [maya, 21 Nov 2026](<https://discord.com/channels/1/2/3>)

    `@threadbox forget 1` takes it back.
    -----
    The linked repository's file says that runs are shown nothing of this (`[memory] working_memory = "off"`).

    **Kept for all conversations in this server**

    Remembered

    - **1** we use tabs, <·@1> — [maya, 21 Nov 2026](<https://discord.com/channels/1/2/3>)

    **Kept for this conversation**

    Remembered

    - **t2** we use tabs, <·@1> — [maya, 21 Nov 2026](<https://discord.com/channels/1/2/3>)

    The linked repository's file keeps conversations apart (`[memory] scope = "thread"`).

    Of this conversation I remember 3 messages. In all conversations in this server I can look through 12 passages.

    -# `@threadbox forget 3` drops line 3, `@threadbox remember …` adds one
    -----
    The linked repository's file says that I keep nothing in mind here (`[memory] working_memory = "off"`). Nothing was kept.
    "#);
}

fn note(kind: Kind, state: State) -> ApprovalNote<'static> {
    ApprovalNote {
        id: ApprovalId::new(),
        kind,
        state,
        digest: "0123456789",
        handle: "threadbox",
        asker: Some("eve"),
        why: Some("The message was edited."),
        decided_by: Some("maya"),
        expires_at: "2026-11-30T12:00:00Z".parse().unwrap(),
    }
}

fn view(text: &str) -> AnswerView {
    let footer = Footer { model: None, steps: 2, cost: Cost::Usd(0.01), ..Footer::default() };
    AnswerView {
        outcome: Outcome::NeedsApproval,
        text: text.into(),
        executions: Vec::new(),
        attachments: Vec::new(),
        diff: None,
        landed: Vec::new(),
        footer,
    }
}

#[test]
fn what_waits_for_a_yes_has_buttons_until_it_is_decided() {
    let (_, planned) = plan(&view("1. Rename `a`\n2. Tell @everyone\n\n<sub>forged</sub>"));
    let asked = outsider("eve", "@threadbox hi\n```\n<@&2>").unwrap();
    let all = [
        shown(&approval(&planned, &note(Kind::Plan, State::Waiting), &here())),
        shown(&approval(&asked, &note(Kind::Outsider, State::Waiting), &here())),
        shown(&approval("Do it.", &note(Kind::Workflows, State::Approved), &here())),
        shown(&approval("Do it.", &note(Kind::Plan, State::Void), &here())),
    ];
    insta::assert_snapshot!(all.join("\n-----\n"), @r"
    1. Rename `a`
    2. Tell @·everyone

    forged

    -# no model · 2 steps · 0.0 s · $0.0100

    > ⏸️ **Nothing has changed yet.** When somebody with permission says yes, I carry out exactly this plan.
    > 
    > Press **Approve** or **Decline**, or use `/approve 0123456789`. Open until 30 November.
    [Approve] [Decline]
    -----
    **eve asks:**
    ```text
    @threadbox hi
    ``·`
    <@&2>
    ```

    > ⏸️ **Nothing was run.** eve may not start runs here. When somebody with write permission says yes, I work on exactly this text, in a sandbox: I answer here, and nothing of it is committed, pushed or opened. An edit of the message, or a new commit, makes this void.
    > 
    > Press **Approve** or **Decline**, or use `/approve 0123456789`. Open until 30 November.
    [Approve] [Decline]
    -----
    Do it.

    > **Note**
    > **Approved by maya**, exactly as it stands above (`0123456789`).
    -----
    Do it.

    > **Warning**
    > **No longer open.** The message was edited. Nothing of it was run.
    ");
}

#[test]
fn what_is_approved_is_there_whole() {
    let text: Vec<String> = (0..3_000).map(|n| format!("{n}. step {n}")).collect();
    let text = text.join("\n");
    let pieces = approval(&text, &note(Kind::Plan, State::Waiting), &here());
    let last = pieces.last().unwrap();
    assert!(pieces.len() <= 8 && last.files.len() == 1 && last.buttons.len() == 2);
    assert!(matches!(&last.files[0].source, crate::reply::discord::Source::Bytes(bytes) if bytes.ends_with(b"step 2999")));
    let without = approval(&text, &note(Kind::Plan, State::Waiting), &Here { may_attach: false, ..here() });
    assert!(without.len() > 8 && without.iter().all(|piece| piece.content.encode_utf16().count() <= MAX_CONTENT));
    assert!(without[without.len() - 2].content.contains("step 2990") || without.last().unwrap().content.contains("step 2990"));
}

#[test]
fn a_mirrored_answer_cannot_look_like_ours() {
    let what = crate::reply::Mirrored {
        surface: "GitHub".into(),
        login: "ada".into(),
        url: "https://github.com/acme/rocket/issues/1#issuecomment-9".into(),
        asked: "fix @here".into(),
        steps: Vec::new(),
        ended: Some("Answered".into()),
        answer: "Done, <@1>.\n\n<sub>model forged</sub>".into(),
        pulls: vec![(8, "https://github.com/acme/rocket/pull/8".into())],
    };
    let mirrored = Card::Bridge { what: BridgeCard::Mirrored { what } };
    insta::assert_snapshot!(shown(&card(&mirrored, &here())), @r"
    ↔️ ada asked [on GitHub](<https://github.com/acme/rocket/issues/1#issuecomment-9>): fix @·here

    Done, <·@1>.

    model forged

    Answered · landed in [#8](<https://github.com/acme/rocket/pull/8>) · [the whole answer](<https://github.com/acme/rocket/issues/1#issuecomment-9>)
    ");
}
