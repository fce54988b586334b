//! What can go wrong with landing, in terms of what is done about it.

use crate::agent::tools::HandError;
use crate::github::GithubError;
use crate::sandbox::SandboxError;
use crate::sandbox::checkout::OriginError;

/// Why something did not land.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It will not land later either. For people and models.
    #[error("{0}")]
    Refused(String),
    /// Both sides changed these files.
    #[error("files were changed on both sides")]
    Conflicts(Vec<String>),
    /// The branch is another one than it was a moment ago.
    #[error("the branch moved each time it was tried; ask again when it is calmer there")]
    Moved,
    /// There is a branch of that name.
    #[error("there are branches of every name that was tried; ask again with `pr`")]
    Taken,
    /// Nothing may be pushed there.
    #[error("{0}")]
    Closed(String),
    /// The workspace does not stand at what landed before.
    #[error("the workspace could not be brought to what landed before")]
    Behind,
    /// It landed, and nobody can see it as a pull request yet.
    #[error("the branch `{branch}` is pushed; its pull request is not open yet: {why}")]
    Pushed { branch: String, why: String },
    /// Another worker has the run.
    #[error("another worker has taken the conversation over")]
    Overtaken,
    #[error(transparent)]
    Github(#[from] GithubError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("the service's database did not answer ({0})")]
    Database(#[from] sqlx::Error),
}

impl Trouble {
    /// True when the same again ends the same way.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Conflicts(_) | Self::Closed(_) | Self::Origin(OriginError::Refused(_)) => true,
            Self::Github(error) => !error.is_transient(),
            Self::Sandbox(SandboxError::Unavailable(_) | SandboxError::Gone(_)) => false,
            Self::Sandbox(_) => true,
            Self::Moved
            | Self::Taken
            | Self::Behind
            | Self::Pushed { .. }
            | Self::Overtaken
            | Self::Database(_)
            | Self::Origin(OriginError::Unavailable(_)) => false,
        }
    }

    /// For a tool and for the end of a run.
    pub(super) fn into_hand(self) -> HandError {
        let again = "What was made is kept; ask me again with `pr`.";
        match &self {
            Self::Github(error) if error.is_transient() => HandError::Unavailable(format!("{self}. {again}")),
            Self::Origin(OriginError::Unavailable(_))
            | Self::Database(_)
            | Self::Overtaken
            | Self::Moved
            | Self::Taken
            | Self::Behind
            | Self::Pushed { .. } => HandError::Unavailable(format!("{self}. {again}")),
            Self::Sandbox(SandboxError::Unavailable(_) | SandboxError::Gone(_)) => {
                HandError::Unavailable(format!("{self}. {again}"))
            }
            Self::Refused(_)
            | Self::Conflicts(_)
            | Self::Closed(_)
            | Self::Github(_)
            | Self::Sandbox(_)
            | Self::Origin(OriginError::Refused(_)) => HandError::Refused(self.to_string()),
        }
    }
}

/// What GitHub says when a branch does not take a commit because of rules.
pub(super) fn is_closed(error: &GithubError) -> bool {
    let words = match error {
        GithubError::Invalid(words) => words.to_lowercase(),
        GithubError::Forbidden { missing, .. } => missing.to_lowercase(),
        GithubError::RateLimited { .. } | GithubError::Unavailable { .. } | GithubError::NotFound | GithubError::Gone(_) => {
            return false;
        }
    };
    ["protected branch", "repository rule", "rule violations", "changes must be made through"]
        .iter()
        .any(|said| words.contains(said))
}
