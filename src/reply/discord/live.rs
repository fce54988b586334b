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
