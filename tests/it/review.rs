//! Reviews: one for each run, with suggestions that were proved; what happens to them when the pull request goes on; and that lost
//! answers and killed workers double nothing.

use serde_json::{Value, json};
use threadbox::secret::ExposeSecret;
use threadbox::standin::github::{Fault, IssueRef, NewPull, Node, Options, ReviewComment};
use threadbox::standin::model::{Gate, RecordedRequest, Turn, call, calls, gated, say};

use crate::support::bot::{Bot, LIMIT, REPOSITORY, service_environment};
use crate::support::database::passable_dir;
use crate::support::service::Service;

const BEFORE: &str = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n";
const AFTER: &str =
    "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a * b\n\n\ndef mul(a, b):\n    return a / b\n";
/// Fails while anything in the program is called broken.
const TEST: &str = "! grep -q broken app.py";

fn toml(test: &str) -> String {
    format!("[sandbox]\ntest = '{test}'\n")
}

/// A pull request that breaks a program, in a repository that is tested with `test`.
async fn pull(bot: &Bot, test: Option<&str>) -> IssueRef {
    let file = test.map(toml).unwrap_or_default();
    let files: Vec<(&str, Node)> = vec![("app.py", BEFORE.into()), (".github/threadbox.toml", file.as_str().into())];
    bot.github.push(REPOSITORY, "Before", &files).unwrap();
    push(bot, AFTER).await;
    bot.github.open_pull(REPOSITORY, "maya", &NewPull::of("work", "Change the arithmetic")).await.unwrap().0
}

async fn push(bot: &Bot, program: &str) -> String {
    bot.github.push_to(REPOSITORY, "maya", "work", "Change it", &[("app.py", Some(program.into()))]).await.unwrap().0
}

fn finding(rule: &str, original: &str, replacement: &str) -> Value {
    json!({
        "path": "app.py", "original": original, "replacement": replacement, "body": format!("This is about {rule}."),
        "rule": rule, "severity": "important",
    })
}

fn add() -> Value {
    finding("wrong-sum", "def add(a, b):\n    return a - b", "def add(a, b):\n    return a + b")
}

fn sub() -> Value {
    finding("wrong-difference", "    return a * b", "    return a - b")
}

fn mul() -> Value {
    finding("wrong-product", "    return a / b", "    return broken(a, b)")
}

fn suggest(findings: &[Value]) -> Turn {
    call("suggestChanges", json!({ "findings": findings }))
}

/// Maya asks for a review that finds this; returns the answer.
async fn review(bot: &Bot, pull: &IssueRef, findings: &[Value]) -> String {
    bot.model.script([suggest(findings), say("I read it all.")]);
    bot.asks(pull, "@threadbox review").await
}

/// Waits until the model was asked that often.
async fn asked(bot: &Bot, times: usize) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.asked().len() < times {
        assert!(tokio::time::Instant::now() < deadline, "the model was not asked {times} times");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn comments(bot: &Bot, pull: &IssueRef) -> Vec<ReviewComment> {
    bot.github.world(|world| world.review_comments(pull))
}

fn bodies(bot: &Bot, pull: &IssueRef) -> Vec<String> {
    bot.github.world(|world| world.reviews(pull)).into_iter().map(|review| review.body).collect()
}

fn told(bot: &Bot) -> String {
    let last = bot.asked().pop().unwrap();
    last.messages.iter().flat_map(|message| &message.results).next_back().unwrap().text.clone()
}

/// The comment about a rule.
fn about<'a>(comments: &'a [ReviewComment], rule: &str) -> &'a ReviewComment {
    let about: Vec<&ReviewComment> =
        comments.iter().filter(|comment| comment.body().contains(&format!("This is about {rule}."))).collect();
    assert_eq!(about.len(), 1, "{rule}: {comments:#?}");
    about[0]
}

