//! Reading the JSON of a request, with GitHub's words when it is none or does not fit.

use axum::http::StatusCode;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::refuse::Refuse;

/// The body as a value; an empty body is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refuse> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| Refuse::new(StatusCode::BAD_REQUEST, "Problems parsing JSON"))?;
    if !value.is_object() {
        return Err(Refuse::new(StatusCode::BAD_REQUEST, "Body should be a JSON object"));
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| Refuse::unprocessable(&format!("Invalid request.\n\nFor '{}', {}.", error.path(), error.inner())))
}
