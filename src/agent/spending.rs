//! What everybody spent today. Asked for at every request and run, so that it is not added up anew each time.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{limits, store};
use crate::settings::Limits;

/// How old a sum may be. While the budget is far away, all runs that may work at once cannot spend what is left of it.
const FRESH: TimeDelta = TimeDelta::seconds(5);

/// The sum of the day. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Spending(Arc<Mutex<Option<Sum>>>);

#[derive(Clone, Copy, Debug)]
struct Sum {
    at: DateTime<Utc>,
    spent: f64,
}

impl Spending {
    /// Dollars since midnight UTC: at most five seconds old while the daily budget is far away, and added up anew when it is near.
    pub async fn today(&self, pool: &PgPool, limits: &Limits, now: DateTime<Utc>) -> Result<f64, sqlx::Error> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Sum { at, spent }) = known
            && at.date_naive() == now.date_naive()
            && (now - at).abs() < FRESH
            && limits::far_from_daily(limits, spent)
        {
            return Ok(spent);
        }
        let midnight = now.with_time(NaiveTime::MIN).earliest().unwrap_or(now);
        let spent = store::spent_since(pool, midnight).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sum { at: now, spent });
        Ok(spent)
    }
}
