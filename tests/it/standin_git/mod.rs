//! The GitHub stand-in's git data and pull requests, driven over HTTP as GitHub's description says.

mod data;
mod people;
mod pulls;
mod refs;
mod sides;

use reqwest::Method;
use serde_json::{Value, json};
use threadbox::secret::ExposeSecret;
use threadbox::settings::Permission;
use threadbox::standin::github::{Expects, GithubStandin, Node, Options, Visibility};

pub const REPO: &str = "acme/rocket";

/// A stand-in with one repository that has a commit, and its installation's token.
pub struct Stage {
    pub github: GithubStandin,
    client: reqwest::Client,
    pub token: String,
    pub first: String,
}

/// Signed as an App would.
fn app_token(github: &GithubStandin) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"iat": now - 60, "exp": now + 300, "iss": github.app_id().to_string()});
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(github.private_key_pem().expose_secret().as_bytes()).unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap()
}

impl Stage {
    pub async fn app() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn account() -> Self {
        Self::with(Options { expects: Expects::Token, ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        let expects = options.expects;
        let github = GithubStandin::start(options).await.unwrap();
        github.add_repository(REPO, Visibility::Public);
        for (login, permission) in [("maya", Permission::Admin), ("wes", Permission::Write)] {
            github.set_permission(REPO, login, permission).unwrap();
        }
        let files = [
            ("README.md", "# Rocket\n".into()),
            ("run.sh", Node::executable("#!/bin/sh\n")),
            ("src/main.py", "print('hi')\n".into()),
            ("src/lib/deep.py", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n".into()),
            ("link", Node::Link("README.md".into())),
        ];
        let first = github.push(REPO, "First", &files).unwrap();
        let mut stage = Self { github, client: reqwest::Client::new(), token: String::new(), first };
        stage.token = match expects {
            Expects::App => stage.mint("acme", json!({})).await,
            Expects::Token => stage.github.token().expose_secret().to_owned(),
        };
        stage
    }

    /// A token of the installation on an account.
    pub async fn mint(&self, account: &str, wanted: Value) -> String {
        let id = self.github.installation(account).unwrap();
        let url = format!("{}/app/installations/{id}/access_tokens", self.github.url());
        let answer = self.client.post(url).bearer_auth(app_token(&self.github)).json(&wanted).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201);
        answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = path.strip_prefix('~').map_or_else(|| path.to_owned(), |below| format!("/repos/{REPO}{below}"));
        self.client.request(method, format!("{}{path}", self.github.url())).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// `~` stands for the repository.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// A commit of ours with these texts upon a commit, on no branch yet.
    pub async fn commit(&self, parent: &str, files: &[(&str, &str)]) -> String {
        let entries: Vec<Value> =
            files.iter().map(|(path, text)| json!({"path": path, "mode": "100644", "type": "blob", "content": text})).collect();
        let (status, tree) = self.post("~/git/trees", json!({"base_tree": parent, "tree": entries})).await;
        assert_eq!(status, 201, "{tree}");
        let wanted = json!({"message": "Ours", "tree": tree["sha"], "parents": [parent]});
        let (status, commit) = self.post("~/git/commits", wanted).await;
        assert_eq!(status, 201, "{commit}");
        commit["sha"].as_str().unwrap().to_owned()
    }

    /// A branch of ours with one commit upon the first.
    pub async fn branch(&self, name: &str, files: &[(&str, &str)]) -> String {
        let sha = self.commit(&self.first, files).await;
        let (status, made) = self.post("~/git/refs", json!({"ref": format!("refs/heads/{name}"), "sha": sha})).await;
        assert_eq!(status, 201, "{made}");
        sha
    }

    /// Event and action of every webhook made so far.
    pub fn events(&self) -> Vec<String> {
        let name = |event: &str, action: &str| if action.is_empty() { event.to_owned() } else { format!("{event}.{action}") };
        self.github.world(|world| world.deliveries().map(|one| name(&one.event, &one.action)).collect())
    }

    /// The body of the last webhook of that event.
    pub fn last(&self, event: &str) -> Value {
        self.github.world(|world| {
            let last = world.deliveries().filter(|one| one.event == event).last().unwrap();
            serde_json::from_slice(&last.body).unwrap()
        })
    }
}

pub fn message(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["message"].as_str().unwrap_or_default())
}

/// Status and the first error's own words.
pub fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["errors"][0]["message"].as_str().unwrap_or_default())
}
