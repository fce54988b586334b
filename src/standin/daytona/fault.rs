//! Failing on purpose: single requests, and what happens to sandboxes behind a client's back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{Method, StatusCode};

use super::limit::{Bucket, too_many};
use super::refuse::Refuse;
use super::state::State;
use super::world::{Sandbox, World};
use super::{Shared, lifecycle};

/// Makes something of the next requests that match. Where a method is asked for, `*` is any.
#[derive(Clone, Debug)]
pub struct Fault {
    /// None is any.
    method: Option<Method>,
    path: String,
    sandbox: Option<String>,
    skip: usize,
    times: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Refused(Refuse),
    Hang,
    RequestLost,
    AnswerLost,
    Before(Mischief),
}

/// What may befall a sandbox without the client asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// It is stopped: all processes end, the disk stays.
    Stop,
    /// It is stopped and archived.
    Archive,
    /// It is destroyed.
    Delete,
    /// Its daemon dies with everything else inside, and nobody notices: the state stays.
    Zombie,
    /// It breaks, and can be recovered.
    Break,
    /// It breaks for good.
    BreakForGood,
    /// The key is revoked.
    RevokeKey,
}

impl Fault {
    /// True when it waits for requests about this sandbox alone.
    pub(super) fn is_of(&self, sandbox: &str) -> bool {
        self.sandbox.as_deref() == Some(sandbox)
    }

    fn new(method: &str, path: &str, kind: Kind) -> Self {
        let method = (method != "*").then(|| Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET));
        Self { method, path: path.to_owned(), sandbox: None, skip: 0, times: 1, kind }
    }

    /// Answers with a status, without doing anything. `path` is a part of the path, such as `/process/execute`.
    pub fn status(method: &str, path: &str, status: u16, message: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(method, path, Kind::Refused(Refuse::new(status, message)))
    }

    /// 409, as while a transition runs.
    pub fn conflict(method: &str, path: &str) -> Self {
        Self::status(method, path, 409, "Sandbox state change in progress")
    }

    /// 429, with the headers of a bucket.
    pub fn too_many_requests(method: &str, path: &str, bucket: Bucket, retry_after: u32) -> Self {
        Self::new(method, path, Kind::Refused(too_many(bucket, 1, retry_after.into())))
    }

    /// 502 without a body.
    pub fn bad_gateway(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::Refused(Refuse::bad_gateway()))
    }

    /// 400, as of a sandbox that does not run.
    pub fn no_address(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::Refused(Refuse::no_address()))
    }

    /// 404, as of a sandbox that is archived.
    pub fn no_container(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::Refused(Refuse::no_container()))
    }

    /// Never answers and does nothing.
    pub fn hang(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::Hang)
    }

    /// Drops the connection without doing anything.
    pub fn request_lost(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::RequestLost)
    }

    /// Does what was asked and drops the connection instead of answering.
    pub fn answer_lost(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::AnswerLost)
    }

    /// Lets something befall the sandbox of a toolbox request just before it, then goes on with the request.
    pub fn before(method: &str, path: &str, mischief: Mischief) -> Self {
        Self::new(method, path, Kind::Before(mischief))
    }

    /// Lets it happen to this many requests.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Spares the first requests that match: with `skip(2)` it happens to the third.
    pub fn skip(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Only requests about this sandbox, given by id or name: whichever of them the path has.
    pub fn of(mut self, sandbox: &str) -> Self {
        self.sandbox = Some(sandbox.to_owned());
        self
    }

    fn matches(&self, method: &Method, path: &str, sandboxes: &BTreeMap<String, Sandbox>) -> bool {
        let is_meant = |part: &str, sandbox: &String| {
            let known = sandboxes.get(part).is_some_and(|known| known.name == *sandbox);
            part == sandbox || known || sandboxes.get(sandbox).is_some_and(|known| known.name == part)
        };
        let named = |sandbox: &String| path.split('/').any(|part| is_meant(part, sandbox));
        self.method.as_ref().is_none_or(|own| own == method)
            && path.contains(&self.path)
            && self.sandbox.as_ref().is_none_or(named)
    }
}

/// What becomes of a request.
pub(super) enum Fate {
    Normal,
    Refused(Refuse),
    Hangs,
    RequestLost,
    AnswerLost,
    After(Mischief),
}

impl World {
    /// Decides a request's fate, using up a fault.
    pub(super) fn fate(&mut self, method: &Method, path: &str) -> Fate {
        let mut due = None;
        let sandboxes = &self.sandboxes;
        for (at, fault) in self.faults.iter_mut().enumerate().filter(|(_, fault)| fault.matches(method, path, sandboxes)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            due = Some(at);
            break;
        }
        let Some((at, fault)) = due.and_then(|at| Some((at, self.faults.get_mut(at)?))) else { return Fate::Normal };
        let kind = fault.kind.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.faults.remove(at);
        }
        match kind {
            Kind::Refused(refuse) => Fate::Refused(refuse),
            Kind::Hang => Fate::Hangs,
            Kind::RequestLost => Fate::RequestLost,
            Kind::AnswerLost => Fate::AnswerLost,
            Kind::Before(mischief) => Fate::After(mischief),
        }
    }
}

/// Lets something befall a sandbox; done when it returns.
pub(super) async fn befall(shared: &Arc<Shared>, id: &str, mischief: Mischief) -> anyhow::Result<()> {
    let become_ = |state: State| {
        lifecycle::force(shared, id, state);
    };
    match mischief {
        Mischief::RevokeKey => shared.with(World::revoke_key),
        Mischief::Zombie => drop(shared.machines.stop(id).await),
        Mischief::Stop => {
            shared.machines.stop(id).await;
            become_(State::Stopped);
        }
        Mischief::Archive => {
            shared.machines.stop(id).await;
            become_(State::Archived);
        }
        Mischief::Delete => {
            become_(State::Destroying);
            shared.machines.remove(id).await?;
            become_(State::Destroyed);
        }
        Mischief::Break | Mischief::BreakForGood => {
            shared.machines.stop(id).await;
            become_(State::Error);
            shared.with(|world| {
                if let Some(sandbox) = world.sandboxes.get_mut(id) {
                    sandbox.error_reason = Some("the runner reported a disk failure".to_owned());
                    sandbox.recoverable = mischief == Mischief::Break;
                }
            });
        }
    }
    Ok(())
}
