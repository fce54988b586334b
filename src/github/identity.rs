//! Who we are on GitHub, so that we never answer ourselves and recognise our own comments.

use serde::Deserialize;

use super::auth::{As, Credentials};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use crate::intake::Author;

/// The account our comments are written by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its login, such as `threadbox[bot]`.
    pub login: String,
    /// Its account number. None for an App, whose login with `[bot]` nobody else can have.
    pub id: Option<i64>,
    /// The App's number, when an App acts.
    pub app_id: Option<i64>,
}

impl Identity {
    /// True when it is us.
    pub fn is(&self, author: &Author) -> bool {
        self.id == Some(author.id) || self.login.eq_ignore_ascii_case(&author.login)
    }
}

#[derive(Deserialize)]
struct App {
    id: i64,
    slug: String,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    login: String,
}

impl Github {
    /// Who we are; asked once, then remembered.
    ///
    /// # Errors
    /// As the call; a failure is not remembered.
    pub async fn identity(&self) -> Result<Identity, GithubError> {
        self.within(Effect::None, self.known_identity()).await.cloned()
    }

    pub(super) async fn known_identity(&self) -> Result<&Identity, GithubError> {
        self.identity.get_or_try_init(|| self.ask_identity()).await
    }

    async fn ask_identity(&self) -> Result<Identity, GithubError> {
        match &self.credentials {
            Credentials::App { .. } => {
                let app: App = self.call(As::App, &Call::get("/app")).await?.json(Effect::None)?;
                Ok(Identity { login: format!("{}[bot]", app.slug), id: None, app_id: Some(app.id) })
            }
            Credentials::Token(_) => {
                let user: User = self.call(As::App, &Call::get("/user")).await?.json(Effect::None)?;
                Ok(Identity { login: user.login, id: Some(user.id), app_id: None })
            }
        }
    }
}
