//! Answers that are lost, calls that fail, and calls that never return: one branch, one pull request, nothing twice.

use threadbox::standin::github::Fault;

use super::*;

/// What landing asks of GitHub, in order.
const STEPS: [(&str, &str); 7] = [
    ("GET", "/git/trees/"),
    ("POST", "/git/blobs"),
    ("POST", "/git/trees"),
    ("POST", "/git/commits"),
    ("POST", "/git/refs"),
    ("GET", "/pulls?"),
    ("POST", "/pulls"),
];

async fn landed_once(bot: &Bot, issue: &IssueRef, what: &str) {
    let pull = one_pull(bot);
    assert_eq!((pull.commits.len(), branches(bot).len()), (1, 2), "{what}");
    assert_eq!(tree(bot, &pull.head_sha), sandbox(bot, &["vendor"]), "{what}");
    assert_eq!(bot.count("select count(*) from landings where state = 'landed'").await, 1, "{what}");
    assert_eq!(bot.count("select count(*) from surfaces").await, 2, "{what}");
    let said = bot.our_comments(issue).iter().filter(|comment| comment.body().contains("Opened draft")).count();
    assert_eq!(said, 1, "{what}");
}

#[tokio::test]
async fn lost_answers_double_nothing() {
    for (method, path) in STEPS {
        let (bot, issue) = begin().await;
        bot.github.inject(Fault::answer_lost(method, path));
        let answer = lands(&bot, &issue, "echo one > one; printf '\\0' > two", "One").await;
        if pulls(&bot).is_empty() {
            assert!(answer.contains("ask me again with `pr`"), "{method} {path}: {answer}");
            bot.model.script([say("Again.")]);
            bot.asks(&issue, "@threadbox pr").await;
        }
        landed_once(&bot, &issue, &format!("{method} {path}")).await;
        bot.finish().await;
    }
}

#[tokio::test]
async fn calls_that_fail_are_made_again_or_said() {
    for (method, path) in STEPS {
        let (bot, issue) = begin().await;
        bot.github.inject(Fault::status(method, path, 502));
        lands(&bot, &issue, "echo one > one; printf '\\0' > two", "One").await;
        if pulls(&bot).is_empty() {
            bot.model.script([say("Again.")]);
            bot.asks(&issue, "@threadbox pr").await;
        }
        landed_once(&bot, &issue, &format!("{method} {path}")).await;
        bot.finish().await;
    }
}

#[tokio::test]
async fn a_service_that_ends_in_the_middle_of_a_call_goes_on_from_there() {
    for (method, path) in STEPS {
        let (mut bot, issue) = prepare().await;
        bot.run().await;
        bot.github.inject(Fault::hang(method, path));
        bot.model.script([
            call("runCommand", json!({ "command": "echo one > one; printf '\\0' > two" })),
            call("openPullRequest", json!({ "title": "One", "body": "" })),
            say("Done."),
        ]);
        let comment = bot.says(&issue, "maya", "@threadbox pr").await;
        arrived(&bot, method, path).await;
        bot.stop().await;
        bot.run().await;
        bot.hurry().await;
        bot.ended(&issue, comment).await;
        landed_once(&bot, &issue, &format!("{method} {path}")).await;
        bot.finish().await;
    }
}

#[tokio::test]
async fn a_branch_that_moves_under_us_is_taken_as_it_is() {
    let (bot, issue) = begin().await;
    lands(&bot, &issue, "echo one > one", "One").await;
    let pull = one_pull(&bot);
    bot.github.inject(Fault::answer_lost("PATCH", "/git/refs/"));
    lands(&bot, &issue, "echo two > two", "Two").await;
    assert_eq!(one_pull(&bot).commits.len(), 2);
    assert_eq!(tree(&bot, &pull.head_branch), sandbox(&bot, &["vendor"]));
    bot.finish().await;
}

#[tokio::test]
async fn a_pull_request_that_cannot_be_opened_yet_opens_later() {
    let (bot, issue) = begin().await;
    // Both attempts of the run, and the first one after it.
    bot.github.inject(Fault::status("POST", "/pulls", 502).times(7));
    let answer = lands(&bot, &issue, "echo one > one", "One").await;
    assert!(answer.contains("is pushed; its pull request is not open yet") && !answer.contains("Nothing landed"), "{answer}");
    let open = |world: &World| world.pulls(REPOSITORY).into_iter().next();
    let pull = bot.github.wait_for("the pull request", LIMIT, open).await.unwrap();
    bot.until_count("select count(*) from landings where state = 'landing' and pull_request is not null", 1).await;
    lands(&bot, &issue, "echo two > two", "Two").await;
    let now = one_pull(&bot);
    assert_eq!((now.issue.number, now.commits.len(), branches(&bot).len()), (pull.issue.number, 2, 2));
    assert_eq!(tree(&bot, &now.head_sha), sandbox(&bot, &["vendor"]));
    bot.finish().await;
}

#[tokio::test]
async fn what_joins_while_work_lands_lands_as_well() {
    let (bot, issue) = begin().await;
    let mut held = bot.database.pool.begin().await.unwrap();
    sqlx::query("lock table landings in exclusive mode").execute(&mut *held).await.unwrap();
    bot.model.script([
        call("runCommand", json!({ "command": "echo one > one" })),
        say("One."),
        call("runCommand", json!({ "command": "echo two > two" })),
        say("Two."),
    ]);
    let comment = bot.says(&issue, "maya", "@threadbox pr").await;
    arrived(&bot, "POST", "/git/commits").await;
    bot.says(&issue, "maya", "@threadbox and a second one").await;
    bot.until_count("select sum(arrivals)::bigint from runs", 1).await;
    held.rollback().await.unwrap();
    bot.ended(&issue, comment).await;
    let pull = one_pull(&bot);
    let there = |path: &str| text(&bot, &pull.head_branch, path);
    assert_eq!((there("one"), there("two")), (Some("one\n".into()), Some("two\n".into())));
    bot.finish().await;
}
