//! The part of an answer that says where the work landed.

use crate::landing::words;
use crate::reply::{Landed, cut, fence, inline};

/// Commits that are listed.
const MOST_COMMITS: usize = 10;
/// Bytes of all of it.
const MOST: usize = 12_000;

/// A block for each landing; nothing when there is none.
pub(in crate::reply) fn sections(landed: &[Landed]) -> String {
    let blocks: Vec<String> = landed.iter().map(section).filter(|block| !block.is_empty()).collect();
    let mut text = blocks.join("\n\n");
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}

fn section(landed: &Landed) -> String {
    let mut parts = Vec::new();
    if !landed.commits.is_empty() {
        parts.push(format!("**{}** · {}", head(landed, &pull(landed)), extent(landed)));
        parts.push(commits(landed));
    }
    parts.push(remarks(landed));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// What is to be said beside what landed; nothing when all of it did as wanted.
pub(in crate::reply) fn remarks(landed: &Landed) -> String {
    let mut parts: Vec<String> = landed.notes.iter().map(|note| inline::sentence(note, 1_500)).collect();
    parts.push(words::missing(&landed.left_out));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The pull request as people click it.
fn pull(landed: &Landed) -> String {
    match (landed.pull_request, &landed.url) {
        (Some(number), Some(url)) if url.len() < 1_000 => format!("[#{number}]({})", inline::target(url)),
        (Some(number), _) => format!("#{number}"),
        (None, _) => String::new(),
    }
}

/// What happened, with the pull request as `pull` writes it.
pub(in crate::reply) fn head(landed: &Landed, pull: &str) -> String {
    match (landed.pull_request, landed.is_new, landed.is_draft) {
        (Some(_), true, true) => format!("Opened draft pull request {pull}"),
        (Some(_), true, false) => format!("Opened pull request {pull}"),
        (Some(_), false, _) => format!("Pushed to {pull}"),
        (None, _, _) => "Pushed".to_owned(),
    }
}

/// The branch, and how much is on it.
pub(in crate::reply) fn extent(landed: &Landed) -> String {
    let branch = fence::code_span(&cut::cut_end(&landed.branch, 120));
    let commits = inline::counted(landed.commits.len() as u64, "commit");
    format!("{branch} · {commits} · {}", inline::counted(landed.files.into(), "file"))
}

/// The commits, a line each.
pub(in crate::reply) fn commits(landed: &Landed) -> String {
    let mut lines: Vec<String> = landed
        .commits
        .iter()
        .take(MOST_COMMITS)
        .map(|commit| format!("- `{}` {}", commit.sha.get(..7).unwrap_or(&commit.sha), inline::plain(&commit.subject, 100)))
        .collect();
    if landed.commits.len() > MOST_COMMITS {
        lines.push(format!("- and {} more", inline::counted((landed.commits.len() - MOST_COMMITS) as u64, "commit")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::CommitMade;
    use crate::landing::survey::LeftOut;

    #[test]
    fn it_says_where_and_what() {
        let landed = Landed {
            pull_request: Some(8),
            url: Some("https://github.com/acme/rocket/pull/8".into()),
            is_draft: true,
            is_new: true,
            branch: "threadbox/issue-7-x-12345678".into(),
            commits: vec![CommitMade { sha: "0123456789".into(), subject: "Fix @bob's *parser*".into() }],
            files: 3,
            left_out: vec![LeftOut { path: "a.bin".into(), why: "it is too large".into() }],
            notes: vec!["Drafts are not available here.".into()],
        };
        let nothing = Landed { notes: vec!["Nothing differs.".into()], ..Landed::default() };
        insta::assert_snapshot!(sections(&[landed, nothing]).replace('\u{200b}', "·"), @r"
        **Opened draft pull request [#8](https://github.com/acme/rocket/pull/8)** · `threadbox/issue-7-x-12345678` · 1 commit · 3 files

        - `0123456` Fix @·bob's \*parser\*

        Drafts are not available here.

        **Left out**

        - `a.bin`: it is too large

        Nothing differs.
        ");
        assert_eq!(sections(&[]), "");
    }
}
