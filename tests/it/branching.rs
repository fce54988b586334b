//! `branch`: a conversation begins with what was said in another one; then the two go separate ways, and what is forgotten there is
//! forgotten in both.

use std::fmt::Write as _;

use serde_json::json;
use threadbox::settings::Permission;
use threadbox::standin::github::{IssueRef, Visibility};
use threadbox::standin::model::{Gate, call, gated, say};

use crate::forget::{assert_gone, forgotten, found};
use crate::history::town::{Past, condense_each, shown, thread_with_past};
use crate::support::bot::Bot;

/// Where an issue is in a browser.
fn address(bot: &Bot, issue: &IssueRef) -> String {
    format!("{}/{}/issues/{}", bot.github.url(), issue.repository, issue.number)
}

/// Somebody types a command; what we answer to it.
async fn told(bot: &Bot, issue: &IssueRef, who: &str, text: &str) -> String {
    let before = bot.our_comments(issue).len();
    bot.says(issue, who, text).await;
    let said = bot.our_comment_number(issue, before + 1).await.body().to_owned();
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    said
}

/// Maya lets one issue begin with another.
async fn branches(bot: &Bot, issue: &IssueRef, from: &IssueRef) {
    let said = told(bot, issue, "maya", &format!("@threadbox branch {}", address(bot, from))).await;
    assert!(said.contains("This conversation begins with what was said in acme/rocket"), "{said}");
}

/// Maya asks, and is answered; what the model was shown for it.
async fn hears(bot: &Bot, issue: &IssueRef, text: &str, answer: &str) -> String {
    bot.model.script([say(answer)]);
    bot.asks(issue, text).await;
    bot.idle().await;
    shown(&bot.asked().pop().unwrap())
}

/// All of these stand in what was shown, and none of those.
fn assert_knows(shown: &str, known: &[&str], unknown: &[&str]) {
    for word in known {
        assert!(shown.contains(word), "{word} is not known:\n{shown}");
    }
    for word in unknown {
        assert!(!shown.contains(word), "{word} is known:\n{shown}");
    }
}

