//! What is forgotten is gone: down to the bytes in the tables, with everything made of it, and it does not come back.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use threadbox::clock::{Clock, ManualClock, SystemClock};
use threadbox::github::parse;
use threadbox::http::signature::sign;
use threadbox::intake::{Accepted, Event, accept_found};
use threadbox::memory::forget::rows::TABLES;
use threadbox::memory::forget::work;
use threadbox::standin::github::{Expects, IssueRef, Options};
use threadbox::standin::model::{Gate, call, gated, say};

use crate::support::bot::{Bot, REPOSITORY, service_environment};
use crate::support::operator::{Api, TOKEN, api, text, threads};
use crate::support::service::Service;

const PENDING: &str = "select count(*) from forgettings where done_at is null";

/// Every table of ours and of the job engine.
async fn tables(bot: &Bot) -> Vec<String> {
    let sql = "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
               where schemaname not in ('pg_catalog', 'information_schema') order by 1";
    sqlx::query_scalar(sql).fetch_all(&bot.database.pool).await.unwrap()
}

/// Where a word stands, in text or in bytes.
pub(crate) async fn found(bot: &Bot, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for table in tables(bot).await {
        let sql = format!("select t::text from {table} t where strpos(t::text, $1) > 0 or strpos(t::text, $2) > 0");
        let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(word).bind(hex).fetch_all(&bot.database.pool).await.unwrap();
        found.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    found
}

pub(crate) async fn assert_gone(bot: &Bot, word: &str) {
    let left = found(bot, word).await;
    assert!(left.is_empty(), "{word} is still in\n{}", left.join("\n"));
}

async fn id(bot: &Bot, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&bot.database.pool).await.unwrap()
}

/// Delivers a webhook as GitHub does.
async fn deliver(bot: &Bot, event: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/webhooks/github", bot.url()))
        .header("x-github-event", event)
        .header("x-github-delivery", uuid::Uuid::now_v7().to_string())
        .header("x-hub-signature-256", sign(&bot.github.webhook_secret(), body.as_bytes()))
        .body(body);
    request.send().await.unwrap().status().as_u16()
}

/// The payload of the last webhook, with another action and without what it was about.
fn last_payload(bot: &Bot) -> Value {
    let body = bot.github.world(|world| world.deliveries().last().unwrap().body.clone());
    serde_json::from_slice(&body).unwrap()
}

/// The issue was deleted.
async fn delete_issue(bot: &Bot, payload: &Value) -> u16 {
    let payload = json!({ "action": "deleted", "issue": payload["issue"], "repository": payload["repository"],
        "installation": payload["installation"], "sender": payload["sender"] });
    deliver(bot, "issues", &payload).await
}

pub(crate) async fn forgotten(bot: &Bot) {
    bot.until_count(PENDING, 0).await;
}