#[tokio::test]
async fn a_review_that_a_ceiling_ended_says_the_rest_when_it_goes_on() {
    let bot = Bot::start_with(&[("RUN_BUDGET_USD", "0.001")]).await;
    let pull = pull(&bot, None).await;
    bot.model.script([suggest(&[add()])]);
    let answer = bot.asks(&pull, "@threadbox review").await;
    assert!(answer.contains("Ended at the cost limit"), "{answer}");
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    let first = bot.github.world(|world| world.review_comments(&pull)).len();

    bot.model.script([suggest(&[add(), sub()]), say("I read the rest.")]);
    bot.says(&pull, "ada", "@threadbox budget 5").await;
    bot.until_count("select count(*) from runs where state = 'posted' and outcome->>'outcome' = 'answered'", 1).await;
    let comments = bot.github.world(|world| world.review_comments(&pull));
    let about = |rule: &str| comments.iter().filter(|comment| comment.body().contains(rule)).count();
    assert_eq!((about("wrong-sum"), about("wrong-difference"), comments.len()), (1, 1, 2), "{first} at first");
    let reviews = bot.github.world(|world| world.reviews(&pull)).len();
    assert_eq!(reviews, if first == 0 { 1 } else { 2 });
    bot.finish().await;
}

#[tokio::test]
async fn a_review_has_proved_suggestions_and_says_what_it_could_not_prove() {
    let bot = Bot::start_as_app("").await;
    let pull = pull(&bot, Some(TEST)).await;
    let answer = review(&bot, &pull, &[add(), sub(), mul()]).await;
    let told = told(&bot);
    assert!(told.contains("suggestion, proved") && told.contains("fails with it (exit 1)"), "{told}");
    let [body] = &bodies(&bot, &pull)[..] else { panic!("one review") };
    assert!(body.contains("2 suggestions, 1 finding below") && body.contains(&format!("`{TEST}`: exit 0")), "{body}");
    assert!(body.contains("fails with it (exit 1)") && body.contains("+    return broken(a, b)"), "{body}");
    assert!(answer.contains("I read it all.") && answer.contains("2 proved suggestions, 1 further finding"), "{answer}");
    assert!(answer.contains("#pullrequestreview-"), "{answer}");

    let posted = comments(&bot, &pull);
    assert_eq!(posted.len(), 2);
    bot.github.apply_suggestions(&[posted[0].id, posted[1].id], "maya").await.unwrap();
    let now = bot.github.world(|world| world.file(REPOSITORY, "work", "app.py")).unwrap();
    assert_eq!(now, AFTER.replace("return a - b", "return a + b").replace("return a * b", "return a - b"));

    let head = posted[0].original_commit.clone();
    let checks = bot.github.world(|world| world.check_runs(REPOSITORY, &head));
    let [check] = &checks[..] else { panic!("one check: {checks:#?}") };
    assert_eq!((check.status.as_str(), check.conclusion.as_deref()), ("completed", Some("neutral")));
    assert_eq!(check.title.as_deref(), Some("3 open findings"));
    assert!(
        bot.sandboxes().iter().all(|name| !bot
            .settings
            .data_dir
            .join("sandboxes")
            .join(name)
            .join("workspace/.threadbox-review")
            .exists())
    );
    bot.finish().await;
}

#[tokio::test]
async fn nothing_found_is_said_and_not_silent() {
    let bot = Bot::start_as_app("").await;
    let pull = pull(&bot, None).await;
    bot.model.script([say("It is fine.")]);
    let answer = bot.asks(&pull, "@threadbox review").await;
    assert!(
        answer.contains("It is fine.") && answer.contains("1 changed file") && answer.contains("nothing new to suggest"),
        "{answer}"
    );
    assert_eq!(bodies(&bot, &pull), Vec::<String>::new());
    let head = bot.github.world(|world| world.branch(REPOSITORY, "work")).unwrap();
    let checks = bot.github.world(|world| world.check_runs(REPOSITORY, &head));
    assert_eq!(checks.len(), 1);
    assert_eq!((checks[0].conclusion.as_deref(), checks[0].title.as_deref()), (Some("success"), Some("Nothing to suggest")));
    let opening = bot.asked()[0].messages[0].text.clone();
    assert!(
        opening.contains("modified app.py +") && opening.contains("return a / b") && opening.contains("This run reviews"),
        "{opening}"
    );

    // Asked again, it is not done again, and the model is not asked.
    let asked = bot.asked().len();
    let answer = bot.asks(&pull, "@threadbox review").await;
    assert!(answer.contains("Nothing that the pull request changes is different"), "{answer}");
    assert_eq!(bot.asked().len(), asked);
    bot.finish().await;
}

