//! Every button, where it is shown, after the service was started anew: by those who may and those who may not, twice, and too late.

use serde_json::json;
use threadbox::standin::discord::{Answered, Id, Message, Options, Permissions, World};
use threadbox::standin::model::{Gate, call, gated, say};

use super::{comments, linked, told_code};
use crate::support::bot::{LIMIT, REPOSITORY};
use crate::support::discord_bot::DiscordBot;

/// A bot that listens to `maya` and `ada`, and not to `bob`.
async fn for_operators(environment: &[(&str, &str)]) -> DiscordBot {
    let mut bot = DiscordBot::prepare_with_github(environment, Options::default()).await;
    let role = bot.discord.add_role(bot.guild, "operators", Permissions::NONE, false);
    for name in ["maya", "ada"] {
        bot.discord.add_member(bot.guild, bot.person(name), &[role]);
    }
    if let Some(discord) = &mut bot.settings.discord {
        discord.allow_roles = Some(vec![i64::try_from(role).unwrap()]);
    }
    bot.run().await;
    bot.connected().await;
    bot
}

/// The service ends, and another process begins.
async fn anew(bot: &mut DiscordBot) {
    bot.stop().await;
    bot.run().await;
    bot.connected().await;
}

fn has_button(message: &Message, label: &str) -> bool {
    let buttons = message.components.iter().flat_map(|row| row["components"].as_array().into_iter().flatten());
    buttons.into_iter().any(|button| button["label"] == label)
}

/// Waits for a message of ours with this button.
async fn with_button(bot: &DiscordBot, place: Id, label: &str) -> Message {
    bot.until_ours(place, label, |message| has_button(message, label)).await
}

fn press(bot: &DiscordBot, at: &Message, who: &str, label: &str) -> Id {
    bot.discord.press_labelled(at.id, bot.person(who), label).unwrap()
}

/// What whoever pressed is told for their eyes alone: at once, or by the gate.
async fn whispered(bot: &DiscordBot, pressed: Id) -> String {
    let look = |world: &World| {
        let interaction = world.interaction(pressed)?;
        let message = match &interaction.answered.as_ref()?.0 {
            Answered::Message { ephemeral: true } => interaction.original?,
            Answered::DeferredUpdate => interaction.followups.first().copied()?,
            other => panic!("everybody sees {other:?}"),
        };
        world.message(message).cloned()
    };
    let message = bot.discord.wait_for("a word to who pressed", LIMIT, look).await.unwrap();
    assert_eq!(message.only_for, Some(bot.discord.interaction(pressed).unwrap().user), "{message:?}");
    message.content
}