/// A request whose run prints, writes, attaches and answers a word, in everything that is made of a run.
pub(crate) async fn plant(bot: &Bot, issue: &IssueRef, word: &str) -> i64 {
    bot.model.script([
        call("runCommand", json!({ "command": format!("echo printed-{word} | tee {word}.txt") })),
        call("attachFile", json!({ "path": format!("{word}.txt") })),
        say(format!("The answer is {word}.")),
    ]);
    let comment = bot.says(issue, "maya", &format!("@threadbox tell me about {word}")).await;
    bot.ended(issue, comment).await;
    bot.idle().await;
    // What other parts of memory make of it, whether or not they have come to it yet.
    let sql = format!(
        "update threads set title = 'About {word}', titled_by = null;
         insert into memories (id, owner, thread_id, message_id, piece, shared, role, author, text, terms, said_at)
         select gen_random_uuid(), t.owner, t.id, m.id, 900, true, 'user', 'maya', '{word} again', to_tsvector('simple', '{word}'), m.created_at
         from messages m join threads t on t.id = m.thread_id where m.role <> 'tool' and m.parts::text like '%{word}%' on conflict do nothing;
         insert into memory_vectors
         select (jsonb_populate_record(null::memory_vectors, jsonb_build_object('memory_id', id, 'model', 'planted', 'dims', 1, 'owner', owner,
             'thread_id', thread_id, 'shared', true, 'signs', '1', 'vector', convert_to('{word}', 'UTF8')))).* from memories where text like '%{word}%' on conflict do nothing;
         insert into observations (id, thread_id, sequence, said_at, text, cites, created_at)
         select gen_random_uuid(), thread_id, 900 + row_number() over (), created_at, 'Observed {word}', array[id], now()
         from messages where author = 'maya' and parts::text like '%{word}%';
         insert into working_memories (scope, key, lines, updated_at)
         select 'thread', thread_id::text, jsonb_agg(jsonb_build_object('number', 1, 'section', 'Goal', 'text', 'Mind {word}', 'message', id)), now()
         from messages where author = 'maya' and parts::text like '%{word}%' group by thread_id;
         insert into working_memories (scope, key, lines, updated_at)
         select 'owner', t.owner, jsonb_agg(jsonb_build_object('number', 1, 'text', 'Everywhere {word}', 'message', m.id))
             || '[{{\"number\": 2, \"text\": \"stays-in-mind\", \"message\": \"00000000-0000-0000-0000-000000000001\"}}]', now()
         from messages m join threads t on t.id = m.thread_id where m.author = 'maya' and m.parts::text like '%{word}%' group by t.owner
         on conflict (scope, key) do update set lines = excluded.lines;
         insert into pictures (run_id, number, media_type, content, created_at)
         select id, 900, 'image/png', convert_to('{word}', 'UTF8'), now() from runs where request::text like '%{word}%';"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&bot.database.pool).await.unwrap();
    comment
}

#[tokio::test]
async fn every_column_that_can_hold_words_has_a_fate() {
    let bot = Bot::start().await;
    let sql = "select table_name || '.' || column_name from information_schema.columns
               where table_schema = 'public' and table_name not like '\\_sqlx%'
                 and data_type not in ('uuid', 'bigint', 'integer', 'smallint', 'boolean', 'double precision', 'date',
                                       'timestamp with time zone', 'real')
               order by 1";
    let there: Vec<String> = sqlx::query_scalar(sql).fetch_all(&bot.database.pool).await.unwrap();
    let named: Vec<String> = TABLES.iter().map(|(table, column, _)| format!("{table}.{column}")).collect();
    let unnamed: Vec<&String> = there.iter().filter(|column| !named.contains(column)).collect();
    assert!(unnamed.is_empty(), "say in memory/forget/rows what becomes of {unnamed:?}");
    bot.finish().await;
}

#[tokio::test]
async fn a_deleted_comment_leaves_nothing_and_is_not_answered_again() {
    let bot = Bot::start().await;
    let issue = bot.issue("Deleting").await;
    bot.model.script([say("Something else.")]);
    bot.asks(&issue, "@threadbox keepsake").await;
    let comment = plant(&bot, &issue, "CANARYONE").await;
    let asked = bot.github.world(|world| world.deliveries().filter(|delivery| delivery.action == "created").last().unwrap().id);
    assert!(found(&bot, "CANARYONE").await.len() > 10, "it stands in many places");

    assert_eq!(bot.github.delete_comment(comment, "maya").await.unwrap().status, Some(202));
    assert_eq!(
        bot.count(
            "select count(*) from memories where text like '%CANARYONE%' and message_id in
        (select id from messages where author_id is not null)"
        )
        .await,
        0,
        "hidden before it is forgotten"
    );
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYONE").await;

    // What was not asked for stays, and money and times do.
    assert!(!found(&bot, "keepsake").await.is_empty() && !found(&bot, "stays-in-mind").await.is_empty());
    assert_eq!(bot.count("select count(*) from runs where state = 'posted' and outcome->>'outcome' = 'answered'").await, 2);
    assert_eq!(bot.count("select count(*) from ledger where purpose = 'step'").await, 4);
    assert_eq!(bot.github.redeliver(asked).await.unwrap().status, Some(200));
    assert_eq!(bot.github.deliver_again_as_new(asked).await.unwrap().status, Some(200), "the same under another id");
    assert_gone(&bot, "CANARYONE").await;
    assert_eq!(bot.our_comments(&issue).len(), 2, "the answer on GitHub is GitHub's, and there is no second one");

    // The conversation goes on, and knows nothing of it.
    bot.model.script([say("No.")]);
    bot.asks(&issue, "@threadbox do you remember?").await;
    let last = format!("{:?}", bot.asked().pop().unwrap().messages);
    assert!(!last.contains("printed-CANARYONE") && last.contains("keepsake"), "{last}");
    bot.finish().await;
}

#[tokio::test]
async fn what_was_made_of_a_deleted_comment_in_another_conversation_goes_too() {
    let bot = Bot::start().await;
    let (first, second) = (bot.issue("Said here").await, bot.issue("Recalled there").await);
    bot.model.script([say("Noted.")]);
    let comment = bot.says(&first, "maya", "@threadbox CANARYTWO is the word").await;
    bot.ended(&first, comment).await;
    bot.model.script([say("In the other issue it was CANARYTWO.")]);
    bot.asks(&second, "@threadbox what was the word of yesterday?").await;
    bot.idle().await;
    // As a run is recorded that was shown something from memory.
    bot.sql(
        "insert into run_events (run_id, sequence, kind, data, at)
         select (select id from runs order by id desc limit 1), 900, 'remembered',
             jsonb_build_object('kind', 'remembered', 'cites', jsonb_build_array(jsonb_build_object('message', m.id, 'url', '', 'author', '', 'at', now()))), now()
         from messages m where m.parts::text like '%CANARYTWO is%'",
    )
    .await;
    bot.github.delete_comment(comment, "maya").await.unwrap();
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYTWO").await;
    assert!(!found(&bot, "word of yesterday").await.is_empty(), "the question is somebody's own");
    bot.finish().await;
}

#[tokio::test]
async fn a_deletion_before_what_it_deletes_stores_nothing() {
    let bot = Bot::start().await;
    let issue = bot.issue("Order").await;
    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox CANARYTHREE").unwrap();
    bot.github.delete_comment(comment, "maya").await.unwrap();
    forgotten(&bot).await;
    bot.github.redeliver(delivery.id).await.unwrap();
    assert_gone(&bot, "CANARYTHREE").await;
    assert_eq!(bot.count("select count(*) from inbox").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn a_comment_that_is_deleted_while_its_run_works_stops_it_and_is_forgotten_at_its_end() {
    let bot = Bot::start().await;
    let issue = bot.issue("At work").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("About CANARYFOUR."))]);
    let comment = bot.says(&issue, "maya", "@threadbox think about CANARYFOUR").await;
    bot.model.arrived(1).await;
    bot.github.delete_comment(comment, "maya").await.unwrap();
    bot.until_count("select count(*) from runs where stop_requested_by is not null", 1).await;
    gate.open();
    bot.idle().await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYFOUR").await;
    bot.finish().await;
}

