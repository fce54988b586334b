//! Interactions: somebody uses a command, presses, chooses or fills in; the service has three seconds for its first answer and
//! fifteen minutes for the rest.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::body::Said;
use super::component;
use super::draft::{Change, Draft, Flags};
use super::error::{Code, Problems, Refuse};
use super::model::{EPHEMERAL, Id, LOADING};
use super::shape::{Content, bits};
use super::world::World;

/// How long the first answer may take.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(3);
/// How long a token is good.
const TOKEN: TimeDelta = TimeDelta::minutes(15);
const MOST_CHOICES: usize = 25;

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InteractionKind {
    /// Used a slash command.
    Command,
    /// Pressed a button or chose in a select.
    Component,
    /// Is still typing an option.
    Autocomplete,
    /// Sent a modal.
    Modal,
}

impl InteractionKind {
    fn number(self) -> u8 {
        match self {
            Self::Command => 2,
            Self::Component => 3,
            Self::Autocomplete => 4,
            Self::Modal => 5,
        }
    }
}

/// The first answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// With a message, perhaps for one person's eyes.
    Message {
        /// Whether only they see it.
        ephemeral: bool,
    },
    /// That there will be a message.
    Deferred {
        /// Whether only they will see it.
        ephemeral: bool,
    },
    /// That it was heard; the message they pressed on stays as it is for now.
    DeferredUpdate,
    /// By changing the message they pressed on.
    Update,
    /// With what they may mean.
    Choices(Vec<Value>),
    /// With something to fill in.
    Modal(Value),
}

/// Something somebody did that waits for an answer, or has one.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// Its number.
    pub id: Id,
    /// What it is.
    pub kind: InteractionKind,
    /// Who did it.
    pub user: Id,
    /// Where.
    pub channel: Id,
    /// In which guild.
    pub guild: Option<Id>,
    /// The message it was done on.
    pub message: Option<Id>,
    /// Its data as the service was told.
    pub data: Value,
    /// The first answer, and when it came.
    pub answered: Option<(Answered, DateTime<Utc>)>,
    /// The message that is its answer.
    pub original: Option<Id>,
    /// Further messages.
    pub followups: Vec<Id>,
    /// Answers that came when it was too late, or a second time.
    pub refused: usize,
    /// When it was done.
    pub at: DateTime<Utc>,
    token: String,
}

impl Interaction {
    /// What the person sees when nothing came in time: that the application did not respond.
    pub fn failed(&self, now: DateTime<Utc>) -> bool {
        self.answered.is_none() && now - self.at > PATIENCE
    }

    /// How long the first answer took.
    pub fn took(&self) -> Option<TimeDelta> {
        self.answered.as_ref().map(|(_, at)| *at - self.at)
    }
}

/// What is to be told to the service.
pub(super) struct NewInteraction {
    pub kind: InteractionKind,
    pub user: Id,
    pub channel: Id,
    pub message: Option<Id>,
    pub data: Value,
}

impl World {
    /// An interaction by number.
    pub fn interaction(&self, id: Id) -> Option<&Interaction> {
        self.interactions.get(&id)
    }

    /// Interactions nobody answered in time, by the world's clock.
    pub fn failed_interactions(&self) -> Vec<&Interaction> {
        let now = self.now();
        self.interactions.values().filter(|one| one.failed(now)).collect()
    }

    /// Lets somebody do something.
    pub(super) fn interact(&mut self, new: NewInteraction) -> Id {
        let id = self.fresh();
        let NewInteraction { kind, user, channel, message, data } = new;
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        let token = format!("interaction-{}", uuid::Uuid::now_v7().simple());
        let at = self.now();
        let interaction = Interaction {
            id,
            kind,
            user,
            channel,
            guild,
            message,
            data,
            answered: None,
            original: None,
            followups: Vec::new(),
            refused: 0,
            at,
            token,
        };
        let json = self.interaction_json(&interaction);
        self.interactions.insert(id, interaction);
        self.emit_interaction(json, guild);
        id
    }

