//! Models fail and change under a run: the whole bot keeps its word.

use serde_json::json;
use threadbox::standin::model::{
    Cut, Gate, Protocol, busy, call, calls, cut_after, error_after, filtered, gated, raw_arguments, say, status, think, truncated,
};

use crate::support::bot::Bot;

async fn one_answer(environment: &[(&str, &str)], turns: Vec<threadbox::standin::model::Turn>) -> (String, Vec<Protocol>) {
    let bot = Bot::start_with(environment).await;
    let issue = bot.issue("Models").await;
    bot.model.script(turns);
    let answer = bot.asks(&issue, "@threadbox hello").await;
    assert_eq!(bot.our_comments(&issue).len(), 1);
    let protocols = bot.asked().iter().map(|request| request.protocol).collect();
    bot.finish().await;
    (answer, protocols)
}

const CHAIN: [(&str, &str); 2] = [("MODEL", "openai/gpt-4.1,anthropic/claude-sonnet-4-5"), ("TITLE_MODEL", "openai/gpt-4.1")];

#[tokio::test]
async fn what_passes_is_waited_out() {
    for trouble in [
        busy("0"),
        busy("1"),
        status(500),
        status(529),
        status(503),
        cut_after(2, Cut::Ends, say("Half of the answer that never comes.")),
        cut_after(2, Cut::Breaks, say("Half of the answer that never comes.")),
    ] {
        let (answer, asked) = one_answer(&[], vec![trouble.clone(), say("Whole.")]).await;
        assert!(answer.contains("Whole.") && !answer.contains("Half"), "{trouble:?}: {answer}");
        assert_eq!(asked.len(), 2);
    }
}

#[tokio::test]
async fn the_next_model_of_the_chain_takes_over() {
    for trouble in [
        vec![status(401)],
        vec![status(404)],
        vec![busy("3600")],
        vec![error_after(2, say("Half of the answer that never comes.")); 4],
        vec![status(500); 4],
    ] {
        let (answer, asked) = one_answer(&CHAIN, [trouble.clone(), vec![say("From the second.")]].concat()).await;
        assert!(answer.contains("From the second.") && answer.contains("anthropic/claude-sonnet-4-5"), "{trouble:?}: {answer}");
        assert!(!answer.contains("Half"), "{answer}");
        assert_eq!(asked.last(), Some(&Protocol::Anthropic));
    }
}

#[tokio::test]
async fn every_protocol_works_through_a_whole_run() {
    for model in ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-pro"] {
        let bot = Bot::start_with(&[("MODEL", model)]).await;
        let issue = bot.issue("Protocols").await;
        bot.model.script([
            think(
                "First I look.",
                calls([
                    ("writeFile", json!({ "path": "a.txt", "content": "seven" })),
                    ("listFiles", json!({})),
                    ("readFile", json!({ "path": "a.txt" })),
                ]),
            ),
            raw_arguments("readFile", "{\"path\": "),
            call("readFile", json!({ "path": "a.txt" })),
            say("It says seven."),
            say("Still seven."),
        ]);
        let answer = bot.asks(&issue, "@threadbox what?").await;
        assert!(answer.contains("It says seven.") && answer.contains(model), "{model}: {answer}");
        let answer = bot.asks(&issue, "@threadbox and now?").await;
        assert!(answer.contains("Still seven."), "{model}: {answer}");
        bot.finish().await;
    }
}

#[tokio::test]
async fn a_thread_changes_its_provider_and_keeps_its_history() {
    let mut bot = Bot::start().await;
    let issue = bot.issue("Change").await;
    let models = ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-pro", "openai/gpt-4.1"];
    for (number, model) in models.iter().enumerate() {
        bot.stop().await;
        bot.settings.models.chain = vec![model.parse().unwrap()];
        bot.settings.models.title = vec!["openai/gpt-4.1".parse().unwrap()];
        bot.run().await;
        bot.model.script([
            think("Thinking.", call("writeFile", json!({ "path": format!("{number}.txt"), "content": "x" }))),
            say(format!("Answer {number}.")),
        ]);
        let answer = bot.asks(&issue, &format!("@threadbox question {number}")).await;
        assert!(answer.contains(&format!("Answer {number}.")) && answer.contains(model), "{answer}");
        bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    }
    let last = bot.asked().pop().unwrap();
    let said = last.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>().join("\n");
    for number in 0..3 {
        assert!(said.contains(&format!("question {number}")) && said.contains(&format!("Answer {number}.")), "{said}");
    }
    bot.finish().await;
}

