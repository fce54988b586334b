//! Daytona: which server, who we are there, and what its machines are made from.

use url::Url;

use super::finding::Wrong;
use super::reader::Reader;
use super::value;
use crate::secret::SecretString;

const KEY: &str = "DAYTONA_API_KEY";
const JWT: &str = "DAYTONA_JWT_TOKEN";
const ORGANIZATION: &str = "DAYTONA_ORGANIZATION_ID";
const API: &str = "DAYTONA_API_URL";
const TARGET: &str = "DAYTONA_TARGET";
const SNAPSHOT: &str = "DAYTONA_SNAPSHOT";
const IMAGE: &str = "DAYTONA_IMAGE";
const DEFAULT_API: &str = "https://app.daytona.io/api";

pub(super) const REMEDY: &str = "set DAYTONA_API_KEY to a key with write:sandboxes and delete:sandboxes";

/// Daytona.
#[derive(Clone, Debug)]
pub struct DaytonaSettings {
    /// `DAYTONA_API_URL` without trailing slash.
    pub api_url: Url,
    /// Who we are there.
    pub credential: DaytonaCredential,
    /// `DAYTONA_TARGET`: the region; unset is the organisation's default.
    pub target: Option<String>,
    /// `DAYTONA_SNAPSHOT`; unset is the organisation's default.
    pub snapshot: Option<String>,
    /// `DAYTONA_IMAGE`, instead of a snapshot: then the sandbox's size counts.
    pub image: Option<String>,
}

/// Who we are at Daytona.
#[derive(Clone, Debug)]
pub enum DaytonaCredential {
    /// An API key, which belongs to one organisation.
    Key(SecretString),
    /// A token of a person, who may belong to several.
    Jwt {
        /// The token.
        token: SecretString,
        /// Id of the organisation that is meant.
        organization: String,
    },
}

impl DaytonaCredential {
    /// The value that must not be shown.
    pub fn secret(&self) -> &SecretString {
        match self {
            Self::Key(key) => key,
            Self::Jwt { token, .. } => token,
        }
    }
}

/// True when there is something to ask Daytona with.
pub(super) fn is_wanted(reader: &Reader<'_>) -> bool {
    reader.has(KEY) || reader.has(JWT)
}

/// Daytona's settings; nothing when no credential is set or when something is wrong, which is noted.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<DaytonaSettings> {
    if !is_wanted(reader) {
        return None;
    }
    let name = if reader.has(KEY) { KEY } else { JWT };
    let credential = credential(reader);
    let api_url = if reader.has(API) { reader.base_url(API, Some(name)) } else { value::base_url(DEFAULT_API).ok() };
    let target = reader.parse(TARGET, word);
    let snapshot = reader.parse(SNAPSHOT, word);
    let image = reader.parse(IMAGE, word);
    if snapshot.is_some() && image.is_some() {
        reader.problem(
            IMAGE,
            "is set, and so is DAYTONA_SNAPSHOT",
            "keep one: a machine is made from an image or from a snapshot",
        );
    }
    Some(DaytonaSettings { api_url: api_url?, credential: credential?, target, snapshot, image })
}

fn credential(reader: &mut Reader<'_>) -> Option<DaytonaCredential> {
    let organization = reader.get(ORGANIZATION).map(str::to_owned);
    if let Some(key) = reader.secret(KEY) {
        if reader.has(JWT) {
            reader.warn(JWT, "is ignored because DAYTONA_API_KEY is set", "remove one of the two");
        }
        if organization.is_some() {
            reader.warn(
                ORGANIZATION,
                "is ignored because a key belongs to one organisation",
                "remove it, or use DAYTONA_JWT_TOKEN",
            );
        }
        return Some(DaytonaCredential::Key(key));
    }
    let token = reader.secret(JWT)?;
    let Some(organization) = organization else {
        let what = "is missing, but DAYTONA_JWT_TOKEN is set, whose owner may belong to several organisations";
        reader.problem(ORGANIZATION, what, "set it to the id shown in the organisation's settings, or use DAYTONA_API_KEY");
        return None;
    };
    Some(DaytonaCredential::Jwt { token, organization })
}

/// A name or an image: what stands in one word, so that nothing else gets into a Dockerfile.
fn word(text: &str) -> Result<String, Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '@' | '+');
    if text.len() <= 255 && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("is not a name", "set one word of letters, digits and . _ - : / @"))
}
