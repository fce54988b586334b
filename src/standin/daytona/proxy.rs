//! The proxy: `/toolbox/<id>/…` goes, without its beginning, to the daemon of the sandbox; WebSockets too.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::Shared;
use super::record::Execution;
use super::refuse::{Answer, Refuse};
use super::state::State as Stage;
use super::world::World;

/// Bodies of commands are read to count them; the gate has bounded them.
const LARGEST_COMMAND: usize = 64 << 20;

pub(super) async fn forward(
    State(shared): State<Arc<Shared>>,
    Path((id, _)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let quietly = request.headers().get("x-daytona-skip-last-activity-update").is_some_and(|value| value == "true");
    let now = shared.clock.now();
    shared.with(|world| {
        reachable(world, &id)?;
        if let Some(sandbox) = world.sandboxes.get_mut(&id).filter(|_| !quietly) {
            sandbox.last_activity_at = now;
        }
        Ok(())
    })?;
    let path = request.uri().path().strip_prefix(&format!("/toolbox/{id}")).unwrap_or_default().to_owned();
    let stream = connect(&shared, &id).await?;
    let request = counted(&shared, &id, &path, request).await?;
    send(&shared, stream, &path, request).await
}

/// What the proxy says of sandboxes that do not run.
pub(super) fn reachable(world: &World, id: &str) -> Answer<()> {
    let Some(sandbox) = world.sandboxes.get(id) else { return Err(Refuse::no_container()) };
    if world.runner_outage {
        return Err(Refuse::bad_gateway());
    }
    match sandbox.state {
        Stage::Started | Stage::Stopping | Stage::Resizing => Ok(()),
        Stage::Archived | Stage::Archiving | Stage::Restoring | Stage::Destroyed | Stage::Destroying => {
            Err(Refuse::no_container())
        }
        Stage::PendingBuild
        | Stage::BuildingSnapshot
        | Stage::PullingSnapshot
        | Stage::Creating
        | Stage::Starting
        | Stage::Stopped
        | Stage::Pausing
        | Stage::Paused
        | Stage::Resuming
        | Stage::Error
        | Stage::BuildFailed => Err(Refuse::no_address()),
    }
}

/// Counts a command that is about to be handed over.
async fn counted(shared: &Shared, id: &str, path: &str, request: Request) -> Answer<Request> {
    let runs = path == "/process/execute" || path == "/process/code-run" || path.ends_with("/exec");
    if request.method() != Method::POST || !runs {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, LARGEST_COMMAND).await.map_err(|error| Refuse::bad_request(error.to_string()))?;
    if let Ok(body) = serde_json::from_slice(&bytes) {
        shared.with(|world| world.execution(Execution { sandbox: id.to_owned(), path: path.to_owned(), body }));
    }
    Ok(Request::from_parts(head, bytes.into()))
}

/// A connection to the daemon of a sandbox. One that cannot be reached is a bad gateway.
pub(super) async fn connect(shared: &Shared, id: &str) -> Answer<UnixStream> {
    shared.machines.connect(id).await.map_err(|_| Refuse::bad_gateway())
}

/// Hands a request to a daemon under another path. One that goes away meanwhile is a bad gateway.
pub(super) async fn send(shared: &Shared, stream: UnixStream, path: &str, mut request: Request) -> Answer {
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    *request.uri_mut() = target.parse::<Uri>().map_err(|error| Refuse::bad_request(error.to_string()))?;
    // The credential ends here: nothing inside a sandbox sees it.
    request.headers_mut().remove(header::AUTHORIZATION);
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Refuse::bad_gateway())?;
    // It ends with the request it is for; a failure is seen there.
    tokio::spawn(shared.closing.clone().run_until_cancelled_owned(connection.with_upgrades()));
    let mut response = sender.send_request(request).await.map_err(|_| Refuse::bad_gateway())?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let inner = hyper::upgrade::on(&mut response);
        let pass = async move {
            if let (Ok(outer), Ok(inner)) = tokio::join!(upgrade, inner) {
                let (mut outer, mut inner) = (TokioIo::new(outer), TokioIo::new(inner));
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        };
        tokio::spawn(shared.closing.clone().run_until_cancelled_owned(pass));
    }
    Ok(response.map(Body::new))
}
