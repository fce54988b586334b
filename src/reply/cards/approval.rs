//! What waits for a yes, as people see it: what exactly, how to give it, and how it ended.

use chrono::{DateTime, Utc};

use crate::approval::{Kind, State};
use crate::id::ApprovalId;
use crate::reply::{AnswerView, answer, clean, fence, inline, marker, safe};

/// Bytes of a plan. What is shown is what is approved, so that a longer one is cut before it is.
const MAX_PLAN: usize = 40_000;

/// The part of a comment that says how an approval stands.
#[derive(Clone, Debug)]
pub struct ApprovalNote<'a> {
    /// Names it, for buttons.
    pub id: ApprovalId,
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// The first digits of its digest.
    pub digest: &'a str,
    /// Our name, without `@`.
    pub handle: &'a str,
    /// Who asked, where that is somebody without permission.
    pub asker: Option<&'a str>,
    /// Why it is void; a sentence of ours.
    pub why: Option<&'a str>,
    /// Who decided.
    pub decided_by: Option<&'a str>,
    /// Until when it is open.
    pub expires_at: DateTime<Utc>,
}

/// A comment about an approval: what is approved (`shown`, which must be safe), how it stands, the marker of the comment's key.
pub fn approval_body(shown: &str, note: &ApprovalNote<'_>, key: &str) -> String {
    marker::mark(&format!("{}\n\n{}", shown.trim_end(), text(note)), key)
}

/// A plan as it is shown and, word by word, approved; with the small line of the run below it. `view` must have been redacted.
pub fn plan(view: &AnswerView) -> (String, String) {
    let plan = safe::safe_markdown(&view.text, MAX_PLAN, None, &[]);
    let shown = format!("{plan}\n\n{}", answer::footer(&view.footer));
    (plan, shown)
}

/// What somebody without permission asks, inert and complete; none when it is too long to be read before it is approved.
pub fn outsider(login: &str, text: &str) -> Option<String> {
    const LONGEST: usize = 8_000;
    let text = clean::visible(text);
    (text.len() <= LONGEST).then(|| format!("**{} asks:**\n\n{}", inline::plain(login, 60), fence::fence("text", text.trim())))
}

/// Changes that take a yes, whole: every path and every line; none when that is too much to be read before it is approved. `patch` is as
/// git writes it; what cannot be seen in it is spelt out.
pub fn landing(base: &str, digest: &str, paths: &[String], patch: &str) -> Option<String> {
    const LONGEST: usize = 40_000;
    let mut lines = vec![format!("**{} would land with a yes:**", inline::counted(paths.len() as u64, "file")), String::new()];
    lines.extend(paths.iter().map(|path| format!("- {}", fence::code_span(&spelt(path)))));
    let base = base.get(..12).unwrap_or(base);
    let shown = format!(
        "{}\n\n{}\n<sub>Made on commit `{base}`; the contents are `{digest}`.</sub>",
        lines.join("\n"),
        fence::fence("diff", &spelt(patch))
    );
    (shown.len() <= LONGEST).then_some(shown)
}

