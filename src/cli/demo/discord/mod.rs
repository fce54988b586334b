//! What happens on Discord in the demo: a table becomes a chart, and one conversation goes on there and on GitHub.

use anyhow::{Context, ensure};

pub use self::town::Town;
use self::town::has_button;
use super::project::{FUEL, REPOSITORY};
use super::scenes::{comment_by, heading, pulls_of_ours, show_pull};
use super::{COLLEAGUE, PATIENCE, PERSON, print_indented};
use crate::standin::discord::Id;
use crate::standin::github::{GithubStandin, IssueRef};
use crate::standin::model::Gate;

pub mod script;
mod town;

/// A question with a file: a plan, a yes by a button, and an answer with a picture and a file.
pub async fn chart(town: &Town) -> anyhow::Result<()> {
    town.discord.connected(PATIENCE).await?;
    heading("A table on Discord, in #flight-data");
    let asked = town.says(town.data, script::CHART, &[("burns.csv", script::BURNS)])?;
    // A thread has the number of the message it was opened from.
    let plan = town.answer(asked, asked, "the plan", |message| has_button(message, "Approve")).await?;
    town.show(&plan);
    println!("\n@{PERSON} presses “Approve”.");
    town.discord.press_labelled(plan.id, town.person, "Approve")?;
    let answer = town.answer(asked, plan.id, "the answer", |message| has_button(message, "Retry")).await?;
    town.show(&answer);
    ensure!(answer.content.contains("4484 kg in 4 burns"), "the answer does not say what the table holds");
    let file = |name: &str| answer.attachments.iter().find(|file| file.name == name).map(|file| file.bytes.clone());
    let (picture, table) = (file("fuel.png").context("no chart")?, file("fuel.csv").context("no table")?);
    ensure!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "the chart is no picture");
    ensure!(table.starts_with(b"burn,kg"), "the table is not the one that was made");
    Ok(())
}

/// A conversation that begins on Discord, is steered on GitHub, and lands in a pull request that is seen in both.
pub async fn both(town: &Town, github: &GithubStandin, steered: &Gate) -> anyhow::Result<()> {
    heading("One conversation, on Discord and on GitHub");
    let (issue, _) = github.open_issue(REPOSITORY, COLLEAGUE, "What is a rate of zero?", "Somebody will try it.").await?;
    who_is_who(town, github, &issue).await?;
    let thread = joined(town, github, &issue).await?;
    let asked = town.says(thread, script::FIX, &[])?;
    let shown = ours_with(github, &issue, "asked [on Discord]").await?;
    println!("\nWhile it works, {REPOSITORY}#{} shows:\n", issue.number);
    print_indented(&shown);
    let steer = comment_by(github, &issue, COLLEAGUE, script::STEER).await?;
    let seen = github.wait_for("the eyes", PATIENCE, |world| {
        let ours = world.our_login();
        world.reactions(&issue, Some(steer)).iter().any(|it| it.user == ours && it.content == "eyes").then_some(())
    });
    seen.await?;
    steered.open();
    let answer = town.answer(thread, asked, "the answer", |message| has_button(message, "Retry")).await?;
    town.show(&answer);
    let shown = ours_with(github, &issue, "landed in").await?;
    println!("\nAnd on {REPOSITORY}#{}:\n", issue.number);
    print_indented(&shown);
    let pulls = pulls_of_ours(github);
    let pull = pulls.last().context("there is no pull request")?;
    show_pull(pull);
    let number = format!("#{}", pull.issue.number);
    ensure!(shown.contains(&number), "the issue does not show the pull request");
    ensure!(answer.embeds.iter().any(|embed| embed.to_string().contains(&number)), "Discord does not show the pull request");
    let file = github.world(|world| world.file(REPOSITORY, &pull.head_branch, FUEL)).context("the file is gone")?;
    ensure!(file.contains(script::NEW_LINES), "what was said on GitHub did not count: {file}");
    Ok(())
}

/// GitHub says who somebody on Discord is there.
async fn who_is_who(town: &Town, github: &GithubStandin, issue: &IssueRef) -> anyhow::Result<()> {
    let (alone, asked) = town.says_alone("link account")?;
    let told = town.answer(alone, asked, "the code", |message| message.content.contains("link discord-")).await?;
    town.show(&told);
    let code = told.content.lines().find(|line| line.starts_with("@threadbox link discord-")).context("there is no code")?;
    comment_by(github, issue, PERSON, code).await?;
    let linked = ours_with(github, issue, "on GitHub now").await?;
    println!("\nOur comment:\n");
    print_indented(&linked);
    Ok(())
}

/// A thread, which the issue joins.
async fn joined(town: &Town, github: &GithubStandin, issue: &IssueRef) -> anyhow::Result<Id> {
    let address = format!("{}/{REPOSITORY}/issues/{}", github.url(), issue.number);
    let name = "A rate of zero";
    let thread = town.discord.open_thread(town.rocket, town.person, name, None)?;
    println!("\n@{PERSON} opens the thread “{name}” in #rocket.");
    let said = town.says(thread, &format!("@threadbox link {address}"), &[])?;
    let linked = town.answer(thread, said, "the link", |message| message.content.contains("are one now")).await?;
    town.show(&linked);
    Ok(thread)
}

/// Waits for a comment of ours that holds this.
async fn ours_with(github: &GithubStandin, issue: &IssueRef, words: &str) -> anyhow::Result<String> {
    let find = |world: &crate::standin::github::World| {
        let mut bodies = world.our_comments(issue).into_iter().map(|comment| comment.body().to_owned());
        bodies.find(|body| body.contains(words))
    };
    github.wait_for(words, PATIENCE, find).await
}
