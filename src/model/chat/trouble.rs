//! What went wrong, as a decision: try again, shorten, or give up with a cause and a next step that a person can read.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::DateTime;
use regex::Regex;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::{Source, again};
use crate::model::ModelError;
use crate::model::retry::{About, AskError};
use crate::model::router::instead_of;

/// Sorts an error of the wire library. Its own texts are never shown: some hold the whole request.
pub(super) fn from_library(source: &Source, error: &genai::Error) -> AskError {
    use genai::Error;
    let title = &source.title;
    match error {
        Error::HttpError { status, body, headers, .. } => from_response(source, status.as_u16(), headers, body),
        Error::WebStream { error, .. } => from_transport(source, error.as_ref()),
        Error::ChatResponse { body, .. } => from_event(source, body),
        // The library reports a failed response of OpenAI this way, with OpenAI's message in place of a syntax error.
        Error::StreamParse { serde_error, .. } => {
            again(format!("{title} broke off the answer: {}.", safe(&serde_error.to_string())), None)
        }
        Error::JsonValueExt(_) | Error::SerdeJson(_) => again(format!("{title} sent something that cannot be read."), None),
        _ => match (error.status(), error.headers()) {
            (Some(status), Some(headers)) => from_response(source, status.as_u16(), headers, ""),
            _ => fail(
                About::Request,
                format!("{title} could not be asked: the request could not be put together."),
                "Please report this.",
            ),
        },
    }
}

pub(in crate::model) fn from_transport(source: &Source, error: &(dyn std::error::Error + Send + Sync + 'static)) -> AskError {
    let title = &source.title;
    if let Some(error) = error.downcast_ref::<genai::Error>() {
        return from_library(source, error);
    }
    if let Some(timeout) = error.downcast_ref::<genai::webc::StreamTimeout>() {
        let what = match timeout {
            genai::webc::StreamTimeout::Headers => "did not begin to answer in time",
            genai::webc::StreamTimeout::Read => "fell silent in the middle of the answer",
        };
        return again(format!("{title} {what}."), None);
    }
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => {
            again(format!("{title} cannot be reached. If this lasts, check {} and the network.", source.base_url_variable), None)
        }
        Some(error) if error.is_timeout() => again(format!("{title} did not answer in time."), None),
        Some(error) if error.is_builder() => fail(
            About::Model,
            format!("{title} could not be asked: the address or the key cannot be used."),
            &format!("Check {} and {}.", source.key_variable, source.base_url_variable),
        ),
        _ => again(format!("The connection to {title} broke."), None),
    }
}

/// The stream ended without its end.
pub(super) fn cut(source: &Source) -> AskError {
    again(format!("{} broke off in the middle of the answer.", source.title), None)
}

/// The deadline for everything passed.
pub(in crate::model) fn late(source: &Source, total: Duration) -> AskError {
    again(format!("{} did not finish within {} seconds.", source.title, total.as_secs()), None)
}

/// The answer does not end.
pub(in crate::model) fn too_large(source: &Source) -> AskError {
    fail(About::Model, format!("{} sent an answer that does not end.", source.title), "Try again, or use another model.")
}

/// The provider's filter kept the answer back.
pub(super) fn filtered(source: &Source) -> AskError {
    fail(About::Request, format!("The content filter of {} kept the answer back.", source.title), "Ask differently.")
}

fn fail(about: About, reason: String, remedy: &str) -> AskError {
    AskError { error: ModelError::Fail { reason, remedy: remedy.to_owned() }, about }
}

/// What a provider said about an error.
#[derive(Debug, Default)]
struct Complaint {
    /// HTTP status, also of errors inside a stream where they name one.
    status: Option<u16>,
    /// Types, codes and status words, lower case.
    words: String,
    /// The message.
    message: String,
    /// How long to wait.
    after: Option<Duration>,
    /// What `x-should-retry` said.
    should_retry: Option<bool>,
}

pub(in crate::model) fn from_response(source: &Source, status: u16, headers: &HeaderMap, body: &str) -> AskError {
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    let mut complaint = read(&body);
    complaint.status = Some(status);
    complaint.after = after_header(headers).or(complaint.after);
    complaint.should_retry = header(headers, "x-should-retry").and_then(|value| value.parse().ok());
    decide(source, &complaint)
}

