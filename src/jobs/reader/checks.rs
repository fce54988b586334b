//! Failed checks with the ends of their logs.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::{GithubReader, explain};
use crate::agent::tools::HandError;
use crate::github::{CheckRun, GithubError, LogEnd};
use crate::intake::Asks;
use crate::reply::clean;

/// Checks that are told.
const CHECKS: usize = 10;
/// Bytes of a log's end: of each when all are asked for, and of one.
const LOG_OF_EACH: usize = 8_000;
const LOG_OF_ONE: usize = 40_000;
/// Bytes of what a check says about itself.
const OUTPUT: usize = 4_000;

impl GithubReader {
    pub(super) async fn read_checks(&self, name: Option<&str>) -> Result<Value, HandError> {
        let commit = self.checked_commit().await?;
        let checks = self.github.check_runs(&self.repo, &commit).await.map_err(|error| explain(&error, "The checks"))?;
        let over = checks.iter().filter(|check| check.conclusion.is_some()).count();
        let wanted = |check: &&CheckRun| name.map_or_else(|| check.failed(), |name| check.name.eq_ignore_ascii_case(name.trim()));
        let chosen: Vec<&CheckRun> = checks.iter().filter(wanted).collect();
        let names: Vec<String> = checks.iter().map(|check| clean::line(&check.name, 200)).take(50).collect();
        if let (Some(name), true) = (name, chosen.is_empty()) {
            let text = format!("There is no check `{}` on {commit}. There are: {}.", clean::line(name, 200), names.join(", "));
            return Err(HandError::Refused(text));
        }
        let log = if name.is_some() { LOG_OF_ONE } else { LOG_OF_EACH };
        let mut told = Vec::new();
        for check in chosen.iter().take(CHECKS) {
            told.push(self.check(check, log).await);
        }
        let mut answer = json!({
            "repository": self.repo.full_name, "commit": commit, "checks": told,
            "all": { "total": checks.len(), "completed": over, "failed": checks.iter().filter(|check| check.failed()).count() },
        });
        if chosen.len() > CHECKS {
            answer["omitted"] = json!(format!("{} more; ask for them by `name`: {}", chosen.len() - CHECKS, names.join(", ")));
        }
        if chosen.is_empty() {
            answer["note"] = json!("No check of this commit has failed.");
        }
        Ok(answer)
    }

    /// The head of the pull request as of the request, or the default branch.
    async fn checked_commit(&self) -> Result<String, HandError> {
        if let Some(head) = &self.request.head {
            return Ok(head.clone());
        }
        let unknown = |error: GithubError| explain(&error, "The commit");
        if let Some(number) = self.number.filter(|_| self.is_pull_request) {
            return Ok(self.github.pull_head(&self.repo, number, self.horizon()).await.map_err(unknown)?.sha);
        }
        let head = self.github.default_head(&self.repo).await.map_err(unknown)?;
        head.ok_or_else(|| HandError::Refused("The repository is empty.".to_owned()))
    }

    async fn check(&self, check: &CheckRun, log: usize) -> Value {
        let mut told = json!({
            "name": clean::line(&check.name, 200), "conclusion": check.conclusion, "status": check.status,
            "said": clean::data(check.output.join("\n\n").trim(), OUTPUT),
        });
        let is_the_cause = matches!(&self.request.asks, Asks::CheckFailed { check_run, .. } if *check_run == Some(check.id));
        if is_the_cause {
            told["note"] = json!("This is the check the request is about.");
        }
        if let Ok(annotations) = self.github.annotations(&self.repo, check.id).await {
            let shown = annotations.iter().map(|annotation| {
                json!({
                    "path": clean::line(&annotation.path, 500), "line": annotation.start_line, "level": annotation.annotation_level,
                    "title": annotation.title.as_deref().map(|title| clean::line(title, 300)),
                    "message": annotation.message.as_deref().map(|message| clean::plain_data(message, 1_000)),
                })
            });
            told["annotations"] = shown.collect();
        }
        match check.job {
            None => told["log"] = json!({"note": "Only jobs of GitHub Actions have a log that can be read."}),
            Some(job) => {
                told["log"] = match self.github.log_end(&self.repo, job).await {
                    Ok(end) => log_told(&end, log),
                    Err(GithubError::NotFound) => json!({"note": "The log is not there (any more)."}),
                    Err(error) => json!({"error": explain(&error, "The log").to_string()}),
                }
            }
        }
        told
    }
}

fn log_told(end: &LogEnd, limit: usize) -> Value {
    let text = readable(&end.text);
    let from = text.ceil_char_boundary(text.len().saturating_sub(limit));
    let shown = &text[from..];
    // The first line of what is left may be half a line.
    let shown = if from > 0 { shown.split_once('\n').map_or(shown, |(_, rest)| rest) } else { shown };
    let mut told = json!({ "end": clean::plain_data(shown, limit) });
    if from > 0 || end.size > end.text.len() as u64 {
        told["note"] = json!(format!("This is the end of a log of {} bytes.", end.size));
    }
    told
}

/// Without the time in front of every line.
fn readable(log: &str) -> String {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^\u{feff}?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ").expect("the pattern is constant and valid")
    });
    TIME.replace_all(&clean::output(log), "").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_as_on_the_page() {
        let log =
            "\u{feff}2026-11-22T12:00:00.1234567Z \u{1b}[31mError\u{1b}[0m: no\r\n2026-11-22T12:00:01.0000000Z </quoted> done\n";
        assert_eq!(readable(log), "Error: no\n</quoted> done\n");
        let end = log_told(&LogEnd { text: log.repeat(100), size: 1_000_000 }, 60);
        assert_eq!(end["note"], "This is the end of a log of 1000000 bytes.");
        assert_eq!(end["end"], "Error: no\n&lt;/quoted> done\nError: no\n&lt;/quoted> done");
    }
}
