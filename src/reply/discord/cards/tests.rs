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
    insta::assert_snapshot!(all.join("\n-----\n"), @"");
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
    insta::assert_snapshot!(all.join("\n-----\n"), @"");
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
    let card_ = Card::Bridge { what: BridgeCard::Mirrored { what } };
    insta::assert_snapshot!(shown(&card(&card_, &here())), @"");
}
