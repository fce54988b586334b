//! What is kept can be looked at: conversations and what was said in them, by date, by who and around a message, and what memory finds.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use threadbox::standin::model::{call, say};

use crate::support::bot::{Bot, REPOSITORY};
use crate::support::operator::{Api, TOKEN, api, text, threads};

async fn sql(bot: &Bot, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&bot.database.pool).await.unwrap();
}

/// A conversation of three requests in March, April and May, by two people, with a tool call in the second.
async fn spring(bot: &Bot) -> String {
    let issue = bot.issue("Retries").await;
    for (month, who, asked, answered) in [
        ("03", "maya", "the retry budget is three", "Three it is."),
        ("04", "ada", "the retry budget should be four, I think", "Four would do, too."),
        ("05", "maya", "the retry budget is five from now on", "Five it is."),
    ] {
        let looks = month == "04";
        if looks {
            bot.model.script([call("recall", json!({ "query": "retry budget" })), say(answered)]);
        } else {
            bot.model.script([say(answered)]);
        }
        let comment = bot.says(&issue, who, &format!("@threadbox {asked}")).await;
        bot.ended(&issue, comment).await;
        bot.idle().await;
        bot.until_count("select count(*) from messages where not indexed and place_in_run is not null", 0).await;
        let then = format!("'2026-{month}-15 12:00:00+00'");
        sql(
            bot,
            format!(
                "update messages set created_at = {then} where created_at > '2026-06-01';
                 update memories set said_at = {then} where said_at > '2026-06-01'"
            ),
        )
        .await;
    }
    sqlx::query_scalar("select id::text from threads").fetch_one(&bot.database.pool).await.unwrap()
}

fn texts(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|said| said["text"].as_str().unwrap()).collect()
}

async fn said(api: &Api, thread: &str, query: &str) -> Value {
    let (status, page) = api.json("GET", &format!("threads/{thread}/messages?{query}")).await;
    assert_eq!(status, 200, "{page}");
    page
}

#[tokio::test]
async fn messages_are_paged_and_filtered_by_date_and_by_who() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let thread = spring(&bot).await;
    let api = api(&bot);
    let all = said(&api, &thread, "").await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 8);
    assert_eq!(all["next"], Value::Null);

    let (mut paged, mut next) = (Vec::new(), String::new());
    for wanted in [3, 3, 2] {
        let page = said(&api, &thread, &format!("limit=3{next}")).await;
        assert_eq!(texts(&page).len(), wanted);
        paged.extend(texts(&page).into_iter().map(str::to_owned));
        next = format!("&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!((paged.iter().map(String::as_str).collect::<Vec<_>>(), next.as_str()), (texts(&all), "&after="));

    let april = said(&api, &thread, "since=2026-04-01&until=2026-04-30").await;
    assert_eq!((texts(&april).len(), april["messages"][0]["author"].as_str()), (4, Some("ada")));
    assert_eq!(texts(&said(&api, &thread, "until=2026-03-15T12:00:00Z").await), Vec::<&str>::new());
    let maya = said(&api, &thread, "author=Maya").await;
    assert_eq!(texts(&maya), ["@threadbox the retry budget is three", "@threadbox the retry budget is five from now on"]);
    let answers = said(&api, &thread, "role=assistant&since=2026-05-01").await;
    assert_eq!(texts(&answers), ["Five it is."]);
    let run = april["messages"][0]["run"].as_str().unwrap();
    assert_eq!(said(&api, &thread, &format!("run={run}")).await, april);
    bot.finish().await;
}

#[tokio::test]
async fn messages_are_included_with_those_before_and_after_each_once() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let thread = spring(&bot).await;
    let api = api(&bot);
    let all = said(&api, &thread, "").await;
    let id = |place: usize| all["messages"][place]["id"].as_str().unwrap().to_owned();
    let one = said(&api, &thread, &format!("include={}&context_before=1&context_after=2", id(2))).await;
    assert_eq!(texts(&one), texts(&all)[1..5]);
    let two = said(&api, &thread, &format!("include={},{}&context_after=1", id(0), id(1))).await;
    assert_eq!(texts(&two), texts(&all)[..3], "what two have beside them comes once");
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_eq!(texts(&said(&api, &thread, &format!("include={nobody},{}", id(7))).await), texts(&all)[7..]);
    for wrong in [
        "include=x",
        &format!("include={nobody}&context_after=200"),
        &format!("include={}&context_before=3", vec![nobody; 51].join(",")),
        "author=%00",
        "since=26-03-01",
        "role=system",
        "after=x",
        "run=x",
        "since=yesterday",
        "since=2026-05-02&until=2026-05-01",
        "limit=0",
    ] {
        let (status, answer) = api.json("GET", &format!("threads/{thread}/messages?{wrong}")).await;
        assert_eq!((status, answer["error"].is_string()), (400, true), "{wrong}");
    }
    assert_eq!(api.json("GET", &format!("threads/{nobody}/messages")).await.0, 404);
    bot.finish().await;
}

