//! Discord's rate limits: buckets by route and what it is about, the global one, and the ban of those who are refused too often.
//!
//! The calls of one bucket go one after the other, in the order in which they were asked for: a call that meets a limit waits and is sent
//! again before the next one of its bucket is, so that messages stay in order through any storm. What would have to wait longer than it
//! should is answered with the time at which it is possible.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Method};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{Limited, Scope, pause};

/// How fast calls may follow each other, all together.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests in a second; 0 for as many as the server takes.
    pub per_second: u32,
}

impl Pace {
    /// Below Discord's published 50 in a second.
    pub const DISCORD: Self = Self { per_second: 45 };
    /// No spacing of our own, for servers without such a limit. Limits the server announces still hold.
    pub const UNLIMITED: Self = Self { per_second: 0 };
}

/// Answers with 401, 403 or 429 within ten minutes after which we stop by ourselves; at 10,000 Discord stops us.
const MOST_REFUSED: u32 = 8_000;
const REFUSED_WINDOW: TimeDelta = TimeDelta::minutes(10);
const MOST_QUEUES: usize = 4_096;
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// A route and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    /// Method and path with numbers left out.
    shape: String,
    /// Channel, guild or webhook.
    about: String,
}

impl Route {
    /// The route of a path below the version.
    pub fn of(method: &Method, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_number = |part: &str| part.parse::<u64>().is_ok();
        let mut about = parts.get(1).filter(|part| is_number(part)).map_or_else(String::new, |part| (*part).to_owned());
        let mut shape: Vec<&str> = parts.iter().map(|part| if is_number(part) { ":id" } else { part }).collect();
        if matches!(parts.first(), Some(&("webhooks" | "interactions"))) && parts.len() > 2 {
            about.push_str(parts[2]);
            shape[2] = ":token";
        }
        if let Some(at) = parts.iter().position(|part| *part == "reactions") {
            shape.truncate(at + 1);
        }
        Self { shape: format!("{method} /{}", shape.join("/")), about }
    }
}

/// The limits of one client.
pub(super) struct Limits {
    pace: Pace,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What Discord calls the bucket of a route.
    names: HashMap<String, String>,
    queues: HashMap<Route, Arc<Queue>>,
    global: Global,
}

/// The calls of one bucket, one after the other.
#[derive(Default)]
pub(super) struct Queue {
    /// Whose turn it is; those who wait are served in order.
    pub turn: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
}

impl Queue {
    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        self.turn.try_lock().is_ok() && lock(&self.bucket).free_at(now) <= now
    }
}

impl Limits {
    pub fn new(pace: Pace) -> Self {
        Self { pace, state: Mutex::default() }
    }

    /// Where the calls of a route stand in line. Routes of which Discord said that they share a bucket stand in one.
    pub fn queue(&self, route: &Route, now: DateTime<Utc>) -> Arc<Queue> {
        let mut state = lock(&self.state);
        let shape = state.names.get(&route.shape).unwrap_or(&route.shape).clone();
        if state.queues.len() >= MOST_QUEUES {
            state.queues.retain(|_, queue| Arc::strong_count(queue) > 1 || !queue.is_idle(now));
        }
        state.queues.entry(Route { shape, about: route.about.clone() }).or_default().clone()
    }

    /// Takes a place in the bucket and in the global limit, if both have one now.
    ///
    /// # Errors
    /// When that may be; ask again then. Nothing is taken.
    pub fn reserve(&self, queue: &Queue, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        let (mut state, mut bucket) = (lock(&self.state), lock(&queue.bucket));
        let at = state.global.free_at(self.pace, bucket.free_at(now));
        if at > now {
            return Err(at);
        }
        bucket.take(now);
        state.global.take(now);
        Ok(())
    }

    /// Heeds what an answer says about its bucket and about limits that were reached.
    pub fn heed(&self, route: &Route, queue: &Queue, answer: &Heard<'_>) {
        let (mut state, mut bucket) = (lock(&self.state), lock(&queue.bucket));
        if let Some(name) = text(answer.headers, "x-ratelimit-bucket")
            && state.names.get(&route.shape).is_none_or(|known| known != name)
        {
            state.names.insert(route.shape.clone(), name.to_owned());
            let known = Route { shape: name.to_owned(), about: route.about.clone() };
            // The queue of the first call goes on as that of the bucket, so that nobody overtakes.
            if let Some(queue) = state.queues.remove(route) {
                state.queues.entry(known).or_insert(queue);
            }
        }
        if let Some(standing) = Standing::of(answer.headers, answer.now) {
            bucket.standing = Some(standing);
        }
        match answer.limited {
            Some(Limited { scope: Scope::Global, until }) => state.global.close(until),
            Some(Limited { scope: Scope::Route | Scope::Shared, until }) => bucket.close(until),
            None => {}
        }
        if answer.counts_as_refused {
            state.global.refused(answer.now);
        }
    }
}

