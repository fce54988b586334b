//! The reviewer of a run: places each finding, proves each suggestion, and keeps both for the one review at the end.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::diff::{Content, PullDiff, commit_of};
use super::prove::{Candidate, Commands, Proving, Tried};
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::{Finding, HandError, Reviewer, Sandboxes, ToolOutput};
use crate::github::{Github, GithubError, RepoRef};
use crate::id::RunId;
use crate::intake::Request;
use crate::jobs::Services;
use crate::jobs::repository::Repositories;
use crate::memory::receipt;
use crate::review::apply::Block;
use crate::review::comment::{blocks_in, comment};
use crate::review::diff::unified;
use crate::review::finding::{Kept, Standing};
use crate::review::fingerprint::fingerprint;
use crate::review::prepare::{Prepared, prepare};
use crate::review::store::{self, FindingRow, Lease, Of};

/// Findings of one call, and of a whole run.
const MOST_AT_ONCE: usize = 50;
const MOST_IN_ALL: usize = 200;

/// The hands of one run for reviewing.
pub(in crate::jobs) struct Proposals {
    pub services: Services,
    pub github: Arc<Github>,
    pub repositories: Arc<Repositories>,
    pub sandboxes: ThreadSandboxes,
    pub repo: RepoRef,
    pub number: i64,
    pub run: RunId,
    pub lease: Lease,
    pub request: Request,
    pub diff: OnceCell<Arc<PullDiff>>,
}

/// A finding on its way.
struct Placed {
    at: usize,
    prepared: Prepared,
    base: Arc<str>,
}

#[async_trait]
impl Reviewer for Proposals {
    async fn suggest(&self, mut findings: Vec<Finding>) -> Result<ToolOutput, HandError> {
        for finding in &mut findings {
            // A review is read by whoever looks at the code; receipts stand in the answer.
            finding.body = receipt::strip(&finding.body);
        }
        if findings.is_empty() {
            return Err(HandError::Refused("`findings` is empty".to_owned()));
        }
        let diff = self.diff().await.map_err(|error| unavailable(&error))?;
        let kept = store::findings(&self.services.pool, self.run).await.map_err(|error| database(&error))?;
        let earlier = store::earlier(&self.services.pool, Some(self.run), self.repo.id, self.number).await;
        let earlier = earlier.map_err(|error| database(&error))?;
        let room = MOST_AT_ONCE.min(MOST_IN_ALL.saturating_sub(kept.len()));
        let mut told: Vec<Value> = vec![Value::Null; findings.len()];
        let mut placed = Vec::new();
        for (at, finding) in findings.iter().enumerate() {
            if at >= room {
                told[at] = json!({"path": finding.path, "error": format!(
                    "not looked at: at most {MOST_AT_ONCE} findings at once and {MOST_IN_ALL} in a review; keep to what matters most")});
                continue;
            }
            match self.place(&diff, finding).await? {
                Ok((prepared, base)) => placed.push(Placed { at, prepared, base }),
                Err(why) => told[at] = json!({"path": finding.path, "error": why}),
            }
        }
        let printed = self.prove(&mut placed, &kept).await?;
        for placed in &placed {
            let kept = &placed.prepared.kept;
            let mark = fingerprint(&kept.rule, &kept.code);
            let known = earlier.iter().any(|one| one.fingerprint == mark && one.path == kept.path);
            let done = store::keep(&self.services.pool, self.lease, &mark, kept, self.services.clock.now()).await;
            if !done.map_err(|error| database(&error))? {
                return Err(HandError::Refused("this run no longer keeps findings".to_owned()));
            }
            told[placed.at] = outcome(kept, known);
        }
        Ok(output(&diff.commit, told, printed))
    }
}

impl Proposals {
    /// The reviewed diff; the commit is that of the recorded review when the run was taken up again.
    pub async fn diff(&self) -> Result<Arc<PullDiff>, GithubError> {
        let load = || async {
            let database = |error: sqlx::Error| GithubError::Unavailable { maybe_done: false, cause: error.to_string() };
            let recorded = store::review(&self.services.pool, self.run).await.map_err(database)?;
            let commit = match recorded {
                Some(row) => row.commit,
                None => commit_of(&self.github, &self.repo, self.number, &self.request).await?,
            };
            let diff = PullDiff::load(self.github.clone(), self.repo.clone(), self.number, commit).await?;
            let digest = diff.digest();
            let files = i32::try_from(diff.files.len()).unwrap_or(i32::MAX);
            let of = Of { repository: self.repo.id, number: self.number, commit: &diff.commit, digest: &digest, files };
            let begun = store::begin(&self.services.pool, self.lease, &of, self.services.clock.now()).await;
            match begun.map_err(database)? {
                true => Ok(Arc::new(diff)),
                false => Err(GithubError::Invalid("another worker has the run".to_owned())),
            }
        };
        self.diff.get_or_try_init(load).await.cloned()
    }

