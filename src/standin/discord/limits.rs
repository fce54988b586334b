//! Rate limits: buckets by route and what it is about, the global one, and the ban of those who are refused too often.

use std::collections::{BTreeMap, VecDeque};

use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::error::Refuse;

const INVALID_WINDOW: TimeDelta = TimeDelta::minutes(10);

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Ours, on one route.
    User,
    /// Ours, on everything.
    Global,
    /// Everybody's together on one thing; does not count towards the ban.
    Shared,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Global => "global",
            Self::Shared => "shared",
        }
    }
}

/// A refusal that says how many seconds to wait.
pub(super) fn too_many(seconds: f64, scope: Scope) -> Refuse {
    let message = match scope {
        Scope::User | Scope::Global => "You are being rate limited.",
        Scope::Shared => "The resource is being rate limited.",
    };
    let refuse = Refuse::new(StatusCode::TOO_MANY_REQUESTS, 0, message)
        .with("retry_after", seconds.into())
        .with("global", (scope == Scope::Global).into())
        .header("retry-after", seconds.ceil())
        .header("x-ratelimit-scope", scope.name());
    if scope == Scope::Global { refuse.header("x-ratelimit-global", "true") } else { refuse }
}

/// A route and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket {
    /// Method and path with numbers left out.
    pub route: String,
    /// Channel, guild or webhook.
    about: String,
}

impl Bucket {
    /// The bucket of a path below the version; none for what has no limit of its own.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if parts.first() == Some(&"interactions") {
            return None;
        }
        let number = |part: &&str| part.parse::<u64>().is_ok();
        let mut about = parts.get(1).filter(|part| number(part)).map_or_else(String::new, |part| (*part).to_owned());
        let mut shape: Vec<&str> = parts.iter().map(|part| if number(part) { ":id" } else { part }).collect();
        if let (Some(&"webhooks"), Some(token)) = (parts.first(), parts.get(2)) {
            about.push_str(token);
            shape[2] = ":token";
        }
        let mut method = method.as_str();
        if let Some(at) = parts.iter().position(|part| *part == "reactions") {
            // All reactions share one, whatever the emoji.
            shape.truncate(at + 1);
            if method != "GET" {
                method = "PUT";
            }
        }
        Some(Self { route: format!("{method} /{}", shape.join("/")), about })
    }

    /// What Discord calls it in headers: opaque, the same for the same route.
    fn name(&self) -> String {
        use sha2::Digest;
        hex::encode(&sha2::Sha256::digest(self.route.as_bytes())[..16])
    }

    /// Requests, and milliseconds in which so many are answered.
    fn usual(&self) -> (u32, i64) {
        match self.route.as_str() {
            "POST /channels/:id/messages" | "PATCH /channels/:id/messages/:id" => (5, 5_000),
            "DELETE /channels/:id/messages/:id" | "GET /channels/:id/messages" => (5, 1_000),
            "PUT /channels/:id/messages/:id/reactions" => (1, 250),
            "POST /channels/:id/typing" | "PATCH /channels/:id" => (5, 5_000),
            "POST /channels/:id/messages/:id/threads" | "POST /channels/:id/threads" => (10, 10_000),
            "POST /webhooks/:id/:token" | "PATCH /webhooks/:id/:token/messages/@original" => (5, 2_000),
            route if route.starts_with("PUT /applications") => (5, 20_000),
            _ => (50, 1_000),
        }
    }
}

#[derive(Debug)]
struct Used {
    count: u32,
    resets: DateTime<Utc>,
}

/// What is announced of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    limit: u32,
    remaining: u32,
    resets: DateTime<Utc>,
    after: f64,
    name: String,
}

impl Standing {
    pub fn headers(&self) -> [(&'static str, String); 5] {
        let resets = self.resets.timestamp_millis();
        [
            ("x-ratelimit-limit", self.limit.to_string()),
            ("x-ratelimit-remaining", self.remaining.to_string()),
            ("x-ratelimit-reset", format!("{}.{:03}", resets / 1000, resets % 1000)),
            ("x-ratelimit-reset-after", format!("{:.3}", self.after)),
            ("x-ratelimit-bucket", self.name.clone()),
        ]
    }
}

/// How many requests are answered.
#[derive(Debug)]
pub(super) struct Limits {
    pub on: bool,
    pub global: u32,
    pub invalid: usize,
    routes: BTreeMap<String, (u32, i64)>,
    used: BTreeMap<Bucket, Used>,
    second: Option<(i64, u32)>,
    refused: VecDeque<DateTime<Utc>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            on: true,
            global: 50,
            invalid: 10_000,
            routes: BTreeMap::new(),
            used: BTreeMap::new(),
            second: None,
            refused: VecDeque::new(),
        }
    }
}

impl Limits {
    /// Sets how many requests of a route are answered in so many milliseconds.
    pub fn set(&mut self, route: &str, requests: u32, milliseconds: i64) {
        self.routes.insert(route.to_owned(), (requests, milliseconds));
    }

    /// Seconds until somebody who was refused too often is heard again.
    pub fn banned(&mut self, now: DateTime<Utc>) -> Option<f64> {
        self.refused.retain(|at| now - *at < INVALID_WINDOW);
        let first = self.refused.front().filter(|_| self.refused.len() >= self.invalid)?;
        Some((*first + INVALID_WINDOW - now).as_seconds_f64())
    }

