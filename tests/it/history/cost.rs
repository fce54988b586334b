//! What a turn of a long thread costs, and what of it a provider has read before.

use threadbox::standin::model::{RecordedRequest, say};

use super::town::{NOT_DUE, Past, condense, is_condensing, prompt, shown, thread_with_past, token};
use crate::support::bot::Bot;

/// Things people said once, long ago: decisions, reversals, who said what, code identifiers, commands, open questions.
fn facts() -> Vec<(usize, String)> {
    vec![
        (3, "We decided that configuration is TOML.".into()),
        (26, "maya prefers tabs over spaces in Makefiles.".into()),
        (51, "The error code is E-4711-ZETA when the lease is lost.".into()),
        (80, "The command that worked is `cargo nextest run --profile quick-7`.".into()),
        (166, "We decided that configuration is YAML instead of TOML.".into()),
        (222, "This is an open question: who rotates the signing key of src/keys/rotate.rs?".into()),
        (280, "ada forbids new dependencies in crate `lease_fence`.".into()),
        (406, "We decided to keep `RetryPolicy::first_wait` at 250 ms.".into()),
        (450, "We decided that configuration is JSON instead of YAML.".into()),
    ]
}

async fn bot() -> Bot {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1000")]).await;
    bot.model.keep(20_000);
    bot.model.rule(condense);
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Noted.")));
    bot
}

/// Asks, and returns what the model was shown for it.
async fn turn(bot: &Bot, issue: &threadbox::standin::github::IssueRef, text: &str) -> RecordedRequest {
    bot.asks(issue, text).await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.asked().pop().unwrap()
}

