//! What the agent can do in a sandbox: one file per tool, its description in the Markdown file beside it.
//!
//! [`Toolbox`] is the one way in: it describes the tools to a model, checks arguments, runs calls and caps what they return.
//! Failures are results too, `{error}` with a text that helps; a tool never ends a run.

mod apply_patch;
mod arguments;
mod ask_person;
mod attach_file;
mod check_file_exists;
mod create_directory;
mod create_sandbox;
mod delete_file;
pub mod diff;
mod edit_file;
mod execution;
mod find_files;
mod get_file_info;
mod get_file_size;
mod glob;
mod hands;
mod list_files;
mod nearby;
mod open_pull_request;
mod patch;
mod pictures;
mod preview_url;
mod processes;
mod read_check_logs;
mod read_file;
mod read_issue;
mod read_process;
mod read_pull_request;
mod recall;
mod run_code;
mod run_command;
mod search_files;
mod start_process;
mod stop_process;
mod suggest_changes;
mod text;
mod tool;
mod update_working_memory;
mod watch_directory;
mod write_file;
mod write_files;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

pub use self::hands::{
    Finding, HandError, Hands, Lander, MemoryChange, MemoryUpdate, Notebook, Proposal, Reader, RecallQuery, Recaller, Reviewer,
    Target,
};
pub use self::processes::Readings;
pub use self::tool::{Tool, Typed, tool};
use super::{Powers, RunEvent};
use crate::attachment::Allowance;
use crate::clock::Clock;
use crate::model::{Arguments, ToolCall, ToolSpec};
use crate::sandbox::workspace::WorkspaceSnapshot;
use crate::sandbox::{Command, Exec, Listener, Sandbox, SandboxError, SandboxId, SandboxSpec};

/// Whether a call changes anything. Reading calls of one answer run together, writing calls alone. Writes when in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// May run beside others, and again.
    Reads,
    /// Runs alone; after a crash its outcome is unknown.
    Writes,
}

/// What a tool needs to be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Looks at the sandbox.
    Looks,
    /// Works in the sandbox.
    Works,
    /// Reads where the conversation is.
    Reads,
    /// Lands work.
    Lands,
    /// Reviews.
    Reviews,
    /// Finds what was said before.
    Recalls,
    /// Keeps things in mind.
    Notes,
}

impl Kind {
    /// Whether a run with these powers and hands has it.
    fn is_offered(self, powers: Powers, hands: &Hands) -> bool {
        match self {
            Self::Looks => true,
            Self::Works => powers != Powers::OnlyReads,
            Self::Reads => hands.reader.is_some(),
            Self::Lands => powers == Powers::Everything && hands.lander.is_some(),
            // A review is words, and lands nothing.
            Self::Reviews => powers != Powers::OnlyReads && hands.reviewer.is_some(),
            Self::Recalls => hands.recaller.is_some(),
            // What people without permission say must not steer later runs.
            Self::Notes => powers == Powers::Everything && hands.notebook.is_some(),
        }
    }
}

/// What a call may use.
pub struct ToolContext<'a> {
    /// What the run may do.
    pub powers: Powers,
    /// What it can do where the conversation is.
    pub hands: &'a Hands,
    /// The sandboxes of the thread.
    pub sandboxes: &'a dyn Sandboxes,
    /// Ends the call at once; partial output is kept.
    pub cancel: &'a CancellationToken,
    /// Time stamps of events.
    pub clock: &'a dyn Clock,
    /// Ceilings.
    pub limits: ToolLimits,
    /// Unique to this call, the same after a restart.
    pub key: &'a str,
    /// Hears what the call prints while it runs.
    pub listener: Option<&'a Listener>,
}

impl ToolContext<'_> {
    /// A command of this call, heard while it runs and found again after a restart where that is possible.
    fn exec(&self, command: Command, timeout_seconds: Option<f64>) -> Exec {
        let timeout = execution::timeout(&self.limits, timeout_seconds);
        let (key, listener) = (Some(self.key.to_owned()), self.listener.cloned());
        Exec { key, listener, ..Exec::new(command, timeout, self.limits.output_bytes) }
    }

    /// The sandbox a call means: the thread's own unless it names another of the thread.
    pub async fn sandbox(&self, id: Option<&str>) -> Result<Arc<dyn Sandbox>, SandboxError> {
        match id.map(str::trim).filter(|id| !id.is_empty()) {
            None => self.sandboxes.own().await,
            Some(id) => self.sandboxes.named(&SandboxId(id.to_owned())).await,
        }
    }
}

