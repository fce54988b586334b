//! Files that people get with an answer: made by programs, kept with the run, shown in the comment, served to whoever has the link.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use threadbox::standin::model::{RecordedRequest, call, hang, say};

use crate::support::bot::Bot;

const PUBLIC: (&str, &str) = ("THREADBOX_PUBLIC_URL", "https://bot.example/base");

const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A program that draws.
fn draw(name: &str) -> String {
    format!("import base64\nopen('{name}', 'wb').write(base64.b64decode('{DOT}'))\nprint('drawn')")
}

/// The path of a file in an answer, below the public address.
fn link<'a>(answer: &'a str, name: &str) -> &'a str {
    let end = answer.find(&format!("/{name})")).unwrap_or_else(|| panic!("no link to {name} in {answer}")) + name.len() + 1;
    let start = answer[..end].rfind("/attachments/").unwrap();
    &answer[start..end]
}

async fn ask(bot: &Bot, method: Method, path: &str, known: Option<&str>) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", bot.url()));
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_picture_is_shown_and_served_to_whoever_has_the_link() {
    let bot = Bot::start_with(&[PUBLIC]).await;
    let issue = bot.issue("A plot").await;
    bot.model.script([
        call("runCode", json!({ "code": draw("plot.png") })),
        call("runCode", json!({ "code": format!("{}\nopen('plot.png', 'ab').write(b'second')", draw("plot.png")) })),
        say("Here is the plot."),
    ]);
    let answer = bot.asks(&issue, "@threadbox draw it").await;
    // The second version took the place of the first.
    assert_eq!(answer.matches("![plot.png](https://bot.example/base/attachments/").count(), 1, "{answer}");
    assert_eq!(bot.count("select count(*) from attachments").await, 2);
    let path = link(&answer, "plot.png");

    let got = ask(&bot, Method::GET, path, None).await;
    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!(header(&got, "content-type"), "image/png");
    assert_eq!(header(&got, "content-disposition"), "inline; filename*=UTF-8''plot.png");
    assert_eq!(header(&got, "content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(header(&got, "x-content-type-options"), "nosniff");
    assert!(header(&got, "cache-control").contains("immutable"));
    let version = header(&got, "etag").to_owned();
    let content = got.bytes().await.unwrap();
    assert!(content.starts_with(b"\x89PNG") && content.ends_with(b"second"));

    let head = ask(&bot, Method::HEAD, path, None).await;
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, content.len().to_string().as_str()));
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    let known = ask(&bot, Method::GET, path, Some(&version)).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let token = path.split('/').nth(2).unwrap();
    let flipped = if token.starts_with('0') { "1" } else { "0" };
    for wrong in [
        path.replace("plot.png", "other.png"),
        path.replace(token, &format!("{flipped}{}", &token[1..])),
        "/attachments/x/plot.png".to_owned(),
        format!("/attachments/{token}"),
    ] {
        assert_eq!(ask(&bot, Method::GET, &wrong, None).await.status(), StatusCode::NOT_FOUND, "{wrong}");
    }
    bot.finish().await;
}

#[tokio::test]
async fn texts_are_readable_in_place_and_nothing_acts_in_a_browser() {
    let bot = Bot::start_with(&[PUBLIC]).await;
    let issue = bot.issue("Files").await;
    let secret = format!("ghp_{}", "a1B2c3D4".repeat(5));
    bot.model.script([
        call(
            "writeFiles",
            json!({ "files": [
                { "path": "page.html", "data": "<script>alert(1)</script>\n" },
                { "path": "draw.svg", "data": "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>" },
                { "path": "env.txt", "data": format!("key={secret}\n@eve\n") },
                { "path": "long.txt", "data": "x".repeat(20_000) },
            ] }),
        ),
        call("attachFile", json!({ "path": "page.html" })),
        call("attachFile", json!({ "path": "draw.svg" })),
        call("attachFile", json!({ "path": "env.txt", "name": "the env.txt" })),
        call("attachFile", json!({ "path": "long.txt" })),
        say("All attached."),
    ]);
    let answer = bot.asks(&issue, "@threadbox give me the files").await;
    assert!(answer.contains("<summary>page.html · 26 B</summary>\n\n```html\n<script>alert(1)</script>\n```"), "{answer}");
    assert!(answer.contains("![draw.svg](") && answer.contains("- [long.txt](") && answer.contains("· 20.0 kB"), "{answer}");
    assert!(answer.contains("key=[secret]") && !answer.contains(&secret), "{answer}");
    for (name, kind) in
        [("page.html", "text/html; charset=utf-8"), ("draw.svg", "image/svg+xml"), ("the-env.txt", "text/plain; charset=utf-8")]
    {
        let got = ask(&bot, Method::GET, link(&answer, name), None).await;
        assert_eq!(header(&got, "content-type"), kind);
        assert_eq!(header(&got, "content-disposition"), format!("attachment; filename*=UTF-8''{name}"));
        assert_eq!(header(&got, "content-security-policy"), "sandbox; default-src 'none'");
        assert!(!got.text().await.unwrap().contains(&secret));
    }
    bot.finish().await;
}

#[tokio::test]
async fn blocks_that_are_run_as_they_are_show_each_picture() {
    let bot = Bot::start_with(&[PUBLIC]).await;
    let issue = bot.issue("Blocks").await;
    let text = format!(
        "@threadbox run\n```python\n{}\n```\n```python\n{}\nopen('plot.png', 'ab').write(b'2')\n```",
        draw("plot.png"),
        draw("plot.png")
    );
    let answer = bot.asks(&issue, &text).await;
    assert_eq!(answer.matches("![plot.png](").count(), 2, "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn where_nobody_else_can_fetch_it_there_is_a_link() {
    let bot = Bot::start().await;
    let issue = bot.issue("Loopback").await;
    let answer = bot.asks(&issue, &format!("@threadbox run\n```python\n{}\n```", draw("a.png"))).await;
    assert!(!answer.contains("![") && answer.contains("- [a.png](http://127.0.0.1") && answer.contains(" · 70 B"), "{answer}");
    assert_eq!(ask(&bot, Method::GET, link(&answer, "a.png"), None).await.status(), StatusCode::OK);
    bot.finish().await;
}

#[tokio::test]
async fn what_was_attached_before_a_restart_is_in_the_answer() {
    let mut bot = Bot::start_with(&[PUBLIC]).await;
    let restarted = Arc::new(AtomicBool::new(false));
    let after = Arc::clone(&restarted);
    bot.model.rule(move |request: &RecordedRequest| {
        let acted = request.messages.iter().any(|message| !message.results.is_empty());
        match (request.tools.is_empty(), acted, after.load(Ordering::SeqCst)) {
            (true, _, _) => None,
            (false, false, _) => Some(call("runCode", json!({ "code": draw("kept.png") }))),
            (false, true, false) => Some(hang()),
            (false, true, true) => Some(say("Drawn before.")),
        }
    });
    let issue = bot.issue("Restart").await;
    let comment = bot.says(&issue, "maya", "@threadbox draw").await;
    bot.until_count("select count(*) from attachments", 1).await;
    bot.stop().await;
    restarted.store(true, Ordering::SeqCst);
    bot.run().await;
    bot.ended(&issue, comment).await;
    let answer = bot.our_comments(&issue).last().unwrap().body().to_owned();
    assert!(answer.contains("Drawn before.") && answer.contains("![kept.png]("), "{answer}");
    assert_eq!(ask(&bot, Method::GET, link(&answer, "kept.png"), None).await.status(), StatusCode::OK);
    assert_eq!(bot.count("select count(*) from attachments").await, 1);
    bot.finish().await;
}
