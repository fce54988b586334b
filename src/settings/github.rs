//! Who we are on GitHub: an App, or a token, and the secret of the webhook.

use url::Url;

use super::finding::Wrong;
use super::reader::Reader;
use super::{GithubAuth, GithubSettings, value};
use crate::secret::{SecretString, secret};

const ID: &str = "GITHUB_APP_ID";
const KEY: &str = "GITHUB_APP_PRIVATE_KEY";
const TOKEN: &str = "GITHUB_TOKEN";
const SECRET: &str = "GITHUB_WEBHOOK_SECRET";
const API: &str = "GITHUB_API_URL";

/// GitHub's settings; nothing when it is off or when something is wrong, which is noted.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<GithubSettings> {
    let auth = auth(reader);
    let credential = match &auth {
        Some(GithubAuth::App { .. }) => Some(KEY),
        Some(GithubAuth::Token(_)) => Some(TOKEN),
        None => None,
    };
    let api_url = api_url(reader, credential);
    let webhook_secrets: Vec<SecretString> =
        value::list(reader.get(SECRET).unwrap_or_default()).into_iter().map(secret).collect();
    let wanted = reader.has(ID) || reader.has(KEY) || reader.has(TOKEN);
    match (wanted, webhook_secrets.len()) {
        (true, 0) => {
            reader.problem(
                SECRET,
                "is missing, and without it nobody can tell GitHub's webhooks from forged ones",
                SECRET_REMEDY,
            );
        }
        (true, 3..) => reader.problem(SECRET, "holds more than two secrets", "keep the new one and the one it replaces"),
        (false, 1..) => reader.warn(SECRET, "is set, but there is nothing to answer with", AUTH_REMEDY),
        (true, 1..=2) | (false, 0) => {}
    }
    Some(GithubSettings { api_url: api_url?, auth: auth?, webhook_secrets })
}

const SECRET_REMEDY: &str =
    "set it here and in the webhook's settings on GitHub to the same long random text, for example from `openssl rand -hex 32`";
pub(super) const AUTH_REMEDY: &str =
    "set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET";

fn auth(reader: &mut Reader<'_>) -> Option<GithubAuth> {
    let has_app = reader.has(ID) || reader.has(KEY);
    if has_app && reader.has(TOKEN) {
        reader.warn(TOKEN, "is ignored because a GitHub App is configured", "remove one of the two");
    }
    if !has_app {
        return reader.secret(TOKEN).map(GithubAuth::Token);
    }
    match (reader.has(ID), reader.has(KEY)) {
        (true, false) => reader.problem(
            KEY,
            "is missing, but GITHUB_APP_ID is set",
            "set it to the App's private key (the .pem file's path or text)",
        ),
        (false, true) => reader.problem(
            ID,
            "is missing, but GITHUB_APP_PRIVATE_KEY is set",
            "set it to the App ID shown at the top of the App's settings",
        ),
        (true, true) | (false, false) => {}
    }
    let id = reader.parse(ID, app_id);
    let private_key = reader.parse(KEY, private_key);
    Some(GithubAuth::App { id: id?, private_key: private_key? })
}

/// The text is not repeated: people paste keys into the wrong variable.
fn app_id(text: &str) -> Result<u64, Wrong> {
    match text.parse() {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(Wrong::new("is not a number", "set the App ID shown at the top of the App's settings (not the client ID)")),
    }
}

/// PEM text, also with `\n` written out, or the path of a file that holds it.
fn private_key(text: &str) -> Result<SecretString, Wrong> {
    let pem = if text.contains("-----BEGIN") { text.replace("\\n", "\n") } else { read_key_file(text)? };
    if jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()).is_err() {
        let what = "is not a complete RSA private key in PEM form";
        return Err(Wrong::new(what, "generate a private key in the App's settings and use that .pem file"));
    }
    Ok(secret(pem))
}

fn read_key_file(path: &str) -> Result<String, Wrong> {
    std::fs::read_to_string(path).map_err(|error| {
        let remedy = "set the path of the App's .pem file, readable for the user the service runs as, or the PEM text itself";
        Wrong::new(format!("is neither PEM text nor the path of a readable file ({error})"), remedy)
    })
}

fn api_url(reader: &mut Reader<'_>, credential: Option<&str>) -> Option<Url> {
    if !reader.has(API) {
        return value::base_url("https://api.github.com").ok();
    }
    let url = reader.base_url(API, credential)?;
    if matches!(url.host_str(), Some("github.com" | "www.github.com")) {
        reader.problem(API, "is the address of the website", "set https://api.github.com, or unset it");
        return None;
    }
    Some(url)
}
