//! What people must know first, when a run did not simply answer.

use super::super::button;
use super::super::markdown::{self, Whose};
use super::super::split::{Gap, Unit};
use super::ours;
use crate::reply::answer::limit;
use crate::reply::{LimitKind, Outcome, Reckoning, cut, fence, inline};

/// Options of a question that are listed.
const MOST_OPTIONS: usize = 9;
/// Bytes of a question.
const LONGEST_QUESTION: usize = 3_000;

/// A quote above the answer; nothing when it simply answered.
pub(super) fn units(outcome: &Outcome) -> Vec<Unit> {
    match outcome {
        Outcome::NeedsAnswer { question, options } => asks(question, options),
        Outcome::Answered
        | Outcome::NeedsApproval
        | Outcome::Withdrawn { .. }
        | Outcome::Limit { .. }
        | Outcome::Stopped { .. }
        | Outcome::Failed { .. } => quoted(ours(&markdown(outcome))),
    }
}

/// The same as Markdown, for a file that holds all of the answer.
pub(super) fn markdown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered => String::new(),
        Outcome::NeedsApproval => {
            "⏸️ **This waits for a yes.** Nothing goes on until somebody with permission gives it.".to_owned()
        }
        Outcome::NeedsAnswer { question, options } => {
            format!("**I need an answer before I go on.**\n\n{question}\n\n{}", listed(options))
        }
        Outcome::Withdrawn { why } => format!("⚠️ **Nothing was run.** {}", inline::sentence(why, 1_000)),
        Outcome::Limit { limit, reckoning } => limited(*limit, reckoning.as_ref()),
        Outcome::Stopped { by } => {
            format!("✋ **Stopped by {}.** What was reached until then is kept.", inline::plain(by, 60))
        }
        Outcome::Failed { reason, report } => format!(
            "❌ **This did not work.** {}\n\n`/retry` tries it again. Whoever runs this service finds the details under {}.",
            inline::sentence(reason, 1_000),
            fence::code_span(&cut::cut_end(report, 80)),
        ),
    }
}

fn quoted(units: Vec<Unit>) -> Vec<Unit> {
    units.into_iter().map(|unit| Unit { quoted: true, ..unit }).collect()
}

/// The question stands first, where nobody misses it.
fn asks(question: &str, options: &[String]) -> Vec<Unit> {
    let question = cut::cut_middle(question, LONGEST_QUESTION, None);
    let mut all = ours("❓ **I need an answer before I go on.**");
    super::follow(&mut all, markdown::read(&question, Whose::Theirs, false).units);
    super::follow(&mut all, ours(&listed(options)));
    let how = match options {
        [] => "Write your answer here, and I go on from here.",
        [_, ..] => "Write your answer or its number here, and I go on from here.",
    };
    let mut how = ours(how);
    how.iter_mut().for_each(|unit| unit.gap = Gap::Blank);
    all.append(&mut how);
    quoted(all)
}

fn listed(options: &[String]) -> String {
    let numbered = (1..).zip(options.iter().take(MOST_OPTIONS));
    numbered.map(|(number, option)| format!("{number}. {}", inline::plain(option, 300))).collect::<Vec<_>>().join("\n")
}

fn limited(limit: LimitKind, reckoning: Option<&Reckoning>) -> String {
    let reached = reached(limit);
    match reckoning {
        None => format!("⚠️ {reached} What was reached until then is kept. {}", go_on(limit)),
        Some(reckoning) => format!(
            "⚠️ {reached} {} What was reached until then is kept.\n\n{}\n\n{}",
            limit::spent(reckoning),
            limit::remains(reckoning.doing.as_deref()),
            raise(limit, reckoning)
        ),
    }
}

/// What a run ended at. The budget of a place is here that of the server.
fn reached(limit: LimitKind) -> String {
    match limit {
        LimitKind::RepositoryDailyCost { max_milli_usd } => {
            format!("**Ended: the budget of ${} of this server for today is used up.**", limit::dollars(max_milli_usd))
        }
        LimitKind::Steps { .. }
        | LimitKind::Time { .. }
        | LimitKind::Cost { .. }
        | LimitKind::DailyCost { .. }
        | LimitKind::PersonDailyCost { .. } => limit::reached(limit),
    }
}

/// Who can let it go on, and how.
fn raise(limit: LimitKind, reckoning: &Reckoning) -> String {
    let usd = reckoning.raise_to_usd;
    if button::may_pass(limit) {
        format!(
            "It goes on exactly there when somebody who may set the budget presses **Continue** or uses `/budget {usd}`: runs of this conversation may then cost ${usd} each."
        )
    } else {
        format!("{} Then it goes on exactly there when somebody who may set the budget uses `/budget {usd}`.", go_on(limit))
    }
}

fn go_on(limit: LimitKind) -> &'static str {
    match limit {
        LimitKind::Steps { .. } | LimitKind::Time { .. } | LimitKind::Cost { .. } => {
            "Press **Continue**, or write “continue”, to go on from there."
        }
        LimitKind::DailyCost { .. } => {
            "It starts afresh tomorrow (UTC); whoever runs this service can raise it with `DAILY_BUDGET_USD`."
        }
        LimitKind::PersonDailyCost { .. } => {
            "It starts afresh tomorrow (UTC); whoever runs this service can raise it with `USER_DAILY_BUDGET_USD`."
        }
        LimitKind::RepositoryDailyCost { .. } => {
            "It starts afresh tomorrow (UTC); it is set by `DISCORD_GUILD_DAILY_BUDGET_USD`, or lower by `[limits]` in the linked repository's file."
        }
    }
}
