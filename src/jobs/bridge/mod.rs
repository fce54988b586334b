//! The bridge between Discord and GitHub: which repository a conversation on Discord is about, who somebody there is on GitHub, who reads
//! a channel, and one conversation on both surfaces.
//!
//! GitHub's permission decides what somebody on Discord may do with a repository, and their account there is proven, never claimed:
//! [`accounts`]. Nothing crosses to readers who could not read it where it was said: [`audience`], [`links`], [`join`].

pub(super) mod accounts;
pub(super) mod audience;
pub(super) mod join;
pub(super) mod links;
pub(super) mod mirror;
pub(super) mod store;
mod who;

pub(super) use self::links::placed;
pub(super) use self::who::{Who, permission};
