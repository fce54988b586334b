//! What is held for a while, such as the lease of a thread or the claim of a request, is renewed until it is lost.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

const RENEW_EVERY: Duration = Duration::from_secs(5);
/// What was begun is put down this long before somebody else may take it.
const MARGIN: Duration = Duration::from_secs(2);

/// Renews; ends when it is lost: `renew` says so, or has not succeeded for almost as long as it holds. Whatever is under way then must be
/// dropped. `what` names it in the log.
pub(super) async fn lose<F, R>(hold: Duration, what: &str, mut renew: F)
where
    F: FnMut() -> R,
    R: Future<Output = Result<bool, sqlx::Error>>,
{
    let mut until = Instant::now() + hold.saturating_sub(MARGIN);
    loop {
        sleep_until((Instant::now() + RENEW_EVERY).min(until)).await;
        let begun = Instant::now();
        match timeout_at(until, renew()).await {
            Ok(Ok(true)) => until = begun + hold.saturating_sub(MARGIN),
            Ok(Ok(false)) => return,
            Ok(Err(error)) => tracing::warn!(what, %error, "cannot renew what is held"),
            Err(_) => tracing::warn!(what, "renewing what is held takes too long"),
        }
        if Instant::now() >= until {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const HOLD: Duration = Duration::from_secs(15);

    /// Seconds until it is lost, where the renewals end like this, and then like the last.
    async fn lost_after(renewals: &[Option<bool>]) -> u64 {
        let (began, asked) = (Instant::now(), AtomicU32::new(0));
        lose(HOLD, "test", || {
            let nth = asked.fetch_add(1, Ordering::Relaxed) as usize;
            let renewed = renewals.get(nth).or(renewals.last()).copied().flatten();
            async move { renewed.ok_or(sqlx::Error::PoolTimedOut) }
        })
        .await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_lost_when_somebody_has_it_or_nobody_answers_for_too_long() {
        assert_eq!(lost_after(&[Some(false)]).await, 5);
        assert_eq!(lost_after(&[Some(true), Some(true), Some(false)]).await, 15);
        assert_eq!(lost_after(&[None]).await, 13, "before somebody else may take it");
        assert_eq!(lost_after(&[None, Some(true), None]).await, 10 + 13);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_does_not_hold_it() {
        let began = Instant::now();
        lose(HOLD, "test", std::future::pending).await;
        assert_eq!(began.elapsed().as_secs(), 13);
    }
}
