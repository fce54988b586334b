//! Short messages that are no answers, and what waits for a yes, in the words of Discord.

use super::markdown::{self, Whose};
use super::pack::Draft;
use super::split::{Gap, Unit};
use super::{Here, Piece, button};
use crate::approval::State;
use crate::intake::command::{Problem, Word};
use crate::reply::cards::{self, approval, help};
use crate::reply::{ApprovalNote, BridgeCard, Card, HouseCard, Needed, Scope, inline};

/// Messages of something that waits for a yes, where it cannot be a file: what nobody can read, nobody can approve.
const MOST_TO_APPROVE: usize = 100;

/// A card as messages; one, unless it lists a lot.
pub fn card(card: &Card, here: &Here) -> Vec<Piece> {
    let text = text(card, here);
    let body = markdown::read(&text, whose(card), false).units;
    let mut draft = Draft::new(body, ("message.md", text), here);
    draft.buttons = button::retry(card, &here.buttons).into_iter().collect();
    draft.pieces()
}

/// Whose words a card has. All are ours, and what they quote is plain, but for the beginning of an answer given elsewhere.
fn whose(card: &Card) -> Whose {
    if matches!(card, Card::Bridge { what: BridgeCard::Mirrored { .. } }) { Whose::Theirs } else { Whose::Ours }
}

/// What is said otherwise here than on GitHub: where buttons, slash commands and messages take the place of reactions and comments.
fn text(card: &Card, here: &Here) -> String {
    match card {
        Card::Help { handle, available } => help_here(handle, available, here),
        Card::NoPermission { login, needed } => no_permission(login, needed).unwrap_or_else(|| cards::text(card)),
        Card::Memory { what } => cards::memory_of(what, here.sharing),
        Card::House { what: HouseCard::MentionsOff { .. } } => "The linked repository's file says that mentions in free words do not count here (`[triggers] mention = false`), so nothing was run. Use a command instead; `/help` lists them.".to_owned(),
        Card::RateLimited { scope: Scope::RepositoryBudget, free_at } => {
            cards::text(&Card::RateLimited { scope: Scope::GuildBudget, free_at: *free_at })
        }
        Card::WordsGone { .. } => "Your message was changed before I could read it, so nothing was run. Write what you want in a new one.".to_owned(),
        Card::DidYouMean { word, suggestion, .. } => {
            let word = inline::plain(word, 40);
            format!(
                "I do not know the command “{word}”. Did you mean `{}`? Nothing was run: use `/{}`, or say in a few more words what you want.",
                suggestion.as_str(),
                suggestion.as_str()
            )
        }
        Card::Invalid { problem: Problem::NoCode, .. } => {
            "`run` needs a block of code with something in it. Nothing was run. Put three backticks and a language, such as `python`, on a line before the code and three backticks on a line after it, or use `/run`.".to_owned()
        }
        Card::WhichApproval { waiting, .. } => which(waiting),
        Card::OnlyOnPullRequests { word } => format!(
            "`{}` is for pull requests, and this conversation is about none. Nothing was run. Mention me in the pull request on GitHub, or say what you want in your own words.",
            word.as_str()
        ),
        Card::Bot
        | Card::RateLimited { .. }
        | Card::Status { .. }
        | Card::House { .. }
        | Card::Bridge { .. }
        | Card::Invalid { .. }
        | Card::Stopping
        | Card::NothingToStop
        | Card::NothingToRetry
        | Card::NothingToApprove { .. }
        | Card::NotApproved { .. }
        | Card::TooLongToApprove { .. }
        | Card::Linked { .. }
        | Card::NotLinked { .. }
        | Card::Branched { .. }
        | Card::NotBranched { .. }
        | Card::Queued { .. }
        | Card::Noted
        | Card::Hindered { .. }
        | Card::GivenUp { .. } => cards::text(card),
    }
}

/// A list, because Discord has no tables.
fn help_here(handle: &str, available: &[Word], here: &Here) -> String {
    let mut lines = vec![
        format!(
            "Mention `@{}` and say what you want. I plan, write and run code in a sandbox of this conversation, and answer here; in a thread of ours I hear you without a mention.",
            inline::plain(handle, 60)
        ),
        String::new(),
        "- in your own words: I get to work; while I work, it joins the current run".to_owned(),
    ];
    for word in Word::ALL.iter().filter(|word| available.contains(word)) {
        let (usage, does) = help::describe(*word);
        let (usage, does) = otherwise(*word, here).unwrap_or_else(|| (usage, does.to_owned()));
        lines.push(format!("- {usage}: {does}"));
    }
    lines.push("\n<sub>each word is a slash command, too, such as `/status`</sub>".to_owned());
    lines.join("\n")
}