#[tokio::test]
async fn the_formatter_of_the_repository_has_the_last_word() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    let file = "[sandbox]\nformat = \"sed -i 's/( /(/' app.py\"\n";
    let files: Vec<(&str, Node)> = vec![("app.py", BEFORE.into()), (".github/threadbox.toml", file.into())];
    bot.github.push(REPOSITORY, "Format", &files).unwrap();
    review(&bot, &pull, &[finding("wrong-difference", "    return a * b", "    return minus( a, b)")]).await;
    let posted = comments(&bot, &pull);
    let comment = about(&posted, "wrong-difference");
    assert!(
        comment.body().contains("    return minus(a, b)\n") && comment.body().contains("formatted with"),
        "{}",
        comment.body()
    );
    bot.finish().await;
}

#[tokio::test]
async fn the_next_review_repeats_nothing_and_settles_what_changed() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    review(&bot, &pull, &[add(), sub(), finding("wrong-product", "    return a / b", "    return a * b * 1")]).await;
    let first = comments(&bot, &pull);
    assert_eq!(first.len(), 3);
    // One is taken, somebody answered at another, and a person does not want the third.
    let (sum, difference, product) =
        (about(&first, "wrong-sum").id, about(&first, "wrong-difference").id, about(&first, "wrong-product").id);
    bot.github.reply(difference, "maya", "I am not sure.").await.unwrap();
    bot.github.add_reaction(&pull, Some(product), "maya", "-1").unwrap();
    push(&bot, &AFTER.replace("return a - b", "return b + a").replace("return a * b", "return b - a")).await;

    let again = finding("wrong-product", "    return a / b", "    return a * b * 2");
    let new = finding("order", "    return b + a", "    return a + b");
    let answer = review(&bot, &pull, &[again, new]).await;
    let second = comments(&bot, &pull);
    let roots: Vec<&ReviewComment> = second.iter().filter(|comment| comment.reply_to.is_none()).collect();
    assert_eq!(roots.len(), 4, "only the new one is said: {second:#?}");
    assert_eq!(about(&second, "order").original_commit, bot.github.world(|world| world.branch(REPOSITORY, "work")).unwrap());
    bot.github.world(|world| {
        assert!(world.is_resolved(sum), "its code is gone");
        assert!(!world.is_resolved(difference), "somebody talks there");
        assert!(!world.is_resolved(product));
    });
    let replies: Vec<&ReviewComment> =
        second.iter().filter(|comment| comment.is_ours && comment.reply_to == Some(difference)).collect();
    assert_eq!(replies.len(), 1);
    assert!(replies[0].body().contains("The code this was about is gone"), "{}", replies[0].body());
    assert!(answer.contains("did not want it") && answer.contains("2 earlier findings: settled"), "{answer}");
    assert_eq!(bodies(&bot, &pull).iter().filter(|body| body.contains("threadbox:post=review-")).count(), 2);

    // Said again, and still to be seen: not twice.
    push(&bot, &AFTER.replace("return a - b", "return b + a").replace("return a * b", "return b - a - 0")).await;
    let answer = review(&bot, &pull, &[finding("order", "    return b + a", "    return a + b")]).await;
    assert!(answer.contains("not said twice"), "{answer}");
    assert_eq!(comments(&bot, &pull).iter().filter(|comment| comment.is_ours && comment.reply_to.is_none()).count(), 4);
    bot.finish().await;
}

