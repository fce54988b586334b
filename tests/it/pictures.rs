//! What people show and attach: models that see are shown pictures, files reach the sandbox, and nothing is fetched from elsewhere.

use serde_json::json;
use threadbox::standin::github::Visibility;
use threadbox::standin::model::{RecordedRequest, call, say};

use crate::support::bot::{Bot, REPOSITORY};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// The pictures in what the model was asked, in whatever form the provider takes them.
fn pictures(request: &RecordedRequest) -> usize {
    let body = request.body.to_string();
    body.matches("data:image/png;base64,").count()
        + body.matches("\"media_type\":\"image/png\"").count()
        + body.matches("\"mime_type\":\"image/png\"").count()
        + body.matches("\"mimeType\":\"image/png\"").count()
}

#[tokio::test]
async fn a_model_that_sees_is_shown_the_pictures_of_the_request_and_of_the_description() {
    for (model, sees) in [
        ("openai/gpt-4.1", true),
        ("anthropic/claude-opus-4-8", true),
        ("google/gemini-3-pro", true),
        ("openai/gpt-3.5-turbo", false),
    ] {
        let bot = Bot::start_with(&[("MODEL", model)]).await;
        let (one, two) =
            (bot.github.upload_picture(PNG, Visibility::Public), bot.github.upload_picture(PNG, Visibility::Private));
        let body = format!("It looks wrong: ![a plot </quoted>]({one})");
        let (issue, _) = bot.github.open_issue(REPOSITORY, "maya", "Looks", &body).await.unwrap();
        bot.model.script([call("listFiles", json!({ "path": "." })), say("Seen.")]);
        bot.asks(&issue, &format!("@threadbox compare with <img width=\"3\" src=\"{two}\">")).await;
        for request in bot.asked() {
            assert_eq!(pictures(&request), if sees { 2 } else { 0 }, "{model}");
            let text = request.body.to_string();
            assert!(
                text.contains("Image 1, from the request of maya") && text.contains("Image 2, from the description"),
                "{text}"
            );
            assert_eq!(text.contains("(an image that was not shown to you)"), !sees, "{model}: {text}");
            assert!(!text.contains("a plot </quoted>"), "{text}");
        }
        // What is stored is a reference.
        let stored = bot.count("select max(length(parts::text))::bigint from messages").await;
        assert!(stored < 4_000, "{stored}");
        assert_eq!(bot.count("select count(*) from pictures").await, 2);
        // A later run knows that there was one, and is not shown it again.
        bot.model.script([say("Still seen.")]);
        bot.asks(&issue, "@threadbox and now?").await;
        let later = pictures(&bot.asked().pop().unwrap());
        assert_eq!(later, usize::from(sees), "{model}: only that of the description");
        bot.finish().await;
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_elsewhere_and_nothing_that_is_no_picture_is_shown() {
    let bot = Bot::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}", listener.local_addr().unwrap());
    let leads = bot.github.upload_that_leads_to(&format!("{elsewhere}/x.png"));
    let metadata = bot.github.upload_that_leads_to("http://169.254.169.254/latest/meta-data/");
    let drawing = bot.github.upload_picture(&b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"[..], Visibility::Public);
    let large = bot.github.upload_picture([PNG, &vec![0; 4 << 20]].concat(), Visibility::Public);
    let own = bot.github.url();
    let body = format!(
        "![a]({elsewhere}/a.png) ![b]({leads}) ![c]({metadata}) ![d]({drawing}) ![e]({large}) ![f](file:///etc/passwd) \
         ![g]({own}/user) ![h]({own}/repos/{REPOSITORY}/contents/x) ![i](http://user:pass@{}/user-attachments/assets/x)",
        own.trim_start_matches("http://")
    );
    let (issue, _) = bot.github.open_issue(REPOSITORY, "eve", "Elsewhere", &body).await.unwrap();
    bot.model.script([say("Nothing to see.")]);
    bot.asks(&issue, "@threadbox look").await;
    let asked = bot.asked().pop().unwrap();
    assert_eq!(pictures(&asked), 0);
    let text = asked.body.to_string();
    assert!(text.contains("nothing is fetched from elsewhere") && text.contains("no PNG, JPEG, GIF or WebP"), "{text}");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was asked");
    // Our credential goes to the API, and to an upload only when it is not public.
    let requests = bot.github.requests();
    let uploads: Vec<_> = requests.iter().filter(|request| request.path.starts_with("/user-attachments/")).collect();
    assert!(!uploads.is_empty() && uploads.iter().all(|request| request.by == "nobody"), "{uploads:?}");
    bot.finish().await;
}

#[tokio::test]
async fn files_reach_the_sandbox_beside_the_workspace() {
    let bot = Bot::start().await;
    let log = bot.github.upload_file("build-log.txt", &b"line one\nline two\n"[..], Visibility::Private);
    let zip = bot.github.upload_file("trace.zip", &b"PK\x03\x04rest"[..], Visibility::Public);
    let body = format!("[the log]({log}) and {zip}");
    let (issue, _) = bot.github.open_issue(REPOSITORY, "maya", "Log", &body).await.unwrap();
    bot.model.script([
        call("runCommand", json!({ "command": "cat /tmp/attachments/build-log.txt; head -c 2 /tmp/attachments/trace.zip" })),
        say("Read."),
    ]);
    let answer = bot.asks(&issue, "@threadbox read the log").await;
    let asked = bot.asked();
    assert!(asked[0].body.to_string().contains("/tmp/attachments/build-log.txt"), "{}", asked[0].body);
    let result = &asked[1].messages.last().unwrap().results[0].text;
    assert!(result.contains("line two") && result.contains("PK"), "{result}");
    // They are no change of the workspace.
    assert!(!answer.contains("diff --git") && !answer.contains("```diff"), "{answer}");
    bot.finish().await;
}