    fn interaction_json(&self, of: &Interaction) -> Value {
        let us = self.us();
        let mut json = json!({"id": of.id.to_string(), "application_id": us.to_string(), "type": of.kind.number(),
            "data": of.data, "channel_id": of.channel.to_string(), "token": of.token, "version": 1, "locale": "en-US",
            "entitlements": [], "context": if of.guild.is_some() { 0 } else { 1 },
            "app_permissions": bits(self.permissions(of.channel, us)),
            "authorizing_integration_owners": self.owners(of)});
        if let Some(channel) = self.channels.get(&of.channel) {
            let mut place = self.channel_json(channel);
            place["permissions"] = bits(self.permissions_in(channel, of.user)).into();
            json["channel"] = place;
            json["attachment_size_limit"] = self.largest_file(channel).into();
        }
        match of.guild.and_then(|id| self.guilds.get(&id)) {
            Some(guild) => {
                let mut member = self.member_json(guild, of.user).unwrap_or_default();
                member["permissions"] = bits(self.permissions(of.channel, of.user)).into();
                json["member"] = member;
                json["guild_id"] = guild.id.to_string().into();
                json["guild_locale"] = "en-US".into();
                json["guild"] = json!({"id": guild.id.to_string(), "locale": "en-US", "features": []});
            }
            None => json["user"] = self.user_json(of.user),
        }
        if let Some(message) = of.message.and_then(|id| self.messages.get(&of.channel)?.get(&id)) {
            json["message"] = self.message_json(message, Content::Shown);
        }
        json
    }

    fn owners(&self, of: &Interaction) -> Value {
        json!({"0": of.guild.map_or_else(|| "0".to_owned(), |id| id.to_string())})
    }

    pub(super) fn interaction_metadata(&self, of: &Interaction) -> Value {
        let mut json = json!({"id": of.id.to_string(), "type": of.kind.number(), "user": self.user_json(of.user),
            "authorizing_integration_owners": self.owners(of)});
        match (of.kind, of.message) {
            (InteractionKind::Component, Some(message)) => json["interacted_message_id"] = message.to_string().into(),
            (InteractionKind::Modal, _) => {
                let from = json!({"id": of.id.to_string(), "type": 2, "user": self.user_json(of.user),
                    "authorizing_integration_owners": self.owners(of)});
                json["triggering_interaction_metadata"] = from;
            }
            _ => {}
        }
        json
    }

    /// Takes the first answer. Gives the message it made or changed.
    pub(super) fn answer(&mut self, id: Id, token: &str, said: &Said) -> Result<Option<Id>, Refuse> {
        let now = self.now();
        let known = self.interactions.get_mut(&id).filter(|known| known.token == token);
        let Some(known) = known else { return Err(Code::UNKNOWN_INTERACTION.into()) };
        if known.answered.is_some() {
            known.refused += 1;
            return Err(Code::ALREADY_ACKNOWLEDGED.into());
        }
        if known.failed(now) {
            known.refused += 1;
            return Err(Code::UNKNOWN_INTERACTION.into());
        }
        let known = known.clone();
        let body = said.object()?;
        let (answered, original) = self.take_answer(&known, body, said)?;
        if let Some(known) = self.interactions.get_mut(&id) {
            (known.answered, known.original) = (Some((answered, now)), original);
        }
        Ok(original)
    }

    fn take_answer(&mut self, to: &Interaction, body: &Value, said: &Said) -> Result<(Answered, Option<Id>), Refuse> {
        let data = &body["data"];
        let flags = data["flags"].as_u64().unwrap_or(0);
        let on_message = to.message.is_some();
        let typing = to.kind == InteractionKind::Autocomplete;
        match body["type"].as_u64() {
            Some(4) if !typing => {
                let draft = Draft::read(data, said.files.clone(), Flags::Answer)?;
                let ephemeral = draft.flags & EPHEMERAL != 0;
                let message = self.put_answer(to, draft)?;
                Ok((Answered::Message { ephemeral }, Some(message)))
            }
            Some(5) if !typing => {
                let draft = Draft { flags: LOADING | (flags & EPHEMERAL), ..Draft::default() };
                let ephemeral = draft.flags & EPHEMERAL != 0;
                let message = self.put_answer(to, draft)?;
                Ok((Answered::Deferred { ephemeral }, Some(message)))
            }
            Some(6) if on_message => Ok((Answered::DeferredUpdate, to.message)),
            Some(7) if on_message => {
                let change = Change::read(data, said.files.clone())?;
                self.rewrite(to.channel, to.message.unwrap_or_default(), change)?;
                Ok((Answered::Update, to.message))
            }
            Some(8) if typing => Ok((Answered::Choices(choices(data)?), None)),
            Some(9) if !typing && to.kind != InteractionKind::Modal => {
                let mut problems = Problems::default();
                component::modal(data, &mut problems);
                problems.finish()?;
                Ok((Answered::Modal(data.clone()), None))
            }
            _ => Err(Refuse::form("type", "BASE_TYPE_CHOICES", "This is not an answer to this type of interaction.")),
        }
    }

