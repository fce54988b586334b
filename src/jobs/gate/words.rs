//! Which words do something here.

use crate::intake::Place;
use crate::intake::command::Word;

/// True where there is a pull request to speak of.
pub(super) fn on_pull_request(place: &Place) -> bool {
    place.is_pull_request()
}

/// The words that do something in this version, in a conversation like this.
pub(super) fn available(place: &Place) -> Vec<Word> {
    let works = |word: &Word| match word {
        Word::Review => on_pull_request(place),
        Word::Run
        | Word::Fix
        | Word::Pr
        | Word::Plan
        | Word::Approve
        | Word::Queue
        | Word::Stop
        | Word::Retry
        | Word::Undo
        | Word::Status
        | Word::Help
        | Word::Model
        | Word::Budget
        | Word::Remember
        | Word::Forget
        | Word::Memory
        | Word::Link
        | Word::Branch => true,
    };
    Word::ALL.iter().copied().filter(works).collect()
}
