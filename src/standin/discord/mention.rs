//! Who is named in a text, and whom of those it may ping.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::{Problems, Refuse};
use super::model::{Channel, Id, Pings};
use super::permission::Permissions;
use super::world::World;

/// Whom a message may ping, as its sender says.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// None: everybody it names.
    only: Option<Only>,
}

#[derive(Clone, Debug, Default)]
struct Only {
    everyone: bool,
    all_roles: bool,
    all_users: bool,
    roles: BTreeSet<Id>,
    users: BTreeSet<Id>,
    replied: bool,
}

impl Allowed {
    /// Reads `allowed_mentions`.
    pub fn read(body: &Value) -> Result<Self, Refuse> {
        let said = &body["allowed_mentions"];
        if said.is_null() {
            return Ok(Self::default());
        }
        let mut problems = Problems::default();
        let words: Vec<&str> = said["parse"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if words.iter().any(|word| !["roles", "users", "everyone"].contains(word)) {
            problems.choice("allowed_mentions.parse", "('roles', 'users', 'everyone')");
        }
        let mut list = |name: &str| {
            let ids = &said[name];
            if words.contains(&name) && ids.as_array().is_some_and(|ids| !ids.is_empty()) {
                let text = format!("parse:[\"{name}\"] and {name}: [ids...] are mutually exclusive.");
                problems.add("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", text);
            }
            if ids.as_array().is_some_and(|ids| ids.len() > 100) {
                problems.too_long(&format!("allowed_mentions.{name}"), 100);
            }
            ids.as_array().into_iter().flatten().filter_map(id_of).collect::<BTreeSet<Id>>()
        };
        let (roles, users) = (list("roles"), list("users"));
        problems.finish()?;
        let only = Only {
            everyone: words.contains(&"everyone"),
            all_roles: words.contains(&"roles"),
            all_users: words.contains(&"users"),
            roles,
            users,
            replied: said["replied_user"].as_bool().unwrap_or(false),
        };
        Ok(Self { only: Some(only) })
    }

    fn everyone(&self) -> bool {
        self.only.as_ref().is_none_or(|only| only.everyone)
    }

    fn role(&self, id: Id) -> bool {
        self.only.as_ref().is_none_or(|only| only.all_roles || only.roles.contains(&id))
    }

    fn user(&self, id: Id) -> bool {
        self.only.as_ref().is_none_or(|only| only.all_users || only.users.contains(&id))
    }

    fn replied(&self) -> bool {
        self.only.as_ref().is_none_or(|only| only.replied)
    }
}

/// A snowflake in JSON: a string, or a number where somebody is careless.
pub(super) fn id_of(value: &Value) -> Option<Id> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What a text names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    everyone: bool,
    roles: Vec<Id>,
    users: Vec<Id>,
}

/// Nobody is named in code.
fn named(text: &str) -> Named {
    let mut named = Named::default();
    for (at, part) in text.split("```").enumerate() {
        for (at, part) in part.split('`').enumerate().filter(|_| at % 2 == 0) {
            if at % 2 == 0 {
                name_in(part, &mut named);
            }
        }
    }
    named
}

fn name_in(text: &str, named: &mut Named) {
    named.everyone |= text.contains("@everyone") || text.contains("@here");
    for piece in text.split("<@").skip(1) {
        let Some((inside, _)) = piece.split_once('>') else { continue };
        let (list, digits) = match inside.strip_prefix('&') {
            Some(role) => (&mut named.roles, role),
            None => (&mut named.users, inside.strip_prefix('!').unwrap_or(inside)),
        };
        if let Some(id) = digits.parse().ok().filter(|id| !list.contains(id)) {
            list.push(id);
        }
    }
}

impl World {
    /// Whom a text by somebody reaches in a channel. `reply_to` is whose message it answers.
    pub(super) fn pings(&self, channel: &Channel, by: Id, text: &str, reply_to: Option<Id>, allowed: &Allowed) -> Pings {
        let named = named(text);
        let may = self.permissions_in(channel, by).has(Permissions::MENTION_EVERYONE);
        let guild = channel.guild.and_then(|id| self.guilds.get(&id));
        let role = |id: &Id| guild.and_then(|guild| guild.roles.get(id)).filter(|role| may || role.mentionable);
        let mut users: Vec<Id> = named.users.into_iter().filter(|id| self.users.contains_key(id) && allowed.user(*id)).collect();
        if let Some(to) = reply_to.filter(|to| allowed.replied() && !users.contains(to)) {
            users.push(to);
        }
        Pings {
            everyone: guild.is_some() && named.everyone && may && allowed.everyone(),
            roles: named.roles.into_iter().filter(|id| role(id).is_some() && allowed.role(*id)).collect(),
            users,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn code_names_nobody() {
        let found = named("hi <@1> <@!2> `<@3>` ```\n@everyone <@&4>\n``` <@&5> <@x> <@1>");
        assert_eq!(found, Named { everyone: false, roles: vec![5], users: vec![1, 2] });
    }

    #[test]
    fn an_empty_list_allows_nobody() {
        let none = Allowed::read(&json!({"allowed_mentions": {"parse": []}})).unwrap();
        assert!(!none.everyone() && !none.user(1) && !none.role(1) && !none.replied());
        let all = Allowed::read(&json!({})).unwrap();
        assert!(all.everyone() && all.user(1) && all.role(1) && all.replied());
        let wrong = Allowed::read(&json!({"allowed_mentions": {"parse": ["users"], "users": ["1"]}}));
        assert_eq!(wrong.unwrap_err().code(), 50035);
    }
}
