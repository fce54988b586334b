//! The body of a review: what was looked at, what was tried, what could not be proved, and what lies outside the diff.

use super::comment::{command, heading, short, time, words};
use super::finding::{Kept, Proof, Standing};
use crate::reply::{MAX_BODY, clean, cut, fence, inline, marker};

/// What stands in a part of a path as it is.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Bytes a section needs beside words and diff.
const SECTION: usize = 1_400;
const MOST_WORDS: usize = 3_000;
/// Findings that are shown in a body; the others are counted.
const MOST_SHOWN: usize = 60;

/// What a review's body says.
#[derive(Clone, Debug)]
pub struct BodyView<'a> {
    /// The reviewed commit.
    pub commit: &'a str,
    /// Files of the pull request.
    pub files: usize,
    /// Findings with a comment of their own.
    pub inline: &'a [&'a Kept],
    /// Findings in the body.
    pub below: &'a [&'a Kept],
    /// What should be known beside, each a sentence of ours.
    pub notes: &'a [String],
    /// The repository's page, such as `https://github.com/acme/tools`.
    pub page: &'a str,
}

/// The body, at most [`MAX_BODY`] bytes, marker included.
pub fn body(view: &BodyView<'_>, key: &str) -> String {
    let marker = marker::marker(key);
    let mut parts = vec![summary(view)];
    parts.extend(evidence(view));
    parts.extend(view.notes.iter().map(|note| inline::sentence(note, 600)));
    let used: usize = parts.iter().map(|part| part.len() + 2).sum::<usize>() + marker.len() + 200;
    parts.extend(sections(view, MAX_BODY.saturating_sub(used)));
    parts.push(marker);
    parts.join("\n\n")
}

fn summary(view: &BodyView<'_>) -> String {
    let suggested = view.inline.iter().filter(|kept| kept.block().is_some()).count();
    let remarks = view.inline.len() - suggested;
    let mut found = Vec::new();
    let mut count = |number: usize, what: &str, place: &str| {
        if number > 0 {
            found.push(format!("{}{place}", inline::counted(number as u64, what)));
        }
    };
    count(suggested, "suggestion", "");
    count(remarks, "remark", "");
    count(view.below.len(), "finding", " below");
    let found = if found.is_empty() { "nothing to add".to_owned() } else { found.join(", ") };
    format!("Reviewed {} at `{}`: {found}.", inline::counted(view.files as u64, "changed file"), short(view.commit))
}

/// What was run on all suggestions together. They share it, so it is said once.
fn evidence(view: &BodyView<'_>) -> Option<String> {
    let proofs: Vec<&Proof> = view.inline.iter().filter_map(|kept| proof(kept)).collect();
    let first = proofs.first()?;
    let applied = format!(
        "{} applied to `{}` the way GitHub does it, and compared byte by byte with what was meant.",
        match proofs.len() {
            1 => "The suggestion was".to_owned(),
            2 => "Both suggestions were".to_owned(),
            many => format!("All {many} suggestions were"),
        },
        short(view.commit)
    );
    let ran = first.test.as_ref().map(|test| format!("{}: exit {}, {}.", command(test), test.exit_code, time(test)));
    let ran = ran.unwrap_or_else(|| {
        "The repository names no test command (`test` in `[sandbox]` of `.github/threadbox.toml`), so no tests were run."
            .to_owned()
    });
    Some(format!("{applied} {ran}"))
}

fn proof(kept: &Kept) -> Option<&Proof> {
    match &kept.standing {
        Standing::Suggested { proof, .. } => Some(proof),
        Standing::Remark { .. } | Standing::Demoted { .. } | Standing::OffDiff => None,
    }
}

fn sections(view: &BodyView<'_>, room: usize) -> Vec<String> {
    let shown = &view.below[..view.below.len().min(MOST_SHOWN)];
    let wants: Vec<usize> = shown.iter().map(|kept| kept.body.len().min(MOST_WORDS) + kept.diff.len() + SECTION).collect();
    let shares = cut::share(room, &wants);
    let mut parts: Vec<String> = Vec::new();
    let mut hidden = view.below.len() - shown.len();
    for (kept, share) in shown.iter().zip(shares) {
        match section(kept, view, share) {
            Some(section) => parts.push(section),
            None => hidden += 1,
        }
    }
    if hidden > 0 {
        parts.push(format!("*{} not shown here.*", inline::counted(hidden as u64, "more finding")));
    }
    parts
}

