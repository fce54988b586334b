//! The lander of a run: takes what differs in the thread's workspace to a branch and a pull request, as commits GitHub makes.
//!
//! Two things are seen by others: a branch that moves, and a pull request that opens. Before each, what is meant is recorded; whoever
//! comes after a crash or a lost answer looks first. Everything else (contents, trees, commits nobody names) may be made twice.

mod announce;
mod approve;
mod carry;
mod may;
mod offer;
mod target;
mod trouble;
mod undo;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

pub(super) use self::announce::keep_settling;
use self::target::{Place, Target};
use self::trouble::Trouble;
use self::write::Both;
use super::Services;
use super::bridge::Who;
use crate::agent::RunEvent;
use crate::agent::sandboxes::{ThreadSandboxes, Workplace};
use crate::agent::store::Taken;
use crate::agent::tools::{HandError, Lander, Proposal, ToolOutput};
use crate::github::{CommitTree, Github, RepoRef, Writes};
use crate::id::RunId;
use crate::intake::Request;
use crate::landing::object::{Changes, Tree};
use crate::landing::store::Writer;
use crate::landing::survey::{LeftOut, Survey};
use crate::landing::{CommitMade, Landing, LandingState, manifest, path, plan, store, words};
use crate::memory::receipt;
use crate::reply::{Landed, Redactor, inline};

/// How often a branch that moves under us is tried.
const MOST_MOVES: usize = 4;

/// Lands the work of one run's thread.
pub(super) struct GithubLander {
    services: Services,
    github: Arc<Github>,
    sandboxes: ThreadSandboxes,
    writer: Writer,
    run: RunId,
    request: Request,
    /// Whoever let the run begin, and whoever asked for it.
    requester: Who,
    author: Who,
    repo: RepoRef,
    /// Of the issue or pull request the conversation is; none elsewhere.
    number: Option<i64>,
    /// One at a time.
    busy: Mutex<()>,
}

/// What is to land.
struct Work<'a> {
    proposal: &'a Proposal,
    /// Made from `base`.
    changes: Changes,
    base: String,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    writes: Writes,
    /// What becomes of files that changed on the branch meanwhile.
    both: Both,
}

/// What came of it.
enum Outcome {
    Landed(Box<Landing>),
    /// Nothing was pushed; why, and what people get instead.
    Offered(Box<ToolOutput>),
}

fn offered(output: ToolOutput) -> Outcome {
    Outcome::Offered(Box::new(output))
}

