//! GitHub: events in, calls out.
//!
//! Inwards, [`parse`] turns a verified webhook into an [`crate::intake::Inbound`]; nothing else of a payload leaves this
//! room. Outwards, [`Github`] makes the few calls the service needs, each bounded in time and paced per installation. It
//! never resends a call that may have had an effect: [`GithubError`] says whether that is certain, and callers look for
//! their marker before they try again.

mod actions;
mod archive;
mod auth;
mod check_run;
mod client;
mod comment;
mod delivery;
mod download;
mod error;
mod event;
mod find;
mod gate;
mod git_data;
mod graphql;
mod identity;
mod issue;
mod paging;
mod payload;
mod permission;
mod person;
mod picture;
mod pull;
mod pull_read;
mod reaction;
mod recent;
mod remembered;
mod repository;
mod repository_file;
mod review;
mod review_thread;
mod thread_state;
mod verify;
mod watch;

pub use actions::{Annotation, CheckRun, LogEnd};
pub use archive::{ArchiveError, Archives, LARGEST_ARCHIVE};
pub use check_run::{CheckOf, Conclusion};
pub use client::{CALL_TIMEOUT, Github};
pub use comment::{Comment, CommentId};
pub use delivery::{ListedDelivery, Page};
pub use error::GithubError;
pub use event::{PayloadError, handles, parse};
pub use gate::Pace;
pub use git_data::{CommitTree, NewEntry, Writes};
pub use identity::Identity;
pub use issue::{AsOf, Issue, Reads, Seen};
pub use picture::{Linked, Signed, linked, picture_type, upload_name};
pub use pull::{NewPull, Pull};
pub use pull_read::{ChangedFile, LineComment, MOST_FILES, PER_PAGE, PullCommit, PullInFull, PullReview, Tip};
pub use reaction::Reaction;
pub use recent::{Recent, RecentKind};
pub use repository::{PullHead, Since};
pub use repository_file::{
    AgentSection, AllowSection, FileProblem, LimitsSection, PATH as REPOSITORY_FILE, PullRequestMode, PullRequestSection,
    RepositoryFile, SandboxSection, TriggersSection,
};
pub use review::{Comparison, NewRemark, NewReview, ReviewRemark, ReviewedFile};
pub use thread_state::ThreadState;
pub use verify::{Check, Problem};
pub use watch::{Elsewhere, Given};

use crate::intake::Place;

/// Every text we post starts a hidden marker with this; a text that carries it never triggers anything.
pub const MARKER: &str = "<!-- threadbox:";

/// A repository as calls need it: its name for paths, its number for token scopes, its installation for credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepoRef {
    /// `owner/name`.
    pub full_name: String,
    /// The repository's number.
    pub id: i64,
    /// The installation that may act; looked up when an App acts and it is not known.
    pub installation: Option<i64>,
}

impl RepoRef {
    /// The repository a conversation lives in, with the issue's number; none when it lives on another surface.
    pub fn of(place: &Place) -> Option<(Self, i64)> {
        match place {
            Place::Github { repository, repository_id, number, installation, .. } => {
                Some((Self { full_name: repository.clone(), id: *repository_id, installation: *installation }, *number))
            }
            Place::Discord { .. } => None,
        }
    }

    /// The repository a conversation is about: the one it lives in, or was linked to; none where there is none.
    pub fn about(place: &Place) -> Option<Self> {
        match place {
            Place::Github { .. } => Self::of(place).map(|(repo, _)| repo),
            Place::Discord { repository, .. } => repository.as_ref().map(|linked| Self {
                full_name: linked.full_name.clone(),
                id: linked.id,
                installation: linked.installation,
            }),
        }
    }

    /// The account that owns the repository.
    pub fn owner(&self) -> &str {
        self.full_name.split('/').next().unwrap_or_default()
    }

    /// `/repos/owner/name`, encoded.
    fn path(&self) -> Result<String, GithubError> {
        match self.full_name.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !matches!(name, "." | "..") => {
                Ok(format!("/repos/{}/{}", paging::encode(owner), paging::encode(name)))
            }
            _ => Err(GithubError::Invalid(format!("`{}` is not a repository's owner/name", self.full_name))),
        }
    }
}
