//! Telling Discord which commands there are.
//!
//! Discord keeps them, counts how many are made in a day, and shows changed ones anew everywhere. So it is told only when the definitions
//! are others than those it was told last; READY comes many times. Whoever holds the lease on the gateway calls this.

use serenity::model::id::ApplicationId;
use sqlx::PgPool;

use super::super::client::{Call, Discord};
use super::super::{DiscordError, number};
use super::{definition, store};
use crate::clock::Clock;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Discord was told.
    Now,
    /// Discord knows them already.
    Before,
}

/// Why it did not.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Discord did not take them.
    #[error(transparent)]
    Discord(#[from] DiscordError),
    /// What was registered is not known.
    #[error("cannot look up what was registered: {0}")]
    Database(#[from] sqlx::Error),
}

/// Tells Discord the commands of the application unless it knows them. Idempotent: it replaces all there are, and what was not
/// remembered is told again.
///
/// # Errors
/// As the call and the database; nothing is remembered then.
pub async fn register(
    discord: &Discord,
    pool: &PgPool,
    application: ApplicationId,
    clock: &dyn Clock,
) -> Result<Registered, RegisterError> {
    let (digest, id) = (definition::digest(), number(application));
    if store::registered(pool, id).await?.is_some_and(|known| known == digest) {
        return Ok(Registered::Before);
    }
    discord.overwrite_commands(application).await?;
    store::remember(pool, id, &digest, clock.now()).await?;
    tracing::info!(discord.application = id, commands = definition::ALL.len(), "the slash commands were registered");
    Ok(Registered::Now)
}

impl Discord {
    /// Replaces the commands of the application, in all its guilds.
    async fn overwrite_commands(&self, application: ApplicationId) -> Result<(), DiscordError> {
        let call = Call::put(format!("/applications/{application}/commands"), Some(definition::all_json()));
        self.call(&call).await.map(drop)
    }
}
