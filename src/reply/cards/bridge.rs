//! Short messages about what connects Discord and GitHub: accounts, linked repositories, and what happens on the other surface.

use serde::{Deserialize, Serialize};

use crate::reply::{StepState, clean, cut, fence, inline, safe};

/// A short message about what connects the surfaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum BridgeCard {
    /// The code for linking an account went to them alone.
    CodeSent,
    /// It did not: they take no direct messages from us.
    CodeNotSent,
    /// They asked for too many.
    TooManyCodes,
    /// A code that does nothing: wrong, used, or too old.
    WrongCode {
        /// Our name, without `@`.
        handle: String,
    },
    /// Too many wrong ones; none is looked at.
    TooManyTries,
    /// A code counts where its writer is known for certain.
    CodeWrittenWrong {
        /// True on Discord, where it was made.
        on_discord: bool,
    },
    /// Two accounts are one person.
    AccountLinked {
        /// Our name, without `@`.
        handle: String,
        /// The login on GitHub.
        login: String,
        /// The name on Discord.
        name: String,
    },
    /// They are no longer.
    AccountParted {
        /// False when they were not.
        was: bool,
    },
    /// A channel, thread or direct conversation is about a repository now.
    Repository {
        /// `owner/name`.
        name: String,
        /// What was linked.
        whole: Whole,
        /// True when the repository is private.
        private: bool,
    },
    /// It is about none any more.
    NoRepository {
        /// False when it had none of its own.
        was: bool,
    },
    /// What goes on, or came of it, on the other surface.
    Mirrored {
        /// What.
        what: Mirrored,
    },
}

/// What is linked to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// A channel with its threads, or a forum.
    Channel,
    /// One thread or post.
    Thread,
    /// Direct messages.
    Direct,
}

/// A request on another surface, as this one shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The other surface, such as `Discord`.
    pub surface: String,
    /// Who asked there.
    pub login: String,
    /// Where people read it.
    pub url: String,
    /// What they asked, as written.
    pub asked: String,
    /// The last lines of the checklist while it is worked on.
    pub steps: Vec<(String, Step)>,
    /// How it ended, in a word of ours; none while it is worked on.
    pub ended: Option<String>,
    /// The beginning of the answer; Markdown from the model.
    pub answer: String,
    /// Pull requests it landed in: number and address.
    pub pulls: Vec<(i64, String)>,
}

/// How a line of the checklist stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Under way.
    Running,
    /// Went well.
    Done,
    /// Did not.
    Failed,
}

impl From<StepState> for Step {
    fn from(state: StepState) -> Self {
        match state {
            StepState::Running => Self::Running,
            StepState::Done => Self::Done,
            StepState::Failed => Self::Failed,
        }
    }
}

/// Lines of a checklist that are shown elsewhere.
const MOST_STEPS: usize = 5;
/// Bytes of an answer that are shown elsewhere.
const MOST_ANSWER: usize = 600;

/// The message without its marker.
pub(super) fn text(card: &BridgeCard) -> String {
    match card {
        BridgeCard::CodeSent => "I wrote you a direct message that says how to link your account on GitHub.".to_owned(),
        BridgeCard::CodeNotSent => "Linking an account starts with a direct message from me, and you take none from me here. Allow direct messages from members of this server in its privacy settings, or write to me first; then ask again.".to_owned(),
        BridgeCard::TooManyCodes => "That was asked for too often. Nothing was changed; try again in an hour.".to_owned(),
        BridgeCard::WrongCode { handle } => format!(
            "That code does nothing: it is wrong, was used, or is older than 15 minutes. Nothing was linked. Ask me for a new one on Discord with `@{} link account`.",
            inline::plain(handle, 60)
        ),
        BridgeCard::TooManyTries => "Too many wrong codes came from this account, so none is looked at for an hour. Nothing was linked.".to_owned(),
        BridgeCard::CodeWrittenWrong { on_discord: true } => "That code belongs in a comment on GitHub, in any issue where I work: there it is certain who writes it. Nothing was linked.".to_owned(),
        BridgeCard::CodeWrittenWrong { on_discord: false } => "A code counts in a new comment that nobody has edited: there it is certain who wrote it. Nothing was linked. Write it once more, as a comment of its own.".to_owned(),
        BridgeCard::AccountLinked { handle, login, name } => format!(
            "**{}** on Discord is **{}** on GitHub now, and may do there with a repository what you may do here. If that is not you, undo it with `@{} link account off`.",
            inline::plain(name, 60),
            inline::plain(login, 60),
            inline::plain(handle, 60)
        ),
        BridgeCard::AccountParted { was: true } => "Your accounts on Discord and GitHub are no longer linked.".to_owned(),
        BridgeCard::AccountParted { was: false } => "Your accounts on Discord and GitHub were not linked.".to_owned(),
        BridgeCard::Repository { name, whole, private } => repository(name, *whole, *private),
        BridgeCard::NoRepository { was: true } => "This is about no repository of its own any more.".to_owned(),
        BridgeCard::NoRepository { was: false } => "This was linked to no repository of its own, so nothing was changed. What a channel is linked to is changed in the channel.".to_owned(),
        BridgeCard::Mirrored { what } => mirrored(what),
    }
}

