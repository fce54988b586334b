//! What an operator does: calls the API with the admin token, and types `threadbox threads`.

use std::process::{Command, Output};

use serde_json::Value;

use super::bot::{Bot, LIMIT, service_environment};

pub const TOKEN: &str = "an-admin-token-of-the-tests";

/// The API of a bot whose admin token is [`TOKEN`].
pub struct Api {
    pub base: String,
    pub token: Option<String>,
    pub client: reqwest::Client,
}

pub fn api(bot: &Bot) -> Api {
    Api {
        base: format!("{}/api/v1/", bot.url()),
        token: bot.settings.admin_token.as_ref().map(|token| {
            use threadbox::secret::ExposeSecret;
            token.expose_secret().to_owned()
        }),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    }
}

impl Api {
    pub async fn send(&self, method: &str, path: &str) -> reqwest::Response {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }

    pub async fn text(&self, method: &str, path: &str) -> (u16, String) {
        let response = self.send(method, path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn json(&self, method: &str, path: &str) -> (u16, Value) {
        let (status, text) = self.text(method, path).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

/// Runs `threadbox threads` on the bot's database.
pub async fn threads(bot: &Bot, arguments: &[&str]) -> Output {
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), &bot.settings.data_dir);
    let arguments: Vec<String> = std::iter::once("threads").chain(arguments.iter().copied()).map(str::to_owned).collect();
    let directory = bot.settings.data_dir.clone();
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_threadbox"))
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir(directory)
            .output()
            .unwrap()
    };
    tokio::time::timeout(LIMIT * 2, tokio::task::spawn_blocking(run)).await.unwrap().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