    /// Counts an answer: 401, 403 and 429 bring a ban nearer, unless the limit was everybody's.
    pub fn note(&mut self, status: u16, shared: bool, now: DateTime<Utc>) {
        if matches!(status, 401 | 403 | 429) && !shared {
            self.refused.push_back(now);
        }
    }

    /// How many answers count towards a ban.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Counts a request towards the global limit.
    pub fn count_global(&mut self, now: DateTime<Utc>) -> Result<(), Refuse> {
        let second = now.timestamp();
        let used = match self.second {
            Some((same, used)) if same == second => used,
            Some(_) | None => 0,
        };
        if self.on && used >= self.global {
            let left = 1.0 - f64::from(now.timestamp_subsec_millis()) / 1000.0;
            return Err(too_many(left.max(0.001), Scope::Global));
        }
        self.second = Some((second, used + 1));
        Ok(())
    }

    /// Counts a request in its bucket.
    pub fn count(&mut self, bucket: &Bucket, now: DateTime<Utc>) -> (Standing, Result<(), Refuse>) {
        let (limit, span) = self.routes.get(&bucket.route).copied().unwrap_or_else(|| bucket.usual());
        self.used.retain(|_, used| now < used.resets);
        let fresh = || Used { count: 0, resets: now + TimeDelta::milliseconds(span) };
        let used = self.used.entry(bucket.clone()).or_insert_with(fresh);
        let full = self.on && used.count >= limit;
        if !full {
            used.count += 1;
        }
        let remaining = limit.saturating_sub(used.count);
        let after = (used.resets - now).as_seconds_f64();
        let standing = Standing { limit, remaining, resets: used.resets, after, name: bucket.name() };
        (standing, if full { Err(too_many(after, Scope::User)) } else { Ok(()) })
    }
}

/// A run of refusals with 429, whatever was asked really.
#[derive(Clone, Debug)]
pub struct Storm {
    pub(super) method: Option<String>,
    pub(super) path: String,
    pub(super) times: usize,
    pub(super) scope: Scope,
    pub(super) retry_after: f64,
}

impl Storm {
    /// One refusal of any request, to be tried again after a tenth of a second.
    pub fn of(scope: Scope) -> Self {
        Self { method: None, path: String::new(), times: 1, scope, retry_after: 0.1 }
    }

    /// Only requests with this method whose path has this part.
    pub fn on(mut self, method: &str, path: &str) -> Self {
        (self.method, self.path) = (Some(method.to_owned()), path.to_owned());
        self
    }

    /// So many refusals.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Seconds to wait.
    pub fn retry_after(mut self, seconds: f64) -> Self {
        self.retry_after = seconds;
        self
    }

    pub(super) fn strikes(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method.as_str()) && path.contains(&self.path)
    }

    pub(super) fn refuse(&self) -> Refuse {
        too_many(self.retry_after, self.scope)
    }
}

/// The JSON of a limit that was reached says so in its header.
pub(super) fn is_shared(headers: &axum::http::HeaderMap) -> bool {
    headers.get("x-ratelimit-scope").is_some_and(|scope| scope == "shared")
}

/// Discord's code in a refusal's body.
pub(super) fn code_of(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(body).ok()?.get("code")?.as_u64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_bucket_is_a_route_and_what_it_is_about() {
        let of = |method: Method, path: &str| Bucket::of(&method, path).unwrap();
        let [one, two] = [1, 2].map(|n| of(Method::POST, &format!("/channels/{n}/messages")));
        assert_ne!(one, two);
        assert_eq!(one.name(), two.name());
        assert_eq!(of(Method::PATCH, "/channels/1/messages/8"), of(Method::PATCH, "/channels/1/messages/9"));
        let react = of(Method::PUT, "/channels/1/messages/8/reactions/x/@me");
        assert_eq!(react, of(Method::DELETE, "/channels/1/messages/9/reactions/y/@me"));
        assert!(Bucket::of(&Method::POST, "/interactions/1/token/callback").is_none());
    }

    #[test]
    fn a_full_bucket_empties_after_its_time() {
        let mut limits = Limits::default();
        let bucket = Bucket::of(&Method::POST, "/channels/1/messages").unwrap();
        for left in (0..5).rev() {
            let (standing, counted) = limits.count(&bucket, at(0));
            assert_eq!(standing.remaining, left);
            counted.unwrap();
        }
        let (standing, counted) = limits.count(&bucket, at(2));
        assert_eq!((standing.remaining, counted.is_err(), standing.after), (0, true, 3.0));
        assert!(limits.count(&bucket, at(5)).1.is_ok());
    }

    #[test]
    fn whoever_is_refused_too_often_is_banned_for_a_while() {
        let mut limits = Limits { invalid: 3, ..Limits::default() };
        for status in [401, 404, 429, 200] {
            limits.note(status, false, at(0));
        }
        limits.note(429, true, at(0));
        assert_eq!(limits.banned(at(1)), None);
        limits.note(403, false, at(2));
        assert_eq!(limits.banned(at(60)), Some(540.0));
        assert_eq!(limits.banned(at(600)), None);
    }
}
