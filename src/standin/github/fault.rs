//! Failing on purpose: single faults and rate limits.

use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};

use super::refuse::Refuse;
use super::world::World;

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

    /// Answers with a status, without doing anything. `path` is a part of the path, such as `/comments`. 429 has no `retry-after`.
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

/// Rate limits, as GitHub announces them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// None.
    #[default]
    Off,
    /// The secondary limit: everything that changes something is refused with `retry-after`.
    Secondary {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// The primary limit: everything is refused until its reset.
    Primary {
        /// When it ends; then the limit is off.
        reset: DateTime<Utc>,
    },
}

/// Requests of an hour.
pub(super) struct Hourly {
    pub limit: u64,
    pub left: u64,
    pub reset: DateTime<Utc>,
}

/// What becomes of a request.
pub(super) enum Fate {
    Normal,
    Refused(Refuse),
    Hangs,
    AnswerLost,
}

impl World {
    /// Decides a request's fate, using up a fault.
    pub(super) fn fate(&mut self, method: &Method, path: &str) -> Fate {
        match self.take_fault(method, path) {
            Some(Kind::Status(status)) => return Fate::Refused(Refuse::new(status, "This was told to fail.")),
            Some(Kind::Hang) => return Fate::Hangs,
            Some(Kind::AnswerLost) => return Fate::AnswerLost,
            None => {}
        }
        self.limited(method, path).map_or(Fate::Normal, Fate::Refused)
    }

    pub(super) fn allow_hourly(&mut self, per_hour: Option<u64>) {
        let reset = self.clock.now() + TimeDelta::hours(1);
        self.hourly = per_hour.map(|limit| Hourly { limit, left: limit, reset });
    }

    /// Counts an answered request.
    pub(super) fn count_request(&mut self) {
        if let Some(hourly) = &mut self.hourly {
            hourly.left = hourly.left.saturating_sub(1);
        }
    }

    fn spent(&mut self, now: DateTime<Utc>) -> Option<Refuse> {
        let hourly = self.hourly.as_mut()?;
        if now >= hourly.reset {
            (hourly.left, hourly.reset) = (hourly.limit, now + TimeDelta::hours(1));
        }
        let refuse = || Refuse::new(StatusCode::FORBIDDEN, "API rate limit exceeded for installation.");
        (hourly.left == 0).then(refuse)
    }

    fn take_fault(&mut self, method: &Method, path: &str) -> Option<Kind> {
        let at = self.faults.iter().position(|fault| fault.method == *method && path.contains(&fault.path))?;
        let fault = &mut self.faults[at];
        let kind = fault.kind.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Some(kind)
    }

    fn limited(&mut self, method: &Method, path: &str) -> Option<Refuse> {
        let now = self.clock.now();
        if let Some(refuse) = self.spent(now) {
            return Some(refuse);
        }
        match self.limit {
            Limit::Secondary { retry_after } if method != Method::GET => return Some(secondary(retry_after)),
            Limit::Primary { reset } if now < reset => {
                let refuse = Refuse::new(StatusCode::FORBIDDEN, "API rate limit exceeded for installation.");
                return Some(refuse.header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", reset.timestamp()));
            }
            Limit::Primary { .. } => self.limit = Limit::Off,
            Limit::Secondary { .. } | Limit::Off => {}
        }
        let most = self.content_per_minute.filter(|_| method == Method::POST && path.ends_with("/comments"))?;
        while self.content.front().is_some_and(|at| now - *at >= TimeDelta::minutes(1)) {
            self.content.pop_front();
        }
        if self.content.len() >= most {
            return Some(secondary(60));
        }
        self.content.push_back(now);
        None
    }
}

fn secondary(retry_after: u32) -> Refuse {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    Refuse::new(StatusCode::FORBIDDEN, message).header("retry-after", retry_after)
}
