//! What to do with a sandbox in which state, as one table, and the loop that follows it.

use std::time::{Duration, Instant};

use super::Pace;
use super::client::Client;
use super::error::{ApiError, ErrorKind};
use super::wire::{Sandbox, State};

/// What a sandbox should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Started.
    Usable,
    /// Nothing runs in it; the disk stays.
    Stopped,
    /// Deleted, or about to be.
    Gone,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is as wanted.
    Done,
    /// Something goes on that ends by itself.
    Wait(Span),
    /// Start, resume or restore it.
    Start(Span),
    /// Stop it.
    Stop,
    /// Ask the provider to repair it.
    Recover,
    /// Delete it.
    Delete,
    /// There is nothing left to use.
    Gone,
    /// It has failed and nothing but replacing it helps.
    Failed,
}

/// How long something may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Starting and stopping: [`Pace::start`].
    Short,
    /// Building, pulling, restoring: [`Pace::restore`].
    Long,
}

/// The table. `recoverable` is what the provider says of a failed sandbox.
pub fn next(state: &State, recoverable: bool, wanted: Wanted) -> Action {
    use Action::{Delete, Done, Failed, Gone, Recover, Start, Stop, Wait};
    use Span::{Long, Short};
    let (usable, stopped) = match state {
        State::Started => (Done, Stop),
        State::Stopped => (Start(Short), Done),
        State::Paused => (Start(Short), Stop),
        // One that is being archived can be started before that is finished.
        State::Archived | State::Archiving => (Start(Long), Done),
        State::Creating | State::Starting | State::Resuming => (Wait(Short), Wait(Short)),
        State::Stopping | State::Pausing | State::Resizing => (Wait(Short), Wait(Short)),
        State::Restoring | State::PendingBuild | State::BuildingSnapshot => (Wait(Long), Wait(Long)),
        State::PullingSnapshot | State::Snapshotting | State::Forking => (Wait(Long), Wait(Long)),
        State::Error if recoverable => (Recover, Done),
        State::Error | State::BuildFailed => (Failed, Done),
        State::Destroying | State::Destroyed => (Gone, Gone),
        // Newer than we are, or not said: it may turn into something we know.
        State::Unsaid | State::Unknown(_) => (Wait(Short), Wait(Short)),
    };
    // While something else goes on the answer is "in progress", and it is asked again: some get stuck there, and can be deleted.
    let gone = if matches!(state, State::Destroying | State::Destroyed) { Done } else { Delete };
    match wanted {
        Wanted::Usable => usable,
        Wanted::Stopped => stopped,
        Wanted::Gone => gone,
    }
}

/// Where following the table led.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It is as wanted.
    Reached(Box<Sandbox>),
    /// It is gone; in words.
    Gone(String),
    /// It has failed; in words.
    Failed(String),
}

/// Leads a sandbox to what is wanted, within the deadlines of [`Pace`]. `sandbox` is what is known of it now; it is looked up again before
/// each further decision. What another caller does meanwhile is waited for.
pub async fn settle(client: &Client, sandbox: Sandbox, wanted: Wanted) -> Result<Settled, ApiError> {
    let mut journey = Journey::new(client.pace(), wanted);
    let mut sandbox = sandbox;
    loop {
        match next(&sandbox.state, sandbox.recoverable, wanted) {
            Action::Done => return Ok(Settled::Reached(Box::new(sandbox))),
            Action::Gone => return Ok(Settled::Gone(why_gone(&sandbox))),
            Action::Failed => return Ok(Settled::Failed(why_failed(&sandbox))),
            Action::Wait(span) => journey.allow(span),
            Action::Recover if journey.recovered => return Ok(Settled::Failed(why_failed(&sandbox))),
            action @ (Action::Start(_) | Action::Stop | Action::Recover | Action::Delete) => {
                if journey.may_do(action) {
                    match perform(client, &sandbox, action, journey.force()).await {
                        // It is as good as done: the name is free, and nothing leads back from there.
                        Ok(()) if action == Action::Delete => return Ok(Settled::Reached(Box::new(sandbox))),
                        Ok(()) => {}
                        Err(error) => match after(&error) {
                            After::LookAgain => {}
                            After::Gone => return Ok(Settled::Gone(why_gone(&sandbox))),
                            After::Fail => return Err(error),
                        },
                    }
                }
            }
        }
        let Some(pause) = journey.pause() else { return Err(too_long(&sandbox, wanted, journey.limit)) };
        tokio::time::sleep(pause).await;
        sandbox = match client.sandbox(&sandbox.id).await {
            Ok(fresh) => fresh,
            Err(error) => match after(&error) {
                After::LookAgain => sandbox,
                After::Gone => return Ok(Settled::Gone(why_gone(&sandbox))),
                After::Fail => return Err(error),
            },
        };
    }
}

