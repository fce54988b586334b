//! Application commands: what they may look like, and what people may fill into them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::error::{Code, Problems, Refuse};
use super::mention::id_of;
use super::model::Id;
use super::world::World;

const MOST_COMMANDS: usize = 100;
const MOST_A_DAY: u64 = 200;
const MOST_OPTIONS: usize = 25;
const MOST_CHOICES: usize = 25;
const SUBCOMMAND: u64 = 1;
const GROUP: u64 = 2;

/// Measures a command.
pub(super) fn check(command: &Value, place: &str, problems: &mut Problems) {
    let at = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let kind = command["type"].as_u64().unwrap_or(1);
    let name = command["name"].as_str().unwrap_or_default();
    if kind == 1 {
        check_name(name, &at("name"), problems);
        text(command, "description", 1, 100, &at("description"), problems);
    } else if name.is_empty() || name.chars().count() > 32 {
        problems.length(&at("name"), 1, 32);
    }
    options(&command["options"], &at("options"), 0, problems);
}

/// Lower-case letters, numbers, `-`, `_` and `'`, up to 32 of them.
fn check_name(name: &str, place: &str, problems: &mut Problems) {
    if name.is_empty() || name.chars().count() > 32 {
        problems.length(place, 1, 32);
    }
    let fits = |c: char| c == '-' || c == '_' || c == '\'' || (c.is_alphanumeric() && c.to_lowercase().eq([c]));
    if !name.chars().all(fits) {
        problems.add(place, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid");
    }
}

fn text(of: &Value, name: &str, least: usize, most: usize, place: &str, problems: &mut Problems) {
    match of[name].as_str().map(|text| text.chars().count()) {
        None => problems.required(place),
        Some(length) if length < least || length > most => problems.length(place, least, most),
        Some(_) => {}
    }
}

fn options(all: &Value, place: &str, depth: usize, problems: &mut Problems) {
    let all = all.as_array().map_or(&[][..], Vec::as_slice);
    if all.len() > MOST_OPTIONS {
        problems.too_long(place, MOST_OPTIONS);
    }
    let mut names = BTreeSet::new();
    let mut optional = false;
    for (at, option) in all.iter().enumerate() {
        let place = format!("{place}.{at}");
        let name = option["name"].as_str().unwrap_or_default();
        check_name(name, &format!("{place}.name"), problems);
        text(option, "description", 1, 100, &format!("{place}.description"), problems);
        if !names.insert(name) {
            problems.add(&format!("{place}.name"), "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique");
        }
        let kind = option["type"].as_u64().unwrap_or(0);
        if !(1..=11).contains(&kind) || (kind == GROUP && depth > 0) || (kind == SUBCOMMAND && depth > 1) {
            problems.choice(&format!("{place}.type"), "(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)");
        }
        let required = option["required"].as_bool().unwrap_or(false);
        if required && optional {
            let text = "Required options must be placed before non-required options";
            problems.add(&place, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text);
        }
        optional |= !required;
        choices(option, &place, problems);
        options(&option["options"], &format!("{place}.options"), depth + 1, problems);
    }
}

fn choices(option: &Value, place: &str, problems: &mut Problems) {
    let choices = option["choices"].as_array().map_or(&[][..], Vec::as_slice);
    if choices.len() > MOST_CHOICES {
        problems.too_long(&format!("{place}.choices"), MOST_CHOICES);
    }
    if option["autocomplete"] == true && !choices.is_empty() {
        let text = "Autocomplete cannot be used with choices";
        problems.add(&format!("{place}.autocomplete"), "APPLICATION_COMMAND_OPTIONS_CHOICES_WITH_AUTOCOMPLETE", text);
    }
    for (at, choice) in choices.iter().enumerate() {
        text(choice, "name", 1, 100, &format!("{place}.choices.{at}.name"), problems);
        if choice["value"].is_null() {
            problems.required(&format!("{place}.choices.{at}.value"));
        }
    }
}

impl World {
    /// The commands of a guild, or of everywhere.
    pub fn commands(&self, guild: Option<Id>) -> &[Value] {
        self.commands.get(&guild).map_or(&[], Vec::as_slice)
    }

    /// Makes a command, in place of one with the same name. True when there was none.
    pub(super) fn make_command(&mut self, guild: Option<Id>, command: &Value) -> Result<(Value, bool), Refuse> {
        let mut problems = Problems::default();
        check(command, "", &mut problems);
        problems.finish()?;
        let same = |one: &&Value| one["name"] == command["name"] && kind_of(one) == kind_of(command);
        let before = self.commands(guild).iter().find(same).cloned();
        if before.is_none() {
            if self.commands(guild).len() >= MOST_COMMANDS {
                return Err(Code::TOO_MANY_COMMANDS.into());
            }
            self.count_new(1)?;
        }
        let made = self.dressed(guild, command, before.as_ref());
        self.take_command(guild, id_of(&made["id"]).unwrap_or_default());
        self.commands.entry(guild).or_default().push(made.clone());
        Ok((made, before.is_none()))
    }

    /// Two hundred a day may be new; here since the beginning.
    fn count_new(&mut self, new: u64) -> Result<(), Refuse> {
        if self.commands_made + new > MOST_A_DAY {
            let message = "Max number of daily application command creates has been reached (200)";
            return Err(Refuse::new(axum::http::StatusCode::BAD_REQUEST, 30034, message));
        }
        self.commands_made += new;
        Ok(())
    }

    /// Replaces all commands of a place. Those with a name that was there keep their number.
    pub(super) fn overwrite_commands(&mut self, guild: Option<Id>, all: &[Value]) -> Result<Vec<Value>, Refuse> {
        let mut problems = Problems::default();
        if all.len() > MOST_COMMANDS {
            return Err(Code::TOO_MANY_COMMANDS.into());
        }
        let mut names = BTreeSet::new();
        for (at, command) in all.iter().enumerate() {
            check(command, &at.to_string(), &mut problems);
            if !names.insert((kind_of(command), command["name"].to_string())) {
                let text = "Application command names must be unique";
                problems.add(&at.to_string(), "APPLICATION_COMMANDS_DUPLICATE_NAME", text);
            }
        }
        problems.finish()?;
        let before = self.commands(guild).to_vec();
        let known =
            |command: &Value| before.iter().find(|one| one["name"] == command["name"] && kind_of(one) == kind_of(command));
        self.count_new(all.iter().filter(|command| known(command).is_none()).count() as u64)?;
        let made: Vec<Value> = all.iter().map(|command| self.dressed(guild, command, known(command))).collect();
        self.commands.insert(guild, made.clone());
        Ok(made)
    }

    /// Changes a command.
    pub(super) fn change_command(&mut self, guild: Option<Id>, id: Id, change: &Value) -> Result<Value, Refuse> {
        let mut command = self.one_command(guild, id)?.clone();
        let before = command.clone();
        for (name, value) in change.as_object().into_iter().flatten() {
            command[name] = value.clone();
        }
        let mut problems = Problems::default();
        check(&command, "", &mut problems);
        problems.finish()?;
        let made = self.dressed(guild, &command, Some(&before));
        self.take_command(guild, id);
        self.commands.entry(guild).or_default().push(made.clone());
        Ok(made)
    }

    pub(super) fn one_command(&self, guild: Option<Id>, id: Id) -> Result<&Value, Refuse> {
        let found = self.commands(guild).iter().find(|command| id_of(&command["id"]) == Some(id));
        found.ok_or_else(|| Code::UNKNOWN_COMMAND.into())
    }

    /// Takes a command away. True when there was one.
    pub(super) fn take_command(&mut self, guild: Option<Id>, id: Id) -> bool {
        let all = self.commands.entry(guild).or_default();
        let before = all.len();
        all.retain(|command| id_of(&command["id"]) != Some(id));
        all.len() < before
    }

    fn dressed(&mut self, guild: Option<Id>, command: &Value, before: Option<&Value>) -> Value {
        let version = self.fresh();
        let id = before.and_then(|before| id_of(&before["id"])).unwrap_or_else(|| self.fresh());
        let or = |name: &str, usual: Value| if command[name].is_null() { usual } else { command[name].clone() };
        let mut made = json!({"id": id.to_string(), "application_id": self.app.id.to_string(), "version": version.to_string(),
            "default_member_permissions": command["default_member_permissions"], "type": kind_of(command),
            "name": command["name"], "description": or("description", "".into()), "nsfw": or("nsfw", false.into()),
            "integration_types": or("integration_types", json!([0])), "contexts": command["contexts"],
            "name_localizations": command["name_localizations"],
            "description_localizations": command["description_localizations"]});
        if let Some(options) = command["options"].as_array().filter(|options| !options.is_empty()) {
            made["options"] = options.iter().map(bare).collect();
        }
        match guild {
            Some(guild) => made["guild_id"] = guild.to_string().into(),
            None => made["dm_permission"] = or("dm_permission", true.into()),
        }
        made
    }

    /// The command of a name that somebody sees in a guild: the guild's own before that of everywhere.
    pub(super) fn command_named(&self, guild: Option<Id>, name: &str) -> Option<&Value> {
        let here = guild.map_or(&[][..], |guild| self.commands(Some(guild)));
        here.iter().chain(self.commands(None)).find(|command| command["name"] == name && kind_of(command) == 1)
    }
}

/// An option without what says nothing; Discord leaves that out.
fn bare(option: &Value) -> Value {
    let says = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    let parts = option.as_object().into_iter().flatten().filter(|(_, value)| says(value));
    let parts = parts.map(|(name, value)| {
        let inner = value.as_array().filter(|_| name == "options").map(|all| all.iter().map(bare).collect());
        (name.clone(), inner.unwrap_or_else(|| value.clone()))
    });
    Value::Object(parts.collect())
}

fn kind_of(command: &Value) -> u64 {
    command["type"].as_u64().unwrap_or(1)
}

/// What somebody filled in, in the shape the service is told; `focused` is the option still being typed. Names and kinds must
/// be those of the command, and nothing required may be missing, unless somebody is still typing.
pub(super) fn filled(options: &Value, given: &[(&str, Value)], focused: Option<&str>) -> Result<Vec<Value>, String> {
    let known = options.as_array().map_or(&[][..], Vec::as_slice);
    let mut filled = Vec::new();
    for (name, value) in given {
        let Some(option) = known.iter().find(|option| option["name"] == *name) else {
            return Err(format!("the command has no option {name}"));
        };
        let kind = option["type"].as_u64().unwrap_or(3);
        let fits = match kind {
            3 => value.is_string(),
            4 => value.is_i64() || value.is_u64(),
            5 => value.is_boolean(),
            10 => value.is_number(),
            _ => id_of(value).is_some(),
        };
        let typing = focused == Some(name);
        if !fits && !typing {
            return Err(format!("{value} does not fit the option {name}"));
        }
        let choices = option["choices"].as_array().filter(|choices| !choices.is_empty());
        if choices.is_some_and(|choices| !choices.iter().any(|choice| choice["value"] == *value)) {
            return Err(format!("{value} is none of the choices of {name}"));
        }
        let mut said = json!({"name": name, "type": kind, "value": value});
        if typing {
            if option["autocomplete"] != true {
                return Err(format!("the option {name} is not completed by the application"));
            }
            said["focused"] = true.into();
        }
        filled.push(said);
    }
    let missing =
        known.iter().find(|option| option["required"] == true && !given.iter().any(|(name, _)| option["name"] == *name));
    match missing.filter(|_| focused.is_none()) {
        Some(option) => Err(format!("the option {} is required", option["name"])),
        None => Ok(filled),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(command: Value) -> u64 {
        let mut problems = Problems::default();
        check(&command, "", &mut problems);
        problems.finish().map_or_else(|refuse| refuse.code(), |()| 0)
    }

    #[test]
    fn names_are_lower_case_and_descriptions_needed() {
        assert_eq!(refused(json!({"name": "ask", "description": "Ask"})), 0);
        assert_eq!(refused(json!({"name": "Ask", "description": "Ask"})), 50035);
        assert_eq!(refused(json!({"name": "ask it", "description": "Ask"})), 50035);
        assert_eq!(refused(json!({"name": "ask"})), 50035);
        assert_eq!(refused(json!({"name": "ask", "description": "x".repeat(101)})), 50035);
    }

    #[test]
    fn required_options_come_first_and_once() {
        let option = |name: &str, required: bool| json!({"type": 3, "name": name, "description": "x", "required": required});
        let command = |options: Vec<Value>| json!({"name": "ask", "description": "Ask", "options": options});
        assert_eq!(refused(command(vec![option("a", true), option("b", false)])), 0);
        assert_eq!(refused(command(vec![option("a", false), option("b", true)])), 50035);
        assert_eq!(refused(command(vec![option("a", true), option("a", true)])), 50035);
    }

    #[test]
    fn what_is_filled_in_must_fit() {
        let options = json!([{"type": 3, "name": "what", "required": true}, {"type": 4, "name": "n"}]);
        assert!(filled(&options, &[("what", "x".into()), ("n", 3.into())], None).is_ok());
        assert!(filled(&options, &[("n", 3.into())], None).is_err());
        assert!(filled(&options, &[("what", 3.into())], None).is_err());
        assert!(filled(&options, &[("who", "x".into())], None).is_err());
    }
}
