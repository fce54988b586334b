//! What is tried again, and after which wait. Pure.

use std::time::Duration;

use super::Pace;
use super::call::Retry;
use super::error::{ApiError, ErrorKind};

/// Least wait after a rate limit, so that a server that says 0 is not asked in a circle.
const LEAST: Duration = Duration::from_millis(50);
/// Most rate limits one call runs into before it gives up.
const MOST_LIMITS: u32 = 20;

/// The tries of one call so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failed: u32,
    limited: u32,
    waited: Duration,
}

impl Tries {
    /// How long to wait before the next try; none when there is no next. `spread` from 0 to 1 keeps callers apart that were limited
    /// together.
    pub fn next(&mut self, pace: &Pace, retry: Retry, error: &ApiError, spread: f64) -> Option<Duration> {
        if let ErrorKind::RateLimited { after } = error.kind {
            return self.after_limit(pace, after, spread);
        }
        if !may_repeat(retry, error) {
            return None;
        }
        self.failed += 1;
        let doubled = 2u32.saturating_pow(self.failed - 1);
        (self.failed < pace.tries).then(|| pace.backoff.saturating_mul(doubled))
    }

    /// A limited call was not done, whatever it was: it may always be repeated.
    fn after_limit(&mut self, pace: &Pace, after: Option<Duration>, spread: f64) -> Option<Duration> {
        self.limited += 1;
        let wait = after.unwrap_or_else(|| pace.backoff.saturating_mul(2u32.saturating_pow(self.limited))).max(LEAST);
        let most_spread = (wait / 2).min(Duration::from_secs(2));
        let wait = wait + most_spread.mul_f64(spread.clamp(0.0, 1.0));
        self.waited = self.waited.saturating_add(wait);
        (self.limited < MOST_LIMITS && self.waited <= pace.rate_limit).then_some(wait)
    }
}

/// Whether doing it again can help and cannot hurt.
fn may_repeat(retry: Retry, error: &ApiError) -> bool {
    match error.kind {
        ErrorKind::Unreachable => true,
        ErrorKind::Lost | ErrorKind::SandboxUnavailable => retry == Retry::Safe,
        // Not 500: what it stumbles over, it stumbles over again.
        ErrorKind::Server => retry == Retry::Safe && matches!(error.status, Some(502..=504)),
        ErrorKind::RateLimited { .. } => true,
        ErrorKind::BadKey
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::RouteMissing
        | ErrorKind::Quota
        | ErrorKind::SnapshotMissing
        | ErrorKind::Region
        | ErrorKind::InProgress
        | ErrorKind::NameTaken
        | ErrorKind::Errored
        | ErrorKind::CommandTimeout
        | ErrorKind::Conflict
        | ErrorKind::Ended
        | ErrorKind::Unsupported
        | ErrorKind::Invalid
        | ErrorKind::Unreadable => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn waits(retry: Retry, kind: ErrorKind) -> Vec<u128> {
        let (pace, mut tries) = (Pace::default(), Tries::default());
        let error = ApiError { status: Some(503), ..ApiError::own(kind, "x") };
        std::iter::from_fn(|| tries.next(&pace, retry, &error, 0.0)).map(|wait| wait.as_millis()).collect()
    }

    #[test]
    fn what_never_arrived_is_sent_again_and_what_may_have_arrived_only_when_that_is_safe() {
        assert_eq!(waits(Retry::Once, ErrorKind::Unreachable), [200, 400]);
        assert_eq!(waits(Retry::Safe, ErrorKind::Unreachable), [200, 400]);
        for kind in [ErrorKind::Lost, ErrorKind::SandboxUnavailable, ErrorKind::Server] {
            assert_eq!(waits(Retry::Safe, kind), [200, 400]);
            assert!(waits(Retry::Once, kind).is_empty());
        }
        for kind in [ErrorKind::BadKey, ErrorKind::NotFound, ErrorKind::Quota, ErrorKind::InProgress, ErrorKind::Invalid] {
            assert!(waits(Retry::Safe, kind).is_empty());
        }
    }

    #[test]
    fn rate_limits_are_waited_for_within_a_minute_altogether() {
        let limited = |seconds| ErrorKind::RateLimited { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(waits(Retry::Once, limited(20)), [20_000; 3]);
        assert!(waits(Retry::Once, limited(61)).is_empty());
        assert_eq!(waits(Retry::Once, limited(0)).len(), 19);
        assert_eq!(waits(Retry::Once, ErrorKind::RateLimited { after: None }), [400, 800, 1600, 3200, 6400, 12_800, 25_600]);
    }

    #[test]
    fn callers_that_were_limited_together_come_back_apart() {
        let pace = Pace::default();
        let error = ApiError::own(ErrorKind::RateLimited { after: Some(Duration::from_secs(10)) }, "x");
        let wait = |spread| Tries::default().next(&pace, Retry::Once, &error, spread).unwrap();
        assert_eq!(
            (wait(0.0), wait(0.5), wait(1.0)),
            (Duration::from_secs(10), Duration::from_secs(11), Duration::from_secs(12))
        );
    }
}
