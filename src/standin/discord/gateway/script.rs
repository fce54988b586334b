//! What the gateway is told to do wrong.

use std::collections::VecDeque;

use super::Gateway;

/// What a connection is told to do next, after all that was already to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Reconnect,
    Invalid { resumable: bool },
    Heartbeat,
    Close(u16, String),
    Drop,
}

/// What is to go wrong.
#[derive(Debug, Default)]
pub(in super::super) struct Script {
    /// No connection is accepted.
    pub down: bool,
    /// Heartbeats are not acknowledged.
    pub mute: bool,
    /// Nobody is told what messages say, whatever they asked for.
    pub withholds: bool,
    /// Nothing is sent at all.
    pub frozen: bool,
    /// How many resumes are refused.
    pub refuse_resumes: usize,
    /// How many identifies end in an invalid session.
    pub refuse_identifies: usize,
    /// Events until the connection is dropped.
    pub drop_after: Option<usize>,
    twice: VecDeque<String>,
    lost: VecDeque<String>,
}

impl Script {
    /// How often an event is told.
    pub fn copies(&mut self, name: &str) -> usize {
        let take = |list: &mut VecDeque<String>| {
            let at = list.iter().position(|one| one == name);
            at.and_then(|at| list.remove(at)).is_some()
        };
        if take(&mut self.lost) {
            return 0;
        }
        if take(&mut self.twice) { 2 } else { 1 }
    }

    pub fn twice(&mut self, name: &str) {
        self.twice.push_back(name.to_owned());
    }

    pub fn lose(&mut self, name: &str) {
        self.lost.push_back(name.to_owned());
    }
}

impl Gateway {
    /// Gives an order to every connection with a session.
    pub(super) fn order(&mut self, order: &Order) {
        for connection in self.connections.values_mut() {
            connection.orders.push_back(order.clone());
        }
    }
}
