//! `forget this thread` and `forget everything I said`: words go as a whole, down to the bytes in the tables, for those who may.

use threadbox::standin::github::IssueRef;
use threadbox::standin::model::{Gate, gated, say};

use crate::forget::{assert_gone, forgotten, found, plant};
use crate::support::bot::Bot;

/// Somebody types a command; what we answer to it.
async fn told(bot: &Bot, issue: &IssueRef, who: &str, text: &str) -> String {
    let before = bot.our_comments(issue).len();
    bot.says(issue, who, text).await;
    let said = bot.our_comment_number(issue, before + 1).await.body().to_owned();
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    said
}

/// Somebody asks, and is answered.
async fn hears(bot: &Bot, issue: &IssueRef, who: &str, text: &str, answer: &str) {
    bot.model.script([say(answer)]);
    let comment = bot.says(issue, who, text).await;
    bot.ended(issue, comment).await;
    bot.idle().await;
}

#[tokio::test]
async fn forget_this_thread_leaves_nothing_of_it_and_is_for_those_who_may_write() {
    let bot = Bot::start_with(&[("THREADBOX_ALLOW", "read")]).await;
    let (gone, stays) = (bot.issue("Title of CANARYTHREAD").await, bot.issue("Another").await);
    plant(&bot, &gone, "CANARYTHREAD").await;
    hears(&bot, &gone, "ada", "@threadbox and CANARYADA", "CANARYADA it is.").await;
    hears(&bot, &stays, "ada", "@threadbox keepsake", "Kept.").await;
    let no = told(&bot, &gone, "eve", "@threadbox forget this thread").await;
    assert!(no.contains("write permission on this repository") && no.contains("forget everything I said here"), "{no}");
    assert_eq!(bot.count("select count(*) from forgettings").await, 0);
    assert!(found(&bot, "CANARYTHREAD").await.len() > 10, "it stands in many places");

    let said = told(&bot, &gone, "maya", "@threadbox forget this thread, please").await;
    assert!(said.contains("I forget this conversation: 3 messages, 2 answers of mine"), "{said}");
    assert!(said.contains("What stands on GitHub stays there"), "{said}");
    forgotten(&bot).await;
    for word in ["CANARYTHREAD", "CANARYADA"] {
        assert_gone(&bot, word).await;
    }
    bot.until_count("select count(*) from sandboxes where base is not null or checkpoint is not null or checkout is not null", 0)
        .await;
    assert!(!found(&bot, "keepsake").await.is_empty());
    assert_eq!(bot.count("select count(*) from runs where state = 'posted' and outcome->>'outcome' = 'answered'").await, 3);
    assert!(bot.our_comments(&gone).iter().any(|comment| comment.body().contains("CANARYTHREAD")), "GitHub's is GitHub's");

    // Said once more there is nothing left, and what is delivered again does not come back.
    let last = bot.github.world(|world| world.deliveries().last().unwrap().id);
    bot.github.redeliver(last).await.unwrap();
    let nothing = told(&bot, &gone, "maya", "@threadbox forget this conversation").await;
    assert!(nothing.contains("nothing of this conversation"), "{nothing}");
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYTHREAD").await;
    bot.finish().await;
}

#[tokio::test]
async fn a_run_at_work_in_a_thread_that_is_forgotten_is_stopped_and_goes_at_its_end() {
    let bot = Bot::start().await;
    let issue = bot.issue("At work").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("About CANARYWORK."))]);
    bot.says(&issue, "ada", "@threadbox think about CANARYWORK").await;
    bot.model.arrived(1).await;
    let said = told(&bot, &issue, "maya", "@threadbox forget this conversation").await;
    assert!(said.contains("1 run is at work and was asked to stop"), "{said}");
    bot.until_count("select count(*) from runs where stop_requested_by is not null", 1).await;
    gate.open();
    bot.idle().await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYWORK").await;
    bot.finish().await;
}

#[tokio::test]
async fn everything_i_said_goes_wherever_it_was_said_and_what_others_said_stays() {
    let bot = Bot::start().await;
    let (first, second) = (bot.issue("First").await, bot.issue("Second").await);
    plant(&bot, &first, "CANARYMINE").await;
    hears(&bot, &first, "ada", "@threadbox ADASWORDS", "Hello to ADASWORDS, says CANARYNOT.").await;
    hears(&bot, &second, "maya", "@threadbox CANARYELSEWHERE", "CANARYELSEWHERE, yes.").await;
    let said = told(&bot, &second, "maya", "@threadbox forget everything I said").await;
    assert!(said.contains("I forget what you said, in all conversations here and elsewhere: 2 messages, 2 answers"), "{said}");
    assert!(said.contains("What others said stays theirs"), "{said}");
    forgotten(&bot).await;
    for word in ["CANARYMINE", "CANARYELSEWHERE"] {
        assert_gone(&bot, word).await;
    }
    assert!(!found(&bot, "ADASWORDS").await.is_empty() && !found(&bot, "CANARYNOT").await.is_empty(), "Ada's stays");
    // Who takes words back is no new customer: what was spent is still theirs.
    assert_eq!(bot.count("select count(*) from ledger where requester = 'maya' and purpose = 'step'").await, 4);
    bot.finish().await;
}

#[tokio::test]
async fn what_i_said_here_goes_and_what_i_said_elsewhere_stays() {
    let bot = Bot::start().await;
    let (here, elsewhere) = (bot.issue("Here").await, bot.issue("Elsewhere").await);
    hears(&bot, &here, "maya", "@threadbox CANARYHERE", "CANARYHERE.").await;
    hears(&bot, &elsewhere, "maya", "@threadbox keepsake", "Kept.").await;
    let said = told(&bot, &here, "maya", "@threadbox forget everything I said here").await;
    assert!(said.contains("I forget what you said in this conversation: 1 message, 1 answer of mine"), "{said}");
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYHERE").await;
    assert!(!found(&bot, "keepsake").await.is_empty());
    bot.finish().await;
}

#[tokio::test]
async fn whoever_has_no_permission_takes_back_what_they_said_and_is_told_no_more_than_others() {
    let bot = Bot::start().await;
    let issue = bot.issue("Open to all").await;
    let shown = told(&bot, &issue, "eve", "@threadbox CANARYEVE").await;
    assert!(shown.contains("CANARYEVE"), "somebody may approve it: {shown}");
    let said = told(&bot, &issue, "eve", "@threadbox forget everything I said").await;
    assert!(said.contains("I forget what you said") && said.contains("1 message"), "{said}");
    forgotten(&bot).await;
    bot.until_count("select count(*) from approvals where state = 'waiting' or not told", 0).await;
    forgotten(&bot).await;
    assert_gone(&bot, "CANARYEVE").await;
    // With nothing of hers left she is like anybody who may not ask: told so once in an hour at most.
    let before = bot.our_comments(&issue).len();
    for _ in 0..3 {
        bot.says(&issue, "eve", "@threadbox forget everything I said").await;
        bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    }
    assert_eq!(bot.our_comments(&issue).len(), before, "the request that waited for approval was the word of this hour");
    let nothing = told(&bot, &issue, "maya", "@threadbox forget everything I said").await;
    assert!(nothing.contains("nothing you said"), "{nothing}");
    bot.finish().await;
}
