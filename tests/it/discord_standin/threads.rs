//! Threads and the posts of forums.

use chrono::TimeDelta;
use serde_json::{Value, json};
use threadbox::standin::discord::{NewChannel, Permissions};

use super::{Stage, id, text};

#[tokio::test]
async fn a_thread_has_the_number_of_its_message_and_there_is_one() {
    let stage = Stage::new().await;
    let asked = stage.discord.say(stage.channel, stage.maya, "a question").unwrap();
    let path = format!("{}/{asked}/threads", stage.messages());
    let (status, thread) = stage.ask("POST", &path, json!({"name": "A question", "auto_archive_duration": 1440})).await;
    assert_eq!((status, id(&thread), &thread["type"]), (201, asked, &json!(11)));
    assert_eq!(stage.refused("POST", &path, json!({"name": "Again"})).await, (400, 160004));
    let message = stage.get(&format!("{}/{asked}", stage.messages())).await;
    assert_eq!((&message["thread"]["name"], &message["flags"]), (&json!("A question"), &json!(32)));
    let wrong = [json!({}), json!({"name": "x".repeat(101)}), json!({"name": "x", "auto_archive_duration": 5})];
    let other = stage.discord.say(stage.channel, stage.maya, "another").unwrap();
    for body in wrong {
        let path = format!("{}/{other}/threads", stage.messages());
        assert_eq!(stage.refused("POST", &path, body).await, (400, 50035));
    }
    let inside = format!("/channels/{asked}/messages/{asked}/threads");
    assert_eq!(stage.refused("POST", &inside, json!({"name": "deeper"})).await, (400, 50024));
}

#[tokio::test]
async fn an_archived_thread_can_be_written_in_but_not_changed() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    let path = format!("/channels/{thread}/messages");
    let (_, ours) = stage.ask("POST", &path, text("x")).await;
    let us = format!("/channels/{thread}");
    stage.discord.archive(thread, stage.maya, true).unwrap();
    let message = format!("{path}/{}", id(&ours));
    assert_eq!(stage.refused("PATCH", &message, text("y")).await, (400, 50083));
    assert_eq!(stage.refused("PUT", &format!("{message}/reactions/%F0%9F%91%80/@me"), Value::Null).await, (400, 50083));
    assert_eq!(stage.refused("PATCH", &us, json!({"name": "other"})).await, (400, 50083));
    let archived = stage.get(&format!("/channels/{}/threads/archived/public", stage.channel)).await;
    assert_eq!((id(&archived["threads"][0]), &archived["has_more"]), (thread, &json!(false)));
    assert_eq!(stage.ask("POST", &path, text("back")).await.0, 200);
    let active = stage.get(&format!("/guilds/{}/threads/active", stage.guild)).await;
    assert_eq!(id(&active["threads"][0]), thread);
    assert_eq!(id(&active["members"][0]), thread);
}

#[tokio::test]
async fn a_locked_thread_is_for_moderators() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    assert!(stage.discord.lock(thread, stage.maya, true).is_err());
    stage.discord.lock(thread, stage.ada, true).unwrap();
    let path = format!("/channels/{thread}/messages");
    assert_eq!(stage.refused("POST", &path, text("x")).await, (400, 160005));
    stage.discord.set_our_permissions(stage.guild, Permissions::USUAL | Permissions::MANAGE_THREADS);
    assert_eq!(stage.ask("POST", &path, text("x")).await.0, 200);
}

#[tokio::test]
async fn ones_own_thread_can_be_renamed_twice_in_ten_minutes() {
    let stage = Stage::new().await;
    let asked = stage.discord.say(stage.channel, stage.maya, "a question").unwrap();
    stage.ask("POST", &format!("{}/{asked}/threads", stage.messages()), json!({"name": "0"})).await;
    let path = format!("/channels/{asked}");
    for name in ["1", "2"] {
        assert_eq!(stage.ask("PATCH", &path, json!({"name": name})).await.0, 200);
    }
    let (status, headers, answer) = stage.full("PATCH", &path, json!({"name": "3"})).await;
    assert_eq!((status, &answer["retry_after"], &headers["x-ratelimit-scope"]), (429, &json!(600.0), &"user".parse().unwrap()));
    // Other changes go on.
    assert_eq!(stage.ask("PATCH", &path, json!({"archived": true})).await.0, 200);
    stage.advance(600);
    assert_eq!(stage.ask("PATCH", &path, json!({"name": "3", "archived": false})).await.1["name"], "3");
    let theirs = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    assert_eq!(stage.refused("PATCH", &format!("/channels/{theirs}"), json!({"name": "x"})).await, (403, 50013));
    assert_eq!(stage.refused("PATCH", &format!("/channels/{}", stage.channel), json!({"name": "x"})).await, (403, 50013));
}

