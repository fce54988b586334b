//! From serenity's interaction to what we use of it. Pure.

use chrono::{DateTime, Utc};
use serenity::model::application::{
    ActionRowComponent, CommandDataOptionValue, CommandInteraction, ComponentInteraction, Interaction, ModalInteraction,
};
use serenity::model::channel::{ChannelType, PartialChannel};
use serenity::model::guild::Member;
use serenity::model::id::{ChannelId, GuildId};
use serenity::model::user::User;

use super::super::command::translate::{Filled, Options};
use super::super::{made_at, number};
use crate::intake::{Author, Place};
use crate::secret::{SecretString, secret};

/// Something somebody did that waits for an answer.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Its number, which is the delivery's id.
    pub id: i64,
    /// The application it is for.
    pub application: i64,
    /// What it is answered with.
    pub token: SecretString,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Where.
    pub spot: Spot,
    /// Who.
    pub person: Author,
    /// Their roles there.
    pub roles: Vec<i64>,
    /// What.
    pub what: What,
}

/// Where something was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The guild; none in direct messages.
    pub guild: Option<i64>,
    /// The channel, thread or conversation with one person.
    pub channel: i64,
    /// Of a thread or post: what it is in.
    pub parent: Option<i64>,
    /// True for threads and posts.
    pub is_thread: bool,
    /// Its name; empty in direct messages.
    pub name: String,
}

impl Spot {
    /// True where what is said belongs to a conversation without more: in threads, posts and direct messages.
    pub fn is_conversation(&self) -> bool {
        self.is_thread || self.guild.is_none()
    }

    /// The conversation, as far as it is known before there is a message to open a thread from.
    pub fn place(&self, person: i64) -> Place {
        Place::Discord {
            guild: self.guild,
            channel: self.channel,
            parent: self.parent.filter(|_| self.is_thread),
            opening: None,
            person: self.guild.is_none().then_some(person),
            repository: None,
            apart: None,
        }
    }

    /// Where people read a message.
    pub fn link(&self, message: Option<i64>) -> String {
        let guild = self.guild.map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
        let message = message.map(|message| format!("/{message}")).unwrap_or_default();
        format!("https://discord.com/channels/{guild}/{}{message}", self.channel)
    }
}

/// What somebody did.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Used a command.
    Command {
        /// Its name.
        name: String,
        /// What was filled in.
        options: Options,
    },
    /// Types an option.
    Typing {
        /// The option.
        option: String,
        /// What is there so far.
        typed: String,
    },
    /// Pressed a button.
    Pressed {
        /// What the button says of itself.
        custom_id: String,
        /// The message it is on.
        message: i64,
    },
    /// Sent a modal.
    Filled {
        /// What the modal says of itself.
        custom_id: String,
        /// The values of its fields by their names.
        fields: Vec<(String, String)>,
    },
}

/// What an interaction is; none for what is none of ours, such as a ping.
pub(super) fn read(interaction: &Interaction) -> Option<Heard> {
    match interaction {
        Interaction::Command(command) => {
            let what = What::Command { name: command.data.name.clone(), options: options(command) };
            Some(of_command(command, what))
        }
        Interaction::Autocomplete(command) => {
            let focused = command.data.autocomplete()?;
            let what = What::Typing { option: focused.name.to_owned(), typed: focused.value.to_owned() };
            Some(of_command(command, what))
        }
        Interaction::Component(component) => Some(of_component(component)),
        Interaction::Modal(modal) => Some(of_modal(modal)),
        _ => None,
    }
}

fn of_command(command: &CommandInteraction, what: What) -> Heard {
    let spot = spot(command.guild_id, command.channel_id, command.channel.as_ref());
    Heard {
        id: number(command.id),
        application: number(command.application_id),
        token: secret(command.token.as_str()),
        at: made_at(command.id),
        spot,
        person: person(&command.user),
        roles: roles(command.member.as_deref()),
        what,
    }
}

fn of_component(component: &ComponentInteraction) -> Heard {
    let what = What::Pressed { custom_id: component.data.custom_id.clone(), message: number(component.message.id) };
    Heard {
        id: number(component.id),
        application: number(component.application_id),
        token: secret(component.token.as_str()),
        at: made_at(component.id),
        spot: spot(component.guild_id, component.channel_id, component.channel.as_ref()),
        person: person(&component.user),
        roles: roles(component.member.as_ref()),
        what,
    }
}

fn of_modal(modal: &ModalInteraction) -> Heard {
    let inputs = modal.data.components.iter().flat_map(|row| &row.components).filter_map(|component| match component {
        ActionRowComponent::InputText(input) => Some((input.custom_id.clone(), input.value.clone().unwrap_or_default())),
        _ => None,
    });
    let what = What::Filled { custom_id: modal.data.custom_id.clone(), fields: inputs.collect() };
    Heard {
        id: number(modal.id),
        application: number(modal.application_id),
        token: secret(modal.token.as_str()),
        at: made_at(modal.id),
        spot: spot(modal.guild_id, modal.channel_id, modal.channel.as_ref()),
        person: person(&modal.user),
        roles: roles(modal.member.as_ref()),
        what,
    }
}

fn spot(guild: Option<GuildId>, channel: ChannelId, about: Option<&PartialChannel>) -> Spot {
    let is_thread = about.is_some_and(|channel| {
        matches!(channel.kind, ChannelType::PublicThread | ChannelType::PrivateThread | ChannelType::NewsThread)
    });
    Spot {
        guild: guild.map(number),
        channel: number(channel),
        parent: about.and_then(|channel| channel.parent_id).filter(|_| is_thread).map(number),
        is_thread,
        name: about.and_then(|channel| channel.name.clone()).unwrap_or_default(),
    }
}

fn person(user: &User) -> Author {
    Author { id: number(user.id), login: user.name.clone(), is_bot: user.bot }
}

fn roles(member: Option<&Member>) -> Vec<i64> {
    member.iter().flat_map(|member| &member.roles).map(|role| number(*role)).collect()
}

fn options(command: &CommandInteraction) -> Options {
    let filled = command.data.options.iter().filter_map(|option| {
        let value = match &option.value {
            CommandDataOptionValue::String(text) => Filled::Text(text.clone()),
            CommandDataOptionValue::Integer(number) => Filled::Number(*number as f64),
            CommandDataOptionValue::Number(number) => Filled::Number(*number),
            _ => return None,
        };
        Some((option.name.clone(), value))
    });
    filled.collect()
}