#[tokio::test]
async fn conversations_are_filtered_by_date_state_and_place() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    for (number, month) in [(1, "03"), (2, "04"), (3, "05")] {
        sql(
            &bot,
            format!(
                "with thread as (
                insert into threads (id, owner, state, created_at, updated_at)
                values (gen_random_uuid(), 'github:1', case when {number} = 2 then 'closed' else 'open' end,
                        '2026-{month}-15', '2026-{month}-15') returning id
             )
             insert into surfaces (surface, key, thread_id, place)
             select 'github', '1#{number}', id, '{{\"repository\": \"Acme/tools\", \"number\": {number}}}' from thread"
            ),
        )
        .await;
    }
    let api = api(&bot);
    for (query, wanted) in [
        ("", "5 4 3"),
        ("since=2026-04-15", "5 4"),
        ("until=2026-04-15", "4 3"),
        ("since=2026-04-01&until=2026-04-30", "4"),
        ("state=open", "5 3"),
        ("place=acme/tools%233", "5"),
        ("place=acme/tools%239", ""),
    ] {
        let (_, page) = api.json("GET", &format!("threads?{query}")).await;
        let found =
            page["threads"].as_array().unwrap().iter().map(|thread| thread["updated_at"].as_str().unwrap()[6..7].to_owned());
        assert_eq!(found.collect::<Vec<_>>().join(" "), wanted, "{query}");
    }
    for wrong in ["state=lost", "since=soon"] {
        assert_eq!(api.json("GET", &format!("threads?{wrong}")).await.0, 400, "{wrong}");
    }
    let listed = text(&threads(&bot, &["list", "--since", "2026-05-01", "--state", "open"]).await.stdout);
    assert_eq!((listed.lines().count(), listed.contains("Acme/tools#3")), (1, true), "{listed}");
    assert_eq!(threads(&bot, &["list", "--since", "soon"]).await.status.code(), Some(2));
    bot.finish().await;
}