#[tokio::test]
async fn what_github_refuses_is_left_out_and_the_rest_is_posted_once() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    bot.github.inject(Fault::status("POST", "/reviews", 422));
    let answer = review(&bot, &pull, &[add(), sub()]).await;
    let [body] = &bodies(&bot, &pull)[..] else { panic!("one review: {answer}") };
    assert_eq!(comments(&bot, &pull).len(), 1);
    assert!(body.contains("GitHub did not take it on these lines"), "{body}");
    assert!(answer.contains("1 proved suggestion, 1 further finding"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn a_review_github_does_not_take_at_all_is_told_in_the_answer() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    // With everything, without the one, without the other, without both, without the commit.
    bot.github.inject(Fault::status("POST", "/reviews", 422).times(5));
    let answer = review(&bot, &pull, &[add(), sub()]).await;
    assert!(answer.contains("The review could not be posted") && answer.contains("This is about wrong-sum."), "{answer}");
    assert_eq!(bodies(&bot, &pull), Vec::<String>::new());
    bot.finish().await;
}

#[tokio::test]
async fn a_commit_that_was_pushed_over_is_reviewed_in_the_body() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    let gate = Gate::closed();
    bot.model.script([suggest(&[add(), sub()]), gated(&gate, say("I read it all."))]);
    let comment = bot.says(&pull, "maya", "@threadbox review").await;
    asked(&bot, 2).await;
    let changes = [("app.py", Some(Node::from("print('something else')\n")))];
    bot.github.force_push(REPOSITORY, "maya", "work", "main", "Start over", &changes).await.unwrap();
    gate.open();
    bot.ended(&pull, comment).await;
    let [body] = &bodies(&bot, &pull)[..] else { panic!("one review") };
    assert!(body.contains("no longer part of the pull request") && body.contains("This is about wrong-sum."), "{body}");
    assert_eq!(comments(&bot, &pull).len(), 0);
    bot.finish().await;
}

#[tokio::test]
async fn a_pull_request_that_moved_on_keeps_the_comments_at_the_reviewed_commit() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    let gate = Gate::closed();
    bot.model.script([suggest(&[add()]), gated(&gate, say("I read it all."))]);
    let comment = bot.says(&pull, "maya", "@threadbox review").await;
    asked(&bot, 2).await;
    let newer = push(&bot, &format!("{AFTER}\n\nprint(1)\n")).await;
    gate.open();
    bot.ended(&pull, comment).await;
    let [body] = &bodies(&bot, &pull)[..] else { panic!("one review") };
    assert!(body.contains("has moved on since") && body.contains(&newer[..10]), "{body}");
    assert_eq!(comments(&bot, &pull).len(), 1);
    bot.finish().await;
}

/// A pull request that brings this many files of two lines.
async fn large(bot: &Bot, files: usize) -> IssueRef {
    bot.github.push(REPOSITORY, "Before", &[("README.md", "# Big\n".into())]).unwrap();
    let names: Vec<String> = (0..files).map(|n| format!("src/{n:04}.txt")).collect();
    let changes: Vec<(&str, Option<Node>)> = names.iter().map(|name| (name.as_str(), Some("one\ntwo\n".into()))).collect();
    bot.github.push_to(REPOSITORY, "maya", "work", "Much", &changes).await.unwrap();
    bot.github.open_pull(REPOSITORY, "maya", &NewPull::of("work", "Much")).await.unwrap().0
}

fn in_file(n: usize) -> Value {
    let mut one = finding("wrong-number", "two", "2");
    one["path"] = format!("src/{n:04}.txt").into();
    one
}

