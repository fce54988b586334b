//! Whose memory people are told of: what conversations have in common, in the words of where they are.

use crate::intake::Place;

/// What shares a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The conversations of a repository.
    Repository,
    /// Those of a server on Discord.
    Server,
    /// Those of a channel there that not everybody in the server reads.
    Channel,
    /// Those with one person.
    Person,
}

impl Sharing {
    /// What shares the memory of a conversation; as [`Place::owner`].
    pub fn of(place: &Place) -> Self {
        match place {
            Place::Github { .. } => Self::Repository,
            Place::Discord { guild: Some(_), apart: Some(_), .. } => Self::Channel,
            Place::Discord { guild: Some(_), .. } => Self::Server,
            Place::Discord { guild: None, .. } => Self::Person,
        }
    }

    /// All of them together.
    pub fn all(self) -> &'static str {
        match self {
            Self::Repository => "all conversations of this repository",
            Self::Server => "all conversations in this server",
            Self::Channel => "all conversations in this channel",
            Self::Person => "all conversations with you alone",
        }
    }

    /// For whom something is noted, in two words.
    pub fn beneficiary(self) -> &'static str {
        match self {
            Self::Repository => "this repository",
            Self::Server => "this server",
            Self::Channel => "this channel",
            Self::Person => "you",
        }
    }

    /// The file that has a say in it.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Repository => "This repository's file",
            Self::Server | Self::Channel | Self::Person => "The linked repository's file",
        }
    }
}
