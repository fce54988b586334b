//! The gateway: sessions that outlive connections, connections that speak Discord's opcodes, and orders to misbehave.

mod client;
mod emit;
pub mod intents;
mod script;
mod session;
mod socket;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::script::{Order, Script};
use self::session::Session;
use super::DiscordStandin;
pub(super) use socket::connect;

/// How many endings are remembered.
const MOST_ENDINGS: usize = 1_000;

/// Everything about connections.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub sessions: BTreeMap<String, Session>,
    connections: BTreeMap<u64, Connection>,
    pub script: Script,
    last: u64,
    identifies: VecDeque<DateTime<Utc>>,
    /// Sessions begun since the beginning.
    begun: u64,
    resumed: u64,
    endings: VecDeque<Ending>,
    presence: Option<Value>,
}

/// An open connection.
#[derive(Debug, Default)]
struct Connection {
    session: Option<String>,
    /// The number of the newest event it was sent.
    sent: u64,
    orders: VecDeque<Order>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// We closed it, with this code.
    Closed(u16),
    /// The client closed it, perhaps with a code.
    Left(Option<u16>),
    /// It broke, or we broke it.
    Dropped,
}

/// What can be seen of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayView {
    /// Sessions that began with an identify, since the beginning.
    pub begun: u64,
    /// Sessions that were resumed, since the beginning.
    pub resumed: u64,
    /// Connections open now that have a session.
    pub connected: usize,
    /// How connections ended, oldest first; the last 1,000.
    pub endings: Vec<Ending>,
    /// The status the service shows, as it sent it.
    pub presence: Option<Value>,
}

impl Gateway {
    fn open(&mut self) -> u64 {
        self.last += 1;
        self.connections.insert(self.last, Connection::default());
        self.last
    }

    fn end(&mut self, connection: u64, ending: Ending, now: DateTime<Utc>) {
        self.connections.remove(&connection);
        let ends = ends_session(&ending);
        self.sessions.retain(|_, session| {
            if session.attached != Some(connection) {
                return true;
            }
            (session.attached, session.alone_since) = (None, Some(now));
            !ends
        });
        self.endings.push_back(ending);
        if self.endings.len() > MOST_ENDINGS {
            self.endings.pop_front();
        }
    }

    /// Breaks everything for good.
    pub(super) fn shut(&mut self) {
        self.script.down = true;
        self.order(&Order::Drop);
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn view(&self) -> GatewayView {
        GatewayView {
            begun: self.begun,
            resumed: self.resumed,
            connected: self.connections.values().filter(|connection| connection.session.is_some()).count(),
            endings: self.endings.iter().cloned().collect(),
            presence: self.presence.clone(),
        }
    }

    pub(super) fn describe(&self) -> String {
        format!("Gateway: {:?}", self.view())
    }
}

/// After these codes a client begins anew, and so after a client said goodbye.
fn ends_session(ending: &Ending) -> bool {
    match ending {
        Ending::Closed(code) => matches!(code, 4003 | 4004 | 4007 | 4009..=4014),
        Ending::Left(code) => matches!(code, Some(1000 | 1001)),
        Ending::Dropped => false,
    }
}

impl DiscordStandin {
    fn gateway<T>(&self, act: impl FnOnce(&mut Gateway) -> T) -> T {
        let done = self.shared.with(|world| act(&mut world.gateway));
        self.shared.notify();
        done
    }

    /// What became of connections and sessions.
    pub fn gateway_view(&self) -> GatewayView {
        self.shared.with(|world| world.gateway.view())
    }

    /// Breaks every connection, without a word. Sessions can be resumed.
    pub fn drop_connections(&self) {
        self.gateway(|gateway| gateway.order(&Order::Drop));
    }

    /// Breaks the connection that is sent the `events`th event from now, after sending it.
    pub fn drop_after(&self, events: usize) {
        self.gateway(|gateway| gateway.script.drop_after = Some(events));
    }

    /// Asks every client to connect again (opcode 7); sessions can be resumed.
    pub fn ask_to_reconnect(&self) {
        self.gateway(|gateway| gateway.order(&Order::Reconnect));
    }

    /// Asks every client for a heartbeat at once (opcode 1).
    pub fn ask_for_heartbeat(&self) {
        self.gateway(|gateway| gateway.order(&Order::Heartbeat));
    }

    /// Declares every session invalid (opcode 9). When not resumable, sessions are forgotten, and what happens until a client
    /// identifies again is lost to it.
    pub fn invalidate_sessions(&self, resumable: bool) {
        self.gateway(|gateway| {
            gateway.order(&Order::Invalid { resumable });
            if !resumable {
                gateway.sessions.clear();
            }
        });
    }

    /// Closes every connection with a code, such as 4000. After 4007, 4009 and those that name a client's mistake, sessions are
    /// forgotten.
    pub fn close_connections(&self, code: u16) {
        self.gateway(|gateway| {
            gateway.order(&Order::Close(code, format!("Told to close with {code}.")));
            if ends_session(&Ending::Closed(code)) {
                gateway.sessions.clear();
            }
        });
    }

    /// Refuses the next resumes with an invalid session, and forgets the session.
    pub fn refuse_resumes(&self, times: usize) {
        self.gateway(|gateway| gateway.script.refuse_resumes = times);
    }

    /// Answers the next identifies with an invalid session, as when too many come at once.
    pub fn refuse_identifies(&self, times: usize) {
        self.gateway(|gateway| gateway.script.refuse_identifies = times);
    }

    /// Tells nobody what messages say that are not for them, although they asked for it and may; or tells it again.
    pub fn withhold_content(&self, withhold: bool) {
        self.gateway(|gateway| gateway.script.withholds = withhold);
    }

    /// Leaves heartbeats unacknowledged, or acknowledges them again.
    pub fn mute_heartbeats(&self, mute: bool) {
        self.gateway(|gateway| gateway.script.mute = mute);
    }

    /// Leaves connections open and says nothing more on them, or goes on where it stopped.
    pub fn freeze(&self, frozen: bool) {
        self.gateway(|gateway| gateway.script.frozen = frozen);
    }

    /// Takes the gateway down: connections break, new ones are refused with 503, sessions are forgotten, and what happens meanwhile
    /// is told to nobody. REST goes on.
    pub fn take_gateway_down(&self) {
        self.gateway(|gateway| {
            gateway.script.down = true;
            gateway.order(&Order::Drop);
            gateway.sessions.clear();
        });
    }

    /// Brings the gateway back.
    pub fn bring_gateway_up(&self) {
        self.gateway(|gateway| gateway.script.down = false);
    }

    /// Tells the next event of this name twice, such as `MESSAGE_CREATE`; with two numbers, as Discord now and then does.
    pub fn tell_twice(&self, event: &str) {
        self.gateway(|gateway| gateway.script.twice(event));
    }

    /// Tells nobody of the next event of this name.
    pub fn lose_event(&self, event: &str) {
        self.gateway(|gateway| gateway.script.lose(event));
    }
}
