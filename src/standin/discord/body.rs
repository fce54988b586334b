//! Reading requests: JSON, or a form with files and the JSON beside them; and the numbers in paths.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::draft::File;
use super::error::{Code, Refuse};
use super::mention::id_of;

/// What a request says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub json: Value,
    pub files: Vec<File>,
}

impl Said {
    /// Reads a body. `content_type` decides whether it is JSON or a form.
    pub async fn read(content_type: &str, body: Bytes) -> Result<Self, Refuse> {
        if content_type.starts_with("multipart/form-data") {
            return form(content_type, body).await;
        }
        if body.is_empty() {
            return Ok(Self { json: Value::Object(Default::default()), files: Vec::new() });
        }
        let json = serde_json::from_slice(&body).map_err(|_| Refuse::from(Code::BAD_JSON))?;
        Ok(Self { json, files: Vec::new() })
    }

    /// Its JSON, which must be an object.
    pub fn object(&self) -> Result<&Value, Refuse> {
        if self.json.is_object() { Ok(&self.json) } else { Err(Code::BAD_JSON.into()) }
    }
}

async fn form(content_type: &str, body: Bytes) -> Result<Said, Refuse> {
    let bad = |_| Refuse::from(Code::BAD_JSON);
    let request = Request::builder().header(CONTENT_TYPE, content_type).body(Body::from(body));
    let mut request = request.map_err(|_| Refuse::from(Code::BAD_JSON))?;
    // The gate has measured it; how large a file may be is for the channel to say.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| Refuse::from(Code::BAD_JSON))?;
    let mut said = Said { json: Value::Object(Default::default()), files: Vec::new() };
    while let Some(part) = parts.next_field().await.map_err(bad)? {
        let field = part.name().unwrap_or_default().to_owned();
        if field == "payload_json" {
            let bytes = part.bytes().await.map_err(bad)?;
            said.json = serde_json::from_slice(&bytes).map_err(|_| Refuse::from(Code::BAD_JSON))?;
            continue;
        }
        let key = field.strip_prefix("files[").and_then(|rest| rest.strip_suffix(']')).and_then(|n| n.parse().ok());
        let Some(name) = part.file_name().map(str::to_owned) else {
            // A form may also say things field by field.
            let text = part.text().await.map_err(bad)?;
            said.json[field] = text.into();
            continue;
        };
        let content_type = part.content_type().map(str::to_owned).or_else(|| guess(&name));
        let key = key.unwrap_or(said.files.len() as u64);
        let bytes = part.bytes().await.map_err(bad)?;
        said.files.push(File { key, name, content_type, bytes, description: None });
    }
    Ok(said)
}

/// What a file is by its name.
pub(super) fn guess(name: &str) -> Option<String> {
    let kind = match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "json" => "application/json; charset=utf-8",
        "txt" | "log" | "md" | "rs" | "py" | "diff" | "patch" => "text/plain; charset=utf-8",
        _ => return None,
    };
    Some(kind.to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for Said {
    type Rejection = Refuse;

    /// The gate has read it already.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refuse> {
        Ok(parts.extensions.get::<Arc<Self>>().map(|said| (**said).clone()).unwrap_or_default())
    }
}

/// The parameters of a path; what is no number where one is due is refused as Discord refuses it.
pub(super) struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = Refuse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refuse> {
        let wrong = |_| Refuse::form("", "NUMBER_TYPE_COERCE", "Value is not snowflake.");
        Path::<T>::from_request_parts(parts, state).await.map(|Path(ids)| Self(ids)).map_err(wrong)
    }
}

/// A snowflake in a field that must have one.
pub(super) fn required_id(body: &Value, name: &str) -> Result<u64, Refuse> {
    let wrong = || Refuse::form(name, "NUMBER_TYPE_COERCE", format!("Value \"{}\" is not snowflake.", body[name]));
    id_of(&body[name]).ok_or_else(wrong)
}
