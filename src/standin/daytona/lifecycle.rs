//! Sandboxes started, stopped, archived and destroyed: what is asked for begins a transition, which is carried out beside requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use serde_json::Value;

use super::refuse::{Answer, Refuse};
use super::state::{State, Verdict, Wish};
use super::world::Sandbox;
use super::{Shared, shape};

/// How long a request for a start waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sandbox with this id or name.
pub(super) fn find(shared: &Shared, name: &str) -> Answer<Sandbox> {
    shared.lock().find(name).cloned().ok_or_else(|| Refuse::not_found(name))
}

pub(super) async fn get(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let sandbox = find(&shared, &name)?;
    Ok(Json(shape::sandbox(&shared, &sandbox)))
}

pub(super) async fn start(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    wish(&shared, &name, Wish::Start)
}

/// With or without force everything ends at once: nothing inside is asked first.
pub(super) async fn stop(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    wish(&shared, &name, Wish::Stop)
}

pub(super) async fn archive(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    if find(&shared, &name)?.is_ephemeral() {
        return Err(Refuse::bad_request("Ephemeral sandboxes cannot be archived"));
    }
    wish(&shared, &name, Wish::Archive)
}

pub(super) async fn delete(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    wish(&shared, &name, Wish::Delete)
}

/// Containers can neither be paused nor forked.
pub(super) async fn pause(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let sandbox = find(&shared, &name)?;
    let message = format!("Operation is not supported for sandbox class {}", sandbox.sandbox_class);
    Err(Refuse::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}

pub(super) async fn recover(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let sandbox = find(&shared, &name)?;
    if sandbox.state != State::Error {
        return Err(Refuse::bad_request("Sandbox must be in error state to be recovered"));
    }
    if !sandbox.recoverable {
        return Err(Refuse::bad_request("Sandbox is not recoverable"));
    }
    begin(&shared, &sandbox.id, State::Starting);
    Ok(Json(shape::sandbox(&shared, &find(&shared, &sandbox.id)?)))
}

/// Begins what is asked for, or says why not.
pub(super) fn wish(shared: &Arc<Shared>, name: &str, wish: Wish) -> Answer<Json<Value>> {
    let sandbox = find(shared, name)?;
    match sandbox.state.answer(wish) {
        Verdict::Refused(refuse) => return Err(refuse),
        Verdict::Nothing => {}
        Verdict::Begins(state) => begin(shared, &sandbox.id, state),
    }
    Ok(Json(shape::sandbox(shared, &find(shared, &sandbox.id)?)))
}

/// Waits until a sandbox is settled, as long as a request does; returns it as it is then.
pub(super) async fn settled(shared: &Shared, id: &str) -> Answer<Sandbox> {
    let look = |world: &mut super::World| world.find(id).is_none_or(|sandbox| sandbox.state.settled()).then_some(());
    let _ = tokio::time::timeout(PATIENCE, shared.until(look)).await;
    find(shared, id)
}

/// Puts a sandbox into a state, whatever it is in; what was under way changes nothing any more.
pub(super) fn force(shared: &Shared, id: &str, state: State) -> u64 {
    let now = shared.clock.now();
    shared.with(|world| {
        let Some(sandbox) = world.sandboxes.get_mut(id) else { return 0 };
        sandbox.transition += 1;
        sandbox.enter(state, now);
        sandbox.transition
    })
}

/// Begins a transition, which goes on by itself until the sandbox is settled.
pub(super) fn begin(shared: &Arc<Shared>, id: &str, state: State) {
    let number = force(shared, id, state);
    let (carried, id) = (shared.clone(), id.to_owned());
    let closing = shared.closing.clone();
    shared.work.spawn(async move {
        closing.run_until_cancelled(carry_out(&carried, &id, number)).await;
    });
}

async fn carry_out(shared: &Arc<Shared>, id: &str, number: u64) {
    loop {
        let current = shared.with(|world| {
            let sandbox = world.sandboxes.get(id).filter(|sandbox| sandbox.transition == number)?;
            let time = world.slow.get(&sandbox.state).copied().unwrap_or(world.transition);
            Some((sandbox.clone(), time))
        });
        let Some((sandbox, time)) = current.filter(|(sandbox, _)| !sandbox.state.settled()) else { return };
        tokio::time::sleep(time).await;
        shared.until(|world| (!world.runner_outage).then_some(())).await;
        let done = pass_through(shared, &sandbox).await;
        if !arrive(shared, &sandbox, done) {
            // Overtaken: what was started meanwhile must not go on in a state that has nothing running.
            if !shared.lock().find(id).is_some_and(|sandbox| sandbox.state.computes()) {
                shared.machines.stop(id).await;
            }
            return;
        }
    }
}

/// Does what a transition is about; returns the next state, or why it failed.
async fn pass_through(shared: &Shared, sandbox: &Sandbox) -> Result<State, String> {
    let id = &sandbox.id;
    match sandbox.state {
        State::PendingBuild => Ok(State::BuildingSnapshot),
        State::BuildingSnapshot | State::PullingSnapshot => Ok(State::Creating),
        State::Creating | State::Starting | State::Restoring | State::Resuming => {
            shared.machines.start(id, sandbox.env.clone()).await.map(|()| State::Started)
        }
        State::Stopping => {
            shared.machines.stop(id).await;
            Ok(if sandbox.is_ephemeral() { State::Destroying } else { State::Stopped })
        }
        State::Archiving => Ok(State::Archived),
        State::Pausing => Ok(State::Paused),
        State::Resizing => Ok(if shared.machines.runs(id) { State::Started } else { State::Stopped }),
        State::Destroying => match shared.machines.remove(id).await {
            Ok(()) => Ok(State::Destroyed),
            Err(error) => Err(error.to_string()),
        },
        settled => Ok(settled),
    }
}

/// False when the transition was overtaken.
fn arrive(shared: &Shared, was: &Sandbox, done: Result<State, String>) -> bool {
    let now = shared.clock.now();
    shared.with(|world| {
        let current = world.sandboxes.get_mut(&was.id).filter(|sandbox| sandbox.transition == was.transition);
        let Some(sandbox) = current else { return false };
        match done {
            Ok(state) => {
                sandbox.enter(state, now);
                if state == State::Started {
                    sandbox.last_activity_at = now;
                    sandbox.error_reason = None;
                }
            }
            Err(reason) => {
                sandbox.enter(State::Error, now);
                sandbox.error_reason = Some(reason);
                sandbox.recoverable = false;
            }
        }
        world.forget_destroyed();
        true
    })
}
