//! A message that wants to be written, or changed: read from a request and measured.

use bytes::Bytes;
use serde_json::Value;

use super::error::{Code, Problems, Refuse};
use super::mention::{Allowed, id_of};
use super::model::{EPHEMERAL, Id, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS};
use super::{component, embed};

const LONGEST_CONTENT: usize = 2_000;
const MOST_FILES: usize = 10;

/// A file that came with a request.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Its number in the form: the `n` of `files[n]`.
    pub key: u64,
    pub name: String,
    pub content_type: Option<String>,
    pub bytes: Bytes,
    pub description: Option<String>,
}

/// A message before it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub content: String,
    pub reply_to: Option<Reply>,
    pub files: Vec<File>,
    pub embeds: Vec<Value>,
    pub components: Vec<Value>,
    pub allowed: Allowed,
    pub nonce: Option<Value>,
    pub enforce_nonce: bool,
    pub flags: u64,
}

/// What it replies to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub message: Id,
    /// Whether it is refused when that is gone.
    pub must_exist: bool,
}

impl Draft {
    /// Reads a message of a request that may have these flags.
    pub fn read(body: &Value, mut files: Vec<File>, flags: Flags) -> Result<Self, Refuse> {
        let mut problems = Problems::default();
        let content = content(body, &mut problems).unwrap_or_default();
        let embeds = embed::read(body, &mut problems).unwrap_or_default();
        let components = component::read(body, &mut problems).unwrap_or_default();
        describe(body, &mut files, &mut problems);
        let nonce = nonce(body, &mut problems);
        let flags = flags.of(body, &mut problems);
        let reply_to = reply(body, &mut problems);
        problems.finish()?;
        let enforce_nonce = body["enforce_nonce"].as_bool().unwrap_or(false);
        let allowed = Allowed::read(body)?;
        let draft = Self { content, reply_to, files, embeds, components, allowed, nonce, enforce_nonce, flags };
        if draft.is_empty() { Err(Code::EMPTY_MESSAGE.into()) } else { Ok(draft) }
    }

    /// A message with nothing but text.
    pub fn text(content: &str) -> Self {
        Self { content: content.to_owned(), ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.content.trim().is_empty() && self.files.is_empty() && self.embeds.is_empty() && self.components.is_empty()
    }
}

/// Which flags a sender may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flags {
    /// In a channel.
    Channel,
    /// In answer to somebody, who alone may see it.
    Answer,
}

impl Flags {
    fn of(self, body: &Value, problems: &mut Problems) -> u64 {
        let known = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS;
        let known = if self == Self::Answer { known | EPHEMERAL } else { known };
        let flags = body["flags"].as_u64().unwrap_or(0);
        if flags & !known != 0 {
            problems.add("flags", "BASE_TYPE_BAD_INTEGER", format!("These flags cannot be set: {}.", flags & !known));
        }
        flags & known
    }
}

/// What a request changes of a message; none leaves as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub content: Option<String>,
    pub embeds: Option<Vec<Value>>,
    pub components: Option<Vec<Value>>,
    /// The attachments that stay.
    pub keep: Option<Vec<Id>>,
    pub files: Vec<File>,
    pub allowed: Allowed,
    pub flags: Option<u64>,
}

impl Change {
    pub fn read(body: &Value, mut files: Vec<File>) -> Result<Self, Refuse> {
        let mut problems = Problems::default();
        let given = |name: &str| body.get(name).is_some();
        let text = content(body, &mut problems);
        let embeds = embed::read(body, &mut problems);
        let components = component::read(body, &mut problems);
        let new: Vec<u64> = files.iter().map(|file| file.key).collect();
        let keep = body["attachments"].as_array().map(|all| all.iter().filter_map(|one| id_of(&one["id"])).collect::<Vec<Id>>());
        let keep = keep.map(|all| all.into_iter().filter(|id| !new.contains(id)).collect());
        describe(body, &mut files, &mut problems);
        let flags = given("flags").then(|| body["flags"].as_u64().unwrap_or(0) & SUPPRESS_EMBEDS);
        problems.finish()?;
        Ok(Self {
            content: given("content").then(|| text.unwrap_or_default()),
            embeds: given("embeds").then(|| embeds.unwrap_or_default()),
            components: given("components").then(|| components.unwrap_or_default()),
            keep,
            files,
            allowed: Allowed::read(body)?,
            flags,
        })
    }
}

fn content(body: &Value, problems: &mut Problems) -> Option<String> {
    let text = match &body["content"] {
        Value::Null => return None,
        Value::String(text) => text.trim_end_matches('\0').to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            problems.add("content", "BASE_TYPE_STRING", "Could not convert value to string.");
            return None;
        }
    };
    if text.chars().count() > LONGEST_CONTENT {
        problems.too_long("content", LONGEST_CONTENT);
    }
    Some(text)
}

/// Takes names and descriptions from `attachments`.
fn describe(body: &Value, files: &mut [File], problems: &mut Problems) {
    if files.len() > MOST_FILES {
        problems.too_long("attachments", MOST_FILES);
    }
    for (at, said) in body["attachments"].as_array().into_iter().flatten().enumerate() {
        let Some(id) = id_of(&said["id"]) else {
            problems.required(&format!("attachments.{at}.id"));
            continue;
        };
        let Some(file) = files.iter_mut().find(|file| file.key == id) else { continue };
        if let Some(name) = said["filename"].as_str() {
            file.name = name.to_owned();
        }
        file.description = said["description"].as_str().map(str::to_owned);
        if file.description.as_ref().is_some_and(|text| text.chars().count() > 1024) {
            problems.too_long(&format!("attachments.{at}.description"), 1024);
        }
    }
}

fn nonce(body: &Value, problems: &mut Problems) -> Option<Value> {
    let nonce = body.get("nonce").filter(|nonce| nonce.is_string() || nonce.is_i64() || nonce.is_u64())?;
    if nonce.as_str().is_some_and(|text| text.chars().count() > 25) {
        problems.too_long("nonce", 25);
    }
    Some(nonce.clone())
}

fn reply(body: &Value, problems: &mut Problems) -> Option<Reply> {
    let said = body.get("message_reference").filter(|said| !said.is_null())?;
    if said["type"].as_u64().unwrap_or(0) != 0 {
        problems.choice("message_reference.type", "(0)");
    }
    match id_of(&said["message_id"]) {
        Some(message) => Some(Reply { message, must_exist: said["fail_if_not_exists"].as_bool().unwrap_or(true) }),
        None => {
            problems.required("message_reference.message_id");
            None
        }
    }
}
