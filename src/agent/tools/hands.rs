//! What tools may do where the conversation is: they propose, and trusted code outside the sandbox checks and performs.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::ToolOutput;
use crate::landing::plan::ProposedCommit;
use crate::memory::{Period, Reach};

/// The hands of a run; one that is missing is not offered to the model.
#[derive(Clone, Default)]
pub struct Hands {
    /// Reads issues, pull requests and logs.
    pub reader: Option<Arc<dyn Reader>>,
    /// Turns the work in the sandbox into commits and a pull request.
    pub lander: Option<Arc<dyn Lander>>,
    /// Proves suggestions and posts them with the review.
    pub reviewer: Option<Arc<dyn Reviewer>>,
    /// Finds what was said before.
    pub recaller: Option<Arc<dyn Recaller>>,
    /// Keeps things in mind.
    pub notebook: Option<Arc<dyn Notebook>>,
}

/// Why a hand did not do it. The text is for the model, and names what would help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandError {
    /// It will not work later either.
    #[error("{0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// What is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `owner/name`; the conversation's own repository when there is none.
    pub repository: Option<String>,
    /// The issue or pull request; the conversation's own when there is none.
    pub number: Option<i64>,
    /// The page, counted from 1.
    pub page: usize,
}

/// Reads what people wrote elsewhere, as data: attributed, cleaned, capped, and as it stood when the request was written.
#[async_trait]
pub trait Reader: Send + Sync {
    /// An issue with its comments, the newest on the first page.
    async fn issue(&self, target: &Target) -> Result<Value, HandError>;

    /// A pull request with its changed files, commits and reviews. `path` asks for the diff of one file instead.
    async fn pull_request(&self, target: &Target, path: Option<&str>) -> Result<Value, HandError>;

    /// The failed checks of the pull request, or of the default branch, and the ends of their logs; `name` asks for one.
    async fn check_logs(&self, name: Option<&str>) -> Result<Value, HandError>;
}

/// What should land.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// One line, at most 72 characters are used.
    pub title: String,
    /// What, why and how it was verified; Markdown.
    pub body: String,
    /// One for each logical change; what none of them names goes together.
    pub commits: Vec<ProposedCommit>,
    /// Whether it should be a draft, where the repository does not say otherwise.
    pub draft: Option<bool>,
}

/// Lands the work of a thread. Asked twice it finds what it did.
#[async_trait]
pub trait Lander: Send + Sync {
    /// Makes commits of what differs from the base, and a pull request where there is none yet. The output tells the model where it is.
    async fn land(&self, proposal: Proposal) -> Result<ToolOutput, HandError>;

    /// Lands exactly the changes that were approved, whatever the workspace holds now.
    async fn land_approved(&self, digest: &str) -> Result<ToolOutput, HandError>;

    /// Takes back what the last run of the thread changed, in the workspace and where it landed.
    async fn undo(&self) -> Result<ToolOutput, HandError>;
}

/// One finding of a review, as the model proposes it.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Path in the repository.
    pub path: String,
    /// The exact lines of the reviewed file it is about, as they stand there.
    pub original: String,
    /// What they should become; none for a remark.
    pub replacement: Option<String>,
    /// What is wrong and why; Markdown.
    pub body: String,
    /// A short stable name of the kind of problem, such as `sql-injection`.
    pub rule: String,
    /// `blocking`, `important`, `minor`.
    pub severity: String,
    /// Line the passage begins at, where it stands more than once.
    pub line: Option<i64>,
}

/// Collects the findings of a review and proves its suggestions.
#[async_trait]
pub trait Reviewer: Send + Sync {
    /// Anchors and proves each finding, and keeps it for the one review at the end. The output tells the model which were proved, which
    /// were demoted and why.
    async fn suggest(&self, findings: Vec<Finding>) -> Result<ToolOutput, HandError>;
}

/// What to look for in memory.
#[derive(Clone, Debug, Default)]
pub struct RecallQuery {
    /// What is sought, in words.
    pub query: String,
    /// How far to look; the repository's setting when there is none.
    pub reach: Option<Reach>,
    /// Passages wanted; the setting's when there is none.
    pub top_k: Option<usize>,
    /// When it was said.
    pub period: Period,
    /// Who said it, as the model names them.
    pub by: Option<String>,
}

/// Finds what was said in earlier conversations, as data with receipts.
#[async_trait]
pub trait Recaller: Send + Sync {
    /// The passages that fit best, with what was said right before and after each.
    async fn recall(&self, query: RecallQuery) -> Result<ToolOutput, HandError>;
}

/// A change of working memory.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryUpdate {
    /// Names the call, the same after a restart: what was done under it is done once.
    pub key: String,
    /// Of this conversation, or of all conversations of the owner.
    pub reach: Reach,
    /// What to change.
    pub change: MemoryChange,
}

/// How working memory changes.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryChange {
    /// This Markdown instead of all that was there.
    Replace(String),
    /// These sections merged into what is there; null deletes one.
    Merge(Map<String, Value>),
    /// This text instead of another, or added.
    Edit {
        /// What is replaced; added at the end when there is none.
        search: Option<String>,
        /// What it becomes.
        text: String,
    },
}

/// Keeps things in mind.
#[async_trait]
pub trait Notebook: Send + Sync {
    /// The headings that are to be filled in and what belongs under each, as Markdown; the same for the whole run.
    fn template(&self) -> String;

    /// Changes working memory. Updates of the same memory happen one after the other, in whichever process.
    async fn update(&self, update: MemoryUpdate) -> Result<ToolOutput, HandError>;
}