#[tokio::test]
async fn a_hundred_findings_are_all_told() {
    let bot = Bot::start().await;
    let pull = large(&bot, 100).await;
    let findings: Vec<Value> = (0..100).map(in_file).collect();
    bot.model.script([suggest(&findings[..50]), suggest(&findings[50..]), say("I read it all.")]);
    let answer = bot.asks(&pull, "@threadbox review").await;
    let [body] = &bodies(&bot, &pull)[..] else { panic!("one review: {answer}") };
    assert_eq!(comments(&bot, &pull).len(), 40);
    assert!(body.len() < 65_536 && body.contains("40 suggestions, 60 findings below"), "{body}");
    assert!(answer.contains("100 changed files") && answer.contains("60 further findings"), "{answer}");
    bot.finish().await;
}

#[tokio::test]
async fn a_pull_request_of_three_thousand_files_is_reviewed() {
    let bot = Bot::start().await;
    let pull = large(&bot, 3_000).await;
    let answer = review(&bot, &pull, &[in_file(2_999)]).await;
    assert_eq!(comments(&bot, &pull).len(), 1, "{answer}");
    assert!(answer.contains("3,000 changed files") && answer.contains("does not list all files"), "{answer}");
    let opening = bot.asked()[0].messages[0].text.clone();
    assert!(opening.contains("2,700 more files not listed") && opening.len() < 160_000, "{}", opening.len());
    bot.finish().await;
}

#[tokio::test]
async fn what_moved_is_said_anew_once_and_what_a_person_resolved_is_not() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    review(&bot, &pull, &[add(), sub()]).await;
    let first = comments(&bot, &pull);
    let (sum, difference) = (about(&first, "wrong-sum").id, about(&first, "wrong-difference").id);
    bot.github.resolve_thread(difference, "maya", true).await.unwrap();
    let function = "def add(a, b):\n    return a - b\n\n\n";
    push(&bot, &format!("{}\n\n{}", AFTER.replace(function, ""), function.trim_end())).await;
    assert!(bot.github.world(|world| world.is_outdated(sum)));
    let answer = review(&bot, &pull, &[add(), sub()]).await;
    let second = comments(&bot, &pull);
    let anew: Vec<&ReviewComment> =
        second.iter().filter(|one| one.reply_to.is_none() && one.body().contains("This is about wrong-sum.")).collect();
    assert_eq!(anew.len(), 2, "{answer}: {second:#?}");
    let replies: Vec<&ReviewComment> = second.iter().filter(|one| one.reply_to == Some(sum)).collect();
    assert!(replies.len() == 1 && replies[0].body().contains("Said anew"), "{replies:#?}");
    bot.github.world(|world| assert!(world.is_resolved(sum) && !world.is_resolved(anew[1].id)));
    assert!(answer.contains("said anew at the new lines") && answer.contains("did not want it"), "{answer}");
    assert_eq!(second.iter().filter(|one| one.body().contains("This is about wrong-difference.")).count(), 1);
    bot.finish().await;
}