fn repository(name: &str, whole: Whole, private: bool) -> String {
    let here = match whole {
        Whole::Channel => "This channel, with its threads,",
        Whole::Thread => "This thread",
        Whole::Direct => "This conversation",
    };
    let warned = match private {
        true => {
            " It is a private repository: everybody who reads here reads what I say of it, so keep the list of them as you keep that of the repository. I work here only for people whose linked account may read it."
        }
        false => " Whoever may ask me here may ask about it; what lands takes a linked account with write permission.",
    };
    format!("{here} is about {} now.{warned}", fence::code_span(&cut::cut_end(&clean::visible(name), 150)))
}

/// What a person is told, alone, who wants to link their account. Never to be posted where others read it.
pub fn account_code(handle: &str, code: &str, minutes: i64) -> String {
    let handle = inline::plain(handle, 60);
    format!(
        "To link your account on GitHub, write this as a new comment in any issue or pull request where I work, within {minutes} minutes:\n\n```\n@{handle} link {code}\n```\nGitHub says who wrote it, and that is who you are to me from then on. The code works once. Give it to nobody, and never write one down that somebody else gave you: whoever got it here would then act with your permissions. `@{handle} link account off` undoes it."
    )
}

fn mirrored(what: &Mirrored) -> String {
    let asked = inline::plain(&what.asked, 160);
    let surface = inline::plain(&what.surface, 20);
    let from =
        format!("{} asked [on {surface}]({})", inline::plain(&what.login, 60), inline::target(&cut::cut_end(&what.url, 500)));
    let mut parts = vec![match asked.is_empty() {
        true => format!("↔️ {from}."),
        false => format!("↔️ {from}: {asked}"),
    }];
    match &what.ended {
        None => {
            let skipped = what.steps.len().saturating_sub(MOST_STEPS);
            let lines: Vec<String> = what.steps.iter().skip(skipped).map(step).collect();
            parts.push(if lines.is_empty() { "Working on it.".to_owned() } else { lines.join("\n") });
        }
        Some(ended) => {
            let answer = safe::safe_markdown(&cut::cut_end(what.answer.trim(), MOST_ANSWER), MOST_ANSWER + 400, None, &[]);
            parts.extend(Some(answer).filter(|answer| !answer.trim().is_empty()));
            let pulls =
                what.pulls.iter().map(|(number, url)| format!("[#{number}]({})", inline::target(&cut::cut_end(url, 500))));
            let pulls: Vec<String> = pulls.collect();
            let landed = if pulls.is_empty() { String::new() } else { format!(" · landed in {}", pulls.join(", ")) };
            parts.push(format!(
                "{}{landed} · [the whole answer]({})",
                inline::sentence(ended, 100),
                inline::target(&cut::cut_end(&what.url, 500))
            ));
        }
    }
    parts.join("\n\n")
}

fn step((label, state): &(String, Step)) -> String {
    let mark = match state {
        Step::Running => "⏳",
        Step::Done => "✅",
        Step::Failed => "⚠️",
    };
    format!("- {mark} {}", inline::plain(label, 120))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Mirrored {
        Mirrored {
            surface: "Discord".into(),
            login: "ada".into(),
            url: "https://discord.com/channels/1/2/3".into(),
            asked: "@threadbox fix *it* <b>\nplease".into(),
            steps: (1..=7).map(|n| (format!("step {n}"), if n == 7 { Step::Running } else { Step::Done })).collect(),
            ended: None,
            answer: String::new(),
            pulls: Vec::new(),
        }
    }

    #[test]
    fn what_goes_on_elsewhere_is_short_and_pings_nobody() {
        insta::assert_snapshot!(mirrored(&shown()).replace('\u{200b}', "·"), @r"
        ↔️ ada asked [on Discord](https://discord.com/channels/1/2/3): @·threadbox fix \*it\* &lt;b&gt; please

        - ✅ step 3
        - ✅ step 4
        - ✅ step 5
        - ✅ step 6
        - ⏳ step 7
        ");
        let ended = Mirrored {
            ended: Some("Answered".into()),
            answer: "Done, @everyone. ".repeat(100),
            pulls: vec![(8, "https://github.com/acme/rocket/pull/8".into())],
            ..shown()
        };
        let text = mirrored(&ended);
        assert!(text.len() < 1_900 && !text.contains("@everyone") && text.contains("[#8]"), "{text}");
    }

    #[test]
    fn a_code_is_told_with_what_it_may_do() {
        insta::assert_snapshot!(account_code("threadbox", "discord-ABCD-2345", 15), @"
        To link your account on GitHub, write this as a new comment in any issue or pull request where I work, within 15 minutes:

        ```
        @threadbox link discord-ABCD-2345
        ```
        GitHub says who wrote it, and that is who you are to me from then on. The code works once. Give it to nobody, and never write one down that somebody else gave you: whoever got it here would then act with your permissions. `@threadbox link account off` undoes it.
        ");
    }

    #[test]
    fn a_private_repository_comes_with_a_warning() {
        assert!(repository("acme/secret", Whole::Channel, true).contains("everybody who reads here"));
        assert!(repository("acme/rocket", Whole::Thread, false).starts_with("This thread is about `acme/rocket` now."));
    }
}
