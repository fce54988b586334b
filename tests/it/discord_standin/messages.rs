//! Messages: their life, their limits, their files, whom they ping.

use chrono::TimeDelta;
use serde_json::{Value, json};
use threadbox::standin::discord::{NewChannel, Permissions, Words, intents};

use super::{Stage, id, text};

#[tokio::test]
async fn a_message_is_written_read_changed_and_deleted() {
    let stage = Stage::new().await;
    let written = stage.write(text("Hello.")).await;
    assert_eq!((&written["content"], &written["edited_timestamp"]), (&json!("Hello."), &Value::Null));
    let path = format!("{}/{}", stage.messages(), id(&written));
    stage.advance(5);
    let (status, changed) = stage.ask("PATCH", &path, text("Hello again.")).await;
    assert_eq!((status, &changed["content"]), (200, &json!("Hello again.")));
    assert!(changed["edited_timestamp"].is_string());
    assert_eq!(stage.get(&path).await["content"], "Hello again.");
    let known = stage.discord.messages(stage.channel);
    assert_eq!(known[0].versions, ["Hello."]);
    assert_eq!(stage.ask("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(stage.refused("GET", &path, Value::Null).await, (404, 10008));
    assert!(stage.discord.messages(stage.channel).is_empty());
}

#[tokio::test]
async fn what_is_empty_or_too_long_is_refused() {
    let stage = Stage::new().await;
    assert_eq!(stage.refused("POST", &stage.messages(), json!({})).await, (400, 50006));
    assert_eq!(stage.refused("POST", &stage.messages(), text("  ")).await, (400, 50006));
    stage.write(text(&"ü".repeat(2000))).await;
    let (_, answer) = stage.ask("POST", &stage.messages(), text(&"ü".repeat(2001))).await;
    let wrong = json!([{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]);
    assert_eq!((&answer["code"], &answer["errors"]["content"]["_errors"]), (&json!(50035), &wrong));
    let written = stage.write(text("short")).await;
    let path = format!("{}/{}", stage.messages(), id(&written));
    assert_eq!(stage.refused("PATCH", &path, text(&"x".repeat(2001))).await, (400, 50035));
    assert_eq!(stage.refused("PATCH", &path, text("")).await, (400, 50006));
    assert_eq!(stage.get(&path).await["content"], "short");
}

#[tokio::test]
async fn only_ones_own_messages_can_be_changed() {
    let stage = Stage::new().await;
    let theirs = stage.discord.say(stage.channel, stage.maya, "mine").unwrap();
    let path = format!("{}/{theirs}", stage.messages());
    assert_eq!(stage.refused("PATCH", &path, text("yours")).await, (403, 50005));
    assert_eq!(stage.refused("DELETE", &path, Value::Null).await, (403, 50013));
    stage.discord.set_our_permissions(stage.guild, Permissions::USUAL | Permissions::MANAGE_MESSAGES);
    assert_eq!(stage.ask("DELETE", &path, Value::Null).await.0, 204);
    assert!(stage.discord.edit(theirs, stage.ada, "gone").is_err());
}

#[tokio::test]
async fn messages_older_than_an_hour_are_changed_only_so_often() {
    let stage = Stage::new().await;
    let path = format!("{}/{}", stage.messages(), id(&stage.write(text("0")).await));
    stage.advance(3601);
    for n in 0..30 {
        assert_eq!(stage.ask("PATCH", &path, text(&n.to_string())).await.0, 200);
    }
    assert_eq!(stage.refused("PATCH", &path, text("once more")).await, (429, 30046));
    stage.advance(3600);
    assert_eq!(stage.ask("PATCH", &path, text("once more")).await.0, 200);
}

#[tokio::test]
async fn lists_are_newest_first_and_start_where_they_are_told() {
    let stage = Stage::new().await;
    let ids: Vec<u64> = (0..7).map(|n| stage.discord.say(stage.channel, stage.maya, n.to_string()).unwrap()).collect();
    let list = async |query: &str| -> Vec<u64> {
        let all = stage.get(&format!("{}?{query}", stage.messages())).await;
        all.as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(list("").await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(list("limit=2").await, [6, 5]);
    assert_eq!(list(&format!("before={}&limit=2", ids[3])).await, [2, 1]);
    assert_eq!(list(&format!("after={}&limit=2", ids[3])).await, [5, 4]);
    assert_eq!(list(&format!("around={}&limit=3", ids[3])).await, [4, 3, 2]);
    assert_eq!(list("after=0&limit=100").await.len(), 7);
    let path = format!("{}?limit=101", stage.messages());
    assert_eq!(stage.refused("GET", &path, Value::Null).await, (400, 50035));
}

#[tokio::test]
async fn the_same_nonce_writes_once() {
    let stage = Stage::new().await;
    let body = |nonce: &str| json!({"content": "once", "nonce": nonce, "enforce_nonce": true});
    let first = stage.write(body("a")).await;
    assert_eq!(stage.write(body("a")).await["id"], first["id"]);
    assert_ne!(stage.write(body("b")).await["id"], first["id"]);
    assert_ne!(stage.write(json!({"content": "once", "nonce": "a"})).await["id"], first["id"]);
    stage.advance(600);
    assert_ne!(stage.write(body("a")).await["id"], first["id"]);
    let long = json!({"content": "x", "nonce": "n".repeat(26)});
    assert_eq!(stage.refused("POST", &stage.messages(), long).await, (400, 50035));
}

#[tokio::test]
async fn nobody_is_pinged_who_is_not_allowed_to_be() {
    let stage = Stage::new().await;
    let role = stage.discord.add_role(stage.guild, "team", Permissions::NONE, true);
    stage.discord.set_our_permissions(stage.guild, Permissions::USUAL | Permissions::MENTION_EVERYONE);
    let said = format!("@everyone <@&{role}> <@{}>", stage.maya);
    stage.write(text(&said)).await;
    let none = stage.write(json!({"content": said, "allowed_mentions": {"parse": []}})).await;
    assert_eq!((&none["mentions"], &none["mention_everyone"]), (&json!([]), &json!(false)));
    let theirs = stage.discord.say(stage.channel, stage.maya, "a question").unwrap();
    let reply = json!({"content": said, "message_reference": {"message_id": theirs.to_string()},
        "allowed_mentions": {"parse": [], "replied_user": true}});
    assert_eq!(stage.write(reply).await["type"], 19);
    let written = stage.discord.messages(stage.channel);
    let pings: Vec<_> = written.iter().map(|one| (one.pings.everyone, one.pings.roles.len(), one.pings.users.clone())).collect();
    assert_eq!(pings, [(true, 1, vec![stage.maya]), (false, 0, vec![]), (false, 0, vec![]), (false, 0, vec![stage.maya])]);
}

#[tokio::test]
async fn a_reply_needs_a_message_that_is_there() {
    let stage = Stage::new().await;
    let reply = json!({"content": "x", "message_reference": {"message_id": "1"}});
    assert_eq!(stage.refused("POST", &stage.messages(), reply).await, (400, 50035));
    let lenient = json!({"content": "x", "message_reference": {"message_id": "1", "fail_if_not_exists": false}});
    assert_eq!(stage.write(lenient).await["type"], 0);
}

#[tokio::test]
async fn files_are_sent_as_forms_and_read_at_their_addresses() {
    let stage = Stage::new().await;
    let body = json!({"content": "two", "attachments": [{"id": 0, "description": "a log"}, {"id": 1, "filename": "b.txt"}]});
    let files = [("a.log", b"line\n".to_vec()), ("x.txt", b"other".to_vec())];
    let (status, message) = stage.upload("POST", &stage.messages(), body, &files).await;
    assert_eq!(status, 200, "{message}");
    let [one, two] = message["attachments"].as_array().unwrap().as_slice() else { panic!("{message}") };
    assert_eq!((&one["filename"], &one["description"], &one["size"]), (&json!("a.log"), &json!("a log"), &json!(5)));
    assert_eq!(two["filename"], "b.txt");
    let url = one["url"].as_str().unwrap();
    assert_eq!(stage.http.get(url).send().await.unwrap().text().await.unwrap(), "line\n");
    assert_eq!(stage.http.get(url.replace("hm=", "hm=0")).send().await.unwrap().status(), 404);
    stage.clock.advance(TimeDelta::days(2));
    assert_eq!(stage.http.get(url).send().await.unwrap().status(), 404);
    // Whoever reads the message anew gets a fresh address.
    let path = format!("{}/{}", stage.messages(), id(&message));
    let fresh = stage.get(&path).await["attachments"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(stage.http.get(fresh).send().await.unwrap().status(), 200);
    // An edit keeps what it names and adds what it brings.
    let keep = json!({"attachments": [{"id": two["id"]}, {"id": 0, "filename": "c.txt"}]});
    let (status, message) = stage.upload("PATCH", &path, keep, &[("c.txt", b"third".to_vec())]).await;
    let names: Vec<&Value> = message["attachments"].as_array().unwrap().iter().map(|one| &one["filename"]).collect();
    assert_eq!((status, names), (200, vec![&json!("b.txt"), &json!("c.txt")]));
    assert_eq!(stage.discord.requests().last().unwrap().files, ["c.txt"]);
}

#[tokio::test]
async fn how_large_a_file_may_be_depends_on_the_guild() {
    let stage = Stage::new().await;
    let large = vec![0; 10 * 1024 * 1024 + 1];
    let (status, answer) = stage.upload("POST", &stage.messages(), json!({}), &[("a.bin", large.clone())]).await;
    assert_eq!((status, &answer["code"]), (413, &json!(40005)));
    stage.discord.set_tier(stage.guild, 2);
    assert_eq!(stage.upload("POST", &stage.messages(), json!({}), &[("a.bin", large)]).await.0, 200);
    let many: Vec<(&str, Vec<u8>)> = (0..11).map(|_| ("a", vec![1])).collect();
    assert_eq!(stage.upload("POST", &stage.messages(), json!({}), &many).await.0, 400);
}

#[tokio::test]
async fn reactions_are_counted_once_for_each() {
    let stage = Stage::new().await;
    let asked = stage.discord.say(stage.channel, stage.maya, "a question").unwrap();
    let path = format!("{}/{asked}/reactions", stage.messages());
    for _ in 0..2 {
        assert_eq!(stage.ask("PUT", &format!("{path}/%F0%9F%91%80/@me"), Value::Null).await.0, 204);
    }
    stage.discord.react(asked, stage.maya, "👀").unwrap();
    let message = stage.get(&format!("{}/{asked}", stage.messages())).await;
    assert_eq!((&message["reactions"][0]["count"], &message["reactions"][0]["me"]), (&json!(2), &json!(true)));
    let who = stage.get(&format!("{path}/%F0%9F%91%80")).await;
    assert_eq!(who.as_array().unwrap().len(), 2);
    assert_eq!(stage.ask("DELETE", &format!("{path}/%F0%9F%91%80/@me"), Value::Null).await.0, 204);
    let theirs = format!("{path}/%F0%9F%91%80/{}", stage.maya);
    assert_eq!(stage.refused("DELETE", &theirs, Value::Null).await, (403, 50013));
    assert_eq!(stage.refused("PUT", &format!("{path}/word/@me"), Value::Null).await, (400, 10014));
}

#[tokio::test]
async fn many_are_deleted_at_once_while_they_are_young() {
    let stage = Stage::new().await;
    let old = stage.discord.say(stage.channel, stage.maya, "old").unwrap();
    stage.clock.advance(TimeDelta::days(15));
    let [one, two] = ["a", "b"].map(|text| stage.discord.say(stage.channel, stage.maya, text).unwrap().to_string());
    let path = format!("{}/bulk-delete", stage.messages());
    assert_eq!(stage.refused("POST", &path, json!({"messages": [one, two]})).await, (403, 50013));
    stage.discord.set_our_permissions(stage.guild, Permissions::USUAL | Permissions::MANAGE_MESSAGES);
    assert_eq!(stage.refused("POST", &path, json!({"messages": [one]})).await, (400, 50016));
    assert_eq!(stage.refused("POST", &path, json!({"messages": [one, old.to_string()]})).await, (400, 50034));
    assert_eq!(stage.ask("POST", &path, json!({"messages": [one, two]})).await.0, 204);
    assert_eq!(stage.discord.messages(stage.channel).len(), 1);
}

#[tokio::test]
async fn embeds_and_components_have_limits() {
    let stage = Stage::new().await;
    let button = |id: &str| json!({"type": 2, "style": 1, "label": "Go", "custom_id": id});
    let rows = |buttons: Vec<Value>| json!({"content": "x", "components": [{"type": 1, "components": buttons}]});
    let five: Vec<Value> = (0..5).map(|n| button(&n.to_string())).collect();
    let written = stage.write(rows(five.clone())).await;
    assert_eq!(written["components"][0]["components"].as_array().unwrap().len(), 5);
    let row = json!({"type": 1, "components": [button("a")]});
    let refused = [
        rows(five.into_iter().chain([button("six")]).collect()),
        rows(vec![button("same"), button("same")]),
        rows(vec![button(&"x".repeat(101))]),
        rows(vec![json!({"type": 2, "style": 5, "label": "No address"})]),
        rows(vec![json!({"type": 2, "style": 1, "custom_id": "no-label"})]),
        rows(vec![]),
        json!({"content": "x", "components": vec![row; 6]}),
        json!({"embeds": vec![json!({"title": "x"}); 11]}),
        json!({"embeds": [{"title": "x".repeat(257)}]}),
        json!({"embeds": [{"description": "x".repeat(4097)}]}),
        json!({"embeds": [{"description": "x".repeat(4000)}, {"description": "x".repeat(4000)}]}),
        json!({"embeds": [{"fields": vec![json!({"name": "n", "value": "v"}); 26]}]}),
        json!({"embeds": [{"fields": [{"name": "n", "value": ""}]}]}),
        json!({"embeds": [{"url": "javascript:alert()"}]}),
    ];
    for body in refused {
        assert_eq!(stage.refused("POST", &stage.messages(), body.clone()).await, (400, 50035), "{body}");
    }
}

#[tokio::test]
async fn without_the_setting_only_what_is_for_us_can_be_read() {
    let stage = Stage::with(|options| options.privileged = intents::GUILD_MEMBERS).await;
    stage.discord.say(stage.channel, stage.maya, Words::new("secret").attach("a.txt", "x")).unwrap();
    stage.discord.say(stage.channel, stage.maya, format!("for {}", stage.discord.mention(stage.discord.us()))).unwrap();
    let all = stage.get(&stage.messages()).await;
    assert_eq!((&all[1]["content"], &all[1]["attachments"]), (&json!(""), &json!([])));
    assert!(all[0]["content"].as_str().unwrap().starts_with("for "));
    assert_eq!(stage.get("/applications/@me").await["flags"].as_u64().unwrap() & (1 << 19), 0);
}

#[tokio::test]
async fn people_are_written_to_alone_unless_they_do_not_want_it() {
    let stage = Stage::new().await;
    let (status, channel) = stage.ask("POST", "/users/@me/channels", json!({"recipient_id": stage.maya.to_string()})).await;
    assert_eq!((status, &channel["type"]), (200, &json!(1)));
    let path = format!("/channels/{}/messages", id(&channel));
    assert_eq!(stage.ask("POST", &path, text("Hello.")).await.0, 200);
    let (same, _) = stage.discord.direct(stage.maya, "Hello you.").unwrap();
    assert_eq!(same, id(&channel));
    stage.discord.close_direct(stage.maya, true);
    assert_eq!(stage.refused("POST", &path, text("Still there?")).await, (403, 50007));
    assert_eq!(stage.refused("POST", "/users/@me/channels", json!({"recipient_id": "1"})).await, (400, 50033));
}

#[tokio::test]
async fn what_is_not_there_has_a_number_of_its_own() {
    let stage = Stage::new().await;
    let nowhere = [
        ("/channels/1", (404, 10003)),
        ("/channels/x", (400, 50035)),
        ("/guilds/1", (404, 10004)),
        ("/users/1", (404, 10013)),
        ("/nothing", (404, 0)),
    ];
    for (path, expected) in nowhere {
        assert_eq!(stage.refused("GET", path, Value::Null).await, expected, "{path}");
    }
    assert_eq!(stage.refused("DELETE", "/users/@me", Value::Null).await, (405, 0));
    let forum = stage.discord.add_channel(stage.guild, NewChannel::forum("help", &[]));
    assert_eq!(stage.refused("POST", &format!("/channels/{forum}/messages"), text("x")).await, (400, 50008));
    let broken = stage.request("POST", &stage.messages()).header("content-type", "application/json").body("{").send();
    assert_eq!(broken.await.unwrap().json::<Value>().await.unwrap()["code"], 50109);
    let unknown = stage.http.get(stage.url("/users/@me")).header("authorization", "Bot wrong").send().await.unwrap();
    assert_eq!(unknown.status(), 401);
}
