//! Addresses of ports. The real ones are host names; here the port and the token are the beginning of a path.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refuse::{Answer, Refuse};
use super::{Shared, lifecycle, proxy};

/// Longest life of a signed address, in seconds.
const LONGEST: i64 = 86_400;

fn token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

pub(super) async fn plain(State(shared): State<Arc<Shared>>, Path((name, port)): Path<(String, u16)>) -> Answer<Json<Value>> {
    let sandbox = lifecycle::find(&shared, &name)?;
    let url = format!("{}/preview/{port}-{}", shared.origin, sandbox.id);
    Ok(Json(json!({"sandboxId": sandbox.id, "url": url, "token": token()})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Life {
    expires_in_seconds: Option<i64>,
}

pub(super) async fn signed(
    State(shared): State<Arc<Shared>>,
    Path((name, port)): Path<(String, u16)>,
    Query(Life { expires_in_seconds }): Query<Life>,
) -> Answer<Json<Value>> {
    let sandbox = lifecycle::find(&shared, &name)?;
    let life = expires_in_seconds.unwrap_or(60);
    if !(1..=LONGEST).contains(&life) {
        return Err(Refuse::bad_request(format!("expiresInSeconds must be from 1 to {LONGEST}")));
    }
    let token = token();
    let until = shared.clock.now() + chrono::TimeDelta::seconds(life);
    shared.with(|world| world.signed.insert(token.clone(), (sandbox.id.clone(), port, until)));
    let url = format!("{}/preview/{port}-{token}", shared.origin);
    Ok(Json(json!({"sandboxId": sandbox.id, "port": port, "token": token, "url": url})))
}

pub(super) async fn expire(
    State(shared): State<Arc<Shared>>,
    Path((name, _, token)): Path<(String, u16, String)>,
) -> Answer<StatusCode> {
    lifecycle::find(&shared, &name)?;
    shared.with(|world| world.signed.remove(&token));
    Ok(StatusCode::OK)
}

/// A page of a program inside, for who has a signed address.
pub(super) async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let path = request.uri().path().trim_start_matches("/preview/").to_owned();
    let (place, rest) = path.split_once('/').unwrap_or((&path, ""));
    let now = shared.clock.now();
    let found = place.split_once('-').and_then(|(port, token)| {
        let world = shared.lock();
        let (sandbox, signed_port, until) = world.signed.get(token)?;
        (port == signed_port.to_string() && *until > now).then(|| (sandbox.clone(), *signed_port))
    });
    let (id, port) = found.ok_or_else(|| Refuse::new(StatusCode::FORBIDDEN, "invalid or expired token"))?;
    proxy::reachable(&shared.lock(), &id)?;
    let stream = proxy::connect(&shared, &id).await?;
    proxy::send(&shared, stream, &format!("/.port/{port}/{rest}"), request).await
}
