//! Words in a conversation beside requests: questions back, status, links, places in line.

use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::github::{IssueRef, UserKind, Visibility};
use threadbox::standin::model::{hang, say, say_and_call};

use crate::support::bot::{Bot, LIMIT};

async fn until_body(bot: &Bot, comment: i64, wanted: &str) {
    let look = |world: &threadbox::standin::github::World| world.comment(comment)?.body().contains(wanted).then_some(());
    bot.github.wait_for(&format!("a comment that says {wanted}"), LIMIT, look).await.unwrap();
}

/// Where an issue is in a browser.
fn address(bot: &Bot, issue: &IssueRef) -> String {
    format!("{}/{}/issues/{}", bot.github.url(), issue.repository, issue.number)
}

#[tokio::test]
async fn a_question_ends_the_run_and_the_answer_goes_on() {
    let bot = Bot::start().await;
    let issue = bot.issue("Which").await;
    let question = json!({ "question": "Which database?", "options": ["Postgres", "SQLite"] });
    bot.model.script([say_and_call("I found two.", "askPerson", question)]);
    let asked = bot.says(&issue, "maya", "@threadbox migrate it").await;
    assert_eq!(bot.ended(&issue, asked).await, "confused");
    let shown = bot.our_comments(&issue)[0].body().to_owned();
    for wanted in ["I need an answer", "Which database?", "1. Postgres", "2. SQLite", "I found two."] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    bot.model.script([say("Migrated to Postgres.")]);
    let answer = bot.asks(&issue, "@threadbox Postgres").await;
    assert!(answer.contains("Migrated to Postgres."), "{answer}");
    let request = bot.asked().pop().unwrap();
    assert!(request.body.to_string().contains("Which database?"), "the question is in its history");
    bot.finish().await;
}

#[tokio::test]
async fn who_answers_before_the_question_is_posted_keeps_the_run_going() {
    let bot = Bot::start().await;
    let issue = bot.issue("Quick").await;
    let gate = threadbox::standin::model::Gate::closed();
    let question = json!({ "question": "Which database?" });
    bot.model
        .script([threadbox::standin::model::gated(&gate, say_and_call("", "askPerson", question)), say("Migrated to SQLite.")]);
    let asked = bot.says(&issue, "maya", "@threadbox migrate it").await;
    bot.model.arrived(1).await;
    bot.says(&issue, "maya", "@threadbox to SQLite, by the way").await;
    bot.until_count("select sum(arrivals)::bigint from runs", 1).await;
    gate.open();
    assert_eq!(bot.ended(&issue, asked).await, "rocket");
    assert!(bot.our_comments(&issue)[0].body().contains("Migrated to SQLite."));
    bot.finish().await;
}

#[tokio::test]
async fn a_stopped_run_that_waits_says_so_at_once() {
    let bot = Bot::start_with(&[("MAX_CONCURRENT_RUNS", "1")]).await;
    let (busy, issue) = (bot.issue("Busy").await, bot.issue("Waiting").await);
    bot.model.script([hang()]);
    let long = bot.says(&busy, "maya", "@threadbox take long").await;
    bot.model.arrived(1).await;
    let waiting = bot.says(&issue, "maya", "@threadbox me too").await;
    bot.our_comment_number(&issue, 1).await;
    bot.says(&issue, "maya", "@threadbox stop").await;
    assert_eq!(bot.ended(&issue, waiting).await, "confused");
    assert!(bot.our_comments(&issue)[0].body().contains("Stopped by maya"));
    assert_eq!(bot.count("select count(*) from runs where state = 'running'").await, 1, "the other one works on");
    bot.says(&busy, "maya", "@threadbox stop").await;
    bot.ended(&busy, long).await;
    bot.finish().await;
}

#[tokio::test]
async fn the_place_in_line_is_kept_up_to_date() {
    let bot = Bot::start_with(&[("MAX_CONCURRENT_RUNS", "1")]).await;
    let (busy, second, third) = (bot.issue("Busy").await, bot.issue("Second").await, bot.issue("Third").await);
    bot.model.script([hang()]);
    let long = bot.says(&busy, "maya", "@threadbox take long").await;
    bot.model.arrived(1).await;
    let two = bot.says(&second, "maya", "@threadbox two").await;
    bot.our_comment_number(&second, 1).await;
    let three = bot.says(&third, "maya", "@threadbox three").await;
    let comment = bot.our_comment_number(&third, 1).await.id;
    until_body(&bot, comment, "number 2 in line").await;
    bot.until_count("select count(*) from runs where shown_position is not null", 2).await;
    bot.says(&second, "maya", "@threadbox stop").await;
    bot.ended(&second, two).await;
    bot.hurry().await;
    until_body(&bot, comment, "next in line").await;
    bot.model.script([say("Three.")]);
    bot.says(&busy, "maya", "@threadbox stop").await;
    bot.ended(&busy, long).await;
    assert_eq!(bot.ended(&third, three).await, "rocket");
    bot.finish().await;
}