impl GithubLander {
    /// For a run; none where there is no GitHub, and no repository.
    pub(super) fn of(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Option<Self> {
        let repo = RepoRef::about(&taken.request.place)?;
        let number = RepoRef::of(&taken.request.place).map(|(_, number)| number);
        Some(Self {
            services: services.clone(),
            github: services.github.clone()?,
            sandboxes: sandboxes.clone(),
            writer: Writer { pool: services.pool.clone(), thread: taken.thread, epoch: taken.epoch },
            run: taken.id,
            request: taken.request.clone(),
            requester: Who::of_requester(&taken.requester),
            author: Who::of(&taken.request),
            repo,
            number,
            busy: Mutex::default(),
        })
    }

    fn redactor(&self) -> &Redactor {
        self.services.poster.redactor()
    }

    async fn land_workspace(&self, proposal: &Proposal) -> Result<ToolOutput, Trouble> {
        let _one = self.busy.lock().await;
        self.settle().await?;
        let Some(place) = self.sandboxes.workplace().await? else {
            return self.nothing(Vec::new(), Vec::new()).await;
        };
        let Some(base) = place.checkout.commit.clone() else {
            let why =
                place.checkout.notes.first().cloned().unwrap_or_else(|| "There is no repository in the workspace.".to_owned());
            return Err(Trouble::Refused(format!("nothing can land: {why}")));
        };
        // A conversation elsewhere may have been linked to another repository since.
        if self.number.is_none() && place.checkout.is_of_another(&self.repo.full_name) {
            return Err(Trouble::Refused(format!(
                "nothing can land: the workspace is not one of {}; ask in another conversation that is linked to it",
                self.repo.full_name
            )));
        }
        let checkout = self.checkout_of(&base).await?;
        let survey = self.sandboxes.survey(&place, &checkout).await?;
        let Survey { changes, mut left_out, present } = survey;
        let changes = self.without_secrets(changes, &mut left_out);
        let (changes, waits) = plan::split(changes);
        let asked = self.ask_approval(&base, waits, &mut left_out).await?;
        let looked = (&place, &checkout, &present);
        let mut output = match changes.is_empty() {
            true => self.nothing(left_out, asked.notes).await?,
            false => {
                let both = Both::Merged;
                let notes = asked.notes;
                let work = Work { proposal, changes, base, left_out, notes, writes: Writes::Files, both };
                self.land_looked(work, looked).await?
            }
        };
        output.attachments.extend(asked.attachments);
        Ok(output)
    }

    async fn land_looked(&self, work: Work<'_>, looked: Looked<'_>) -> Result<ToolOutput, Trouble> {
        let mut notes = work.notes.clone();
        match self.land_work(work).await? {
            Outcome::Offered(output) => Ok(*output),
            Outcome::Landed(landing) => {
                let (landing, unsettled) = self.carry_new(*landing, Some(looked)).await?;
                notes.extend(unsettled);
                Ok(self.landed(&landing, notes))
            }
        }
    }

    /// The files a commit puts into a workspace.
    async fn checkout_of(&self, commit: &str) -> Result<Tree, Trouble> {
        let archive = self.sandboxes.archive(commit).await?;
        manifest::of_archive(archive).await.map_err(|error| Trouble::Refused(format!("the repository cannot be read: {error}")))
    }

    /// Takes out files that hold a secret of this service.
    fn without_secrets(&self, changes: Changes, left_out: &mut Vec<LeftOut>) -> Changes {
        let told =
            |path: &str, content: &[u8]| self.redactor().is_told_by(content) || self.redactor().is_told_by(path.as_bytes());
        let (bad, good): (Changes, Changes) = changes.into_iter().partition(|(path, change)| match change {
            crate::landing::object::Change::Put { content, .. } => told(path, content),
            crate::landing::object::Change::Delete => false,
        });
        left_out.extend(bad.into_keys().map(|path| LeftOut { path, why: "it holds a secret of this service".to_owned() }));
        good
    }

    /// Nothing differs; what this run landed before is said again.
    async fn nothing(&self, left_out: Vec<LeftOut>, mut notes: Vec<String>) -> Result<ToolOutput, Trouble> {
        let landings = self.writer.landings().await?;
        let before = landings.iter().rev().find(|landing| landing.run == self.run && landing.state == LandingState::Landed);
        if let Some(landing) = before {
            return Ok(self.landed(landing, notes));
        }
        let said = match (left_out.is_empty(), landings.last()) {
            (true, Some(Landing { pull_request: Some(number), .. })) => {
                format!("Nothing changed since the last landing, so nothing was added to #{number}.")
            }
            (true, _) => {
                "Nothing changed in the workspace, so there is nothing to land and no pull request was opened.".to_owned()
            }
            (false, _) => "Nothing else changed, so nothing landed.".to_owned(),
        };
        notes.insert(0, said.clone());
        let landed = Landed { left_out, notes: notes.clone(), ..Landed::default() };
        let content = json!({ "landed": false, "said": notes.join(" "), "leftOut": landed.left_out });
        let mut output = ToolOutput::success(content, "Nothing to land");
        output.events.push(RunEvent::Landed { landed });
        Ok(output)
    }

    /// Makes commits of the work and records them; nobody sees them yet.
    async fn land_work(&self, work: Work<'_>) -> Result<Outcome, Trouble> {
        let (mut last, mut taken) = (None, 0);
        for _ in 0..MOST_MOVES {
            let target = match self.target(taken).await? {
                Place::Here(target) => target,
                Place::Nowhere(why) => return self.offer(&work, &why).await.map(offered),
            };
            let base = self.in_turn(|| self.github.commit_tree(&target.objects, &work.base)).await?;
            let mut left_out = work.left_out.clone();
            let landing = match self.commit(&work, &target, &base, &mut left_out).await {
                Ok(landing) => landing,
                Err(Trouble::Conflicts(paths)) => return self.conflicts(&work, &target, &paths).await.map(offered),
                Err(trouble) => return Err(trouble),
            };
            let Some(landing) = landing else { return self.nothing(left_out, work.notes).await.map(offered) };
            if !self.writer.begin(&landing, self.services.clock.now()).await? {
                return Err(Trouble::Overtaken);
            }
            match self.move_there(&landing, work.writes).await {
                Ok(()) => return Ok(Outcome::Landed(Box::new(landing))),
                Err(Trouble::Moved) => {
                    self.writer.set_state(landing.id, LandingState::Void, None).await?;
                    last = Some(Trouble::Moved);
                }
                Err(Trouble::Taken) => {
                    self.writer.set_state(landing.id, LandingState::Void, None).await?;
                    taken += 1;
                    last = Some(Trouble::Taken);
                }
                Err(Trouble::Closed(why)) => {
                    self.writer.set_state(landing.id, LandingState::Void, None).await?;
                    return self.offer(&work, &why).await.map(offered);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last.unwrap_or(Trouble::Moved))
    }

    /// The commits of the work on top of the target.
    async fn commit(
        &self,
        work: &Work<'_>,
        target: &Target,
        base: &CommitTree,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Option<Landing>, Trouble> {
        let parent = target.onto.clone().unwrap_or_else(|| work.base.clone());
        let (onto, changes) = self.place_on(work, target, base, &parent, left_out).await?;
        if changes.is_empty() {
            return Ok(None);
        }
        let api = self.api_url();
        let title = self.title(work.proposal);
        let planned = plan::commits(&changes, &work.proposal.commits);
        let mut commits: Vec<CommitMade> = Vec::new();
        let person = self.person().await?;
        let mut tree = onto.clone();
        for commit in planned {
            let proposed = commit.message.map(|message| self.redactor().redact(&message).into_owned());
            let message = match proposed {
                Some(message) => message,
                None if commits.is_empty() => format!("{title}\n\n{}", summary(&self.redactor().redact(&work.proposal.body))),
                None => format!("{title}: the rest"),
            };
            let message = words::commit_message(&message, &self.request, person.as_ref(), &api);
            tree = self.write(&target.objects, work.writes, &tree, &commit.changes).await?;
            let last = commits.last().map_or(parent.as_str(), |commit| commit.sha.as_str());
            let create = || self.github.create_commit(&target.objects, work.writes, &message, &tree.sha, last);
            let sha = self.in_turn(create).await?;
            let subject = message.lines().next().unwrap_or_default().to_owned();
            commits.push(CommitMade { sha, subject });
        }
        let id = Uuid::now_v7();
        let mut executions = crate::agent::store::executions(&self.services.pool, self.run).await?;
        for execution in &mut executions {
            execution.code = self.redactor().redact(&execution.code).into_owned();
        }
        let closes = self.number.filter(|number| words::wants_closing(&self.request.text, *number) && !target.is_pull_request);
        let body = words::body(&words::BodyOf {
            text: &self.redactor().redact(&work.proposal.body),
            executions: &executions,
            request: &self.request,
            asker: person.as_ref().map_or(&self.request.author.login, |person| &person.login),
            closes,
            left_out,
            key: &store::pull_key(id),
        });
        let head = commits.last().map(|commit| commit.sha.clone()).unwrap_or_default();
        Ok(Some(Landing {
            id,
            run: self.run,
            repository_id: target.repo.id,
            repository: target.repo.full_name.clone(),
            branch: target.branch.clone(),
            base_branch: target.base_branch.clone(),
            opens: target.opens,
            parent,
            head,
            commits,
            files: i32::try_from(changes.len()).unwrap_or(i32::MAX),
            left_out: left_out.clone(),
            title,
            body: self.redactor().redact(&body).into_owned(),
            draft: target.draft || work.proposal.draft == Some(true),
            pull_request: target.pull.as_ref().map(|pull| pull.0),
            pull_url: target.pull.as_ref().map(|pull| pull.1.clone()),
            state: LandingState::Landing,
        }))
    }

    fn title(&self, proposal: &Proposal) -> String {
        let fallback = format!("Work on: {}", self.request.title);
        words::title(&self.redactor().redact(&proposal.title), &self.redactor().redact(&fallback))
    }

    fn api_url(&self) -> url::Url {
        let settings = self.services.settings.github.as_ref();
        settings
            .map(|settings| settings.api_url.clone())
            .unwrap_or_else(|| url::Url::parse("https://api.github.com").expect("the address is constant and valid"))
    }

    /// What is said about work that landed.
    fn landed(&self, landing: &Landing, notes: Vec<String>) -> ToolOutput {
        let landed = Landed {
            pull_request: landing.pull_request,
            url: landing.pull_url.clone(),
            is_draft: landing.draft,
            is_new: landing.opens,
            branch: landing.branch.clone(),
            commits: landing.commits.clone(),
            files: u32::try_from(landing.files).unwrap_or_default(),
            left_out: landing.left_out.clone(),
            notes,
        };
        let counted = inline::counted(landing.commits.len() as u64, "commit");
        let number = landing.pull_request;
        let summary = match (number, landing.opens) {
            (Some(number), true) => format!("Opened pull request #{number} with {counted}"),
            (Some(number), false) => format!("Pushed {counted} to #{number}"),
            (None, _) => format!("Pushed {counted} to the branch {}; its pull request is not open yet", landing.branch),
        };
        let content = json!({
            "landed": true, "pullRequest": number, "url": landing.pull_url, "branch": landing.branch, "commits": landing.commits,
            "files": landing.files, "leftOut": landing.left_out, "notes": landed.notes, "said": format!("{summary}."),
        });
        let mut output = ToolOutput::success(content, summary);
        output.events.push(RunEvent::Landed { landed });
        output
    }
}

/// The beginning of a text, for a commit: people read the rest in the pull request.
fn summary(text: &str) -> String {
    crate::reply::cut::cut_end(text.trim(), 1_500)
}

/// Files for which GitHub wants another permission.
fn writes_for(changes: &Changes) -> Writes {
    if changes.keys().any(|path| path::is_workflow(path)) { Writes::Workflows } else { Writes::Files }
}

#[async_trait]
impl Lander for GithubLander {
    async fn land(&self, proposal: Proposal) -> Result<ToolOutput, HandError> {
        let proposal = without_receipts(proposal);
        self.land_workspace(&proposal).await.map_err(Trouble::into_hand)
    }

    async fn land_approved(&self, digest: &str) -> Result<ToolOutput, HandError> {
        self.land_pending(digest).await.map_err(Trouble::into_hand)
    }

    async fn undo(&self) -> Result<ToolOutput, HandError> {
        self.take_back().await.map_err(Trouble::into_hand)
    }
}

/// A workspace with what its commit put there, and what is there of it.
type Looked<'a> = (&'a Workplace, &'a Tree, &'a Tree);

/// Commits and pull requests say what was done; what it was taken from is told in the conversation.
fn without_receipts(mut proposal: Proposal) -> Proposal {
    proposal.title = receipt::strip(&proposal.title);
    proposal.body = receipt::strip(&proposal.body);
    for commit in &mut proposal.commits {
        commit.message = receipt::strip(&commit.message);
    }
    proposal
}
