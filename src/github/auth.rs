//! Credentials: a plain token, or a GitHub App whose installation tokens are minted one at a time, narrowed to one repository
//! and to what the call needs, and kept until shortly before they expire.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::gate::Payer;
use super::{RepoRef, paging};
use crate::secret::{ExposeSecret, SecretString, secret};
use crate::settings::GithubAuth;

/// As whom a call is made.
#[derive(Clone, Copy)]
pub(super) enum As<'a> {
    /// The App itself (or the account of the token).
    App,
    /// What may act on a repository.
    Repository(&'a RepoRef, Needs),
}

/// What a token must be able to do. Nothing more is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Needs {
    /// Read and write comments and reactions; read who may.
    Conversation,
    /// Read who belongs to the organisation.
    Members,
    /// Read commits, files and archives.
    Contents,
    /// Write commits and branches, open pull requests.
    Landing,
    /// The same where files of GitHub's own workflows change.
    LandingWorkflows,
    /// Write reviews.
    Reviews,
    /// Resolve the threads of reviews.
    Threads,
    /// Write check runs, read those of others.
    Checks,
    /// Read the logs of GitHub's workflows.
    Logs,
}

impl Needs {
    /// Permissions to ask for; when an installation does not grant the first set, the next is tried.
    fn wishes(self) -> Vec<Value> {
        match self {
            Self::Conversation => vec![
                json!({"issues": "write", "pull_requests": "write", "metadata": "read"}),
                json!({"issues": "write", "metadata": "read"}),
            ],
            Self::Members => vec![json!({"members": "read", "metadata": "read"})],
            Self::Contents => vec![
                json!({"contents": "read", "pull_requests": "read", "metadata": "read"}),
                json!({"contents": "read", "metadata": "read"}),
            ],
            Self::Landing => vec![json!({"contents": "write", "pull_requests": "write", "metadata": "read"})],
            Self::LandingWorkflows => {
                vec![json!({"contents": "write", "pull_requests": "write", "workflows": "write", "metadata": "read"})]
            }
            Self::Reviews => vec![json!({"pull_requests": "write", "contents": "read", "metadata": "read"})],
            // GitHub asks for writing contents here, although nothing of them changes.
            Self::Threads => vec![json!({"pull_requests": "write", "contents": "write", "metadata": "read"})],
            Self::Checks => vec![json!({"checks": "write", "metadata": "read"})],
            Self::Logs => vec![json!({"actions": "read", "checks": "read", "metadata": "read"})],
        }
    }
}

/// A credential for one request and whose limits it counts against.
pub(super) struct Pass {
    pub payer: Payer,
    pub token: SecretString,
    key: Option<TokenKey>,
}

impl Pass {
    /// What its token may do; none for a credential that may do everything it ever may.
    pub fn needs(&self) -> Option<Needs> {
        self.key.map(|key| key.needs)
    }
}

/// Who we are.
pub(super) enum Credentials {
    App { id: u64, key: Box<EncodingKey>, tokens: Box<Tokens> },
    Token(SecretString),
}

impl Credentials {
    pub fn new(auth: &GithubAuth) -> Result<Self, GithubError> {
        match auth {
            GithubAuth::App { id, private_key } => {
                let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes())
                    .map_err(|_| GithubError::Invalid("GITHUB_APP_PRIVATE_KEY is not an RSA key in PEM form".into()))?;
                Ok(Self::App { id: *id, key: Box::new(key), tokens: Box::default() })
            }
            GithubAuth::Token(token) => Ok(Self::Token(token.clone())),
        }
    }

    /// Drops a token that was refused; true when another one can be had.
    pub async fn forget(&self, pass: &Pass) -> bool {
        let (Self::App { tokens, .. }, Some(key)) = (self, pass.key) else { return false };
        let slot = tokens.minted.slot(key);
        let mut slot = slot.lock().await;
        if slot.as_ref().is_some_and(|token| token.value.expose_secret() == pass.token.expose_secret()) {
            *slot = None;
        }
        true
    }
}

/// The tokens of an App, and which installation a repository belongs to.
#[derive(Default)]
pub(super) struct Tokens {
    minted: Slots<TokenKey, Token>,
    installations: Slots<i64, i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TokenKey {
    installation: i64,
    repository: i64,
    needs: Needs,
}

struct Token {
    value: SecretString,
    expires_at: DateTime<Utc>,
}

impl Token {
    /// Tokens live an hour; one that ends soon is not handed out, because the call may wait.
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.expires_at - now > TimeDelta::minutes(5)
    }
}