#[tokio::test]
async fn status_says_what_waits_and_what_it_costs() {
    let bot = Bot::start().await;
    let issue = bot.issue("Status").await;
    bot.model.script([say("1. Do it.")]);
    bot.asks(&issue, "@threadbox plan it").await;
    bot.until_count("select count(*) from approvals where shown is not null", 1).await;
    bot.says(&issue, "maya", "@threadbox status").await;
    let status = bot.our_comment_number(&issue, 2).await.body().to_owned();
    for wanted in ["Nothing is running here.", "This waits for a yes", "the plan (", "openai/gpt-4.1", "of $50.00 spent today"] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    bot.finish().await;
}

#[tokio::test]
async fn help_names_what_works_here() {
    let bot = Bot::start().await;
    let issue = bot.issue("Help").await;
    let pull = bot.github.open_pull_request(crate::support::bot::REPOSITORY, "maya", "Change", "A change.").unwrap();
    bot.says(&issue, "maya", "@threadbox help").await;
    bot.says(&pull, "maya", "@threadbox help").await;
    let (on_issue, on_pull) = (bot.our_comment_number(&issue, 1).await, bot.our_comment_number(&pull, 1).await);
    assert!(!on_issue.body().contains("| `review` |") && on_pull.body().contains("| `review` |"));
    for word in ["`plan …`", "`approve`", "`link", "`branch"] {
        assert!(on_issue.body().contains(word), "{word}: {}", on_issue.body());
    }
    bot.finish().await;
}

#[tokio::test]
async fn two_issues_become_one_conversation() {
    let bot = Bot::start().await;
    let (first, second) = (bot.issue("First").await, bot.issue("Second").await);
    bot.model.script([say("The word is tangerine."), say("It was tangerine.")]);
    bot.asks(&first, "@threadbox keep the word tangerine in mind").await;
    let address = address(&bot, &second);
    bot.says(&first, "maya", &format!("@threadbox link {address}")).await;
    let told = bot.our_comment_number(&first, 2).await;
    assert!(told.body().contains("are one now"), "{}", told.body());
    let answer = bot.asks(&second, "@threadbox which word was it?").await;
    assert!(answer.contains("It was tangerine."), "{answer}");
    assert!(bot.asked()[1].body.to_string().contains("The word is tangerine."));
    assert_eq!(bot.count("select count(*) from threads t where exists (select 1 from runs r where r.thread_id = t.id)").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn what_must_not_be_joined_is_refused_with_the_reason() {
    let bot = Bot::start().await;
    let issue = bot.issue("Here").await;
    bot.github.add_user("zoe", UserKind::User);
    for (name, visibility) in [("acme/secret", Visibility::Private), ("other/open", Visibility::Public)] {
        bot.github.add_repository(name, visibility);
        bot.github.set_permission(name, "zoe", Permission::Admin).unwrap();
    }
    bot.github.set_permission("acme/secret", "maya", Permission::Write).unwrap();
    let secret = bot.github.open_issue("acme/secret", "zoe", "Secret", "").await.unwrap().0;
    let open = bot.github.open_issue("other/open", "zoe", "Open", "").await.unwrap().0;
    let busy = bot.issue("Busy").await;
    bot.model.script([say("Busy.")]);
    bot.asks(&busy, "@threadbox say busy").await;
    let cases = [
        (address(&bot, &secret), "private"),
        (address(&bot, &open), "in another repository"),
        (address(&bot, &issue), "That is this conversation"),
        (address(&bot, &busy), "a conversation with me of its own"),
        ("https://discord.com/channels/1/2".to_owned(), "not connected"),
        ("https://example.com/a/b/issues/1".to_owned(), "not the address"),
    ];
    for (number, (address, why)) in cases.into_iter().enumerate() {
        bot.says(&issue, "maya", &format!("@threadbox link {address}")).await;
        let told = bot.our_comment_number(&issue, number + 1).await;
        assert!(told.body().contains("Nothing was linked.") && told.body().contains(why), "{address}: {}", told.body());
    }
    bot.finish().await;
}