/// What an answer says about limits.
pub(super) struct Heard<'a> {
    pub headers: &'a HeaderMap,
    pub limited: Option<Limited>,
    /// 401, 403 or 429, unless the limit was everybody's.
    pub counts_as_refused: bool,
    pub now: DateTime<Utc>,
}

/// What is left of a bucket, as it was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    remaining: u32,
    resets: DateTime<Utc>,
}

impl Standing {
    /// The clocks differ, so the time until the reset counts, not the reset.
    fn of(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Self> {
        let remaining = text(headers, "x-ratelimit-remaining")?.parse().ok()?;
        let after = text(headers, "x-ratelimit-reset-after")?.parse().ok()?;
        Some(Self { remaining, resets: now + pause(Some(after)) })
    }
}

#[derive(Debug, Default)]
struct Bucket {
    standing: Option<Standing>,
    closed_until: Option<DateTime<Utc>>,
}

impl Bucket {
    fn free_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let open = self.closed_until.map_or(now, |until| until.max(now));
        match self.standing {
            Some(standing) if standing.remaining == 0 => open.max(standing.resets),
            Some(_) | None => open,
        }
    }

    fn take(&mut self, at: DateTime<Utc>) {
        match &mut self.standing {
            // How many there are after the reset is for the answer to say.
            Some(standing) if standing.resets <= at => self.standing = None,
            Some(standing) => standing.remaining = standing.remaining.saturating_sub(1),
            None => {}
        }
    }

    fn close(&mut self, until: DateTime<Utc>) {
        self.closed_until = self.closed_until.max(Some(until));
    }
}

#[derive(Debug, Default)]
struct Global {
    closed_until: Option<DateTime<Utc>>,
    /// The last second in which calls were made, and how many.
    second: Option<(DateTime<Utc>, u32)>,
    refused: Option<(DateTime<Utc>, u32)>,
}

impl Global {
    fn free_at(&self, pace: Pace, at: DateTime<Utc>) -> DateTime<Utc> {
        let open = self.closed_until.map_or(at, |until| until.max(at));
        match self.second {
            Some((begun, used)) if pace.per_second > 0 && used >= pace.per_second => open.max(begun + SECOND),
            Some(_) | None => open,
        }
    }

    fn take(&mut self, at: DateTime<Utc>) {
        self.second = match self.second {
            Some((begun, used)) if at < begun + SECOND => Some((begun, used.saturating_add(1))),
            Some(_) | None => Some((at, 1)),
        };
    }

    fn close(&mut self, until: DateTime<Utc>) {
        self.closed_until = self.closed_until.max(Some(until));
    }

    /// Whoever is refused too often is banned for an hour; before that we fall silent by ourselves.
    fn refused(&mut self, now: DateTime<Utc>) {
        let (begun, count) = match self.refused {
            Some((begun, count)) if now < begun + REFUSED_WINDOW => (begun, count.saturating_add(1)),
            Some(_) | None => (now, 1),
        };
        self.refused = Some((begun, count));
        if count >= MOST_REFUSED {
            self.close(begun + REFUSED_WINDOW);
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).unwrap()
    }

    fn headers(remaining: u32, reset_after: f64, bucket: &str) -> HeaderMap {
        let pairs = [
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset-after", reset_after.to_string()),
            ("x-ratelimit-bucket", bucket.to_owned()),
        ];
        pairs.into_iter().map(|(k, v)| (k.parse::<axum::http::HeaderName>().unwrap(), v.parse().unwrap())).collect()
    }

    struct Talk(Limits);

    impl Talk {
        fn route(path: &str) -> Route {
            Route::of(&Method::POST, path)
        }

        fn ask(&self, path: &str, now: i64) -> Result<(), i64> {
            let queue = self.0.queue(&Self::route(path), at(now));
            self.0.reserve(&queue, at(now)).map_err(|time| (time - at(0)).num_milliseconds())
        }

        fn hear(&self, path: &str, now: i64, headers: &HeaderMap, limited: Option<(Scope, i64)>) {
            let limited = limited.map(|(scope, until)| Limited { scope, until: at(until) });
            let counts_as_refused = limited.is_some_and(|limited| limited.scope != Scope::Shared);
            let queue = self.0.queue(&Self::route(path), at(now));
            self.0.heed(&Self::route(path), &queue, &Heard { headers, limited, counts_as_refused, now: at(now) });
        }
    }

