//! What was spent today. Asked for before every step, so that it is not added up anew each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::store;
use crate::intake::policy::{self, Spent};
use crate::settings::Limits;

/// How old a sum may be. While the lines are far away, all runs that work or may begin at once cannot spend what is left of them, in
/// whichever process they are.
const FRESH: TimeDelta = TimeDelta::seconds(5);
const MOST_REMEMBERED: usize = 4096;

/// The sums of the day. Clones share them; the ledger stays the truth.
#[derive(Clone, Debug, Default)]
pub struct Spending(Arc<Mutex<HashMap<Who, Sum>>>);

/// Whose money it is: the person's login and the repository. Empty where no line of their own is drawn.
type Who = (String, String);

#[derive(Clone, Copy, Debug)]
struct Sum {
    at: DateTime<Utc>,
    spent: Spent,
}

impl Spending {
    /// Dollars since midnight UTC: at most five seconds old while every line is far away, and added up anew when one is near.
    pub async fn today(
        &self,
        pool: &PgPool,
        limits: &Limits,
        requester: &str,
        repository: &str,
        now: DateTime<Utc>,
    ) -> Result<Spent, sqlx::Error> {
        let person = limits.user_daily_budget_usd.map(|_| requester);
        let place = limits.repository_daily_budget_usd.map(|_| repository);
        let who = (person.unwrap_or_default().to_owned(), place.unwrap_or_default().to_owned());
        if let Some(Sum { at, spent }) = self.sums().get(&who).copied()
            && at.date_naive() == now.date_naive()
            && (now - at).abs() < FRESH
            && policy::is_far_from_lines(limits, &spent)
        {
            return Ok(spent);
        }
        let midnight = now.with_time(NaiveTime::MIN).earliest().unwrap_or(now);
        let spent = store::spent_since(pool, midnight, &who.0, &who.1).await?;
        let mut sums = self.sums();
        if sums.len() >= MOST_REMEMBERED {
            sums.clear();
        }
        sums.insert(who, Sum { at: now, spent });
        Ok(spent)
    }

    fn sums(&self) -> MutexGuard<'_, HashMap<Who, Sum>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
