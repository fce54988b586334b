//! What a review begins with: what changed, as data, and how to go about it.

use std::fmt::Write;

use super::check;
use super::diff::{PullDiff, commit_of};
use super::publish::Told;
use super::pull_of;
use crate::agent::store::Taken;
use crate::github::{GithubError, RepoRef, ReviewedFile};
use crate::id::RunId;
use crate::intake::Request;
use crate::jobs::Services;
use crate::reply::{clean, cut, inline};
use crate::review::comment::short;
use crate::review::store::{self, FindingRow, FindingState, Lease, Of, Posted};

/// How to review.
const BRIEF: &str = include_str!("../../review/brief.md");
/// Files that are listed, and bytes of the diff that are shown at once.
const MOST_LISTED: usize = 300;
const MOST_DIFF: usize = 60_000;
const MOST_PATCH: usize = 12_000;
const MOST_EARLIER: usize = 40;

/// How the review of a run begins.
#[derive(Debug, Default)]
pub(in crate::jobs) struct Begun {
    /// What is added to the opening of the run.
    pub told: String,
    /// The whole answer, when there is nothing to review.
    pub answer: Option<String>,
}

/// True when a push of the request's pull request changed nothing that was not reviewed: nobody has to be told. The check of the last
/// review stands at the new commit as well then.
///
/// # Errors
/// As the calls.
pub(in crate::jobs) async fn is_unchanged(services: &Services, request: &Request) -> Result<bool, GithubError> {
    let (Some((repo, number)), Some(github)) = (pull_of(request), &services.github) else { return Ok(false) };
    let last = match store::last(&services.pool, None, repo.id, number).await {
        Ok(Some(last)) => last,
        Ok(None) | Err(_) => return Ok(false),
    };
    let commit = commit_of(github, &repo, number, request).await?;
    let diff = PullDiff::load(github.clone(), repo.clone(), number, commit).await?;
    if diff.digest() != last.digest {
        return Ok(false);
    }
    stands_still(services, &repo, number, &diff, &last, None).await?;
    Ok(true)
}

/// The check of the last review at another commit, which changes nothing else.
async fn stands_still(
    services: &Services,
    repo: &RepoRef,
    number: i64,
    diff: &PullDiff,
    last: &Posted,
    run: Option<RunId>,
) -> Result<(), GithubError> {
    let known = store::earlier(&services.pool, run, repo.id, number).await.map_err(database)?;
    let open = known.iter().filter(|one| one.state == FindingState::Posted).count();
    let told = Told { text: unchanged(diff, last, number), open, unwanted: known.len() - open };
    check::end(services, repo, number, &diff.commit, true, &told).await
}

fn database(error: sqlx::Error) -> GithubError {
    GithubError::Unavailable { maybe_done: false, cause: error.to_string() }
}

/// Looks up what is to be reviewed and records it. What goes wrong is told to the model, which can still read the pull request.
pub(in crate::jobs) async fn begin(services: &Services, taken: &Taken) -> Begun {
    match look(services, taken).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(run.id = %taken.id, %error, "the diff of the pull request is not known to the run");
            let told = format!("{}\n\n(The changed files could not be looked up: {error}.)", BRIEF.trim());
            Begun { told, answer: None }
        }
    }
}

async fn look(services: &Services, taken: &Taken) -> Result<Begun, GithubError> {
    let (Some((repo, number)), Some(github)) = (pull_of(&taken.request), &services.github) else {
        let told = "This conversation is not a pull request, so there is no diff to review and no review can be posted. \
                    Say so, and answer with what you can.";
        return Ok(Begun { told: told.to_owned(), answer: None });
    };
    let commit = commit_of(github, &repo, number, &taken.request).await?;
    let diff = PullDiff::load(github.clone(), repo.clone(), number, commit).await?;
    let digest = diff.digest();
    let last = store::last(&services.pool, Some(taken.id), repo.id, number).await.map_err(database)?;
    if let Some(last) = last.filter(|last| last.digest == digest) {
        stands_still(services, &repo, number, &diff, &last, Some(taken.id)).await?;
        return Ok(Begun { told: String::new(), answer: Some(unchanged(&diff, &last, number)) });
    }
    let lease = Lease { run: taken.id, epoch: taken.epoch };
    let files = i32::try_from(diff.files.len()).unwrap_or(i32::MAX);
    let of = Of { repository: repo.id, number, commit: &diff.commit, digest: &digest, files };
    store::begin(&services.pool, lease, &of, services.clock.now()).await.map_err(database)?;
    check::begin(services, github, &repo, number, &diff.commit).await;
    let earlier = store::earlier(&services.pool, Some(taken.id), repo.id, number).await.map_err(database)?;
    Ok(Begun { told: told(&diff, &earlier), answer: None })
}

fn unchanged(diff: &PullDiff, last: &Posted, number: i64) -> String {
    let review = match last.external_id {
        Some(id) => {
            let url = format!("{}/pull/{number}#pullrequestreview-{id}", diff.pull.repository_page());
            format!("[my last review]({})", inline::target(&url))
        }
        None => "my last review".to_owned(),
    };
    format!(
        "Nothing that the pull request changes is different since {review} of `{}`, so I did not review it again (now at `{}`).",
        short(&last.commit),
        short(&diff.commit)
    )
}

/// The changed files and their diff as quoted data, what was said before, and how to go about it.
fn told(diff: &PullDiff, earlier: &[FindingRow]) -> String {
    let mut parts = vec![
        format!("The pull request changes {} at commit {}:", inline::counted(diff.files.len() as u64, "file"), diff.commit),
        clean::quote("changed files", "", &listed(&diff.files)),
    ];
    parts.extend(patches(&diff.files));
    let open: Vec<&FindingRow> =
        earlier.iter().filter(|one| one.state == FindingState::Posted).rev().take(MOST_EARLIER).collect();
    if !open.is_empty() {
        let lines: Vec<String> = open.iter().map(|one| format!("{} {}:{}", one.data.rule, one.path, one.data.first)).collect();
        parts.push("Earlier reviews said this and it is not settled:".to_owned());
        parts.push(clean::quote("earlier findings", "", &lines.join("\n")));
    }
    parts.push(BRIEF.trim().to_owned());
    parts.join("\n\n")
}

fn listed(files: &[ReviewedFile]) -> String {
    let mut text = String::new();
    for file in files.iter().take(MOST_LISTED) {
        let before = file.previous.as_ref().map(|before| format!(" (was {})", one_line(before))).unwrap_or_default();
        let _ = writeln!(text, "{} {}{before} +{} -{}", file.status, one_line(&file.path), file.additions, file.deletions);
    }
    if files.len() > MOST_LISTED {
        let _ = writeln!(text, "({} not listed)", inline::counted((files.len() - MOST_LISTED) as u64, "more file"));
    }
    text
}

fn patches(files: &[ReviewedFile]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut used = 0;
    let mut left_out = 0;
    for file in files {
        let Some(patch) = &file.patch else { continue };
        let quoted = clean::quote("diff", &one_line(&file.path), &cut::cut_middle(patch, MOST_PATCH, None));
        if used + quoted.len() > MOST_DIFF {
            left_out += 1;
            continue;
        }
        used += quoted.len();
        shown.push(quoted);
    }
    if left_out > 0 {
        shown.push(format!("(The diff of {} is not shown here; read them.)", inline::counted(left_out, "more file")));
    }
    shown
}

fn one_line(path: &str) -> String {
    cut::cut_end(&clean::visible(path).replace(['\n', '<', '>'], " "), 300)
}
