//! Threads with a past, and a model that condenses by a rule.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use threadbox::standin::github::IssueRef;
use threadbox::standin::model::{RecordedRequest, Turn, say};

use crate::support::bot::Bot;

/// Nothing is due to be condensed.
pub const NOT_DUE: &str = "select count(*) from threads where uncondensed > 96000";

/// What a run of the past said. `{n}` is its number.
pub struct Past {
    /// Runs.
    pub runs: usize,
    /// Facts and the runs they were said in.
    pub facts: Vec<(usize, String)>,
    /// Characters of what is said beside facts, in each message.
    pub talk: usize,
}

/// The id of message `place` of run `run`: long ago, so that it comes before what the service makes, and told apart by its end.
fn id(thread: usize, run: usize, place: usize) -> String {
    format!("01900000-0000-7{thread:03x}-8000-{:012x}", (thread * 100_000 + run) * 10 + place + 1)
}

/// The token of what was asked in a run of the past.
pub fn token(thread: usize, run: usize) -> String {
    let id = id(thread, run, 0).replace('-', "");
    format!("[m:{}]", &id[id.len() - 10..])
}

/// Begins a thread with a real run, and puts `past` before it: four messages a run, a call and its result among them. Only what ended
/// it is measured by the service itself.
pub async fn thread_with_past(bot: &Bot, number: usize, past: &Past) -> IssueRef {
    let issue = bot.issue(&format!("Thread {number}")).await;
    bot.asks(&issue, "@threadbox hello").await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.until_count("select count(*) from threads where title is null", 0).await;
    add_past(bot, &issue, number, past).await;
    issue
}

async fn add_past(bot: &Bot, issue: &IssueRef, number: usize, past: &Past) {
    let key = format!("%#{}", issue.number);
    let thread: uuid::Uuid = sqlx::query_scalar("select thread_id from surfaces where key like $1")
        .bind(key)
        .fetch_one(&bot.database.pool)
        .await
        .unwrap();
    let begun: DateTime<Utc> = "2026-01-01T08:00:00Z".parse().unwrap();
    let talk = "We talked about this and that at some length. ".repeat(past.talk.div_ceil(46));
    let mut rows = Vec::new();
    let mut runs = Vec::new();
    for run in 0..past.runs {
        let at = begun + TimeDelta::hours(i64::try_from(run).unwrap() * 5);
        let fact = past.facts.iter().find(|(at, _)| *at == run).map(|(_, fact)| fact.as_str()).unwrap_or_default();
        let asked = format!("{fact} Remark {run}. {}", &talk[..past.talk]);
        let arguments = json!({ "object": { "path": format!("src/part{run}.rs") } });
        let parts = [
            ("user", json!([{ "type": "text", "text": asked.trim() }])),
            (
                "assistant",
                json!([{ "type": "tool_call", "id": format!("past_{number}_{run}"), "name": "readFile", "arguments": arguments }]),
            ),
            (
                "tool",
                json!([{ "type": "tool_result", "id": format!("past_{number}_{run}"), "name": "readFile", "content": { "text": "fn main() {}" } }]),
            ),
            ("assistant", json!([{ "type": "text", "text": format!("Answer {run}. {}", &talk[..past.talk]) }])),
        ];
        let run_id = id(number, run, 9);
        for (place, (role, parts)) in parts.into_iter().enumerate() {
            rows.push(json!({ "id": id(number, run, place), "run_id": run_id, "place": place, "role": role, "parts": parts, "at": at,
                "author": (role == "user").then_some("maya"), "url": (role == "user").then(|| format!("https://example.org/{run}")) }));
        }
        runs.push(json!({ "id": run_id, "message": id(number, run, 0), "sequence": -1 - i64::try_from(run).unwrap(), "at": at }));
    }
    let sql = "
        with said as (
            insert into messages (id, thread_id, run_id, place_in_run, role, author, parts, url, created_at)
            select m.id, $1, m.run_id, m.place, m.role, m.author, m.parts, m.url, m.at
            from jsonb_to_recordset($2) as m
                (id uuid, run_id uuid, place int, role text, author text, parts jsonb, url text, at timestamptz)
            returning 1
        ), asked as (
            insert into inbox (id, thread_id, sequence, delivery_id, message_id, request, state, next_try_at, created_at)
            select r.id, $1, r.sequence, r.id, r.message, i.request, 'done', r.at, r.at
            from jsonb_to_recordset($3) as r (id uuid, message uuid, sequence bigint, at timestamptz),
                 (select request from inbox where thread_id = $1 limit 1) i
            returning 1
        )
        insert into runs (id, thread_id, inbox_id, message_id, request, task, state, outcome, next_try_at, requester, requester_id, repository,
                          created_at, ended_at)
        select r.id, $1, r.id, r.message, o.request, o.task, 'posted', o.outcome, r.at, o.requester, o.requester_id, o.repository, r.at, r.at
        from jsonb_to_recordset($3) as r (id uuid, message uuid, sequence bigint, at timestamptz),
             (select * from runs where thread_id = $1 limit 1) o";
    sqlx::query(sql).bind(thread).bind(Value::Array(rows)).bind(Value::Array(runs)).execute(&bot.database.pool).await.unwrap();
    // The next run counts what is uncondensed; the sizes are measured by the service.
    bot.until_count("select count(*) from runs where size is null and state = 'posted'", 0).await;
}

