//! Words in files, names of files, and words exchanged for others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use bytes::Bytes;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Daemon;
use super::super::trouble::{Answer, Trouble, read};
use super::blocking;

#[derive(Deserialize)]
pub(super) struct Pattern {
    #[serde(default)]
    path: String,
    #[serde(default)]
    pattern: String,
}

/// Lines that contain the pattern as it is written.
pub(super) async fn find(
    State(daemon): State<Arc<Daemon>>,
    Query(Pattern { path, pattern }): Query<Pattern>,
) -> Answer<Json<Value>> {
    if pattern.is_empty() {
        return Err(Trouble::bad_request("path and pattern are required"));
    }
    let start = daemon.resolve(&path);
    blocking(move || {
        let mut found = Vec::new();
        walk(&start, &mut |file| {
            let Ok(content) = std::fs::read(file) else { return };
            // What has a NUL in its beginning is not text.
            if content.iter().take(512).any(|byte| *byte == 0) {
                return;
            }
            let text = String::from_utf8_lossy(&content);
            let lines = text.lines().enumerate().filter(|(_, line)| line.contains(&pattern));
            found.extend(lines.map(|(at, line)| json!({"file": file, "line": at + 1, "content": line})));
        });
        Ok(Json(Value::Array(found)))
    })
    .await
}

/// Files whose base name matches.
pub(super) async fn search(
    State(daemon): State<Arc<Daemon>>,
    Query(Pattern { path, pattern }): Query<Pattern>,
) -> Answer<Json<Value>> {
    let start = daemon.resolve(&path);
    let glob = glob(&pattern).ok_or_else(|| Trouble::bad_request("syntax error in pattern"))?;
    blocking(move || {
        std::fs::metadata(&start).map_err(|error| Trouble::file(&path, &error))?;
        let mut files = Vec::new();
        walk(&start, &mut |file| {
            if file.file_name().is_some_and(|name| glob.is_match(&name.to_string_lossy())) {
                files.push(file.to_owned());
            }
        });
        Ok(Json(json!({"files": files})))
    })
    .await
}

/// `*`, `?`, `[…]` and `\`; a star does not reach beyond a slash, and names have none.
fn glob(pattern: &str) -> Option<Regex> {
    let mut regex = String::from("(?s)^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '\\' => regex.push_str(&regex::escape(&rest.next()?.to_string())),
            '[' => {
                let class: String = rest.by_ref().take_while(|c| *c != ']').collect();
                let (not, class) = class.strip_prefix('^').map_or(("", class.as_str()), |class| ("^", class));
                let class = class.replace('\\', r"\\").replace('[', r"\[").replace("&&", r"&\&").replace("~~", r"~\~");
                regex.push_str(&format!("[{not}{class}]"));
            }
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&(regex + "$")).ok()
}

fn walk(start: &Path, visit: &mut impl FnMut(&Path)) {
    let mut pending = vec![start.to_owned()];
    while let Some(path) = pending.pop() {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            let mut entries: Vec<PathBuf> =
                std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            entries.sort();
            pending.extend(entries.into_iter().rev());
        } else if metadata.is_file() {
            visit(&path);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replace {
    files: Vec<String>,
    pattern: String,
    new_value: String,
}

pub(super) async fn replace(State(daemon): State<Arc<Daemon>>, body: Bytes) -> Answer<Json<Value>> {
    let request: Replace = read(&body)?;
    blocking(move || {
        let exchange = |file: &String| {
            let path = daemon.resolve(file);
            let done = std::fs::read_to_string(&path)
                .and_then(|text| std::fs::write(&path, text.replace(&request.pattern, &request.new_value)));
            match done {
                Ok(()) => json!({"file": file, "success": true}),
                Err(error) => json!({"file": file, "success": false, "error": error.to_string()}),
            }
        };
        Ok(Json(request.files.iter().map(exchange).collect()))
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn globs_match_whole_names() {
        let matches = |pattern: &str, name: &str| glob(pattern).unwrap().is_match(name);
        assert!(matches("*.rs", "main.rs") && matches("m?in.[a-z]s", "main.rs") && matches("[^x]*", "main.rs"));
        assert!(!matches("*.rs", "main.rss") && !matches("main", "main.rs") && !matches("a.b", "axb"));
    }
}