/// With `force`, what is stuck on the way is stopped hard first.
async fn perform(client: &Client, sandbox: &Sandbox, action: Action, force: bool) -> Result<(), ApiError> {
    tracing::debug!(sandbox.id, sandbox.state = %sandbox.state, ?action, "changing a sandbox");
    match action {
        Action::Start(_) => client.start_sandbox(&sandbox.id).await,
        Action::Stop => client.stop_sandbox(&sandbox.id, false).await,
        Action::Recover => client.recover_sandbox(&sandbox.id).await,
        Action::Delete => {
            if force && let Err(error) = client.stop_sandbox(&sandbox.id, true).await {
                tracing::debug!(sandbox.id, %error, "a stuck sandbox could not be stopped");
            }
            client.delete_sandbox(&sandbox.id).await
        }
        Action::Done | Action::Wait(_) | Action::Gone | Action::Failed => Ok(()),
    }
}

/// What an error of a lifecycle call means for the journey.
enum After {
    LookAgain,
    Gone,
    Fail,
}

fn after(error: &ApiError) -> After {
    match error.kind {
        ErrorKind::NotFound => After::Gone,
        // Busy, already failed, or unclear whether it was done: its state says what to do.
        ErrorKind::InProgress
        | ErrorKind::NameTaken
        | ErrorKind::Errored
        | ErrorKind::SandboxUnavailable
        | ErrorKind::Server
        | ErrorKind::Unreachable
        | ErrorKind::Lost => After::LookAgain,
        ErrorKind::BadKey
        | ErrorKind::Forbidden
        | ErrorKind::RouteMissing
        | ErrorKind::Quota
        | ErrorKind::SnapshotMissing
        | ErrorKind::Region
        | ErrorKind::CommandTimeout
        | ErrorKind::RateLimited { .. }
        | ErrorKind::Conflict
        | ErrorKind::Ended
        | ErrorKind::Unsupported
        | ErrorKind::Invalid
        | ErrorKind::Unreadable => After::Fail,
    }
}

/// Time and tries of one way through the table.
struct Journey<'a> {
    pace: &'a Pace,
    begun: Instant,
    limit: Duration,
    looks: Looks,
    last: Option<(Action, Instant)>,
    recovered: bool,
}

impl<'a> Journey<'a> {
    fn new(pace: &'a Pace, wanted: Wanted) -> Self {
        let limit = if wanted == Wanted::Gone { pace.remove } else { pace.start };
        Self { pace, begun: Instant::now(), limit, looks: Looks::new(pace.poll), last: None, recovered: false }
    }

    /// Half of the time is gone.
    fn force(&self) -> bool {
        self.begun.elapsed() >= self.limit / 2
    }

    fn allow(&mut self, span: Span) {
        if span == Span::Long {
            self.limit = self.limit.max(self.pace.restore);
        }
    }

