//! What roles and overwrites allow.

use serde_json::{Value, json};
use threadbox::standin::discord::{NewChannel, Overwrite, OverwriteOf, Permissions};

use super::{Stage, id, text};

#[tokio::test]
async fn each_missing_permission_is_refused_by_its_number() {
    let stage = Stage::new().await;
    let (channel, path) = (stage.channel, stage.messages());
    let asked = stage.discord.say(channel, stage.maya, "a question").unwrap();
    let thread = format!("{path}/{asked}/threads");
    let reaction = format!("{path}/{asked}/reactions/%F0%9F%91%80/@me");
    let reply = json!({"content": "x", "message_reference": {"message_id": asked.to_string()}});
    let embed = json!({"embeds": [{"title": "x"}]});
    let cases = [
        (Permissions::VIEW_CHANNEL, "POST", path.clone(), text("x"), (403, 50001)),
        (Permissions::SEND_MESSAGES, "POST", path.clone(), text("x"), (403, 50013)),
        (Permissions::EMBED_LINKS, "POST", path.clone(), embed, (403, 50013)),
        (Permissions::READ_MESSAGE_HISTORY, "POST", path.clone(), reply, (400, 160002)),
        (Permissions::ADD_REACTIONS, "PUT", reaction.clone(), Value::Null, (403, 50013)),
        (Permissions::READ_MESSAGE_HISTORY, "PUT", reaction, Value::Null, (403, 50013)),
        (Permissions::CREATE_PUBLIC_THREADS, "POST", thread, json!({"name": "x"}), (403, 50013)),
        (Permissions::SEND_MESSAGES, "POST", format!("/channels/{channel}/typing"), Value::Null, (403, 50013)),
    ];
    for (missing, method, path, body, expected) in cases {
        stage.discord.deny_us(channel, missing);
        assert_eq!(stage.refused(method, &path, body).await, expected, "{missing:?}");
    }
    stage.discord.deny_us(channel, Permissions::ATTACH_FILES);
    let (status, answer) = stage.upload("POST", &path, json!({}), &[("a.txt", b"x".to_vec())]).await;
    assert_eq!((status, &answer["code"]), (403, &json!(50013)));
    stage.discord.deny_us(channel, Permissions::READ_MESSAGE_HISTORY);
    assert_eq!(stage.get(&path).await, json!([]));
}

#[tokio::test]
async fn the_nearer_word_counts() {
    let stage = Stage::new().await;
    let hidden = stage.discord.add_channel(stage.guild, NewChannel::text("hidden").hidden());
    let path = format!("/channels/{hidden}/messages");
    assert_eq!(stage.refused("POST", &path, text("x")).await, (403, 50001));
    assert!(stage.discord.say(hidden, stage.maya, "x").is_err());
    stage.discord.allow_us(hidden, Permissions::VIEW_CHANNEL);
    assert_eq!(stage.ask("POST", &path, text("x")).await.0, 200);
    let role = stage.discord.add_role(stage.guild, "team", Permissions::NONE, false);
    stage.discord.add_member(stage.guild, stage.maya, &[role]);
    let (allow, deny) = (Permissions::VIEW_CHANNEL, Permissions::NONE);
    stage.discord.overwrite(hidden, Overwrite { id: role, of: OverwriteOf::Role, allow, deny });
    stage.discord.say(hidden, stage.maya, "x").unwrap();
    // The owner of a guild is above all this.
    stage.discord.say(hidden, stage.ada, "x").unwrap();
}

#[tokio::test]
async fn in_a_thread_another_voice_is_needed() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    let path = format!("/channels/{thread}/messages");
    stage.discord.deny_us(stage.channel, Permissions::SEND_MESSAGES);
    assert_eq!(stage.ask("POST", &path, text("x")).await.0, 200);
    stage.discord.deny_us(stage.channel, Permissions::SEND_MESSAGES_IN_THREADS);
    assert_eq!(stage.refused("POST", &path, text("x")).await, (403, 50013));
    assert_eq!(stage.ask("POST", &stage.messages(), text("x")).await.0, 200);
}

#[tokio::test]
async fn a_private_thread_is_for_those_in_it() {
    let stage = Stage::new().await;
    let everyone = Permissions::USUAL | Permissions::CREATE_PRIVATE_THREADS;
    stage.discord.set_everyone(stage.guild, everyone);
    let thread = stage.discord.open_private_thread(stage.channel, stage.maya, "us two").unwrap();
    let path = format!("/channels/{thread}/messages");
    assert_eq!(stage.refused("POST", &path, text("x")).await, (403, 50001));
    stage.discord.bring_in(thread, stage.discord.us(), stage.maya).unwrap();
    assert_eq!(stage.ask("POST", &path, text("x")).await.0, 200);
}

#[tokio::test]
async fn a_guild_tells_of_its_channels_roles_and_members() {
    let stage = Stage::new().await;
    let guild = stage.get(&format!("/guilds/{}", stage.guild)).await;
    assert_eq!((&guild["name"], &guild["owner_id"]), (&json!("Octo"), &json!(stage.ada.to_string())));
    let channels = stage.get(&format!("/guilds/{}/channels", stage.guild)).await;
    assert_eq!(channels[0]["name"], "general");
    let roles = stage.get(&format!("/guilds/{}/roles", stage.guild)).await;
    assert_eq!(roles.as_array().unwrap().len(), 2);
    let member = stage.get(&format!("/guilds/{}/members/{}", stage.guild, stage.maya)).await;
    assert_eq!(member["user"]["username"], "maya");
    let stranger = stage.discord.add_person("eve");
    let path = format!("/guilds/{}/members/{stranger}", stage.guild);
    assert_eq!(stage.refused("GET", &path, Value::Null).await, (404, 10007));
    let elsewhere = stage.discord.add_guild_without_us("Elsewhere", stage.ada);
    assert_eq!(stage.refused("GET", &format!("/guilds/{elsewhere}"), Value::Null).await, (403, 50001));
    let ours = stage.get("/users/@me/guilds").await;
    assert_eq!((ours.as_array().unwrap().len(), id(&ours[0])), (1, stage.guild));
    assert_eq!(id(&stage.get("/users/@me").await), stage.discord.us());
}
