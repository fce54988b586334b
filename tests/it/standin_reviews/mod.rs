//! Our GitHub's reviews, threads, checks and delivery list: what it accepts, and everything it refuses.

mod checks;
mod deliveries;
mod graphql;
mod reviews;
mod suggestions;
mod teams;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use threadbox::clock::{Clock, ManualClock};
use threadbox::secret::ExposeSecret;
use threadbox::settings::Permission;
use threadbox::standin::github::{GithubStandin, IssueRef, NewPull, Node, Options, UserKind, Visibility};

const REPO: &str = "octo-org/hello-world";

/// What an App could be granted for all this.
const GRANTED: [(&str, &str); 7] = [
    ("metadata", "read"),
    ("issues", "write"),
    ("pull_requests", "write"),
    ("contents", "write"),
    ("checks", "write"),
    ("statuses", "write"),
    ("actions", "read"),
];

/// A GitHub with a pull request of `maya`, who may write, and an installation token.
struct Stage {
    github: GithubStandin,
    clock: ManualClock,
    http: reqwest::Client,
    token: String,
    pull: IssueRef,
    head: String,
}

fn numbered(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

/// Line 10 reworded, line 30 gone: two hunks.
fn reworded() -> String {
    numbered(1..=40).replace("line 10\n", "line ten\n").replace("line 30\n", "")
}

impl Stage {
    async fn new() -> Self {
        Self::with(&GRANTED, "").await
    }

    async fn with(granted: &[(&str, &str)], base_path: &str) -> Self {
        let clock = ManualClock::at("2026-11-01T10:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let permissions: BTreeMap<String, String> = granted.iter().map(|(n, l)| ((*n).into(), (*l).into())).collect();
        let base_path = base_path.to_owned();
        let options = Options { clock: Arc::new(clock.clone()), permissions, base_path, ..Options::default() };
        let github = GithubStandin::start(crate::support::bot::recorded(options)).await.unwrap();
        github.add_repository(REPO, Visibility::Public);
        for (login, permission) in [("maya", Permission::Write), ("ada", Permission::Admin), ("eve", Permission::Read)] {
            github.add_user(login, UserKind::User);
            github.set_permission(REPO, login, permission).unwrap();
        }
        let base = [
            ("src/lib.rs", numbered(1..=40).as_str().into()),
            ("win.txt", "one\r\ntwo\r\nthree".into()),
            ("same.txt", "same\n".into()),
        ];
        github.push(REPO, "Begin", &base).unwrap();
        let change: [(&str, Option<Node>); 3] = [
            ("src/lib.rs", Some(reworded().as_str().into())),
            ("win.txt", Some("one\r\n2\r\n3".into())),
            ("new.txt", Some("a\nb\nc\n".into())),
        ];
        let (head, _) = github.push_to(REPO, "maya", "work", "Change", &change).await.unwrap();
        let (pull, _) = github.open_pull(REPO, "maya", &NewPull::of("work", "Reword")).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut stage = Self { github, clock, http, token: String::new(), pull, head };
        let installation = stage.github.installation("octo-org").unwrap();
        let (status, minted) = stage.app("POST", &format!("/app/installations/{installation}/access_tokens"), json!({})).await;
        assert_eq!(status, 201, "{minted}");
        stage.token = minted["token"].as_str().unwrap().to_owned();
        stage
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.github.url()) };
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// As the App itself.
    async fn app(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask(&self.app_token(), method, path, body).await
    }

    fn app_token(&self) -> String {
        let now = self.clock.now();
        let claims = json!({"iat": now.timestamp(), "exp": (now + TimeDelta::minutes(9)).timestamp(),
            "iss": self.github.app_id().to_string()});
        let pem = self.github.private_key_pem();
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
    }

    /// As the installation; `path` is below the repository.
    async fn api(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask(&self.token, method, &format!("/repos/{REPO}{path}"), body).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.api("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        let (status, answer) = self.ask(&self.token, "POST", "/graphql", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Reviews with these comments.
    async fn review(&self, event: &str, comments: Value) -> (u16, Value) {
        let body = json!({"event": event, "body": "Looked at it.", "comments": comments});
        self.api("POST", "/pulls/1/reviews", body).await
    }

    /// Somebody pushes a file to the pull request's branch.
    async fn pushes(&self, path: &str, content: &str) -> String {
        self.github.push_to(REPO, "maya", "work", "More", &[(path, Some(content.into()))]).await.unwrap().0
    }

    /// The events that were made since, oldest first.
    fn events(&self) -> Vec<String> {
        self.github.world(|world| world.deliveries().map(|one| format!("{}.{}", one.event, one.action)).collect())
    }
}