#[tokio::test]
async fn the_earlier_words_of_an_edited_comment_are_not_found_any_more() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.run().await;
    let issue = bot.issue("Editing").await;
    bot.model.script([say("All right.")]);
    let comment = bot.says(&issue, "maya", "@threadbox the password is CANARYFIVE").await;
    bot.ended(&issue, comment).await;
    bot.idle().await;
    let sent = bot.github.edit_comment(comment, "maya", "@threadbox the password is elsewhere").await.unwrap();
    assert_eq!(sent.status, Some(202));
    // It is looked at again a minute later, for whoever read the earlier words meanwhile.
    bot.until_count("select count(*) from forgettings where next_try_at > asked_at", 1).await;
    assert_gone(&bot, "CANARYFIVE").await;
    assert!(!found(&bot, "password is elsewhere").await.is_empty());
    assert_eq!(bot.count("select count(*) from runs where outcome->>'outcome' = 'answered'").await, 1);
    bot.stop().await;
    bot.later(TimeDelta::minutes(2));
    bot.run().await;
    forgotten(&bot).await;
    assert!(!found(&bot, "password is elsewhere").await.is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn a_deleted_issue_goes_with_everything() {
    let bot = Bot::start().await;
    let (gone, stays) = (bot.issue("Title of CANARYSIX").await, bot.issue("Another").await);
    plant(&bot, &gone, "CANARYSIX").await;
    let payload = last_payload(&bot);
    bot.model.script([say("Fine.")]);
    bot.asks(&stays, "@threadbox keepsake").await;
    assert_eq!(delete_issue(&bot, &payload).await, 202);
    forgotten(&bot).await;
    bot.until_count("select count(*) from sandboxes where base is not null or checkpoint is not null or checkout is not null", 0)
        .await;
    assert_gone(&bot, "CANARYSIX").await;
    assert!(!found(&bot, "keepsake").await.is_empty());
    assert_eq!(delete_issue(&bot, &payload).await, 202, "said twice, done once");
    forgotten(&bot).await;
    // What arrives late for it is not stored.
    let (late, delivery) = bot.github.prepare_comment(&gone, "maya", "@threadbox CANARYSIX is late").unwrap();
    assert!(late > 0);
    bot.github.redeliver(delivery.id).await.unwrap();
    assert_gone(&bot, "CANARYSIX").await;
    bot.finish().await;
}

#[tokio::test]
async fn uninstalling_forgets_every_conversation_of_the_account() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::App, ..Options::default() }).await;
    bot.run().await;
    for (title, word) in [("One CANARYSEVEN", "CANARYSEVEN"), ("Two CANARYEIGHT", "CANARYEIGHT")] {
        let issue = bot.issue(title).await;
        plant(&bot, &issue, word).await;
        bot.sql("delete from working_memories where scope = 'thread'; delete from observations").await;
    }
    assert!(!found(&bot, "acme/rocket").await.is_empty());
    assert_eq!(bot.github.uninstall("acme").await.unwrap().status, Some(202));
    bot.until_count("select count(*) from forgettings where what = 'owner'", 1).await;
    forgotten(&bot).await;
    for word in ["CANARYSEVEN", "CANARYEIGHT", "stays-in-mind", REPOSITORY] {
        assert_gone(&bot, word).await;
    }
    bot.finish().await;
}

