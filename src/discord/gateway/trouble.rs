//! Why there is no connection to Discord's gateway, in words for whoever runs the service.

use std::time::Duration;

use serenity::gateway::GatewayError;

use crate::discord::DiscordError;

/// How long until it is tried again where only a person can help.
const UNTIL_HELPED: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(5);

/// What stands in the way of a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The token is wrong; close code 4004.
    #[error(
        "Discord refuses the bot token (4004). Copy it anew from the developer portal, Bot → Reset Token, into DISCORD_TOKEN."
    )]
    Token,
    /// We ask for events that do not exist; close code 4013.
    #[error("Discord does not know one of the intents we ask for (4013). This version is too old for it: update Threadbox.")]
    UnknownIntents,
    /// The Message Content Intent is off; close code 4014.
    #[error(
        "The Message Content Intent is off (4014), so people cannot be understood. Switch it on in the developer portal, Bot → Privileged \
         Gateway Intents → Message Content Intent."
    )]
    MessageContent,
    /// Too many sessions were begun today.
    #[error("Discord lets a bot connect only so often in a day; it may again in {} min. Look in the log for what ends the connections.", .0.as_secs() / 60 + 1)]
    Sessions(Duration),
    /// Anything that passes by itself.
    #[error("There is no connection to Discord: {0}. It is tried again.")]
    Passing(String),
}

impl Trouble {
    /// How long to wait before another attempt.
    pub fn pause(&self) -> Duration {
        match self {
            Self::Token | Self::UnknownIntents | Self::MessageContent => UNTIL_HELPED,
            Self::Sessions(span) => *span,
            Self::Passing(_) => SOON,
        }
    }

    /// True where it stays until a person does something.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Token | Self::UnknownIntents | Self::MessageContent => true,
            Self::Sessions(_) | Self::Passing(_) => false,
        }
    }

    pub(super) fn of_call(error: &DiscordError) -> Self {
        match error {
            DiscordError::Unauthorized => Self::Token,
            other => Self::Passing(other.to_string()),
        }
    }

    pub(super) fn of_gateway(error: &serenity::Error) -> Self {
        match error {
            serenity::Error::Gateway(GatewayError::InvalidAuthentication | GatewayError::NoAuthentication) => Self::Token,
            serenity::Error::Gateway(GatewayError::InvalidGatewayIntents) => Self::UnknownIntents,
            serenity::Error::Gateway(GatewayError::DisallowedGatewayIntents) => Self::MessageContent,
            other => Self::Passing(other.to_string()),
        }
    }
}