    /// What was just asked for is not asked for again at once: what is said of a sandbox may be some seconds old.
    fn may_do(&mut self, action: Action) -> bool {
        if let Action::Start(span) = action {
            self.allow(span);
        }
        let patience = self.pace.poll.saturating_mul(20);
        let repeats = self.last.is_some_and(|(last, at)| last == action && at.elapsed() < patience);
        if repeats {
            return false;
        }
        self.last = Some((action, Instant::now()));
        self.recovered |= action == Action::Recover;
        true
    }

    fn pause(&mut self) -> Option<Duration> {
        let rest = self.limit.checked_sub(self.begun.elapsed())?;
        (!rest.is_zero()).then(|| self.looks.next().min(rest))
    }
}

/// The intervals at which something is looked at: quickly for a while, then slower up to ten times that.
pub(super) struct Looks {
    first: Duration,
    spent: Duration,
    now: Duration,
}

impl Looks {
    pub fn new(first: Duration) -> Self {
        Self { first, spent: Duration::ZERO, now: first }
    }

    /// The first interval fifty times, then each a tenth longer.
    pub fn next(&mut self) -> Duration {
        if self.spent >= self.first.saturating_mul(50) {
            self.now = self.now.mul_f64(1.1).min(self.first.saturating_mul(10));
        }
        self.spent = self.spent.saturating_add(self.now);
        self.now
    }
}

fn why_gone(sandbox: &Sandbox) -> String {
    let name = sandbox.known_as();
    if sandbox.queue_timed_out_at.is_some() {
        return format!("sandbox {name} was given up by Daytona, because no machine became free for it in time");
    }
    if sandbox.spot_evicted_at.is_some() {
        return format!("sandbox {name} was taken away by Daytona, because its machine was needed for others");
    }
    format!("sandbox {name} is deleted")
}

fn why_failed(sandbox: &Sandbox) -> String {
    let reason = sandbox.error_reason.as_deref().filter(|reason| !reason.trim().is_empty()).unwrap_or("no reason is given");
    format!("sandbox {} is in state {}: {}", sandbox.known_as(), sandbox.state, reason.trim())
}

