//! What happens in the demo: people write, and what they see is printed and checked.

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::project::{self, GAUGE, REPOSITORY};
use super::script::{self, FIX, QUESTION, REVIEW, WHY};
use super::{PATIENCE, PERSON, print_indented};
use crate::cli::output::Progress;
use crate::standin::github::{Comment, GithubStandin, IssueRef, NewPull, PullView, ReviewComment};
use crate::standin::model::{Gate, ModelStandin};

/// A question on an issue. With `kill`, the model is shut down in the middle of the run.
pub async fn question(github: &GithubStandin, model: &mut Option<ModelStandin>, gate: &Gate, kill: bool) -> anyhow::Result<()> {
    let title = "How many primes are there below 10,000?";
    let (issue, _) =
        github.open_issue(REPOSITORY, PERSON, title, "We need the number for the hash table sizes in `src/table.rs`.").await?;
    heading(&format!("A question on {REPOSITORY}#{} “{title}”", issue.number));
    let trigger = comment(github, &issue, QUESTION).await?;
    let at_work = github.wait_for("the comment at work", PATIENCE, |world| {
        world.our_comments(&issue).iter().any(|comment| comment.versions.len() > 1).then_some(())
    });
    at_work.await?;
    if kill && let Some(model) = model.take() {
        println!("\nThe model stand-in is shut down now, in the middle of the run.");
        model.shutdown().await;
    } else {
        gate.open();
    }
    let ended = ended(github, &issue, trigger).await;
    let comments = github.world(|world| world.our_comments(&issue));
    comments.iter().for_each(show_stages);
    ensure!(ended? == "rocket", "the run did not end with an answer; the comment above says why");
    ensure!(comments.len() == 1, "there is not exactly one comment");
    Ok(())
}

/// A review of a pull request with three findings: two are proved, one breaks a test.
pub async fn review(github: &GithubStandin) -> anyhow::Result<IssueRef> {
    github.push_to(REPOSITORY, PERSON, "gauge", "Add a fuel gauge", &project::gauge()).await?;
    let (pull, _) = github.open_pull(REPOSITORY, PERSON, &NewPull::of("gauge", "Add a fuel gauge")).await?;
    heading(&format!("A review of {REPOSITORY}#{} “Add a fuel gauge”", pull.number));
    let trigger = comment(github, &pull, REVIEW).await?;
    let ended = ended(github, &pull, trigger).await;
    github.world(|world| world.our_comments(&pull)).iter().for_each(show_last);
    let (reviews, comments) = github.world(|world| (world.reviews(&pull), world.review_comments(&pull)));
    for review in reviews.iter().filter(|review| review.is_ours) {
        println!("\nThe review:\n");
        print_indented(&review.body);
    }
    for comment in &comments {
        println!("\nOn `{}`:\n", comment.path);
        print_indented(comment.body());
    }
    ensure!(ended? == "rocket", "the review did not end with an answer");
    ensure!(reviews.iter().filter(|review| review.is_ours).count() == 1, "there is not exactly one review");
    ensure!(suggestions(&comments).len() == 2, "there are not exactly two suggestions");
    ensure!(reviews.iter().any(|review| review.body.contains("round(fuel / capacity, 2)")), "the third finding is not mentioned");
    Ok(pull)
}

/// A question in the thread of a suggestion, and both suggestions taken with GitHub's button.
pub async fn review_thread(github: &GithubStandin, pull: &IssueRef) -> anyhow::Result<()> {
    let comments = github.world(|world| world.review_comments(pull));
    let suggested = suggestions(&comments);
    let first = suggested.first().context("there is no suggestion")?;
    heading("A question in the review thread");
    print_said(PERSON, WHY);
    let asked = github.reply(first.id, PERSON, WHY).await?;
    ended(github, pull, asked.id).await?;
    let comments = github.world(|world| world.review_comments(pull));
    let answers: Vec<_> = comments.iter().filter(|comment| comment.is_ours && comment.reply_to == Some(first.id)).collect();
    for answer in &answers {
        println!("\nThe answer, in the same thread:\n");
        print_indented(answer.body());
    }
    ensure!(answers.len() == 1, "there is not exactly one answer in the thread");
    let ids: Vec<i64> = suggested.iter().map(|comment| comment.id).collect();
    github.apply_suggestions(&ids, PERSON).await?;
    let file = github.world(|world| world.file(REPOSITORY, "gauge", GAUGE)).context("the file is gone")?;
    println!("\n@{PERSON} takes both suggestions with GitHub's button. `{GAUGE}` is now:\n");
    print_indented(&file);
    ensure!(file.contains("capacity) < limit:") && file.contains(":.0f} %\""), "the suggestions did not become what was meant");
    Ok(())
}

