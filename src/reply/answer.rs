//! The comment at the end of a run: what came of it, the answer, what was run, the diff, and one small line.

pub(super) mod files;
pub(super) mod landed;
pub(super) mod limit;

use std::time::Duration;

use super::{AnswerView, Attached, Execution, Footer, MAX_BODY, Outcome, clean, cut, fence, inline, marker, safe};

pub(super) use limit::dollars;

/// How many executions are shown; the latest matter most.
const MAX_EXECUTIONS: usize = 12;

/// Bytes a section needs beside code, output and diff: summary, labels, names of files, fences.
const SECTION: usize = 1_600;

/// The final comment of a run, at most [`MAX_BODY`] bytes, marker included. Names in `allowed_mentions` (with or without `@`) may be
/// pinged, nobody else.
pub fn answer(view: &AnswerView, key: &str, allowed_mentions: &[String]) -> String {
    let link = view.footer.run_url.as_deref();
    let (header, footer, marker) = (header(&view.outcome), footer(&view.footer), marker::marker(key));
    let skipped = view.executions.len().saturating_sub(MAX_EXECUTIONS);
    let shown = &view.executions[skipped..];
    let earlier = earlier_runs(skipped, link);
    let diff = view.diff.as_deref().filter(|diff| !diff.trim().is_empty());
    let files = files::listing(&view.attachments);
    let landed = landed::sections(&view.landed);
    let texts: Vec<(&Attached, &str)> = files::texts(&view.attachments).collect();

    let parts = 8 + shown.len() + texts.len();
    let budget = MAX_BODY - header.len() - footer.len() - marker.len() - earlier.len() - files.len() - landed.len() - 2 * parts;
    let mut wants: Vec<usize> = texts.iter().map(|(_, text)| text.len() + SECTION).collect();
    wants.extend(shown.iter().map(|execution| execution.code.len() + execution.output.len() + SECTION));
    wants.extend(diff.map(|diff| diff.len() + SECTION));
    // At least half is for the text; what the sections leave is its own too.
    let text_limit = (budget / 2).max(budget.saturating_sub(wants.iter().sum()));
    let text = text(view, text_limit, link, allowed_mentions);
    let shares = cut::share(budget - text.len(), &wants);

    let mut body = vec![header, landed, text, files];
    let is_bare = view.text.trim().is_empty();
    body.extend(texts.iter().zip(&shares).map(|((attached, text), share)| files::section(attached, text, *share)));
    body.push(earlier);
    body.extend(
        shown.iter().zip(&shares[texts.len()..]).map(|(execution, share)| execution_section(execution, *share, link, is_bare)),
    );
    body.extend(diff.zip(shares.last()).map(|(diff, share)| diff_section(diff, *share, link)));
    body.extend([footer, marker]);
    body.retain(|part| !part.is_empty());
    body.join("\n\n")
}

fn text(view: &AnswerView, limit: usize, link: Option<&str>, allowed: &[String]) -> String {
    let text = safe::safe_markdown(&view.text, limit, link, allowed);
    let shows_nothing =
        view.executions.is_empty() && view.diff.is_none() && view.attachments.is_empty() && view.landed.is_empty();
    let says_nothing = text.is_empty() && shows_nothing && view.outcome == Outcome::Answered;
    if says_nothing { "The run ended without an answer. Mention me with `retry` to run it again.".to_owned() } else { text }
}

/// What a person must know first, when the run did not simply answer.
fn header(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered => String::new(),
        Outcome::Limit { limit, reckoning } => limit::header(*limit, reckoning.as_ref()),
        Outcome::NeedsApproval => {
            "> [!IMPORTANT]\n> **This waits for a yes.** Nothing goes on until somebody with permission gives it.".to_owned()
        }
        Outcome::NeedsAnswer { question, options } => asks(question, options),
        Outcome::Withdrawn { why } => {
            format!("> [!WARNING]\n> **Nothing was run.** {}", inline::sentence(why, 1_000))
        }
        Outcome::Stopped { by } => {
            format!("> [!NOTE]\n> **Stopped by {}.** What was reached until then is kept.", inline::plain(by, 60))
        }
        Outcome::Failed { reason, report } => format!(
            "> [!CAUTION]\n> **This did not work.** {}\n>\n> Mention me with `retry` to try it again. Whoever runs this service finds the details under {}.",
            inline::sentence(reason, 1_000),
            fence::code_span(&cut::cut_end(report, 80)),
        ),
    }
}

/// The question stands first, where nobody misses it.
fn asks(question: &str, options: &[String]) -> String {
    const MOST: usize = 9;
    let question = safe::safe_markdown(question, 4_000, None, &[]);
    let mut lines = vec!["> [!IMPORTANT]".to_owned(), "> **I need an answer before I go on.**".to_owned(), ">".to_owned()];
    lines.extend(question.lines().map(|line| format!("> {line}").trim_end().to_owned()));
    if !options.is_empty() {
        lines.push(">".to_owned());
    }
    let numbered = (1..).zip(options.iter().take(MOST));
    lines.extend(numbered.map(|(number, option)| format!("> {number}. {}", inline::plain(option, 300))));
    lines.push(">".to_owned());
    lines.push("> Mention me with your answer, and I go on from here.".to_owned());
    lines.join("\n")
}

