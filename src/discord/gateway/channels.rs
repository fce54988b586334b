//! What is known of channels and conversations, so that what people say need not be looked up.

use std::collections::{HashMap, HashSet};

use serenity::model::channel::{ChannelType, GuildChannel};
use serenity::model::id::GuildId;

use super::super::number;
use crate::discord::event::Spot;

/// Channels that are remembered; beyond it, all are learnt anew.
const MOST: usize = 200_000;

/// A channel or thread of a guild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub guild: i64,
    pub parent: Option<i64>,
    pub is_thread: bool,
    pub name: String,
}

impl Known {
    pub fn spot(&self) -> Spot {
        match self.is_thread {
            true => Spot::Thread { guild: self.guild, parent: self.parent, name: self.name.clone() },
            false => Spot::Channel { guild: self.guild },
        }
    }
}

impl Known {
    /// A channel as it is told of; what lists threads of a guild does not name it in each.
    pub fn of(channel: &GuildChannel, guild: GuildId) -> Self {
        let is_thread = matches!(channel.kind, ChannelType::NewsThread | ChannelType::PublicThread | ChannelType::PrivateThread);
        Self {
            guild: number(guild),
            parent: channel.parent_id.map(number).filter(|_| is_thread),
            is_thread,
            name: channel.name.clone(),
        }
    }
}

/// Channels, and which of them are conversations of ours.
#[derive(Debug, Default)]
pub(super) struct Channels {
    known: HashMap<i64, Known>,
    ours: HashSet<i64>,
}

impl Channels {
    pub fn get(&self, id: i64) -> Option<&Known> {
        self.known.get(&id)
    }

    /// Remembers a channel; what it was called before, if that was known.
    pub fn learn(&mut self, id: i64, known: Known) -> Option<String> {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(id, known).map(|before| before.name)
    }

    pub fn forget(&mut self, id: i64) {
        self.known.remove(&id);
        self.ours.remove(&id);
    }

    /// All channels of a guild.
    pub fn forget_guild(&mut self, guild: i64) {
        let gone: Vec<i64> = self.known.iter().filter(|(_, known)| known.guild == guild).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.forget(id));
    }

    pub fn is_ours(&self, id: i64) -> bool {
        self.ours.contains(&id)
    }

    pub fn is_ours_now(&mut self, id: i64) {
        if self.ours.len() >= MOST {
            self.ours.clear();
        }
        self.ours.insert(id);
    }
}
