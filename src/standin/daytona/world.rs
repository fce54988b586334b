//! What exists on this Daytona.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::Options;
use super::fault::Fault;
use super::limit::Limits;
use super::record::{Execution, RequestRecord};
use super::state::State;

const MOST_REQUESTS: usize = 5_000;
const MOST_EXECUTIONS: usize = 20_000;
const MOST_VIOLATIONS: usize = 500;
/// Destroyed sandboxes that lists may still show.
const MOST_DESTROYED: usize = 500;

/// Everything there is.
pub struct World {
    /// The key that is accepted. Another one revokes it.
    pub key: String,
    pub(super) jwt: String,
    pub(super) organization: String,
    /// What the key may do.
    pub permissions: BTreeSet<String>,
    /// True: the organisation may do nothing.
    pub suspended: bool,
    /// What all sandboxes together may take; none for anything.
    pub quota: Option<Quota>,
    /// By name.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Used where a request names none.
    pub default_snapshot: String,
    /// Regions there are; the first is the default.
    pub regions: Vec<String>,
    /// How far lists are behind.
    pub list_lag: TimeDelta,
    /// True: no toolbox can be reached and no transition ends.
    pub runner_outage: bool,
    /// Requests a minute, by bucket.
    pub limits: Limits,
    pub(super) transition: Duration,
    pub(super) slow: BTreeMap<State, Duration>,
    pub(super) sandboxes: BTreeMap<String, Sandbox>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) requests: VecDeque<RequestRecord>,
    pub(super) first_request: u64,
    pub(super) executions: VecDeque<Execution>,
    pub(super) violations: VecDeque<String>,
    pub(super) signed: BTreeMap<String, (String, u16, DateTime<Utc>)>,
}

/// What all sandboxes together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Virtual processors of running sandboxes.
    pub cpu: i64,
    /// GiB of memory of running sandboxes.
    pub memory: i64,
    /// GiB of disk of all that are not archived.
    pub disk: i64,
}

/// A snapshot sandboxes are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `active`, `inactive`, `pending`, `error`, …
    pub state: String,
    /// Processors.
    pub cpu: i64,
    /// GiB.
    pub memory: i64,
    /// GiB.
    pub disk: i64,
    /// Where it can be used; everywhere when empty.
    pub regions: Vec<String>,
}

impl Snapshot {
    fn stock(cpu: i64, memory: i64, disk: i64) -> Self {
        Self { state: "active".to_owned(), cpu, memory, disk, regions: Vec::new() }
    }
}

/// A sandbox.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are those of the API, where they are explained")]
pub struct Sandbox {
    pub id: String,
    pub name: String,
    pub state: State,
    pub error_reason: Option<String>,
    pub recoverable: bool,
    pub snapshot: Option<String>,
    pub build_info: Option<Value>,
    pub user: String,
    pub env: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub secrets: Vec<BTreeMap<String, String>>,
    pub public: bool,
    pub network_block_all: bool,
    pub network_allow_list: Option<String>,
    pub domain_allow_list: Option<String>,
    pub target: String,
    pub cpu: i64,
    pub gpu: i64,
    pub memory: i64,
    pub disk: i64,
    pub auto_stop: i64,
    pub auto_pause: i64,
    pub auto_archive: i64,
    pub auto_delete: i64,
    pub destroy_at: Option<DateTime<Utc>>,
    pub volumes: Vec<Value>,
    pub sandbox_class: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_activity_at: DateTime<Utc>,
    /// When it entered the states it was in, for lists that are behind.
    pub(super) history: Vec<(DateTime<Utc>, State)>,
    /// Names a transition: one that was overtaken by another changes nothing.
    pub(super) transition: u64,
}

impl Sandbox {
    /// True when stopping it destroys it.
    pub fn is_ephemeral(&self) -> bool {
        self.auto_delete == 0
    }

    /// Enters a state.
    pub(super) fn enter(&mut self, state: State, now: DateTime<Utc>) {
        self.state = state;
        self.updated_at = now;
        self.history.push((now, state));
        if state == State::Destroying && !self.name.starts_with("DESTROYED_") {
            self.name = format!("DESTROYED_{}_{}", self.name, now.timestamp_millis());
        }
    }

    /// The state it was in at a moment; none before it was made.
    pub(super) fn state_at(&self, moment: DateTime<Utc>) -> Option<State> {
        self.history.iter().rev().find(|(at, _)| *at <= moment).map(|(_, state)| *state)
    }
}

