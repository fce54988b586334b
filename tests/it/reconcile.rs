//! Webhooks that never arrived are found, and those that did are not done twice.

use std::sync::Arc;

use chrono::TimeDelta;
use threadbox::clock::{Clock, ManualClock, SystemClock};
use threadbox::standin::github::{Expects, Fault, NewComment, NewPull, Node, Options, World};
use threadbox::standin::model::say;

use crate::support::bot::{Bot, LIMIT, REPOSITORY};

/// A bot and its GitHub on one clock that stands still.
async fn stopped_clock(expects: Expects) -> (Bot, ManualClock) {
    let clock = ManualClock::at(SystemClock.now());
    let options = Options { expects, clock: Arc::new(clock.clone()), ..Options::default() };
    let mut bot = Bot::prepare(&[("USER_RUNS_PER_HOUR", "100")], options).await;
    bot.use_clock(Arc::new(clock.clone()));
    bot.model.rule(|request| Some(if request.tools.is_empty() { say("A title") } else { say("Answered.") }));
    (bot, clock)
}

const LOOKED: &str = "select count(*) from lookouts where seen_until is not null and lease_until is null";

#[tokio::test]
async fn deliveries_github_could_not_make_are_found_within_the_minute() {
    let (mut bot, clock) = stopped_clock(Expects::App).await;
    bot.run().await;
    let issue = bot.issue("Lost").await;
    bot.until_count(LOOKED, 1).await;
    bot.github.lose_deliveries(|delivery| delivery.event == "issue_comment");
    let lost = bot.github.comment(&issue, "maya", "@threadbox queue one").await.unwrap();
    let noise = bot.github.comment(&issue, "maya", "nothing for you").await.unwrap();
    assert_eq!((lost.sent.status, noise.sent.status), (None, None));
    bot.github.stop_losing_deliveries();
    clock.advance(TimeDelta::minutes(2));
    assert_eq!(bot.ended(&issue, lost.id).await, "rocket");
    // GitHub's own redelivery comes late, and so does the same under another id.
    assert_eq!(bot.github.redeliver(lost.sent.delivery).await.unwrap().status, Some(200));
    assert_eq!(bot.github.deliver_again_as_new(lost.sent.delivery).await.unwrap().status, Some(200));
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    assert_eq!(bot.our_comments(&issue).len(), 1);
    // What asked for nothing is not fetched again with every look.
    bot.until_count(LOOKED, 1).await;
    let fetched = |bot: &Bot| bot.github.requests().iter().filter(|r| r.path.starts_with("/app/hook/deliveries/")).count();
    let before = fetched(&bot);
    let lists = |world: &World| world.requests().filter(|request| request.path.starts_with("/app/hook/deliveries?")).count();
    for _ in 0..2 {
        let looked = bot.github.world(lists);
        clock.advance(TimeDelta::minutes(2));
        bot.github.wait_for("another look", LIMIT, |world| (lists(world) > looked).then_some(())).await.unwrap();
        bot.until_count(LOOKED, 1).await;
    }
    assert_eq!(fetched(&bot), before, "a delivery was fetched again");
    bot.finish().await;
}

#[tokio::test]
async fn what_happened_while_nobody_was_there_is_done_at_the_next_start_oldest_first() {
    let (mut bot, clock) = stopped_clock(Expects::App).await;
    bot.run().await;
    let issue = bot.issue("Down").await;
    bot.until_count(LOOKED, 1).await;
    bot.stop().await;
    let mut asked = Vec::new();
    for word in ["one", "two", "three"] {
        clock.advance(TimeDelta::minutes(40));
        asked.push(bot.github.comment(&issue, "maya", &format!("@threadbox queue {word}")).await.unwrap().id);
    }
    clock.advance(TimeDelta::hours(9));
    bot.run().await;
    for comment in &asked {
        bot.ended(&issue, *comment).await;
    }
    bot.until_count("select count(*) from runs where state = 'posted'", 3).await;
    let order: Vec<String> =
        sqlx::query_scalar("select request->>'text' from inbox order by sequence").fetch_all(&bot.database.pool).await.unwrap();
    assert_eq!(order, ["@threadbox queue one", "@threadbox queue two", "@threadbox queue three"]);
    assert_eq!(bot.our_comments(&issue).len(), 3);
    bot.finish().await;
}

