//! The check run of a review. It is a courtesy: where it cannot be written, the review goes on without it.

use super::publish::Told;
use crate::github::{CheckOf, Conclusion, Github, GithubError, RepoRef};
use crate::jobs::Services;
use crate::reply::inline;

fn external_id(repo: &RepoRef, number: i64, commit: &str) -> String {
    format!("threadbox-review:{}:{number}:{commit}", repo.id)
}

fn name(services: &Services) -> String {
    format!("{} review", services.settings.name)
}

/// Shows that a review is under way.
pub(super) async fn begin(services: &Services, github: &Github, repo: &RepoRef, number: i64, commit: &str) {
    if !github.writes_checks() {
        return;
    }
    let (name, external_id) = (name(services), external_id(repo, number, commit));
    let check = CheckOf { name: &name, head: commit, external_id: &external_id };
    if let Err(error) = github.begin_check(repo, check).await {
        tracing::info!(%error, commit, "no check run for the review");
    }
}

/// Ends it. `whole` when everything was looked at: only then can there be success, and that only when nothing is open and nobody
/// turned anything down. Idempotent.
///
/// # Errors
/// What may work later; where the check cannot be written at all, the review goes on without it.
pub(super) async fn end(
    services: &Services,
    repo: &RepoRef,
    number: i64,
    commit: &str,
    whole: bool,
    told: &Told,
) -> Result<(), GithubError> {
    let Some(github) = services.github.as_ref().filter(|github| github.writes_checks()) else { return Ok(()) };
    let (conclusion, title) = match (whole, told.open) {
        (true, 0) if told.unwanted == 0 => (Conclusion::Success, "Nothing to suggest".to_owned()),
        (true, 0) => (Conclusion::Neutral, inline::counted(told.unwanted as u64, "finding") + " turned down"),
        (true, open) => (Conclusion::Neutral, inline::counted(open as u64, "open finding")),
        (false, _) => (Conclusion::Neutral, "The review was not finished".to_owned()),
    };
    let (name, external_id) = (name(services), external_id(repo, number, commit));
    let check = CheckOf { name: &name, head: commit, external_id: &external_id };
    match github.end_check(repo, check, conclusion, &title, &told.text).await {
        Err(error) if !error.is_transient() => {
            tracing::info!(%error, commit, "the check run of the review is not ended");
            Ok(())
        }
        ended => ended,
    }
}
