//! Answering Discord: the first answer to an interaction, and what follows under its token.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use serenity::model::application::MessageInteractionMetadata;
use serenity::model::channel::Message;

use super::super::client::{Call, Discord, Effect};
use super::super::{DiscordError, NewFile};
use crate::secret::{ExposeSecret, SecretString};

const ONLY_FOR_THEM: u64 = 1 << 6;
/// Discord takes a first answer for three seconds.
const ANSWERED_BY: TimeDelta = TimeDelta::minutes(1);
const WITHOUT_PREVIEWS: u64 = 1 << 2;

/// The first answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A message everybody sees.
    Message { content: String, file: Option<NewFile> },
    /// A message for who did it alone.
    Whisper(String),
    /// It was heard; the message they pressed on stays as it is.
    Heard,
    /// What they may mean.
    Choices(Vec<String>),
    /// Something to fill in.
    Modal(Value),
}

impl Answer {
    fn body(&self) -> Value {
        match self {
            Self::Message { content, file } => {
                let mut data = message(content, WITHOUT_PREVIEWS);
                if let Some(file) = file {
                    data["attachments"] = json!([{"id": "0", "filename": file.name}]);
                }
                json!({"type": 4, "data": data})
            }
            Self::Whisper(content) => json!({"type": 4, "data": message(content, ONLY_FOR_THEM | WITHOUT_PREVIEWS)}),
            Self::Heard => json!({"type": 6}),
            Self::Choices(names) => {
                let choices: Vec<Value> = names.iter().map(|name| json!({"name": name, "value": name})).collect();
                json!({"type": 8, "data": {"choices": choices}})
            }
            Self::Modal(modal) => json!({"type": 9, "data": modal}),
        }
    }

    fn files(&self) -> Vec<NewFile> {
        match self {
            Self::Message { file, .. } => file.iter().cloned().collect(),
            Self::Whisper(_) | Self::Heard | Self::Choices(_) | Self::Modal(_) => Vec::new(),
        }
    }
}

fn message(content: &str, flags: u64) -> Value {
    json!({"content": content, "flags": flags, "allowed_mentions": {"parse": []}})
}

/// The message that is the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub id: i64,
    /// Whether one person alone sees it.
    pub is_whisper: bool,
}

#[derive(Deserialize)]
struct Wire {
    id: serenity::model::id::MessageId,
    #[serde(default)]
    flags: u64,
}

impl From<Wire> for Original {
    fn from(wire: Wire) -> Self {
        Self { id: super::super::number(wire.id), is_whisper: wire.flags & ONLY_FOR_THEM != 0 }
    }
}

/// The interaction that a message answers.
fn answers(message: &Message) -> Option<i64> {
    let id = match message.interaction_metadata.as_deref()? {
        MessageInteractionMetadata::Command(command) => command.id,
        MessageInteractionMetadata::Component(component) => component.id,
        MessageInteractionMetadata::ModalSubmit(modal) => modal.id,
        // Of a newer kind.
        _ => return None,
    };
    Some(super::super::number(id))
}

#[derive(Default, Deserialize)]
struct Told {
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    message: Option<Wire>,
}

impl Discord {
    /// Gives the first answer; the message it made, where Discord says it.
    ///
    /// # Errors
    /// As the call; `Invalid` with [`super::super::code::ALREADY_ACKNOWLEDGED`] when there was one, `NotFound` when it comes too late.
    pub(super) async fn answer_interaction(
        &self,
        id: i64,
        token: &SecretString,
        answer: &Answer,
    ) -> Result<Option<Original>, DiscordError> {
        let path = format!("/interactions/{id}/{}/callback?with_response=true", token.expose_secret());
        let call = Call::post(path, answer.body(), Effect::Create).with_files(answer.files()).speaking_for_itself();
        let told: Told = self.call(&call).await?.json(Effect::Create).unwrap_or_default();
        Ok(told.resource.and_then(|resource| resource.message).map(Original::from))
    }

    /// The message that answers an interaction, found among ours in its channel when its token is no longer good; none when there is none
    /// that everybody sees.
    ///
    /// # Errors
    /// As the calls.
    pub(super) async fn late_answer(&self, interaction: i64, channel: i64) -> Result<Option<Original>, DiscordError> {
        // By Discord's own clock.
        let since = super::super::made_at(interaction.unsigned_abs());
        let ours = self.own_messages(super::super::id(channel), since, since + ANSWERED_BY).await?;
        let answer = ours.iter().find(|message| answers(message) == Some(interaction));
        Ok(answer.map(|message| Original { id: super::super::number(message.id), is_whisper: false }))
    }

    /// The message that is the answer; none when there is none.
    ///
    /// # Errors
    /// As the call; `Forbidden` when the token is too old.
    pub(super) async fn interaction_answer(
        &self,
        application: i64,
        token: &SecretString,
    ) -> Result<Option<Original>, DiscordError> {
        let path = format!("/webhooks/{application}/{}/messages/@original", token.expose_secret());
        match self.call(&Call::get(path).speaking_for_itself()).await {
            Ok(answer) => Ok(Some(answer.json::<Wire>(Effect::None)?.into())),
            Err(DiscordError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says something more, for who did it alone.
    ///
    /// # Errors
    /// As the call; final when the token is too old.
    pub(super) async fn whisper_after(&self, application: i64, token: &SecretString, content: &str) -> Result<(), DiscordError> {
        let path = format!("/webhooks/{application}/{}", token.expose_secret());
        let body = message(content, ONLY_FOR_THEM | WITHOUT_PREVIEWS);
        self.call(&Call::post(path, body, Effect::Create).speaking_for_itself()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_pings_anybody() {
        let none = json!({"parse": []});
        let public = Answer::Message { content: "**maya** asks: @everyone".into(), file: None }.body();
        assert_eq!((&public["data"]["allowed_mentions"], &public["data"]["flags"]), (&none, &json!(4)));
        let whisper = Answer::Whisper("No, <@1>.".into()).body();
        assert_eq!((&whisper["data"]["allowed_mentions"], &whisper["data"]["flags"]), (&none, &json!(68)));
    }
}
