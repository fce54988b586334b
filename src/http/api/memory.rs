//! Conversations, people and owners: what is kept of them, all of it to take along, and forgetting it.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::Failed;
use crate::http::Http;
use crate::id::{RunId, ThreadId};
use crate::memory::forget::record::said::{self, Which};
use crate::memory::forget::record::{self, After, Export, Listed, MOST_LISTED, Whose};
use crate::memory::forget::{self, Asked, Person, Target, Why};
use crate::memory::{By, Period};
use crate::model::Role;

/// Exports at once.
static EXPORTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));
/// Who asks, in the records.
const ADMIN: &str = "the operator";
const LISTED: u32 = 50;
/// A name is never longer.
const LONGEST_NAME: usize = 300;

type Answer = Result<Json<Value>, Failed>;

#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    owner: Option<String>,
    place: Option<String>,
    state: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list(State(http): State<Http>, Query(asked): Query<Listing>) -> Answer {
    let most = limit(asked.limit.as_deref())?;
    let after = asked.after.as_deref().map(str::parse::<After>).transpose();
    let after = after.map_err(|()| bad("`after` is not what `next` of a page before said"))?;
    let owner = match &asked.owner {
        Some(name) => Some(owner_named(&http, name).await?),
        None => None,
    };
    if asked.state.as_deref().is_some_and(|state| !["open", "closed"].contains(&state)) {
        return Err(bad("`state` is `open` or `closed`"));
    }
    let period = Period::read(asked.since.as_deref(), asked.until.as_deref()).map_err(bad)?;
    let listed = Listed { owner, period, state: asked.state, place: asked.place };
    let threads = record::list(&http.pool, &listed, after, most).await?;
    let full = threads.len() == most as usize;
    let next = threads.last().filter(|_| full).map(|last| After { updated_at: last.updated_at, id: last.id }.to_string());
    Ok(Json(json!({ "threads": threads, "next": next })))
}

fn limit(text: Option<&str>) -> Result<u32, Failed> {
    let Some(text) = text else { return Ok(LISTED) };
    let most: u32 = text.parse().map_err(|_| bad(format!("`limit` is a number from 1 to {MOST_LISTED}")))?;
    if most == 0 { Err(bad(format!("`limit` is a number from 1 to {MOST_LISTED}"))) } else { Ok(most.min(MOST_LISTED)) }
}

pub(super) fn read<T: std::str::FromStr>(name: &str, what: &str, text: &str) -> Result<T, Failed> {
    text.trim().parse().map_err(|_| bad(format!("`{name}` is {what}")))
}

pub(super) fn bad(why: impl Into<String>) -> Failed {
    Failed::new(StatusCode::BAD_REQUEST, why)
}

pub(super) fn missing(what: &str) -> Failed {
    Failed::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
}

#[derive(Debug, Deserialize)]
pub(super) struct Look {
    limit: Option<String>,
}