/// An error inside a stream that began well is taken for a passing one, unless it is plainly not.
fn from_event(source: &Source, body: &Value) -> AskError {
    let complaint = read(body);
    let decided = decide(source, &complaint);
    let known =
        complaint.status.is_some() || TOO_LONG.iter().any(|words| complaint.mentions(words)) || complaint.is_about_money();
    if known {
        decided
    } else {
        again(format!("{} broke off the answer{}.", source.title, quoted(&complaint.message)), complaint.after)
    }
}

const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "exceeds the maximum number of tokens",
    "request_too_large",
    "request too large",
    "too many tokens",
    "reduce the length",
];

const NO_MODEL: &[&str] = &[
    "model_not_found",
    "model not exist",
    "invalid model",
    "not a valid model",
    "unknown model",
    "no such model",
    "model_not_available",
    "invalid_model",
];

impl Complaint {
    fn mentions(&self, words: &str) -> bool {
        self.words.contains(words) || self.message.to_lowercase().contains(words)
    }

    fn mentions_any(&self, all: &[&str]) -> bool {
        all.iter().any(|words| self.mentions(words))
    }

    fn is_about_money(&self) -> bool {
        self.status == Some(402)
            || self.mentions_any(&["insufficient_quota", "billing", "credit balance", "insufficient balance"])
    }

    fn is_about_the_key(&self) -> bool {
        self.status == Some(401)
            || (matches!(self.status, Some(400 | 403)) && self.mentions_any(&["api key", "api_key_invalid", "invalid_api_key"]))
    }

    fn is_passing(&self) -> bool {
        let status = matches!(self.status, Some(408 | 409 | 425 | 429 | 498 | 500..=599));
        let words = ["overloaded", "rate_limit", "server_error", "api_error", "unavailable", "resource_exhausted", "timeout"];
        status || (self.status.is_none() && self.mentions_any(&words))
    }
}

fn decide(source: &Source, complaint: &Complaint) -> AskError {
    let (title, name, key) = (&source.title, &source.name, &source.key_variable);
    let status = complaint.status.map(|status| format!(" ({status})")).unwrap_or_default();
    if complaint.mentions_any(TOO_LONG) || complaint.status == Some(413) {
        return ModelError::TooLong(format!("{title}{status}{}", quoted(&complaint.message))).into();
    }
    if complaint.is_about_money() {
        let remedy = format!("Add credit to the account of {key}, or use another model.");
        return fail(About::Model, format!("{title} says the account has no credit or quota left{status}."), &remedy);
    }
    if complaint.is_about_the_key() {
        return fail(About::Model, format!("{title} refused the key{status}."), &format!("Check {key}."));
    }
    if complaint.status == Some(404) || (!complaint.is_passing() && complaint.mentions_any(NO_MODEL)) {
        return no_model(source, &status);
    }
    if complaint.is_passing() {
        let reason = format!("{title} {}{status}.", state(complaint));
        if complaint.should_retry == Some(false) {
            return fail(About::Model, reason, "The provider asks not to try again now. Try later, or use another model.");
        }
        return again(reason, complaint.after);
    }
    if complaint.mentions_any(&["content_filter", "content_policy", "content management policy"]) {
        return filtered(source);
    }
    match complaint.status {
        Some(403) => fail(
            About::Model,
            format!("{title} refused access{status}{}.", quoted(&complaint.message)),
            &format!("Check that the key in {key} may use {name}."),
        ),
        Some(300..=399) => fail(
            About::Model,
            format!("{title} answered with a redirect{status}."),
            &format!("Check {}.", source.base_url_variable),
        ),
        _ => fail(
            About::Model,
            format!("{title} refused the request{status}{}.", quoted(&complaint.message)),
            "Try another model.",
        ),
    }
}

fn no_model(source: &Source, status: &str) -> AskError {
    let remedy = match instead_of(&source.name) {
        Some(current) => format!("It is gone; use {current}."),
        None => format!("Check its name in {} (and {}, if set).", source.setting, source.base_url_variable),
    };
    fail(About::Model, format!("{} does not know the model {}{status}.", source.title, safe(&source.name.model)), &remedy)
}

fn state(complaint: &Complaint) -> &'static str {
    match complaint.status {
        Some(429) => "is limiting our requests",
        Some(503 | 529 | 498) => "is overloaded",
        Some(408 | 504) => "took too long",
        Some(_) => "had an error of its own",
        None if complaint.mentions("rate_limit") || complaint.mentions("resource_exhausted") => "is limiting our requests",
        None if complaint.mentions("overloaded") || complaint.mentions("unavailable") => "is overloaded",
        None => "had an error of its own",
    }
}

