//! `undo`: the workspace goes back to what the last run began with, and what that run landed is taken back without taking anything of
//! anybody else's: by a commit that reverts it, or, where it opened a pull request that holds nothing else, by closing that.

use serde_json::json;
use uuid::Uuid;

use super::GithubLander;
use super::trouble::Trouble;
use super::write::Both;
use crate::agent::sandboxes::beginning::{Beginning, Restored};
use crate::agent::tools::ToolOutput;
use crate::github::{CommitTree, Pull, RepoRef, Writes};
use crate::id::RunId;
use crate::landing::object::{Change, Changes, Tree};
use crate::landing::{CommitMade, Landing, LandingState, path, plan, words};
use crate::reply::inline;
use crate::settings::Permission;

impl GithubLander {
    pub(super) async fn take_back(&self) -> Result<ToolOutput, Trouble> {
        let _one = self.busy.lock().await;
        self.settle().await?;
        let Some(beginning) = self.sandboxes.last_beginning().await? else {
            let said = "There is nothing I could take back: no run of this conversation changed anything, or its beginning is not kept any more.";
            return Ok(ToolOutput::success(json!({ "said": said }), "Nothing to take back"));
        };
        let mut said = match self.unland(beginning.run).await? {
            Unlanded::Done(said) => said,
            Unlanded::MayNot(why) => {
                let said = format!("Nothing was taken back: it landed, and {why}");
                return Ok(ToolOutput::success(json!({ "said": said }), "Took nothing back"));
            }
        };
        let restored = self.sandboxes.restore(&beginning).await?;
        self.return_to(&beginning).await?;
        // Last: one that fails half way is found again by the next.
        self.sandboxes.take_back(&beginning).await?;
        said.extend(told(&restored));
        Ok(ToolOutput::success(json!({ "said": said.join(" ") }), "Took the changes of the last run back"))
    }

    /// The workspace goes on from the commit the run began with.
    async fn return_to(&self, beginning: &Beginning) -> Result<(), Trouble> {
        let Some(commit) = beginning.checkout.commit.clone() else { return Ok(()) };
        let Some(place) = self.sandboxes.workplace().await? else { return Ok(()) };
        if place.checkout.commit.as_ref() == Some(&commit) {
            return Ok(());
        }
        let checkout = self.checkout_of(&commit).await?;
        let present = self.sandboxes.survey(&place, &checkout).await?.present;
        self.sandboxes.rebase(&commit, &checkout, &present).await?;
        Ok(())
    }

    /// Takes back what a run landed, newest first. Returns what is to be said.
    async fn unland(&self, run: RunId) -> Result<Unlanded, Trouble> {
        let landings = self.writer.landings().await?;
        let mine: Vec<Landing> =
            landings.into_iter().filter(|landing| landing.run == run && landing.state == LandingState::Landed).collect();
        let (Some(first), Some(last)) = (mine.first(), mine.last()) else {
            return Ok(Unlanded::Done(Vec::new()));
        };
        if let Some(why) = self.may_not_write().await? {
            return Ok(Unlanded::MayNot(why));
        }
        let repo = self.repo_of(last);
        let pull = match last.pull_request {
            Some(number) => Some(self.github.pull(&self.repo, number).await?),
            None => None,
        };
        let number = last.pull_request.unwrap_or_default();
        if pull.as_ref().is_some_and(|pull| pull.is_merged) {
            let said = format!("#{number} is merged, so what landed stays: use **Revert** on its page to take that back.");
            return Ok(Unlanded::Done(vec![said]));
        }
        let head = self.github.branch_head(&repo, &last.branch).await?;
        let said = match head {
            Some(head) if first.opens && head == last.head => self.close_all(&repo, last, pull.as_ref()).await?,
            Some(head) => self.revert_all(&repo, &mine, head).await?,
            None => format!("The branch `{}` is gone already.", last.branch),
        };
        for landing in mine.iter().filter(|_| !said.starts_with("What landed stays")) {
            self.writer.set_state(landing.id, LandingState::Undone, Some(self.run)).await?;
        }
        Ok(Unlanded::Done(vec![said]))
    }

    /// The pull request holds nothing but what the run made.
    async fn close_all(&self, repo: &RepoRef, landing: &Landing, pull: Option<&Pull>) -> Result<String, Trouble> {
        let number = landing.pull_request.unwrap_or_default();
        if pull.is_some_and(|pull| pull.is_open) {
            self.github.close_pull(&self.repo, number).await?;
        }
        self.github.delete_branch(repo, &landing.branch).await?;
        Ok(format!("Closed #{number} and deleted its branch `{}`, which held nothing else.", landing.branch))
    }

