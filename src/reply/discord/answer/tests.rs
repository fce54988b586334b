//! What people see at the end of a run on Discord.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::landing::CommitMade;
use crate::reply::discord::{Buttons, MAX_FILES, Source};
use crate::reply::{Cost, Execution, Footer, LimitKind, Reckoning, Shown};

fn here() -> Here {
    let id = |text: &str| Some(text.to_owned());
    let buttons =
        Buttons { retry: id("r"), cont: id("c"), open_pr: id("p"), approve: id("a"), decline: id("d"), ..Buttons::default() };
    Here { buttons, ..Here::default() }
}

fn execution(code: &str, output: &str) -> Execution {
    Execution {
        language: "python".into(),
        code: code.into(),
        output: output.into(),
        exit_code: Some(0),
        duration_ms: 412,
        omitted: 0,
        new_files: vec![],
    }
}

fn view(text: &str) -> AnswerView {
    AnswerView {
        outcome: Outcome::Answered,
        text: text.into(),
        executions: vec![],
        attachments: vec![],
        diff: None,
        landed: Vec::new(),
        footer: Footer {
            model: Some("openai/gpt-4.1".parse().unwrap()),
            steps: 2,
            elapsed: Duration::from_millis(12_300),
            cost: Cost::Usd(0.0123),
            run_url: Some("https://bot.example/runs/1".into()),
        },
    }
}

fn picture(name: &str, size: u64) -> Attached {
    let token = "a".repeat(43);
    Attached { name: name.into(), size, url: format!("https://bot.example/attachments/{token}/{name}"), shown: Shown::Picture }
}

fn pull() -> Landed {
    Landed {
        pull_request: Some(7),
        url: Some("https://github.com/acme/rocket/pull/7".into()),
        is_draft: true,
        is_new: true,
        branch: "threadbox/fix".into(),
        commits: vec![CommitMade { sha: "0123456789abcdef".into(), subject: "Fix @everyone's *parser*".into() }],
        files: 2,
        ..Landed::default()
    }
}

fn shown(pieces: &[Piece]) -> String {
    let one = |piece: &Piece| {
        let mut parts = vec![piece.content.clone()];
        parts.extend(piece.embeds.iter().map(|embed| {
            format!("┃ {} → {}\n┃ {}", embed.title, embed.url.as_deref().unwrap_or("-"), embed.description.replace('\n', "\n┃ "))
        }));
        parts.extend(piece.files.iter().map(|file| match &file.source {
            Source::Bytes(bytes) => format!("📎 {} ({} bytes)", file.name, bytes.len()),
            Source::Attachment { size, .. } => format!("📎 {} (attachment of {size} bytes)", file.name),
        }));
        parts.push(piece.buttons.iter().map(|button| format!("[{}]", button.label)).collect::<Vec<_>>().join(" "));
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    };
    pieces.iter().map(one).collect::<Vec<_>>().join("\n=====\n").replace('\u{200b}', "·")
}

fn sound(pieces: &[Piece]) {
    assert!(!pieces.is_empty());
    for piece in pieces {
        assert!(units(&piece.content) <= MAX_CONTENT && piece.files.len() <= MAX_FILES && piece.buttons.len() <= 5);
        assert!(!piece.content.trim().is_empty() || !piece.files.is_empty() || !piece.embeds.is_empty());
        assert!(piece.embeds.iter().map(size).sum::<usize>() <= 6_000);
        for embed in &piece.embeds {
            assert!(units(&embed.title) <= 256 && units(&embed.description) <= MAX_CONTENT && !embed.description.is_empty());
        }
        for file in &piece.files {
            assert_eq!(piece.files.iter().filter(|other| other.name == file.name).count(), 1);
        }
    }
}

