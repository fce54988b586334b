//! The calls of the control plane, one function each. A sandbox is named by its id or its name, where nothing else is said.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::call::{Base, Call, Retry};
use super::client::Client;
use super::error::ApiError;
use super::wire::{CreateSandbox, Page, Sandbox};

/// Deadline of what starts or stops a machine: the server blocks up to 30 s by itself.
const SLOW: Duration = Duration::from_secs(75);
/// Sandboxes on one page of a list.
const PAGE: usize = 100;

/// An address where people open a port without any header.
#[derive(Clone, Debug, Deserialize)]
pub struct SignedPreview {
    /// The address, with a token in it: as secret as what is behind it.
    pub url: String,
}

impl Client {
    /// Makes a sandbox. On [`super::ErrorKind::Lost`] it may have been made all the same: look it up by name.
    pub async fn create_sandbox(&self, body: &CreateSandbox) -> Result<Sandbox, ApiError> {
        self.json(&Call::post(Base::Control, &["sandbox"]).json(body)?.deadline(SLOW)).await
    }

    /// How a sandbox is now. [`super::ErrorKind::NotFound`] when it is provably gone.
    pub async fn sandbox(&self, name: &str) -> Result<Sandbox, ApiError> {
        self.json(&Call::get(Base::Control, &["sandbox", name])).await
    }

    /// Starts, resumes or restores it; fine when it is started. Returns before it is done.
    pub async fn start_sandbox(&self, name: &str) -> Result<(), ApiError> {
        self.call(&Call::post(Base::Control, &["sandbox", name, "start"]).deadline(SLOW)).await.map(drop)
    }

    /// Stops it, at once and hard with `force`. Returns before it is done.
    pub async fn stop_sandbox(&self, name: &str, force: bool) -> Result<(), ApiError> {
        let path = ["sandbox", name, "stop"];
        self.call(&Call::post(Base::Control, &path).query("force", force.to_string()).deadline(SLOW)).await.map(drop)
    }

    /// Brings a failed one back that says it is recoverable.
    pub async fn recover_sandbox(&self, name: &str) -> Result<(), ApiError> {
        self.call(&Call::post(Base::Control, &["sandbox", name, "recover"]).deadline(SLOW)).await.map(drop)
    }

    /// Moves a stopped one to cheap storage. Returns before it is done.
    pub async fn archive_sandbox(&self, name: &str) -> Result<(), ApiError> {
        self.call(&Call::post(Base::Control, &["sandbox", name, "archive"]).deadline(SLOW)).await.map(drop)
    }

    /// Deletes it. Returns before it is done. [`super::ErrorKind::NotFound`] when there is none.
    pub async fn delete_sandbox(&self, name: &str) -> Result<(), ApiError> {
        self.call(&Call::delete(Base::Control, &["sandbox", name]).deadline(SLOW)).await.map(drop)
    }

    /// Gives it these labels instead of those it has.
    pub async fn label_sandbox(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
        let body = serde_json::json!({ "labels": labels });
        let path = ["sandbox", name, "labels"];
        let call = Call::new(Method::PUT, Base::Control, &path).retry(Retry::Safe);
        self.call(&call.json(&body)?).await.map(drop)
    }

    /// Says that it is in use, so that it is not stopped for idleness. By id only.
    pub async fn touch_sandbox(&self, id: &str) -> Result<(), ApiError> {
        self.call(&Call::post(Base::Control, &["sandbox", id, "last-activity"])).await.map(drop)
    }

    /// One page of those that carry all the labels (JSON text of an object). Lags behind and shows deleted ones for a while.
    pub async fn list_sandboxes(&self, labels: &str, cursor: Option<&str>) -> Result<Page, ApiError> {
        let mut call = Call::get(Base::Control, &["sandbox"]).query("limit", PAGE.to_string()).query("labels", labels);
        if let Some(cursor) = cursor {
            call = call.query("cursor", cursor);
        }
        self.json(&call).await
    }

    /// Base of the toolbox proxy for it, without the id. By id only; for servers that do not say it with the sandbox.
    pub async fn toolbox_proxy(&self, id: &str) -> Result<Url, ApiError> {
        #[derive(Deserialize)]
        struct Proxy {
            url: Url,
        }
        let proxy: Proxy = self.json(&Call::get(Base::Control, &["sandbox", id, "toolbox-proxy-url"])).await?;
        Ok(proxy.url)
    }

    /// An address that opens a port for so many seconds (at most a day) and survives restarts of the machine.
    pub async fn signed_preview(&self, name: &str, port: u16, seconds: u32) -> Result<SignedPreview, ApiError> {
        let port = port.to_string();
        let path = ["sandbox", name, "ports", &port, "signed-preview-url"];
        self.json(&Call::get(Base::Control, &path).query("expiresInSeconds", seconds.to_string())).await
    }
}

/// What a server says of itself, to anybody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerInfo {
    /// Its version.
    pub version: Option<String>,
    /// What a sandbox is made from when nothing is said.
    pub default_snapshot: Option<String>,
    /// Whether it does not make sandboxes just now.
    #[serde(rename = "maintananceMode", alias = "maintenanceMode")]
    pub maintenance: bool,
}

/// What is known of the API key that is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyInfo {
    /// Its name.
    pub name: Option<String>,
    /// What it may do, such as `write:sandboxes`.
    pub permissions: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// A snapshot.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// `active` when it can be used.
    pub state: Option<String>,
    /// Why it cannot.
    pub error_reason: Option<String>,
    /// Regions where it is; none said means all.
    pub region_ids: Vec<String>,
}

impl Client {
    /// What the server says of itself; needs no valid credential.
    pub async fn server_info(&self) -> Result<ServerInfo, ApiError> {
        self.json(&Call::get(Base::Control, &["config"])).await
    }

    /// The key that is used. Only for keys, not for tokens of people.
    pub async fn key_info(&self) -> Result<KeyInfo, ApiError> {
        self.json(&Call::get(Base::Control, &["api-keys", "current"])).await
    }

    /// A snapshot by id or name.
    pub async fn snapshot_info(&self, name: &str) -> Result<SnapshotInfo, ApiError> {
        self.json(&Call::get(Base::Control, &["snapshots", name])).await
    }
}
