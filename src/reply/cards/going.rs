//! What people are told when a conversation, or what they said, is forgotten as a whole.

use serde::{Deserialize, Serialize};

use crate::reply::inline;

/// What goes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// A conversation with all that belongs to it.
    Conversation,
    /// What was said in this conversation; others share its memory.
    Here,
    /// What whoever asks said in this conversation.
    OwnHere,
    /// What whoever asks said in all of them.
    Own,
}

/// What goes, and what does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Going {
    /// What.
    pub what: Extent,
    /// The surface's name.
    pub surface: String,
    /// Things people said.
    pub messages: u64,
    /// Answers.
    pub answers: u64,
    /// Of the runs that make them, those at work.
    pub at_work: u64,
    /// Passages that recall found.
    pub passages: u64,
    /// Lines that were kept in mind.
    pub lines: u64,
}

/// The comment without its marker.
pub(super) fn text(going: &Going) -> String {
    let what = match going.what {
        Extent::Conversation => "I forget this conversation",
        Extent::Here => "I forget what was said in this conversation",
        Extent::OwnHere => "I forget what you said in this conversation",
        Extent::Own => "I forget what you said, in all conversations here and elsewhere",
    };
    let mut parts = vec![inline::counted(going.messages, "message")];
    for (count, noun) in [(going.answers, "answer of mine"), (going.passages, "passage"), (going.lines, "line I kept in mind")] {
        if count > 0 {
            // The noun that counts stands first.
            let (head, rest) = noun.split_once(' ').map_or((noun, String::new()), |(head, rest)| (head, format!(" {rest}")));
            parts.push(format!("{}{rest}", inline::counted(count, head)));
        }
    }
    let surface = inline::plain(&going.surface, 40);
    let mut stays = vec![format!(
        "What stands on {surface} stays there, my answers too, until somebody deletes it there; asked here again, I may read it again."
    )];
    match going.what {
        Extent::Conversation => {}
        Extent::Here => {
            stays.push("Another conversation shares this one's memory. What was said there stays; ask there as well.".to_owned())
        }
        Extent::OwnHere | Extent::Own => stays.push(
            "What others said stays theirs, also where they name or quote you, and so does your name on what was spent."
                .to_owned(),
        ),
    }
    stays.push("Branches, commits and pull requests stay, and so do times and costs, without words.".to_owned());
    if going.at_work > 0 {
        let runs = inline::counted(going.at_work, "run");
        let (is, was, goes) =
            if going.at_work == 1 { ("is", "was", "it goes when it is") } else { ("are", "were", "them goes when they are") };
        stays.push(format!("{runs} {is} at work and {was} asked to stop; what belongs to {goes} over."));
    }
    let stays: Vec<String> = stays.iter().map(|line| format!("- {line}")).collect();
    format!(
        "{what}: {}, with files, vectors and everything else made of that. None of it is found again from now on; within minutes the words \
         are gone.\n\n{}",
        listing_of(&parts),
        stays.join("\n")
    )
}

fn listing_of(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The same where there is none.
pub(super) fn nothing(what: Extent) -> String {
    let what = match what {
        Extent::Conversation | Extent::Here => "nothing of this conversation",
        Extent::OwnHere => "nothing you said in this conversation",
        Extent::Own => "nothing you said",
    };
    format!("I keep {what}, so there was nothing to forget.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_stays_is_told() {
        let going = |what, surface: &str, (messages, answers, at_work, passages, lines)| {
            text(&Going { what, surface: surface.into(), messages, answers, at_work, passages, lines })
        };
        let all = [
            going(Extent::Conversation, "GitHub", (1, 2, 1, 4, 1)),
            going(Extent::Here, "Discord", (3, 1, 0, 0, 0)),
            going(Extent::Own, "Discord", (1_200, 0, 2, 0, 0)),
            nothing(Extent::OwnHere),
        ];
        insta::assert_snapshot!(all.join("\n---\n"), @"
        I forget this conversation: 1 message, 2 answers of mine, 4 passages and 1 line I kept in mind, with files, vectors and everything else made of that. None of it is found again from now on; within minutes the words are gone.

        - What stands on GitHub stays there, my answers too, until somebody deletes it there; asked here again, I may read it again.
        - Branches, commits and pull requests stay, and so do times and costs, without words.
        - 1 run is at work and was asked to stop; what belongs to it goes when it is over.
        ---
        I forget what was said in this conversation: 3 messages and 1 answer of mine, with files, vectors and everything else made of that. None of it is found again from now on; within minutes the words are gone.

        - What stands on Discord stays there, my answers too, until somebody deletes it there; asked here again, I may read it again.
        - Another conversation shares this one's memory. What was said there stays; ask there as well.
        - Branches, commits and pull requests stay, and so do times and costs, without words.
        ---
        I forget what you said, in all conversations here and elsewhere: 1,200 messages, with files, vectors and everything else made of that. None of it is found again from now on; within minutes the words are gone.

        - What stands on Discord stays there, my answers too, until somebody deletes it there; asked here again, I may read it again.
        - What others said stays theirs, also where they name or quote you, and so does your name on what was spent.
        - Branches, commits and pull requests stay, and so do times and costs, without words.
        - 2 runs are at work and were asked to stop; what belongs to them goes when they are over.
        ---
        I keep nothing you said in this conversation, so there was nothing to forget.
        ");
    }
}
