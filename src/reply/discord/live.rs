//! The live message: what is happening, while a run is not finished.

use super::markdown::{self, Whose};
use super::split::{Unit, split};
use super::{Here, MAX_CONTENT, Piece, button};
use crate::memory::receipt;
use crate::reply::discord::safe;
use crate::reply::{LiveState, LiveStep, LiveView, StepState, inline};

/// Steps and bytes of words that are shown, from what is wanted to what always fits.
const SIZES: [(usize, usize); 5] = [(10, 700), (8, 400), (5, 200), (3, 0), (0, 0)];

/// The one message while a run is not finished.
pub fn live(view: &LiveView, here: &Here) -> Piece {
    let fitting = SIZES.iter().map(|(steps, words)| split(&shown(view, *steps, *words), MAX_CONTENT)).find(|all| all.len() == 1);
    let content = fitting.and_then(|mut all| all.pop()).unwrap_or_else(|| head(&view.state));
    let buttons = button::stop(&here.buttons).into_iter().collect();
    Piece { content, buttons, ..Piece::default() }
}

fn shown(view: &LiveView, steps: usize, words: usize) -> Vec<Unit> {
    let mut ours = vec![head(&view.state), checklist(&view.steps, steps)];
    ours.extend(view.printed.as_deref().map(|line| format!("<sub>{}</sub>", inline::plain(line, 160))));
    ours.retain(|part| !part.is_empty());
    let mut units = markdown::read(&ours.join("\n\n"), Whose::Ours, false).units;
    units.extend(view.words.as_deref().filter(|_| words > 0).into_iter().flat_map(|text| latest(text, words)));
    let run = view.run_url.as_deref().filter(|url| url.len() < 500);
    let run = run.map(|url| format!("<sub>[run]({})</sub>", inline::target(url)));
    units.extend(run.into_iter().flat_map(|run| markdown::read(&run, Whose::Ours, false).units));
    units
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

fn checklist(steps: &[LiveStep], most: usize) -> String {
    let earlier = steps.len().saturating_sub(most);
    let mut lines = Vec::new();
    if earlier > 0 {
        lines.push(format!("- ✅ … {} before", inline::counted(earlier as u64, "step")));
    }
    lines.extend(steps[earlier..].iter().map(|step| {
        let label = inline::plain(&step.label, 100);
        match step.state {
            StepState::Running => format!("- ⏳ {label} …"),
            StepState::Done => format!("- ✅ {label}"),
            StepState::Failed => format!("- ⚠️ {label} (did not go well)"),
        }
    }));
    lines.join("\n")
}

/// The latest words, as a quote: the end matters while they still come.
fn latest(text: &str, most: usize) -> Vec<Unit> {
    let text = receipt::strip(text.trim());
    let text = safe::visible(&text);
    let from = text.ceil_char_boundary(text.len().saturating_sub(most));
    let from = text[from..].find(char::is_whitespace).filter(|_| from > 0).map_or(from, |gap| from + gap);
    let tail = if from == 0 { text } else { format!("… {}", text[from..].trim_start()) };
    let units = markdown::read(&tail, Whose::Theirs, false).units;
    units.into_iter().map(|unit| Unit { quoted: true, ..unit }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::discord::Buttons;
    use proptest::prelude::*;

    fn step(label: &str, state: StepState) -> LiveStep {
        LiveStep { label: label.into(), state }
    }

    fn here() -> Here {
        Here { buttons: Buttons { stop: Some("s".into()), ..Buttons::default() }, ..Here::default() }
    }

    #[test]
    fn people_see_what_happens_and_can_stop_it() {
        let view = LiveView {
            state: LiveState::Working,
            steps: vec![
                step("Wrote `parse.py`", StepState::Done),
                step("Ran the tests", StepState::Failed),
                step("Running\n<script> @everyone <@1>", StepState::Running),
            ],
            printed: Some("test 12 of 40 `ok` </sub>".into()),
            words: Some("The second test fails:\n\n```text\nboom".into()),
            run_url: Some("https://bot.example/runs/1".into()),
        };
        let piece = live(&view, &here());
        assert_eq!(piece.buttons.iter().map(|button| button.label.as_str()).collect::<Vec<_>>(), ["Stop"]);
        insta::assert_snapshot!(piece.content.replace('\u{200b}', "·"), @r"
        Working on it …

        - ✅ Wrote \`parse.py\`
        - ⚠️ Ran the tests (did not go well)
        - ⏳ Running \<script> @·everyone <·@1> …

        -# test 12 of 40 \`ok\` <·/sub>
        > The second test fails:
        > ```text
        > boom
        > ```
        -# [run](<https://bot.example/runs/1>)
        ");
        let queued = LiveView { state: LiveState::Queued { position: 3 }, ..LiveView::default() };
        assert_eq!(live(&queued, &Here::default()).content, "Waiting for a free slot: number 3 in line.");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_is_one_message(labels in proptest::collection::vec("\\PC{0,200}", 0..30), words in "(```|<!--|<details>|\n|# |\\PC){0,900}") {
            let steps = labels.iter().map(|label| step(label, StepState::Done)).collect();
            let view = LiveView { state: LiveState::Working, steps, words: Some(words), printed: None, run_url: None };
            let piece = live(&view, &here());
            prop_assert!(!piece.content.is_empty() && piece.content.encode_utf16().count() <= MAX_CONTENT);
        }
    }
}
