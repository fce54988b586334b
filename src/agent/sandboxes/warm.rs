//! The warm pool: a few sandboxes made ahead, so that a new conversation does not wait for one. They cost while they idle, so there is
//! a budget of hours for each day.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::store::Warm;
pub(super) use self::store::instance;
use super::labels_of;
use crate::sandbox::{Provider, SandboxError, SandboxId, SandboxSpec};
use crate::settings::WarmSettings;

/// Older ones are replaced: what they are made from may have changed.
const LONGEST_WARM: TimeDelta = TimeDelta::hours(12);
/// Snapshots that conversations used within this time have a pool, too.
const SNAPSHOTS_SINCE: TimeDelta = TimeDelta::days(1);
/// No more snapshots than this beside the default.
const MOST_SNAPSHOTS: i64 = 4;
/// Time between two looks that is counted at most: nobody was there to count.
const LONGEST_GAP: TimeDelta = TimeDelta::minutes(10);

/// Keeps the warm pool.
#[derive(Clone)]
pub struct WarmPool {
    /// The database.
    pub pool: PgPool,
    /// Where the sandboxes are.
    pub provider: Arc<dyn Provider>,
    /// Size and budget.
    pub settings: WarmSettings,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl WarmPool {
    /// Counts what the pool has cost, removes what is too old, too many or beyond the budget, and makes what is missing. To be called
    /// by one process at a time.
    pub async fn tend(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let provider = self.provider.name();
        let warm = store::warm(&self.pool, provider).await?;
        let idle = warm.iter().filter(|warm| warm.id.is_some()).count();
        let spent = store::count(&self.pool, idle as f64, now, LONGEST_GAP.as_seconds_f64()).await?;
        let affordable = spent < f64::from(self.settings.hours_per_day) * 3600.0;
        let size = if affordable { self.settings.size as usize } else { 0 };
        let mut wanted: BTreeMap<Option<String>, usize> = BTreeMap::new();
        if size > 0 {
            let used = store::snapshots(&self.pool, provider, now - SNAPSHOTS_SINCE, MOST_SNAPSHOTS).await?;
            wanted = used.into_iter().map(Some).chain([None]).map(|snapshot| (snapshot, size)).collect();
        }
        for warm in warm {
            let room = wanted.get_mut(&warm.snapshot).filter(|room| **room > 0 && now - warm.created_at < LONGEST_WARM);
            match room {
                Some(room) => {
                    *room -= 1;
                    self.keep(warm, now).await?;
                }
                None => self.remove(&warm).await?,
            }
        }
        for (snapshot, missing) in wanted {
            for _ in 0..missing {
                if self.shutdown.is_cancelled() {
                    return Ok(());
                }
                let name = format!("warm-{}", Uuid::now_v7().simple());
                let warm = Warm { name, id: None, snapshot: snapshot.clone(), created_at: now };
                store::want(&self.pool, provider, &warm).await?;
                if !self.make(&warm).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Makes sure that one is there and ready.
    async fn keep(&self, warm: Warm, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let Some(id) = warm.id.clone().map(SandboxId) else { return self.make(&warm).await.map(drop) };
        let alive = async { self.provider.find(&id).await?.keep_alive().await };
        match self.unless_ending(alive).await {
            Err(SandboxError::NotFound(_)) => store::forget(&self.pool, self.provider.name(), &warm.name).await.map(drop),
            Err(error) => {
                tracing::info!(sandbox.id = %id, %error, age = %(now - warm.created_at), "a warm sandbox does not answer");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Makes one that is recorded. False when the provider refuses for now.
    async fn make(&self, warm: &Warm) -> Result<bool, sqlx::Error> {
        let labels = labels_of(instance(&self.pool).await?);
        let (name, snapshot) = (Some(warm.name.clone()), warm.snapshot.clone());
        let spec = SandboxSpec { name, labels, snapshot, ..SandboxSpec::default() };
        match self.unless_ending(self.provider.create(spec)).await {
            Ok(sandbox) => {
                store::made(&self.pool, self.provider.name(), &warm.name, &sandbox.id().0).await?;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(sandbox.name = warm.name, %error, "no warm sandbox can be made now");
                Ok(false)
            }
        }
    }

    /// Removes one, unless a conversation took it meanwhile.
    async fn remove(&self, warm: &Warm) -> Result<(), sqlx::Error> {
        // Taken out of the pool first: nobody can claim what is about to go. A crash in between leaves an orphan, which is reaped.
        if !store::forget(&self.pool, self.provider.name(), &warm.name).await? {
            return Ok(());
        }
        let id = SandboxId(warm.id.clone().unwrap_or_else(|| warm.name.clone()));
        if let Err(error) = self.unless_ending(self.provider.remove(&id)).await {
            tracing::warn!(sandbox.id = %id, %error, "a warm sandbox is not removed yet");
        }
        Ok(())
    }

    async fn unless_ending<T>(&self, work: impl Future<Output = Result<T, SandboxError>>) -> Result<T, SandboxError> {
        tokio::select! {
            done = work => done,
            () = self.shutdown.cancelled() => Err(SandboxError::Unavailable("the service ends".to_owned())),
        }
    }
}