#[test]
fn an_answer_with_everything() {
    let mut view = view("The sum is **45**, @everyone.");
    view.executions = vec![execution("print(sum(range(10)))\n", "45\n")];
    view.executions[0].new_files = vec!["plot.png".into()];
    view.diff = Some("--- a/x.py\n+++ b/x.py\n@@ -1 +1,2 @@\n-a\n+b\n+c\n".into());
    view.attachments = vec![picture("plot.png", 4_200), picture("movie.mp4", 40 << 20)];
    let pieces = answer(&view, &here());
    sound(&pieces);
    insta::assert_snapshot!(shown(&pieces), @r"
    The sum is **45**, @·everyone.

    **Code run: python · exit code 0 · 0.4 s**
    ```python
    print(sum(range(10)))
    ```
    Output:
    ```
    45
    ```
    **New files:** `plot.png`

    **Changes:** 1 file · +2 −1
    ```diff
    --- a/x.py
    +++ b/x.py
    @@ -1 +1,2 @@
    -a
    +b
    +c
    ```

    **Files that are not attached here**

    - [movie.mp4](<https://bot.example/attachments/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/movie.mp4>) · 41.9 MB, more than the 10.5 MB this place takes

    -# openai/gpt-4.1 · 2 steps · 12 s · $0.0123 · [run](<https://bot.example/runs/1>)
    📎 plot.png (attachment of 4200 bytes)
    [Open PR] [Retry]
    ");
}

#[test]
fn landed_work_has_a_frame_and_no_button_to_open_it_again() {
    let mut view = view("Done.");
    view.diff = Some("--- a/x\n+++ b/x\n+y\n".into());
    view.landed = vec![pull()];
    let pieces = answer(&view, &here());
    sound(&pieces);
    insta::assert_snapshot!(shown(&pieces), @r"
    Done.

    **Changes:** 1 file · +1 −0
    ```diff
    --- a/x
    +++ b/x
    +y
    ```

    -# openai/gpt-4.1 · 2 steps · 12 s · $0.0123 · [run](<https://bot.example/runs/1>)
    ┃ Opened draft pull request #7 → https://github.com/acme/rocket/pull/7
    ┃ `threadbox/fix` · 1 commit · 2 files
    ┃ 
    ┃ - `0123456` Fix @·everyone's \*parser\*
    [Retry]
    ");
    let without = answer(&view, &Here { may_embed: false, ..here() });
    assert!(
        without[0].embeds.is_empty() && without[0].content.contains("**Opened draft pull request [#7]"),
        "{}",
        shown(&without)
    );
}

#[test]
fn long_code_and_output_and_changes_are_files() {
    let lines: Vec<String> = (0..900).map(|n| format!("line {n}")).collect();
    let mut view = view("See the files.");
    view.executions = (0..5).map(|n| execution(&format!("step({n})"), "ok\n")).collect();
    view.executions.push(execution(&lines.join("\n"), &lines.join("\n")));
    view.diff = Some(format!("--- a/x\n+++ b/x\n+{}\n", lines.join("\n+")));
    let pieces = answer(&view, &here());
    sound(&pieces);
    insta::assert_snapshot!(shown(&pieces), @r"
    See the files.

    *3 earlier executions in `earlier-runs.md`*

    **Code run: python · exit code 0 · 0.4 s**
    ```python
    step(3)
    ```
    Output:
    ```
    ok
    ```

    **Code run: python · exit code 0 · 0.4 s**
    ```python
    step(4)
    ```
    Output:
    ```
    ok
    ```

    **Code run: python · exit code 0 · 0.4 s**
    All of the code (900 lines) is in `code.py`:
    ```python
    line 0
    line 1
    line 2
    line 3
    line 4
    line 5
    line 6
    line 7
    [… 884 lines left out …]
    line 892
    line 893
    line 894
    line 895
    line 896
    line 897
    line 898
    line 899
    ```
    All of the output (900 lines) is in `output.txt`:
    ```
    line 0
    line 1
    line 2
    line 3
    line 4
    line 5
    line 6
    line 7
    [… 884 lines left out …]
    line 892
    line 893
    line 894
    line 895
    line 896
    line 897
    line 898
    line 899
    ```

    **Changes:** 1 file · +900 −0, in `changes.diff`

    -# openai/gpt-4.1 · 2 steps · 12 s · $0.0123 · [run](<https://bot.example/runs/1>)
    📎 earlier-runs.md (253 bytes)
    📎 code.py (7989 bytes)
    📎 output.txt (7989 bytes)
    📎 changes.diff (8906 bytes)
    [Open PR] [Retry]
    ");
    let without = answer(&view, &Here { may_attach: false, ..here() });
    sound(&without);
    assert!(without.iter().all(|piece| piece.files.is_empty()) && shown(&without).contains("run page"), "{}", shown(&without));
}

#[test]
fn every_end_is_told_with_what_can_be_done() {
    let reckoning = Reckoning {
        spent_milli_usd: 1_980,
        next_milli_usd: Some(120),
        raise_to_usd: 4,
        doing: Some("ran the tests <@1>".into()),
    };
    let ends = [
        Outcome::NeedsAnswer {
            question: "Which **one**?\n\n- a @here\n- b".into(),
            options: vec!["tabs".into(), "*spaces*".into()],
        },
        Outcome::NeedsApproval,
        Outcome::Withdrawn { why: "The message was edited.".into() },
        Outcome::Limit { limit: LimitKind::Steps { max: 30 }, reckoning: None },
        Outcome::Limit { limit: LimitKind::Cost { max_milli_usd: 2_000 }, reckoning: Some(reckoning.clone()) },
        Outcome::Limit { limit: LimitKind::DailyCost { max_milli_usd: 50_000 }, reckoning: Some(reckoning) },
        Outcome::Stopped { by: "ada".into() },
        Outcome::Failed { reason: "The provider did not answer.".into(), report: "R-1".into() },
        Outcome::Answered,
    ];
    let all: Vec<String> = ends
        .into_iter()
        .map(|outcome| {
            let pieces = answer(&AnswerView { outcome, footer: Footer::default(), ..view("") }, &here());
            sound(&pieces);
            shown(&pieces)
        })
        .collect();
    insta::assert_snapshot!(all.join("\n-----\n"), @r"
    > ❓ **I need an answer before I go on.**
    > 
    > Which **one**?
    > 
    > - a @·here
    > - b
    > 
    > 1. tabs
    > 2. \*spaces\*
    > 
    > Write your answer or its number here, and I go on from here.

    -# no model · 0.0 s
    -----
    > ⏸️ **This waits for a yes.** Nothing goes on until somebody with permission gives it.

    -# no model · 0.0 s
    [Approve] [Decline]
    -----
    > ⚠️ **Nothing was run.** The message was edited.

    -# no model · 0.0 s
    [Retry]
    -----
    > ⚠️ **Ended at the limit of 30 steps.** What was reached until then is kept. Press **Continue**, or write “continue”, to go on from there.

    -# no model · 0.0 s
    [Continue] [Retry]
    -----
    > ⚠️ **Ended at the cost limit of $2.00.** This run has cost $1.98, and its next step would cost about $0.12. What was reached until then is kept.
    > 
    > The request is not finished. Done last: ran the tests <·@1>
    > 
    > It goes on exactly there when somebody who may set the budget presses **Continue** or uses `/budget 4`: runs of this conversation may then cost $4 each.

    -# no model · 0.0 s
    [Continue] [Retry]
    -----
    > ⚠️ **Ended: the budget of $50.00 for today is used up.** This run has cost $1.98, and its next step would cost about $0.12. What was reached until then is kept.
    > 
    > The request is not finished. Done last: ran the tests <·@1>
    > 
    > It starts afresh tomorrow (UTC); whoever runs this service can raise it with `DAILY_BUDGET_USD`. Then it goes on exactly there when somebody who may set the budget uses `/budget 4`.

    -# no model · 0.0 s
    [Retry]
    -----
    > ✋ **Stopped by ada.** What was reached until then is kept.

    -# no model · 0.0 s
    [Retry]
    -----
    > ❌ **This did not work.** The provider did not answer.
    > 
    > `/retry` tries it again. Whoever runs this service finds the details under `R-1`.

    -# no model · 0.0 s
    [Retry]
    -----
    The run ended without an answer. Press **Retry**, or use `/retry`, to run it again.

    -# no model · 0.0 s
    [Retry]
    ");
}

#[test]
fn a_hundred_thousand_characters_are_eight_messages_and_a_file() {
    let part = "Some words of an answer.\n\n````markdown\n```rust\nfn main() {}\n```\n````\n\n";
    let text = part.repeat(100_000 / part.len() + 1);
    let pieces = answer(&view(&text), &here());
    sound(&pieces);
    let last = pieces.last().unwrap();
    assert_eq!((pieces.len(), last.files.len(), last.files[0].name.as_str()), (8, 1, "answer.md"));
    assert!(last.content.contains("more characters; all of it is in `answer.md`"), "{}", last.content);
    assert!(last.content.contains("-# openai/gpt-4.1"), "{}", last.content);
    assert_eq!(last.files[0].source, Source::Bytes(text.trim().as_bytes().to_vec()));
    let without = answer(&view(&text), &Here { may_attach: false, ..here() });
    sound(&without);
    assert!(without.len() <= 8 && without.last().unwrap().content.contains("[run page](<https://bot.example/runs/1>)"));
    let small = answer(&view(&text), &Here { file_limit: 20_000, ..here() });
    sound(&small);
    assert!(matches!(&small.last().unwrap().files[0].source, Source::Bytes(bytes) if bytes.len() <= 20_000));
}

#[test]
fn many_files_are_several_messages() {
    let mut view = view("Here.");
    view.attachments = (0..40).map(|n| picture(&format!("plot{}.png", n % 3), 100 + n)).collect();
    let pieces = answer(&view, &here());
    sound(&pieces);
    let files: usize = pieces.iter().map(|piece| piece.files.len()).sum();
    assert_eq!((files, pieces.len()), (30, 3));
    assert!(pieces[0].content.contains("**Files that are not attached here**"), "{}", pieces[0].content);
}

#[test]
fn frames_that_would_be_too_much_together_are_text() {
    let commit = CommitMade { sha: "0123456789abcdef".into(), subject: "word ".repeat(40) };
    let landed = |number| Landed { pull_request: Some(number), commits: vec![commit.clone(); 12], ..pull() };
    let mut view = view("Done.");
    view.landed = (1..=5).map(landed).collect();
    let pieces = answer(&view, &here());
    sound(&pieces);
    let embeds: Vec<&str> = pieces.iter().flat_map(|piece| &piece.embeds).map(|embed| embed.title.as_str()).collect();
    assert!(embeds.len() < 5 && embeds.last().is_some_and(|title| title.contains("#5")), "{embeds:?}");
    let whole: String = pieces.iter().map(|piece| piece.content.as_str()).collect();
    for number in 1..=5 - embeds.len() {
        assert!(whole.contains(&format!("[#{number}]")), "{whole}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_answer_is_sound(
        text in "(```|\n|# |<details><summary>x</summary>|</details>|\\PC| ){0,600}",
        code in "(```|\n|\\PC){0,1500}",
        output in "(```|\n|\u{1b}\\[31m|\\PC){0,2500}",
        times in 0_usize..9,
        limit in prop_oneof![Just(0_u64), Just(50), Just(2_000), Just(10 << 20)],
        may in any::<bool>(),
    ) {
        let mut view = view(&text);
        view.executions = vec![execution(&code, &output); times];
        view.diff = Some(output);
        view.landed = vec![pull(); times];
        view.attachments = vec![picture("a.png", 1_000); times * 3];
        sound(&answer(&view, &Here { file_limit: limit, may_attach: may, may_embed: may, ..here() }));
    }
}
