//! What is said where work lands: names of branches, messages of commits, titles and bodies of pull requests. Pure; what comes from a
//! model is redacted before it comes here, and made harmless here.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use url::Url;

use super::survey::LeftOut;
use crate::github::MARKER;
use crate::id::RunId;
use crate::intake::{Author, Request};
use crate::reply::{Execution, MAX_BODY, clean, cut, fence, inline, marker, mention, safe};

const MOST_SUBJECT: usize = 72;
const MOST_TITLE: usize = 200;
const MOST_MESSAGE: usize = 4_000;
/// Commands that are shown as evidence.
const MOST_EVIDENCE: usize = 10;

/// The branch of a run: the same whenever it is asked for. `prefix` comes from the repository and is made fit for a name; `number` is
/// that of the issue or pull request, where the conversation is one.
pub fn branch(prefix: &str, number: Option<i64>, title: &str, run: RunId) -> String {
    let mut slug = String::new();
    for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if slug.len() + word.len() > 32 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    let id = run.0.simple().to_string();
    let about = number.map_or_else(|| "discord".to_owned(), |number| format!("issue-{number}"));
    let parts = [about, slug, id[id.len() - 8..].to_owned()];
    let name: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}{}", fit(prefix), name.join("-"))
}

/// What git takes at the beginning of a branch's name.
fn fit(prefix: &str) -> String {
    let kept: String = prefix.chars().filter(|c| c.is_ascii_alphanumeric() || "/-_".contains(*c)).take(60).collect();
    let parts: Vec<&str> = kept.split('/').map(|part| part.trim_start_matches('-')).filter(|part| !part.is_empty()).collect();
    let name = parts.join("/");
    if kept.ends_with('/') && !name.is_empty() { format!("{name}/") } else { name }
}

/// The line that makes a person co-author, with the address GitHub gives everybody.
pub fn co_author(person: &Author, api_url: &Url) -> String {
    let login: String = person.login.chars().filter(|c| c.is_ascii_alphanumeric() || "-_[]".contains(*c)).collect();
    format!("Co-authored-by: {login} <{}+{login}@users.noreply.{}>", person.id, web_host(api_url))
}

/// The host people open, from that of the API.
fn web_host(api_url: &Url) -> String {
    let host = api_url.host_str().unwrap_or("github.com");
    host.strip_prefix("api.").unwrap_or(host).to_owned()
}

/// The message of a commit: subject, what it says, where it was asked for, and who asked, as GitHub knows them.
pub fn commit_message(proposed: &str, request: &Request, person: Option<&Author>, api_url: &Url) -> String {
    let text = harmless(proposed);
    let (subject, body) = text.split_once('\n').unwrap_or((&text, ""));
    let subject = subject_line(subject);
    let body = cut::cut_end(body.trim(), MOST_MESSAGE);
    let asked = format!("Asked for in {}", link(&request.url));
    let co_author = person.map(|person| co_author(person, api_url)).unwrap_or_default();
    let parts = [subject, body, asked, co_author];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// One line of at most 72 characters; never empty.
pub fn subject_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_matches(|c: char| c == '#' || c == '`' || c == '*' || c.is_whitespace()).trim_end_matches('.');
    let cut = cut::cut_end(line, MOST_SUBJECT);
    if cut.is_empty() { "Change what was asked for".to_owned() } else { cut }
}

/// Text for a place where everything counts: nobody is pinged, nothing is closed, nothing is hidden, no check is skipped, nobody signs.
fn harmless(text: &str) -> String {
    inactive(&safe::no_closing_words(&mention::neutralise_all(&clean::visible(text).replace(MARKER, ""))))
}