#[tokio::test]
async fn memory_is_asked_by_people_as_by_runs_and_answers_with_receipts() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    let thread = spring(&bot).await;
    let api = api(&bot);
    let question = "q=what%20is%20the%20retry%20budget%3F";
    let (status, found) = api.json("GET", &format!("recall?{question}&thread={thread}")).await;
    assert_eq!(status, 200, "{found}");
    let best = &found["passages"][0];
    assert!(
        best["text"].as_str().unwrap().contains("retry budget") && best["url"].as_str().unwrap().contains("#issuecomment-"),
        "{best}"
    );
    assert!(best["receipt"].as_str().unwrap().starts_with("[m:"), "{best}");
    let asked = async |more: &str| -> Vec<String> {
        let (status, found) = api.json("GET", &format!("recall?{question}&owner=acme%2Frocket&{more}")).await;
        assert_eq!(status, 200, "{found}");
        found["passages"].as_array().unwrap().iter().map(|passage| passage["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(asked("since=2026-04-01&until=2026-04-30&by=@Ada").await, ["@threadbox the retry budget should be four, I think"]);
    assert_eq!(asked("by=ada&since=2026-05-01").await, Vec::<String>::new());
    assert!(asked("by=maya").await.iter().all(|text| text.contains("three") || text.contains("five")));
    assert_eq!(asked("top_k=1").await.len(), 1);
    for (wrong, status) in [
        ("q=x", 400),
        ("q=&owner=acme%2Frocket", 400),
        ("q=x&owner=acme%2Frocket&top_k=21", 400),
        ("q=x&owner=acme%2Frocket&until=x", 400),
        ("q=x&owner=nobody", 404),
        ("q=x&thread=x", 404),
        (&format!("q=x&owner=acme%2Frocket&thread={thread}"), 400),
    ] {
        assert_eq!(api.json("GET", &format!("recall?{wrong}")).await.0, status, "{wrong}");
    }

    let told = threads(&bot, &["recall", "what is the retry budget?", "--owner", REPOSITORY, "--by", "ada"]).await;
    let told = text(&told.stdout);
    assert!(told.starts_with("ada, 2026-04-15 12:00, in ") && told.contains("[m:") && told.contains("should be four"), "{told}");
    let json = threads(&bot, &["recall", "retry budget", "--thread", &thread, "--top-k", "2", "--json"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap().as_array().unwrap().len(), 2);
    let nothing = threads(&bot, &["recall", "zeppelin", "--owner", REPOSITORY]).await;
    assert!(nothing.status.success() && text(&nothing.stderr).contains("Nothing in memory fits"), "{nothing:?}");
    for wrong in [
        vec!["recall", "x"],
        vec!["recall", " ", "--owner", REPOSITORY],
        vec!["recall", "x", "--owner", "a", "--thread", &thread],
    ] {
        assert_eq!(threads(&bot, &wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    bot.finish().await;
}

#[tokio::test]
async fn a_run_may_ask_for_what_was_said_when_and_by_whom() {
    let bot = Bot::start().await;
    spring(&bot).await;
    let issue = bot.issue("Later").await;
    bot.model.script([
        call("recall", json!({ "query": "retry budget", "by": "ada" })),
        call("recall", json!({ "query": "retry budget", "since": "2026-05-01", "until": "2026-05-31", "by": "maya" })),
        call("recall", json!({ "query": "three four five it is", "by": "threadbox", "until": "2026-03-31" })),
        call("recall", json!({ "query": "retry budget", "since": "last week" })),
        say("Five."),
    ]);
    bot.asks(&issue, "@threadbox look it up").await;
    let asked = bot.asked().pop().unwrap();
    let results: Vec<Value> = asked
        .messages
        .iter()
        .flat_map(|message| &message.results)
        .map(|result| serde_json::from_str(&result.text).unwrap_or_else(|_| json!(result.text)))
        .collect();
    let found = |place: usize| {
        let results = results[place]["results"].as_array().unwrap();
        results.iter().map(|found| found["text"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(0), ["@threadbox the retry budget should be four, I think"]);
    assert_eq!(found(1), ["@threadbox the retry budget is five from now on"]);
    assert_eq!(found(2), ["Three it is."]);
    assert!(results[3].to_string().contains("`last week` is neither a day such as"), "{}", results[3]);
    bot.finish().await;
}

#[tokio::test]
async fn a_repository_is_found_by_its_own_number_whoever_shares_its_conversations() {
    let bot = Bot::start_with(&[("THREADBOX_ADMIN_TOKEN", TOKEN)]).await;
    spring(&bot).await;
    let api = api(&bot);
    let owner = api.json("GET", "owners/Acme%2Frocket").await.1["owner"].clone();
    assert!(owner.as_str().unwrap().starts_with("github:"), "{owner}");
    // As when it joined a conversation on Discord.
    sql(&bot, "update threads set owner = 'discord:5'".to_owned()).await;
    assert_eq!(api.json("GET", "owners/acme%2Frocket").await.1["owner"], owner);
    bot.finish().await;
}
