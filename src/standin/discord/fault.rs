//! Failing on purpose.

use std::collections::{BTreeSet, VecDeque};

use axum::http::{Method, StatusCode};

use super::error::Refuse;
use super::limits::Storm;
use super::model::Id;

/// What is to go wrong over HTTP.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub faults: VecDeque<Fault>,
    pub storms: VecDeque<Storm>,
    /// People who take no direct messages.
    pub closed: BTreeSet<Id>,
}

/// Makes the next requests that match fail.
#[derive(Clone, Debug)]
pub struct Fault {
    method: Method,
    path: String,
    times: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Status(StatusCode),
    Hang,
    AnswerLost,
}

impl Fault {
    fn new(method: &str, path: &str, kind: Kind) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        Self { method, path: path.to_owned(), times: 1, kind }
    }

    /// Answers with a status, without doing anything. `path` is a part of the path, such as `/messages`.
    pub fn status(method: &str, path: &str, status: u16) -> Self {
        Self::new(method, path, Kind::Status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)))
    }

    /// Never answers and does nothing.
    pub fn hang(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::Hang)
    }

    /// Does what was asked and drops the connection instead of answering.
    pub fn answer_lost(method: &str, path: &str) -> Self {
        Self::new(method, path, Kind::AnswerLost)
    }

    /// Lets it happen to this many requests.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Fate {
    Normal,
    Refused(Refuse),
    Hangs,
    AnswerLost,
}

impl Faults {
    /// Decides a request's fate, using up a fault or a part of a storm.
    pub fn fate(&mut self, method: &Method, path: &str) -> Fate {
        if let Some(at) = self.storms.iter().position(|storm| storm.times > 0 && storm.strikes(method, path)) {
            let storm = &mut self.storms[at];
            storm.times -= 1;
            let refuse = storm.refuse();
            if storm.times == 0 {
                self.storms.remove(at);
            }
            return Fate::Refused(refuse);
        }
        match self.take(method, path) {
            Some(Kind::Status(status)) => Fate::Refused(Refuse::new(status, 0, "This was told to fail.")),
            Some(Kind::Hang) => Fate::Hangs,
            Some(Kind::AnswerLost) => Fate::AnswerLost,
            None => Fate::Normal,
        }
    }

    fn take(&mut self, method: &Method, path: &str) -> Option<Kind> {
        let at = self.faults.iter().position(|fault| fault.method == *method && path.contains(&fault.path))?;
        let fault = &mut self.faults[at];
        let kind = fault.kind.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Some(kind)
    }
}