/// Ceilings of one call.
#[derive(Clone, Copy, Debug)]
pub struct ToolLimits {
    /// For code and commands that name no timeout.
    pub default_timeout: Duration,
    /// Nobody gets more.
    pub max_timeout: Duration,
    /// Bytes kept of each output stream.
    pub output_bytes: usize,
    /// Bytes of a file that are shown at once.
    pub read_bytes: usize,
    /// Entries of a listing, matches of a search, events of a watch.
    pub entries: usize,
    /// What may still become part of the answer.
    pub attachments: Allowance,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(120),
            max_timeout: Duration::from_secs(900),
            output_bytes: 24 << 10,
            read_bytes: 48 << 10,
            entries: 500,
            attachments: Allowance::default(),
        }
    }
}

/// The sandboxes of one thread.
#[async_trait]
pub trait Sandboxes: Send + Sync {
    /// The thread's own sandbox, made on first use.
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// Another sandbox of this thread. Refuses those of other threads as if they did not exist.
    async fn named(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// Makes another sandbox for this thread; its own when there is none yet.
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// The workspace as it was when the run began; of another sandbox of the thread, when that was made. None where that is not known.
    async fn beginning(&self, id: &SandboxId) -> Result<Option<Arc<WorkspaceSnapshot>>, SandboxError> {
        let _ = id;
        Ok(None)
    }

    /// Where the reading of started programs goes on.
    fn readings(&self) -> &Readings;

    /// `before`, a state of the sandbox, with the text of files that were touched until `now` and were not read then, as far as it can be
    /// had from elsewhere.
    async fn complete(&self, id: &SandboxId, before: Arc<WorkspaceSnapshot>, now: &WorkspaceSnapshot) -> Arc<WorkspaceSnapshot> {
        let _ = (id, now);
        before
    }

    /// What the model has to know about its sandboxes and was not told yet, such as what is in the workspace; each is given out once.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A file for people, as it was when the call ended.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// As [`clean_name`](crate::attachment::clean_name) leaves it.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: String,
    /// The content.
    pub content: bytes::Bytes,
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// What the model reads; capped.
    pub content: Value,
    /// True when it failed.
    pub is_error: bool,
    /// What was run, for the answer.
    pub execution: Option<crate::reply::Execution>,
    /// Files for the answer: pictures a program made, and what the agent attaches.
    pub attachments: Vec<Attachment>,
    /// What else happened, for the record of the run.
    pub events: Vec<RunEvent>,
    /// One plain line for the checklist, such as `Ran Python (exit 0)`.
    pub summary: String,
}

impl ToolOutput {
    /// A success.
    pub fn success(content: Value, summary: impl Into<String>) -> Self {
        Self { content, is_error: false, execution: None, attachments: Vec::new(), events: Vec::new(), summary: summary.into() }
    }

    /// A failure with a text that says what to do.
    pub fn error(text: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            content: json!({ "error": text.into() }),
            is_error: true,
            execution: None,
            attachments: Vec::new(),
            events: Vec::new(),
            summary: summary.into(),
        }
    }
}

/// All tools by name.
pub struct Toolbox {
    tools: Vec<Box<dyn Tool>>,
}

impl Toolbox {
    /// The tools that act on sandboxes.
    pub fn standard() -> Self {
        let tools = vec![
            tool::<create_sandbox::CreateSandbox>(),
            tool::<run_code::RunCode>(),
            tool::<run_command::RunCommand>(),
            tool::<read_file::ReadFile>(),
            tool::<write_file::WriteFile>(),
            tool::<write_files::WriteFiles>(),
            tool::<list_files::ListFiles>(),
            tool::<delete_file::DeleteFile>(),
            tool::<create_directory::CreateDirectory>(),
            tool::<get_file_info::GetFileInfo>(),
            tool::<check_file_exists::CheckFileExists>(),
            tool::<get_file_size::GetFileSize>(),
            tool::<watch_directory::WatchDirectory>(),
            tool::<edit_file::EditFile>(),
            tool::<apply_patch::ApplyPatch>(),
            tool::<search_files::SearchFiles>(),
            tool::<find_files::FindFiles>(),
            tool::<diff::Diff>(),
            tool::<start_process::StartProcess>(),
            tool::<read_process::ReadProcess>(),
            tool::<stop_process::StopProcess>(),
            tool::<preview_url::PreviewUrl>(),
            tool::<attach_file::AttachFile>(),
            tool::<open_pull_request::OpenPullRequest>(),
            tool::<ask_person::AskPerson>(),
            tool::<suggest_changes::SuggestChanges>(),
            tool::<read_issue::ReadIssue>(),
            tool::<read_pull_request::ReadPullRequest>(),
            tool::<read_check_logs::ReadCheckLogs>(),
            tool::<recall::Recall>(),
            tool::<update_working_memory::UpdateWorkingMemory>(),
        ];
        Self { tools }
    }

