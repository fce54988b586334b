//! `watchDirectory`: what changes in a directory while it is looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::super::Powers;
use super::{Access, Kind, ToolContext, ToolOutput, Typed, diff, execution, text};
use crate::sandbox::{Exec, Executed, Sandbox, SandboxError, WalkBounds};

pub(super) struct WatchDirectory;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Leave out for the conversation's own sandbox.
    sandbox_id: Option<String>,
    /// The directory.
    path: String,
    /// Also everything below it.
    #[serde(default)]
    recursive: bool,
    /// Milliseconds to watch, at most 60000.
    #[serde(default = "half_a_minute")]
    watch_duration: u64,
    /// A shell command to run meanwhile; watching ends when it ends.
    command: Option<String>,
}

fn half_a_minute() -> u64 {
    30_000
}

const MAX_DURATION: u64 = 60_000;
const INTERVAL: Duration = Duration::from_millis(200);
const MAX_FILES: usize = 10_000;

impl Typed for WatchDirectory {
    type Arguments = Arguments;
    const NAME: &'static str = "watchDirectory";
    const DESCRIPTION: &'static str = include_str!("watch_directory.md");
    const KIND: Kind = Kind::Looks;

    fn access(arguments: &Arguments) -> Access {
        if arguments.command.is_some() { Access::Writes } else { Access::Reads }
    }

    fn label(arguments: &Arguments) -> String {
        format!("Watching {}", text::short(&arguments.path))
    }

    async fn call(ctx: &ToolContext<'_>, arguments: Arguments) -> Result<ToolOutput, SandboxError> {
        if arguments.command.is_some() && ctx.powers == Powers::OnlyReads {
            return Err(SandboxError::Invalid("command: this run only looks; leave it out".to_owned()));
        }
        let sandbox = ctx.sandbox(arguments.sandbox_id.as_deref()).await?;
        let duration = Duration::from_millis(arguments.watch_duration.min(MAX_DURATION));
        let path = if arguments.path.trim() == "/" { "." } else { arguments.path.as_str() };
        let depth = if arguments.recursive { 32 } else { 1 };
        let mut watch = Watch::begin(&*sandbox, path, WalkBounds { depth, entries: MAX_FILES, skip: &diff::SKIPPED }).await?;
        let command = async {
            match arguments.command.clone() {
                Some(line) => Some(sandbox.exec(exec(ctx, line, duration), ctx.cancel).await),
                None => {
                    tokio::time::sleep(duration).await;
                    None
                }
            }
        };
        let ran = watch.until(ctx, command).await.transpose()?;
        let mut content = json!({ "watchStarted": true, "path": text::absolute(&*sandbox, path), "events": watch.events });
        if watch.omitted > 0 {
            content["omitted"] = json!(watch.omitted);
        }
        if !watch.complete {
            content["note"] = json!(format!("There are more than {MAX_FILES} files; only a part of them was watched."));
        }
        if let Some(executed) = ran {
            content["command"] = outcome(&executed);
        }
        let count = watch.events.len() as u64 + watch.omitted;
        Ok(ToolOutput::success(content, format!("Watched {} ({count} changes)", text::short(&arguments.path))))
    }
}

fn exec(ctx: &ToolContext<'_>, line: String, timeout: Duration) -> Exec {
    Exec::shell(line, timeout, ctx.limits.output_bytes / 2)
}

fn outcome(executed: &Executed) -> Value {
    json!({
        "exitCode": executed.exit_code,
        "stdout": executed.stdout.text(),
        "stderr": executed.stderr.text(),
        "executionTime": execution::millis(executed.duration),
    })
}

/// What a file is compared by.
type Seen = BTreeMap<String, (DateTime<Utc>, u64, bool)>;

struct Watch<'a> {
    sandbox: &'a dyn Sandbox,
    path: &'a str,
    bounds: WalkBounds,
    seen: Seen,
    complete: bool,
    events: Vec<Value>,
    omitted: u64,
}

impl<'a> Watch<'a> {
    async fn begin(sandbox: &'a dyn Sandbox, path: &'a str, bounds: WalkBounds) -> Result<Self, SandboxError> {
        let mut watch = Self { sandbox, path, bounds, seen: Seen::new(), complete: true, events: Vec::new(), omitted: 0 };
        watch.seen = watch.look().await?;
        Ok(watch)
    }

    async fn look(&mut self) -> Result<Seen, SandboxError> {
        let walked = self.sandbox.walk(self.path, self.bounds).await?;
        self.complete &= walked.complete;
        Ok(walked.entries.into_iter().map(|(path, info)| (path, (info.modified, info.size, info.is_dir))).collect())
    }

    /// Collects events until the future ends or the run is stopped.
    async fn until<T>(&mut self, ctx: &ToolContext<'_>, end: impl Future<Output = Option<T>>) -> Option<T> {
        tokio::pin!(end);
        let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                ended = &mut end => break ended,
                () = ctx.cancel.cancelled() => break None,
                _ = ticks.tick() => self.compare(ctx).await,
            }
        };
        self.compare(ctx).await;
        ended
    }

    async fn compare(&mut self, ctx: &ToolContext<'_>) {
        // The directory itself may have gone: then everything in it has.
        let now = self.look().await.unwrap_or_default();
        let timestamp = ctx.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        for (kind, name) in changes(&self.seen, &now) {
            if self.events.len() < ctx.limits.entries {
                self.events.push(json!({ "type": kind, "name": name, "timestamp": timestamp }));
            } else {
                self.omitted += 1;
            }
        }
        self.seen = now;
    }
}

fn changes<'a>(before: &'a Seen, now: &'a Seen) -> impl Iterator<Item = (&'static str, &'a str)> {
    let gone = before.keys().filter(|path| !now.contains_key(*path)).map(|path| ("deleted", path.as_str()));
    let other = now.iter().filter_map(|(path, seen)| match before.get(path) {
        None => Some(("created", path.as_str())),
        // A directory is modified by what happens in it, which is told by itself.
        Some(old) if old != seen && !(old.2 && seen.2) => Some(("modified", path.as_str())),
        Some(_) => None,
    });
    gone.chain(other)
}
