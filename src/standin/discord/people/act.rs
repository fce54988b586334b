//! Commands, buttons, selects and modals.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::super::DiscordStandin;
use super::super::command::filled;
use super::super::component::{self, BUTTON};
use super::super::interaction::{Answered, Interaction, InteractionKind, NewInteraction};
use super::super::model::Id;
use super::super::permission::Permissions;
use super::super::world::World;

impl DiscordStandin {
    /// Somebody uses a slash command with these options. Gives the interaction.
    ///
    /// # Errors
    /// When there is no such command there, an option does not fit or is missing, or they may use none.
    pub fn slash(&self, channel: Id, by: Id, command: &str, options: &[(&str, Value)]) -> anyhow::Result<Id> {
        self.use_command(channel, by, command, options, None)
    }

    /// Somebody is typing the option `focused` of a slash command. Gives the interaction.
    ///
    /// # Errors
    /// As [`DiscordStandin::slash`], and when the option is not completed by the application.
    pub fn autocomplete(
        &self,
        channel: Id,
        by: Id,
        command: &str,
        options: &[(&str, Value)],
        focused: &str,
    ) -> anyhow::Result<Id> {
        self.use_command(channel, by, command, options, Some(focused))
    }

    fn use_command(
        &self,
        channel: Id,
        by: Id,
        name: &str,
        options: &[(&str, Value)],
        focused: Option<&str>,
    ) -> anyhow::Result<Id> {
        self.act(|world| {
            let guild = world.seen(channel, by)?.0.guild;
            let may = world.permissions(channel, by).has(Permissions::USE_APPLICATION_COMMANDS);
            ensure!(may, "they may use no commands there");
            let command = world.command_named(guild, name).with_context(|| format!("there is no command {name} there"))?;
            ensure!(guild.is_some() || command["dm_permission"] != false, "the command {name} is not for direct messages");
            let options = filled(&command["options"], options, focused).map_err(anyhow::Error::msg)?;
            let mut data = json!({"id": command["id"], "name": name, "type": 1, "options": options});
            if !command["guild_id"].is_null() {
                data["guild_id"] = command["guild_id"].clone();
            }
            let kind = if focused.is_some() { InteractionKind::Autocomplete } else { InteractionKind::Command };
            Ok(world.interact(NewInteraction { kind, user: by, channel, message: None, data }))
        })
    }

    /// Somebody presses the button with this custom id on a message. Gives the interaction.
    ///
    /// # Errors
    /// When they see no such message, or it has no such button that can be pressed.
    pub fn press(&self, message: Id, by: Id, custom_id: &str) -> anyhow::Result<Id> {
        self.act(|world| {
            let button = world.pressable(message, by, custom_id)?;
            ensure!(button["type"] == BUTTON, "{custom_id} is no button");
            world.touch(message, by, json!({"custom_id": custom_id, "component_type": BUTTON}))
        })
    }

    /// Somebody presses the button with this label on a message. Gives the interaction.
    ///
    /// # Errors
    /// As [`DiscordStandin::press`].
    pub fn press_labelled(&self, message: Id, by: Id, label: &str) -> anyhow::Result<Id> {
        let id = self.world(|world| {
            let rows = &world.message(message)?.components;
            let all = rows.iter().flat_map(|row| row["components"].as_array().into_iter().flatten());
            all.filter(|one| one["label"] == label).find_map(|one| one["custom_id"].as_str().map(str::to_owned))
        });
        self.press(message, by, &id.with_context(|| format!("the message has no button {label}"))?)
    }

    /// Somebody chooses in a select. Gives the interaction.
    ///
    /// # Errors
    /// When there is no such select, or it has no such values.
    pub fn choose(&self, message: Id, by: Id, custom_id: &str, values: &[&str]) -> anyhow::Result<Id> {
        self.act(|world| {
            let select = world.pressable(message, by, custom_id)?;
            let kind = select["type"].as_u64().unwrap_or(0);
            ensure!(kind != BUTTON, "{custom_id} is a button");
            let options = select["options"].as_array().cloned().unwrap_or_default();
            let known = |value: &str| kind != component::STRING_SELECT || options.iter().any(|one| one["value"] == value);
            ensure!(values.iter().all(|value| known(value)), "{values:?} are not all among the options");
            let mut data = json!({"custom_id": custom_id, "component_type": kind, "values": values});
            if kind != component::STRING_SELECT {
                data["resolved"] = json!({});
            }
            world.touch(message, by, data)
        })
    }

    /// Somebody fills in the modal they were shown in answer to an interaction, and sends it. Gives the new interaction.
    ///
    /// # Errors
    /// When they were shown none, or a value fits no input or is missing or too long.
    pub fn submit(&self, shown: Id, values: &[(&str, &str)]) -> anyhow::Result<Id> {
        self.act(|world| {
            let from = world.interaction(shown).context("there is no such interaction")?.clone();
            let Some((Answered::Modal(modal), _)) = &from.answered else { anyhow::bail!("there was no modal") };
            let inputs = component::modal_inputs(modal);
            for (id, _) in values {
                ensure!(inputs.iter().any(|input| input["custom_id"] == *id), "the modal has no input {id}");
            }
            let mut rows = Vec::new();
            for input in inputs {
                let given = values.iter().find(|(id, _)| input["custom_id"] == *id).map(|(_, value)| *value);
                rows.push(json!({"type": 1, "components": [fill(input, given)?]}));
            }
            let data = json!({"custom_id": modal["custom_id"], "components": rows});
            let (user, channel, message) = (from.user, from.channel, from.message);
            Ok(world.interact(NewInteraction { kind: InteractionKind::Modal, user, channel, message, data }))
        })
    }

    /// An interaction as it stands.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn interaction(&self, id: Id) -> anyhow::Result<Interaction> {
        self.world(|world| world.interaction(id).cloned()).with_context(|| format!("there is no interaction {id}"))
    }
}

fn fill(input: &Value, given: Option<&str>) -> anyhow::Result<Value> {
    let id = &input["custom_id"];
    let value = given.or(input["value"].as_str()).unwrap_or_default();
    let length = value.chars().count() as u64;
    ensure!(length > 0 || input["required"] == false, "the input {id} is required");
    ensure!(length <= input["max_length"].as_u64().unwrap_or(4000), "{id} is too long");
    ensure!(length == 0 || length >= input["min_length"].as_u64().unwrap_or(0), "{id} is too short");
    Ok(json!({"type": component::TEXT_INPUT, "custom_id": id, "value": value}))
}

impl World {
    fn pressable(&self, message: Id, by: Id, custom_id: &str) -> anyhow::Result<Value> {
        let message = self.message(message).context("there is no such message")?;
        self.seen(message.channel, by)?;
        ensure!(message.only_for.is_none_or(|only| only == by), "they do not see this message");
        let found = component::find(&message.components, custom_id).with_context(|| format!("there is no {custom_id} on it"))?;
        ensure!(found["disabled"] != true, "{custom_id} is disabled");
        Ok(found.clone())
    }

    fn touch(&mut self, message: Id, by: Id, data: Value) -> anyhow::Result<Id> {
        let channel = self.message(message).context("there is no such message")?.channel;
        Ok(self.interact(NewInteraction { kind: InteractionKind::Component, user: by, channel, message: Some(message), data }))
    }
}
