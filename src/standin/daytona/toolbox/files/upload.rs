//! Files on their way in: many in one form, or one as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::super::Daemon;
use super::super::trouble::{Answer, Trouble};
use super::{At, required};

/// A path longer than this is not one.
const LONGEST_PATH: usize = 64 << 10;

/// Pairs of `files[i].path` and `files[i].file`, each path before its file.
pub(super) async fn many(
    State(daemon): State<Arc<Daemon>>,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    let (mut errors, mut written) = (Vec::new(), Vec::new());
    match form {
        Ok(form) => take_all(&daemon, form, &mut written, &mut errors).await,
        Err(error) => errors.push(error.to_string()),
    }
    if errors.is_empty() && written.is_empty() {
        errors.push("no files in the form".to_owned());
    }
    if errors.is_empty() {
        return Json(json!({"files": written})).into_response();
    }
    let files = if written.is_empty() { Value::Null } else { json!(written) };
    (StatusCode::BAD_REQUEST, Json(json!({"errors": errors, "files": files}))).into_response()
}

async fn take_all(daemon: &Daemon, mut form: Multipart, written: &mut Vec<Value>, errors: &mut Vec<String>) {
    let mut paths = BTreeMap::new();
    loop {
        let mut field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return,
            Err(error) => return errors.push(format!("reading the form: {error}")),
        };
        let name = field.name().unwrap_or_default().to_owned();
        match name.strip_prefix("files[").and_then(|rest| rest.split_once("].")) {
            Some((index, "path")) => match text(&mut field).await {
                Ok(path) => drop(paths.insert(index.to_owned(), path)),
                Err(error) => errors.push(format!("{name}: {error}")),
            },
            Some((index, "file")) => match paths.get(index) {
                Some(path) => match store(&daemon.resolve(path), &mut field).await {
                    Ok(bytes) => written.push(json!({"path": path, "bytes": bytes})),
                    Err(error) => errors.push(format!("{path}: {error}")),
                },
                None => errors.push(format!("{name}: its path must come before it")),
            },
            _ => {}
        }
    }
}

async fn text(field: &mut Field<'_>) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| error.to_string())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_PATH {
            return Err("too long for a path".to_owned());
        }
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

async fn store(path: &Path, field: &mut Field<'_>) -> Result<u64, String> {
    let mut file = create(path).await.map_err(|error| error.to_string())?;
    let mut total = 0;
    while let Some(chunk) = field.chunk().await.map_err(|error| error.to_string())? {
        total += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(|error| error.to_string())?;
    }
    file.flush().await.map_err(|error| error.to_string())?;
    Ok(total)
}

async fn create(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    File::create(path).await
}

/// One file: the body as it is, or the part `file` of a form.
pub(super) async fn one(
    State(daemon): State<Arc<Daemon>>,
    Query(At { path }): Query<At>,
    request: Request,
) -> Answer<Json<Value>> {
    let full = daemon.resolve(required(&path)?);
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let failed = |error: String| Trouble::bad_request(format!("{path}: {error}"));
    if kind.starts_with("multipart/form-data") {
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| failed(error.to_string()))?;
        let mut field = loop {
            match form.next_field().await.map_err(|error| failed(error.to_string()))? {
                Some(field) if field.name() == Some("file") => break field,
                Some(_) => {}
                None => return Err(failed("no part named file".to_owned())),
            }
        };
        store(&full, &mut field).await.map_err(failed)?;
    } else {
        let mut file = create(&full).await.map_err(|error| Trouble::file(&path, &error))?;
        let mut body = request.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| failed(error.to_string()))?;
            file.write_all(&chunk).await.map_err(|error| Trouble::file(&path, &error))?;
        }
        file.flush().await.map_err(|error| Trouble::file(&path, &error))?;
    }
    let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Json(json!({"name": name, "path": full, "type": "file"})))
}