/// Values by key, each behind a lock of its own, so that two who miss the same one fetch it once.
struct Slots<K, V>(Mutex<HashMap<K, Slot<V>>>);

type Slot<V> = Arc<tokio::sync::Mutex<Option<V>>>;

const MOST_SLOTS: usize = 4096;
const MOST_REVOKED_AT_ONCE: usize = 16;
/// What giving tokens back may take.
const REVOKING: Duration = Duration::from_secs(5);

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Slots<K, V> {
    fn slot(&self, key: K) -> Slot<V> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_SLOTS && !slots.contains_key(&key) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(key).or_default().clone()
    }

    fn all(&self) -> Vec<Slot<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
    expires_at: DateTime<Utc>,
    #[serde(default)]
    repositories: Vec<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

impl Github {
    /// The credential for a call.
    pub(super) async fn pass(&self, who: As<'_>) -> Result<Pass, GithubError> {
        match (&self.credentials, who) {
            (Credentials::Token(token), _) => Ok(Pass { payer: Payer::Token, token: token.clone(), key: None }),
            (Credentials::App { id, key, .. }, As::App) => self.app_pass(*id, key),
            (Credentials::App { tokens, .. }, As::Repository(repo, needs)) => self.repository_pass(tokens, repo, needs).await,
        }
    }

