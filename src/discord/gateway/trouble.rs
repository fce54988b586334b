//! Why there is no connection to Discord's gateway, or nothing to be understood on it, in words for whoever runs the service.

use std::time::Duration;

use serenity::gateway::GatewayError;
use url::Url;

use crate::discord::{Discord, DiscordError};

/// How long until it is tried again where only a person can help: sessions are counted, and a token is reset that begins too many. Whether
/// somebody did help is asked for in between, which costs none.
const UNTIL_HELPED: Duration = Duration::from_secs(300);
/// The same after what passes by itself; doubled each time.
const SOON: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// Discord says when sessions can be begun again; not believed beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What stands in the way of a connection, or of understanding what is told on it.
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
    /// Connected, but what people say arrives empty unless it mentions us.
    #[error(
        "What people say on Discord arrives empty, as it does without the Message Content Intent: only mentions are heard. Switch it on in \
         the developer portal, Bot → Privileged Gateway Intents → Message Content Intent."
    )]
    Empty,
    /// A server that is not Discord's names Discord's gateway, which would be told the token.
    #[error(
        "DISCORD_API_URL is not Discord's own, but names Discord's gateway ({0}), which is not contacted then. Let that server answer \
         /gateway/bot with an address of its own, or unset DISCORD_API_URL."
    )]
    ForeignGateway(String),
    /// Too many sessions were begun today.
    #[error("Discord lets a bot connect only so often in a day; it may again in {} min. Look in the log for what ends the connections.", .0.as_secs() / 60 + 1)]
    Sessions(Duration),
    /// Anything that passes by itself.
    #[error("There is no connection to Discord: {0}. It is tried again.")]
    Passing(String),
}

impl Trouble {
    /// How long to wait before another attempt, after so many in a row that failed.
    pub fn pause(&self, failures: u32) -> Duration {
        match self {
            Self::Token | Self::UnknownIntents | Self::MessageContent | Self::Empty | Self::ForeignGateway(_) => UNTIL_HELPED,
            Self::Sessions(span) => (*span).clamp(SOON, LONGEST_WAIT),
            Self::Passing(_) => SOON.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST),
        }
    }

    /// True where it stays until a person does something.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Token | Self::UnknownIntents | Self::MessageContent | Self::Empty | Self::ForeignGateway(_) => true,
            Self::Sessions(_) | Self::Passing(_) => false,
        }
    }

    /// Whether Discord says that it is no more, as far as that can be known without beginning a session.
    pub(super) async fn is_over(&self, discord: &Discord) -> bool {
        match self {
            Self::Token => discord.bot().await.is_ok(),
            Self::MessageContent => discord.application().await.is_ok_and(|application| application.has_message_content()),
            Self::ForeignGateway(_) => match discord.gateway().await {
                Ok(gateway) => Self::of_address(discord, &gateway.url).is_none(),
                Err(_) => false,
            },
            Self::UnknownIntents | Self::Empty | Self::Sessions(_) | Self::Passing(_) => false,
        }
    }

    pub(super) fn of_call(error: &DiscordError) -> Self {
        match error {
            DiscordError::Unauthorized => Self::Token,
            other => Self::Passing(other.to_string()),
        }
    }

    pub(super) fn of_gateway(error: &GatewayError) -> Self {
        match error {
            GatewayError::InvalidAuthentication | GatewayError::NoAuthentication => Self::Token,
            GatewayError::InvalidGatewayIntents => Self::UnknownIntents,
            GatewayError::DisallowedGatewayIntents => Self::MessageContent,
            other => Self::Passing(other.to_string()),
        }
    }

    /// Discord's own gateway is for those who talk to Discord itself.
    pub(super) fn of_address(discord: &Discord, gateway: &Url) -> Option<Self> {
        let base = Url::parse(discord.base()).ok()?;
        let foreign = is_discords(gateway) && !is_discords(&base);
        foreign.then(|| Self::ForeignGateway(gateway.host_str().unwrap_or_default().to_owned()))
    }
}

fn is_discords(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default();
    ["discord.com", "discord.gg", "discordapp.com"].iter().any(|own| host == *own || host.ends_with(&format!(".{own}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_person_can_mend_is_not_hurried_and_what_passes_is_less_and_less() {
        for trouble in [Trouble::Token, Trouble::UnknownIntents, Trouble::MessageContent] {
            assert!(trouble.needs_a_person() && trouble.pause(1) == UNTIL_HELPED);
        }
        let passing = Trouble::Passing("x".into());
        let pauses: Vec<u64> = [1, 2, 3, 40].map(|failures| passing.pause(failures).as_secs()).into();
        assert_eq!(pauses, [5, 10, 20, 300]);
        assert_eq!(Trouble::Sessions(Duration::ZERO).pause(1), SOON);
    }

    #[test]
    fn every_trouble_names_its_code_and_where_it_is_mended() {
        for (trouble, code, remedy) in [
            (Trouble::Token, "4004", "DISCORD_TOKEN"),
            (Trouble::UnknownIntents, "4013", "update"),
            (Trouble::MessageContent, "4014", "Message Content Intent"),
        ] {
            let said = trouble.to_string();
            assert!(said.contains(code) && said.contains(remedy), "{said}");
        }
    }
}
