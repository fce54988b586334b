//! Prompts are sent so that providers can reuse them, and what that saves is in the ledger.

use serde_json::{Value, json};
use threadbox::standin::model::{call, say};

use crate::support::bot::Bot;

/// Where a request is marked for the cache, as paths.
fn marks(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("cache_control") {
                found.push(path.to_owned());
            }
            fields.iter().for_each(|(name, value)| marks(value, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            let last = items.len().saturating_sub(1);
            let place = |place: usize| if place == last { "last".to_owned() } else { place.to_string() };
            items.iter().enumerate().for_each(|(index, value)| marks(value, &format!("{path}/{}", place(index)), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn anthropic_is_told_where_requests_begin_alike_and_the_saving_is_counted() {
    let bot = Bot::start_with(&[("MODEL", "anthropic/claude-sonnet-4-5"), ("TITLE_MODEL", "openai/gpt-4.1")]).await;
    let issue = bot.issue("Cache").await;
    bot.model.script([call("runCommand", json!({ "command": "echo one" })), say("First answer."), say("Second answer.")]);
    bot.asks(&issue, "@threadbox first").await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.asks(&issue, "@threadbox second").await;
    let requests = bot.asked();
    let marked = |index: usize| {
        let mut found = Vec::new();
        marks(&requests[index].body, "", &mut found);
        found.sort();
        found
    };
    // The tools, the system prompt and the end of the conversation; in the second run the last answer of the first, too.
    assert_eq!(marked(0).len(), 3, "{:?}", marked(0));
    assert!(marked(0).iter().any(|path| path == "/tools/last") && marked(0).iter().any(|path| path.starts_with("/system/")));
    assert!(marked(1).iter().any(|path| path.starts_with("/messages/last/")), "{:?}", marked(1));
    let second = marked(2);
    assert_eq!(second.len(), 4, "{second:?}");
    let answers: Vec<&str> = second.iter().filter_map(|path| path.strip_prefix("/messages/")?.split('/').next()).collect();
    let answer = answers.iter().find_map(|place| place.parse::<usize>().ok()).unwrap();
    assert!(requests[2].body["messages"][answer].to_string().contains("First answer."), "{second:?}");
    let saved = bot.count("select count(*) from ledger where purpose = 'step' and cached > 0 and saved_usd > 0").await;
    assert!(saved >= 1);
    let right = "select count(*) from ledger where purpose = 'step'
                 and abs(saved_usd - cached * 2.7e-6) < 1e-9
                 and abs(cost_usd - ((input - cached - written) * 3e-6 + cached * 0.3e-6 + written * 3.75e-6 + output * 15e-6)) < 1e-9";
    assert_eq!(bot.count(right).await, 3);
    assert!(bot.count("select count(*) from ledger where written > 0").await >= 1);
    bot.finish().await;
}

#[tokio::test]
async fn openai_keeps_the_turns_of_a_run_on_one_cache() {
    for model in ["openai/gpt-4.1", "openai/gpt-5"] {
        let bot = Bot::start_with(&[("MODEL", model), ("TITLE_MODEL", "openai/gpt-4.1")]).await;
        let issue = bot.issue("Cache").await;
        bot.model.script([call("runCommand", json!({ "command": "echo one" })), say("Done.")]);
        bot.asks(&issue, "@threadbox go").await;
        let keys: Vec<String> = bot.asked().iter().map(|request| request.body["prompt_cache_key"].to_string()).collect();
        assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 34, "{model}: {keys:?}");
        bot.finish().await;
    }
}

#[tokio::test]
async fn openrouter_is_asked_to_cache_where_the_maker_does_not_by_itself() {
    for (model, asked) in
        [("openrouter/anthropic/claude-sonnet-4.5", json!({ "type": "ephemeral" })), ("openrouter/openai/gpt-4.1", Value::Null)]
    {
        let mut bot = Bot::start().await;
        bot.stop().await;
        let standin = bot.model.settings(model);
        bot.settings.models.providers.extend(standin.providers);
        bot.settings.models.chain = standin.chain;
        bot.settings.models.title = vec!["openai/gpt-4.1".parse().unwrap()];
        bot.run().await;
        let issue = bot.issue("Cache").await;
        bot.model.script([say("Done.")]);
        bot.asks(&issue, "@threadbox go").await;
        assert_eq!(bot.asked()[0].body["cache_control"], asked, "{model}");
        bot.finish().await;
    }
}