    /// Finds the passage of a finding; the inner error is for the model.
    async fn place(&self, diff: &PullDiff, finding: &Finding) -> Result<Result<(Prepared, Arc<str>), String>, HandError> {
        let path = finding.path.trim_start_matches("./").trim_start_matches('/').to_owned();
        if diff.file(&path).is_some_and(|file| file.status == "removed") {
            return Ok(Err("the pull request removes this file".to_owned()));
        }
        let text = match diff.content(&path).await.map_err(|error| unavailable(&error))? {
            Content::Text(text) => text,
            Content::Missing => {
                return Ok(Err(format!("there is no such file at {}, or it is larger than 1 MB", diff.commit)));
            }
            Content::Binary => return Ok(Err("it is not a UTF-8 text file".to_owned())),
        };
        let hunks = diff.hunks(&path, &text).await.map_err(|error| unavailable(&error))?;
        let finding = Finding { path, ..finding.clone() };
        Ok(prepare(&finding, &text, &hunks).map(|prepared| (prepared, text)).map_err(|why| why.to_string()))
    }

    /// Tries the suggestions together with those that were proved before. What cannot be proved is demoted. Tells what the commands printed
    /// when something failed.
    async fn prove(&self, placed: &mut [Placed], kept: &[FindingRow]) -> Result<Option<String>, HandError> {
        self.demote_unpostable(placed);
        let mut candidates: Vec<Candidate> = Vec::new();
        let replaced: HashSet<String> = placed.iter().map(|one| mark(&one.prepared.kept)).collect();
        let mut base: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let diff = self.diff().await.map_err(|error| unavailable(&error))?;
        for row in kept.iter().filter(|row| !replaced.contains(&mark(&row.data))) {
            let Some(block) = row.data.block() else { continue };
            if let Content::Text(text) = diff.content(&row.path).await.map_err(|error| unavailable(&error))? {
                base.insert(row.path.clone(), text);
                candidates.push(Candidate { path: row.path.clone(), block: block.clone() });
            }
        }
        let from = candidates.len();
        let mut tried_at = Vec::new();
        for (at, one) in placed.iter_mut().enumerate() {
            let Some(block) = one.prepared.kept.block().cloned() else { continue };
            let path = one.prepared.kept.path.clone();
            if candidates.iter().any(|other| other.path == path && overlap(&other.block, &block)) {
                demote(&mut one.prepared.kept, "another suggestion changes some of the same lines");
                continue;
            }
            base.insert(path.clone(), one.base.clone());
            candidates.push(Candidate { path, block });
            tried_at.push(at);
        }
        if tried_at.is_empty() {
            return Ok(None);
        }
        let (tried, printed) = self.try_out(&candidates, from, &base).await?;
        for (at, tried) in tried_at.into_iter().zip(tried.into_iter().skip(from)) {
            let one = &mut placed[at];
            match tried {
                Tried::Proved { block, proof } => {
                    if proof.formatted {
                        let made = crate::review::apply::apply_all(&one.base, [&block]).unwrap_or_default();
                        one.prepared.kept.diff = unified(&one.prepared.kept.path, &one.base, &made);
                        one.prepared.intended = Some(made);
                    }
                    one.prepared.kept.standing = Standing::Suggested { block, proof };
                }
                Tried::Failed(why) => demote(&mut one.prepared.kept, &why),
            }
        }
        Ok(printed)
    }

    /// What would not leave as it is meant: texts in which a secret would be blotted out, or that would be read differently.
    fn demote_unpostable(&self, placed: &mut [Placed]) {
        for one in placed {
            let kept = &mut one.prepared.kept;
            let Some(block) = kept.block() else { continue };
            let Some(text) = comment(kept, "0", "k") else {
                demote(kept, "a comment would not show it exactly as it is meant");
                continue;
            };
            if blocks_in(&self.services.poster.redactor().redact(&text)) != [block.text.as_str()] {
                demote(kept, "the new lines look as if they held a secret");
            }
        }
    }

