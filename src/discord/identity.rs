//! Who we are on Discord, what our application's settings say, and where the gateway is.

use serde::Deserialize;
use serenity::model::id::{ApplicationId, UserId};
use url::Url;

use super::client::{Call, Discord, Effect};
use super::error::DiscordError;

/// The bot's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bot {
    /// Its id.
    pub id: UserId,
    /// Its name, without discriminator.
    #[serde(rename = "username")]
    pub name: String,
}

/// The application behind the bot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its name.
    pub name: String,
    /// Whether others can add it to their servers.
    #[serde(default)]
    pub bot_public: bool,
    #[serde(default)]
    flags: u64,
}

impl Application {
    /// Whether the Message Content Intent is switched on, limited or not. Without it messages that do not mention us are empty.
    pub fn has_message_content(&self) -> bool {
        self.flags & (1 << 18 | 1 << 19) != 0
    }

    /// Whether the Server Members Intent is switched on, limited or not.
    pub fn has_guild_members(&self) -> bool {
        self.flags & (1 << 14 | 1 << 15) != 0
    }
}

/// Where the gateway is, and how one should connect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub url: Url,
    /// How many connections Discord recommends.
    pub shards: u32,
    session_start_limit: SessionStarts,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct SessionStarts {
    remaining: u32,
    reset_after: u64,
    max_concurrency: u32,
}

impl Gateway {
    /// How many sessions may still be begun before the limit resets.
    pub fn sessions_left(&self) -> u32 {
        self.session_start_limit.remaining
    }

    /// When that limit resets, from now.
    pub fn resets_in(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.session_start_limit.reset_after)
    }

    /// How many may identify within five seconds.
    pub fn max_concurrency(&self) -> u32 {
        self.session_start_limit.max_concurrency
    }
}

impl Discord {
    /// Who we are, as Discord says now.
    ///
    /// # Errors
    /// As the call; `Unauthorized` when the token is wrong.
    pub async fn bot(&self) -> Result<Bot, DiscordError> {
        self.call(&Call::get("/users/@me")).await?.json(Effect::None)
    }

    /// Who we are, asked once.
    ///
    /// # Errors
    /// As [`Discord::bot`].
    pub async fn known_bot(&self) -> Result<&Bot, DiscordError> {
        self.us.get_or_try_init(|| self.bot()).await
    }

    /// Our application.
    ///
    /// # Errors
    /// As the call.
    pub async fn application(&self) -> Result<Application, DiscordError> {
        self.call(&Call::get("/applications/@me")).await?.json(Effect::None)
    }

    /// Where the gateway is.
    ///
    /// # Errors
    /// As the call.
    pub async fn gateway(&self) -> Result<Gateway, DiscordError> {
        self.call(&Call::get("/gateway/bot")).await?.json(Effect::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_on_whether_it_is_limited_or_not() {
        let with = |flags| Application { id: ApplicationId::new(1), name: String::new(), bot_public: false, flags };
        assert!(with(1 << 18).has_message_content() && with(1 << 19).has_message_content());
        assert!(with(1 << 14).has_guild_members() && !with(1 << 14).has_message_content());
    }
}