#[tokio::test]
async fn silent_threads_are_archived_when_their_time_has_come() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    stage.clock.advance(TimeDelta::minutes(4319));
    stage.discord.archive_silent_threads();
    let archived = || stage.discord.world(|world| world.channel(thread).unwrap().thread.as_ref().unwrap().archived);
    assert!(!archived());
    stage.clock.advance(TimeDelta::minutes(1));
    stage.discord.archive_silent_threads();
    assert!(archived());
}

#[tokio::test]
async fn a_post_has_tags_and_a_first_message_of_its_own_number() {
    let stage = Stage::new().await;
    let new = NewChannel::forum("help", &["bug"]).moderated_tag("done").tag_required();
    let forum = stage.discord.add_channel(stage.guild, new);
    let tags = stage.discord.world(|world| world.channel(forum).unwrap().tags.clone());
    let path = format!("/channels/{forum}/threads");
    let post = |tags: Value| json!({"name": "It broke", "applied_tags": tags, "message": {"content": "Look."}});
    assert_eq!(stage.refused("POST", &path, post(json!([]))).await, (400, 40067));
    assert_eq!(stage.refused("POST", &path, post(json!(["1"]))).await, (400, 50035));
    assert_eq!(stage.refused("POST", &path, post(json!([tags[1].id.to_string()]))).await, (403, 50013));
    assert_eq!(stage.refused("POST", &path, json!({"name": "x"})).await, (400, 50035));
    let bug = json!([tags[0].id.to_string()]);
    let (status, made) = stage.upload("POST", &path, post(bug.clone()), &[("a.txt", b"x".to_vec())]).await;
    assert_eq!((status, &made["applied_tags"], id(&made["message"])), (201, &bug, id(&made)));
    assert_eq!(made["message"]["attachments"][0]["filename"], "a.txt");
    let theirs = stage.discord.forum_post(forum, stage.maya, "Mine too", "Look.", &["bug"]).unwrap();
    assert_eq!(stage.discord.messages(theirs)[0].id, theirs);
    assert!(stage.discord.forum_post(forum, stage.maya, "No tag", "Look.", &[]).is_err());
}

#[tokio::test]
async fn threads_are_joined_and_left() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    let path = format!("/channels/{thread}/thread-members");
    assert_eq!(stage.refused("GET", &format!("{path}/@me"), Value::Null).await, (404, 10007));
    assert_eq!(stage.ask("PUT", &format!("{path}/@me"), Value::Null).await.0, 204);
    assert_eq!(stage.get(&path).await.as_array().unwrap().len(), 2);
    assert_eq!(stage.refused("DELETE", &format!("{path}/{}", stage.maya), Value::Null).await, (403, 50013));
    assert_eq!(stage.ask("DELETE", &format!("{path}/@me"), Value::Null).await.0, 204);
    // Writing joins.
    stage.ask("POST", &format!("/channels/{thread}/messages"), text("x")).await;
    stage.get(&format!("{path}/@me")).await;
}

#[tokio::test]
async fn bare_threads_are_private_unless_it_is_said() {
    let stage = Stage::new().await;
    let path = format!("/channels/{}/threads", stage.channel);
    assert_eq!(stage.refused("POST", &path, json!({"name": "x"})).await, (403, 50013));
    let (status, thread) = stage.ask("POST", &path, json!({"name": "x", "type": 11})).await;
    assert_eq!((status, &thread["type"]), (201, &json!(11)));
    stage.discord.delete_channel(id(&thread), stage.ada).unwrap();
    assert_eq!(stage.refused("GET", &format!("/channels/{}", id(&thread)), Value::Null).await, (404, 10003));
}
