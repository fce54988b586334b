//! GitHub's JSON of pull requests, for answers and for webhooks.

use serde_json::{Value, json};

use super::super::git::shape::totals;
use super::super::shape::{node, time};
use super::super::world::{Issue, Key, Repository, World};
use super::Pull;

impl World {
    fn side_json(&self, repository: Option<&Repository>, owner: &str, branch: &str, sha: &str) -> Value {
        let repo = repository.map_or(Value::Null, |repository| self.repository_json(repository));
        json!({"label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": self.user_json(owner), "repo": repo})
    }

    /// `pull-request-simple` of the description.
    pub(in super::super) fn pull_simple_json(&self, key: Key) -> Value {
        let found = (self.pulls.get(&key), self.issues.get(&key), self.repositories.get(&key.0));
        let (Some(pull), Some(issue), Some(repository)) = found else { return Value::Null };
        let (api, page) = (self.repository_url(repository), format!("{}/pull/{}", self.repository_page(repository), key.1));
        let (url, issue_url) = (format!("{api}/pulls/{}", key.1), format!("{api}/issues/{}", key.1));
        let statuses = format!("{api}/statuses/{}", pull.head_sha);
        let head = self.repositories.get(&pull.head_repository);
        let link = |href: &str| json!({"href": href});
        let mut json = json!({
            "url": url, "id": pull.id, "node_id": node("PR", pull.id), "html_url": page, "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"), "issue_url": issue_url, "number": key.1, "locked": false, "title": issue.title,
            "state": if issue.open { "open" } else { "closed" }, "user": self.user_json(&issue.author),
            "body": if issue.body.is_empty() { Value::Null } else { issue.body.as_str().into() },
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at), "closed_at": pull.closed_at.map(time),
            "merged_at": pull.merged_at.map(time), "merge_commit_sha": pull.merge_commit, "assignee": null, "assignees": [],
            "requested_reviewers": pull.requested_reviewers.iter().map(|login| self.user_json(login)).collect::<Vec<_>>(),
            "requested_teams": [], "labels": self.labels_json(issue), "milestone": null, "draft": pull.draft,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"), "comments_url": format!("{issue_url}/comments"),
            "statuses_url": statuses, "author_association": self.association(key.0, &issue.author), "auto_merge": null,
            "active_lock_reason": null,
        });
        json["head"] = self.side_json(head, &pull.head_owner, &pull.head_branch, &pull.head_sha);
        json["base"] = self.side_json(Some(repository), repository.owner(), &pull.base_branch, &pull.base_sha);
        json["_links"] = json!({
            "self": link(&url), "html": link(&page), "issue": link(&issue_url), "comments": link(&format!("{issue_url}/comments")),
            "review_comments": link(&format!("{url}/comments")), "commits": link(&format!("{url}/commits")),
            "review_comment": link(&format!("{api}/pulls/comments{{/number}}")), "statuses": link(&statuses),
        });
        json
    }

    /// `pull-request` of the description. Whether it can be merged is not known before `looked_at`.
    pub(in super::super) fn pull_json(&self, key: Key) -> Value {
        let mut json = self.pull_simple_json(key);
        let (Some(pull), Some(issue)) = (self.pulls.get(&key), self.issues.get(&key)) else { return json };
        let changes = self.changes_of(key);
        let (additions, deletions) = totals(&changes);
        let mergeable = if issue.open && pull.looked_at { Some(self.merged_files(key).is_ok()) } else { None };
        json["merged"] = pull.merged_at.is_some().into();
        json["mergeable"] = mergeable.into();
        json["rebaseable"] = mergeable.into();
        json["mergeable_state"] = self.mergeable_state(key, pull, issue, mergeable).into();
        json["merged_by"] = pull.merged_by.as_deref().map_or(Value::Null, |login| self.user_json(login));
        json["comments"] = self.said(key).count().into();
        json["review_comments"] = self.remarks(key).count().into();
        json["maintainer_can_modify"] = pull.maintainer_can_modify.into();
        json["commits"] = self.commits_of(key).len().into();
        json["additions"] = additions.into();
        json["deletions"] = deletions.into();
        json["changed_files"] = changes.len().into();
        json
    }

    fn mergeable_state(&self, key: Key, pull: &Pull, issue: &Issue, mergeable: Option<bool>) -> &'static str {
        let protected = |repository: &Repository| repository.git.protected.contains(&pull.base_branch);
        match mergeable {
            None => "unknown",
            Some(false) => "dirty",
            Some(true) if pull.draft && issue.open => "draft",
            Some(true) if self.repositories.get(&key.0).is_some_and(protected) => "blocked",
            Some(true) => "clean",
        }
    }

    /// A `pull_request` webhook; `with` is what this action adds.
    pub(in super::super) fn pull_event(&mut self, action: &str, key: Key, sender: &str, mut with: Value) -> Option<u64> {
        self.pulls.get(&key)?;
        with["number"] = key.1.into();
        with["pull_request"] = self.pull_json(key);
        self.event("pull_request", Some(action), key.0, sender, with)
    }

    pub(in super::super) fn synchronized(&mut self, key: Key, before: &str, after: &str, sender: &str) -> Option<u64> {
        self.pull_event("synchronize", key, sender, json!({"before": before, "after": after}))
    }
}