fn earlier_runs(skipped: usize, link: Option<&str>) -> String {
    match (skipped, link) {
        (0, _) => String::new(),
        (_, Some(link)) => format!(
            "*{} not shown here; all are on the [run page]({}).*",
            inline::counted(skipped as u64, "earlier execution"),
            inline::target(link)
        ),
        (_, None) => format!("*{} not shown here.*", inline::counted(skipped as u64, "earlier execution")),
    }
}

fn execution_section(execution: &Execution, limit: usize, link: Option<&str>, open: bool) -> String {
    let exit = execution.exit_code.map_or_else(|| "not run".to_owned(), |code| format!("exit code {code}"));
    let language = inline::plain(&execution.language, 30);
    let time = inline::time(Duration::from_millis(execution.duration_ms));
    let label = if language.is_empty() { "Code run".to_owned() } else { format!("Code run: {language}") };
    let output = clean::output(&execution.output);
    let output = output.trim_end();
    let code = clean::visible(&execution.code);

    let room = cut::share(limit.saturating_sub(SECTION), &[code.len(), output.len()]);
    // Fences have their room in `SECTION`, unless the content is full of backticks.
    let fences = [fence::within(&execution.language, &code, room[0] + 100), fence::within("text", output, room[1] + 100)];
    let [code_block, output_block] = fences;
    let mut body = code_block;
    match output {
        "" if execution.exit_code.is_some() => body.push_str("\n*No output.*\n"),
        "" => {}
        _ => body.push_str(&format!("\n**Output**\n\n{output_block}")),
    }
    body.push_str(&left_out(execution, output.len() > room[1] || code.len() > room[0], link));
    body.push_str(&new_files(&execution.new_files));
    details(&format!("{label} · {exit} · {time}"), &body, open)
}

/// Where to find what a fence could not hold; links do not work inside fences.
fn left_out(execution: &Execution, is_cut: bool, link: Option<&str>) -> String {
    let before = match execution.omitted {
        0 => String::new(),
        bytes => format!("{} bytes of output were dropped while it ran. ", cut::grouped(bytes)),
    };
    match link {
        Some(link) if is_cut => format!("\n*{before}[All of it is on the run page.]({})*\n", inline::target(link)),
        _ if before.is_empty() => String::new(),
        _ => format!("\n*{}*\n", before.trim_end()),
    }
}

/// A line with the names of new files; nothing when there are none.
pub(super) fn new_files(files: &[String]) -> String {
    const MAX_BYTES: usize = 600;
    let mut names = Vec::new();
    let mut used = 0;
    for file in files {
        let name = fence::code_span(&cut::cut_end(&clean::visible(file), 100));
        used += name.len() + 2;
        if used > MAX_BYTES {
            break;
        }
        names.push(name);
    }
    let more = files.len() - names.len();
    match (names.is_empty(), more) {
        (true, 0) => String::new(),
        (true, more) => format!("\n**New files:** {more}\n"),
        (false, 0) => format!("\n**New files:** {}\n", names.join(", ")),
        (false, more) => format!("\n**New files:** {} and {more} more\n", names.join(", ")),
    }
}

fn diff_section(diff: &str, limit: usize, link: Option<&str>) -> String {
    let diff = clean::visible(diff);
    let room = limit.saturating_sub(SECTION);
    let mut block = fence::within("diff", &diff, room + 100);
    if let Some(link) = link.filter(|_| diff.len() > room) {
        block.push_str(&format!("\n*[All of it is on the run page.]({})*\n", inline::target(link)));
    }
    details(&format!("Changes: {}", extent(&diff)), &block, false)
}

/// How much a diff changes: `2 files · +10 −3`.
pub(super) fn extent(diff: &str) -> String {
    let body = |line: &&str, mark: &str, head: &str| line.starts_with(mark) && !line.starts_with(head);
    let added = diff.lines().filter(|line| body(line, "+", "+++")).count();
    let removed = diff.lines().filter(|line| body(line, "-", "---")).count();
    let files = diff.lines().filter(|line| line.starts_with("+++ ")).count();
    format!("{} · +{added} −{removed}", inline::counted(files as u64, "file"))
}

/// A collapsible section. The blank lines make what is inside Markdown again.
fn details(summary: &str, body: &str, open: bool) -> String {
    let open = if open { " open" } else { "" };
    format!("<details{open}><summary>{summary}</summary>\n\n{}\n\n</details>", body.trim_end())
}

pub(super) fn footer(footer: &Footer) -> String {
    let model = match &footer.model {
        Some(model) => inline::plain(&model.to_string(), 100),
        None => "no model".to_owned(),
    };
    let steps = (footer.steps > 0).then(|| inline::counted(footer.steps.into(), "step"));
    let run = footer.run_url.as_deref().filter(|url| url.len() < 1_000).map(|url| format!("[run]({})", inline::target(url)));
    let parts = [Some(model), steps, Some(inline::time(footer.elapsed)), inline::cost(footer.cost), run];
    format!("<sub>{}</sub>", parts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests;
