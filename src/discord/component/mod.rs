//! Buttons and modals: what a press means, from what the button says of itself and how things stand. Pure but for [`store`].
//!
//! A button grants nothing and holds nothing: its `custom_id` names a run, a request or an approval, so it means the same after any restart. What is
//! too late is said at once, for the eyes of who pressed; who may is for the gate, as for any words.

pub(super) mod modal;
pub(super) mod store;

use self::modal::Modal;
use self::store::{OfApproval, OfRequest, OfRun};
use super::button::Button;
use crate::approval::State;
use crate::intake::command::Word;
use crate::intake::{Asks, Press};
use crate::reply::Outcome;

/// What a press comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pressed {
    /// A request that names what it is about.
    Press(Press, Word),
    /// Words, as if they had been written.
    Say(String),
    /// Something is to be filled in first.
    Ask(Modal),
    /// It is too late, or too early.
    Not(&'static str),
}

const OVER: &str = "That run is over already.";
const UNFINISHED: &str = "That run is not over yet. Wait for its end, or press Stop.";
const AT_WORK: &str = "Something newer is at work in this conversation already.";
const NOT_THE_LAST: &str = "That is not the last run of this conversation any more. Say what you want next.";
const NO_LIMIT: &str = "That run did not end at a limit. Say what you want next.";
const NOT_GIVEN_UP: &str = "That was taken up since. Say what you want next.";
const NO_WORDS: &str = "I do not know the words of that any more. Say what you want.";
const APPROVED: &str = "That was approved already.";
const DECLINED: &str = "That was declined already. Ask for it again.";
const VOID: &str = "What it covered was changed, so it does not count any more. Ask for it again.";
const REPLACED: &str = "A newer one took its place. Look for that further down.";
const EXPIRED: &str = "Nobody said yes in time. Ask for it again.";

/// What a button that is about a run comes to.
pub(super) fn about_run(button: Button, run: &OfRun) -> Pressed {
    match button {
        Button::Stop(id) if run.unfinished => Pressed::Press(Press::Stop(id), Word::Stop),
        Button::Stop(_) => Pressed::Not(OVER),
        Button::Retry(_) | Button::Continue(_) | Button::OpenPullRequest(_) if run.unfinished => Pressed::Not(UNFINISHED),
        Button::Retry(_) | Button::Continue(_) | Button::OpenPullRequest(_) if run.busy => Pressed::Not(AT_WORK),
        Button::Retry(id) => Pressed::Press(Press::Retry(id), Word::Retry),
        Button::OpenPullRequest(id) => Pressed::Press(Press::OpenPullRequest(id), Word::Pr),
        Button::Continue(_) if !run.newest => Pressed::Not(NOT_THE_LAST),
        Button::Continue(id) => match &run.outcome {
            Some(Outcome::Limit { limit, reckoning }) if limit.is_money() => {
                Pressed::Ask(Modal::Budget { run: id, suggested: reckoning.as_ref().map(|reckoning| reckoning.raise_to_usd) })
            }
            Some(Outcome::Limit { .. }) => Pressed::Say("continue".to_owned()),
            Some(_) | None => Pressed::Not(NO_LIMIT),
        },
        Button::Again(_) | Button::Approve(_) | Button::Decline(_) => Pressed::Not(OVER),
    }
}

/// Why what was given up is not asked for again; none when it may be.
pub(super) fn not_again(request: &OfRequest) -> Option<&'static str> {
    if !request.given_up {
        return Some(NOT_GIVEN_UP);
    }
    if request.request.asks != Asks::Words || request.request.text.trim().is_empty() {
        return Some(NO_WORDS);
    }
    request.busy.then_some(AT_WORK)
}

/// What a button that is about an approval comes to.
pub(super) fn about_approval(button: Button, approval: &OfApproval) -> Pressed {
    match (button, approval.state) {
        (Button::Approve(id), State::Waiting) => Pressed::Press(Press::Approve(id), Word::Approve),
        (Button::Decline(id), State::Waiting) => Pressed::Press(Press::Decline(id), Word::Approve),
        (_, state) => Pressed::Not(ended(state)),
    }
}

fn ended(state: State) -> &'static str {
    match state {
        State::Waiting | State::Approved => APPROVED,
        State::Declined => DECLINED,
        State::Void => VOID,
        State::Replaced => REPLACED,
        State::Expired => EXPIRED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ApprovalId, RunId};
    use crate::intake::Place;
    use crate::reply::{LimitKind, Reckoning};

    fn place() -> Place {
        Place::Discord { guild: None, channel: 1, parent: None, opening: None, person: None, repository: None, apart: None }
    }

    fn run(unfinished: bool, newest: bool, outcome: Option<Outcome>) -> OfRun {
        OfRun { place: place(), unfinished, newest, busy: false, outcome }
    }

    #[test]
    fn what_is_over_is_not_stopped_and_what_runs_is_not_repeated() {
        let id = RunId::new();
        assert_eq!(about_run(Button::Stop(id), &run(true, true, None)), Pressed::Press(Press::Stop(id), Word::Stop));
        assert_eq!(about_run(Button::Stop(id), &run(false, true, None)), Pressed::Not(OVER));
        assert_eq!(about_run(Button::Retry(id), &run(true, true, None)), Pressed::Not(UNFINISHED));
        assert_eq!(about_run(Button::Retry(id), &run(false, false, None)), Pressed::Press(Press::Retry(id), Word::Retry));
        assert_eq!(about_run(Button::Retry(id), &OfRun { busy: true, ..run(false, false, None) }), Pressed::Not(AT_WORK));
    }

    #[test]
    fn a_run_goes_on_where_a_limit_ended_it() {
        let id = RunId::new();
        let steps = Outcome::Limit { limit: LimitKind::Steps { max: 50 }, reckoning: None };
        let reckoning = Reckoning { spent_milli_usd: 2_000, next_milli_usd: None, raise_to_usd: 4, doing: None };
        let money = Outcome::Limit { limit: LimitKind::Cost { max_milli_usd: 2_000 }, reckoning: Some(reckoning) };
        let pressed = |newest, outcome| about_run(Button::Continue(id), &run(false, newest, outcome));
        assert_eq!(pressed(true, Some(steps)), Pressed::Say("continue".to_owned()));
        assert_eq!(pressed(true, Some(money.clone())), Pressed::Ask(Modal::Budget { run: id, suggested: Some(4) }));
        assert_eq!(pressed(false, Some(money)), Pressed::Not(NOT_THE_LAST));
        assert_eq!(pressed(true, None), Pressed::Not(NO_LIMIT));
    }

    #[test]
    fn an_approval_is_decided_once() {
        let id = ApprovalId::new();
        let known = |state| OfApproval { place: place(), state };
        assert_eq!(
            about_approval(Button::Approve(id), &known(State::Waiting)),
            Pressed::Press(Press::Approve(id), Word::Approve)
        );
        assert_eq!(about_approval(Button::Decline(id), &known(State::Approved)), Pressed::Not(APPROVED));
        assert_eq!(about_approval(Button::Approve(id), &known(State::Void)), Pressed::Not(VOID));
    }
}