/// Text in which nothing is hidden: what takes no room, or turns the direction of writing, stands there by its number.
fn spelt(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => out.push_str("<CR>"),
            c if clean::is_hidden(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// How it stands, as a coloured quote.
pub(in crate::reply) fn text(note: &ApprovalNote<'_>) -> String {
    let by = note.decided_by.map_or_else(|| "somebody with permission".to_owned(), |by| inline::plain(by, 60));
    match note.state {
        State::Waiting => format!("> [!IMPORTANT]\n> {}", waiting(note)),
        State::Approved => format!("> [!NOTE]\n> **Approved by {by}**, exactly as it stands above (`{}`).", note.digest),
        State::Declined => format!("> [!NOTE]\n> **Declined by {by}.** Nothing of it was run."),
        State::Void => {
            let why = inline::sentence(note.why.unwrap_or_default(), 600);
            format!("> [!WARNING]\n> **No longer open.** {why} Nothing of it was run.")
        }
        State::Replaced => "> [!NOTE]\n> **No longer open:** a newer one has taken its place.".to_owned(),
        State::Expired => "> [!NOTE]\n> **No longer open:** nobody decided in time. Nothing of it was run.".to_owned(),
    }
}

fn waiting(note: &ApprovalNote<'_>) -> String {
    let handle = inline::plain(note.handle, 60);
    let (digest, until) = (note.digest, note.expires_at.format("%-d %B"));
    let what = promise(note);
    format!("{what}\n>\n> Yes: 👍 on this comment, or `@{handle} approve {digest}`. No: 👎. Open until {until}.")
}

/// What a yes would mean, and that nothing has happened before it.
pub(in crate::reply) fn promise(note: &ApprovalNote<'_>) -> String {
    match note.kind {
        Kind::Plan => {
            "**Nothing has changed yet.** When somebody with permission says yes, I carry out exactly this plan.".to_owned()
        }
        Kind::Outsider => format!(
            "**Nothing was run.** {} may not start runs here. When somebody with write permission says yes, I work on exactly this text, in a sandbox: I answer here, and nothing of it is committed, pushed or opened. An edit of the message, or a new commit, makes this void.",
            inline::plain(note.asker.unwrap_or("This person"), 60)
        ),
        Kind::Workflows => {
            "**None of this has landed.** It decides what runs here, or who must agree. When somebody with maintain or admin permission says yes, exactly this lands.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn note(kind: Kind, state: State) -> ApprovalNote<'static> {
        ApprovalNote {
            id: ApprovalId::new(),
            kind,
            state,
            digest: "0123456789",
            handle: "threadbox",
            asker: Some("eve"),
            why: Some("The message was edited."),
            decided_by: Some("maya"),
            expires_at: "2026-11-30T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_people_read_about_approvals() {
        let shown = outsider("eve", "@threadbox hi\n```\n<!-- hidden -->").unwrap();
        let all = [
            approval_body("1. Do it.", &note(Kind::Plan, State::Waiting), "run-1"),
            approval_body(&shown, &note(Kind::Outsider, State::Waiting), "card-1"),
            approval_body(
                &landing("0123456789abcdef", "fedcba", &[".github/workflows/ci.yml".to_owned()], "+on: push\u{202e}\r\n```\n")
                    .unwrap(),
                &note(Kind::Workflows, State::Waiting),
                "waits-1",
            ),
            text(&note(Kind::Plan, State::Approved)),
            text(&note(Kind::Plan, State::Declined)),
            text(&note(Kind::Outsider, State::Void)),
            text(&note(Kind::Plan, State::Replaced)),
            text(&note(Kind::Plan, State::Expired)),
        ];
        insta::assert_snapshot!(all.join("\n\n---\n\n").replace('\u{200b}', "·"), @r"
        1. Do it.

        > [!IMPORTANT]
        > **Nothing has changed yet.** When somebody with permission says yes, I carry out exactly this plan.
        >
        > Yes: 👍 on this comment, or `@threadbox approve 0123456789`. No: 👎. Open until 30 November.

        <!-- threadbox:post=run-1 -->

        ---

        **eve asks:**

        ````text
        @threadbox hi
        ```
        <!-- hidden -->
        ````

        > [!IMPORTANT]
        > **Nothing was run.** eve may not start runs here. When somebody with write permission says yes, I work on exactly this text, in a sandbox: I answer here, and nothing of it is committed, pushed or opened. An edit of the message, or a new commit, makes this void.
        >
        > Yes: 👍 on this comment, or `@threadbox approve 0123456789`. No: 👎. Open until 30 November.

        <!-- threadbox:post=card-1 -->

        ---

        **1 file would land with a yes:**

        - `.github/workflows/ci.yml`

        ````diff
        +on: push<U+202E><CR>
        ```
        ````

        <sub>Made on commit `0123456789ab`; the contents are `fedcba`.</sub>

        > [!IMPORTANT]
        > **None of this has landed.** It decides what runs here, or who must agree. When somebody with maintain or admin permission says yes, exactly this lands.
        >
        > Yes: 👍 on this comment, or `@threadbox approve 0123456789`. No: 👎. Open until 30 November.

        <!-- threadbox:post=waits-1 -->

        ---

        > [!NOTE]
        > **Approved by maya**, exactly as it stands above (`0123456789`).

        ---

        > [!NOTE]
        > **Declined by maya.** Nothing of it was run.

        ---

        > [!WARNING]
        > **No longer open.** The message was edited. Nothing of it was run.

        ---

        > [!NOTE]
        > **No longer open:** a newer one has taken its place.

        ---

        > [!NOTE]
        > **No longer open:** nobody decided in time. Nothing of it was run.
        ");
    }

    #[test]
    fn what_cannot_be_read_whole_is_not_shown() {
        assert_eq!(outsider("eve", &"a ".repeat(10_000)), None);
        assert_eq!(landing("abc", "def", &["a".to_owned()], &"+a\n".repeat(20_000)), None);
    }
}
