//! Telling Discord which commands there are.
//!
//! Discord keeps them, counts how many are made in a day, and shows changed ones anew everywhere. So it is told only when the definitions
//! are others than those it was told last; READY comes many times. Whoever holds the lease on the gateway calls this.

use serde::Deserialize;
use serenity::model::id::ApplicationId;
use sqlx::PgPool;

use super::super::client::{Call, Discord, Effect};
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

/// How the commands Discord shows people differ from ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Ours that it does not have.
    pub missing: Vec<&'static str>,
    /// Ours that it has otherwise: another description, or other options.
    pub changed: Vec<&'static str>,
    /// Those that are none of ours (any more).
    pub foreign: Vec<String>,
}

impl Compared {
    /// Whether they are the same.
    pub fn is_current(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty() && self.foreign.is_empty()
    }

    fn of(known: &[Known]) -> Self {
        let mut compared = Self::default();
        for ours in definition::ALL {
            match known.iter().find(|one| one.name == ours.name) {
                None => compared.missing.push(ours.name),
                Some(theirs) if !theirs.is(ours) => compared.changed.push(ours.name),
                Some(_) => {}
            }
        }
        let foreign = known.iter().filter(|one| definition::find(&one.name).is_none());
        compared.foreign = foreign.map(|one| one.name.clone()).collect();
        compared
    }
}

/// A command as Discord has it. It fills in what was left out, so that only what we said ourselves is looked at.
#[derive(Debug, Deserialize)]
struct Known {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    options: Vec<KnownOption>,
}

#[derive(Debug, Deserialize)]
struct KnownOption {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    required: bool,
}

impl Known {
    fn is(&self, ours: &definition::Definition) -> bool {
        let same = |(theirs, ours): (&KnownOption, &definition::OptionOf)| {
            theirs.name == ours.name && theirs.description == ours.description && theirs.required == ours.required
        };
        self.description == ours.description
            && self.options.len() == ours.options.len()
            && self.options.iter().zip(ours.options).all(same)
    }
}

/// Asks Discord which commands it shows people everywhere.
///
/// # Errors
/// As the call.
pub async fn compare(discord: &Discord, application: ApplicationId) -> Result<Compared, DiscordError> {
    let call = Call::get(format!("/applications/{application}/commands"));
    let known: Vec<Known> = discord.call(&call).await?.json(Effect::None)?;
    Ok(Compared::of(&known))
}

impl Discord {
    /// Replaces the commands of the application, in all its guilds.
    async fn overwrite_commands(&self, application: ApplicationId) -> Result<(), DiscordError> {
        let call = Call::put(format!("/applications/{application}/commands"), Some(definition::all_json()));
        self.call(&call).await.map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_discord_shows_is_compared_with_what_there_is() {
        let mut told = definition::all_json();
        let known = |told: &serde_json::Value| serde_json::from_value::<Vec<Known>>(told.clone()).unwrap();
        assert!(Compared::of(&known(&told)).is_current());
        told[0]["description"] = "Something older".into();
        told[1]["options"][0]["name"] = "tongue".into();
        told[2]["name"] = "examine".into();
        let compared = Compared::of(&known(&told));
        assert_eq!((compared.changed, compared.missing), (vec!["ask", "run"], vec!["review"]));
        assert_eq!(compared.foreign, ["examine"]);
    }
}
