#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use pulldown_cmark::{Event, Tag, TagEnd};

use super::*;
use crate::markdown::{self, TokenKind};
use crate::reply::{Attached, Cost, LimitKind, Shown};

fn execution() -> Execution {
    Execution {
        language: "python".into(),
        code: "print(sum(range(10)))\n".into(),
        output: "45\n".into(),
        exit_code: Some(0),
        duration_ms: 412,
        omitted: 0,
        new_files: vec![],
    }
}

fn view() -> AnswerView {
    AnswerView {
        outcome: Outcome::Answered,
        text: "The sum is **45**.".into(),
        executions: vec![execution()],
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

#[test]
fn an_answer_has_text_sections_and_one_small_line() {
    let mut view = view();
    view.executions[0].new_files = vec!["plot.png".into(), "odd`name".into()];
    view.diff = Some("--- a/x.py\n+++ b/x.py\n@@ -1 +1,2 @@\n-a\n+b\n+c\n".into());
    insta::assert_snapshot!(answer(&view, "run:1:answer", &[]), @r"
    The sum is **45**.

    <details><summary>Code run: python · exit code 0 · 0.4 s</summary>

    ```python
    print(sum(range(10)))
    ```

    **Output**

    ```text
    45
    ```

    **New files:** `plot.png`, ``odd`name``

    </details>

    <details><summary>Changes: 1 file · +2 −1</summary>

    ```diff
    --- a/x.py
    +++ b/x.py
    @@ -1 +1,2 @@
    -a
    +b
    +c
    ```

    </details>

    <sub>openai/gpt-4.1 · 2 steps · 12 s · $0.0123 · [run](https://bot.example/runs/1)</sub>

    <!-- threadbox:post=run:1:answer -->
    ");
}

#[test]
fn a_run_without_a_model_shows_its_output_at_once() {
    let mut view = view();
    view.text = String::new();
    view.executions[0].exit_code = Some(1);
    view.executions[0].output = "\u{1b}[31mTraceback\u{1b}[0m\r\n```\nboom </details>\n".into();
    view.executions[0].omitted = 12_345;
    view.footer = Footer { elapsed: Duration::from_millis(800), ..Footer::default() };
    insta::assert_snapshot!(answer(&view, "run:1:answer", &[]), @r"
    <details open><summary>Code run: python · exit code 1 · 0.4 s</summary>

    ```python
    print(sum(range(10)))
    ```

    **Output**

    ````text
    Traceback
    ```
    boom </details>
    ````

    *12,345 bytes of output were dropped while it ran.*

    </details>

    <sub>no model · 0.8 s</sub>

    <!-- threadbox:post=run:1:answer -->
    ");
}

fn attached(name: &str, size: u64, shown: Shown) -> Attached {
    Attached { name: name.into(), size, url: format!("https://bot.example/attachments/{}/{name}", "0a".repeat(4)), shown }
}

#[test]
fn files_are_shown_as_what_they_are() {
    let mut view = view();
    view.executions.clear();
    view.attachments = vec![
        attached("plot.png", 20_000, Shown::Picture),
        attached("numbers.csv", 8, Shown::Text("a,b\n1,2\n".into())),
        attached("big_[data].bin", 7_654_321, Shown::Link),
        attached("](http:--e)<b>.png", 12, Shown::Picture),
        attached("<img>.html", 999, Shown::Text("</details>\n```\n<script>".into())),
    ];
    insta::assert_snapshot!(answer(&view, "run:1:answer", &[]), @r"
    The sum is **45**.

    ![plot.png](https://bot.example/attachments/0a0a0a0a/plot.png)

    ![\](http:--e)&lt;b&gt;.png](https://bot.example/attachments/0a0a0a0a/]%28http:--e%29%3Cb%3E.png)

    **Files**

    - [big\_\[data\].bin](https://bot.example/attachments/0a0a0a0a/big_[data].bin) · 7.7 MB

    <details><summary>numbers.csv · 8 B</summary>

    ```csv
    a,b
    1,2
    ```

    [numbers.csv](https://bot.example/attachments/0a0a0a0a/numbers.csv)

    </details>

    <details><summary>&lt;img&gt;.html · 999 B</summary>

    ````html
    </details>
    ```
    <script>
    ````

    [&lt;img&gt;.html](https://bot.example/attachments/0a0a0a0a/%3Cimg%3E.html)

    </details>

    <sub>openai/gpt-4.1 · 2 steps · 12 s · $0.0123 · [run](https://bot.example/runs/1)</sub>

    <!-- threadbox:post=run:1:answer -->
    ");
}

#[test]
fn many_files_are_counted() {
    let mut view = view();
    view.attachments = (0..60).map(|number| attached(&format!("{number}.png"), 1, Shown::Picture)).collect();
    view.attachments.extend((0..300).map(|number| attached(&format!("{number}.txt"), 1, Shown::Text("x\n".repeat(4_000)))));
    let body = answer(&view, "run:1:answer", &[]);
    assert!(body.len() <= MAX_BODY);
    assert_eq!((body.matches("![").count(), body.matches("<details>").count()), (12, 8 + 1));
    let links = body.lines().filter(|line| line.starts_with("- [")).count();
    assert!(body.contains(&format!("- and {} more files", 360 - 12 - 8 - links)), "{body}");
    view.text = String::new();
    view.executions.clear();
    assert!(answer(&view, "k", &[]).starts_with("![0.png]("));
}

#[test]
fn a_run_that_was_cut_short_says_why_and_what_next() {
    let mut view = view();
    view.executions.clear();
    view.text = "I got as far as the parser.".into();
    let mut all = String::new();
    for outcome in [
        Outcome::Limit { limit: LimitKind::Steps { max: 50 }, reckoning: None },
        Outcome::Limit { limit: LimitKind::Time { seconds: 1800 }, reckoning: None },
        Outcome::Limit { limit: LimitKind::Cost { max_milli_usd: 2_000 }, reckoning: None },
        Outcome::Limit { limit: LimitKind::DailyCost { max_milli_usd: 50_125 }, reckoning: None },
        Outcome::Stopped { by: "alice".into() },
        Outcome::Failed {
            reason: "The model `openai/gpt-4.1` refused the key: 401.\nCheck `OPENAI_API_KEY`. cc @bob <b>".into(),
            report: "7f3a".into(),
        },
    ] {
        view.outcome = outcome;
        let body = answer(&view, "k", &[]);
        all.push_str(body.split("\n\nI got").next().unwrap());
        all.push_str("\n---\n");
    }
    insta::assert_snapshot!(all.replace('\u{200b}', "·"), @r"
    > [!WARNING]
    > **Ended at the limit of 50 steps.** What was reached until then is kept. Mention me with “continue” to go on from there.
    ---
    > [!WARNING]
    > **Ended at the time limit of 30 min.** What was reached until then is kept. Mention me with “continue” to go on from there.
    ---
    > [!WARNING]
    > **Ended at the cost limit of $2.00.** What was reached until then is kept. Mention me with “continue” to go on from there.
    ---
    > [!WARNING]
    > **Ended: the budget of $50.125 for today is used up.** What was reached until then is kept. It starts afresh tomorrow (UTC); whoever runs this service can raise it with `DAILY_BUDGET_USD`.
    ---
    > [!NOTE]
    > **Stopped by alice.** What was reached until then is kept.
    ---
    > [!CAUTION]
    > **This did not work.** The model `openai/gpt-4.1` refused the key: 401. Check `OPENAI_API_KEY`. cc @·bob &lt;b>
    >
    > Mention me with `retry` to try it again. Whoever runs this service finds the details under `7f3a`.
    ---
    ");
}

#[test]
fn silence_is_never_the_answer() {
    let mut view = view();
    view.text = " \n".into();
    view.executions.clear();
    assert!(answer(&view, "k", &[]).starts_with("The run ended without an answer."));
}

#[test]
fn only_the_latest_executions_are_shown() {
    let mut view = view();
    view.executions = vec![execution(); 20];
    let body = answer(&view, "k", &[]);
    assert_eq!(body.matches("<details>").count(), MAX_EXECUTIONS);
    assert!(
        body.contains("*8 earlier executions not shown here; all are on the [run page](https://bot.example/runs/1).*"),
        "{body}"
    );
}

#[test]
fn only_people_who_were_named_are_pinged() {
    let mut view = view();
    view.text = "@alice and @bob".into();
    assert!(answer(&view, "k", &["alice".into()]).starts_with("@alice and @\u{200b}bob"));
}

#[test]
fn what_does_not_fit_loses_its_middle_and_says_so() {
    let mut view = view();
    view.executions[0].output = "line\n".repeat(100_000);
    view.diff = Some("+x\n".repeat(100_000));
    view.text = "words and words.\n\n".repeat(10_000);
    let body = answer(&view, "k", &[]);
    assert!(body.len() <= MAX_BODY && body.len() > MAX_BODY - 6_000, "{}", body.len());
    assert_eq!(body.matches("characters left out").count(), 3);
    assert_eq!(body.matches("https://bot.example/runs/1").count(), 4);
}

/// What a reader of the body sees at top level: sections, all closed, and nothing of theirs inside somebody's fence.
fn check(body: &str, sections: usize) -> Result<(), TestCaseError> {
    prop_assert!(body.len() <= MAX_BODY);
    let mut code = 0;
    let mut summaries = 0;
    let mut open = 0i64;
    for (event, range) in markdown::events(body) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code -= 1,
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                for token in markdown::html_tokens(&body[range]) {
                    prop_assert!(token.kind != TokenKind::Broken, "{body}");
                    summaries += i64::from(token.name == "summary" && token.kind == TokenKind::Open);
                    open += i64::from(token.name == "details" && token.kind == TokenKind::Open);
                    open -= i64::from(token.name == "details" && token.kind == TokenKind::Close);
                }
            }
            _ => {}
        }
    }
    prop_assert_eq!((code, open), (0, 0), "{}", body);
    prop_assert_eq!(summaries, sections as i64, "{}", body);
    let last = body.lines().rev().take(3).collect::<Vec<_>>();
    prop_assert!(last[0].starts_with("<!-- threadbox:post=") && last[2].starts_with("<sub>"), "{body}");
    Ok(())
}

fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("```".to_owned()),
        Just("~~~".to_owned()),
        Just("\n".to_owned()),
        Just("<!--".to_owned()),
        Just("</div>".to_owned()),
        Just("<div a=\"".to_owned()),
        Just("`".repeat(700)),
        Just("@alice ".to_owned()),
        Just("😀ä".to_owned()),
        Just("\u{1b}[1m".to_owned()),
        Just("- ".to_owned()),
        Just("<b>".to_owned()),
        Just("x".repeat(3000)),
        Just("line\n".repeat(300)),
        Just("\\".to_owned()),
        "\\PC{0,9}",
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_answer_fits_and_is_whole(
        text in nasty(), code in nasty(), output in nasty(), diff in proptest::option::of(nasty()), count in 0usize..16,
        language in "\\PC{0,8}", file in nasty(), key in "\\PC{1,30}", times in 1usize..40,
        attachments in proptest::collection::vec((nasty(), nasty(), 0u8..3), 0..6),
    ) {
        let one = Execution { language, code, output: output.repeat(times), new_files: vec![file; 3], ..execution() };
        let mut view = view();
        view.text = text;
        view.executions = vec![one; count];
        view.diff = diff;
        view.attachments = attachments.into_iter().map(|(name, text, kind)| match kind {
            0 => attached(&name, 1, Shown::Picture),
            1 => attached(&name, 1, Shown::Link),
            _ => attached(&name, 1, Shown::Text(text)),
        }).collect();
        let texts = view.attachments.iter().filter(|attached| matches!(attached.shown, Shown::Text(_))).count();
        let sections = texts + count.min(MAX_EXECUTIONS) + usize::from(view.diff.as_deref().is_some_and(|diff| !diff.trim().is_empty()));
        check(&answer(&view, &key, &[]), sections)?;
    }
}
