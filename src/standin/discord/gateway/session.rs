//! What the gateway remembers of a client: what it asked for, what it was told, what it has yet to be told.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::super::model::Id;

/// How many events are kept for a client that comes back.
const MOST_KEPT: usize = 10_000;
/// How long a session waits for its client.
pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// A session, with or without a connection.
#[derive(Debug)]
pub(in super::super) struct Session {
    pub intents: u64,
    pub shard: (u64, u64),
    /// The connection that serves it.
    pub attached: Option<u64>,
    /// Since when it has none.
    pub alone_since: Option<DateTime<Utc>>,
    seq: u64,
    log: VecDeque<Told>,
}

/// An event with its number.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub seq: u64,
    pub name: &'static str,
    pub data: Arc<Value>,
}

impl Session {
    pub fn new(intents: u64, shard: (u64, u64), connection: u64) -> Self {
        Self { intents, shard, attached: Some(connection), alone_since: None, seq: 0, log: VecDeque::new() }
    }

    /// Whether a guild is its shard's; direct messages are the first one's.
    pub fn hears(&self, guild: Option<Id>) -> bool {
        let (shard, count) = self.shard;
        guild.map_or(0, |id| (id >> 22) % count.max(1)) == shard
    }

    pub fn push(&mut self, name: &'static str, data: Arc<Value>) {
        self.seq += 1;
        self.log.push_back(Told { seq: self.seq, name, data });
        if self.log.len() > MOST_KEPT {
            self.log.pop_front();
        }
    }

    /// The number of the newest event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What came after a number.
    pub(super) fn since(&self, seq: u64) -> impl Iterator<Item = &Told> {
        self.log.iter().filter(move |told| told.seq > seq)
    }

    /// Whether everything after a number is still known.
    pub fn can_resume(&self, seq: u64, now: DateTime<Utc>) -> bool {
        let fresh = self.alone_since.is_none_or(|since| now - since < WINDOW);
        fresh && self.log.front().is_none_or(|oldest| oldest.seq <= seq + 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_session_remembers_so_much_and_no_more() {
        let mut session = Session::new(0, (0, 1), 1);
        for _ in 0..MOST_KEPT + 5 {
            session.push("X", Arc::new(Value::Null));
        }
        let now = "2026-11-01T10:00:00Z".parse().unwrap();
        assert!(session.can_resume(5, now) && !session.can_resume(4, now));
        assert_eq!(session.since(MOST_KEPT as u64).count(), 5);
        session.alone_since = Some(now - WINDOW);
        assert!(!session.can_resume(5, now));
    }

    #[test]
    fn a_guild_belongs_to_one_shard() {
        let shards: Vec<Session> = (0..3).map(|n| Session::new(0, (n, 3), n)).collect();
        let heard = |guild: Option<Id>| shards.iter().filter(|one| one.hears(guild)).count();
        assert_eq!((heard(Some(7 << 22)), heard(None)), (1, 1));
    }
}