/// Takes the power from words that services read in the messages of commits, which the texts of pull requests become as well: those that
/// keep checks from running, and lines that name people as authors or as having agreed.
fn inactive(text: &str) -> String {
    static NO_CI: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\*+\s*NO_CI\s*\*+").expect("the pattern is constant and valid"));
    static SKIP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\[\s*((?:skip|no)[\s_-]+[\w.-]+|[\w.-]+[\s_-]+skip)\s*\]").expect("the pattern is constant and valid")
    });
    static CHECKS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\bskip-checks\s*:").expect("the pattern is constant and valid"));
    static TRAILER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^([^\S\n]*(?:[>*_-][^\S\n]*)*)([a-z][a-z-]*-by)([*_]*)[^\S\n]*:")
            .expect("the pattern is constant and valid")
    });
    let text = NO_CI.replace_all(text, "NO CI");
    let text = SKIP.replace_all(&text, "($1)");
    let text = CHECKS.replace_all(&text, "skip checks");
    TRAILER
        .replace_all(&text, |found: &Captures<'_>| format!("{}{}{}", &found[1], found[2].replace('-', " "), &found[3]))
        .into_owned()
}

/// Whether the person wants the issue to be closed by what lands.
pub fn wants_closing(words: &str, number: i64) -> bool {
    static WANTED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\s+(?:this\s+issue|the\s+issue|#(\d+))\b")
            .expect("the pattern is constant and valid")
    });
    let ours = |found: Captures<'_>| found.get(1).is_none_or(|named| named.as_str() == number.to_string());
    WANTED.captures_iter(words).any(ours)
}

/// The title of a pull request.
pub fn title(proposed: &str, fallback: &str) -> String {
    let wanted = if proposed.trim().is_empty() { fallback } else { proposed };
    let line = harmless(wanted).split_whitespace().collect::<Vec<_>>().join(" ");
    let line = cut::cut_end(&line, MOST_TITLE);
    if line.is_empty() { "Change what was asked for".to_owned() } else { line }
}

/// What the body of a pull request is made of.
#[derive(Clone, Debug)]
pub struct BodyOf<'a> {
    /// What and why, Markdown of a model.
    pub text: &'a str,
    /// What was run.
    pub executions: &'a [Execution],
    /// Where it was asked for.
    pub request: &'a Request,
    /// Who asked: their login, or what they are called elsewhere.
    pub asker: &'a str,
    /// The conversation's number, when what lands should close it.
    pub closes: Option<i64>,
    /// What does not land.
    pub left_out: &'a [LeftOut],
    /// Finds it again.
    pub key: &'a str,
}

