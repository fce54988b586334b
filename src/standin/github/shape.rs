//! GitHub's JSON: the fields of its published description, for answers and for webhooks.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::world::{APP_ID, Comment, Installation, Issue, Key, Reaction, Repository, User, UserKind, Visibility, World};
use crate::settings::Permission;

const REPOSITORY_LINKS: [(&str, &str); 36] = [
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("keys_url", "keys{/key_id}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
    ("forks_url", "forks"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("hooks_url", "hooks"),
    ("issue_events_url", "issues/events{/number}"),
    ("events_url", "events"),
    ("branches_url", "branches{/branch}"),
    ("contents_url", "contents/{+path}"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("comments_url", "comments{/number}"),
    ("issues_url", "issues{/number}"),
    ("pulls_url", "pulls{/number}"),
    ("labels_url", "labels{/name}"),
    ("archive_url", "{archive_format}{/ref}"),
];

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn node(kind: &str, id: i64) -> String {
    format!("{kind}_kwDO{id:012x}")
}

impl World {
    pub(super) fn user_json(&self, login: &str) -> Value {
        self.user(login).map_or(Value::Null, |user| self.account_json(user))
    }

    fn account_json(&self, user: &User) -> Value {
        let login = &user.login;
        let api = format!("{}/users/{}", self.api, login.replace('[', "%5B").replace(']', "%5D"));
        let page = match user.kind {
            UserKind::User | UserKind::Organization => format!("{}/{login}", self.origin),
            UserKind::Bot => format!("{}/apps/{}", self.origin, login.trim_end_matches("[bot]")),
        };
        json!({
            "login": login, "id": user.id, "node_id": node("U", user.id), "avatar_url": format!("{}/avatars/{}", self.origin, user.id),
            "gravatar_id": "", "url": api, "html_url": page, "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"), "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"), "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"), "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events{{/privacy}}"), "received_events_url": format!("{api}/received_events"),
            "type": match user.kind { UserKind::User => "User", UserKind::Bot => "Bot", UserKind::Organization => "Organization" },
            "user_view_type": "public", "site_admin": false,
        })
    }

    pub(super) fn repository_json(&self, repository: &Repository) -> Value {
        let Repository { id, full_name, visibility, created_at, pushed_at, open_issues: open, archived, .. } = repository;
        let forks = self.repositories.values().filter(|other| other.parent.is_some_and(|(parent, _)| parent == *id)).count();
        let api = format!("{}/repos/{full_name}", self.api);
        let page = format!("{}/{full_name}", self.origin);
        let private = *visibility == Visibility::Private;
        let mut json = json!({
            "id": id, "node_id": node("R", *id), "name": repository.name(), "full_name": full_name, "private": private,
            "owner": self.user_json(repository.owner()), "html_url": page, "description": null, "fork": repository.parent.is_some(), "url": api,
            "created_at": time(*created_at), "updated_at": time(*created_at), "pushed_at": time(*pushed_at),
            "clone_url": format!("{page}.git"), "homepage": null, "size": 0, "stargazers_count": 0, "watchers_count": 0,
            "language": null, "has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false,
            "has_discussions": false, "forks_count": forks, "archived": archived, "disabled": false, "open_issues_count": open,
            "license": null, "allow_forking": true, "is_template": false, "topics": [],
            "visibility": if private { "private" } else { "public" }, "forks": forks, "open_issues": open, "watchers": 0,
        });
        let more = [
            ("default_branch", repository.git.default_branch.clone()),
            ("git_url", format!("git:{}.git", page.trim_start_matches("http:"))),
            ("ssh_url", format!("git@127.0.0.1:{full_name}.git")),
            ("svn_url", page.clone()),
        ];
        for (name, value) in more {
            json[name] = value.into();
        }
        json["mirror_url"] = Value::Null;
        json["has_downloads"] = true.into();
        json["web_commit_signoff_required"] = false.into();
        for (name, path) in REPOSITORY_LINKS {
            json[name] = format!("{api}/{path}").into();
        }
        json
    }

    pub(super) fn repository_name(&self, id: i64) -> &str {
        self.repositories.get(&id).map_or("", |repository| &repository.full_name)
    }

    fn issue_page(&self, issue: &Issue) -> String {
        let kind = if issue.is_pull_request { "pull" } else { "issues" };
        format!("{}/{}/{kind}/{}", self.origin, self.repository_name(issue.repository), issue.number)
    }

    pub(super) fn issue_json(&self, issue: &Issue) -> Value {
        let repository = format!("{}/repos/{}", self.api, self.repository_name(issue.repository));
        let api = format!("{repository}/issues/{}", issue.number);
        let page = self.issue_page(issue);
        let key = (issue.repository, issue.number);
        let closed_at = issue.closed_at.map(time);
        let mut json = json!({
            "url": api, "repository_url": repository, "labels_url": format!("{api}/labels{{/name}}"),
            "comments_url": format!("{api}/comments"), "events_url": format!("{api}/events"), "html_url": page,
            "id": issue.id, "node_id": node("I", issue.id), "number": issue.number, "title": issue.title,
            "user": self.user_json(&issue.author), "labels": self.labels_json(issue), "state": if issue.open { "open" } else { "closed" },
            "locked": false, "assignee": null, "assignees": [], "milestone": null,
            "comments": self.said(key).count(),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at), "closed_at": closed_at,
            "author_association": self.association(issue.repository, &issue.author), "active_lock_reason": null,
            "body": if issue.body.is_empty() { Value::Null } else { Value::from(issue.body.as_str()) },
            "reactions": self.rollup(&format!("{api}/reactions"), key, None), "timeline_url": format!("{api}/timeline"),
            "performed_via_github_app": null, "state_reason": if issue.open { Value::Null } else { "completed".into() },
        });
        if issue.is_pull_request {
            let pull = format!("{repository}/pulls/{}", issue.number);
            let of_pull = self.pulls.get(&key);
            json["draft"] = of_pull.is_some_and(|pull| pull.draft).into();
            let merged_at = of_pull.and_then(|pull| pull.merged_at).map(time);
            json["pull_request"] = json!({"url": pull, "html_url": page, "diff_url": format!("{page}.diff"),
                "patch_url": format!("{page}.patch"), "merged_at": merged_at});
        }
        json
    }

    pub(super) fn comment_json(&self, comment: &Comment) -> Value {
        let repository = format!("{}/repos/{}", self.api, self.repository_name(comment.issue.0));
        let api = format!("{repository}/issues/comments/{}", comment.id);
        let page = self.issues.get(&comment.issue).map(|issue| self.issue_page(issue)).unwrap_or_default();
        let by_app = comment.is_ours && comment.author.ends_with("[bot]");
        json!({
            "url": api, "html_url": format!("{page}#issuecomment-{}", comment.id),
            "issue_url": format!("{repository}/issues/{}", comment.issue.1), "id": comment.id, "node_id": node("IC", comment.id),
            "user": self.user_json(&comment.author), "created_at": time(comment.created_at), "updated_at": time(comment.updated_at),
            "author_association": self.association(comment.issue.0, &comment.author), "body": comment.body(),
            "reactions": self.rollup(&format!("{api}/reactions"), comment.issue, Some(comment.id)),
            "performed_via_github_app": if by_app { self.app_json() } else { Value::Null },
        })
    }

    pub(super) fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({"id": reaction.id, "node_id": node("REA", reaction.id), "user": self.user_json(&reaction.user),
            "content": reaction.content, "created_at": time(reaction.created_at)})
    }

    pub(super) fn rollup(&self, url: &str, issue: Key, comment: Option<i64>) -> Value {
        let on_it = || self.reactions.get(&(issue, comment)).into_iter().flatten();
        let mut rollup = json!({"url": url, "total_count": on_it().count()});
        for content in super::conversation::REACTIONS {
            rollup[content] = on_it().filter(|reaction| reaction.content == content).count().into();
        }
        rollup
    }

    pub(super) fn association(&self, repository: i64, login: &str) -> &'static str {
        let Some(repository) = self.repositories.get(&repository) else { return "NONE" };
        if repository.owner().eq_ignore_ascii_case(login) {
            return "OWNER";
        }
        if self.members.contains(&(repository.owner().to_lowercase(), login.to_lowercase())) {
            return "MEMBER";
        }
        match repository.collaborators.get(&login.to_lowercase()) {
            Some(permission) if *permission > Permission::None => "COLLABORATOR",
            Some(_) | None => "NONE",
        }
    }

    pub(super) fn app_json(&self) -> Value {
        json!({
            "id": APP_ID, "slug": self.slug, "client_id": "Iv23standin0000000000", "node_id": node("A", APP_ID),
            "owner": self.user_json(&self.our_login()), "name": self.slug, "description": "", "external_url": self.origin,
            "html_url": format!("{}/apps/{}", self.origin, self.slug), "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "permissions": self.granted, "events": self.events,
        })
    }

    pub(super) fn installation_json(&self, installation: &Installation) -> Value {
        let id = installation.id;
        json!({
            "id": id, "account": self.user_json(&installation.account), "repository_selection": "all",
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.api),
            "repositories_url": format!("{}/installation/repositories", self.api),
            "html_url": format!("{}/settings/installations/{id}", self.origin), "app_id": APP_ID, "app_slug": self.slug,
            "target_id": self.user(&installation.account).map(|user| user.id), "target_type": "Organization",
            "permissions": self.granted, "events": self.events, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "single_file_name": null, "has_multiple_single_files": false,
            "single_file_paths": [], "suspended_by": null,
            "suspended_at": if installation.suspended { Value::from(time(self.now())) } else { Value::Null },
        })
    }

    /// What every webhook of a repository carries beside its own part.
    pub(super) fn envelope(&self, action: &str, repository: &Repository, sender: &str) -> Value {
        let mut json =
            json!({"action": action, "repository": self.repository_json(repository), "sender": self.user_json(sender)});
        if self.user(repository.owner()).is_some_and(|owner| owner.kind == UserKind::Organization) {
            let organization = format!("{}/orgs/{}", self.api, repository.owner());
            json["organization"] = json!({"login": repository.owner(), "id": self.user(repository.owner()).map(|user| user.id),
                "url": organization, "repos_url": format!("{organization}/repos"), "description": ""});
        }
        if let Some(installation) = self.installation_of(repository.owner()) {
            json["installation"] = json!({"id": installation.id, "node_id": node("MDIz", installation.id)});
        }
        json
    }
}
