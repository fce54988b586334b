//! Real calls that tell whether GitHub is set up as the service needs it; `threadbox doctor` prints what they find.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::auth::{As, Credentials};
use super::client::{Call, Effect, Github};
use super::error::GithubError;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a few words.
    pub name: &'static str,
    /// What was found.
    pub result: Result<String, Problem>,
}

/// A finding that keeps the service from doing its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What it means for people who mention us.
    pub means: String,
    /// What to do.
    pub remedy: String,
}

impl Check {
    fn fine(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, result: Ok(found.into()) }
    }

    fn wrong(name: &'static str, what: impl Into<String>, means: &str, remedy: impl Into<String>) -> Self {
        Self { name, result: Err(Problem { what: what.into(), means: means.into(), remedy: remedy.into() }) }
    }

    fn from(name: &'static str, wrong: Option<Problem>, fine: impl Into<String>) -> Self {
        Self { name, result: wrong.map_or_else(|| Ok(fine.into()), Err) }
    }
}

#[derive(Deserialize)]
struct App {
    slug: String,
    #[serde(default)]
    permissions: BTreeMap<String, Value>,
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Deserialize)]
struct Hook {
    url: Option<String>,
    content_type: Option<String>,
    secret: Option<String>,
}

const PERMISSIONS: &str = "permissions";
const EVENTS: &str = "events";
const WEBHOOK: &str = "webhook";
const INSTALLATIONS: &str = "installations";
const SETTINGS: &str = "the GitHub App's settings";

impl Github {
    /// Looks at identity, permissions, events, webhook and installations. What can be answered is in the checks, failures of single
    /// look-ups included.
    ///
    /// # Errors
    /// When GitHub cannot be reached or does not accept who we are: then nothing else can be said.
    pub async fn verify(&self) -> Result<Vec<Check>, GithubError> {
        let mut checks = match &self.credentials {
            Credentials::App { .. } => self.verify_app().await?,
            Credentials::Token(_) => self.verify_token().await?,
        };
        checks.push(self.verify_secret());
        Ok(checks)
    }

    async fn verify_app(&self) -> Result<Vec<Check>, GithubError> {
        let app: App = self.ask("/app").await?;
        let mut checks = vec![Check::fine("identity", format!("acts as {}[bot]", app.slug))];
        checks.extend(permissions(&app));
        checks.extend(events(&app));
        checks.extend([self.verify_webhook().await, self.verify_installations().await]);
        Ok(checks)
    }

    async fn verify_webhook(&self) -> Check {
        match self.ask::<Hook>("/app/hook/config").await {
            Ok(hook) => webhook(&hook),
            Err(error) => Check::wrong(
                WEBHOOK,
                error.to_string(),
                "Whether mentions arrive cannot be told.",
                "Try again, or look at the App's settings.",
            ),
        }
    }

    async fn verify_installations(&self) -> Check {
        match self.ask::<Vec<Value>>("/app/installations?per_page=100").await {
            Ok(some) if some.iter().any(|one| one["suspended_at"].is_null()) => Check::fine(INSTALLATIONS, "installed"),
            Ok(some) if !some.is_empty() => Check::wrong(
                INSTALLATIONS,
                "The App is suspended wherever it is installed.",
                "Nobody is answered.",
                "An owner of the account can lift that under Settings > Installed GitHub Apps.",
            ),
            Ok(_) => Check::wrong(
                INSTALLATIONS,
                "The App is not installed anywhere.",
                "Nobody can mention it.",
                "Install it on an account from the App's page.",
            ),
            Err(error) => Check::wrong(INSTALLATIONS, error.to_string(), "Where it is installed cannot be told.", "Try again."),
        }
    }