impl World {
    pub(super) fn new(options: &Options) -> Self {
        let random = || uuid::Uuid::now_v7().simple().to_string();
        let stock = [("daytona-small", (1, 1, 3)), ("daytona-medium", (2, 4, 8)), ("daytona-large", (4, 8, 10))];
        Self {
            key: format!("dtn_{}", random()),
            jwt: format!("eyJ{}.{}.{}", random(), random(), random()),
            organization: uuid::Uuid::now_v7().to_string(),
            permissions: ["write:sandboxes", "delete:sandboxes"].map(str::to_owned).into(),
            suspended: false,
            quota: None,
            snapshots: stock.map(|(name, (cpu, memory, disk))| (name.to_owned(), Snapshot::stock(cpu, memory, disk))).into(),
            default_snapshot: "daytona-small".to_owned(),
            regions: ["us", "eu"].map(str::to_owned).into(),
            list_lag: TimeDelta::zero(),
            runner_outage: false,
            limits: Limits::default(),
            transition: options.transition,
            slow: BTreeMap::new(),
            sandboxes: BTreeMap::new(),
            faults: VecDeque::new(),
            requests: VecDeque::new(),
            first_request: 0,
            executions: VecDeque::new(),
            violations: VecDeque::new(),
            signed: BTreeMap::new(),
        }
    }

    /// The sandbox with this id or name, unless it is destroyed.
    pub fn find(&self, id_or_name: &str) -> Option<&Sandbox> {
        let exists = |sandbox: &&Sandbox| sandbox.state != State::Destroyed;
        let named = || self.sandboxes.values().filter(exists).find(|sandbox| sandbox.name == id_or_name);
        self.sandboxes.get(id_or_name).filter(exists).or_else(named)
    }

    /// Those that are not destroyed, in the order they were made.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.values().filter(|sandbox| sandbox.state != State::Destroyed)
    }

    /// What all sandboxes together take.
    pub fn used(&self) -> Quota {
        let mut used = Quota { cpu: 0, memory: 0, disk: 0 };
        for sandbox in self.sandboxes() {
            if sandbox.state.computes() {
                used.cpu += sandbox.cpu;
                used.memory += sandbox.memory;
            }
            if sandbox.state.stores() {
                used.disk += sandbox.disk;
            }
        }
        used
    }

    /// Lets transitions through this state take at least so long.
    pub fn slow(&mut self, state: State, time: Duration) {
        self.slow.insert(state, time);
    }

    /// Faults that were not used up.
    pub fn faults_left(&self) -> usize {
        self.faults.len()
    }

    /// Faults of requests about this sandbox, by name, that were not used up.
    pub fn faults_left_of(&self, sandbox: &str) -> usize {
        self.faults.iter().filter(|fault| fault.is_of(sandbox)).count()
    }

    /// Commands that were handed to daemons, oldest first; the last 20,000.
    pub fn executions(&self) -> impl Iterator<Item = &Execution> {
        self.executions.iter()
    }

    /// How often a command was handed to a daemon whose request contains this text.
    pub fn executed(&self, text: &str) -> usize {
        self.executions.iter().filter(|execution| execution.body.to_string().contains(text)).count()
    }

    /// Another key is accepted from now on.
    pub fn revoke_key(&mut self) {
        self.key = format!("dtn_{}", uuid::Uuid::now_v7().simple());
    }

    pub(super) fn violation(&mut self, text: impl Into<String>) {
        keep(&mut self.violations, text.into(), MOST_VIOLATIONS);
    }

    pub(super) fn execution(&mut self, execution: Execution) {
        keep(&mut self.executions, execution, MOST_EXECUTIONS);
    }

    /// Remembers a request and says under which number.
    pub(super) fn record(&mut self, request: RequestRecord) -> u64 {
        if keep(&mut self.requests, request, MOST_REQUESTS) {
            self.first_request += 1;
        }
        self.first_request + self.requests.len() as u64 - 1
    }

    pub(super) fn answered(&mut self, number: u64, status: u16) {
        let at = number.checked_sub(self.first_request).and_then(|at| usize::try_from(at).ok());
        if let Some(request) = at.and_then(|at| self.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    /// Forgets the oldest destroyed sandboxes beyond a number.
    pub(super) fn forget_destroyed(&mut self) {
        let destroyed = || self.sandboxes.values().filter(|sandbox| sandbox.state == State::Destroyed);
        let surplus = destroyed().count().saturating_sub(MOST_DESTROYED);
        let oldest: Vec<String> = destroyed().take(surplus).map(|sandbox| sandbox.id.clone()).collect();
        for id in oldest {
            self.sandboxes.remove(&id);
        }
    }

    /// All sandboxes and their states, for people.
    pub(super) fn describe(&self) -> String {
        let line = |sandbox: &Sandbox| format!("{} is {}", sandbox.name, sandbox.state.name());
        let last = self.requests.iter().rev().take(5).map(RequestRecord::line).collect::<Vec<_>>().join(", ");
        format!("Sandboxes: {}. Last requests: {last}.", self.sandboxes().map(line).collect::<Vec<_>>().join(", "))
    }
}

/// Adds to a list of bounded length; true when something had to go.
fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) -> bool {
    list.push_back(item);
    list.len() > most && list.pop_front().is_some()
}
