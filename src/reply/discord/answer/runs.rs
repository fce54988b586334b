//! What was run: code and output in the text while they are short, as files when they are not.

use std::time::Duration;

use super::super::pack::Files;
use super::super::spans::units as length;
use super::super::split::{Gap, Unit};
use super::{follow, ours};
use crate::reply::answer as github;
use crate::reply::{Execution, clean, cut, fence, inline};

/// Executions in the text; the latest matter most. More when they are all there is to say.
const MOST_SHOWN: usize = 3;
const MOST_WHEN_BARE: usize = 6;
/// Units of one code and one output in the text.
const LONGEST_CODE: usize = 900;
const LONGEST_OUTPUT: usize = 1_500;
/// Units of all of them.
const MOST: usize = 3_600;
/// Bytes of an output's beginning and end, where all of it is a file.
const EXCERPT: usize = 500;
/// Lines of code or output in the text, and of an excerpt: a conversation is not to be scrolled past.
const MOST_LINES: usize = 40;
const EXCERPT_LINES: usize = 16;

/// The executions; `is_bare` says that there is no other answer.
pub(super) fn units(all: &[Execution], is_bare: bool, link: Option<&str>, files: &mut Files<'_>) -> Vec<Unit> {
    let most = if is_bare { MOST_WHEN_BARE } else { MOST_SHOWN };
    let (earlier, shown) = all.split_at(all.len().saturating_sub(most));
    let mut found = ours(&before(earlier, link, files));
    let share = MOST / shown.len().max(1);
    for execution in shown {
        follow(&mut found, one(execution, share, link, files));
    }
    found
}

/// What became of those that are not shown.
fn before(earlier: &[Execution], link: Option<&str>, files: &mut Files<'_>) -> String {
    if earlier.is_empty() {
        return String::new();
    }
    let many = inline::counted(earlier.len() as u64, "earlier execution");
    let written: Vec<String> = earlier.iter().map(written).collect();
    match files.text("earlier-runs.md", &written.join("\n\n")) {
        Some(file) => format!("*{many} in `{}`{}*", file.name, cut_note(file.is_cut, link)),
        None => format!("*{many} not shown here. {}*", elsewhere(link)).replace(". *", ".*"),
    }
}

fn one(execution: &Execution, share: usize, link: Option<&str>, files: &mut Files<'_>) -> Vec<Unit> {
    let mut all = ours(&format!("**{}**", title(execution)));
    let code = clean::visible(&execution.code);
    let code_room = LONGEST_CODE.min(share / 3);
    if is_short(&code, code_room) {
        all.extend(Unit::code(&execution.language, &code));
    } else {
        let name = format!("code.{}", ending(&execution.language));
        all.extend(filed(files.text(&name, &code), &code, &execution.language, code_room.min(EXCERPT), "code", link));
    }
    let output = clean::output(&execution.output);
    let output = output.trim_end();
    let output_room = LONGEST_OUTPUT.min(share * 2 / 3);
    if output.trim().is_empty() {
        let none = if execution.exit_code.is_some() { "*No output.*" } else { "" };
        all.extend(ours(none));
    } else if is_short(output, output_room) {
        all.extend(joined(ours("Output:")));
        all.extend(Unit::code("", output));
    } else {
        all.extend(filed(files.text("output.txt", output), output, "", output_room.min(EXCERPT), "output", link));
    }
    all.extend(joined(ours(&dropped(execution))));
    all.extend(joined(ours(&github::new_files(&execution.new_files))));
    all
}

fn is_short(text: &str, room: usize) -> bool {
    length(text) <= room && text.lines().count() <= MOST_LINES
}

/// The beginning and the end, in few lines.
fn excerpt(text: &str, room: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= EXCERPT_LINES {
        return cut::cut_middle(text, room, None);
    }
    let (head, tail) = (&lines[..EXCERPT_LINES / 2], &lines[lines.len() - EXCERPT_LINES / 2..]);
    let left_out = inline::counted((lines.len() - EXCERPT_LINES) as u64, "line");
    let end = |lines: &[&str]| cut::cut_middle(&lines.join("\n"), room / 2, None);
    format!("{}\n[… {left_out} left out …]\n{}", end(head).trim_end(), end(tail).trim_end())
}

/// An excerpt, and where all of it is.
fn filed(
    file: Option<super::super::pack::AttachedAs>,
    text: &str,
    language: &str,
    room: usize,
    what: &str,
    link: Option<&str>,
) -> Vec<Unit> {
    let note = match &file {
        Some(file) => format!(
            "All of the {what} ({}) is in `{}`{}:",
            inline::counted(text.lines().count() as u64, "line"),
            file.name,
            cut_note(file.is_cut, link)
        ),
        None => format!("Of the {what} this is the beginning and the end. {}", elsewhere(link)),
    };
    let mut all = joined(ours(&note));
    all.extend(Unit::code(language, &excerpt(text, room)));
    all
}

fn joined(mut units: Vec<Unit>) -> Vec<Unit> {
    units.iter_mut().for_each(|unit| unit.gap = Gap::Line);
    units
}

fn title(execution: &Execution) -> String {
    let exit = execution.exit_code.map_or_else(|| "not run".to_owned(), |code| format!("exit code {code}"));
    let language = inline::plain(&execution.language, 30);
    let time = inline::time(Duration::from_millis(execution.duration_ms));
    let label = if language.is_empty() { "Code run".to_owned() } else { format!("Code run: {language}") };
    format!("{label} · {exit} · {time}")
}

fn dropped(execution: &Execution) -> String {
    match execution.omitted {
        0 => String::new(),
        bytes => format!("*{} bytes of output were dropped while it ran.*", cut::grouped(bytes)),
    }
}

/// For a file: GitHub's Markdown, which editors show.
fn written(execution: &Execution) -> String {
    let output = clean::output(&execution.output);
    format!(
        "## {}\n\n{}\n{}",
        title(execution),
        fence::fence(&execution.language, &clean::visible(&execution.code)),
        fence::fence("text", output.trim_end())
    )
}

/// The usual ending of a file in that language.
fn ending(language: &str) -> &'static str {
    match language.to_ascii_lowercase().as_str() {
        "python" | "py" => "py",
        "javascript" | "js" | "node" => "js",
        "typescript" | "ts" => "ts",
        "sh" | "bash" | "shell" | "zsh" | "console" => "sh",
        "rust" | "rs" => "rs",
        "ruby" | "rb" => "rb",
        "go" => "go",
        "c" => "c",
        "cpp" | "c++" => "cpp",
        "java" => "java",
        "php" => "php",
        "perl" | "pl" => "pl",
        "sql" => "sql",
        "r" => "r",
        "lua" => "lua",
        _ => "txt",
    }
}

/// What is added where a file had to lose its middle.
pub(super) fn cut_note(is_cut: bool, link: Option<&str>) -> String {
    match (is_cut, link) {
        (false, _) => String::new(),
        (true, Some(link)) => {
            format!(" without its middle, which is too large for this place and on the [run page]({})", inline::target(link))
        }
        (true, None) => " without its middle, which is too large for this place".to_owned(),
    }
}

/// Where everything is, when it cannot be attached.
pub(super) fn elsewhere(link: Option<&str>) -> String {
    link.map(|link| format!("[All of it is on the run page.]({})", inline::target(link))).unwrap_or_default()
}
