//! Puts an answer on the wire: at once, or with the accident the script wants.

use std::convert::Infallible;
use std::future::Future;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::watch;

use super::said::{Said, Tokens};
use super::turn::{Cut, Ending, Failure, Plan};
use super::{Protocol, anthropic, error_body, gemini, openai, responses};

/// What the form of an answer depends on.
pub(super) struct Facts {
    pub(super) protocol: Protocol,
    pub(super) model: String,
    pub(super) streamed: bool,
    pub(super) shows_usage: bool,
}

type Closing = watch::Receiver<bool>;

pub(super) async fn deliver(plan: Plan, said: Option<(Said, Tokens)>, facts: &Facts, mut closing: Closing) -> Response {
    if let Some(gate) = &plan.gate {
        tokio::select! {
            () = gate.passed() => {}
            () = closed(&mut closing) => {}
        }
    }
    let Some((said, tokens)) = said else { return fail(plan.failure, facts, &mut closing).await };
    let tokens = Some(tokens).filter(|_| !plan.without_usage);
    if facts.streamed {
        stream_answer(plan.ending, &said, tokens, facts, closing)
    } else {
        whole_answer(plan.ending, &said, tokens, facts, closing)
    }
}

async fn closed(closing: &mut Closing) {
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn fail(failure: Option<Failure>, facts: &Facts, closing: &mut Closing) -> Response {
    match failure {
        Some(Failure::Status { code, headers, body }) => {
            let body = body.unwrap_or_else(|| error_body(facts.protocol, code, "scripted by the stand-in"));
            let mut response = refusal(code, body);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Some(Failure::Hang) | None => {
            closed(closing).await;
            refusal(503, error_body(facts.protocol, 503, "the stand-in is closing"))
        }
    }
}

/// A JSON body with a status.
pub(super) fn refusal(status: u16, body: Value) -> Response {
    response(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        "application/json",
        Body::from(body.to_string()),
    )
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn stream_answer(ending: Ending, said: &Said, tokens: Option<Tokens>, facts: &Facts, closing: Closing) -> Response {
    let frames = match facts.protocol {
        Protocol::OpenAi => openai::frames(said, tokens, &facts.model, facts.shows_usage),
        Protocol::Responses => responses::frames(said, tokens, &facts.model),
        Protocol::Anthropic => anthropic::frames(said, tokens, &facts.model),
        Protocol::Gemini => gemini::frames(said, tokens, &facts.model),
    };
    let error = match facts.protocol {
        Protocol::OpenAi => openai::error_frame(),
        Protocol::Responses => responses::error_frame(),
        Protocol::Anthropic => anthropic::error_frame(),
        Protocol::Gemini => gemini::error_frame(),
    };
    response(StatusCode::OK, "text/event-stream", body(ending, frames, error, closing))
}

fn whole_answer(ending: Ending, said: &Said, tokens: Option<Tokens>, facts: &Facts, closing: Closing) -> Response {
    let whole = match facts.protocol {
        Protocol::OpenAi => openai::whole(said, tokens, &facts.model),
        Protocol::Responses => responses::whole(said, tokens, &facts.model),
        Protocol::Anthropic => anthropic::whole(said, tokens, &facts.model),
        Protocol::Gemini => gemini::whole(said, tokens, &facts.model),
    };
    if matches!(ending, Ending::Error(_)) {
        return refusal(500, error_body(facts.protocol, 500, "scripted by the stand-in"));
    }
    // A whole answer has two frames: half of it, and the rest.
    let mut half = whole.to_string();
    let middle = (half.len() / 2..=half.len()).find(|index| half.is_char_boundary(*index)).unwrap_or(half.len());
    let rest = half.split_off(middle);
    response(StatusCode::OK, "application/json", body(ending, vec![half, rest], String::new(), closing))
}

fn body(ending: Ending, mut frames: Vec<String>, error: String, closing: Closing) -> Body {
    match ending {
        Ending::Whole => Body::from(frames.concat()),
        Ending::Cut(count, Cut::Ends) => {
            frames.truncate(count);
            Body::from(frames.concat())
        }
        Ending::Cut(count, Cut::Breaks) => {
            frames.truncate(count);
            let parts = stream::iter(frames).map(|frame| Ok(Bytes::from(frame)));
            // The frames must be on the wire before the connection is torn down with everything that is not.
            let torn = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(parts.chain(torn))
        }
        Ending::Error(count) => {
            frames.truncate(count);
            frames.push(error);
            Body::from(frames.concat())
        }
        Ending::Hang(count) => {
            frames.truncate(count);
            after(frames, never(closing), vec![])
        }
        Ending::Pause(count, gate) => {
            let rest = frames.split_off(count.min(frames.len()));
            after(frames, async move { gate.passed().await }, rest)
        }
    }
}

async fn never(mut closing: Closing) {
    closed(&mut closing).await;
}

/// First these frames, then the wait, then those.
fn after(first: Vec<String>, wait: impl Future<Output = ()> + Send + 'static, then: Vec<String>) -> Body {
    let frame = |frame: String| Ok::<_, Infallible>(Bytes::from(frame));
    let waiting = stream::once(wait).filter_map(|()| std::future::ready(None));
    Body::from_stream(stream::iter(first).map(frame).chain(waiting).chain(stream::iter(then).map(frame)))
}