#[tokio::test]
async fn suspending_keeps_and_taking_a_repository_away_does_not() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::App, ..Options::default() }).await;
    bot.run().await;
    let issue = bot.issue("Suspended").await;
    plant(&bot, &issue, "CANARYNINE").await;
    let payload = last_payload(&bot);
    bot.github.suspend("acme").await.unwrap();
    bot.until_count("select count(*) from installations where gone", 1).await;
    assert_eq!(bot.count("select count(*) from forgettings").await, 0);
    assert!(!found(&bot, "CANARYNINE").await.is_empty());
    let removed = json!({ "action": "removed", "installation": payload["installation"], "repositories_added": [],
        "repositories_removed": [{ "id": payload["repository"]["id"], "full_name": REPOSITORY }], "sender": payload["sender"] });
    assert_eq!(deliver(&bot, "installation_repositories", &removed).await, 202);
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYNINE").await;
    bot.finish().await;
}

#[tokio::test]
async fn a_deleted_repository_is_forgotten() {
    let bot = Bot::start().await;
    let issue = bot.issue("Repository").await;
    plant(&bot, &issue, "CANARYTEN").await;
    let payload = last_payload(&bot);
    let deleted = json!({ "action": "deleted", "repository": payload["repository"], "sender": payload["sender"] });
    assert_eq!(deliver(&bot, "repository", &deleted).await, 202);
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYTEN").await;
    bot.finish().await;
}

#[tokio::test]
async fn a_forgotten_person_leaves_no_words_and_no_name() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let issue = bot.github.open_issue(REPOSITORY, "maya", "Maya's CANARYTITLE", "Maya's CANARYBODY.").await.unwrap().0;
    plant(&bot, &issue, "CANARYTALE").await;
    bot.model.script([say("As maya said, it works."), say("Hello Ada.")]);
    let other = bot.says(&issue, "ada", "@threadbox what works?").await;
    bot.ended(&issue, other).await;
    let third = bot.says(&issue, "ada", "@threadbox say hello").await;
    bot.ended(&issue, third).await;
    bot.idle().await;
    let url = api(&bot);
    let exported = url.text("GET", "people/github/maya/export").await;
    assert_eq!(exported.0, 200);
    assert!(exported.1.contains("CANARYTALE") && exported.1.contains("CANARYBODY") && exported.1.contains("CANARYTITLE"));
    assert!(!exported.1.contains("what works") && !exported.1.contains("Hello Ada"), "{}", exported.1);
    assert_eq!(url.json("DELETE", "people/github/Maya").await.0, 202);
    forgotten(&bot).await;
    for word in ["CANARYTALE", "CANARYTITLE", "CANARYBODY", "As maya said", "maya"] {
        assert_gone(&bot, word).await;
    }
    assert!(!found(&bot, "what works").await.is_empty() && !found(&bot, "Hello Ada").await.is_empty(), "Ada's stays");
    let again = url.text("GET", "people/github/maya/export").await;
    assert!(!again.1.contains("message"), "{}", again.1);
    bot.finish().await;
}

