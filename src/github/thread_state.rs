//! Threads of review comments: which are resolved or outdated, and resolving our own.

use serde::Deserialize;
use serde_json::{Value, json};

use super::RepoRef;
use super::auth::{As, Needs};
use super::client::{Effect, Github};
use super::error::GithubError;

/// A thread of review comments as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// GitHub's global id of the thread.
    pub node: String,
    /// The number of its first comment.
    pub root: i64,
    /// Who resolved it; empty when that account is gone. None while it is open.
    pub resolved_by: Option<String>,
    /// True when its lines changed since.
    pub is_outdated: bool,
}

/// Pages of a hundred threads each.
const MOST_PAGES: usize = 20;

const THREADS: &str = "query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved isOutdated resolvedBy { login } comments(first: 1) { nodes { databaseId } } }
      }
    }
  }
}";

const RESOLVE: &str = "mutation($thread: ID!) { resolveReviewThread(input: {threadId: $thread}) { thread { id isResolved } } }";

#[derive(Deserialize)]
struct Asked {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    pull_request: Option<PullRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    review_threads: Threads,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Threads {
    page_info: PageInfo,
    nodes: Vec<Thread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    id: String,
    is_resolved: bool,
    is_outdated: bool,
    resolved_by: Option<Login>,
    comments: Comments,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

#[derive(Deserialize)]
struct Comments {
    nodes: Vec<Comment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    database_id: Option<i64>,
}

impl Github {
    /// The threads of a pull request; at most 2,000.
    ///
    /// # Errors
    /// As the calls.
    pub async fn review_threads(&self, repo: &RepoRef, number: i64) -> Result<Vec<ThreadState>, GithubError> {
        self.threads_as(As::Repository(repo, Needs::Reviews), repo, number).await
    }

    pub(super) async fn threads_as(&self, who: As<'_>, repo: &RepoRef, number: i64) -> Result<Vec<ThreadState>, GithubError> {
        let (owner, name) = repo.full_name.split_once('/').unwrap_or_default();
        let mut after: Option<String> = None;
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let variables = json!({"owner": owner, "name": name, "number": number, "after": after});
            let asked: Asked = self.graphql(who, THREADS, variables, Effect::None).await?;
            let Some(pull) = asked.repository.and_then(|repository| repository.pull_request) else {
                return Err(GithubError::NotFound);
            };
            let threads = pull.review_threads;
            found.extend(threads.nodes.into_iter().filter_map(Thread::into_state));
            after = threads.page_info.end_cursor.filter(|_| threads.page_info.has_next_page);
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Resolves a thread. Idempotent.
    ///
    /// # Errors
    /// As the call.
    pub async fn resolve_thread(&self, repo: &RepoRef, node: &str) -> Result<(), GithubError> {
        let who = As::Repository(repo, Needs::Threads);
        let _: Value = self.graphql(who, RESOLVE, json!({"thread": node}), Effect::Change).await?;
        Ok(())
    }
}

impl Thread {
    fn into_state(self) -> Option<ThreadState> {
        let root = self.comments.nodes.first()?.database_id?;
        let by = self.resolved_by.map(|by| by.login).unwrap_or_default();
        Some(ThreadState { node: self.id, root, resolved_by: self.is_resolved.then_some(by), is_outdated: self.is_outdated })
    }
}