#[tokio::test]
async fn wrong_findings_are_answered_and_nothing_is_posted_of_them() {
    let bot = Bot::start().await;
    let pull = pull(&bot, None).await;
    let wrong = [
        finding("a", "    return c", "x"),
        finding("b", "def", "x"),
        finding("c", "    return a * b", "    return a * b"),
        json!({"path": "none.py", "original": "x", "body": "y", "rule": "z", "severity": "minor"}),
    ];
    bot.model.script([calls([("suggestChanges", json!({ "findings": wrong }))]), say("Never mind.")]);
    let answer = bot.asks(&pull, "@threadbox review").await;
    let told = told(&bot);
    for part in ["The nearest lines are", "stands there several times", "makes no difference", "there is no such file"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(answer.contains("nothing new to suggest"), "{answer}");
    assert_eq!(bodies(&bot, &pull), Vec::<String>::new());
    bot.finish().await;
}

/// Proposes until it is done, whoever asks: what could not be read may be readable the next time.
fn follow(request: &RecordedRequest) -> Option<Turn> {
    let acted =
        request.messages.iter().flat_map(|message| &message.results).any(|result| result.text.contains("suggestion, proved"));
    Some(match acted {
        _ if request.tools.is_empty() => say("A title"),
        false => suggest(&[add(), sub()]),
        true => say("I read it all."),
    })
}

/// Kills the worker while, or right after, GitHub is asked for this; another one goes on.
async fn killed_at(fault: Fault, what: &str) {
    let bot = Bot::prepare(&[], Options::default()).await;
    bot.model.rule(follow);
    let pull = pull(&bot, Some(TEST)).await;
    let data = passable_dir("threadbox-review-");
    let mut environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    environment.remove("GITHUB_TOKEN");
    environment.insert("GITHUB_APP_ID".into(), bot.github.app_id().to_string());
    environment.insert("GITHUB_APP_PRIVATE_KEY".into(), bot.github.private_key_pem().expose_secret().to_owned());
    let service = Service::start(&environment).await;
    bot.github.deliver_to(format!("{}/webhooks/github", service.url));
    bot.github.inject(fault);
    let comment = bot.says(&pull, "maya", "@threadbox review").await;
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.github.faults_left() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{what} was never asked for");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    service.kill().await;
    for sql in [
        "update threads set lease_until = now() - interval '1 second' where lease_until is not null",
        "update inbox set claimed_until = now() - interval '1 second' where claimed_until is not null",
        "update runs set next_try_at = now() - interval '1 second'",
        "update jobs._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 minute'",
    ] {
        bot.sql(sql).await;
    }
    let service = Service::start(&environment).await;
    bot.github.deliver_to(format!("{}/webhooks/github", service.url));
    assert_eq!(bot.ended(&pull, comment).await, "rocket", "{what}");
    bot.idle().await;
    assert_eq!(bodies(&bot, &pull).len(), 1, "{what}: one review");
    assert_eq!(comments(&bot, &pull).len(), 2, "{what}");
    assert_eq!(bot.our_comments(&pull).len(), 1, "{what}: one answer");
    assert!(bot.our_comments(&pull)[0].body().contains("2 proved suggestions"), "{what}");
    let head = comments(&bot, &pull)[0].original_commit.clone();
    let checks = bot.github.world(|world| world.check_runs(REPOSITORY, &head));
    assert_eq!(checks.len(), 1, "{what}: one check");
    assert_eq!(checks[0].status, "completed", "{what}");
    service.terminate().await;
    bot.finish().await;
}

#[tokio::test]
async fn a_worker_killed_at_any_step_of_a_review_loses_and_doubles_nothing() {
    let steps = [
        ("POST", "/check-runs"),
        ("GET", "/files"),
        ("GET", "/contents/app.py"),
        ("POST", "/reviews"),
        ("GET", "/reviews/"),
        ("PATCH", "/check-runs/"),
    ];
    for (method, path) in steps {
        killed_at(Fault::hang(method, path), &format!("hanging {method} {path}")).await;
        killed_at(Fault::answer_lost(method, path), &format!("lost {method} {path}")).await;
    }
    println!("killed at {} moments of a review: one review, one check, one answer each time", steps.len() * 2);
}

#[tokio::test]
async fn lost_answers_double_nothing() {
    for (method, path) in [("POST", "/reviews"), ("GET", "/reviews/"), ("POST", "/check-runs"), ("PATCH", "/check-runs/")] {
        let bot = Bot::start_as_app("").await;
        let pull = pull(&bot, None).await;
        bot.github.inject(Fault::answer_lost(method, path));
        let answer = review(&bot, &pull, &[add(), sub()]).await;
        assert_eq!(bodies(&bot, &pull).len(), 1, "{method} {path}: {answer}");
        assert_eq!(comments(&bot, &pull).len(), 2, "{method} {path}");
        let head = comments(&bot, &pull)[0].original_commit.clone();
        assert_eq!(bot.github.world(|world| world.check_runs(REPOSITORY, &head)).len(), 1, "{method} {path}");
        bot.finish().await;
    }
}