/// A fix that lands as a draft pull request.
pub async fn fix(github: &GithubStandin, model: &ModelStandin) -> anyhow::Result<()> {
    let title = "Burn time is rounded down";
    let (issue, _) = github.open_issue(REPOSITORY, PERSON, title, "`burn_time(10, 4)` is 2; it should be 2.5.").await?;
    heading(&format!("A fix for {REPOSITORY}#{} “{title}”", issue.number));
    let trigger = comment(github, &issue, FIX).await?;
    let ended = ended(github, &issue, trigger).await;
    github.world(|world| world.our_comments(&issue)).iter().for_each(show_last);
    ensure!(ended? == "rocket", "the fix did not end with an answer");
    let pulls = pulls_of_ours(github);
    let [pull] = pulls.as_slice() else { anyhow::bail!("there is not exactly one pull request of ours") };
    show_pull(pull);
    ensure!(pull.draft, "the pull request is not a draft");
    let tree = github.world(|world| world.tree(REPOSITORY, &pull.head_sha)).context("its commit has no files")?;
    let landed: serde_json::Map<_, _> =
        tree.iter().map(|(path, file)| (path.clone(), hex::encode(Sha256::digest(&file.content)).into())).collect();
    let workspace = script::workspace(&model.requests()).context("the workspace was not listed")?;
    ensure!(workspace == serde_json::Value::Object(landed), "the pull request does not hold what the sandbox held: {workspace}");
    println!("\nIts tree is that of the sandbox: {} files, the same byte by byte.", tree.len());
    Ok(())
}

/// The pull requests of the service, oldest first.
pub fn pulls_of_ours(github: &GithubStandin) -> Vec<PullView> {
    let ours = github.our_login();
    github.world(|world| world.pulls(REPOSITORY)).into_iter().filter(|pull| pull.issue.author == ours).collect()
}

pub fn show_pull(pull: &PullView) {
    let kind = if pull.draft { "draft pull request" } else { "pull request" };
    println!("\nThe {kind} #{} “{}” from `{}`:\n", pull.issue.number, pull.issue.title, pull.head_branch);
    print_indented(&pull.issue.body);
    for commit in &pull.commits {
        println!("\nCommit {} by {}:\n", &commit.sha[..10], commit.author.name);
        print_indented(&commit.message);
    }
}

fn suggestions(comments: &[ReviewComment]) -> Vec<&ReviewComment> {
    comments.iter().filter(|comment| comment.is_ours && comment.body().contains("```suggestion")).collect()
}

pub fn heading(text: &str) {
    println!("\n{text}\n{}", "─".repeat(text.chars().count()));
}

fn print_said(who: &str, text: &str) {
    println!("\n@{who}:\n");
    print_indented(text);
}

async fn comment(github: &GithubStandin, issue: &IssueRef, text: &str) -> anyhow::Result<i64> {
    comment_by(github, issue, PERSON, text).await
}

/// Somebody comments, which is printed. The comment's number.
pub async fn comment_by(github: &GithubStandin, issue: &IssueRef, who: &str, text: &str) -> anyhow::Result<i64> {
    print_said(who, text);
    let commented = github.comment(issue, who, text).await?;
    let status = commented.sent.status.map_or("no answer".to_owned(), |status| status.to_string());
    println!("\nThe signed webhook was answered with {status}.");
    Ok(commented.id)
}

/// Waits for the reaction that says how the run on a comment ended.
async fn ended(github: &GithubStandin, issue: &IssueRef, trigger: i64) -> anyhow::Result<String> {
    let progress = Progress::spinner("waiting for the answer");
    let end = github.wait_for("the end of the run", PATIENCE, |world| {
        let ours = world.our_login();
        let reactions = world.reactions(issue, Some(trigger));
        reactions.iter().filter(|reaction| reaction.user == ours).map(|reaction| reaction.content.clone()).find(|it| it != "eyes")
    });
    let ended = end.await;
    drop(progress);
    let words = github.world(|world| world.reactions(issue, Some(trigger)));
    println!(
        "\nReactions on what @{PERSON} wrote: {}",
        words.iter().map(|it| it.content.as_str()).collect::<Vec<_>>().join(", ")
    );
    ended
}

fn show_stages(comment: &Comment) {
    let Some((_, stages)) = comment.versions.split_last() else { return };
    for (number, stage) in stages.iter().enumerate() {
        println!("\nOur comment, stage {}:\n", number + 1);
        print_indented(&stage.body);
    }
    show_last(comment);
}

fn show_last(comment: &Comment) {
    println!("\nThe comment became the answer:\n");
    print_indented(comment.body());
}
