//! `threadbox replay`: delivers a stored webhook payload, signed, to a running service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::AsyncReadExt;
use url::Url;
use uuid::Uuid;

use super::output::{Failure, Progress};
use super::{Outcome, load};
use crate::secret::{ExposeSecret, SecretString, secret};
use crate::settings::address_of;

/// Where webhooks arrive, below the service's address.
const PATH: &str = "/webhooks/github";

/// Beyond what the service accepts, so that its refusal can be seen; below what would hurt.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What is printed of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What `replay` takes.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The payload as JSON, byte for byte as it is delivered; - for standard input
    pub file: PathBuf,
    /// The event's name, for example issue_comment
    #[arg(long)]
    pub event: String,
    /// Address of the service [default: where THREADBOX_LISTEN says]
    #[arg(long)]
    pub url: Option<Url>,
    /// The webhook secret [default: GITHUB_WEBHOOK_SECRET]
    #[arg(long)]
    pub secret: Option<String>,
    /// The delivery's id, for example to repeat one [default: a new one]
    #[arg(long)]
    pub delivery: Option<Uuid>,
}

/// Delivers once. Prints the status to standard error and the answer's body to standard output; succeeds when the service accepted.
pub async fn main(args: ReplayArgs) -> Outcome {
    let (address, key) = destination(args.url, args.secret)?;
    let body = read(&args.file).await?;
    let delivery = args.delivery.unwrap_or_else(Uuid::now_v7);
    let answer = {
        let _progress = Progress::spinner(format!("delivering {} to {address}", args.event));
        deliver(&address, &key, &args.event, delivery, body).await?
    };
    eprintln!("{} (delivery {delivery})", answer.status);
    println!("{}", answer.body);
    Ok(if answer.status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Settings are only needed for what the command line does not say.
fn destination(url: Option<Url>, key: Option<String>) -> Result<(Url, SecretString), Failure> {
    if let (Some(url), Some(key)) = (&url, &key) {
        return Ok((webhook_address(url.clone()), secret(key)));
    }
    let settings = load()?.settings;
    let configured = settings.github.and_then(|github| github.webhook_secrets.into_iter().next());
    let key = key.map(secret).or(configured).ok_or_else(|| {
        Failure::usage("There is no webhook secret to sign with.", "Set up GitHub as for `serve`, or give --secret.")
    })?;
    Ok((webhook_address(url.unwrap_or_else(|| address_of(settings.listen))), key))
}

/// Both the service's address and the webhook's are understood.
fn webhook_address(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(PATH) {
        url.set_path(&format!("{path}{PATH}"));
    }
    url
}

async fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(
            format!("Cannot read {}: {error}.", file.display()),
            "Give the path of a stored payload, or - for standard input.",
        )
    };
    let mut body = Vec::new();
    if file == Path::new("-") {
        tokio::io::stdin().take(LARGEST).read_to_end(&mut body).await.map_err(failed)?;
    } else {
        let file = tokio::fs::File::open(file).await.map_err(failed)?;
        file.take(LARGEST).read_to_end(&mut body).await.map_err(failed)?;
    }
    Ok(body)
}

struct Answer {
    status: reqwest::StatusCode,
    body: String,
}

async fn deliver(address: &Url, key: &SecretString, event: &str, delivery: Uuid, body: Vec<u8>) -> Result<Answer, Failure> {
    let unreachable = |error: reqwest::Error| {
        let cause = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
        let cause = cause.map(ToString::to_string).unwrap_or_default();
        Failure::new(format!("Cannot deliver to {address}: {cause}."), "Start `threadbox serve`, or give its address with --url.")
    };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().map_err(unreachable)?;
    let request = client
        .post(address.clone())
        .header("content-type", "application/json")
        .header("user-agent", concat!("threadbox-replay/", env!("CARGO_PKG_VERSION")))
        .header("x-github-event", event)
        .header("x-github-delivery", delivery.to_string())
        .header("x-hub-signature-256", signature(key, &body))
        .body(body);
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(unreachable)?;
    let shown = &bytes[..bytes.len().min(LONGEST_ANSWER)];
    Ok(Answer { status, body: String::from_utf8_lossy(shown).into_owned() })
}

fn signature(key: &SecretString, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::HeaderMap;

    use super::*;

    #[test]
    fn the_signature_is_githubs() {
        assert_eq!(
            signature(&secret("It's a Secret to Everybody"), b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }

    #[test]
    fn the_webhooks_path_is_added_once() {
        let address = |text: &str| webhook_address(text.parse().unwrap()).to_string();
        assert_eq!(address("http://h:1"), "http://h:1/webhooks/github");
        assert_eq!(address("http://h:1/bot/"), "http://h:1/bot/webhooks/github");
        assert_eq!(address("http://h:1/webhooks/github"), "http://h:1/webhooks/github");
    }

    #[tokio::test]
    async fn a_file_arrives_byte_for_byte_with_its_headers() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let seen: Arc<Mutex<Option<(HeaderMap, bytes::Bytes)>>> = Arc::default();
        let store = seen.clone();
        let receive = move |headers: HeaderMap, body: bytes::Bytes| async move {
            *store.lock().unwrap() = Some((headers, body));
            (axum::http::StatusCode::ACCEPTED, "stored")
        };
        let service = axum::Router::new().route(PATH, axum::routing::post(receive));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, service).await });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("payload.json");
        std::fs::write(&file, b"{ \"zen\":  1 }\n").unwrap();

        let args =
            ReplayArgs { file, event: "ping".into(), url: Some(url), secret: Some("s".into()), delivery: Some(Uuid::nil()) };
        let code = main(args).await.unwrap();
        server.abort();

        assert_eq!(code, ExitCode::SUCCESS);
        let (headers, body) = seen.lock().unwrap().take().unwrap();
        assert_eq!(body, &b"{ \"zen\":  1 }\n"[..]);
        assert_eq!(headers["x-github-event"], "ping");
        assert_eq!(headers["x-github-delivery"], Uuid::nil().to_string());
        assert_eq!(headers["x-hub-signature-256"], signature(&secret("s"), &body));
    }

    #[tokio::test]
    async fn nobody_listening_is_said_with_a_remedy() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address: Url = format!("http://{free}/").parse().unwrap();
        let Err(failure) = deliver(&address, &secret("s"), "ping", Uuid::nil(), vec![]).await else { panic!("delivered") };
        assert_eq!(failure.code, 1);
        assert!(failure.remedy.contains("threadbox serve"));
        assert!(failure.what.contains("refused"), "{}", failure.what);
    }

    #[tokio::test]
    async fn a_missing_file_is_wrong_usage() {
        let failure = read(Path::new("/nowhere/payload.json")).await.unwrap_err();
        assert_eq!(failure.code, 2);
    }
}
