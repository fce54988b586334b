//! What must not leave, where it is, and how it is recognised.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use threadbox::secret::ExposeSecret;
use threadbox::settings::Permission;
use threadbox::standin::github::Visibility;
use threadbox::standin::model::{call, say};

use crate::support::bot::Bot;

const HOST: &str = "host-canary-Vx4Qm9Tz2Lk7Wp1Rn8";
const VAULT_ISSUE: &str = "vault-issue-Hd3Yc6Nb1Jf5Gs0Xk9";
const VAULT_FILE: &str = "vault-file-Zp4Rt8Vw3Mq7Lc2Bt6";

/// The canaries and where they are.
pub struct Canaries {
    /// Name and value.
    all: Vec<(String, String)>,
    places: Vec<(&'static str, String)>,
    /// The sandbox of the other thread.
    vault: String,
}

impl Canaries {
    /// Puts them where they belong. The environment of a test has the description of the package, which nothing else prints.
    pub async fn plant(bot: &Bot) -> Self {
        let host = bot.settings.data_dir.join("host-canary.txt");
        std::fs::write(&host, HOST).unwrap();
        bot.github.add_repository("acme/vault", Visibility::Private);
        for login in ["maya", &bot.github.our_login()] {
            bot.github.set_permission("acme/vault", login, Permission::Write).unwrap();
        }
        let (issue, _) = bot.github.open_issue("acme/vault", "maya", "Plans", VAULT_ISSUE).await.unwrap();
        bot.model.script([
            call("writeFile", json!({ "path": "canary.txt", "content": VAULT_FILE })),
            say(format!("I remember {VAULT_ISSUE} and {VAULT_FILE}.")),
        ]);
        bot.asks(&issue, "@threadbox please keep the plans").await;
        // The model may know of that thread what it is asked for its title.
        bot.idle().await;
        bot.until_count("select count(*) from jobs.jobs where task_identifier = 'title_thread'", 0).await;
        let vault = bot.sandboxes().pop().unwrap();
        let sandboxes = bot.settings.data_dir.join("sandboxes");
        let mut all: Vec<(String, String)> = vec![
            ("the file on the host".into(), HOST.into()),
            ("the other thread's issue".into(), VAULT_ISSUE.into()),
            ("the other thread's file".into(), VAULT_FILE.into()),
            ("the environment".into(), std::env::var("CARGO_PKG_DESCRIPTION").unwrap()),
        ];
        let secrets = bot.settings.secrets();
        all.extend(secrets.iter().enumerate().map(|(n, secret)| (format!("secret {n}"), secret.expose_secret().to_owned())));
        all.retain(|(_, value)| value.len() >= 12);
        assert!(all.len() >= 10, "{}", all.len());
        let host = host.display().to_string();
        let places = vec![
            ("{hostflat}", host.replace('/', "_")),
            ("{host}", host),
            ("{other}", sandboxes.join(&vault).join("workspace").display().to_string()),
            ("{vault}", vault.clone()),
            ("{data}", bot.settings.data_dir.display().to_string()),
            ("{pid}", std::process::id().to_string()),
            ("{port}", bot.url().rsplit(':').next().unwrap().to_owned()),
        ];
        Self { all, places, vault }
    }

    /// A text with the places filled in.
    pub fn fill(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (name, place)| text.replace(name, place))
    }

    /// The names of those in a text, plain or encoded.
    pub fn found<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        let (bare, backwards) = (bare(text), bare(&text.chars().rev().collect::<String>()));
        let is_in = move |value: &str| {
            let encoded = bare_forms(value);
            encoded.iter().any(|form| bare.contains(form) || backwards.contains(form))
                || base64_forms(value).iter().any(|form| text.contains(form))
        };
        self.all.iter().filter(move |(_, value)| is_in(value)).map(|(name, value)| format!("{name} ({})", &value[..8]))
    }

    /// The same for the settings alone: what a person wrote may be in a log at its most talkative.
    pub fn secrets_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        self.found(text).filter(|name| name.starts_with("secret"))
    }
}

/// Letters and digits, so that nothing hides between gaps.
fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn bare_forms(value: &str) -> Vec<String> {
    vec![bare(value), hex::encode(value)]
}

fn base64_forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let bytes = [vec![b' '; shift], value.as_bytes().to_vec()].concat();
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(text[if shift == 0 { 0 } else { 4 }..bytes.len() / 3 * 4].to_owned());
        }
    }
    forms
}

/// The texts in the files of all sandboxes but the other thread's.
pub fn sandbox_files(bot: &Bot, canaries: &Canaries) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                walk(&entry.path(), found);
            } else if kind.is_file() {
                let text = std::fs::read(entry.path()).unwrap_or_default();
                found.push((
                    entry.path().display().to_string(),
                    String::from_utf8_lossy(&text[..text.len().min(1 << 20)]).into_owned(),
                ));
            }
        }
    }
    let mut found = Vec::new();
    for name in bot.sandboxes().into_iter().filter(|name| *name != canaries.vault) {
        walk(&bot.settings.data_dir.join("sandboxes").join(name), &mut found);
    }
    assert!(!found.is_empty());
    found
}

/// What the service logs from now on, all of it.
pub fn logs() -> Arc<Mutex<Vec<u8>>> {
    static LOGS: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let start = || {
        let logs: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("threadbox=trace,info")
            .with_ansi(false)
            .with_writer(move || Kept(writer.clone()))
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        logs
    };
    LOGS.get_or_init(start).clone()
}

struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
