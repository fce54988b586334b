//! What was spent today, asked for before every step so that it is not added up anew each time, and charges beside the steps.

mod store;

pub use store::charge;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sqlx::PgPool;

use serde::Serialize;

use super::store as ledger;
use crate::id::RunId;
use crate::intake::policy::{self, Spent};
use crate::model::{ModelName, Usage, price};
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
        let spent = ledger::spent_since(pool, midnight, &who.0, &who.1).await?;
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

/// What tokens beside the steps of a run were for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A title for its thread.
    Title,
    /// Observations of what its thread had become too long for.
    Condensing,
    /// Vectors of what was said in it.
    Embedding,
}

/// Tokens that a run made necessary beside its own steps. They count for the day like the steps themselves, and not for the run's ceiling.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The run.
    pub run: RunId,
    /// What for.
    pub purpose: Purpose,
    /// Who asked for the run.
    pub requester: String,
    /// The repository it was for.
    pub repository: String,
    /// The model that answered.
    pub model: ModelName,
    /// What it took.
    pub usage: Usage,
    /// When.
    pub at: DateTime<Utc>,
}

/// A row of the ledger without its step.
#[derive(Debug, Serialize)]
pub struct ChargeRow<'a> {
    run_id: RunId,
    purpose: Purpose,
    requester: &'a str,
    repository: &'a str,
    model: String,
    input: u64,
    cached: u64,
    output: u64,
    estimated: bool,
    cost_usd: Option<f64>,
    at: DateTime<Utc>,
}

impl Charge {
    /// As the ledger stores it, at the list price.
    pub fn row(&self) -> ChargeRow<'_> {
        ChargeRow {
            run_id: self.run,
            purpose: self.purpose,
            requester: &self.requester,
            repository: &self.repository,
            model: self.model.to_string(),
            input: self.usage.input,
            cached: self.usage.cached,
            output: self.usage.output,
            estimated: self.usage.estimated,
            cost_usd: price::cost(&self.model, &self.usage),
            at: self.at,
        }
    }
}