/// One finding, folded away. None when there is no room.
fn section(kept: &Kept, view: &BodyView<'_>, room: usize) -> Option<String> {
    let room = room.checked_sub(SECTION / 2)?;
    let lines = if kept.first == kept.last { format!("{}", kept.first) } else { format!("{}–{}", kept.first, kept.last) };
    let title = format!("{} · {}:{lines} · {}", kept.severity.word(), path(&kept.path), inline::plain(&kept.rule, 80));
    let why = match &kept.standing {
        Standing::Demoted { why } => format!("*Not offered as a suggestion: {}.*", inline::sentence(why, 400)),
        Standing::OffDiff => "*These lines are not part of the diff.*".to_owned(),
        Standing::Suggested { .. } | Standing::Remark { .. } => String::new(),
    };
    let link = format!("[{}]({})", lines_word(kept), permalink(view.page, view.commit, kept));
    let said = words(&kept.body, MOST_WORDS.min(room / 2));
    let mut parts = vec![said, format!("{why} {link}").trim().to_owned()];
    let left = room.saturating_sub(parts.iter().map(String::len).sum());
    if !kept.diff.is_empty() {
        parts.push(fence::within("diff", &clean::visible(&kept.diff), left).trim_end().to_owned());
    }
    parts.retain(|part| !part.is_empty());
    Some(format!("<details><summary>{title}</summary>\n\n{}\n\n</details>", parts.join("\n\n")))
}

fn lines_word(kept: &Kept) -> &'static str {
    if kept.first == kept.last { "See the line" } else { "See the lines" }
}

/// A path in a summary, where Markdown is not read.
fn path(path: &str) -> String {
    let visible = clean::visible(path).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<code>{}</code>", cut::cut_end(&visible, 120).replace(['\n', '`'], " "))
}

/// Where the lines of a finding are for ever.
pub fn permalink(page: &str, commit: &str, kept: &Kept) -> String {
    let encoded: Vec<String> =
        kept.path.split('/').map(|part| percent_encoding::utf8_percent_encode(part, PATH).to_string()).collect();
    let lines = if kept.first == kept.last { format!("L{}", kept.first) } else { format!("L{}-L{}", kept.first, kept.last) };
    inline::target(&format!("{}/blob/{commit}/{}#{lines}", page.trim_end_matches('/'), encoded.join("/")))
}

/// The heading and words of a finding, for a plain answer where no review can be written.
pub fn in_words(kept: &Kept) -> String {
    format!("{} · {}:{}", heading(kept), fence::code_span(&clean::visible(&kept.path)), kept.first)
}

#[cfg(test)]
mod tests {
    use super::super::apply::Block;
    use super::super::finding::{Ran, Severity};
    use super::*;

    fn kept(standing: Standing, diff: &str) -> Kept {
        Kept {
            path: "src/a b.rs".into(),
            rule: "off-by-one".into(),
            severity: Severity::Blocking,
            body: "The last item is skipped.".into(),
            code: "x".into(),
            first: 3,
            last: 4,
            diff: diff.into(),
            standing,
        }
    }

    fn suggested() -> Kept {
        let test = Some(Ran { command: "npm test".into(), exit_code: 0, duration_ms: 12_000 });
        let block = Block { first: 3, last: 3, text: "x\n".into() };
        kept(Standing::Suggested { block, proof: Proof { test, ..Proof::default() } }, "")
    }

    #[test]
    fn a_body_tells_what_was_tried_and_what_was_not_proved() {
        let (inline, demoted) =
            (suggested(), kept(Standing::Demoted { why: "`npm test` fails with it (exit 1)".into() }, "-a\n+b\n"));
        let off = kept(Standing::OffDiff, "");
        let view = BodyView {
            commit: "0123456789abcdef",
            files: 4,
            inline: &[&inline],
            below: &[&demoted, &off],
            notes: &["The branch has moved on since.".into()],
            page: "https://github.com/acme/tools",
        };
        insta::assert_snapshot!(body(&view, "review-1"), @r"
        Reviewed 4 changed files at `0123456789`: 1 suggestion, 2 findings below.

        The suggestion was applied to `0123456789` the way GitHub does it, and compared byte by byte with what was meant. `npm test`: exit 0, 12 s.

        The branch has moved on since.

        <details><summary>Blocking · <code>src/a b.rs</code>:3–4 · off-by-one</summary>

        The last item is skipped.

        *Not offered as a suggestion: `npm test` fails with it (exit 1).* [See the lines](https://github.com/acme/tools/blob/0123456789abcdef/src/a%20b.rs#L3-L4)

        ```diff
        -a
        +b
        ```

        </details>

        <details><summary>Blocking · <code>src/a b.rs</code>:3–4 · off-by-one</summary>

        The last item is skipped.

        *These lines are not part of the diff.* [See the lines](https://github.com/acme/tools/blob/0123456789abcdef/src/a%20b.rs#L3-L4)

        </details>

        <!-- threadbox:post=review-1 -->
        ");
    }

    #[test]
    fn a_body_has_a_ceiling() {
        let long = kept(Standing::Demoted { why: "x".repeat(5_000) }, &"+`````\n".repeat(20_000));
        let long = Kept { body: "words ".repeat(10_000), ..long };
        let below = vec![&long; 100];
        let view = BodyView { commit: "c", files: 3_000, inline: &[], below: &below, notes: &[], page: "https://h/a/b" };
        let text = body(&view, "k");
        assert!(text.len() <= MAX_BODY, "{}", text.len());
        assert!(text.contains("more findings not shown here") && marker::has(&text, "k"));
    }
}
