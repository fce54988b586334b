//! Guilds we are in, and no more: what was said in one that we left is forgotten, also when that happened while nobody listened.

use std::collections::HashSet;

use chrono::DateTime;
use serenity::model::gateway::Ready;
use serenity::model::guild::Guild;

use super::listen::{Listener, Unheard, lock};
use super::store;
use crate::discord::{DiscordError, code, id, number};
use crate::intake::{self, Left};
use crate::memory::forget;

impl Listener {
    /// A session names all guilds of its shard, those that cannot be reached now included. One that we know and it does not name was left
    /// meanwhile, if Discord says so, too, when it is asked about it alone: forgetting cannot be undone.
    pub(super) async fn left_meanwhile(&self, ready: &Ready) -> Result<(), Unheard> {
        let (shard, total) = ready.shard.map_or((0, 1), |shard| (u64::from(shard.id.0), u64::from(shard.total.max(1))));
        let named: HashSet<i64> = ready.guilds.iter().map(|guild| number(guild.id)).collect();
        let is_its = |guild: i64| u64::try_from(guild).is_ok_and(|guild| (guild >> 22) % total == shard);
        for guild in store::guilds(&self.gateway.pool).await? {
            if named.contains(&guild) || !is_its(guild) {
                continue;
            }
            match self.gateway.discord.guild(id(guild)).await {
                Err(
                    DiscordError::NotFound { code: code::UNKNOWN_GUILD }
                    | DiscordError::Forbidden { code: code::MISSING_ACCESS, .. },
                ) => {
                    self.left(guild).await?;
                }
                Ok(_) => tracing::warn!(discord.guild = guild, "Discord did not name a guild that we are in"),
                // The next session looks again.
                Err(error) => {
                    tracing::info!(discord.guild = guild, %error, "whether we are still in a guild cannot be known now")
                }
            }
        }
        Ok(())
    }

    /// We are in a guild, perhaps again.
    pub(super) async fn back(&self, guild: &Guild) -> Result<(), Unheard> {
        let since = DateTime::from_timestamp(guild.joined_at.unix_timestamp(), 0).unwrap_or_default();
        forget::guild_back(&self.gateway.pool, number(guild.id), since).await?;
        Ok(())
    }

    /// We are no longer in a guild.
    pub(super) async fn left(&self, guild: i64) -> Result<(), Unheard> {
        lock(&self.channels).forget_guild(guild);
        lock(&self.pending).remove(&guild);
        self.forget_behind(|behind| behind.guild == Some(guild));
        let at = self.gateway.clock.now();
        tracing::info!(discord.guild = guild, "no longer in a guild; what was said there is forgotten");
        self.note(format!("guild:{guild}:left:{}", at.timestamp_millis()), "guild.left", intake::Event::Left(Left { guild, at }))
            .await
    }
}
