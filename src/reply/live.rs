//! The live comment: what is happening, as a checklist, while a run is not finished.

use crate::memory::receipt;

use super::{LiveState, LiveStep, LiveView, StepState, inline, marker, safe};

/// How many steps are shown.
const MAX_STEPS: usize = 15;

/// Bytes of the agent's latest words.
const MAX_WORDS: usize = 1_500;

/// The comment while a run is not finished. A few kilobytes at most, whatever the view holds.
pub fn live(view: &LiveView, key: &str) -> String {
    let mut parts = vec![head(&view.state), checklist(&view.steps)];
    parts.extend(view.printed.as_deref().map(|line| format!("<sub>{}</sub>", inline::plain(line, 160))));
    parts.extend(view.words.as_deref().map(words));
    let run = view.run_url.as_deref().filter(|url| url.len() < 1_000);
    parts.extend(run.map(|url| format!("<sub>[run]({})</sub>", inline::target(url))));
    parts.retain(|part| !part.is_empty());
    marker::mark(&parts.join("\n\n"), key)
}

fn head(state: &LiveState) -> String {
    match state {
        LiveState::Accepted => "On it. I write here what I do, and then the answer.".to_owned(),
        LiveState::Behind => "Noted. I start on this when what I do here now is over.".to_owned(),
        LiveState::Queued { position: 1 } => "Waiting for a free slot: next in line.".to_owned(),
        LiveState::Queued { position } => format!("Waiting for a free slot: number {position} in line."),
        LiveState::Working => "Working on it …".to_owned(),
    }
}

fn checklist(steps: &[LiveStep]) -> String {
    let earlier = steps.len().saturating_sub(MAX_STEPS);
    let mut lines = Vec::new();
    if earlier > 0 {
        lines.push(format!("- [x] … {} before", inline::counted(earlier as u64, "step")));
    }
    lines.extend(steps[earlier..].iter().map(|step| {
        let label = inline::plain(&step.label, 120);
        match step.state {
            StepState::Running => format!("- [ ] {label} …"),
            StepState::Done => format!("- [x] {label}"),
            StepState::Failed => format!("- [x] {label} (did not go well)"),
        }
    }));
    lines.join("\n")
}

/// The latest words, as a quote: the end matters while they still come.
fn words(text: &str) -> String {
    let text = receipt::strip(text.trim());
    let start = text.ceil_char_boundary(text.len().saturating_sub(MAX_WORDS * 2 / 3));
    let tail = if start == 0 { text } else { format!("… {}", text[start..].trim_start()) };
    let safe = safe::safe_markdown(&tail, MAX_WORDS, None, &[]);
    safe.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(label: &str, state: StepState) -> LiveStep {
        LiveStep { label: label.into(), state }
    }

    #[test]
    fn people_see_what_happens() {
        let view = LiveView {
            state: LiveState::Working,
            steps: vec![
                step("Wrote `parse.py`", StepState::Done),
                step("Ran the tests", StepState::Failed),
                step("Running\n<script> @bob", StepState::Running),
            ],
            printed: Some("test 12 of 40 `ok` </sub>".into()),
            words: Some("The second test fails:\n\n```text\nboom".into()),
            run_url: Some("https://bot.example/runs/1".into()),
        };
        insta::assert_snapshot!(live(&view, "run:1:answer").replace('\u{200b}', "·"), @r"
        Working on it …

        - [x] Wrote \`parse.py\`
        - [x] Ran the tests (did not go well)
        - [ ] Running &lt;script&gt; @·bob …

        <sub>test 12 of 40 \`ok\` &lt;/sub&gt;</sub>

        > The second test fails:
        >
        > ```text
        > boom
        > ```

        <sub>[run](https://bot.example/runs/1)</sub>

        <!-- threadbox:post=run:1:answer -->
        ");
    }

    #[test]
    fn waiting_has_a_number() {
        insta::assert_snapshot!(live(&LiveView::default(), "k"), @r"
        On it. I write here what I do, and then the answer.

        <!-- threadbox:post=k -->
        ");
        let queued = |position| live(&LiveView { state: LiveState::Queued { position }, ..LiveView::default() }, "k");
        assert!(queued(1).starts_with("Waiting for a free slot: next in line."));
        assert!(queued(3).starts_with("Waiting for a free slot: number 3 in line."));
    }

    proptest! {
        #[test]
        fn it_stays_small(labels in proptest::collection::vec("\\PC{0,200}", 0..20), words in "(```|<!--|<details>|\n|\\PC){0,400}") {
            let steps = labels.iter().map(|label| step(label, StepState::Done)).collect();
            let body = live(&LiveView { state: LiveState::Working, steps, words: Some(words), printed: None, run_url: None }, "k");
            prop_assert!(body.len() < 20_000);
            prop_assert_eq!(marker::find(&body), Some("k".to_owned()));
        }
    }
}
