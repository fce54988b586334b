//! Reactions as buttons: looked for, counted once, and only from people who may.

use threadbox::standin::github::Fault;
use threadbox::standin::model::{Gate, gated, hang, say};

use crate::support::bot::{Bot, LIMIT};

async fn until_body(bot: &Bot, comment: i64, wanted: &str) {
    let look = |world: &threadbox::standin::github::World| world.comment(comment)?.body().contains(wanted).then_some(());
    bot.github.wait_for(&format!("a comment that says {wanted}"), LIMIT, look).await.unwrap();
}

#[tokio::test]
async fn a_thumb_on_a_plan_carries_it_out_once() {
    let bot = Bot::start().await;
    let issue = bot.issue("Thumbs").await;
    bot.model.script([say("1. Do it.")]);
    let asked = bot.says(&issue, "maya", "@threadbox plan it").await;
    bot.ended(&issue, asked).await;
    let plan = bot.our_comments(&issue)[0].id;
    bot.until_count("select count(*) from approvals where shown is not null", 1).await;
    bot.model.script([say("Done it.")]);
    for who in ["eve", "maya", "ada"] {
        bot.github.react(plan, who, "+1").unwrap();
    }
    bot.hurry().await;
    let answer = bot.our_comment_number(&issue, 2).await;
    until_body(&bot, answer.id, "Done it.").await;
    until_body(&bot, plan, "Approved by ").await;
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    assert_eq!(bot.count("select count(*) from runs").await, 2);
    bot.finish().await;
}

#[tokio::test]
async fn a_thumb_from_before_the_plan_was_shown_does_not_count() {
    let bot = Bot::start().await;
    let issue = bot.issue("Early").await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("1. Do it."))]);
    let asked = bot.says(&issue, "maya", "@threadbox plan it").await;
    bot.model.arrived(1).await;
    let plan = bot.our_comment_number(&issue, 1).await.id;
    bot.github.react(plan, "maya", "+1").unwrap();
    // GitHub's times are whole seconds.
    let second = std::time::Instant::now();
    while second.elapsed() < std::time::Duration::from_millis(1_100) {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(bot.ended(&issue, asked).await, "rocket");
    bot.until_count("select count(*) from approvals where shown is not null", 1).await;
    bot.hurry().await;
    bot.until_count("select count(*) from inbox where verdict = 'a reaction to what is no longer open'", 1).await;
    assert_eq!(bot.count("select count(*) from approvals where state = 'waiting'").await, 1);
    assert_eq!(bot.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_thumb_down_on_a_plan_drops_it() {
    let bot = Bot::start().await;
    let issue = bot.issue("Dropped").await;
    bot.model.script([say("1. Do it.")]);
    let asked = bot.says(&issue, "maya", "@threadbox plan it").await;
    bot.ended(&issue, asked).await;
    let plan = bot.our_comments(&issue)[0].id;
    bot.until_count("select count(*) from approvals where shown is not null", 1).await;
    bot.github.react(plan, "ada", "-1").unwrap();
    bot.hurry().await;
    until_body(&bot, plan, "Declined by ada").await;
    bot.finish().await;
}

#[tokio::test]
async fn a_thumb_down_on_a_live_comment_stops_the_run() {
    let bot = Bot::start().await;
    let issue = bot.issue("Stopped").await;
    bot.model.script([hang()]);
    let asked = bot.says(&issue, "maya", "@threadbox take long").await;
    bot.model.arrived(1).await;
    let live = bot.our_comment_number(&issue, 1).await.id;
    bot.until_count("select count(*) from posts where look_at is not null", 1).await;
    bot.github.react(live, "eve", "-1").unwrap();
    bot.hurry().await;
    bot.until_count("select count(*) from inbox where verdict = 'a reaction of somebody who may not'", 1).await;
    assert_eq!(bot.count("select count(*) from runs where state = 'running'").await, 1);
    bot.github.react(live, "maya", "-1").unwrap();
    bot.hurry().await;
    assert_eq!(bot.ended(&issue, asked).await, "confused");
    until_body(&bot, live, "Stopped by maya").await;
    bot.finish().await;
}

#[tokio::test]
async fn what_waits_for_nothing_is_not_looked_at() {
    let bot = Bot::start().await;
    let issue = bot.issue("Over").await;
    bot.model.script([say("Over.")]);
    bot.asks(&issue, "@threadbox say over").await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.hurry().await;
    bot.until_count("select count(*) from posts where look_at is not null", 0).await;
    bot.finish().await;
}

#[tokio::test]
async fn a_reaction_that_cannot_be_set_yet_does_not_keep_others_waiting() {
    let bot = Bot::start().await;
    let issue = bot.issue("Owed").await;
    bot.model.script([say("One."), say("Two.")]);
    let first = bot.says(&issue, "maya", "@threadbox one").await;
    bot.ended(&issue, first).await;
    let second = bot.says(&issue, "maya", "@threadbox two").await;
    bot.ended(&issue, second).await;
    bot.idle().await;
    let set = |comment: i64| format!("/issues/comments/{comment}/reactions");
    bot.github.inject(Fault::status("POST", &set(first), 502));
    let before = bot.github.requests().len();
    bot.sql("update runs set owes_reaction = 'rocket'").await;
    bot.until_count("select count(*) from runs where owes_reaction is not null", 0).await;
    let tried: Vec<String> = bot.github.requests()[before..]
        .iter()
        .filter(|request| request.method == "POST" && request.path.ends_with("/reactions"))
        .map(|request| request.path.clone())
        .collect();
    let place = |comment: i64| tried.iter().rposition(|path| path.ends_with(&set(comment)));
    assert!(place(second) < place(first), "{tried:?}");
    bot.finish().await;
}
