//! The App's list of deliveries: every attempt, kept for three days; asking for another; losing some on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Actor;
use super::deliver::Delivery;
use super::refuse::Refuse;
use super::shape::time;
use super::world::World;
use super::{GithubStandin, Shared};

/// GitHub keeps them for this long.
const KEPT: TimeDelta = TimeDelta::days(3);
const MOST_ATTEMPTS: usize = 20_000;

/// One time a webhook was sent.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub id: u64,
    pub delivery: u64,
    pub at: DateTime<Utc>,
    pub redelivery: bool,
    pub status: Option<u16>,
    pub reply: String,
}

impl Attempt {
    /// GitHub writes an answer of its own when it got none.
    fn status_code(&self) -> u16 {
        self.status.unwrap_or(502)
    }

    fn status(&self) -> String {
        match self.status {
            None => "failed to connect to host".into(),
            Some(200..400) => "OK".into(),
            Some(other) => format!("Invalid HTTP Response: {other}"),
        }
    }

    fn json(&self, delivery: &Delivery) -> Value {
        let payload: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
        json!({
            "id": self.id, "guid": delivery.guid, "delivered_at": time(self.at), "redelivery": self.redelivery, "duration": 0.1,
            "status": self.status(), "status_code": self.status_code(), "event": delivery.event, "action": payload["action"],
            "installation_id": payload["installation"]["id"], "repository_id": payload["repository"]["id"], "throttled_at": null,
        })
    }
}

/// Which webhooks get lost.
pub(super) type Lose = Arc<dyn Fn(&Delivery) -> bool + Send + Sync>;

impl GithubStandin {
    /// From now on the webhooks `which` chooses are not sent: GitHub lists them as failed and sends them only when asked to. It is
    /// asked before every attempt; [`Delivery::attempts`] tells the first from others.
    pub fn lose_deliveries(&self, which: impl Fn(&Delivery) -> bool + Send + Sync + 'static) {
        self.shared.with(|world| world.lose = Some(Arc::new(which)));
    }

    /// Webhooks are sent again from now on.
    pub fn stop_losing_deliveries(&self) {
        self.shared.with(|world| world.lose = None);
    }
}

impl World {
    /// True when this attempt is to be lost.
    pub(super) fn loses(&self, delivery: &Delivery) -> bool {
        self.lose.as_ref().is_some_and(|which| which(delivery))
    }

    /// Remembers an attempt.
    pub(super) fn attempted(&mut self, delivery: u64, status: Option<u16>, reply: &str) {
        let Some(kept) = self.deliveries.iter_mut().rev().find(|kept| kept.id == delivery) else { return };
        let redelivery = !kept.attempts.is_empty();
        kept.attempts.push(status);
        let id = if redelivery { self.id().unsigned_abs() } else { delivery };
        let at = self.now();
        while self.attempts.front().is_some_and(|first| at - first.at > KEPT) || self.attempts.len() >= MOST_ATTEMPTS {
            self.attempts.pop_front();
        }
        let reply = reply.chars().take(1_000).collect();
        self.attempts.push_back(Attempt { id, delivery, at, redelivery, status, reply });
    }

    /// Attempts GitHub still knows, newest first, with their webhooks.
    fn listed(&self) -> impl Iterator<Item = (&Attempt, &Delivery)> {
        let deliveries: BTreeMap<u64, &Delivery> = self.deliveries.iter().map(|delivery| (delivery.id, delivery)).collect();
        let now = self.now();
        let recent = self.attempts.iter().rev().filter(move |attempt| now - attempt.at <= KEPT);
        recent.filter_map(move |attempt| Some((attempt, *deliveries.get(&attempt.delivery)?)))
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    per_page: Option<usize>,
    cursor: Option<String>,
    status: Option<String>,
}

type Asked = (State<Arc<Shared>>, Extension<Actor>);

pub(super) async fn list((State(shared), Extension(actor)): Asked, Query(page): Query<Page>) -> Result<Response, Refuse> {
    actor.app()?;
    let world = shared.lock();
    let bad = |message: &str| Refuse::new(StatusCode::BAD_REQUEST, message);
    let wanted = match page.status.as_deref() {
        None => 0..=u16::MAX,
        Some("success") => 200..=399,
        Some("failure") => 400..=599,
        Some(_) => return Err(Refuse::unprocessable("Invalid request.\n\nInvalid property /status")),
    };
    let from = match &page.cursor {
        None => None,
        Some(cursor) => Some(cursor.strip_prefix("v1_").and_then(|id| id.parse().ok()).ok_or_else(|| bad("Invalid cursor"))?),
    };
    let per_page = page.per_page.unwrap_or(30).clamp(1, 100);
    let all = world.listed().filter(|(attempt, _)| wanted.contains(&attempt.status_code()));
    let mut rest = all.skip_while(|(attempt, _)| from.is_some_and(|from: u64| attempt.id != from));
    let shown: Vec<Value> = rest.by_ref().take(per_page).map(|(attempt, delivery)| attempt.json(delivery)).collect();
    let mut answer = Json(shown).into_response();
    if let Some((next, _)) = rest.next() {
        let status = page.status.map(|status| format!("&status={status}")).unwrap_or_default();
        let url = format!("{}/app/hook/deliveries?per_page={per_page}&cursor=v1_{}{status}", shared.api(), next.id);
        let link = HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")).map_err(|_| bad("Invalid cursor"))?;
        answer.headers_mut().insert(header::LINK, link);
    }
    Ok(answer)
}

pub(super) async fn one((State(shared), Extension(actor)): Asked, Path(id): Path<u64>) -> Result<Json<Value>, Refuse> {
    actor.app()?;
    let world = shared.lock();
    let (attempt, delivery) = world.listed().find(|(attempt, _)| attempt.id == id).ok_or_else(Refuse::not_found)?;
    let mut json = attempt.json(delivery);
    let headers: BTreeMap<&str, String> = delivery.headers(&shared.webhook_secret).into_iter().collect();
    let payload: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
    json["url"] = world.hook.clone().unwrap_or_default().into();
    json["request"] = json!({"headers": headers, "payload": payload});
    json["response"] = json!({"headers": {}, "payload": attempt.reply});
    Ok(Json(json))
}

pub(super) async fn attempt((State(shared), Extension(actor)): Asked, Path(id): Path<u64>) -> Result<Response, Refuse> {
    actor.app()?;
    let found = shared.with(|world| world.listed().find(|(attempt, _)| attempt.id == id).map(|(_, delivery)| delivery.id));
    shared.send_later(Some(found.ok_or_else(Refuse::not_found)?));
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
