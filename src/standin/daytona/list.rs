//! `GET /sandbox`: a page of an index that may be behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::refuse::{Answer, Refuse};
use super::state::State as Stage;
use super::{Shared, shape};

/// What can be asked for but changes nothing here.
const IGNORED: [&str; 19] = [
    "sandboxClasses",
    "isPublic",
    "isRecoverable",
    "minCpu",
    "maxCpu",
    "minMemoryGiB",
    "maxMemoryGiB",
    "minDiskGiB",
    "maxDiskGiB",
    "createdAtAfter",
    "createdAtBefore",
    "lastEventAfter",
    "lastEventBefore",
    "autoDestroyAtAfter",
    "autoDestroyAtBefore",
    "includeErroredDeleted",
    "includeWarm",
    "sort",
    "order",
];

struct Wanted {
    after: Option<String>,
    limit: usize,
    labels: BTreeMap<String, String>,
    states: Vec<String>,
    name: Option<String>,
    id: Option<String>,
    snapshots: Vec<String>,
    regions: Vec<String>,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Answer<Json<Value>> {
    let wanted = read(query.as_deref().unwrap_or_default()).map_err(|message| {
        shared.with(|world| world.violation(format!("GET /sandbox: {message}")));
        Refuse::bad_request(message)
    })?;
    let (items, more) = {
        let world = shared.lock();
        let moment = shared.clock.now() - world.list_lag;
        let mut matching = world
            .sandboxes
            .values()
            .filter(|sandbox| wanted.after.as_ref().is_none_or(|after| sandbox.id > *after))
            .filter_map(|sandbox| Some((sandbox, sandbox.state_at(moment)?)))
            .filter(|(sandbox, state)| *state != Stage::Destroyed && wanted.wants(sandbox, *state));
        let page: Vec<Value> =
            matching.by_ref().take(wanted.limit).map(|(sandbox, state)| shape::item(&shared, sandbox, state)).collect();
        (page, matching.next().is_some())
    };
    let next = items.last().filter(|_| more).map(|last| last["id"].clone());
    Ok(Json(json!({"items": items, "nextCursor": next})))
}

impl Wanted {
    fn wants(&self, sandbox: &super::Sandbox, state: Stage) -> bool {
        let among = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        let labelled = |(name, value): (&String, &String)| sandbox.labels.get(name) == Some(value);
        self.labels.iter().all(labelled)
            && among(&self.states, state.name())
            && among(&self.snapshots, sandbox.snapshot.as_deref().unwrap_or_default())
            && among(&self.regions, &sandbox.target)
            && self.id.as_ref().is_none_or(|id| sandbox.id.starts_with(id))
            && self.name.as_ref().is_none_or(|name| sandbox.name.starts_with(name))
    }
}

fn read(query: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        after: None,
        limit: 100,
        labels: BTreeMap::new(),
        states: Vec::new(),
        name: None,
        id: None,
        snapshots: Vec::new(),
        regions: Vec::new(),
    };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let words = || value.split(',').map(str::to_owned);
        match &*name {
            "cursor" => wanted.after = Some(value.into_owned()),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=200).contains(limit));
                wanted.limit = limit.ok_or("limit must be a number from 1 to 200")?;
            }
            "labels" => wanted.labels = serde_json::from_str(&value).map_err(|_| "Invalid labels JSON format")?,
            "states" => wanted.states.extend(words()),
            "snapshots" => wanted.snapshots.extend(words()),
            "regionIds" => wanted.regions.extend(words()),
            "name" => wanted.name = Some(value.into_owned()),
            "id" => wanted.id = Some(value.into_owned()),
            other if IGNORED.contains(&other) => {}
            other => return Err(format!("property {other} should not exist")),
        }
    }
    match wanted.states.iter().find(|name| !Stage::ALL.iter().any(|state| state.name() == **name)) {
        Some(state) => Err(format!("each value in states must be a state, not {state}")),
        None => Ok(wanted),
    }
}
