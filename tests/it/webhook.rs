//! What the door lets in: signed webhooks of a sane size, once they are on disk.

use sqlx::{Connection, PgConnection};
use threadbox::http::signature::sign;
use threadbox::standin::github::Delivery;
use threadbox::standin::model::say;
use url::Url;

use crate::support::bot::Bot;

async fn post(bot: &Bot, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{}/webhooks/github", bot.url())).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

async fn mention(bot: &Bot) -> Delivery {
    let issue = bot.issue("Door").await;
    bot.github.prepare_comment(&issue, "maya", "@threadbox hello").unwrap().1
}

#[tokio::test]
async fn a_signature_that_is_not_ours_stores_nothing() {
    let bot = Bot::start().await;
    let delivery = mention(&bot).await;
    let good = sign(&bot.github.webhook_secret(), &delivery.body);
    let event = [("x-github-event", "issue_comment"), ("x-github-delivery", delivery.guid.as_str())];
    let with = |name: &'static str, value: String| {
        let headers: Vec<(String, String)> = event
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain([(name.to_owned(), value)])
            .collect();
        headers
    };
    let forged = sign(&threadbox::secret::secret("another secret"), &delivery.body);
    let cases = [
        ("missing", with("x-other", "1".into()), delivery.body.to_vec()),
        ("forged", with("x-hub-signature-256", forged), delivery.body.to_vec()),
        ("sha-1 only", with("x-hub-signature", "sha1=0123456789012345678901234567890123456789".into()), delivery.body.to_vec()),
        ("cut", with("x-hub-signature-256", good[..40].to_owned()), delivery.body.to_vec()),
        ("tampered", with("x-hub-signature-256", good.clone()), [&delivery.body[..], b" "].concat()),
        ("empty", with("x-hub-signature-256", "sha256=".into()), delivery.body.to_vec()),
    ];
    for (case, headers, body) in cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(post(&bot, body, &headers).await, 401, "{case}");
    }
    for table in ["select count(*) from deliveries", "select count(*) from threads", "select count(*) from inbox"] {
        assert_eq!(bot.count(table).await, 0);
    }
    bot.finish().await;
}

#[tokio::test]
async fn what_is_not_a_webhook_is_told_so() {
    let bot = Bot::start().await;
    let secret = bot.github.webhook_secret();
    for (body, event, expected) in [
        ("not json", "issue_comment", 400),
        ("[]", "issue_comment", 400),
        ("{}", "", 400),
        ("{}", "star", 200),
        ("{\"action\":\"never_heard_of\"}", "issue_comment", 200),
        ("{\"zen\":\"calm\"}", "ping", 200),
    ] {
        let signature = sign(&secret, body.as_bytes());
        let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", event), ("x-github-delivery", "1-2-3")];
        assert_eq!(post(&bot, body, &headers).await, expected, "{event}: {body}");
    }
    bot.finish().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_below_is_read() {
    let bot = Bot::start().await;
    let secret = bot.github.webhook_secret();
    let padded = |mib: usize| format!("{{\"padding\":\"{}\"}}", "x".repeat(mib << 20));
    for (mib, expected) in [(24, 200), (26, 413)] {
        let body = padded(mib);
        let signature = sign(&secret, body.as_bytes());
        let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "star"), ("x-github-delivery", "4-5-6")];
        assert_eq!(post(&bot, body, &headers).await, expected, "{mib} MiB");
    }
    bot.finish().await;
}

#[tokio::test]
async fn without_a_database_it_is_503_and_the_redelivery_succeeds() {
    let bot = Bot::start().await;
    let issue = bot.issue("Down").await;
    let url = Url::parse(&bot.database.url()).unwrap();
    let name = url.path().trim_start_matches('/').to_owned();
    let mut elsewhere = url.clone();
    elsewhere.set_path("/postgres");
    let mut admin = PgConnection::connect(elsewhere.as_str()).await.unwrap();
    let allow = "update pg_database set datallowconn = $2 where datname = $1";
    sqlx::query(allow).bind(&name).bind(false).execute(&mut admin).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
        .bind(&name)
        .execute(&mut admin)
        .await
        .unwrap();

    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox are you back?").unwrap();
    assert_eq!(bot.github.redeliver(delivery.id).await.unwrap().status, Some(503));
    let ready = reqwest::get(format!("{}/readyz", bot.url())).await.unwrap().status().as_u16();
    assert_eq!(ready, 503);
    assert_eq!(reqwest::get(format!("{}/healthz", bot.url())).await.unwrap().status().as_u16(), 200);

    sqlx::query(allow).bind(&name).bind(true).execute(&mut admin).await.unwrap();
    bot.model.script([say("I am back.")]);
    assert_eq!(bot.github.redeliver(delivery.id).await.unwrap().status, Some(202));
    bot.ended(&issue, comment).await;
    assert!(bot.our_comments(&issue)[0].body().contains("I am back."));
    admin.close().await.unwrap();
    bot.finish().await;
}
