//! What each error means for people, and what to do about it: nobody has to look a status up.

use super::error::{ApiError, ErrorKind};
use crate::sandbox::SandboxError;

impl ErrorKind {
    /// What went wrong, as the beginning of a sentence.
    pub fn cause(self) -> &'static str {
        match self {
            Self::BadKey => "Daytona does not accept the credential",
            Self::Forbidden => "Daytona does not permit this",
            Self::NotFound => "Daytona does not know it",
            Self::RouteMissing => "the server at this address does not know the call",
            Self::Quota => "Daytona has no room left for this organisation",
            Self::SnapshotMissing => "Daytona cannot use the snapshot",
            Self::Region => "Daytona cannot use the region",
            Self::InProgress | Self::NameTaken => "Daytona is still busy with it",
            Self::Errored => "the sandbox has failed",
            Self::SandboxUnavailable => "it does not answer",
            Self::CommandTimeout => "it took longer than allowed",
            Self::RateLimited { .. } => "Daytona limits how often it may be asked",
            Self::Conflict | Self::Ended | Self::Unsupported | Self::Invalid => "Daytona cannot do this",
            Self::Server => "Daytona has a problem",
            Self::Unreachable => "Daytona cannot be reached",
            Self::Lost => "Daytona did not answer in time",
            Self::Unreadable => "the answer makes no sense",
        }
    }

    /// What to do about it, as whole sentences.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::BadKey => "Set DAYTONA_API_KEY to a key that is valid at DAYTONA_API_URL and has not expired.",
            Self::Forbidden => {
                "Use an API key with the permissions write:sandboxes and delete:sandboxes, and check that the organisation is not suspended."
            }
            Self::NotFound => "Make a new one.",
            Self::RouteMissing => "Check that DAYTONA_API_URL is the base of a Daytona API, such as https://app.daytona.io/api.",
            Self::Quota => {
                "Delete sandboxes that are not needed, choose a smaller snapshot with DAYTONA_SNAPSHOT, or raise the organisation's limits."
            }
            Self::SnapshotMissing => {
                "Set DAYTONA_SNAPSHOT to an active snapshot of this organisation and region, or unset it for the default."
            }
            Self::Region => "Set DAYTONA_TARGET to a region of this organisation, such as us or eu, or unset it.",
            Self::InProgress | Self::NameTaken | Self::SandboxUnavailable => "Try again in a moment.",
            Self::Errored => "Try again; if it stays so, delete it and start afresh.",
            Self::CommandTimeout => "Give it more time or do less at once.",
            Self::RateLimited { .. } | Self::Server => "Try again in a minute.",
            Self::Conflict | Self::Ended | Self::Unsupported | Self::Invalid => "Ask for something else.",
            Self::Unreachable => "Check the network and DAYTONA_API_URL.",
            Self::Lost => "Whether it was done is not known; look before trying again.",
            Self::Unreadable => "Check that DAYTONA_API_URL is the base of a Daytona API of a current version.",
        }
    }
}

impl From<ApiError> for SandboxError {
    /// Refused is what only the operator can change, unavailable what passes.
    fn from(error: ApiError) -> Self {
        let said = error.message.trim_end_matches(['.', ' ']).to_owned();
        let told = format!("{}: {said}. {}", error.kind.cause(), error.kind.remedy());
        match error.kind {
            ErrorKind::BadKey
            | ErrorKind::Forbidden
            | ErrorKind::Quota
            | ErrorKind::SnapshotMissing
            | ErrorKind::Region
            | ErrorKind::RouteMissing
            | ErrorKind::Unreadable => Self::Refused(told),
            ErrorKind::InProgress
            | ErrorKind::NameTaken
            | ErrorKind::Errored
            | ErrorKind::SandboxUnavailable
            | ErrorKind::CommandTimeout
            | ErrorKind::RateLimited { .. }
            | ErrorKind::Server
            | ErrorKind::Unreachable
            | ErrorKind::Lost => Self::Unavailable(told),
            ErrorKind::NotFound => Self::NotFound(said),
            ErrorKind::Conflict | ErrorKind::Ended | ErrorKind::Unsupported | ErrorKind::Invalid => Self::Invalid(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_to_do() {
        let error = |kind, said: &str| SandboxError::from(ApiError::own(kind, said)).to_string();
        let all = [
            error(ErrorKind::BadKey, "Invalid credentials"),
            error(ErrorKind::Forbidden, "Forbidden resource"),
            error(ErrorKind::Quota, "Total CPU limit exceeded. Maximum allowed: 10."),
            error(ErrorKind::SnapshotMissing, "Snapshot dev not found"),
            error(ErrorKind::Region, "Region mars not found"),
            error(ErrorKind::InProgress, "Sandbox state change in progress"),
            error(ErrorKind::Server, "Bad Request"),
            error(ErrorKind::SandboxUnavailable, "HTTP 502 Bad Gateway"),
            error(ErrorKind::Unreachable, "no connection: refused"),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        Daytona does not accept the credential: Invalid credentials. Set DAYTONA_API_KEY to a key that is valid at DAYTONA_API_URL and has not expired.
        Daytona does not permit this: Forbidden resource. Use an API key with the permissions write:sandboxes and delete:sandboxes, and check that the organisation is not suspended.
        Daytona has no room left for this organisation: Total CPU limit exceeded. Maximum allowed: 10. Delete sandboxes that are not needed, choose a smaller snapshot with DAYTONA_SNAPSHOT, or raise the organisation's limits.
        Daytona cannot use the snapshot: Snapshot dev not found. Set DAYTONA_SNAPSHOT to an active snapshot of this organisation and region, or unset it for the default.
        Daytona cannot use the region: Region mars not found. Set DAYTONA_TARGET to a region of this organisation, such as us or eu, or unset it.
        the sandbox is not available: Daytona is still busy with it: Sandbox state change in progress. Try again in a moment.
        the sandbox is not available: Daytona has a problem: Bad Request. Try again in a minute.
        the sandbox is not available: it does not answer: HTTP 502 Bad Gateway. Try again in a moment.
        the sandbox is not available: Daytona cannot be reached: no connection: refused. Check the network and DAYTONA_API_URL.
        "#);
    }
}