#[tokio::test]
async fn a_branch_knows_what_was_said_before_it_parted_and_nothing_of_what_comes_then() {
    let bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    hears(&bot, &one, "@threadbox keep the word tangerine in mind", "The word is tangerine.").await;
    branches(&bot, &two, &one).await;
    hears(&bot, &one, "@threadbox its peel smells of pomelo", "Noted.").await;

    let there = hears(&bot, &two, "@threadbox which word was it? quince", "It was tangerine.").await;
    assert_knows(
        &there,
        &["keep the word tangerine in mind", "The word is tangerine.", "from another conversation"],
        &["pomelo"],
    );
    // What stands in the history is not recalled beside it.
    assert_eq!(there.matches("keep the word tangerine").count(), 1, "{there}");
    assert_eq!(there.matches("The word is tangerine.").count(), 1, "{there}");
    let here = hears(&bot, &one, "@threadbox go on", "On it.").await;
    assert_knows(&here, &["tangerine", "pomelo"], &["quince", "from another conversation"]);
    let there = hears(&bot, &two, "@threadbox go on", "On it.").await;
    assert_knows(&there, &["tangerine", "quince", "It was tangerine."], &["pomelo"]);

    // Said again it is what it was, also by now.
    branches(&bot, &two, &one).await;
    assert_eq!(bot.count("select count(*) from branches").await, 1);
    assert_eq!(bot.count("select count(distinct thread_id) from runs").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn before_anything_is_asked_for_the_last_branch_counts_and_a_branch_may_be_branched() {
    let bot = Bot::start().await;
    let (one, other) = (bot.issue("One").await, bot.issue("Other").await);
    let (two, three) = (bot.issue("Two").await, bot.issue("Three").await);
    hears(&bot, &one, "@threadbox the fruit is tangerine", "Noted.").await;
    hears(&bot, &other, "@threadbox the tree is larch", "Noted.").await;
    told(&bot, &other, "maya", "@threadbox remember here: larches are felled in autumn").await;
    branches(&bot, &two, &other).await;
    branches(&bot, &two, &one).await;
    let there = hears(&bot, &two, "@threadbox and the wind is mistral", "Noted.").await;
    assert_knows(&there, &["tangerine"], &["larch", "felled"]);
    branches(&bot, &three, &two).await;
    let said = told(&bot, &one, "maya", &format!("@threadbox branch {}", address(&bot, &three))).await;
    assert!(said.contains("asked of me here already"), "{said}");
    let there = hears(&bot, &three, "@threadbox what do you know?", "All of it.").await;
    assert_knows(&there, &["tangerine", "mistral"], &["larch", "felled"]);
    assert!(there.find("tangerine") < there.find("mistral"), "in the order it was said: {there}");
    bot.finish().await;
}

#[tokio::test]
async fn a_comment_that_is_deleted_leaves_every_branch_with_all_that_was_made_of_it() {
    let bot = Bot::start().await;
    let (one, two, three) = (bot.issue("One").await, bot.issue("Two").await, bot.issue("Three").await);
    bot.model.script([say("The word is CANARYBRANCH.")]);
    let said = bot.says(&one, "maya", "@threadbox keep CANARYBRANCH in mind").await;
    bot.ended(&one, said).await;
    bot.idle().await;
    hears(&bot, &one, "@threadbox the other word is keepsake", "Noted.").await;
    let before = bot.our_comments(&one).len();
    let line = bot.says(&one, "maya", "@threadbox remember here: CANARYLINE opens the door").await;
    bot.our_comment_number(&one, before + 1).await;
    told(&bot, &one, "maya", "@threadbox remember here: the door is green").await;
    bot.sql(
        "insert into observations (id, thread_id, sequence, said_at, text, cites, created_at)
         select gen_random_uuid(), thread_id, 1, created_at, 'Observed CANARYBRANCH', array[id], now()
         from messages where author = 'maya' and parts::text like '%keep CANARYBRANCH%'",
    )
    .await;
    branches(&bot, &two, &one).await;
    branches(&bot, &three, &two).await;
    let known = ["CANARYBRANCH", "Observed CANARYBRANCH", "CANARYLINE opens", "the door is green", "keepsake"];
    for issue in [&two, &three] {
        assert_knows(&hears(&bot, issue, "@threadbox ready?", "Ready.").await, &known, &[]);
    }
    for comment in [said, line] {
        assert_eq!(bot.github.delete_comment(comment, "maya").await.unwrap().status, Some(202));
    }
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYBRANCH").await;
    assert_gone(&bot, "CANARYLINE").await;
    for issue in [&one, &two, &three] {
        let shown = hears(&bot, issue, "@threadbox still ready?", "Ready.").await;
        assert_knows(&shown, &["the door is green", "keepsake"], &["CANARY"]);
    }
    bot.finish().await;
}

#[tokio::test]
async fn a_comment_that_is_edited_has_its_new_words_in_a_branch() {
    let bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    bot.model.script([say("All right.")]);
    let said = bot.says(&one, "maya", "@threadbox the password is CANARYEDIT").await;
    bot.ended(&one, said).await;
    bot.idle().await;
    branches(&bot, &two, &one).await;
    assert_knows(&hears(&bot, &two, "@threadbox ready?", "Ready.").await, &["CANARYEDIT"], &[]);
    bot.github.edit_comment(said, "maya", "@threadbox the password is elsewhere").await.unwrap();
    bot.until_count("select count(*) from forgettings where next_try_at > asked_at", 1).await;
    assert_gone(&bot, "CANARYEDIT").await;
    let shown = hears(&bot, &two, "@threadbox still ready?", "Ready.").await;
    assert_knows(&shown, &["the password is elsewhere"], &["CANARYEDIT"]);
    bot.finish().await;
}

#[tokio::test]
async fn forgetting_the_other_conversation_leaves_a_branch_with_its_own_words() {
    let bot = Bot::start().await;
    let (one, two, late) = (bot.issue("One").await, bot.issue("Two").await, bot.issue("Late").await);
    hears(&bot, &one, "@threadbox keep CANARYGONE in mind", "Kept: CANARYGONE.").await;
    told(&bot, &one, "maya", "@threadbox remember here: CANARYGONE is for the door").await;
    branches(&bot, &two, &one).await;
    let shown = hears(&bot, &two, "@threadbox and the kettle whistles", "It does.").await;
    assert_knows(&shown, &["Kept: CANARYGONE.", "for the door"], &[]);
    told(&bot, &one, "maya", "@threadbox forget this conversation").await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYGONE").await;
    let shown = hears(&bot, &two, "@threadbox go on", "On it.").await;
    assert_knows(&shown, &["the kettle whistles"], &["CANARYGONE", "from another conversation"]);
    let said = told(&bot, &late, "maya", &format!("@threadbox branch {}", address(&bot, &one))).await;
    assert!(said.contains("nothing to begin with"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn forgetting_a_branch_takes_what_it_began_with_from_it_and_nothing_from_there() {
    let bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    hears(&bot, &one, "@threadbox keep the word tangerine in mind", "The word is tangerine.").await;
    told(&bot, &one, "maya", "@threadbox remember here: the door is green").await;
    branches(&bot, &two, &one).await;
    hears(&bot, &two, "@threadbox CANARYOWN is mine", "Yours: CANARYOWN.").await;
    told(&bot, &two, "maya", "@threadbox forget this conversation").await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYOWN").await;
    assert_eq!(bot.count("select count(*) from branches").await, 0);
    let shown = hears(&bot, &two, "@threadbox hello", "Hello.").await;
    assert_knows(&shown, &[], &["The word is", "the door is green", "from another conversation"]);
    let shown = hears(&bot, &one, "@threadbox hello", "Hello.").await;
    assert_knows(&shown, &["The word is tangerine.", "the door is green"], &[]);
    assert!(!found(&bot, "tangerine").await.is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn a_line_to_remember_goes_with_its_conversation_long_after_it_was_said() {
    let mut bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    hears(&bot, &one, "@threadbox keep tangerine in mind", "Kept.").await;
    told(&bot, &one, "maya", "@threadbox remember here: CANARYLINE opens the door").await;
    told(&bot, &two, "maya", "@threadbox remember here: the kettle whistles").await;
    branches(&bot, &two, &one).await;
    told(&bot, &two, "maya", "@threadbox status").await;
    bot.stop().await;
    bot.sql("update inbox set created_at = now() - interval '31 days'").await;
    bot.run().await;
    // Of what was answered by the service only what is remembered stays.
    bot.until_count("select count(*) from inbox", 3).await;
    told(&bot, &one, "maya", "@threadbox forget this conversation").await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYLINE").await;
    assert_knows(&hears(&bot, &two, "@threadbox go on", "On it.").await, &["the kettle whistles"], &["CANARYLINE"]);
    bot.finish().await;
}

#[tokio::test]
async fn a_run_that_goes_on_after_the_branch_is_no_part_of_it() {
    let bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    hears(&bot, &one, "@threadbox keep tangerine in mind", "Kept: tangerine.").await;
    told(&bot, &one, "ada", "@threadbox budget 0.001").await;
    bot.model.script([call("writeFile", json!({ "path": "notes.txt", "content": "larch" }))]);
    let ended = bot.asks(&one, "@threadbox write the tree down").await;
    assert!(ended.contains("Ended at the cost limit"), "{ended}");
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    branches(&bot, &two, &one).await;
    bot.model.script([say("It was pomelo in the end.")]);
    bot.says(&one, "ada", "@threadbox budget 5").await;
    bot.until_count("select count(*) from runs where outcome->>'outcome' = 'answered'", 2).await;
    let there = hears(&bot, &two, "@threadbox go on", "On it.").await;
    assert_knows(&there, &["Kept: tangerine."], &["pomelo", "write the tree down"]);
    bot.finish().await;
}

#[tokio::test]
async fn words_that_joined_a_run_of_others_are_reworded_in_what_a_branch_was_condensed_to() {
    let bot = Bot::start().await;
    let (one, two) = (bot.issue("One").await, bot.issue("Two").await);
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("All right.")), say("All right, both.")]);
    let asked = bot.says(&one, "maya", "@threadbox keep the fruit in mind").await;
    bot.model.arrived(1).await;
    let joined = bot.says(&one, "maya", "@threadbox it is CANARYJOINED").await;
    bot.until_count("select sum(arrivals)::bigint from runs", 1).await;
    gate.open();
    bot.ended(&one, asked).await;
    bot.idle().await;
    bot.sql(
        "with line as (
             insert into observations (id, thread_id, sequence, said_at, text, cites, created_at)
             select gen_random_uuid(), thread_id, 1, created_at, 'Observed CANARYJOINED', '{}', now() from runs
         )
         update threads set condensed_until = (select id from runs where thread_id = threads.id)",
    )
    .await;
    branches(&bot, &two, &one).await;
    assert_knows(&hears(&bot, &two, "@threadbox ready?", "Ready.").await, &["Observed CANARYJOINED"], &[]);
    bot.github.edit_comment(joined, "maya", "@threadbox it is a secret").await.unwrap();
    bot.until_count("select count(*) from forgettings where next_try_at > asked_at", 1).await;
    assert_gone(&bot, "CANARYJOINED").await;
    assert_knows(&hears(&bot, &two, "@threadbox still?", "Ready.").await, &["it is a secret"], &["CANARYJOINED"]);
    bot.finish().await;
}

/// What became of each remark in the conversation of an issue: it is in a line or in the history, and nowhere twice.
async fn nothing_is_lost_or_doubled(bot: &Bot, issue: &IssueRef, remarks: &[usize]) {
    let key = format!("%#{}", issue.number);
    let lines: Vec<String> = sqlx::query_scalar(
        "select o.text from observations o join surfaces s on s.thread_id = o.thread_id where s.key like $1 and o.current",
    )
    .bind(&key)
    .fetch_all(&bot.database.pool)
    .await
    .unwrap();
    let left: Vec<String> = sqlx::query_scalar(
        "select m.parts->0->>'text' from surfaces s join threads t on t.id = s.thread_id join histories h on h.thread_id = t.id
         join messages m on m.thread_id = h.source_id and m.run_id <= h.until
         where s.key like $1 and m.role = 'user' and (t.condensed_until is null or m.run_id > t.condensed_until)",
    )
    .bind(&key)
    .fetch_all(&bot.database.pool)
    .await
    .unwrap();
    for remark in remarks {
        let condensed = lines.iter().filter(|line| **line == format!("Remark {remark}")).count();
        let whole = left.iter().filter(|text| text.contains(&format!("Remark {remark}."))).count();
        assert_eq!(condensed + whole, 1, "remark {remark}: {condensed} lines, {whole} times in the history");
    }
}

/// How the conversation of an issue stands, as one text.
async fn condensed(bot: &Bot, issue: &IssueRef) -> String {
    let key = format!("%#{}", issue.number);
    sqlx::query_scalar(
        "select concat_ws(' ', t.condensed_until, t.uncondensed, (
             select string_agg(o.text || o.cites::text, ';' order by o.sequence) from observations o where o.thread_id = t.id and o.current))
         from threads t join surfaces s on s.thread_id = t.id where s.key like $1",
    )
    .bind(&key)
    .fetch_one(&bot.database.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_long_conversation_is_branched_with_its_observations_and_both_go_on_being_condensed() {
    let bot = Bot::start_with(&[("USER_RUNS_PER_HOUR", "1000")]).await;
    bot.model.keep(1_000);
    bot.model.rule(condense_each);
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Noted.")));
    let settled = "select count(*) from threads where uncondensed > 96000 or condensing_until is not null";
    let long = thread_with_past(&bot, 1, &Past { runs: 80, facts: Vec::new(), talk: 700 }).await;
    bot.asks(&long, "@threadbox go on").await;
    bot.idle().await;
    bot.until_count(settled, 0).await;
    let source = condensed(&bot, &long).await;
    assert!(source.contains("Remark 0{"), "{source}");

    let branch = bot.issue("Branch").await;
    branches(&bot, &branch, &long).await;
    assert_eq!(condensed(&bot, &branch).await, source, "it begins as the other stands");
    let mut remarks: Vec<usize> = (0..80).collect();
    for number in 100..107 {
        remarks.push(number);
        let mut text = format!("@threadbox Remark {number}. ");
        (0..200).for_each(|_| write!(text, "We talked about this and that at some length. ").unwrap());
        bot.asks(&branch, text.trim()).await;
        bot.idle().await;
        bot.until_count(settled, 0).await;
        nothing_is_lost_or_doubled(&bot, &branch, &remarks).await;
    }
    let own = condensed(&bot, &branch).await;
    assert!(own.contains("Remark 79{") && own.len() > source.len(), "the cut did not move: {own}");
    assert_eq!(condensed(&bot, &long).await, source, "the other one does not notice");
    nothing_is_lost_or_doubled(&bot, &long, &remarks[..80]).await;

    bot.asks(&branch, "@threadbox what do you know?").await;
    bot.idle().await;
    let text = shown(&bot.asked().pop().unwrap());
    for remark in &remarks {
        assert!(text.contains(&format!("Remark {remark}")), "remark {remark} is not known any more:\n{text}");
    }
    assert_eq!(
        bot.count(
            "select count(*) from ledger l join runs r on r.id = l.run_id where l.purpose = 'condensing' and r.repository = ''"
        )
        .await,
        0
    );
    bot.finish().await;
}

#[tokio::test]
async fn what_must_not_begin_with_another_conversation_is_refused_with_the_reason() {
    let bot = Bot::start().await;
    bot.github.add_repository("acme/tools", Visibility::Public);
    bot.github.set_permission("acme/tools", "maya", Permission::Write).unwrap();
    let elsewhere = bot.github.open_issue("acme/tools", "maya", "Elsewhere", "").await.unwrap().0;
    let (here, busy, silent) = (bot.issue("Here").await, bot.issue("Busy").await, bot.issue("Silent").await);
    hears(&bot, &elsewhere, "@threadbox keep tangerine in mind", "Kept.").await;
    hears(&bot, &busy, "@threadbox say busy", "Busy.").await;
    let nowhere = format!("{}/acme/rocket/issues/999", bot.github.url());
    let cases = [
        (address(&bot, &elsewhere), "no such conversation, or not everybody who reads this one may read it"),
        (nowhere, "no such conversation, or not everybody who reads this one may read it"),
        (address(&bot, &silent), "nothing to begin with"),
        (address(&bot, &here), "That is this conversation."),
        ("https://discord.com/channels/1/2".to_owned(), "the other on Discord"),
        ("https://example.com/a/b/issues/1".to_owned(), "not the address"),
    ];
    for (address, why) in cases {
        let said = told(&bot, &here, "maya", &format!("@threadbox branch {address}")).await;
        assert!(said.contains("Nothing was taken over.") && said.contains(why), "{address}: {said}");
    }
    let said = told(&bot, &here, "eve", &format!("@threadbox branch {}", address(&bot, &busy))).await;
    assert!(said.contains("I only work for people with write permission"), "{said}");
    branches(&bot, &here, &busy).await;
    // One that begins with another is not swallowed by a link, and one that is at work does not begin anew.
    let said = told(&bot, &busy, "maya", &format!("@threadbox link {}", address(&bot, &here))).await;
    assert!(said.contains("a conversation with me of its own"), "{said}");
    let said = told(&bot, &busy, "maya", &format!("@threadbox branch {}", address(&bot, &elsewhere))).await;
    assert!(said.contains("no such conversation"), "{said}");
    let said = told(&bot, &busy, "maya", &format!("@threadbox branch {}", address(&bot, &here))).await;
    assert!(said.contains("asked of me here already"), "{said}");
    let shown = hears(&bot, &here, "@threadbox go on", "On it.").await;
    assert_knows(&shown, &["say busy"], &["tangerine"]);
    bot.finish().await;
}