#[tokio::test]
async fn a_thread_of_2000_messages_costs_no_more_a_turn_than_one_of_200_and_still_knows() {
    let bot = bot().await;
    let short = thread_with_past(&bot, 1, &Past { runs: 50, facts: Vec::new(), talk: 500 }).await;
    let long = thread_with_past(&bot, 2, &Past { runs: 500, facts: facts(), talk: 500 }).await;
    // The next run finds out how much there is; then it is condensed until the newest half is left.
    for issue in [&short, &long] {
        turn(&bot, issue, "@threadbox go on").await;
    }
    bot.until_count("select count(*) from threads where uncondensed > 96000 or condensing_until is not null", 0).await;
    let of_short = turn(&bot, &short, "@threadbox what did we decide about the configuration?").await;
    let of_long = turn(&bot, &long, "@threadbox what did we decide about the configuration?").await;
    let (few, many) = (prompt(&of_short).len() / 4, prompt(&of_long).len() / 4);
    println!("tokens of a prompt (characters / 4): {few} with 200 messages, {many} with 2000");
    assert!(many <= few, "{many} tokens with 2000 messages, {few} with 200");
    assert_eq!(bot.count("select max(n) from (select count(*) as n from messages group by thread_id) t").await, 2_006);

    let text = shown(&of_long);
    for (run, fact) in facts() {
        let words = fact.trim_end_matches(['.', '?']);
        assert!(text.contains(words), "{fact} of run {run} is not known any more:\n{text}");
        // Where it was said comes with it, unless the run itself is still there.
        assert!(text.contains(&token(2, run)) || text.contains(&format!("Remark {run}.")), "no receipt for {fact}");
    }
    // Of a decision that was taken back, the later line comes later.
    let place = |what: &str| text.find(what).unwrap();
    assert!(
        place("YAML instead of TOML") > place("configuration is TOML")
            && place("JSON instead of YAML") > place("YAML instead of TOML")
    );
    assert!(bot.count("select count(*) from ledger where purpose = 'condensing' and cost_usd > 0").await > 3);
    assert_eq!(bot.count("select count(*) from observations o where cardinality(cites) = 0").await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn the_prompt_of_a_turn_is_the_beginning_of_the_next() {
    let bot = bot().await;
    let issue = thread_with_past(&bot, 1, &Past { runs: 30, facts: Vec::new(), talk: 700 }).await;
    let mut before: Option<String> = None;
    let mut shares = Vec::new();
    for number in 0..13 {
        let prompt = prompt(&turn(&bot, &issue, &format!("@threadbox remark {number}")).await);
        if let Some(before) = before.replace(prompt.clone()) {
            let common = before.bytes().zip(prompt.bytes()).take_while(|(a, b)| a == b).count();
            shares.push(common as f64 / before.len() as f64);
        }
    }
    let told: Vec<String> = shares.iter().map(|share| format!("{:.1} %", share * 100.0)).collect();
    println!("of each prompt the next one began with: {}", told.join(", "));
    assert_eq!(
        bot.count("select count(*) from threads where condensed_until is not null").await,
        0,
        "nothing was condensed meanwhile"
    );
    assert!(shares.iter().all(|share| *share > 0.97), "{told:?}");
    bot.finish().await;
}

#[tokio::test]
async fn a_condensing_moves_the_cut_once_and_then_the_prompt_grows_at_its_end_again() {
    let bot = bot().await;
    let issue = thread_with_past(&bot, 1, &Past { runs: 50, facts: facts(), talk: 700 }).await;
    let mut beginnings = std::collections::BTreeSet::new();
    for number in 0..6 {
        turn(&bot, &issue, &format!("@threadbox remark {number}")).await;
        bot.until_count("select count(*) from threads where uncondensed > 96000 or condensing_until is not null", 0).await;
        let request = bot.asked().pop().unwrap();
        beginnings.insert(request.messages[0].text.clone() + &request.messages[1].text);
    }
    assert_eq!(beginnings.len(), 2, "the beginning changed more than once");
    assert_eq!(bot.count(NOT_DUE).await, 0);
    // system → observations → history → what is asked now
    let last = bot.asked().pop().unwrap();
    assert!(last.messages.first().unwrap().text.starts_with("What this conversation came to before"));
    assert!(last.messages.last().unwrap().text.contains("remark 5"));
    bot.finish().await;
}

#[tokio::test]
async fn while_condensing_lags_the_oldest_runs_are_left_out_in_portions() {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1000")]).await;
    bot.model.rule(|request| is_condensing(request).then(|| say("I would rather not.")));
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Noted.")));
    let issue = thread_with_past(&bot, 1, &Past { runs: 200, facts: Vec::new(), talk: 700 }).await;
    // Whoever would condense it is late.
    bot.sql("update threads set condensing_until = now() + interval '1 hour'").await;
    let mut firsts = Vec::new();
    for number in 0..8 {
        let request = turn(&bot, &issue, &format!("@threadbox remark {number}")).await;
        let size = prompt(&request).len() - request.body["tools"].to_string().len();
        assert!(size < 155_000, "{size}");
        assert!(shown(&request).contains("Some earlier messages are not shown here"));
        firsts.push(request.messages[1].text.clone());
    }
    firsts.dedup();
    assert!(firsts.len() <= 2, "the cut moved {} times in eight turns", firsts.len() - 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_history_is_one_round_trip_also_of_a_thousand_runs() {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1000")]).await;
    bot.model.rule(|request| is_condensing(request).then(|| say("No.")));
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Noted.")));
    thread_with_past(&bot, 1, &Past { runs: 500, facts: Vec::new(), talk: 700 }).await;
    let pool = &bot.database.pool;
    let thread: uuid::Uuid = sqlx::query_scalar("select id from threads").fetch_one(pool).await.unwrap();
    let newest = threadbox::id::RunId::new();
    let past = threadbox::memory::history::load(pool, thread.into(), newest).await.unwrap();
    assert!(past.left_out > 300, "{}", past.left_out);
    let size = threadbox::memory::history::size(&past.clone().messages());
    assert!(size < threadbox::memory::history::CEILING, "{size}");
    // The first of what is given follows the last of what is left out.
    let count = i64::try_from(past.runs.len()).unwrap();
    assert_eq!(past.left_out + count, 501);
    bot.finish().await;
}