    async fn try_out(
        &self,
        candidates: &[Candidate],
        from: usize,
        base: &BTreeMap<String, Arc<str>>,
    ) -> Result<(Vec<Tried>, Option<String>), HandError> {
        let facts = self.repositories.of(&self.repo).await.map_err(|error| unavailable(&error))?;
        let section = &facts.file.sandbox;
        let commands = Commands { format: section.format.clone(), test: section.test.clone() };
        // Dropped with this call, and everything that runs in it ends.
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let tried = async {
            let sandbox = self.sandboxes.own().await?;
            Proving { sandbox, commands: &commands, base, cancel: &cancel }.prove(candidates, from).await
        };
        match tried.await {
            Ok(tried) => Ok(tried),
            Err(error) => {
                let why = format!("it could not be tried ({error})");
                Ok((vec![Tried::Failed(why); candidates.len()], None))
            }
        }
    }
}

fn mark(kept: &Kept) -> String {
    format!("{}\0{}", kept.path, fingerprint(&kept.rule, &kept.code))
}

fn overlap(one: &Block, other: &Block) -> bool {
    one.first <= other.last && other.first <= one.last
}

fn demote(kept: &mut Kept, why: &str) {
    kept.standing = Standing::Demoted { why: why.to_owned() };
}

/// What the model hears about a finding.
fn outcome(kept: &Kept, known: bool) -> Value {
    let mut told = json!({"path": kept.path, "rule": kept.rule, "line": kept.first});
    match &kept.standing {
        Standing::Suggested { block, proof } => {
            told["result"] = "suggestion, proved".into();
            told["lines"] = json!([block.first, block.last]);
            if proof.formatted {
                told["note"] = "the repository's formatter changed it; its text is what is suggested".into();
            }
        }
        Standing::Remark { first, last } => {
            told["result"] = "comment".into();
            told["lines"] = json!([first, last]);
        }
        Standing::Demoted { why } => {
            told["result"] = "not offered as a suggestion, shown as a plain diff in the review".into();
            told["why"] = why.as_str().into();
        }
        Standing::OffDiff => {
            told["result"] = "in the text of the review, because the diff does not show these lines".into();
        }
    }
    if known {
        told["known"] = "an earlier review said this; it is not said twice".into();
    }
    told
}

fn output(commit: &str, told: Vec<Value>, printed: Option<String>) -> ToolOutput {
    let suggested = told.iter().filter(|one| one["result"] == "suggestion, proved").count();
    let failed = told.iter().filter(|one| one.get("error").is_some()).count();
    let summary = match (suggested, told.len() - failed) {
        (proved, all) if proved == all => format!("Proved {proved} of {} suggestions", told.len()),
        (proved, all) => format!("Placed {all} of {} findings, {proved} as proved suggestions", told.len()),
    };
    let mut content = json!({
        "commit": commit,
        "findings": told,
        "note": "The review is posted when you give your answer. Call again with only what you want to change or add; \
                 the same rule on the same code replaces what was there.",
    });
    if let Some(printed) = &printed {
        content["printed"] = printed.as_str().into();
    }
    let mut output = ToolOutput::success(content, summary);
    output.is_error = failed > 0 && failed == output.content["findings"].as_array().map_or(0, Vec::len);
    output
}

fn unavailable(error: &GithubError) -> HandError {
    match error.is_transient() {
        true => HandError::Unavailable(error.to_string()),
        false => HandError::Refused(error.to_string()),
    }
}

fn database(error: &sqlx::Error) -> HandError {
    HandError::Unavailable(format!("the service's database did not answer ({error})"))
}

/// The reviewer of a run, where the conversation is a pull request.
pub(in crate::jobs) fn reviewer(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Option<Arc<Proposals>> {
    let (repo, number) = super::pull_of(&taken.request)?;
    Some(Arc::new(Proposals {
        services: services.clone(),
        github: services.github.clone()?,
        repositories: services.repositories.clone()?,
        sandboxes: sandboxes.clone(),
        repo,
        number,
        run: taken.id,
        lease: Lease { run: taken.id, epoch: taken.epoch },
        request: taken.request.clone(),
        diff: OnceCell::new(),
    }))
}