    /// A commit that reverts what the run landed, on top of whatever is there.
    async fn revert_all(&self, repo: &RepoRef, mine: &[Landing], head: String) -> Result<String, Trouble> {
        let mut tree = self.github.commit_tree(repo, &head).await?;
        let mut all = Changes::new();
        let before = tree.clone();
        for landing in mine.iter().rev() {
            let (from, to) =
                (self.github.commit_tree(repo, &landing.head).await?, self.github.commit_tree(repo, &landing.parent).await?);
            if !(from.is_complete && to.is_complete && tree.is_complete) {
                return Ok("What landed stays: the repository has more files than can be compared.".to_owned());
            }
            let changes = match self.inverse(repo, &from.tree, &to.tree, &tree.tree, &all).await {
                Ok(changes) => changes,
                Err(Trouble::Conflicts(paths)) => {
                    return Ok(format!(
                        "What landed stays on `{}`: others have changed {} since.",
                        landing.branch,
                        paths.iter().take(10).map(|path| crate::reply::fence::code_span(path)).collect::<Vec<_>>().join(", ")
                    ));
                }
                Err(trouble) => return Err(trouble),
            };
            tree.tree = crate::landing::object::changed(&tree.tree, &changes);
            all.extend(changes);
        }
        all.retain(|path, change| change.node().as_ref() != before.tree.get(path));
        let Some(last) = mine.last() else { return Ok(String::new()) };
        if all.is_empty() {
            return Ok(format!("What landed on `{}` is taken back there.", last.branch));
        }
        let (all, waits) = plan::split(all);
        let is_allowed = waits.is_empty() || self.is_at_least(Permission::Maintain).await?;
        let (all, stays) = if is_allowed { (all.into_iter().chain(waits).collect(), Changes::new()) } else { (all, waits) };
        let why = "taking it back takes maintain or admin permission";
        if all.is_empty() {
            return Ok(format!("What landed stays on `{}`: {why}.", last.branch));
        }
        let said = self.push_revert(repo, mine, last, &before, all, head).await?;
        if stays.is_empty() {
            return Ok(said);
        }
        let names: Vec<String> = stays.keys().take(10).map(|path| crate::reply::fence::code_span(path)).collect();
        Ok(format!("{said} As it landed stays {}: {why}.", names.join(", ")))
    }

    async fn push_revert(
        &self,
        repo: &RepoRef,
        mine: &[Landing],
        last: &Landing,
        before: &CommitTree,
        all: Changes,
        head: String,
    ) -> Result<String, Trouble> {
        let writes = if all.keys().any(|path| path::is_workflow(path)) { Writes::Workflows } else { Writes::Files };
        let commits: Vec<&CommitMade> = mine.iter().flat_map(|landing| &landing.commits).collect();
        let subject = match commits.as_slice() {
            [one] => format!("Revert \"{}\"", one.subject),
            many => format!("Revert {}", inline::counted(many.len() as u64, "commit")),
        };
        let reverted: Vec<String> = commits.iter().map(|commit| format!("This reverts commit {}.", commit.sha)).collect();
        let text = format!("{subject}\n\n{}", reverted.join("\n"));
        let message = words::commit_message(&text, &self.request, self.person().await?.as_ref(), &self.api_url());
        let made = self.write(repo, writes, before, &all).await?;
        let sha = self.in_turn(|| self.github.create_commit(repo, writes, &message, &made.sha, &head)).await?;
        let landing = Landing {
            id: Uuid::now_v7(),
            run: self.run,
            opens: false,
            parent: head,
            head: sha.clone(),
            commits: vec![CommitMade { sha: sha.clone(), subject: message.lines().next().unwrap_or_default().to_owned() }],
            files: i32::try_from(all.len()).unwrap_or(i32::MAX),
            left_out: Vec::new(),
            state: LandingState::Landing,
            ..last.clone()
        };
        if !self.writer.begin(&landing, self.services.clock.now()).await? {
            return Err(Trouble::Overtaken);
        }
        self.move_there(&landing, writes).await?;
        let landing = self.announce(landing).await?;
        self.close(landing, LandingState::Landed).await?;
        let number = last.pull_request.unwrap_or_default();
        let short = sha.get(..7).unwrap_or(&sha).to_owned();
        Ok(format!(
            "Reverted {} on #{number} with {short}; what others did there stays.",
            inline::counted(commits.len() as u64, "commit")
        ))
    }

    /// What takes the change from `to` to `from` back on top of `head`, some of which is in `known` and nowhere else.
    async fn inverse(&self, repo: &RepoRef, from: &Tree, to: &Tree, head: &Tree, known: &Changes) -> Result<Changes, Trouble> {
        let mut changes = Changes::new();
        for path in from.keys().chain(to.keys()).filter(|path| from.get(*path) != to.get(*path)) {
            let change = match to.get(path) {
                Some(node) => Change::Put { mode: node.mode, content: self.in_turn(|| self.github.blob(repo, &node.sha)).await? },
                None => Change::Delete,
            };
            changes.insert(path.clone(), change);
        }
        self.merged(repo, changes, from, (head, known), Both::Merged).await
    }
}

/// What came of taking back what landed.
enum Unlanded {
    /// As far as it goes; what is to be said.
    Done(Vec<String>),
    /// Nobody who may asked for it.
    MayNot(String),
}

fn told(restored: &Restored) -> Vec<String> {
    let mut told = vec![match restored.files {
        0 => "The workspace is as it was before the last run.".to_owned(),
        files => format!("The workspace is as it was before the last run: {} put back.", inline::counted(files as u64, "file")),
    }];
    if !restored.lost.is_empty() {
        let names: Vec<String> = restored.lost.iter().take(10).map(|path| crate::reply::fence::code_span(path)).collect();
        told.push(format!("Not kept, and therefore as they are: {}.", names.join(", ")));
    }
    told
}