#[tokio::test]
async fn an_answer_without_words_still_has_a_visible_end() {
    for turn in [say(""), say("   \n"), filtered(), truncated(say("This answer stops in the mid"))] {
        let (answer, _) = one_answer(&[], vec![turn.clone()]).await;
        assert!(
            !answer.contains("Working on it") && answer.lines().next().is_some_and(|line| line.len() > 10),
            "{turn:?}: {answer}"
        );
        if answer.contains("stops in the mid") {
            assert!(answer.contains("output limit"), "a cut answer says so: {answer}");
        }
    }
}

#[tokio::test]
async fn a_call_whose_arguments_were_cut_off_is_told_to_the_model() {
    let bot = Bot::start().await;
    let issue = bot.issue("Cut call").await;
    bot.model.script([truncated(raw_arguments("writeFile", "{\"path\": \"a.txt\", \"content\": \"half")), say("I see.")]);
    let answer = bot.asks(&issue, "@threadbox write").await;
    assert!(answer.contains("I see."), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn without_a_key_the_reason_is_the_answer() {
    let bot = Bot::start_with(&[("MODEL", "groq/some-model")]).await;
    let issue = bot.issue("No key").await;
    let answer = bot.asks(&issue, "@threadbox hello").await;
    assert!(answer.contains("GROQ_API_KEY"), "{answer}");
    let ran = bot.asks(&issue, "@threadbox run\n```sh\necho works without\n```").await;
    assert!(ran.contains("works without"), "{ran}");
    bot.finish().await;
}

#[tokio::test]
async fn an_unknown_price_is_said_and_the_other_limits_hold() {
    let bot = Bot::start_with(&[("MODEL", "openai/no-such-model-9"), ("RUN_MAX_STEPS", "2"), ("RUN_BUDGET_USD", "0.0001")]).await;
    let issue = bot.issue("Price").await;
    let step = || call("runCommand", json!({ "command": "echo on" }));
    bot.model.script([step(), step()]);
    let answer = bot.asks(&issue, "@threadbox go").await;
    assert!(answer.contains("2 steps") && answer.contains("unknown"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn the_daily_budget_ends_a_run_in_the_middle_and_refuses_the_next() {
    let bot = Bot::start_with(&[("DAILY_BUDGET_USD", "0.5")]).await;
    let issue = bot.issue("Budget").await;
    let gate = Gate::closed();
    let step = |word: &str| call("runCommand", json!({ "command": format!("echo {word}") }));
    bot.model.script([step("spent"), gated(&gate, step("more"))]);
    let first = bot.says(&issue, "maya", "@threadbox spend").await;
    bot.model.arrived(2).await;
    // Other runs spend the rest of the day's money.
    bot.sql("update ledger set cost_usd = 0.6").await;
    gate.open();
    assert_eq!(bot.ended(&issue, first).await, "confused");
    let answer = bot.our_comments(&issue)[0].body().to_owned();
    assert!(answer.contains("budget") && answer.contains("spent"), "{answer}");
    bot.says(&issue, "maya", "@threadbox more").await;
    let refusal = bot.our_comment_number(&issue, 2).await;
    assert!(refusal.body().to_lowercase().contains("budget"), "{}", refusal.body());
    bot.finish().await;
}

#[tokio::test]
async fn an_app_on_an_enterprise_server_does_the_same() {
    let bot = Bot::start_as_app("/api/v3").await;
    let issue = bot.issue("Enterprise").await;
    bot.model.script([call("runCommand", json!({ "command": "echo enterprise" })), say("Done here, too.")]);
    let answer = bot.asks(&issue, "@threadbox hello").await;
    assert!(answer.contains("Done here, too.") && answer.contains("enterprise"), "{answer}");
    bot.says(&issue, "eve", "@threadbox hello").await;
    bot.our_comment_number(&issue, 2).await;
    assert!(bot.github.requests().iter().all(|request| request.by != "nobody"), "every call had a credential");
    bot.finish().await;
}
