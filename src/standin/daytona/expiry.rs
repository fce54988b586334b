//! What sandboxes do by themselves when time has passed. Looked at whenever a request arrives.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::state::State;
use super::world::Sandbox;
use super::{Shared, lifecycle};

/// Minutes after which a stopped sandbox is archived at the latest.
pub(super) const MOST_ARCHIVE: i64 = 43_200;

/// Begins what is due.
pub(super) fn pass(shared: &Arc<Shared>) {
    let now = shared.clock.now();
    let due: Vec<_> = {
        let world = shared.lock();
        world.sandboxes().filter_map(|sandbox| Some((sandbox.id.clone(), due(sandbox, now)?))).collect()
    };
    for (id, state) in due {
        lifecycle::begin(shared, &id, state);
    }
}

fn due(sandbox: &Sandbox, now: DateTime<Utc>) -> Option<State> {
    let passed = |since: DateTime<Utc>, minutes: i64| now - since >= TimeDelta::minutes(minutes);
    match sandbox.state {
        state if !state.settled() => None,
        _ if sandbox.destroy_at.is_some_and(|at| at <= now) => Some(State::Destroying),
        State::Started if sandbox.auto_stop > 0 && passed(sandbox.last_activity_at, sandbox.auto_stop) => Some(State::Stopping),
        State::Stopped if sandbox.auto_delete > 0 && passed(sandbox.updated_at, sandbox.auto_delete) => Some(State::Destroying),
        State::Stopped => {
            let minutes = if sandbox.auto_archive == 0 { MOST_ARCHIVE } else { sandbox.auto_archive };
            passed(sandbox.updated_at, minutes).then_some(State::Archiving)
        }
        _ => None,
    }
}
