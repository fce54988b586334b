//! `/api/v1/recall`: what memory finds, for whoever wants to know it or why.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Failed;
use super::memory::{bad, missing, owner_named, read};
use crate::http::Http;
use crate::id::ThreadId;
use crate::memory::recall::{Ask, MOST, TOP_K, show};
use crate::memory::{By, Filter, Period, Scope};
use crate::reply::clean;

/// Characters of a question.
const LONGEST: usize = 4_000;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    q: Option<String>,
    thread: Option<String>,
    owner: Option<String>,
    top_k: Option<String>,
    since: Option<String>,
    until: Option<String>,
    by: Option<String>,
}

/// The passages that fit best. With `thread`, among what was said in that conversation and what the others of its owner share; with
/// `owner`, among what its conversations share.
pub(super) async fn find(State(http): State<Http>, Query(asked): Query<Asked>) -> Result<Json<Value>, Failed> {
    let query = asked.q.unwrap_or_default();
    if query.trim().is_empty() || query.chars().count() > LONGEST {
        return Err(bad(format!("`q` is a question, or key words, of at most {LONGEST} characters")));
    }
    let scope = match (&asked.thread, &asked.owner) {
        (Some(id), None) => {
            let thread: ThreadId = id.parse().map(ThreadId).map_err(|_| missing("thread"))?;
            http.recall.scope_of(thread).await?.ok_or_else(|| missing("thread"))?
        }
        (None, Some(name)) => Scope::shared(owner_named(&http, name).await?),
        (None, None) | (Some(_), Some(_)) => return Err(bad("name a `thread` or an `owner`")),
    };
    let top_k = asked.top_k.map_or(Ok(TOP_K), |top_k| read("top_k", "a number", &top_k))?;
    if !(1..=MOST).contains(&top_k) {
        return Err(bad(format!("`top_k` is a number from 1 to {MOST}")));
    }
    let period = Period::read(asked.since.as_deref(), asked.until.as_deref()).map_err(bad)?;
    let by = asked.by.and_then(|name| By::named(&name, &http.name));
    // It goes to whoever embeds it.
    let query = http.redactor.redact(&clean::clean(&query)).into_owned();
    let ask = Ask { top_k, filter: Filter { period, by }, ..Ask::new(scope, query) };
    let passages = http.recall.recall(&ask).await?;
    Ok(Json(json!({ "passages": passages.iter().map(show::json).collect::<Vec<_>>() })))
}