fn too_long(sandbox: &Sandbox, wanted: Wanted, limit: Duration) -> ApiError {
    let goal = match wanted {
        Wanted::Usable => "started",
        Wanted::Stopped => "stopped",
        Wanted::Gone => "deleted",
    };
    let (name, state) = (sandbox.known_as(), &sandbox.state);
    let mut message = format!("sandbox {name} is still {state} and not {goal} after {} s", limit.as_secs());
    if let Some(reason) = &sandbox.error_reason {
        message.push_str(&format!(" ({reason})"));
    }
    ApiError::own(ErrorKind::InProgress, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_row() {
        let mut table = String::new();
        for state in State::all().chain([State::Unknown("hibernating".into())]) {
            let row = [Wanted::Usable, Wanted::Stopped, Wanted::Gone].map(|wanted| format!("{:?}", next(&state, false, wanted)));
            table.push_str(&format!("{:18}{:14}{:14}{}\n", state.to_string(), row[0], row[1], row[2]));
        }
        insta::assert_snapshot!(table, @r#"
        creating          Wait(Short)   Wait(Short)   Delete
        restoring         Wait(Long)    Wait(Long)    Delete
        destroyed         Gone          Gone          Done
        destroying        Gone          Gone          Done
        started           Done          Stop          Delete
        stopped           Start(Short)  Done          Delete
        starting          Wait(Short)   Wait(Short)   Delete
        stopping          Wait(Short)   Wait(Short)   Delete
        error             Failed        Done          Delete
        build_failed      Failed        Done          Delete
        pending_build     Wait(Long)    Wait(Long)    Delete
        building_snapshot Wait(Long)    Wait(Long)    Delete
        pulling_snapshot  Wait(Long)    Wait(Long)    Delete
        archived          Start(Long)   Done          Delete
        archiving         Start(Long)   Done          Delete
        resizing          Wait(Short)   Wait(Short)   Delete
        snapshotting      Wait(Long)    Wait(Long)    Delete
        forking           Wait(Long)    Wait(Long)    Delete
        pausing           Wait(Short)   Wait(Short)   Delete
        paused            Start(Short)  Stop          Delete
        resuming          Wait(Short)   Wait(Short)   Delete
        unknown           Wait(Short)   Wait(Short)   Delete
        hibernating       Wait(Short)   Wait(Short)   Delete
        "#);
    }

    #[test]
    fn a_failed_sandbox_is_repaired_only_when_that_is_offered() {
        assert_eq!(next(&State::Error, true, Wanted::Usable), Action::Recover);
        assert_eq!(next(&State::BuildFailed, true, Wanted::Usable), Action::Failed);
        assert_eq!(next(&State::Error, true, Wanted::Gone), Action::Delete);
    }

    #[test]
    fn every_wait_ends_in_a_state_from_which_something_is_done() {
        // What a transition turns into, for each that the table waits for.
        let turns = [
            (State::Creating, State::Started),
            (State::Starting, State::Started),
            (State::Resuming, State::Started),
            (State::Stopping, State::Stopped),
            (State::Pausing, State::Paused),
            (State::Resizing, State::Started),
            (State::Restoring, State::Started),
            (State::PendingBuild, State::BuildingSnapshot),
            (State::BuildingSnapshot, State::BuildFailed),
            (State::PullingSnapshot, State::Started),
            (State::Snapshotting, State::Started),
            (State::Forking, State::Started),
            (State::Archiving, State::Archived),
        ];
        for wanted in [Wanted::Usable, Wanted::Stopped, Wanted::Gone] {
            for state in State::all() {
                let mut now = state;
                for _ in 0..3 {
                    if let Action::Wait(_) = next(&now, false, wanted)
                        && let Some((_, then)) = turns.iter().find(|(from, _)| *from == now)
                    {
                        now = then.clone();
                    }
                }
                let ends = !matches!(next(&now, false, wanted), Action::Wait(_)) || now == State::Unsaid;
                assert!(ends, "{now} is waited for without end");
            }
        }
    }

    #[test]
    fn it_is_looked_at_quickly_for_five_seconds_and_then_every_second() {
        let mut looks = Looks::new(Duration::from_millis(100));
        let quick: Vec<_> = (0..50).map(|_| looks.next().as_millis()).collect();
        assert_eq!(quick, [100; 50]);
        assert_eq!(looks.next().as_millis(), 110);
        let last = (0..100).map(|_| looks.next().as_millis()).last();
        assert_eq!(last, Some(1000));
    }

    #[test]
    fn what_happened_is_said_in_words() {
        let sandbox = |json: &str| serde_json::from_str::<Sandbox>(json).unwrap();
        let lost = sandbox(r#"{"id":"1","name":"thread-7","state":"destroyed","queueTimedOutAt":"2026-08-13T12:00:00Z"}"#);
        insta::assert_snapshot!(why_gone(&lost), @"sandbox thread-7 was given up by Daytona, because no machine became free for it in time");
        let taken = sandbox(r#"{"id":"1","name":"","state":"destroyed","spotEvictedAt":"2026-08-13T12:00:00Z"}"#);
        insta::assert_snapshot!(why_gone(&taken), @"sandbox 1 was taken away by Daytona, because its machine was needed for others");
        let failed = sandbox(r#"{"id":"1","name":"thread-7","state":"error","errorReason":"disk is full"}"#);
        insta::assert_snapshot!(why_failed(&failed), @"sandbox thread-7 is in state error: disk is full");
        let slow = sandbox(r#"{"id":"1","name":"thread-7","state":"pulling_snapshot","errorReason":null,"cpu":"two"}"#);
        insta::assert_snapshot!(too_long(&slow, Wanted::Usable, Duration::from_secs(900)), @"sandbox thread-7 is still pulling_snapshot and not started after 900 s");
    }
}