    /// Writes a message in answer; whether the bot may write there otherwise does not matter.
    fn put_answer(&mut self, to: &Interaction, draft: Draft) -> Result<Id, Refuse> {
        let Some(place) = self.channels.get(&to.channel) else { return Err(Code::UNKNOWN_CHANNEL.into()) };
        let most = self.largest_file(place);
        if draft.files.iter().any(|file| file.bytes.len() > most) {
            return Err(Code::TOO_LARGE.into());
        }
        let us = self.us();
        let only_for = (draft.flags & EPHEMERAL != 0).then_some(to.user);
        let kind = if to.kind == InteractionKind::Command { 20 } else { 0 };
        Ok(self.put(to.channel, us, draft, |message| {
            (message.kind, message.only_for, message.interaction) = (kind, only_for, Some(to.id));
        }))
    }

    /// The interaction whose token this is, while it is good and has an answer.
    pub(super) fn by_token(&self, application: Id, token: &str) -> Result<&Interaction, Refuse> {
        let known = self.interactions.values().rev().find(|known| known.token == token);
        let Some(known) = known.filter(|_| application == self.app.id) else { return Err(Code::UNKNOWN_WEBHOOK.into()) };
        if self.now() - known.at > TOKEN {
            return Err(Code::BAD_WEBHOOK_TOKEN.into());
        }
        if known.answered.is_some() { Ok(known) } else { Err(Code::UNKNOWN_WEBHOOK.into()) }
    }

    /// Writes another message. The first after a deferral takes its place.
    pub(super) fn follow_up(&mut self, application: Id, token: &str, said: &Said) -> Result<Id, Refuse> {
        let known = self.by_token(application, token)?.clone();
        let waiting =
            known.original.filter(|id| self.messages[&known.channel].get(id).is_some_and(|one| one.flags & LOADING != 0));
        if let Some(original) = waiting {
            self.rewrite(known.channel, original, Change::read(said.object()?, said.files.clone())?)?;
            return Ok(original);
        }
        let draft = Draft::read(said.object()?, said.files.clone(), Flags::Answer)?;
        let message = self.put_answer(&known, draft)?;
        if let Some(known) = self.interactions.get_mut(&known.id) {
            known.followups.push(message);
        }
        Ok(message)
    }

    /// The message a token may read, change and delete: `@original`, or one of its own by number.
    pub(super) fn token_message(&self, application: Id, token: &str, which: &str) -> Result<(Id, Id), Refuse> {
        let known = self.by_token(application, token)?;
        let id = match which {
            "@original" => known.original,
            number => number.parse().ok().filter(|id| known.original == Some(*id) || known.followups.contains(id)),
        };
        let exists = |id: &Id| self.messages.get(&known.channel).is_some_and(|all| all.contains_key(id));
        id.filter(exists).map(|id| (known.channel, id)).ok_or_else(|| Code::UNKNOWN_MESSAGE.into())
    }
}

fn choices(data: &Value) -> Result<Vec<Value>, Refuse> {
    let mut problems = Problems::default();
    let all = data["choices"].as_array().cloned().unwrap_or_default();
    if all.len() > MOST_CHOICES {
        problems.too_long("data.choices", MOST_CHOICES);
    }
    for (at, choice) in all.iter().enumerate() {
        let length = choice["name"].as_str().map_or(0, |name| name.chars().count());
        if length == 0 || length > 100 {
            problems.length(&format!("data.choices.{at}.name"), 1, 100);
        }
        if choice["value"].as_str().is_some_and(|value| value.chars().count() > 100) {
            problems.too_long(&format!("data.choices.{at}.value"), 100);
        }
        if choice["value"].is_null() {
            problems.required(&format!("data.choices.{at}.value"));
        }
    }
    problems.finish()?;
    Ok(all)
}
