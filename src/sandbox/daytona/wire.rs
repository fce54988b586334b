//! What is said to the control plane and what it says, read leniently: unknown fields are ignored, nearly none is required.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::error::{ApiError, ErrorKind};
use crate::sandbox::{LANGUAGE_LABEL, Language};

/// A sandbox as the control plane describes it. In a list `env` is missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    /// Its id, a UUID. Not the name.
    pub id: String,
    /// Its name, unique in the organisation.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// How it is.
    #[serde(default, deserialize_with = "lenient")]
    pub state: State,
    /// How it should be.
    #[serde(default, deserialize_with = "lenient")]
    pub desired_state: Option<State>,
    /// Why it failed.
    #[serde(default, deserialize_with = "lenient")]
    pub error_reason: Option<String>,
    /// Whether `recover` can help it.
    #[serde(default, deserialize_with = "lenient")]
    pub recoverable: bool,
    /// Its variables.
    #[serde(default, deserialize_with = "lenient")]
    pub env: BTreeMap<String, String>,
    /// Its labels.
    #[serde(default, deserialize_with = "lenient")]
    pub labels: BTreeMap<String, String>,
    /// Processors.
    #[serde(default, deserialize_with = "lenient")]
    pub cpu: Option<f64>,
    /// Memory in GiB.
    #[serde(default, deserialize_with = "lenient")]
    pub memory: Option<f64>,
    /// Disk in GiB.
    #[serde(default, deserialize_with = "lenient")]
    pub disk: Option<f64>,
    /// Base of the toolbox proxy of its region, without the id.
    #[serde(default, deserialize_with = "lenient")]
    pub toolbox_proxy_url: Option<String>,
    /// Version of the server inside.
    #[serde(default, deserialize_with = "lenient")]
    pub daemon_version: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was given up because no machine was free for it.
    #[serde(default, deserialize_with = "lenient")]
    pub queue_timed_out_at: Option<String>,
    /// When it was taken away for somebody who pays more.
    #[serde(default, deserialize_with = "lenient")]
    pub spot_evicted_at: Option<String>,
}

impl Sandbox {
    /// Base of the calls to its toolbox: proxy and id.
    pub fn toolbox(&self) -> Result<Url, ApiError> {
        let missing = |what: &str| ApiError::own(ErrorKind::Unreadable, format!("sandbox {} {what}", self.id));
        let proxy = self.toolbox_proxy_url.as_deref().filter(|url| !url.is_empty());
        let text = proxy.ok_or_else(|| missing("has no toolbox address"))?;
        let mut url = Url::parse(text).map_err(|error| missing(&format!("has a toolbox address that is none ({error})")))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&self.id);
        }
        Ok(url)
    }

    /// The language of code that does not name one.
    pub fn language(&self) -> Language {
        self.labels.get(LANGUAGE_LABEL).and_then(|name| name.parse().ok()).unwrap_or_default()
    }

    /// What people know it by: the name, or the id where it has none.
    pub fn known_as(&self) -> &str {
        self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.id)
    }
}

/// How a sandbox is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words are Daytona's; `state` says what each means for us")]
pub enum State {
    Creating,
    Restoring,
    Destroyed,
    Destroying,
    Started,
    Stopped,
    Starting,
    Stopping,
    Error,
    BuildFailed,
    PendingBuild,
    BuildingSnapshot,
    PullingSnapshot,
    Archived,
    Archiving,
    Resizing,
    Snapshotting,
    Forking,
    Pausing,
    Paused,
    Resuming,
    /// `unknown`, or no state at all.
    #[default]
    Unsaid,
    /// A word that is newer than this client.
    Unknown(String),
}

/// The words of the wire.
const STATES: [(&str, State); 22] = [
    ("creating", State::Creating),
    ("restoring", State::Restoring),
    ("destroyed", State::Destroyed),
    ("destroying", State::Destroying),
    ("started", State::Started),
    ("stopped", State::Stopped),
    ("starting", State::Starting),
    ("stopping", State::Stopping),
    ("error", State::Error),
    ("build_failed", State::BuildFailed),
    ("pending_build", State::PendingBuild),
    ("building_snapshot", State::BuildingSnapshot),
    ("pulling_snapshot", State::PullingSnapshot),
    ("archived", State::Archived),
    ("archiving", State::Archiving),
    ("resizing", State::Resizing),
    ("snapshotting", State::Snapshotting),
    ("forking", State::Forking),
    ("pausing", State::Pausing),
    ("paused", State::Paused),
    ("resuming", State::Resuming),
    ("unknown", State::Unsaid),
];

impl State {
    /// Every state the API describes.
    pub fn all() -> impl Iterator<Item = Self> {
        STATES.into_iter().map(|(_, state)| state)
    }
}

impl From<&str> for State {
    fn from(word: &str) -> Self {
        let found = STATES.into_iter().find(|(name, _)| *name == word).map(|(_, state)| state);
        found.unwrap_or_else(|| Self::Unknown(word.to_owned()))
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(word) => f.write_str(word),
            known => f.write_str(STATES.iter().find(|(_, state)| state == known).map_or("unknown", |(name, _)| name)),
        }
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
    }
}

/// What a new sandbox should be. What is unset is left out, never sent as null.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are Daytona's")]
pub struct CreateSandbox {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub env: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_info: Option<BuildInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_archive_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_delete_interval: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_block_all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_allow_list: Option<String>,
}

/// How an image becomes a snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Text of a Dockerfile.
    pub dockerfile_content: String,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// What is on it.
    #[serde(default)]
    pub items: Vec<Sandbox>,
    /// Where the next page begins; none on the last.
    #[serde(default, deserialize_with = "lenient")]
    pub next_cursor: Option<String>,
}

/// A value of another type, or null, is as good as a missing one.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
