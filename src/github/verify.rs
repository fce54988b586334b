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
        Ok(vec![
            Check::fine("identity", format!("acts as {}[bot]", app.slug)),
            permissions(&app),
            events(&app),
            self.verify_webhook().await,
            self.verify_installations().await,
        ])
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
        match self.ask::<Vec<Value>>("/app/installations?per_page=1").await {
            Ok(some) if !some.is_empty() => Check::fine(INSTALLATIONS, "installed"),
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

fn permissions(app: &App) -> Check {
    let has =
        |name: &str, levels: &[&str]| app.permissions.get(name).and_then(Value::as_str).is_some_and(|l| levels.contains(&l));
    let mut missing = Vec::new();
    if !has("issues", &["write", "admin"]) {
        missing.push("Issues: Read and write");
    }
    if !has("metadata", &["read", "write", "admin"]) {
        missing.push("Metadata: Read-only");
    }
    if !missing.is_empty() {
        let remedy = format!("Grant it under Permissions in {SETTINGS}, then accept the change where it is installed.");
        return Check::wrong(
            PERMISSIONS,
            format!("Missing: {}.", missing.join(", ")),
            "Mentions arrive but cannot be answered.",
            remedy,
        );
    }
    let mut found = String::from("issues");
    if has("pull_requests", &["write", "admin"]) {
        found.push_str(" and pull requests");
    } else {
        found.push_str("; for pull requests grant Pull requests: Read and write");
    }
    if !has("contents", &["read", "write", "admin"]) {
        found.push_str("; for the code in the sandbox grant Contents: Read-only");
    }
    Check::fine(PERMISSIONS, found)
}

/// Where people may mention us. Check runs and repositories are worth hearing of, but nobody waits for them in vain.
const HEARD: [(&str, &str); 5] = [
    ("issue_comment", "Issue comment"),
    ("issues", "Issues"),
    ("pull_request", "Pull request"),
    ("pull_request_review", "Pull request review"),
    ("pull_request_review_comment", "Pull request review comment"),
];

fn events(app: &App) -> Check {
    let missing: Vec<_> = HEARD
        .into_iter()
        .filter(|(event, _)| !app.events.iter().any(|subscribed| subscribed == event))
        .map(|(_, label)| label)
        .collect();
    let wrong = (!missing.is_empty()).then(|| Problem {
        what: format!("Not subscribed to: {}.", missing.join(", ")),
        means: "Mentions there are never heard of.".into(),
        remedy: format!("Tick them under Permissions & events in {SETTINGS}."),
    });
    Check::from(EVENTS, wrong, app.events.join(", "))
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

fn token_scopes(scopes: Option<String>) -> Check {
    // Fine-grained tokens send no scopes: what they may do shows only when it is done.
    let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) else {
        return Check::fine(PERMISSIONS, "fine-grained token: needs Issues: Read and write");
    };
    let enough = scopes.split(',').any(|scope| matches!(scope.trim(), "repo" | "public_repo"));
    let wrong = (!enough).then(|| Problem {
        what: format!("The token has the scopes `{scopes}`, not `repo`."),
        means: "Mentions arrive but cannot be answered.".into(),
        remedy: "Make a token with the scope `repo` (or `public_repo`).".into(),
    });
    Check::from(PERMISSIONS, wrong, scopes)
}