#[tokio::test]
async fn a_long_list_is_looked_through_page_by_page() {
    let (mut bot, clock) = stopped_clock(Expects::App).await;
    bot.run().await;
    let issue = bot.issue("Many").await;
    bot.until_count(LOOKED, 1).await;
    bot.stop().await;
    let asked = bot.github.comment(&issue, "maya", "@threadbox first of all").await.unwrap();
    for number in 0..250 {
        bot.github.comment(&issue, "maya", &format!("noise {number}")).await.unwrap();
    }
    let last = bot.github.comment(&issue, "maya", "@threadbox queue last of all").await.unwrap();
    clock.advance(TimeDelta::hours(1));
    bot.run().await;
    // The clock stands still: nothing waits for the next look.
    bot.ended(&issue, asked.id).await;
    bot.ended(&issue, last.id).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    bot.finish().await;
}

#[tokio::test]
async fn without_a_list_comments_are_looked_for_and_a_late_webhook_is_known() {
    let (mut bot, clock) = stopped_clock(Expects::Token).await;
    bot.github.push(REPOSITORY, "Begin", &[("src/lib.rs", Node::from("fn one() {}\n"))]).unwrap();
    bot.run().await;
    let issue = bot.issue("Polled").await;
    bot.asks(&issue, "@threadbox hello").await;
    bot.until_count("select count(*) from lookouts", 1).await;
    let main = bot.github.world(|world| world.branch(REPOSITORY, "main")).unwrap();
    bot.github.create_branch(REPOSITORY, "maya", "work", &main).await.unwrap();
    let changed = [("src/lib.rs", Some(Node::from("fn two() {}\n")))];
    bot.github.push_to(REPOSITORY, "maya", "work", "Two", &changed).await.unwrap();
    let (pull, _) = bot.github.open_pull(REPOSITORY, "maya", &NewPull::of("work", "Two")).await.unwrap();

    clock.advance(TimeDelta::seconds(10));
    bot.github.lose_deliveries(|delivery| delivery.event.ends_with("comment"));
    let plain = bot.github.comment(&issue, "maya", "@threadbox queue plain").await.unwrap();
    let edited = bot.github.comment(&issue, "maya", "@threadbox queue first words").await.unwrap();
    let added = bot.github.comment(&issue, "maya", "first without a mention").await.unwrap();
    let review =
        bot.github.review_comment(&pull, "maya", NewComment::on("src/lib.rs", 1, "@threadbox queue line")).await.unwrap();
    clock.advance(TimeDelta::seconds(10));
    let edit = bot.github.edit_comment(edited.id, "maya", "@threadbox queue second words").await.unwrap();
    let adding = bot.github.edit_comment(added.id, "maya", "@threadbox queue with a mention").await.unwrap();
    bot.github.stop_losing_deliveries();
    clock.advance(TimeDelta::minutes(2));
    for comment in [plain.id, edited.id, added.id] {
        assert_eq!(bot.ended(&issue, comment).await, "rocket");
    }
    assert_eq!(bot.ended(&pull, review.id).await, "rocket");
    bot.until_count("select count(*) from runs where state = 'posted'", 5).await;
    // All of their webhooks come after all.
    for delivery in
        [plain.sent.delivery, edited.sent.delivery, edit.delivery, added.sent.delivery, adding.delivery, review.sent.delivery]
    {
        bot.github.redeliver(delivery).await.unwrap();
    }
    clock.advance(TimeDelta::minutes(2));
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    bot.idle().await;
    assert_eq!(bot.count("select count(*) from runs").await, 5, "nothing was done twice");
    assert_eq!(bot.our_comments(&issue).len(), 4);
    bot.finish().await;
}

#[tokio::test]
async fn one_replica_at_a_time_looks() {
    let (mut bot, _clock) = stopped_clock(Expects::App).await;
    bot.sql("insert into lookouts (name, lease_until, next_look_at) values ('deliveries', now() + interval '1 hour', now() - interval '1 day')")
        .await;
    bot.run().await;
    let issue = bot.issue("Lease").await;
    bot.asks(&issue, "@threadbox hello").await;
    assert!(!bot.github.requests().iter().any(|request| request.path.contains("/app/hook/deliveries")), "somebody else looks");
    bot.sql("update lookouts set lease_until = now() - interval '1 second'").await;
    bot.until_count(LOOKED, 1).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    bot.finish().await;
}

