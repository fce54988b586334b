//! The server inside one machine: calls that bring the machine back when it does not answer, and scripts run through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::call::QUICK;
use super::script;
use super::{ApiError, Base, Call, Client, ErrorKind, Response, Retry, Revive, wire};
use crate::sandbox::SandboxError;

/// How often a machine is brought back for one call.
const REVIVALS: u32 = 2;
/// How often a script is started that could not say a word.
const STARTS: u32 = 4;
/// Wait before it is started again, doubled each time: memory or processes were short.
const PAUSE: Duration = Duration::from_millis(250);
/// Most of a script's answer that is read.
const LONGEST_ANSWER: usize = 64 << 20;

/// Speaks to the toolbox of one machine.
pub(super) struct Toolbox {
    pub(super) client: Client,
    pub(super) id: String,
    revive: Arc<dyn Revive>,
    base: Mutex<Url>,
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The toolbox says so.
    Api(ApiError),
    /// The machine cannot be used.
    Machine(SandboxError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Trouble> for SandboxError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Api(error) => error.into(),
            Trouble::Machine(error) => error,
        }
    }
}

/// One run of a script in the machine.
pub(super) struct Script<'a> {
    /// Its text.
    pub text: &'static str,
    /// Verb and arguments.
    pub arguments: &'a [&'a str],
    /// Further variables; each value at most [`script::MAX_VARIABLE`].
    pub variables: &'a [(&'a str, &'a str)],
    /// How long it may take by design; what the network needs is added.
    pub patience: Duration,
}

#[derive(Serialize)]
struct Execute<'a> {
    command: String,
    cwd: &'a str,
    envs: BTreeMap<&'a str, &'a str>,
    timeout: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Executed {
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    result: String,
}

#[derive(Deserialize)]
struct Directory {
    dir: String,
}

impl Toolbox {
    pub(super) async fn new(client: Client, revive: Arc<dyn Revive>, sandbox: &wire::Sandbox) -> Result<Self, SandboxError> {
        let base = address(&client, sandbox).await?;
        Ok(Self { client, id: sandbox.id.clone(), revive, base: Mutex::new(base) })
    }

    /// Performs a call. When the machine does not answer it is brought back, and the call is made again: so it must be one that may be
    /// made twice.
    pub(super) async fn call<F>(&self, make: F) -> Result<Response, Trouble>
    where
        F: for<'b> Fn(Base<'b>) -> Call<'b>,
    {
        self.call_while(make, |kind| matches!(kind, ErrorKind::SandboxUnavailable | ErrorKind::Lost | ErrorKind::Unreachable))
            .await
    }

    /// The same for a call that may hang although the machine is well, because a file is one that never ends: then it fails with
    /// [`ErrorKind::Lost`].
    pub(super) async fn call_for_content<F>(&self, make: F) -> Result<Response, Trouble>
    where
        F: for<'b> Fn(Base<'b>) -> Call<'b>,
    {
        self.call_while(
            |base| make(base).retry(Retry::Once),
            |kind| matches!(kind, ErrorKind::SandboxUnavailable | ErrorKind::Unreachable),
        )
        .await
    }

    async fn call_while<F>(&self, make: F, is_away: impl Fn(ErrorKind) -> bool) -> Result<Response, Trouble>
    where
        F: for<'b> Fn(Base<'b>) -> Call<'b>,
    {
        let mut revived = 0;
        loop {
            let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let error = match self.client.call(&make(Base::Toolbox(&base))).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if !is_away(error.kind) || revived == REVIVALS {
                return Err(error.into());
            }
            revived += 1;
            tracing::info!(sandbox.id = self.id, %error, "the machine does not answer and is looked after");
            let sandbox = self.revive.revive(&self.id).await.map_err(|error| match error {
                // Not a file that is missing, as it would seem to whoever asked for one.
                SandboxError::NotFound(what) => Trouble::Machine(SandboxError::Gone(what)),
                error => Trouble::Machine(error),
            })?;
            let base = address(&self.client, &sandbox).await.map_err(Trouble::Machine)?;
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
        }
    }

    /// Runs a script, which must be one that may run twice, until `read` understands its answer.
    pub(super) async fn run<T>(&self, script: Script<'_>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, SandboxError> {
        let mut starts = 1;
        loop {
            let trouble = match self.execute(&script).await {
                Ok(text) => match read(&text) {
                    Ok(answer) => return Ok(answer),
                    Err(noise) => noise,
                },
                Err(Trouble::Api(error)) if error.kind == ErrorKind::CommandTimeout => error.message,
                Err(trouble) => return Err(trouble.into()),
            };
            if starts == STARTS {
                let text =
                    format!("a helper program does not run in it: {trouble}. It may have no memory, processes or disk left");
                return Err(SandboxError::Unavailable(text));
            }
            tracing::debug!(sandbox.id = self.id, trouble, "a helper program is started again");
            tokio::time::sleep(PAUSE * 2u32.pow(starts - 1)).await;
            starts += 1;
        }
    }

    async fn execute(&self, script: &Script<'_>) -> Result<String, Trouble> {
        let patience = script.patience.as_secs() + 10;
        let mut envs: BTreeMap<&str, &str> = script.variables.iter().copied().collect();
        envs.insert("TB", script.text);
        let execute = Execute { command: script::line(script.arguments), cwd: "/", envs, timeout: patience };
        let body = Call::post(Base::Control, &[]).json(&execute)?.body;
        let response = self
            .call(|base| {
                Call::post(base, &["process", "execute"])
                    .body(body.clone())
                    .retry(Retry::Safe)
                    .deadline(Duration::from_secs(patience) + Duration::from_secs(5))
                    .limit(LONGEST_ANSWER)
            })
            .await?;
        let executed: Executed = response.json()?;
        tracing::trace!(sandbox.id = self.id, exit_code = executed.exit_code, "a helper program ran");
        Ok(executed.result)
    }

    /// The directory in which relative paths start, and the home directory.
    pub(super) async fn directories(&self) -> Result<(String, String), SandboxError> {
        let (work, home) = tokio::try_join!(self.directory(&["work-dir"]), self.directory(&["user-home-dir"]))?;
        Ok((work, home))
    }

    async fn directory(&self, path: &'static [&'static str]) -> Result<String, SandboxError> {
        let response = self.call(|base| Call::get(base, path).deadline(QUICK)).await?;
        let Directory { dir } = response.json().map_err(Trouble::Api)?;
        if dir.starts_with('/') {
            return Ok(if dir == "/" { dir } else { dir.trim_end_matches('/').to_owned() });
        }
        Err(SandboxError::Unavailable(format!("its directory `{dir}` is not an absolute path")))
    }
}

async fn address(client: &Client, sandbox: &wire::Sandbox) -> Result<Url, SandboxError> {
    if sandbox.toolbox_proxy_url.as_deref().is_some_and(|url| !url.is_empty()) {
        return Ok(sandbox.toolbox()?);
    }
    let proxy = client.toolbox_proxy(&sandbox.id).await?;
    let known = wire::Sandbox { toolbox_proxy_url: Some(proxy.into()), ..sandbox.clone() };
    Ok(known.toolbox()?)
}
