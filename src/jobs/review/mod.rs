//! Reviews of pull requests: what the run begins with, the hand its tools get, and the one review at its end.

mod check;
mod diff;
mod opening;
mod plan;
mod propose;
mod prove;
mod publish;
mod threads;

pub(super) use opening::{begin, is_unchanged};
pub(super) use propose::reviewer;
pub(super) use publish::publish;

use crate::github::RepoRef;
use crate::intake::{Place, Request};

/// The pull request a request is about; none when it is about something else.
fn pull_of(request: &Request) -> Option<(RepoRef, i64)> {
    match &request.place {
        Place::Github { is_pull_request: true, .. } => RepoRef::of(&request.place),
        Place::Github { is_pull_request: false, .. } | Place::Discord { .. } => None,
    }
}