#[tokio::test]
async fn a_comment_that_was_edited_twice_is_asked_for_once_whether_a_list_or_a_webhook_tells_of_it_first() {
    let (mut bot, clock) = stopped_clock(Expects::Token).await;
    bot.run().await;
    let issue = bot.issue("Edited").await;
    bot.asks(&issue, "@threadbox hello").await;
    bot.until_count("select count(*) from lookouts", 1).await;
    let seconds = |seconds| clock.advance(TimeDelta::seconds(seconds));
    seconds(10);
    let (told, listed) = (
        bot.github.comment(&issue, "maya", "wait").await.unwrap().id,
        bot.github.comment(&issue, "maya", "wait, too").await.unwrap().id,
    );
    seconds(10);
    // One mention is told of, and then only a list knows of the typo that was mended; of the other the list knows first.
    bot.github.edit_comment(told, "maya", "@threadbox queue teh first").await.unwrap();
    bot.github.lose_deliveries(|delivery| delivery.event == "issue_comment");
    let late = bot.github.edit_comment(listed, "maya", "@threadbox queue teh second").await.unwrap();
    seconds(10);
    bot.github.edit_comment(told, "maya", "@threadbox queue the first").await.unwrap();
    bot.github.edit_comment(listed, "maya", "@threadbox queue the second").await.unwrap();
    bot.github.stop_losing_deliveries();
    clock.advance(TimeDelta::minutes(2));
    for comment in [told, listed] {
        bot.ended(&issue, comment).await;
    }
    bot.until_count(LOOKED, 1).await;
    bot.github.redeliver(late.delivery).await.unwrap();
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    bot.idle().await;
    assert_eq!(bot.count("select count(*) from runs").await, 3);
    bot.finish().await;
}

#[tokio::test]
async fn one_delivery_that_cannot_be_had_does_not_keep_the_others_out() {
    let (mut bot, clock) = stopped_clock(Expects::App).await;
    bot.run().await;
    let issue = bot.issue("Broken").await;
    bot.until_count(LOOKED, 1).await;
    bot.github.lose_deliveries(|delivery| delivery.event == "issue_comment");
    let broken = bot.github.comment(&issue, "maya", "@threadbox queue one").await.unwrap();
    let other = bot.github.comment(&issue, "maya", "@threadbox queue two").await.unwrap();
    bot.github.stop_losing_deliveries();
    bot.github.inject(Fault::status("GET", &format!("/app/hook/deliveries/{}", broken.sent.delivery), 422));
    clock.advance(TimeDelta::minutes(2));
    assert_eq!(bot.ended(&issue, other.id).await, "rocket");
    assert_eq!(bot.count("select count(*) from inbox").await, 1);
    // It is not forgotten.
    bot.until_count("select count(*) from lookouts where failures = 1", 1).await;
    clock.advance(TimeDelta::minutes(10));
    assert_eq!(bot.ended(&issue, broken.id).await, "rocket");
    bot.finish().await;
}

#[tokio::test]
async fn a_closing_that_comes_late_does_not_close_what_was_opened_again() {
    let (mut bot, clock) = stopped_clock(Expects::Token).await;
    bot.run().await;
    let issue = bot.issue("Closed once").await;
    bot.asks(&issue, "@threadbox hello").await;
    bot.github.lose_deliveries(|delivery| delivery.action == "closed");
    let closed = bot.github.close(&issue, "maya").await.unwrap();
    bot.github.stop_losing_deliveries();
    clock.advance(TimeDelta::seconds(10));
    bot.github.reopen(&issue, "maya").await.unwrap();
    bot.asks(&issue, "@threadbox are you still there?").await;
    bot.idle().await;
    bot.github.redeliver(closed[0].delivery).await.unwrap();
    assert_eq!(bot.count("select count(*) from threads where state = 'open'").await, 1);
    // In time it does.
    clock.advance(TimeDelta::seconds(10));
    bot.github.close(&issue, "maya").await.unwrap();
    assert_eq!(bot.count("select count(*) from threads where state = 'closed'").await, 1);
    bot.finish().await;
}