#[tokio::test]
async fn what_is_older_than_memory_is_kept_goes_by_itself() {
    let mut bot =
        Bot::prepare(&[("THREADBOX_MEMORY_DAYS", "10")], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.run().await;
    let issue = bot.issue("Aging CANARYOLD").await;
    plant(&bot, &issue, "CANARYOLD").await;
    bot.stop().await;
    bot.later(TimeDelta::days(9));
    bot.run().await;
    let young = bot.issue("Young").await;
    bot.model.script([say("Yes.")]);
    bot.asks(&young, "@threadbox keepsake").await;
    assert!(!found(&bot, "CANARYOLD").await.is_empty(), "it is not old enough");
    bot.stop().await;
    bot.later(TimeDelta::days(12));
    bot.run().await;
    bot.until_count("select count(*) from messages where forgotten_at is null and parts::text like '%CANARYOLD%'", 0).await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYOLD").await;
    assert!(!found(&bot, "keepsake").await.is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn whoever_indexes_what_is_being_forgotten_puts_nothing_back() {
    let bot = Bot::start().await;
    let issue = bot.issue("Racing").await;
    bot.model.script([say("Done.")]);
    let comment = bot.says(&issue, "maya", "@threadbox CANARYRACE").await;
    bot.ended(&issue, comment).await;
    bot.github.delete_comment(comment, "maya").await.unwrap();
    forgotten(&bot).await;
    bot.sql(
        "insert into memories (id, owner, thread_id, message_id, piece, shared, role, text, terms, said_at)
         select gen_random_uuid(), 'github:1', thread_id, id, 901, true, 'user', 'CANARYRACE', ''::tsvector, now() from messages",
    )
    .await;
    assert_gone(&bot, "CANARYRACE").await;
    bot.finish().await;
}

#[tokio::test]
async fn the_api_shows_exports_and_forgets() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let issue = bot.issue("By the API").await;
    plant(&bot, &issue, "CANARYAPI").await;
    let api = api(&bot);
    let (status, listed) = api.json("GET", "threads?limit=1000000&owner=Acme%2Frocket").await;
    assert_eq!((status, listed["threads"].as_array().unwrap().len(), &listed["next"]), (200, 1, &Value::Null));
    assert_eq!(listed["threads"][0]["places"], json!([format!("{REPOSITORY}#{}", issue.number)]));
    let thread = listed["threads"][0]["id"].as_str().unwrap();
    let (status, shown) = api.json("GET", &format!("threads/{thread}")).await;
    assert_eq!(status, 200);
    assert!(shown["conversation"][0]["text"].as_str().unwrap().contains("CANARYAPI"), "{shown}");
    assert_eq!(shown["working_memory"][0]["text"], "Mind CANARYAPI");
    assert_eq!(shown["observations"][0]["text"], "Observed CANARYAPI");

    let (status, exported) = api.text("GET", &format!("threads/{thread}/export")).await;
    assert_eq!(status, 200);
    let records: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((count("thread"), count("run"), count("observation"), count("working_memory")), (1, 1, 1, 1));
    assert_eq!(count("message") as i64, bot.count("select count(*) from messages").await);
    assert_eq!(count("event") as i64, bot.count("select count(*) from run_events").await);
    let run = records.iter().find(|record| record["kind"] == "run").unwrap();
    assert_eq!(run["attachments"][0]["name"], "CANARYAPI.txt");
    assert_eq!(run["ledger"].as_array().unwrap().iter().filter(|line| line["purpose"] == "step").count(), 3);
    // The owner's is the same with what is kept in mind for all of it.
    let (_, owners) = api.text("GET", "owners/acme%2Frocket/export").await;
    assert_eq!(owners.lines().count(), records.len() + 2);
    assert_eq!(api.json("GET", "owners/acme%2Frocket").await.1["kept"]["runs"], 1);

    assert_eq!(api.json("DELETE", &format!("threads/{thread}")).await.0, 202);
    forgotten(&bot).await;
    bot.sql("delete from working_memories where scope = 'owner'").await;
    assert_gone(&bot, "CANARYAPI").await;
    assert_eq!(api.json("DELETE", &format!("threads/{thread}")).await.0, 202, "again");
    assert_eq!(api.json("GET", &format!("threads/{thread}")).await.1["conversation"], json!([]));
    for (path, wanted) in [
        ("threads/x", 404),
        ("threads?limit=0", 400),
        ("threads?after=x", 400),
        ("owners/acme%2Fnothing", 404),
        ("people/mars/maya", 404),
        ("nothing", 404),
        ("threads?owner=nobody", 404),
    ] {
        let (status, answer) = api.json("GET", path).await;
        assert_eq!(status, wanted, "{path}");
        assert!(answer["error"].is_string());
    }
    assert_eq!(api.json("PUT", "threads").await.0, 405);
    forgotten(&bot).await;
    bot.finish().await;
}

#[tokio::test]
async fn lists_are_paged() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    bot.sql(
        "insert into threads (id, owner, created_at, updated_at)
         select gen_random_uuid(), 'github:1', now(), now() - (n / 100) * interval '1 second' from generate_series(1, 450) n",
    )
    .await;
    let api = api(&bot);
    let (mut seen, mut next) = (std::collections::BTreeSet::new(), String::new());
    for wanted in [200, 200, 50] {
        let (_, page) = api.json("GET", &format!("threads?limit=99999{next}")).await;
        let ids: Vec<String> = page["threads"].as_array().unwrap().iter().map(|thread| thread["id"].to_string()).collect();
        assert_eq!(ids.len(), wanted);
        seen.extend(ids);
        next = format!("&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!((seen.len(), next.as_str()), (450, "&after="));
    bot.finish().await;
}

#[tokio::test]
async fn without_the_admin_token_nothing_is_told() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let right = api(&bot);
    let wrong = Api { token: Some(format!("{TOKEN}x")), ..api(&bot) };
    let none = Api { token: None, ..api(&bot) };
    let response = none.send("GET", "threads").await;
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    assert!(response.headers().get("set-cookie").is_none());
    assert!(response.json::<Value>().await.unwrap()["error"].is_string());
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(wrong.send("DELETE", "people/github/maya").await.status().as_u16());
    }
    assert_eq!(statuses[0], 401);
    let last = wrong.send("GET", "nothing").await;
    assert_eq!((last.status().as_u16(), last.headers()["retry-after"].to_str().unwrap()), (429, "60"), "a storm is turned away");
    assert_eq!(right.send("GET", "threads").await.status(), 200, "nobody locks the operator out");
    assert_eq!(bot.count("select count(*) from forgettings").await, 0);
    let described = right.client.get(format!("{}/api/openapi.json", bot.url())).send().await.unwrap();
    assert_eq!(described.status(), 200);
    assert_eq!(described.json::<Value>().await.unwrap()["openapi"], "3.1.0");
    bot.finish().await;
}

#[tokio::test]
async fn the_admin_token_is_made_and_printed_at_the_first_start_alone() {
    let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    let data = crate::support::database::passable_dir("threadbox-it-");
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    let (service, said) = Service::start_and_listen(&environment).await;
    let token = said.iter().find_map(|line| line.split_once("shown only now: ")).unwrap().1.to_owned();
    assert!(token.len() >= 32);
    let api = Api {
        base: format!("{}/api/v1/", service.url),
        token: Some(token.clone()),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    assert_eq!(api.send("GET", "threads").await.status(), 200);
    assert_gone(&bot, &token).await;
    service.kill().await;
    let (service, said) = Service::start_and_listen(&environment).await;
    assert!(!said.iter().any(|line| line.contains("admin token")), "{said:?}");
    let api = Api { base: format!("{}/api/v1/", service.url), ..api };
    assert_eq!(api.send("GET", "threads").await.status(), 200);
    service.kill().await;
    bot.finish().await;
}

#[tokio::test]
async fn the_command_line_lists_shows_exports_and_forgets() {
    let bot = Bot::start().await;
    let issue = bot.issue("On the command line").await;
    plant(&bot, &issue, "CANARYCLI").await;
    let thread = id(&bot, "select id::text from threads").await;

    let listed = threads(&bot, &["list", "--owner", REPOSITORY]).await;
    assert!(text(&listed.stdout).contains(&thread) && text(&listed.stdout).contains("About CANARYCLI"), "{listed:?}");
    let listed: Value = serde_json::from_slice(&threads(&bot, &["list", "--json"]).await.stdout).unwrap();
    assert_eq!(listed[0]["id"], Value::String(thread.clone()));
    let shown = text(&threads(&bot, &["show", &thread]).await.stdout);
    assert!(
        shown.contains("tell me about CANARYCLI") && shown.contains("[m:") && shown.contains("Observed CANARYCLI"),
        "{shown}"
    );
    let file = bot.settings.data_dir.join("export.jsonl");
    let path = file.display().to_string();
    let exported = threads(&bot, &["export", &thread, "--output", &path]).await;
    assert!(exported.status.success(), "{exported:?}");
    let lines = std::fs::read_to_string(&file).unwrap();
    assert!(lines.lines().count() as i64 > bot.count("select count(*) from messages").await);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].is_string()));
    let twice = threads(&bot, &["export", &thread, "--output", &path]).await;
    assert_eq!((twice.status.code(), text(&twice.stderr).contains("  → ")), (Some(1), true), "nothing is overwritten");
    let person = text(&threads(&bot, &["export", "--person", "github:maya"]).await.stdout);
    assert!(person.contains("tell me about CANARYCLI") && !person.contains("The answer is"), "{person}");

    let asked = threads(&bot, &["forget", &thread]).await;
    assert_eq!(asked.status.code(), Some(2));
    assert!(text(&asked.stdout).contains("This would go:") && text(&asked.stderr).contains("--yes"), "{asked:?}");
    assert!(!found(&bot, "CANARYCLI").await.is_empty());
    let done = threads(&bot, &["forget", &thread, "--yes"]).await;
    assert!(done.status.success() && text(&done.stdout).contains("Forgotten: "), "{done:?}");
    forgotten(&bot).await;
    let person: Value =
        serde_json::from_slice(&threads(&bot, &["forget", "--person", "github:@maya", "--yes", "--json"]).await.stdout).unwrap();
    assert_eq!(person["done"], true);
    let owner = threads(&bot, &["forget", "--owner", REPOSITORY, "--yes"]).await;
    assert!(owner.status.success(), "{owner:?}");
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYCLI").await;
    for wrong in [
        vec!["show", "x"],
        vec!["export"],
        vec!["forget", &thread, "--owner", "a"],
        vec!["export", "--person", "maya"],
        vec!["list", "--limit", "0"],
    ] {
        assert_eq!(threads(&bot, &wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(threads(&bot, &["show", "00000000-0000-0000-0000-000000000000"]).await.status.code(), Some(1));
    bot.finish().await;
}

/// What is looked at again a minute after an edit.
const LOOKED_AT: &str = "select count(*) from forgettings where what = 'edited' and next_try_at > asked_at";

#[tokio::test]
async fn a_comment_that_arrives_while_its_edit_is_worked_on_is_asked_for_all_the_same() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.run().await;
    let issue = bot.issue("Overtaken").await;
    let (comment, delivery) = bot.github.prepare_comment(&issue, "maya", "@threadbox first words").unwrap();
    let edit = bot.github.edit_comment(comment, "maya", "@threadbox second words").await.unwrap();
    assert_eq!(edit.status, Some(202));
    bot.until_count(LOOKED_AT, 1).await;
    bot.stop().await;

    // The comment arrives, but is not seen yet.
    let body = bot.github.world(|world| world.deliveries().find(|known| known.id == delivery.id).unwrap().body.clone());
    let mut inbound = parse("issue_comment", "late", &body, "threadbox").unwrap();
    let object = inbound.delivery.object.take().unwrap().object;
    let Event::Request(request) = inbound.event else { panic!("{:?}", inbound.event) };
    let now = SystemClock.now();
    let accepted = accept_found(&bot.database.pool, &inbound.delivery, &request, now).await.unwrap();
    assert!(matches!(accepted, Accepted::Stored { .. }), "{accepted:?}");
    // Forgetting looks whether it may change the words, and then has to wait before it does.
    let mut tx = bot.database.pool.begin().await.unwrap();
    sqlx::query("lock table messages in exclusive mode").execute(&mut *tx).await.unwrap();
    let pool = bot.database.pool.clone();
    let step = tokio::spawn(async move { work::step(&pool, now + TimeDelta::minutes(2)).await });
    bot.until_count("select count(*) from pg_locks where not granted", 1).await;
    // It is seen in between.
    sqlx::query("update inbox set object = $1").bind(&object).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(step.await.unwrap().unwrap());

    bot.model.script([say("Answered.")]);
    bot.run().await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    bot.idle().await;
    let asked = bot.asked().pop().unwrap().last_user_text().to_owned();
    assert!(asked.contains("first words"), "{asked}");
    bot.finish().await;
}

#[tokio::test]
async fn words_that_are_gone_before_they_are_read_are_asked_for_again() {
    let bot = Bot::start().await;
    let issue = bot.issue("Gone").await;
    bot.sql(
        "create function emptied() returns trigger language plpgsql as
             $$ begin new.request := new.request || '{\"text\": \"\"}'; return new; end $$;
         create trigger emptied before insert on inbox for each row execute function emptied()",
    )
    .await;
    bot.says(&issue, "maya", "@threadbox do it").await;
    let notice = bot.our_comment_number(&issue, 1).await;
    assert!(notice.body().contains("changed before I could read it"), "{}", notice.body());
    assert_eq!(bot.count("select count(*) from runs").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn an_edit_changes_the_run_of_its_own_comment_and_no_other_of_the_same_second() {
    let clock = ManualClock::at(SystemClock.now());
    let options = Options { expects: Expects::Token, clock: Arc::new(clock), ..Options::default() };
    let mut bot = Bot::prepare(&[], options).await;
    bot.run().await;
    let issue = bot.issue("At once").await;
    bot.model.script([say("One."), say("Two."), say("Two again.")]);
    let first = bot.says(&issue, "maya", "@threadbox queue the first CANARYTWIN").await;
    let second = bot.says(&issue, "ada", "@threadbox queue the second").await;
    bot.ended(&issue, first).await;
    bot.ended(&issue, second).await;
    bot.idle().await;
    bot.github.edit_comment(first, "maya", "@threadbox queue the third").await.unwrap();
    bot.until_count(LOOKED_AT, 1).await;
    assert_gone(&bot, "CANARYTWIN").await;
    let said: Vec<String> =
        sqlx::query_scalar("select request->>'text' from runs order by id").fetch_all(&bot.database.pool).await.unwrap();
    assert_eq!(said, ["@threadbox queue the third", "@threadbox queue the second"]);
    let retry = bot.says(&issue, "maya", "@threadbox retry").await;
    bot.ended(&issue, retry).await;
    let again: String = sqlx::query_scalar("select task->>'text' from runs order by id desc limit 1")
        .fetch_one(&bot.database.pool)
        .await
        .unwrap();
    assert_eq!(again, "the second");
    bot.finish().await;
}

#[tokio::test]
async fn code_that_was_edited_away_is_not_run_again() {
    let bot = Bot::start().await;
    let issue = bot.issue("Code").await;
    let comment = bot.says(&issue, "maya", "@threadbox run\n\n```sh\necho CANARYCODE\n```\n").await;
    bot.ended(&issue, comment).await;
    bot.idle().await;
    bot.github.edit_comment(comment, "maya", "@threadbox run\n\n```sh\necho harmless\n```\n").await.unwrap();
    bot.until_count(LOOKED_AT, 1).await;
    assert_eq!(bot.count("select count(*) from runs where task::text || request::text like '%CANARYCODE%'").await, 0);
    let retry = bot.says(&issue, "maya", "@threadbox retry").await;
    bot.ended(&issue, retry).await;
    assert!(bot.our_comments(&issue)[1].body().contains("harmless"), "{}", bot.our_comments(&issue)[1].body());
    bot.idle().await;

    bot.github.edit_comment(comment, "maya", "@threadbox never mind").await.unwrap();
    bot.until_count("select count(*) from runs where request->>'text' = '@threadbox never mind'", 2).await;
    bot.says(&issue, "maya", "@threadbox retry").await;
    let notice = bot.our_comment_number(&issue, 3).await;
    assert!(notice.body().contains("no earlier request"), "{}", notice.body());
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn a_late_word_that_a_repository_was_taken_away_leaves_what_was_said_since() {
    let mut bot = Bot::prepare(&[], Options { expects: Expects::App, ..Options::default() }).await;
    bot.run().await;
    let issue = bot.issue("Given back").await;
    bot.model.script([say("Yes.")]);
    bot.asks(&issue, "@threadbox CANARYBACK").await;
    bot.idle().await;
    let mut payload = last_payload(&bot);
    payload["installation"]["updated_at"] = json!((SystemClock.now() - TimeDelta::hours(1)).to_rfc3339());
    let removed = json!({ "action": "removed", "installation": payload["installation"], "repositories_added": [],
        "repositories_removed": [{ "id": payload["repository"]["id"], "full_name": REPOSITORY }], "sender": payload["sender"] });
    assert_eq!(deliver(&bot, "installation_repositories", &removed).await, 202);
    forgotten(&bot).await;
    assert_eq!(bot.count("select count(*) from messages where parts::text like '%CANARYBACK%'").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn who_waits_when_an_issue_is_moved_is_left_to_the_gate() {
    let bot = Bot::start().await;
    let issue = bot.issue("Moving").await;
    bot.sql(
        "create function later() returns trigger language plpgsql as
             $$ begin new.next_try_at := now() + interval '1 hour'; return new; end $$;
         create trigger later before insert on inbox for each row execute function later()",
    )
    .await;
    let comment = bot.says(&issue, "maya", "@threadbox am I heard?").await;
    let payload = last_payload(&bot);
    let moved = json!({ "action": "transferred", "issue": payload["issue"], "repository": payload["repository"],
        "sender": payload["sender"], "changes": { "new_issue": { "number": 9 }, "new_repository": { "id": 99, "full_name": "acme/moon" } } });
    assert_eq!(deliver(&bot, "issues", &moved).await, 202);
    assert_eq!(bot.count("select count(*) from inbox where state = 'new'").await, 1);
    bot.model.script([say("You are.")]);
    bot.sql("drop trigger later on inbox").await;
    bot.hurry().await;
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    bot.finish().await;
}
