//! `status`: what happens here, what waits, which model answers, what today has cost.

use super::ceilings;
use super::dispatch::tell;
use super::store::{self, Claimed, Verdict};
use crate::approval;
use crate::jobs::{Services, approvals};
use crate::reply::{Activity, Card, PostError};

pub(super) async fn status(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let now = services.clock.now();
    let status = store::status(&services.pool, claimed.thread).await?;
    let seconds = status.since.map_or(0, |since| (now - since).num_seconds().max(0)).unsigned_abs();
    let activity = match status.state.as_deref() {
        Some("queued") => {
            let ahead = u32::try_from(status.ahead).unwrap_or(u32::MAX).saturating_add(1);
            Activity::Queued { position: ahead.saturating_sub(services.settings.limits.max_concurrent_runs).max(1) }
        }
        Some("running" | "ended") => {
            Activity::Working { steps: u32::try_from(status.steps).unwrap_or_default(), seconds, doing: None }
        }
        Some(_) | None => Activity::Idle,
    };
    // The one that is shown as next in line does not wait behind itself.
    let itself = i64::from(matches!(activity, Activity::Queued { .. }));
    let waiting = u32::try_from(status.waiting - itself).unwrap_or_default();
    let open = approval::store::waiting(&services.pool, claimed.thread, now).await?;
    let (limits, request) = (&services.settings.limits, &claimed.request);
    let spending = &services.kit.spending;
    let spent = spending.today(&services.pool, limits, &request.requester(), &request.place.payer(), now).await?;
    let card = Card::Status {
        activity,
        waiting,
        approvals: open.iter().map(approvals::describe).collect(),
        model: Some(ceilings::settings(services, claimed).await?),
        spent_today: Some((spent.everybody, limits.daily_budget_usd)),
        run_url: None,
    };
    tell(services, claimed, &card).await
}