    fn app_pass(&self, id: u64, key: &EncodingKey) -> Result<Pass, GithubError> {
        let now = self.clock.now().timestamp();
        // A minute back and a minute short of the ten allowed, for clocks that differ.
        let claims = Claims { iat: now - 60, exp: now + 9 * 60, iss: id.to_string() };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key)
            .map_err(|_| GithubError::Invalid("GITHUB_APP_PRIVATE_KEY cannot sign".into()))?;
        Ok(Pass { payer: Payer::App, token: secret(token), key: None })
    }

    async fn repository_pass(&self, tokens: &Tokens, repo: &RepoRef, needs: Needs) -> Result<Pass, GithubError> {
        let installation = self.installation(tokens, repo).await?;
        let key = TokenKey { installation, repository: repo.id, needs };
        let slot = tokens.minted.slot(key);
        let mut slot = slot.lock().await;
        let token = match slot.as_ref().filter(|token| token.is_good(self.clock.now())) {
            Some(token) => token.value.clone(),
            None => slot.insert(self.mint(key).await?).value.clone(),
        };
        Ok(Pass { payer: Payer::Installation(installation), token, key: Some(key) })
    }

    /// The installation that covers a repository: as the webhook said, or asked once.
    async fn installation(&self, tokens: &Tokens, repo: &RepoRef) -> Result<i64, GithubError> {
        if let Some(installation) = repo.installation {
            return Ok(installation);
        }
        let slot = tokens.installations.slot(repo.id);
        let mut slot = slot.lock().await;
        if let Some(installation) = *slot {
            return Ok(installation);
        }
        let found = self.app_call(&Call::get(format!("{}/installation", repo.path()?))).await;
        let found = found.map_err(|error| match error {
            GithubError::NotFound => GithubError::Gone(format!(
                "it is not installed on {}. Install it there from the App's page, and include this repository",
                repo.full_name
            )),
            other => other,
        })?;
        Ok(*slot.insert(found.json::<Numbered>(Effect::None)?.id))
    }

    /// The number of a repository that an installation of ours covers, by its name: a token for it tells. `NotFound` where it covers none
    /// of that name, and where no App acts, since the account of a token would have seen it already.
    pub(super) async fn number_of(&self, named: &RepoRef) -> Result<i64, GithubError> {
        if let Credentials::Token(_) = &self.credentials {
            return Err(GithubError::NotFound);
        }
        let installation = match named.installation {
            Some(installation) => installation,
            None => {
                self.app_call(&Call::get(format!("{}/installation", named.path()?))).await?.json::<Numbered>(Effect::None)?.id
            }
        };
        let name = named.full_name.split('/').nth(1).unwrap_or_default();
        let body = json!({"repositories": [name], "permissions": {"metadata": "read"}});
        let call = Call::post(format!("/app/installations/{installation}/access_tokens"), body, Effect::None);
        let answer = self.app_call(&call).await.map_err(|error| match error {
            GithubError::Invalid(_) => GithubError::NotFound,
            other => other,
        })?;
        let minted: Minted = answer.json(Effect::None)?;
        self.learned.add(&secret(minted.token.as_str()));
        minted.repositories.first().map(|repository| repository.id).ok_or(GithubError::NotFound)
    }

    async fn mint(&self, key: TokenKey) -> Result<Token, GithubError> {
        let path = format!("/app/installations/{}/access_tokens", key.installation);
        let mut refused = GithubError::NotFound;
        for permissions in key.needs.wishes() {
            // Minting has no effect that anybody sees: an unused token expires.
            let body = json!({"repository_ids": [key.repository], "permissions": permissions});
            match self.app_call(&Call::post(&path, body, Effect::None)).await {
                Ok(answer) => {
                    let minted: Minted = answer.json(Effect::None)?;
                    self.learned.add(&secret(minted.token.as_str()));
                    return Ok(Token { value: secret(minted.token), expires_at: minted.expires_at });
                }
                Err(GithubError::Invalid(words)) if words.to_lowercase().contains("permission") => {
                    refused = lacking(&permissions, key.needs);
                }
                Err(GithubError::Invalid(words)) => return Err(GithubError::Gone(format!("{words} {}", INCLUDE.trim()))),
                Err(GithubError::NotFound) => return Err(GithubError::Gone(REMOVED.into())),
                Err(other) => return Err(other),
            }
        }
        Err(refused)
    }

    /// Gives the tokens back that were minted and still work, so that none outlives the service. Takes a few seconds at most; a token
    /// that could not be given back ends by itself within the hour. Nothing to do with a token of one's own.
    pub async fn revoke_tokens(&self) {
        let Credentials::App { tokens, .. } = &self.credentials else { return };
        let mut live = Vec::new();
        for slot in tokens.minted.all() {
            if let Some(token) = slot.lock().await.take().filter(|token| token.expires_at > self.clock.now()) {
                live.push(token.value);
            }
        }
        let revoke = |token: SecretString| async move {
            let pass = Pass { payer: Payer::App, token, key: None };
            let call = Call::delete("/installation/token");
            if let Err(error) = self.send(&pass, &call, call.path()).await {
                tracing::debug!(%error, "a token was not given back");
            }
        };
        let all = futures::stream::iter(live).for_each_concurrent(MOST_REVOKED_AT_ONCE, revoke);
        if tokio::time::timeout(REVOKING, all).await.is_err() {
            tracing::info!("some tokens were not given back in time; they end within the hour");
        }
    }

    /// A call as the App. Apart from [`Github::call`] because that one needs tokens, and tokens need this.
    async fn app_call(&self, call: &Call) -> Result<super::client::Answer, GithubError> {
        let Credentials::App { id, key, .. } = &self.credentials else {
            return Err(GithubError::Invalid("only an App can do this".into()));
        };
        let pass = self.app_pass(*id, key)?;
        self.success(self.send(&pass, call, call.path()).await?, Effect::None)
    }
}

const REMOVED: &str = "the installation was removed. An owner of the account can install it again from the App's page";
const INCLUDE: &str = "An owner of the account can include the repository under Settings > Installed GitHub Apps";

fn lacking(permissions: &Value, needs: Needs) -> GithubError {
    let wanted = permissions.as_object().into_iter().flatten();
    let wanted = wanted.map(|(name, level)| format!("{name}: {}", level.as_str().unwrap_or_default())).collect::<Vec<_>>();
    let place = match needs {
        Needs::Conversation
        | Needs::Contents
        | Needs::Landing
        | Needs::LandingWorkflows
        | Needs::Reviews
        | Needs::Threads
        | Needs::Checks
        | Needs::Logs => "repository",
        Needs::Members => "organization",
    };
    GithubError::Forbidden {
        missing: format!("one of the permissions {}", wanted.join(", ")),
        remedy: format!("Grant it under the {place} permissions of the GitHub App and accept the change where it is installed."),
    }
}

/// A login in a path.
pub(super) fn person(login: &str) -> String {
    paging::encode(login)
}