    /// The same with one more tool. A tool of the same name is replaced.
    #[must_use]
    pub fn with(mut self, tool: Box<dyn Tool>) -> Self {
        self.tools.retain(|known| known.spec().name != tool.spec().name);
        self.tools.push(tool);
        self
    }

    /// What a model is told in a run with these powers and hands, in a stable order.
    pub fn specs(&self, powers: Powers, hands: &Hands) -> Vec<ToolSpec> {
        let offered = self.tools.iter().filter(|tool| tool.kind().is_offered(powers, hands));
        let mut specs: Vec<ToolSpec> = offered.map(|tool| tool.spec().clone()).collect();
        if let Some(notebook) = &hands.notebook {
            update_working_memory::tell_template(&mut specs, &notebook.template());
        }
        specs
    }

    /// Whether this call changes anything. Calls that cannot be carried out read: they only produce an error.
    pub fn access(&self, call: &ToolCall) -> Access {
        match (self.find(&call.name), &call.arguments) {
            (Some(tool), Arguments::Object(arguments)) => tool.access(arguments),
            (None, _) | (_, Arguments::Broken(_)) => Access::Reads,
        }
    }

    /// True when the call is one command, which a sandbox that outlives us has kept running under the key of the call.
    pub fn is_one_command(&self, call: &ToolCall) -> bool {
        self.find(&call.name).is_some_and(Tool::is_one_command)
    }

    /// True when the call, made again after a restart, finds what it did.
    pub fn repeats(&self, call: &ToolCall) -> bool {
        self.find(&call.name).is_some_and(Tool::repeats)
    }

    /// One plain line to show while the call runs, such as `Running Python`.
    pub fn label(&self, call: &ToolCall) -> String {
        match (self.find(&call.name), &call.arguments) {
            (Some(tool), Arguments::Object(arguments)) => tool.label(arguments),
            (None, _) | (_, Arguments::Broken(_)) => format!("Calling {}", text::short(&call.name)),
        }
    }

    /// Carries out a call. Never fails: what went wrong is told to the model.
    pub async fn call(&self, ctx: &ToolContext<'_>, call: &ToolCall) -> ToolOutput {
        let offered = |tool: &&dyn Tool| tool.kind().is_offered(ctx.powers, ctx.hands);
        let Some(tool) = self.find(&call.name).filter(offered) else {
            return self.unknown(ctx, &call.name);
        };
        let mut output = match &call.arguments {
            Arguments::Object(arguments) => tool.call(ctx, arguments).await,
            Arguments::Broken(text) if text.trim().is_empty() => tool.call(ctx, &Map::new()).await,
            Arguments::Broken(text) => broken(tool.spec(), text),
        };
        let notices = ctx.sandboxes.notices();
        if let (false, Value::Object(content)) = (notices.is_empty(), &mut output.content) {
            content.insert("notice".to_owned(), json!(notices.join("\n")));
        }
        output
    }

    fn find(&self, name: &str) -> Option<&dyn Tool> {
        self.tools.iter().find(|tool| tool.spec().name == name).map(Box::as_ref)
    }

    fn unknown(&self, ctx: &ToolContext<'_>, name: &str) -> ToolOutput {
        let offered = self.tools.iter().filter(|tool| tool.kind().is_offered(ctx.powers, ctx.hands));
        let names: Vec<_> = offered.map(|tool| tool.spec().name.as_str()).collect();
        let hint = text::closest(name, names.iter().copied()).map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
        let error = format!("There is no tool `{}`.{hint}", text::short(name));
        ToolOutput {
            content: json!({ "error": error, "tools": names }),
            is_error: true,
            execution: None,
            attachments: Vec::new(),
            events: Vec::new(),
            summary: format!("Unknown tool {}", text::short(name)),
        }
    }
}

fn broken(spec: &ToolSpec, text: &str) -> ToolOutput {
    const QUOTED: usize = 600;
    let why = serde_json::from_str::<Value>(text).map_or_else(|error| error.to_string(), |_| "it is not an object".to_owned());
    let error =
        format!("The arguments of {} are not a JSON object ({why}). This was received: {}", spec.name, text::cut(text, QUOTED));
    ToolOutput {
        content: json!({ "error": error, "schema": spec.schema }),
        is_error: true,
        execution: None,
        attachments: Vec::new(),
        events: Vec::new(),
        summary: format!("Unreadable arguments for {}", spec.name),
    }
}