    async fn verify_token(&self) -> Result<Vec<Check>, GithubError> {
        let call = Call::get("/user");
        let answer = self.within(Effect::None, self.call(As::App, &call)).await?;
        let login = answer.json::<Value>(Effect::None)?["login"].as_str().unwrap_or("?").to_owned();
        let scopes = answer.headers.get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok()).map(str::to_owned);
        Ok(vec![Check::fine("identity", format!("acts as {login}")), token_scopes(scopes)])
    }

    fn verify_secret(&self) -> Check {
        let missing = "GITHUB_WEBHOOK_SECRET is empty.";
        let remedy = "Set it to the secret that stands in the webhook's settings.";
        match self.has_webhook_secret {
            true => Check::fine("webhook secret", "set"),
            false => Check::wrong("webhook secret", missing, "No webhook can be believed, so none is accepted.", remedy),
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, GithubError> {
        let call = Call::get(path);
        self.within(Effect::None, self.call(As::App, &call)).await?.json(Effect::None)
    }
}

/// A permission the service works with.
struct Wanted {
    name: &'static str,
    level: &'static str,
    label: &'static str,
    /// What does not work without it.
    means: &'static str,
}

const WANTED: [Wanted; 6] = [
    Wanted { name: "issues", level: "write", label: "Issues: Read and write", means: "Mentions arrive but cannot be answered." },
    Wanted { name: "metadata", level: "read", label: "Metadata: Read-only", means: "Mentions arrive but cannot be answered." },
    Wanted {
        name: "contents",
        level: "write",
        label: "Contents: Read and write",
        means: "No work lands: no branch, no commit, no pull request; with no access at all, sandboxes have no code, and files and limits of repositories are not heeded.",
    },
    Wanted {
        name: "pull_requests",
        level: "write",
        label: "Pull requests: Read and write",
        means: "Pull requests are neither answered, reviewed nor opened.",
    },
    Wanted {
        name: "checks",
        level: "write",
        label: "Checks: Read and write",
        means: "Reviews have no check, and failed checks are not seen.",
    },
    Wanted { name: "actions", level: "read", label: "Actions: Read-only", means: "The logs of failed workflows cannot be read." },
];

/// What the service works without, with what it is for.
const OPTIONAL: [(&str, &str); 2] = [
    ("workflows", "without Workflows: Read and write, files of GitHub's own workflows cannot be landed"),
    ("members", "without the organization permission Members: Read-only, neither members nor teams can be told from others"),
];

fn permissions(app: &App) -> Vec<Check> {
    let level = |name: &str| app.permissions.get(name).and_then(Value::as_str).unwrap_or_default();
    let has = |wanted: &Wanted| matches!((level(wanted.name), wanted.level), ("write" | "admin", _) | ("read", "read"));
    let remedy = format!("Grant it under Permissions in {SETTINGS}, then accept the change where it is installed.");
    let missing = WANTED.iter().filter(|wanted| !has(wanted));
    let missing: Vec<Check> =
        missing.map(|wanted| Check::wrong(PERMISSIONS, format!("Missing: {}.", wanted.label), wanted.means, &remedy)).collect();
    if !missing.is_empty() {
        return missing;
    }
    let without = OPTIONAL.iter().filter(|(name, _)| level(name).is_empty()).map(|(_, what)| *what);
    let names = WANTED.iter().map(|wanted| wanted.name).collect::<Vec<_>>().join(", ");
    vec![Check::fine(PERMISSIONS, std::iter::once(names.as_str()).chain(without).collect::<Vec<_>>().join("; "))]
}

/// Events the service hears of things by, as the settings call them, and what is not heard of without them.
const HEARD: [(&str, &str, &str); 6] = [
    ("issue_comment", "Issue comment", "Mentions there are never heard of."),
    ("issues", "Issues", "Mentions in new issues and labels are never heard of."),
    ("pull_request", "Pull request", "Mentions in new pull requests, requests for review and pushes are never heard of."),
    ("pull_request_review", "Pull request review", "Mentions in reviews are never heard of."),
    ("pull_request_review_comment", "Pull request review comment", "Mentions and answers in review threads are never heard of."),
    ("check_run", "Check run", "Failed checks are never heard of."),
];

fn events(app: &App) -> Vec<Check> {
    let is_heard = |event: &str| app.events.iter().any(|subscribed| subscribed == event);
    let remedy = format!("Tick it under Permissions & events in {SETTINGS}.");
    let missing = HEARD.iter().filter(|(event, ..)| !is_heard(event));
    let missing: Vec<Check> =
        missing.map(|(_, label, means)| Check::wrong(EVENTS, format!("Not subscribed to: {label}."), means, &remedy)).collect();
    if missing.is_empty() { vec![Check::fine(EVENTS, app.events.join(", "))] } else { missing }
}

fn webhook(hook: &Hook) -> Check {
    let url = hook.url.as_deref().unwrap_or_default();
    let problem = |what: &str, means: &str, remedy: &str| {
        Some(Problem { what: what.into(), means: means.into(), remedy: format!("{remedy} in {SETTINGS}.") })
    };
    let wrong = if url.is_empty() {
        problem("The App has no webhook URL.", "No mention arrives.", "Set it to https://<your host>/webhooks/github")
    } else if !url.trim_end_matches('/').ends_with("/webhooks/github") {
        problem(
            "The webhook URL does not end in /webhooks/github.",
            "No mention arrives.",
            "Set it to https://<your host>/webhooks/github",
        )
    } else if hook.content_type.as_deref().is_some_and(|kind| kind != "json") {
        problem("The webhook's content type is not JSON.", "Every webhook is refused.", "Choose application/json")
    } else if hook.secret.as_deref().unwrap_or_default().is_empty() {
        problem(
            "The webhook has no secret.",
            "Every webhook is refused.",
            "Enter the value of GITHUB_WEBHOOK_SECRET as its secret",
        )
    } else {
        None
    };
    Check::from(WEBHOOK, wrong, url)
}

/// What cannot be looked up, and what no token of a person can do.
const FINE_GRAINED: &str = "fine-grained token: needs Issues, Pull requests and Contents: Read and write, Actions: Read-only; Workflows only to land files of \
workflows. Check runs need a GitHub App";

fn token_scopes(scopes: Option<String>) -> Check {
    // Fine-grained tokens send no scopes: what they may do shows only when it is done.
    let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) else {
        return Check::fine(PERMISSIONS, FINE_GRAINED);
    };
    let enough = scopes.split(',').any(|scope| matches!(scope.trim(), "repo" | "public_repo"));
    let wrong = (!enough).then(|| Problem {
        what: format!("The token has the scopes `{scopes}`, not `repo`."),
        means: "Mentions arrive but cannot be answered.".into(),
        remedy: "Make a token with the scope `repo` (or `public_repo`).".into(),
    });
    Check::from(PERMISSIONS, wrong, format!("{scopes}; check runs need a GitHub App"))
}
