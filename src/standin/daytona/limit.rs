//! Rate limits, counted a minute at a time and announced in headers.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};

use super::refuse::Refuse;

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Everything with a good credential.
    Authenticated,
    /// `POST /sandbox`.
    SandboxCreate,
    /// Start, stop, delete and the like.
    SandboxLifecycle,
    /// `GET /sandbox`.
    SandboxList,
    /// Everything with a bad credential.
    FailedAuth,
}

impl Bucket {
    /// As headers end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authenticated => "authenticated",
            Self::SandboxCreate => "sandbox-create",
            Self::SandboxLifecycle => "sandbox-lifecycle",
            Self::SandboxList => "sandbox-list",
            Self::FailedAuth => "failed-auth",
        }
    }

    /// The buckets a request of the control plane falls into.
    pub(super) fn of(method: &Method, path: &str) -> Vec<Self> {
        const LIFECYCLE: [&str; 8] = ["start", "stop", "pause", "archive", "recover", "resize", "fork", "snapshot"];
        let mut parts = path.trim_start_matches("/api/").split('/');
        let special = match (method, parts.next(), parts.next(), parts.next()) {
            (&Method::POST, Some("sandbox"), None, None) => Some(Self::SandboxCreate),
            (&Method::GET, Some("sandbox"), None, None) => Some(Self::SandboxList),
            (&Method::DELETE, Some("sandbox"), Some(_), None) => Some(Self::SandboxLifecycle),
            (&Method::POST, Some("sandbox"), Some(_), Some(verb)) if LIFECYCLE.contains(&verb) => Some(Self::SandboxLifecycle),
            _ => None,
        };
        [Some(Self::Authenticated), special].into_iter().flatten().collect()
    }
}

/// How many requests a minute are answered, and how many were.
#[derive(Clone, Debug)]
pub struct Limits {
    most: BTreeMap<Bucket, u32>,
    used: BTreeMap<Bucket, (DateTime<Utc>, u32)>,
}

impl Default for Limits {
    /// The lowest tier.
    fn default() -> Self {
        let most = [
            (Bucket::Authenticated, 10_000),
            (Bucket::SandboxCreate, 300),
            (Bucket::SandboxLifecycle, 10_000),
            (Bucket::SandboxList, 10_000),
            (Bucket::FailedAuth, 30),
        ];
        Self { most: most.into(), used: BTreeMap::new() }
    }
}

/// What is announced of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    bucket: Bucket,
    limit: u32,
    remaining: u32,
    /// Seconds until the count starts anew.
    reset: i64,
}

impl Standing {
    pub fn headers(&self) -> [(String, String); 3] {
        let header = |name: &str, value: String| (format!("x-ratelimit-{name}-{}", self.bucket.name()), value);
        [
            header("limit", self.limit.to_string()),
            header("remaining", self.remaining.to_string()),
            header("reset", self.reset.to_string()),
        ]
    }
}

impl Limits {
    /// Sets how many requests a minute are answered.
    pub fn set(&mut self, bucket: Bucket, per_minute: u32) {
        self.most.insert(bucket, per_minute);
    }

    /// Counts a request; where that is too many, the refusal.
    pub(super) fn count(&mut self, bucket: Bucket, now: DateTime<Utc>) -> Result<Standing, Refuse> {
        let limit = self.most.get(&bucket).copied().unwrap_or(u32::MAX);
        let (began, used) = self.used.entry(bucket).or_insert((now, 0));
        if (now - *began).num_seconds() >= 60 {
            (*began, *used) = (now, 0);
        }
        let reset = 60 - (now - *began).num_seconds();
        if *used >= limit {
            return Err(too_many(bucket, limit, reset));
        }
        *used += 1;
        Ok(Standing { bucket, limit, remaining: limit - *used, reset })
    }

    /// The refusal of a bucket that is used up, without counting.
    pub(super) fn used_up(&self, bucket: Bucket, now: DateTime<Utc>) -> Option<Refuse> {
        let limit = self.most.get(&bucket).copied()?;
        let (began, used) = self.used.get(&bucket)?;
        let passed = (now - *began).num_seconds();
        (passed < 60 && *used >= limit).then(|| too_many(bucket, limit, 60 - passed))
    }
}

/// The refusal, with the headers it comes with.
pub(super) fn too_many(bucket: Bucket, limit: u32, seconds: i64) -> Refuse {
    let refuse = Refuse::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
    let standing = Standing { bucket, limit, remaining: 0, reset: seconds };
    let refuse = standing.headers().into_iter().fold(refuse, |refuse, (name, value)| refuse.header(name, value));
    refuse.header(format!("retry-after-{}", bucket.name()), seconds)
}