/// What is asked to be condensed, or to be put together: none for other requests.
pub fn is_condensing(request: &RecordedRequest) -> bool {
    request.tools.is_empty() && request.system.contains("observations a")
        || request.tools.is_empty() && request.system.contains("into observations")
}

/// Keeps what the prompt demands by the words people used for it, copied with who said it, and some small talk beside it: every fifth
/// remark, and of those every tenth when lines are put together.
pub fn condense(request: &RecordedRequest) -> Option<Turn> {
    is_condensing(request).then(|| {
        let text = request.last_user_text();
        let rare = if request.system.contains("You shorten") { 50 } else { 5 };
        let lines: Vec<String> = text.lines().filter_map(|line| keep(line.trim(), rare)).collect();
        // Nothing was worth a line: that nothing was is one.
        let first = text.lines().find_map(|line| line.trim().split_once("] ").map(|(token, _)| format!("{token}]")));
        say(if lines.is_empty() { format!("- Small talk. {}", first.unwrap_or_default()) } else { lines.join("\n") })
    })
}

fn keep(line: &str, rare: usize) -> Option<String> {
    let (token, said) = match line.strip_prefix("- ") {
        Some(line) => line.rfind(" [m:").map(|at| (&line[at + 1..], &line[..at]))?,
        None => line.split_once("] ").map(|(token, said)| (&line[..=token.len()], said))?,
    };
    if !token.starts_with("[m:") || !said.starts_with("maya") {
        return None;
    }
    let counts = ["decided", "prefers", "error code", "command that worked", "open question", "forbids"];
    if counts.iter().any(|word| said.contains(word)) {
        let end = said.find(" Remark").unwrap_or(said.len());
        return Some(format!("- {} {token}", &said[..end]));
    }
    let number: usize = said.split_once("Remark ")?.1.split('.').next()?.parse().ok()?;
    number.is_multiple_of(rare).then(|| format!("- {} {token}", &said[..said.len().min(180)]))
}

/// One line for each run: its remark, so that what is lost or doubled shows.
pub fn condense_each(request: &RecordedRequest) -> Option<Turn> {
    is_condensing(request).then(|| {
        let lines = request.last_user_text().lines().filter_map(|line| {
            let line = line.trim();
            let at = line.find("Remark ")?;
            let remark: String = line[at..].split(' ').take(2).collect::<Vec<_>>().join(" ");
            let token = if line.starts_with("[m:") { &line[..14] } else { &line[line.rfind("[m:")?..] };
            Some(format!("- {} {token}", remark.trim_end_matches('.')))
        });
        say(lines.collect::<Vec<_>>().join("\n"))
    })
}

/// All that a model was shown, as one text.
pub fn shown(request: &RecordedRequest) -> String {
    let said = request.messages.iter().map(|message| {
        let results: Vec<&str> = message.results.iter().map(|result| result.text.as_str()).collect();
        format!("{}\n{}", message.text, results.join("\n"))
    });
    std::iter::once(request.system.clone()).chain(said).collect::<Vec<_>>().join("\n")
}

/// The prompt as it goes over the wire, in the order in which a provider reads it.
pub fn prompt(request: &RecordedRequest) -> String {
    let mut text = request.body["tools"].to_string();
    for message in request.body["messages"].as_array().unwrap() {
        text.push('\n');
        text.push_str(&message.to_string());
    }
    text
}

/// What became of each run of the past: its remark is in a line or in the history, and nowhere twice.
pub async fn nothing_is_lost_or_doubled(bot: &Bot, runs: usize) {
    let lines: Vec<String> = sqlx::query_scalar("select text from observations where current order by sequence")
        .fetch_all(&bot.database.pool)
        .await
        .unwrap();
    let unique: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(unique.len(), lines.len(), "a line is doubled: {lines:#?}");
    let left: Vec<String> = sqlx::query_scalar(
        "select m.parts->0->>'text' from messages m join threads t on t.id = m.thread_id
         where m.role = 'user' and (t.condensed_until is null or m.run_id > t.condensed_until)",
    )
    .fetch_all(&bot.database.pool)
    .await
    .unwrap();
    for run in 0..runs {
        let condensed = lines.iter().filter(|line| **line == format!("Remark {run}")).count();
        let whole = left.iter().filter(|text| text.contains(&format!("Remark {run}."))).count();
        assert_eq!(condensed + whole, 1, "run {run}: {condensed} lines, {whole} times in the history");
    }
}