    const ONE: &str = "/channels/1/messages";
    const TWO: &str = "/channels/2/messages";

    #[test]
    fn a_route_is_a_shape_and_what_it_is_about() {
        let of = |method: Method, path: &str| Route::of(&method, path);
        assert_ne!(of(Method::POST, ONE), of(Method::POST, TWO));
        assert_eq!(of(Method::PATCH, "/channels/1/messages/8"), of(Method::PATCH, "/channels/1/messages/9?x=y"));
        assert_ne!(of(Method::POST, ONE), of(Method::GET, ONE));
        let react = of(Method::PUT, "/channels/1/messages/8/reactions/%F0%9F%91%80/@me");
        assert_eq!(react, of(Method::PUT, "/channels/1/messages/9/reactions/x/@me"));
        assert_eq!(of(Method::PATCH, "/webhooks/1/secret/messages/2").shape, "PATCH /webhooks/:id/:token/messages/:id");
    }

    #[test]
    fn an_empty_bucket_waits_for_its_reset_and_others_do_not() {
        let talk = Talk(Limits::new(Pace::UNLIMITED));
        assert_eq!(talk.ask(ONE, 0), Ok(()));
        talk.hear(ONE, 0, &headers(1, 5.0, "b"), None);
        assert_eq!(talk.ask(ONE, 10), Ok(()));
        assert_eq!(talk.ask(ONE, 20), Err(5_000));
        assert_eq!(talk.ask(TWO, 20), Ok(()));
        // What is left after the reset is not guessed.
        assert_eq!([5_000, 5_001].map(|now| talk.ask(ONE, now)), [Ok(()), Ok(())]);
    }

    #[test]
    fn a_limit_closes_its_bucket_or_everything() {
        let talk = Talk(Limits::new(Pace::UNLIMITED));
        talk.hear(ONE, 0, &HeaderMap::new(), Some((Scope::Shared, 700)));
        talk.hear(ONE, 0, &HeaderMap::new(), Some((Scope::Route, 300)));
        assert_eq!(talk.ask(ONE, 0), Err(700));
        assert_eq!(talk.ask(TWO, 0), Ok(()));
        talk.hear(TWO, 0, &HeaderMap::new(), Some((Scope::Global, 900)));
        assert_eq!((talk.ask(ONE, 0), talk.ask(TWO, 0)), (Err(900), Err(900)));
        assert_eq!(talk.ask(TWO, 900), Ok(()));
    }

    #[test]
    fn routes_that_share_a_bucket_stand_in_one_line() {
        let limits = Limits::new(Pace::UNLIMITED);
        let [put, delete] =
            [Method::PUT, Method::DELETE].map(|method| Route::of(&method, "/channels/1/messages/2/reactions/x/@me"));
        let (first, second) = (limits.queue(&put, at(0)), limits.queue(&delete, at(0)));
        assert!(!Arc::ptr_eq(&first, &second));
        for (route, queue) in [(&put, &first), (&delete, &second)] {
            let headers = headers(0, 1.0, "reactions");
            limits.heed(route, queue, &Heard { headers: &headers, limited: None, counts_as_refused: false, now: at(0) });
        }
        let both = [&put, &delete].map(|route| limits.queue(route, at(0)));
        assert!(Arc::ptr_eq(&both[0], &both[1]) && Arc::ptr_eq(&both[0], &first));
    }

    #[test]
    fn no_second_has_more_calls_than_the_pace() {
        let talk = Talk(Limits::new(Pace { per_second: 3 }));
        let ask = |n: i64| talk.ask(&format!("/channels/{}/messages", n + 1), n * 10);
        let asked: Vec<_> = (0..5).map(ask).collect();
        assert_eq!(asked, [Ok(()), Ok(()), Ok(()), Err(1_000), Err(1_000)]);
        assert_eq!(talk.ask(ONE, 1_000), Ok(()));
    }

    #[test]
    fn whoever_is_refused_all_the_time_falls_silent() {
        let talk = Talk(Limits::new(Pace::UNLIMITED));
        for _ in 0..MOST_REFUSED {
            talk.hear(ONE, 0, &HeaderMap::new(), Some((Scope::Route, 1)));
        }
        assert_eq!(talk.ask(TWO, 10), Err(600_000));
        assert_eq!(talk.ask(TWO, 600_000), Ok(()));
    }
}