/// Finds the parts of an error body that the providers name alike: an `error` that is an object or a text, at times in a list.
fn read(body: &Value) -> Complaint {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
    let word = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let message = ["message", "detail", "error"].iter().find_map(|field| error.get(field)?.as_str()).or_else(|| error.as_str());
    let message = message.unwrap_or_default().to_owned();
    let details: String = error.get("details").map(Value::to_string).unwrap_or_default().to_lowercase();
    let number = ["code", "status"].iter().find_map(|field| error.get(field)?.as_u64());
    Complaint {
        status: number.and_then(|number| u16::try_from(number).ok()).filter(|status| (400..600).contains(status)),
        words: format!("{} {} {} {details}", word("type"), word("code"), word("status")),
        after: after_details(error).or_else(|| after_message(&message)),
        message,
        should_retry: None,
    }
}

/// `retry-after-ms`, or `retry-after` in seconds or as a date (seen from the response's own clock).
fn after_header(headers: &HeaderMap) -> Option<Duration> {
    if let Some(milliseconds) = header(headers, "retry-after-ms").and_then(|value| value.trim().parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let value = header(headers, RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?;
    let now = DateTime::parse_from_rfc2822(header(headers, DATE.as_str())?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Gemini: `details: [{"retryDelay": "34.5s"}]`.
fn after_details(error: &Value) -> Option<Duration> {
    let delay = error.get("details")?.as_array()?.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

/// OpenAI and Groq: `Please try again in 1m2.5s`.
fn after_message(message: &str) -> Option<Duration> {
    static PATTERN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"try again in (?:(\d{1,4})m)?(?:(\d{1,6}(?:\.\d{1,9})?)(ms|s))").ok());
    let found = PATTERN.as_ref()?.captures(message)?;
    let number = |index: usize| found.get(index).and_then(|text| text.as_str().parse::<f64>().ok());
    let unit = if found.get(3)?.as_str() == "ms" { 0.001 } else { 1.0 };
    Duration::try_from_secs_f64(number(1).unwrap_or(0.0) * 60.0 + number(2)? * unit).ok()
}

fn quoted(message: &str) -> String {
    let message = safe(message);
    if message.is_empty() { message } else { format!(": “{}”", message.trim_end_matches('.')) }
}

/// The one door through which a provider's text reaches logs and people: one line, at most 160 characters, and no word that could be a
/// key or a piece of a body.
pub(super) fn safe(text: &str) -> String {
    const LONGEST: usize = 160;
    let mut line = String::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let word = if suspicious(&word) { "…" } else { &word };
        if line.chars().count() + word.chars().count() > LONGEST {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

fn suspicious(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    let key =
        ["sk-", "sk_", "gsk_", "csk-", "xai-", "AIza", "Bearer", "key-", "pplx-"].iter().any(|start| bare.starts_with(start));
    key || word.chars().count() > 48 || (bare.len() >= 20 && digits >= 4) || word.contains("***")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::model::router::{Protocol, Reasoning};

    fn source() -> Source {
        named("openai/gpt-4.1")
    }

    fn named(name: &str) -> Source {
        Source {
            name: name.parse().unwrap(),
            title: "OpenAI".into(),
            key_variable: "OPENAI_API_KEY".into(),
            base_url_variable: "OPENAI_BASE_URL".into(),
            setting: "MODEL",
            protocol: Protocol::OpenAi,
            reasoning: Reasoning::Returned,
        }
    }

    fn told(status: u16, body: Value) -> String {
        match from_response(&source(), status, &HeaderMap::new(), &body.to_string()).error {
            ModelError::Retry { reason, after } => format!("retry {after:?}: {reason}"),
            ModelError::TooLong(text) => format!("too long: {text}"),
            ModelError::Fail { reason, remedy } => format!("fail: {reason} {remedy}"),
        }
    }

    #[test]
    fn people_read_the_cause_and_the_next_step() {
        let cases = [
            told(401, json!({"error": {"message": "Incorrect API key provided: sk-abc***xyz.", "code": "invalid_api_key"}})),
            told(
                400,
                json!({"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}),
            ),
            told(404, json!({"error": {"message": "The model `gpt-9` does not exist", "code": "model_not_found"}})),
            told(400, json!({"message": "Invalid model: mistral-huge", "code": "1500"})),
            told(429, json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}})),
            told(
                429,
                json!({"error": {"message": "Rate limit reached. Please try again in 1m2.5s.", "code": "rate_limit_exceeded"}}),
            ),
            told(
                429,
                json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x", "retryDelay": "34.5s"}]}}]),
            ),
            told(529, json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})),
            told(500, json!("oops")),
            told(
                400,
                json!({"error": {"message": "This model's maximum context length is 128000 tokens.", "code": "context_length_exceeded"}}),
            ),
            told(
                400,
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}),
            ),
            told(400, json!({"error": {"message": "Invalid schema for function 'f'"}})),
            told(402, json!({"error": "Insufficient Balance"})),
            told(403, json!({"error": {"message": "Country not supported"}})),
            told(307, json!("")),
        ];
        insta::assert_snapshot!(cases.join("\n"), @r#"
        fail: OpenAI refused the key (401). Check OPENAI_API_KEY.
        fail: OpenAI refused the key (400). Check OPENAI_API_KEY.
        fail: OpenAI does not know the model gpt-4.1 (404). Check its name in MODEL (and OPENAI_BASE_URL, if set).
        fail: OpenAI does not know the model gpt-4.1 (400). Check its name in MODEL (and OPENAI_BASE_URL, if set).
        fail: OpenAI says the account has no credit or quota left (429). Add credit to the account of OPENAI_API_KEY, or use another model.
        retry Some(62.5s): OpenAI is limiting our requests (429).
        retry Some(34.5s): OpenAI is limiting our requests (429).
        retry None: OpenAI is overloaded (529).
        retry None: OpenAI had an error of its own (500).
        too long: OpenAI (400): “This model's maximum context length is 128000 tokens”
        too long: OpenAI (400): “prompt is too long: 210000 tokens > 200000 maximum”
        fail: OpenAI refused the request (400): “Invalid schema for function 'f'”. Try another model.
        fail: OpenAI says the account has no credit or quota left (402). Add credit to the account of OPENAI_API_KEY, or use another model.
        fail: OpenAI refused access (403): “Country not supported”. Check that the key in OPENAI_API_KEY may use openai/gpt-4.1.
        fail: OpenAI answered with a redirect (307). Check OPENAI_BASE_URL.
        "#);
    }

    #[test]
    fn a_stale_name_is_answered_with_its_successor() {
        let stale = named("cerebras/llama-3.3-70b");
        let error = from_response(&stale, 404, &HeaderMap::new(), "{}").error;
        assert!(error.to_string().ends_with("It is gone; use cerebras/gpt-oss-120b."), "{error}");
    }

    #[test]
    fn the_wait_is_read_in_every_form() {
        let wait = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            after_header(&headers)
        };
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(wait(&[("retry-after", "7"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        let date = [("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(wait(&date), Some(Duration::from_secs(10)));
        assert_eq!(wait(&[("retry-after", "-3")]), None);
        assert_eq!(after_message("try again in 340ms"), Some(Duration::from_millis(340)));
    }

    #[test]
    fn an_error_inside_a_stream_is_passing_unless_plainly_not() {
        let retried = |body: Value| matches!(from_event(&source(), &body).error, ModelError::Retry { .. });
        assert!(retried(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})));
        assert!(retried(json!({"message": "The server had an error", "type": "server_error"})));
        assert!(retried(json!({"message": "something new"})));
        assert!(retried(json!(null)));
        assert!(!retried(json!({"message": "too much", "code": "context_length_exceeded"})));
        assert!(!retried(json!({"message": "x", "type": "insufficient_quota"})));
    }

    #[test]
    fn a_provider_that_says_do_not_retry_is_obeyed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-should-retry", "false".parse().unwrap());
        assert!(matches!(from_response(&source(), 500, &headers, "").error, ModelError::Fail { .. }));
    }

    #[test]
    fn keys_and_long_words_do_not_get_through() {
        let text = format!("bad key sk-proj-1234 and {} and\n\u{7}more Bearer abc 0123456789abcdef0123 end", "A".repeat(60));
        insta::assert_snapshot!(safe(&text), @"bad key … and … and more … abc … end");
        assert!(safe(&"word ".repeat(500)).chars().count() <= 162);
    }
}
