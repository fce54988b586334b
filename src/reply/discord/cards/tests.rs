//! What people read in short messages on Discord.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::approval::Kind;
use crate::id::ApprovalId;
use crate::reply::cards::{outsider, plan};
use crate::reply::discord::{Buttons, MAX_CONTENT};
use crate::reply::{Activity, AnswerView, Cost, Footer, Outcome};

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
