//! GraphQL: the part of GitHub's schema that has no counterpart in REST, foremost the threads of reviews.

mod connection;
mod object;
mod parse;
mod resolve;
mod schema;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::parse::{Document, Operation};
use self::resolve::Resolver;
use super::Shared;
use super::auth::Actor;
use super::body::read;
use super::refuse::Refuse;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/graphql", post(answer))
}

#[derive(Deserialize)]
struct Asked {
    query: Option<String>,
    variables: Option<Map<String, Value>>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
}

/// A problem with a request. GitHub answers those with status 200.
#[derive(Debug)]
struct Trouble {
    kind: Option<&'static str>,
    message: String,
    extensions: Option<Value>,
}

impl Trouble {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Some(kind), message: message.into(), extensions: None }
    }

    /// What does not fit the schema: nothing is done then.
    fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self { kind: None, message: message.into(), extensions: Some(json!({"code": code})) }
    }

    fn json(&self, path: &[String]) -> Value {
        let mut json = json!({"message": self.message, "path": path, "locations": [{"line": 1, "column": 1}]});
        if let Some(kind) = self.kind {
            json["type"] = kind.into();
        }
        if let Some(extensions) = &self.extensions {
            json["extensions"] = extensions.clone();
        }
        json
    }
}

async fn answer(State(shared): State<Arc<Shared>>, Extension(actor): Extension<Actor>, body: Bytes) -> Result<Response, Refuse> {
    match &actor {
        Actor::Installation(_) | Actor::User(_) => {}
        Actor::App | Actor::Nobody => return Err(Refuse::unauthorized("This endpoint requires you to be authenticated.")),
    }
    let asked: Asked = read(&body)?;
    let (json, deliveries) = {
        let mut world = shared.lock();
        match prepared(&asked) {
            Err(trouble) => (json!({"errors": [trouble.json(&[])]}), Vec::new()),
            Ok((document, operation, variables)) => {
                let operation = &document.operations[operation];
                let mut resolver = Resolver::new(&mut world, &actor, &document, variables);
                resolver.run(operation)
            }
        }
    };
    if shared.echo {
        shared.announce(deliveries);
    }
    Ok(Json(json).into_response())
}

/// The document, the operation that is meant and its variables.
fn prepared(asked: &Asked) -> Result<(Document, usize, Map<String, Value>), Trouble> {
    let text = asked.query.as_deref().unwrap_or_default();
    let document = parse::parse(text).map_err(|message| Trouble::invalid("parseError", message))?;
    let meant = |operation: &Operation| asked.operation.is_none() || operation.name == asked.operation;
    let found: Vec<usize> = (0..document.operations.len()).filter(|at| meant(&document.operations[*at])).collect();
    let [operation] = found.as_slice() else {
        return Err(Trouble::invalid("operationNameRequired", "An operation name is required"));
    };
    let given = asked.variables.clone().unwrap_or_default();
    let mut variables = Map::new();
    for variable in &document.operations[*operation].variables {
        let value =
            given.get(&variable.name).cloned().or_else(|| variable.default.as_ref().map(|input| input.value(&Map::new())));
        if variable.required && value.as_ref().is_none_or(Value::is_null) {
            let message = format!("Variable ${} was provided invalid value", variable.name);
            return Err(Trouble::invalid("variableInvalid", message));
        }
        if let Some(value) = value {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok((document, *operation, variables))
}