/// Waits until the model was asked so often that this many turns are left.
async fn until_left(bot: &DiscordBot, left: usize) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.model.left() != left {
        assert!(tokio::time::Instant::now() < deadline, "{} turns are left", bot.model.left());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn until_runs(bot: &DiscordBot, posted: i64) {
    bot.until_count("select count(*) from runs where state = 'posted'", posted).await;
}

#[tokio::test]
async fn retry_after_a_restart_is_for_who_may_ask_and_once_at_a_time() {
    let mut bot = for_operators(&[]).await;
    bot.model.script([say("Because of the moon.")]);
    let thread = bot.says("maya", "@threadbox why?");
    let answer = with_button(&bot, thread, "Retry").await;
    until_runs(&bot, 1).await;
    anew(&mut bot).await;
    let refused = whispered(&bot, press(&bot, &answer, "bob", "Retry")).await;
    assert!(refused.contains("You need a role that I listen to") && refused.contains("`DISCORD_ALLOW_ROLES`"), "{refused}");
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Because of the tide."))]);
    press(&bot, &answer, "ada", "Retry");
    until_left(&bot, 0).await;
    let second = whispered(&bot, press(&bot, &answer, "maya", "Retry")).await;
    assert_eq!(second, "Something newer is at work in this conversation already.");
    gate.open();
    bot.until_ours(thread, "another answer", |message| message.content.contains("tide")).await;
    until_runs(&bot, 2).await;
    bot.finish().await;
}

#[tokio::test]
async fn stop_after_a_restart_stops_the_run_that_goes_on() {
    let mut bot = for_operators(&[]).await;
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Never said.")), gated(&gate, say("Never said either."))]);
    let thread = bot.says("maya", "@threadbox count to a million");
    let live = with_button(&bot, thread, "Stop").await;
    until_left(&bot, 1).await;
    anew(&mut bot).await;
    // It goes on where it was.
    until_left(&bot, 0).await;
    let refused = whispered(&bot, press(&bot, &live, "bob", "Stop")).await;
    assert!(refused.contains("You need a role"), "{refused}");
    let stop = press(&bot, &live, "maya", "Stop");
    bot.until_ours(thread, "that it was stopped", |message| message.content.contains("Stopped by maya")).await;
    assert_eq!(bot.discord.interaction(stop).unwrap().answered.map(|answered| answered.0), Some(Answered::DeferredUpdate));
    until_runs(&bot, 1).await;
    // What is over has no button to stop it any more.
    let over = bot.discord.world(|world| world.message(live.id).cloned()).unwrap();
    assert!(!has_button(&over, "Stop") && has_button(&over, "Retry"), "{over:#?}");
    gate.open();
    bot.finish().await;
}

#[tokio::test]
async fn continue_after_a_restart_goes_on_until_something_newer_was_said() {
    let mut bot = for_operators(&[("RUN_MAX_STEPS", "1")]).await;
    bot.model.script([call("listFiles", json!({ "path": "." }))]);
    let thread = bot.says("maya", "@threadbox look around");
    let ended = with_button(&bot, thread, "Continue").await;
    until_runs(&bot, 1).await;
    anew(&mut bot).await;
    let refused = whispered(&bot, press(&bot, &ended, "bob", "Continue")).await;
    assert!(refused.contains("You need a role"), "{refused}");
    bot.model.script([say("There is nothing here.")]);
    press(&bot, &ended, "maya", "Continue");
    bot.until_ours(thread, "the rest", |message| message.content.contains("There is nothing here.")).await;
    until_runs(&bot, 2).await;
    let late = whispered(&bot, press(&bot, &ended, "maya", "Continue")).await;
    assert_eq!(late, "That is not the last run of this conversation any more. Say what you want next.");
    bot.finish().await;
}

#[tokio::test]
async fn open_pr_after_a_restart_opens_it_in_the_name_of_who_pressed() {
    let mut bot = for_operators(&[]).await;
    bot.github.push(REPOSITORY, "First", &[("src/main.py", "print('lift-off')\n".into())]).unwrap();
    // Roles do not show in direct messages, so it is asked for in the server.
    let asked = bot.says("maya", "@threadbox link account");
    let (conversation, _) = bot.says_alone("maya", "hello");
    let code = told_code(&bot, conversation, asked).await;
    let issue = bot.issue("Who is who").await;
    comments(&bot, &issue, "maya", &format!("@threadbox link {code}")).await;
    linked(&bot, bot.channel, "maya").await;
    bot.model
        .script([call("runCommand", json!({ "command": "echo \"print('LIFT-OFF')\" > src/main.py" })), say("It is louder.")]);
    let thread = bot.says("maya", "@threadbox say it louder");
    let answer = with_button(&bot, thread, "Open PR").await;
    until_runs(&bot, 1).await;
    anew(&mut bot).await;
    let refused = whispered(&bot, press(&bot, &answer, "bob", "Open PR")).await;
    assert!(refused.contains("You need a role"), "{refused}");
    // Ada may ask, and is nobody on GitHub: nothing lands in her name.
    bot.model.script([call("openPullRequest", json!({ "title": "Louder", "body": "As asked." })), say("Tried.")]);
    press(&bot, &answer, "ada", "Open PR");
    bot.until_ours(thread, "what is missing", |message| message.content.contains("link account")).await;
    until_runs(&bot, 2).await;
    assert!(bot.github.world(|world| world.pulls(REPOSITORY)).is_empty());
    bot.model.script([call("openPullRequest", json!({ "title": "Louder", "body": "As asked." })), say("Opened.")]);
    press(&bot, &answer, "maya", "Open PR");
    until_runs(&bot, 3).await;
    let pulls = bot.github.world(|world| world.pulls(REPOSITORY));
    assert_eq!(pulls.len(), 1);
    let commit = bot.github.world(|world| world.commit(REPOSITORY, &pulls[0].head_branch)).unwrap();
    assert!(commit.message.contains("Co-authored-by: maya <"), "{}", commit.message);
    bot.finish().await;
}

#[tokio::test]
async fn approve_and_decline_after_a_restart_are_for_who_may_and_count_once() {
    let mut bot = for_operators(&[]).await;
    bot.model.script([say("1. Tidy up.")]);
    let thread = bot.says("maya", "@threadbox plan tidy up");
    let plan = with_button(&bot, thread, "Approve").await;
    until_runs(&bot, 1).await;
    anew(&mut bot).await;
    for label in ["Approve", "Decline"] {
        let refused = whispered(&bot, press(&bot, &plan, "bob", label)).await;
        assert!(refused.contains("You need a role"), "{label}: {refused}");
    }
    bot.model.script([say("It is tidy.")]);
    // Pressed twice at once it is carried out once.
    press(&bot, &plan, "maya", "Approve");
    press(&bot, &plan, "ada", "Approve");
    bot.until_ours(thread, "what came of it", |message| message.content.contains("It is tidy.")).await;
    until_runs(&bot, 2).await;
    bot.idle().await;
    assert_eq!(bot.count("select count(*) from runs").await, 2);

    bot.model.script([say("1. Burn it down.")]);
    bot.says_in(thread, "maya", "@threadbox plan something else");
    let plan =
        bot.until_ours(thread, "a plan", |message| message.content.contains("Burn") && has_button(message, "Decline")).await;
    until_runs(&bot, 3).await;
    anew(&mut bot).await;
    press(&bot, &plan, "ada", "Decline");
    bot.until_ours(thread, "that it was declined", |message| message.content.contains("Declined by ada")).await;
    bot.idle().await;
    let declined = bot.discord.world(|world| world.message(plan.id).cloned()).unwrap();
    assert!(!has_button(&declined, "Approve") && !has_button(&declined, "Decline"), "{declined:#?}");
    assert_eq!(bot.count("select count(*) from runs").await, 3);
    bot.finish().await;
}

#[tokio::test]
async fn what_was_given_up_is_asked_again_with_a_button() {
    let mut bot = for_operators(&[]).await;
    // As if ten workers had died over it.
    let dying = "create function dying() returns trigger language plpgsql as $$ begin new.attempts = 10; return new; end $$;
                 create trigger dying before insert on inbox for each row execute function dying()";
    bot.sql(dying).await;
    let thread = bot.says("maya", "@threadbox why?");
    let given_up = with_button(&bot, thread, "Retry").await;
    assert!(given_up.content.contains("it is given up"), "{}", given_up.content);
    bot.until_count("select count(*) from inbox where state = 'dead'", 1).await;
    bot.sql("drop trigger dying on inbox").await;
    anew(&mut bot).await;
    let refused = whispered(&bot, press(&bot, &given_up, "bob", "Retry")).await;
    assert!(refused.contains("You need a role"), "{refused}");
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Because."))]);
    press(&bot, &given_up, "ada", "Retry");
    bot.until_ours(thread, "what is asked", |message| message.content.starts_with("**ada** asks again: ")).await;
    until_left(&bot, 0).await;
    let second = whispered(&bot, press(&bot, &given_up, "maya", "Retry")).await;
    assert_eq!(second, "Something newer is at work in this conversation already.");
    gate.open();
    bot.until_ours(thread, "the answer", |message| message.content.contains("Because.")).await;
    until_runs(&bot, 1).await;
    bot.finish().await;
}

#[tokio::test]
async fn what_nobody_decided_in_time_loses_its_buttons_also_without_github() {
    let bot = DiscordBot::start().await;
    bot.model.script([say("1. Tidy up.")]);
    let thread = bot.says("maya", "@threadbox plan tidy up");
    let plan = with_button(&bot, thread, "Approve").await;
    until_runs(&bot, 1).await;
    bot.sql("update approvals set expires_at = now() - interval '1 minute'").await;
    bot.hurry().await;
    let ended =
        |world: &World| world.message(plan.id).filter(|message| message.content.contains("nobody decided in time")).cloned();
    let ended = bot.discord.wait_for("its end", LIMIT, ended).await.unwrap();
    assert!(!has_button(&ended, "Approve") && !has_button(&ended, "Decline"), "{ended:#?}");
    bot.finish().await;
}