/// What is otherwise here: where a button does the same, or where people have no repository before their eyes.
fn otherwise(word: Word, here: &Here) -> Option<(&'static str, String)> {
    let (usage, does) = match word {
        Word::Approve => ("`approve`", "what waits for a yes (a plan, a request) begins; **Approve** under it does the same"),
        Word::Stop => ("`stop`", "the current run stops and says where it stood; **Stop** under it does the same"),
        Word::Retry => ("`retry`", "the last request is run again; **Retry** under an answer does the same for that one"),
        Word::Review => ("`review`", "I review the pull request this conversation is linked to"),
        Word::Fix => ("`fix`", "I land the work in the linked repository, as a pull request"),
        Word::Pr => ("`pr`", "the same; **Open PR** under an answer with changes does it, too"),
        Word::Link => (
            "`link <address>`",
            "`link owner/name`: which repository this channel or thread is about; `link` and the address of an issue, pull request or \
             thread: it joins this conversation; `link account`: who you are on GitHub",
        ),
        Word::Remember => {
            let all = here.sharing.all();
            return Some(("`remember …`", format!("I keep it in mind for {all}; `remember here: …` for this one alone")));
        }
        Word::Run
        | Word::Plan
        | Word::Queue
        | Word::Undo
        | Word::Status
        | Word::Help
        | Word::Forget
        | Word::Memory
        | Word::Model
        | Word::Budget
        | Word::Branch => return None,
    };
    Some((usage, does.to_owned()))
}

/// Who may, where that is a matter of the linked repository; none where it is said as it is everywhere.
fn no_permission(login: &str, needed: &Needed) -> Option<String> {
    let (takes, remedy) = match needed {
        Needed::Permission { name } => (
            format!("people whose linked account has {} permission on the repository this is about", inline::plain(name, 20)),
            "Somebody who has it can repeat your request, or a maintainer can grant it to your account on GitHub.",
        ),
        Needed::Member => (
            "members of the organisation that owns the repository this is about".to_owned(),
            "A member can repeat your request here.",
        ),
        Needed::Listed => (
            "people on the list of this service".to_owned(),
            "Someone on it can repeat your request here; whoever runs this service keeps the list in `THREADBOX_ALLOW`.",
        ),
        Needed::OnLinked { .. }
        | Needed::Guild
        | Needed::Channel
        | Needed::Role
        | Needed::NotDirect
        | Needed::Account { .. }
        | Needed::Apart => return None,
    };
    Some(format!("I only work for {takes}, and {} is not among them, so nothing was run. {remedy}", inline::plain(login, 60)))
}

fn which(waiting: &[(String, String)]) -> String {
    let mut lines = vec![
        "Several things wait for a yes here, so I need to know which. Nothing was run. Press **Approve** under the one you mean, or use:".to_owned(),
        String::new(),
    ];
    lines.extend(
        waiting
            .iter()
            .map(|(digest, what)| format!("- `/approve {}` for {}", inline::plain(digest, 64), inline::plain(what, 200))),
    );
    lines.join("\n")
}

/// What waits, or waited, for a yes: all of it, how it stands, and while it is open the buttons. What does not fit is a file.
pub fn approval(shown: &str, note: &ApprovalNote<'_>, here: &Here) -> Vec<Piece> {
    let body = markdown::read(shown, Whose::TheirsThenOurs, false).units;
    let mut draft = Draft::new(body, ("to-approve.md", shown.to_owned()), here);
    draft.tail = standing(note);
    if !here.may_attach {
        draft.most = MOST_TO_APPROVE;
    }
    if note.state == State::Waiting {
        draft.buttons = button::decision(&here.buttons);
    }
    draft.pieces()
}

fn standing(note: &ApprovalNote<'_>) -> Vec<Unit> {
    let text = match note.state {
        State::Waiting => waiting(note),
        State::Approved | State::Declined | State::Void | State::Replaced | State::Expired => approval::text(note),
    };
    let mut units = markdown::read(&text, Whose::Ours, false).units;
    if let Some(first) = units.first_mut() {
        first.gap = Gap::Blank;
    }
    units
}

fn waiting(note: &ApprovalNote<'_>) -> String {
    let until = note.expires_at.format("%-d %B");
    format!(
        "> ⏸️ {}\n>\n> Press **Approve** or **Decline**, or use `/approve {}`. Open until {until}.",
        approval::promise(note),
        note.digest
    )
}

#[cfg(test)]
mod tests;
