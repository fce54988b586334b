//! What a reply is made of, before it is text. Built by the run from its events; rendered by pure functions.

use std::time::Duration;

use crate::landing::CommitMade;
use crate::landing::survey::LeftOut;
use crate::model::ModelName;

/// The live comment while a run is not finished.
#[derive(Clone, Debug, Default)]
pub struct LiveView {
    /// What happens now.
    pub state: LiveState,
    /// What was done and is being done, oldest first.
    pub steps: Vec<LiveStep>,
    /// The latest words of the agent, cut by the renderer.
    pub words: Option<String>,
    /// The last line of what runs now, cut by the renderer.
    pub printed: Option<String>,
    /// The run page, when there is one.
    pub run_url: Option<String>,
}

/// What a run is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LiveState {
    /// Accepted; starts at once.
    #[default]
    Accepted,
    /// Waits for the run before it in this conversation.
    Behind,
    /// Waits for a free slot; 1 is next.
    Queued {
        /// Place in the queue.
        position: u32,
    },
    /// Works.
    Working,
}

/// A line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveStep {
    /// Plain text, may come from a model: the renderer cleans and cuts it.
    pub label: String,
    /// How it stands.
    pub state: StepState,
}

/// How a line of the checklist stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Under way.
    Running,
    /// Went well.
    Done,
    /// Did not go well; the agent knows and goes on.
    Failed,
}

/// How a run ended, with what a person wants to know of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The agent answered.
    Answered,
    /// It proposes something and waits for somebody with permission to say yes.
    NeedsApproval,
    /// It asks a question and waits for the answer.
    NeedsAnswer {
        /// What it asks; Markdown from the model.
        question: String,
        /// Answers it offers; plain text from the model.
        options: Vec<String>,
    },
    /// What was approved was changed before it began; nothing was run.
    Withdrawn {
        /// What a person may read: cause and next step.
        why: String,
    },
    /// A limit was reached.
    Limit {
        /// Which one.
        limit: LimitKind,
        /// What was spent and what going on would cost, where the limit is one of money.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reckoning: Option<Reckoning>,
    },
    /// A person stopped it.
    Stopped {
        /// Login of that person.
        by: String,
    },
    /// It could not go on.
    Failed {
        /// What a person may read: cause and next step.
        reason: String,
        /// Names the failure in our log.
        report: String,
    },
}

/// What people need to decide whether a run that ended at a ceiling goes on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reckoning {
    /// Spent by the run, in thousandths of a dollar.
    pub spent_milli_usd: u64,
    /// What the next step would cost by our estimate; none when nothing tells.
    pub next_milli_usd: Option<u64>,
    /// A ceiling with room to go on, in dollars.
    pub raise_to_usd: u64,
    /// What was done last; plain text that may come from a model.
    pub doing: Option<String>,
}

impl LimitKind {
    /// True for the ceilings of money.
    pub fn is_money(self) -> bool {
        match self {
            Self::Steps { .. } | Self::Time { .. } => false,
            Self::Cost { .. } | Self::DailyCost { .. } | Self::PersonDailyCost { .. } | Self::RepositoryDailyCost { .. } => true,
        }
    }
}

/// The limits a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LimitKind {
    /// `RUN_MAX_STEPS`.
    Steps {
        /// The limit.
        max: u32,
    },
    /// `RUN_TIMEOUT`.
    Time {
        /// The limit in seconds.
        seconds: u64,
    },
    /// `RUN_BUDGET_USD`, in thousandths of a dollar.
    Cost {
        /// The limit.
        max_milli_usd: u64,
    },
    /// `DAILY_BUDGET_USD`, in thousandths of a dollar.
    DailyCost {
        /// The limit.
        max_milli_usd: u64,
    },
    /// `USER_DAILY_BUDGET_USD` or the repository's own, in thousandths of a dollar.
    PersonDailyCost {
        /// The limit.
        max_milli_usd: u64,
    },
    /// `REPOSITORY_DAILY_BUDGET_USD` or the repository's own, in thousandths of a dollar.
    RepositoryDailyCost {
        /// The limit.
        max_milli_usd: u64,
    },
}

/// The comment at the end of a run.
#[derive(Clone, Debug)]
pub struct AnswerView {
    /// How it ended.
    pub outcome: Outcome,
    /// The agent's answer, or its last words when it was cut short. Markdown.
    pub text: String,
    /// What was run, oldest first.
    pub executions: Vec<Execution>,
    /// Files that people get.
    pub attachments: Vec<Attached>,
    /// Files the run changed, as a unified diff.
    pub diff: Option<String>,
    /// Where the work landed, in order.
    pub landed: Vec<Landed>,
    /// The small line at the end.
    pub footer: Footer,
}

/// A file that people get with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// What they see as its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Where it can be fetched.
    pub url: String,
    /// How it is shown.
    pub shown: Shown,
}

/// How an attachment is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As the picture it is.
    Picture,
    /// In a collapsible section.
    Text(String),
    /// As a link only.
    Link,
}

/// Where work landed, or why it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Landed {
    /// The pull request's number.
    pub pull_request: Option<i64>,
    /// Where people read it.
    pub url: Option<String>,
    /// True for a draft.
    pub is_draft: bool,
    /// True when it was opened for this.
    pub is_new: bool,
    /// The branch.
    pub branch: String,
    /// The commits, from the oldest.
    pub commits: Vec<CommitMade>,
    /// Files that changed.
    pub files: u32,
    /// What did not land.
    pub left_out: Vec<LeftOut>,
    /// Sentences of ours about it.
    pub notes: Vec<String>,
}

/// Something that was run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Execution {
    /// Info string of a fence: `python`, `sh`, …
    pub language: String,
    /// The code or command line.
    pub code: String,
    /// What it printed; standard error follows standard output.
    pub output: String,
    /// Exit status; none when it was not run (no interpreter, sandbox gone).
    pub exit_code: Option<i32>,
    /// Wall clock in milliseconds.
    pub duration_ms: u64,
    /// Bytes of output that were already left out.
    pub omitted: u64,
    /// Files that are new afterwards, relative to the workspace.
    pub new_files: Vec<String>,
}

/// Figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Footer {
    /// The model that answered last; none when no model was asked.
    pub model: Option<ModelName>,
    /// Model answers.
    pub steps: u32,
    /// From acceptance to end.
    pub elapsed: Duration,
    /// What it cost.
    pub cost: Cost,
    /// The run page, when there is one.
    pub run_url: Option<String>,
}

/// Money of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Cost {
    /// No model was asked.
    #[default]
    None,
    /// Dollars by the price table.
    Usd(f64),
    /// The price of the model is not in the table.
    Unknown,
}
