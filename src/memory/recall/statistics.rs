//! How common words are, as the database has counted them: a search begins with its rarest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::store;

/// How long a count is used. They change as slowly as memory grows.
const FRESH: Duration = Duration::from_secs(60);

/// The counts, asked for once a minute.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    last: Mutex<Option<(Instant, Arc<Counts>)>>,
}

/// What the database knows.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Pieces in all; 0 when it has not counted, which it soon does with more than a few.
    pub rows: f64,
    /// The part of all pieces that have a term, for the common ones.
    pub common: HashMap<String, f32>,
    /// The part that a term which is not among them has at most.
    pub rest: f32,
}

impl Counts {
    /// Pieces that have a term: as counted, or at most.
    pub fn rows_with(&self, term: &str) -> f64 {
        f64::from(self.common.get(term).copied().unwrap_or(self.rest)) * self.rows
    }
}

impl Statistics {
    /// The counts of about now.
    pub async fn counts(&self, pool: &PgPool) -> Result<Arc<Counts>, sqlx::Error> {
        let fresh = self.lock().as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, counts)| counts.clone());
        if let Some(counts) = fresh {
            return Ok(counts);
        }
        let counts = Arc::new(store::counts(pool).await?);
        *self.lock() = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }

    /// They were far from true: the next search asks anew, because memory has grown since or was counted since.
    pub fn outdated(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<Counts>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