pub(super) async fn thread(State(http): State<Http>, Path(id): Path<String>, Query(look): Query<Look>) -> Answer {
    let most = limit(look.limit.as_deref())?;
    let shown = record::show(&http.pool, thread_id(&id)?, &Which::default(), most).await?.ok_or_else(|| missing("thread"))?;
    Ok(Json(serde_json::to_value(shown).unwrap_or_default()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    since: Option<String>,
    until: Option<String>,
    role: Option<String>,
    author: Option<String>,
    run: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    include: Option<String>,
    context_before: Option<String>,
    context_after: Option<String>,
}

/// A page of what was said; with `include` those messages with what stands around them.
pub(super) async fn messages(State(http): State<Http>, Path(id): Path<String>, Query(asked): Query<Page>) -> Answer {
    let thread = known_thread(&http, &id).await?;
    if let Some(ids) = &asked.include {
        let ids: Vec<Uuid> = ids.split(',').map(|id| read("include", "ids of messages", id)).collect::<Result<_, _>>()?;
        let context =
            |name, text: &Option<String>| text.as_deref().map_or(Ok(0), |text| read(name, "a number of messages", text));
        let (before, after) =
            (context("context_before", &asked.context_before)?, context("context_after", &asked.context_after)?);
        let each = 1 + u64::from(before) + u64::from(after);
        if ids.len() as u64 * each > u64::from(MOST_LISTED) {
            return Err(bad(format!("that may be more than {MOST_LISTED} messages: name fewer ids, or less around each")));
        }
        let messages = said::around(&http.pool, thread, &ids, (before, after)).await?;
        return Ok(Json(json!({ "messages": messages, "next": null })));
    }
    let most = limit(asked.limit.as_deref())?;
    let period = Period::read(asked.since.as_deref(), asked.until.as_deref()).map_err(bad)?;
    let role = match asked.role.as_deref() {
        None => None,
        Some("user") => Some(Role::User),
        Some("assistant") => Some(Role::Assistant),
        Some("tool") => Some(Role::Tool),
        Some(_) => return Err(bad("`role` is `user`, `assistant` or `tool`")),
    };
    let run = asked.run.map(|run| read("run", "the id of a run", &run).map(RunId)).transpose()?;
    let after = asked.after.map(|after| read("after", "what `next` of a page before said", &after)).transpose()?;
    let by = asked.author.and_then(|name| By::named(&name, &http.name));
    let which = Which { period, role, by, run };
    let messages = said::page(&http.pool, thread, &which, after, most).await?;
    let next = messages.last().filter(|_| messages.len() == most as usize).map(|last| last.id);
    Ok(Json(json!({ "messages": messages, "next": next })))
}

fn thread_id(text: &str) -> Result<ThreadId, Failed> {
    text.parse().map(ThreadId).map_err(|_| missing("thread"))
}

async fn known_thread(http: &Http, id: &str) -> Result<ThreadId, Failed> {
    let id = thread_id(id)?;
    if record::is_known(&http.pool, id).await? { Ok(id) } else { Err(missing("thread")) }
}

pub(super) async fn export_thread(State(http): State<Http>, Path(id): Path<String>) -> Result<Response, Failed> {
    let thread = known_thread(&http, &id).await?;
    export(&http, Whose::Thread(thread))
}

pub(super) async fn forget_thread(State(http): State<Http>, Path(id): Path<String>) -> Result<Response, Failed> {
    let thread = known_thread(&http, &id).await?;
    forget(&http, Target::Thread(thread), Whose::Thread(thread)).await
}

async fn somebody(http: &Http, surface: &str, who: &str) -> Result<Person, Failed> {
    let surface = forget::surface(surface).ok_or_else(|| missing("surface"))?;
    if who.is_empty() || who.len() > LONGEST_NAME {
        return Err(missing("person"));
    }
    Ok(forget::find_person(&http.pool, surface, who).await?)
}

pub(super) async fn person(State(http): State<Http>, Path((surface, who)): Path<(String, String)>) -> Answer {
    let person = somebody(&http, &surface, &who).await?;
    let kept = record::count(&http.pool, &Whose::Person(person.clone())).await?;
    Ok(Json(json!({ "surface": person.surface, "id": person.id, "login": person.login, "kept": kept })))
}

pub(super) async fn export_person(
    State(http): State<Http>,
    Path((surface, who)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let person = somebody(&http, &surface, &who).await?;
    export(&http, Whose::Person(person))
}

pub(super) async fn forget_person(
    State(http): State<Http>,
    Path((surface, who)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let person = somebody(&http, &surface, &who).await?;
    forget(&http, Target::Person(person.clone()), Whose::Person(person)).await
}

pub(super) async fn owner_named(http: &Http, name: &str) -> Result<String, Failed> {
    if name.len() > LONGEST_NAME {
        return Err(missing("owner"));
    }
    forget::find_owner(&http.pool, name).await?.ok_or_else(|| missing("owner"))
}

pub(super) async fn owner(State(http): State<Http>, Path(name): Path<String>) -> Answer {
    let owner = owner_named(&http, &name).await?;
    let kept = record::count(&http.pool, &Whose::Owner(owner.clone())).await?;
    Ok(Json(json!({ "owner": owner, "kept": kept })))
}

pub(super) async fn export_owner(State(http): State<Http>, Path(name): Path<String>) -> Result<Response, Failed> {
    let owner = owner_named(&http, &name).await?;
    export(&http, Whose::Owner(owner))
}

pub(super) async fn forget_owner(State(http): State<Http>, Path(name): Path<String>) -> Result<Response, Failed> {
    let owner = owner_named(&http, &name).await?;
    forget(&http, Target::Owner(owner.clone()), Whose::Owner(owner)).await
}

/// 202: it is written down and hidden, and done in the background.
async fn forget(http: &Http, target: Target, whose: Whose) -> Result<Response, Failed> {
    let kept = record::count(&http.pool, &whose).await?;
    let asked = forget::ask(&http.pool, &target, Why::Wanted, ADMIN, http.clock.now()).await?;
    http.intake.wake().await;
    let body = json!({ "status": "forgetting", "again": asked == Asked::Again, "kept": kept });
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// JSON lines, a page in memory at a time. One that ends early ends the connection.
fn export(http: &Http, whose: Whose) -> Result<Response, Failed> {
    let busy = |_| Failed::new(StatusCode::SERVICE_UNAVAILABLE, "too many exports at once; try again");
    let room = Arc::clone(&EXPORTS).try_acquire_owned().map_err(busy)?;
    let export = Export::new(http.pool.clone(), whose);
    let lines = futures::stream::try_unfold((export, room), next_lines);
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

type Exporting = (Export, OwnedSemaphorePermit);

async fn next_lines((mut export, room): Exporting) -> Result<Option<(Bytes, Exporting)>, sqlx::Error> {
    let Some(records) = export.next().await? else { return Ok(None) };
    let mut lines = Vec::new();
    for record in records {
        lines.extend(record.to_string().into_bytes());
        lines.push(b'\n');
    }
    Ok(Some((lines.into(), (export, room))))
}