/// The body of a pull request, at most [`MAX_BODY`] bytes.
pub fn body(of: &BodyOf<'_>) -> String {
    let evidence = evidence(of.executions);
    let missing = missing(of.left_out);
    let closes = of.closes.map(|number| format!("Fixes #{number}")).unwrap_or_default();
    let asked = format!(
        "<sub>Asked for by {} in [this conversation]({}); made by a machine, to be read by a person.</sub>",
        inline::plain(of.asker, 60),
        inline::target(&link(&of.request.url))
    );
    let marker = marker::marker(of.key);
    let room = MAX_BODY - evidence.len() - missing.len() - closes.len() - asked.len() - marker.len() - 12;
    // Twice: what is taken away between can bring such words together. What it adds has room.
    let text = inactive(&safe::no_closing_words(&of.text.replace(MARKER, "")));
    let text = safe::no_closing_words(&safe::safe_markdown(&text, room.saturating_sub(2_000), None, &[]));
    let parts = [text, evidence, missing, closes, asked, marker];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The commands that were run, with how they ended.
fn evidence(executions: &[Execution]) -> String {
    const MOST_COMMAND: usize = 300;
    let ended: Vec<_> = executions.iter().filter(|execution| execution.exit_code.is_some()).collect();
    if ended.is_empty() {
        return "**How it was verified:** nothing was run.".to_owned();
    }
    let skipped = ended.len().saturating_sub(MOST_EVIDENCE);
    let mut lines = vec!["**How it was verified**".to_owned(), String::new()];
    if skipped > 0 {
        lines.push(format!("- {} before these", inline::counted(skipped as u64, "command")));
    }
    for execution in &ended[skipped..] {
        let length = execution.code.trim().lines().count();
        let command = if length > 1 && execution.language != "sh" {
            format!("{} of {length} lines", inline::plain(&execution.language, 30))
        } else {
            let command = execution.code.split_whitespace().collect::<Vec<_>>().join(" ");
            fence::code_span(&cut::cut_end(&clean::visible(&command), MOST_COMMAND))
        };
        lines.push(format!("- {command} · exit code {}", execution.exit_code.unwrap_or_default()));
    }
    lines.join("\n")
}

/// What does not land, and why.
pub fn missing(left_out: &[LeftOut]) -> String {
    const MOST: usize = 20;
    if left_out.is_empty() {
        return String::new();
    }
    let mut lines = vec!["**Left out**".to_owned(), String::new()];
    for left in left_out.iter().take(MOST) {
        let name = fence::code_span(&cut::cut_end(&clean::visible(&left.path), 150));
        lines.push(format!("- {name}: {}", inline::sentence(&left.why, 300)));
    }
    if left_out.len() > MOST {
        lines.push(format!("- and {} more", inline::counted((left_out.len() - MOST) as u64, "file")));
    }
    lines.join("\n")
}

/// An address of GitHub's, or nothing that could be something else.
fn link(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => cut::cut_end(url.as_str(), 500),
        Ok(_) | Err(_) => String::from("https://github.com"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::intake::{Asks, Place, Trigger};

    fn request() -> Request {
        Request {
            place: Place::Github {
                repository: "acme/rocket".into(),
                repository_id: 5,
                number: 7,
                installation: None,
                is_pull_request: false,
            },
            trigger: Trigger::Comment(9),
            author: Author { id: 41, login: "maya".into(), is_bot: false },
            text: "@threadbox fix".into(),
            title: "It fails".into(),
            body: None,
            url: "https://github.com/acme/rocket/issues/7#issuecomment-9".into(),
            written_at: "2026-11-22T12:00:00Z".parse().unwrap(),
            asks: Asks::Words,
            head: None,
            review_thread: None,
            from_fork: false,
            opened_by: None,
            with: crate::intake::With::default(),
        }
    }

    #[test]
    fn a_branch_is_a_function_of_its_run() {
        let run = RunId(Uuid::from_u128(0x0198_c0de_7b1f_7000_8000_0123_4567_89ab));
        assert_eq!(
            branch("threadbox/", Some(7), "It fails: on *Windows* (ä)!", run),
            "threadbox/issue-7-it-fails-on-windows-456789ab"
        );
        assert_eq!(branch("", Some(7), "日本語", run), "issue-7-456789ab");
        assert_eq!(branch("../x y//~bot-", Some(7), "", run), "xy/bot-issue-7-456789ab");
        assert_eq!(branch("threadbox/", None, "It fails", run), "threadbox/discord-it-fails-456789ab");
    }

    #[test]
    fn the_co_author_has_the_address_of_the_right_host() {
        let author = request().author;
        let at = |url: &str| co_author(&author, &url.parse().unwrap());
        assert_eq!(at("https://api.github.com"), "Co-authored-by: maya <41+maya@users.noreply.github.com>");
        assert_eq!(at("https://git.acme.example/api/v3"), "Co-authored-by: maya <41+maya@users.noreply.git.acme.example>");
        assert_eq!(at("https://api.acme.ghe.com/"), "Co-authored-by: maya <41+maya@users.noreply.acme.ghe.com>");
    }

    #[test]
    fn a_commit_says_what_where_and_who() {
        let message = commit_message(
            "Fix the parser.\n\nIt lost the last line. Fixes #3, closes acme/x#4. Thanks @bob\n\n<!-- threadbox:post=x -->",
            &request(),
            Some(&request().author),
            &"https://api.github.com".parse().unwrap(),
        );
        insta::assert_snapshot!(message.replace('\u{200b}', "·"), @r"
        Fix the parser

        It lost the last line. Fixes issue #3, closes issue acme/x#4. Thanks @·bob

        post=x -->

        Asked for in https://github.com/acme/rocket/issues/7#issuecomment-9

        Co-authored-by: maya <41+maya@users.noreply.github.com>
        ");
        assert_eq!(subject_line("  "), "Change what was asked for");
        assert!(subject_line(&"long ".repeat(40)).chars().count() <= 72);
    }

    #[test]
    fn a_message_neither_skips_checks_nor_signs_for_others() {
        let text = "Fix it [skip ci]\n\nWhy [CI  skip] [no ci] [skip\nactions] ***NO_CI*** [skip ***NO_CI***ci]\n\nskip-checks: true\n\
                    Co-authored-by: eve <e@x>\nsigned-off-by : ada\n  Reviewed-By: ada\n- **Acked-by**: ada\nStand-by the gate";
        let message = commit_message(text, &request(), Some(&request().author), &"https://api.github.com".parse().unwrap());
        insta::assert_snapshot!(message, @r"
        Fix it (skip ci)

        Why (CI  skip) (no ci) (skip
        actions) NO CI [skip NO CIci]

        skip checks true
        Co authored by eve <e@x>
        signed off by ada
          Reviewed By ada
        - **Acked by** ada
        Stand-by the gate

        Asked for in https://github.com/acme/rocket/issues/7#issuecomment-9

        Co-authored-by: maya <41+maya@users.noreply.github.com>
        ");
        assert_eq!(title("Fix [skip\nci]", ""), "Fix (skip ci)");
        let request = request();
        let of = BodyOf {
            text: "Why [skip ci]\n\nCo-authored-by: eve <e@x>",
            executions: &[],
            request: &request,
            asker: "maya",
            closes: None,
            left_out: &[],
            key: "pull-1",
        };
        let body = body(&of);
        assert!(body.contains("(skip ci)") && !body.contains("Co-authored-by"), "{body}");
    }

    #[test]
    fn closing_is_asked_for_in_so_many_words() {
        for yes in ["please fix this issue", "Closes #7", "resolve the issue"] {
            assert!(wants_closing(yes, 7), "{yes}");
        }
        for no in ["fix", "fix #8", "fix the parser", "close the door"] {
            assert!(!wants_closing(no, 7), "{no}");
        }
    }

    #[test]
    fn a_body_tells_what_why_and_how() {
        let execution = |code: &str, exit| Execution {
            language: "sh".into(),
            code: code.into(),
            output: String::new(),
            exit_code: Some(exit),
            duration_ms: 5,
            omitted: 0,
            new_files: vec![],
        };
        let left_out = [LeftOut { path: ".github/workflows/ci.yml".into(), why: "it needs an approval".into() }];
        let request = request();
        let of = BodyOf {
            text: "Keeps the last line. Fixes #99, @everyone.",
            executions: &[execution("cargo test\n--all", 0), execution("false", 1)],
            request: &request,
            asker: "maya",
            closes: Some(7),
            left_out: &left_out,
            key: "pull-1",
        };
        insta::assert_snapshot!(body(&of).replace('\u{200b}', "·"), @r"
        Keeps the last line. Fixes issue #99, @·everyone.

        **How it was verified**

        - `cargo test --all` · exit code 0
        - `false` · exit code 1

        **Left out**

        - `.github/workflows/ci.yml`: it needs an approval

        Fixes #7

        <sub>Asked for by maya in [this conversation](https://github.com/acme/rocket/issues/7#issuecomment-9); made by a machine, to be read by a person.</sub>

        <!-- threadbox:post=pull-1 -->
        ");
        let long = "word ".repeat(40_000);
        assert!(body(&BodyOf { text: &long, ..of }).len() <= MAX_BODY);
    }

    proptest! {
        #[test]
        fn a_branch_is_always_a_name_git_takes(prefix in ".{0,20}", title in ".{0,60}") {
            let name = branch(&prefix, Some(7), &title, RunId(Uuid::from_u128(7)));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte)), "{name}");
            prop_assert!(!name.contains("//") && !name.starts_with(['/', '-']) && name.len() < 140, "{name}");
        }
    }
}
