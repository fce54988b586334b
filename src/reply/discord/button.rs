//! Which buttons stand under what.

use super::{ButtonStyle, Buttons, PieceButton};
use crate::reply::{AnswerView, Card, LimitKind, Outcome};

fn one(label: &str, style: ButtonStyle, id: Option<&String>) -> Option<PieceButton> {
    id.map(|id| PieceButton { label: label.to_owned(), style, id: id.clone(), disabled: false })
}

pub(super) fn stop(buttons: &Buttons) -> Option<PieceButton> {
    one("Stop", ButtonStyle::Danger, buttons.stop.as_ref())
}

/// Under a card that says why something was not done which may be had another time.
pub(super) fn retry(card: &Card, buttons: &Buttons) -> Option<PieceButton> {
    one("Retry", ButtonStyle::Primary, buttons.retry.as_ref())
        .filter(|_| matches!(card, Card::GivenUp { .. } | Card::Hindered { .. }))
}

/// Yes and no, while something waits for them.
pub(super) fn decision(buttons: &Buttons) -> Vec<PieceButton> {
    let yes = one("Approve", ButtonStyle::Success, buttons.approve.as_ref());
    yes.into_iter().chain(one("Decline", ButtonStyle::Danger, buttons.decline.as_ref())).collect()
}

/// What can follow an answer.
pub(super) fn after(view: &AnswerView, buttons: &Buttons) -> Vec<PieceButton> {
    let changes = view.diff.as_deref().is_some_and(|diff| !diff.trim().is_empty());
    let is_open = view.landed.iter().any(|landed| landed.pull_request.is_some());
    let goes_on = one("Continue", ButtonStyle::Primary, buttons.cont.as_ref()).filter(|_| may_go_on(&view.outcome));
    let open = one("Open PR", ButtonStyle::Success, buttons.open_pr.as_ref()).filter(|_| changes && !is_open);
    let again = one("Retry", ButtonStyle::Secondary, buttons.retry.as_ref()).filter(|_| may_be_repeated(&view.outcome));
    let decision = match view.outcome {
        Outcome::NeedsApproval => decision(buttons),
        Outcome::Answered
        | Outcome::NeedsAnswer { .. }
        | Outcome::Withdrawn { .. }
        | Outcome::Limit { .. }
        | Outcome::Stopped { .. }
        | Outcome::Failed { .. } => Vec::new(),
    };
    decision.into_iter().chain([goes_on, open, again].into_iter().flatten()).collect()
}

fn may_go_on(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Limit { limit, .. } => may_pass(*limit),
        Outcome::Answered
        | Outcome::NeedsApproval
        | Outcome::NeedsAnswer { .. }
        | Outcome::Withdrawn { .. }
        | Outcome::Stopped { .. }
        | Outcome::Failed { .. } => false,
    }
}

/// True for the limits of one run; those of a day do not yield to a button.
pub(super) fn may_pass(limit: LimitKind) -> bool {
    match limit {
        LimitKind::Steps { .. } | LimitKind::Time { .. } | LimitKind::Cost { .. } => true,
        LimitKind::DailyCost { .. } | LimitKind::PersonDailyCost { .. } | LimitKind::RepositoryDailyCost { .. } => false,
    }
}

fn may_be_repeated(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::NeedsApproval | Outcome::NeedsAnswer { .. } => false,
        Outcome::Answered
        | Outcome::Withdrawn { .. }
        | Outcome::Limit { .. }
        | Outcome::Stopped { .. }
        | Outcome::Failed { .. } => true,
    }
}
