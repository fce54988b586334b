//! Nothing is lost or doubled when the database, Discord or the process fails between taking it down and answering.

use std::sync::Arc;

use chrono::TimeDelta;
use threadbox::clock::{Clock, ManualClock, SystemClock};
use threadbox::standin::discord::{Answered, Fault};

use super::{Stage, text};

fn later(by: TimeDelta) -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(SystemClock.now() + by))
}

#[tokio::test]
async fn a_lost_answer_to_the_answer_is_looked_up() {
    let stage = Stage::new().await;
    stage.discord.inject(Fault::answer_lost("POST", "/callback"));
    let used = stage.uses("ask", &text("hello")).await;
    let message = i64::try_from(stage.said_to(used).await.id).unwrap();
    let asked = stage.asked(1).await;
    assert_eq!(asked[0].place.key(), message.to_string());
    assert_eq!(stage.discord.messages(stage.channel).len(), 1, "it is said once");
    stage.finish().await;
}

#[tokio::test]
async fn an_answer_discord_fails_at_is_given_again() {
    let stage = Stage::new().await;
    stage.discord.inject(Fault::status("POST", "/callback", 503));
    stage.uses("ask", &text("hello")).await;
    assert_eq!(stage.texts(1).await, ["@threadbox hello"]);
    stage.finish().await;
}

#[tokio::test]
async fn a_database_that_hangs_keeps_nobody_waiting() {
    let stage = Stage::new().await;
    let mut lock = stage.database.pool.begin().await.unwrap();
    sqlx::query("lock table discord_interactions in access exclusive mode").execute(&mut *lock).await.unwrap();
    let used = stage.uses("ask", &text("hello")).await;
    assert_eq!(stage.whispered(used).await, "I could not take that down just now. Say it again in a moment.");
    lock.rollback().await.unwrap();
    // What the database did all the same, once it could, is not done: the person was told to say it again.
    let again = stage.uses("ask", &text("hello again")).await;
    stage.said_to(again).await;
    stage.asked(1).await;
    stage.another(later(TimeDelta::minutes(1))).recover().await.unwrap();
    assert_eq!(stage.texts(1).await, ["@threadbox hello again"]);
    stage.finish().await;
}

#[tokio::test]
async fn what_was_answered_and_left_behind_is_handed_over_once() {
    let stage = Stage::new().await;
    // The inbox takes nothing, as if the process had ended right after it answered.
    sqlx::query("alter table inbox add constraint closed check (false) not valid").execute(&stage.database.pool).await.unwrap();
    let used = stage.uses("ask", &text("hello")).await;
    let message = stage.said_to(used).await.id;
    stage.restart().await;
    assert_eq!(stage.count("select count(*) from discord_interactions where asked is not null").await, 1);
    sqlx::query("alter table inbox drop constraint closed").execute(&stage.database.pool).await.unwrap();
    assert_eq!(stage.another(later(TimeDelta::zero())).recover().await.unwrap(), 0, "it may be under way still");
    let another = stage.another(later(TimeDelta::minutes(1)));
    assert_eq!(another.recover().await.unwrap(), 1);
    assert_eq!(another.recover().await.unwrap(), 0);
    assert_eq!(stage.asked(1).await[0].place.key(), message.to_string());
    stage.finish().await;
}

#[tokio::test]
async fn what_everybody_read_is_handed_over_after_hours() {
    let stage = Stage::new().await;
    sqlx::query("alter table inbox add constraint closed check (false) not valid").execute(&stage.database.pool).await.unwrap();
    let used = stage.uses("ask", &text("hello")).await;
    let message = stage.said_to(used).await.id;
    stage.restart().await;
    sqlx::query("alter table inbox drop constraint closed").execute(&stage.database.pool).await.unwrap();
    let another = stage.another(later(TimeDelta::hours(3)));
    assert_eq!(another.recover().await.unwrap(), 1);
    assert_eq!(another.recover().await.unwrap(), 0);
    assert_eq!(stage.asked(1).await[0].place.key(), message.to_string());
    stage.finish().await;
}

#[tokio::test]
async fn an_interaction_that_arrives_twice_is_one() {
    let stage = Stage::new().await;
    let used = stage.uses("ask", &text("hello")).await;
    stage.asked(1).await;
    let seen = stage.discord.interaction(used).unwrap();
    let user = serde_json::json!({"id": stage.maya.to_string(), "username": "maya", "discriminator": "0", "avatar": null});
    let told = serde_json::json!({"id": used.to_string(), "application_id": stage.discord.us().to_string(), "type": 2,
        "data": seen.data, "channel_id": stage.channel.to_string(), "guild_id": null, "user": user, "token": "again", "version": 1,
        "locale": "en-US", "entitlements": [], "attachment_size_limit": 1000});
    stage.service().take(&serde_json::from_value(told).unwrap());
    stage.service().finish().await;
    assert_eq!(stage.texts(1).await, ["@threadbox hello"]);
    assert_eq!(stage.discord.messages(stage.channel).len(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn tokens_are_kept_no_longer_than_they_are_good() {
    let stage = Stage::new().await;
    stage.uses("ask", &text("hello")).await;
    stage.asked(1).await;
    stage.service().finish().await;
    assert_eq!(stage.count("select count(*) from discord_interactions").await, 1);
    stage.another(later(TimeDelta::minutes(15))).recover().await.unwrap();
    assert_eq!(stage.count("select count(*) from discord_interactions").await, 0);
    stage.finish().await;
}

#[tokio::test]
async fn of_many_at_once_each_is_asked_for_or_to_be_said_again() {
    let stage = Stage::new().await;
    let used: Vec<_> = (0..100)
        .map(|n| stage.discord.slash(stage.channel, stage.maya, "remember", &text(&format!("fact {n}"))).unwrap())
        .collect();
    let mut taken = 0;
    for interaction in used {
        match stage.answer_to(interaction).await {
            Answered::Message { ephemeral: false } => taken += 1,
            Answered::Message { ephemeral: true } => assert!(stage.whispered(interaction).await.contains("Say it again")),
            other => panic!("{other:?}"),
        }
    }
    stage.asked(taken).await;
    stage.service().finish().await;
    // What the database took after the person was told to say it again is let go of, and nothing else.
    assert_eq!(stage.another(later(TimeDelta::minutes(1))).recover().await.unwrap(), 0);
    assert_eq!(stage.asked(taken).await.len(), taken);
    stage.finish().await;
}
