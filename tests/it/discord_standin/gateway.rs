//! The gateway, opcode by opcode and close code by close code.

use std::io::Read;
use std::time::Duration;

use chrono::TimeDelta;
use flate2::read::ZlibDecoder;
use flate2::{Decompress, FlushDecompress};
use serde_json::{Value, json};
use threadbox::standin::discord::{Ending, GatewayView, NewChannel, Permissions, intents};

use super::socket::{Came, Socket};
use super::{LIMIT, Stage, id};

const ALL: u64 = intents::GUILDS | intents::GUILD_MESSAGES | intents::DIRECT_MESSAGES | intents::MESSAGE_CONTENT;

#[tokio::test]
async fn a_session_begins_with_ready_and_its_guilds() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "talk", None).unwrap();
    stage.discord.add_channel(stage.guild, NewChannel::text("hidden").hidden());
    let gateway = stage.get("/gateway/bot").await;
    assert_eq!((&gateway["shards"], &gateway["session_start_limit"]["remaining"]), (&json!(1), &json!(1000)));
    let mut socket = Socket::open(gateway["url"].as_str().unwrap()).await;
    assert_eq!(socket.heartbeat_interval, 41_250);
    socket.identify(&stage, ALL).await;
    let ready = socket.event("READY").await;
    assert_eq!(ready["guilds"], json!([{"id": stage.guild.to_string(), "unavailable": true}]));
    assert_eq!(id(&ready["application"]), stage.discord.us());
    assert!(ready["resume_gateway_url"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
    let guild = socket.event("GUILD_CREATE").await;
    let names =
        |list: &str| -> Vec<&str> { guild[list].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect() };
    assert_eq!((names("channels"), id(&guild["threads"][0])), (vec!["general"], thread));
    assert_eq!(id(&guild["members"][0]["user"]), stage.discord.us());
    assert_eq!(socket.seq, 2);
    socket.send(json!({"op": 1, "d": 2})).await;
    assert_eq!(socket.payload().await["op"], 11);
    assert_eq!(stage.get("/gateway/bot").await["session_start_limit"]["remaining"], 999);
}

#[tokio::test]
async fn every_mistake_has_its_close_code() {
    let stage = Stage::with(|options| (options.privileged, options.shards) = (0, 2)).await;
    let identify = |data: Value| {
        let mut data = data;
        data["properties"] = json!({});
        json!({"op": 2, "d": data}).to_string()
    };
    let token = stage.token();
    let shard = json!([0, 2]);
    let good = identify(json!({"token": token, "intents": 0, "shard": shard}));
    let resume = |token: &str| json!({"op": 6, "d": {"token": token, "session_id": "none", "seq": 1}}).to_string();
    let cases: Vec<(Vec<String>, u16)> = vec![
        (vec![json!({"op": 99, "d": null}).to_string()], 4001),
        (vec!["not json".into()], 4002),
        (vec![json!({"op": 1, "d": "x".repeat(5000)}).to_string()], 4002),
        (vec![json!({"op": 2, "d": {"token": token}}).to_string()], 4002),
        (vec![json!({"op": 3, "d": {}}).to_string()], 4003),
        (vec![identify(json!({"token": "wrong", "intents": 0}))], 4004),
        (vec![resume("wrong")], 4004),
        (vec![good.clone(), good.clone()], 4005),
        (vec![json!({"op": 1, "d": null}).to_string(); 121], 4008),
        (vec![identify(json!({"token": token, "intents": 0, "shard": [2, 2]}))], 4010),
        (vec![identify(json!({"token": token, "intents": 0, "shard": [0, 1]}))], 4011),
        (vec![identify(json!({"token": token, "intents": 1 << 18, "shard": shard}))], 4013),
        (vec![identify(json!({"token": token, "shard": shard}))], 4013),
        (vec![identify(json!({"token": token, "intents": ALL, "shard": shard}))], 4014),
    ];
    for (said, code) in cases {
        let mut socket = stage.connect().await;
        for text in said {
            socket.send_text(text).await;
        }
        let ended = loop {
            match socket.came().await {
                Came::Payload(_) => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Came::Closed(closed) if closed == code), "{ended:?} instead of {code}");
    }
    let mut old = Socket::raw(&format!("{}/?v=5", stage.discord.gateway_url())).await;
    assert_eq!(old.closed().await, 4012);
}

#[tokio::test]
async fn whoever_is_silent_for_too_long_is_closed() {
    let stage = Stage::with(|options| options.heartbeat_interval = Duration::from_millis(50)).await;
    let mut socket = stage.connect().await;
    assert_eq!(socket.closed().await, 4009);
}

#[tokio::test]
async fn after_a_drop_everything_missed_is_told_again() {
    let stage = Stage::new().await;
    let (mut socket, ready) = stage.session(ALL).await;
    socket.event("GUILD_CREATE").await;
    stage.discord.drop_after(1);
    stage.discord.say(stage.channel, stage.maya, "one").unwrap();
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "one");
    let seq = socket.seq;
    assert!(matches!(socket.came().await, Came::Broken));
    stage.discord.say(stage.channel, stage.maya, "two").unwrap();
    stage.clock.advance(TimeDelta::minutes(4));
    let mut socket = Socket::open(ready["resume_gateway_url"].as_str().unwrap()).await;
    socket.resume(&stage, &ready["session_id"], seq).await;
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "two");
    socket.event("RESUMED").await;
    stage.discord.say(stage.channel, stage.maya, "three").unwrap();
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "three");
    assert_eq!(socket.seq, seq + 3);
    let view = stage.discord.gateway_view();
    assert_eq!((view.begun, view.resumed, view.connected), (1, 1, 1));
}

#[tokio::test]
async fn a_session_cannot_be_resumed_for_ever_nor_from_the_future() {
    let stage = Stage::new().await;
    let (socket, ready) = stage.session(0).await;
    let mut ahead = stage.connect().await;
    ahead.resume(&stage, &ready["session_id"], socket.seq + 5).await;
    assert_eq!(ahead.closed().await, 4007);
    let (_, ready) = stage.session(0).await;
    stage.discord.drop_connections();
    stage.until(|view| view.connected == 0).await;
    stage.clock.advance(TimeDelta::minutes(6));
    let mut late = stage.connect().await;
    late.resume(&stage, &ready["session_id"], 1).await;
    let told = late.payload().await;
    assert_eq!((&told["op"], &told["d"]), (&json!(9), &json!(false)));
    // On the same connection a new one begins.
    late.identify(&stage, 0).await;
    late.event("READY").await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_has_no_session_to_come_back_to() {
    let stage = Stage::new().await;
    for (code, resumable) in [(1000, false), (4999, true)] {
        let (socket, ready) = stage.session(0).await;
        socket.close(code).await;
        stage.until(|view| view.endings.contains(&Ending::Left(Some(code)))).await;
        let mut socket = stage.connect().await;
        socket.resume(&stage, &ready["session_id"], 1).await;
        let told = socket.payload().await;
        assert_eq!(told["t"] == "RESUMED", resumable, "{code}: {told}");
    }
}

impl Stage {
    /// Waits until the gateway looks like this.
    async fn until(&self, look: impl Fn(&GatewayView) -> bool) {
        let search = async {
            loop {
                let changed = self.discord.changed();
                if look(&self.discord.gateway_view()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(LIMIT, search).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_are_invalidated_and_clients_sent_away() {
    let stage = Stage::new().await;
    let (mut socket, ready) = stage.session(0).await;
    stage.discord.ask_to_reconnect();
    assert_eq!(socket.payload().await["op"], 7);
    stage.discord.ask_for_heartbeat();
    assert_eq!(socket.payload().await["op"], 1);
    stage.discord.invalidate_sessions(true);
    let told = socket.payload().await;
    assert_eq!((&told["op"], &told["d"]), (&json!(9), &json!(true)));
    socket.resume(&stage, &ready["session_id"], socket.seq).await;
    socket.event("RESUMED").await;
    stage.discord.invalidate_sessions(false);
    assert_eq!(socket.payload().await["d"], json!(false));
    socket.resume(&stage, &ready["session_id"], socket.seq).await;
    assert_eq!(socket.payload().await["d"], json!(false));
    stage.discord.refuse_identifies(1);
    socket.identify(&stage, 0).await;
    assert_eq!(socket.payload().await["op"], 9);
    socket.identify(&stage, 0).await;
    socket.event("READY").await;
    for code in [4000, 4009] {
        let (mut socket, ready) = stage.session(0).await;
        stage.discord.close_connections(code);
        assert_eq!(socket.closed().await, code);
        drop(socket);
        let mut socket = stage.connect().await;
        socket.resume(&stage, &ready["session_id"], 1).await;
        assert_eq!(socket.payload().await["t"] == "RESUMED", code == 4000);
    }
    let (_, ready) = stage.session(0).await;
    stage.discord.refuse_resumes(1);
    let mut socket = stage.connect().await;
    socket.resume(&stage, &ready["session_id"], 1).await;
    assert_eq!(socket.payload().await["op"], 9);
}

#[tokio::test]
async fn heartbeats_can_go_unanswered_and_connections_freeze() {
    let stage = Stage::new().await;
    let (mut socket, ready) = stage.session(ALL).await;
    socket.event("GUILD_CREATE").await;
    stage.discord.mute_heartbeats(true);
    socket.send(json!({"op": 1, "d": 1})).await;
    stage.discord.say(stage.channel, stage.maya, "one").unwrap();
    socket.event("MESSAGE_CREATE").await;
    stage.discord.mute_heartbeats(false);
    stage.discord.freeze(true);
    stage.discord.say(stage.channel, stage.maya, "two").unwrap();
    // Another connection takes the session over when the gateway thaws, and misses nothing.
    stage.discord.freeze(false);
    let mut other = stage.connect().await;
    other.resume(&stage, &ready["session_id"], socket.seq).await;
    assert_eq!(other.event("MESSAGE_CREATE").await["content"], "two");
    other.event("RESUMED").await;
}

#[tokio::test]
async fn while_the_gateway_is_down_events_are_lost() {
    let stage = Stage::new().await;
    let (mut socket, ready) = stage.session(ALL).await;
    socket.event("GUILD_CREATE").await;
    stage.discord.take_gateway_down();
    assert!(matches!(socket.came().await, Came::Broken));
    assert!(tokio_tungstenite::connect_async(stage.discord.gateway_url()).await.is_err());
    stage.discord.say(stage.channel, stage.maya, "unheard").unwrap();
    stage.discord.bring_gateway_up();
    let mut socket = stage.connect().await;
    socket.resume(&stage, &ready["session_id"], 2).await;
    assert_eq!(socket.payload().await["op"], 9);
    socket.identify(&stage, ALL).await;
    socket.event("READY").await;
    socket.event("GUILD_CREATE").await;
    socket.quiet().await;
    assert_eq!(stage.get(&stage.messages()).await[0]["content"], "unheard");
}

#[tokio::test]
async fn events_can_come_twice_or_never() {
    let stage = Stage::new().await;
    let (mut socket, _) = stage.session(intents::GUILD_MESSAGES).await;
    stage.discord.tell_twice("MESSAGE_CREATE");
    stage.discord.say(stage.channel, stage.maya, "one").unwrap();
    let first = id(&socket.event("MESSAGE_CREATE").await);
    assert_eq!(id(&socket.event("MESSAGE_CREATE").await), first);
    stage.discord.lose_event("MESSAGE_CREATE");
    stage.discord.say(stage.channel, stage.maya, "two").unwrap();
    socket.quiet().await;
}

#[tokio::test]
async fn without_the_intent_messages_have_content_only_when_they_are_for_us() {
    let stage = Stage::new().await;
    let (mut socket, _) = stage.session(intents::GUILD_MESSAGES | intents::DIRECT_MESSAGES).await;
    stage.discord.say(stage.channel, stage.maya, "between us").unwrap();
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "");
    let named = format!("{} look", stage.discord.mention(stage.discord.us()));
    stage.discord.say(stage.channel, stage.maya, named.as_str()).unwrap();
    let told = socket.event("MESSAGE_CREATE").await;
    assert_eq!((&told["content"], id(&told["mentions"][0])), (&json!(named), stage.discord.us()));
    assert_eq!(told["guild_id"], json!(stage.guild.to_string()));
    stage.discord.direct(stage.maya, "alone").unwrap();
    let told = socket.event("MESSAGE_CREATE").await;
    assert_eq!((&told["content"], &told["guild_id"]), (&json!("alone"), &Value::Null));
    stage.write(super::text("our own")).await;
    assert_eq!(socket.event("MESSAGE_CREATE").await["content"], "our own");
}

#[tokio::test]
async fn events_come_to_those_who_asked_and_may_see() {
    let stage = Stage::new().await;
    let hidden = stage.discord.add_channel(stage.guild, NewChannel::text("hidden").hidden());
    let (mut socket, _) = stage.session(intents::GUILD_MESSAGES | intents::GUILD_MESSAGE_REACTIONS).await;
    stage.discord.say(hidden, stage.ada, "not for bots").unwrap();
    stage.discord.type_in(stage.channel, stage.maya);
    stage.discord.direct(stage.maya, "alone").unwrap();
    stage.discord.add_member(stage.guild, stage.discord.add_person("eve"), &[]);
    socket.quiet().await;
    let said = stage.discord.say(stage.channel, stage.maya, "seen").unwrap();
    socket.event("MESSAGE_CREATE").await;
    stage.discord.react(said, stage.ada, "👍").unwrap();
    assert_eq!(socket.event("MESSAGE_REACTION_ADD").await["emoji"]["name"], "👍");
    stage.discord.edit(said, stage.maya, "seen again").unwrap();
    assert!(socket.event("MESSAGE_UPDATE").await["edited_timestamp"].is_string());
    stage.discord.unreact(said, stage.ada, "👍").unwrap();
    socket.event("MESSAGE_REACTION_REMOVE").await;
    stage.discord.delete(said, stage.ada).unwrap();
    assert_eq!(id(&socket.event("MESSAGE_DELETE").await), said);
}

#[tokio::test]
async fn what_happens_to_places_is_told() {
    let stage = Stage::new().await;
    let (mut socket, _) = stage.session(intents::GUILDS | intents::GUILD_MEMBERS | intents::GUILD_MESSAGE_TYPING).await;
    socket.event("GUILD_CREATE").await;
    let channel = stage.discord.add_text_channel(stage.guild, "new");
    assert_eq!(id(&socket.event("CHANNEL_CREATE").await), channel);
    let thread = stage.discord.open_thread(channel, stage.maya, "talk", None).unwrap();
    assert_eq!(socket.event("THREAD_CREATE").await["newly_created"], json!(true));
    stage.discord.archive(thread, stage.maya, true).unwrap();
    assert_eq!(socket.event("THREAD_UPDATE").await["thread_metadata"]["archived"], json!(true));
    stage.discord.delete_channel(thread, stage.ada).unwrap();
    socket.event("THREAD_DELETE").await;
    stage.discord.rename(channel, stage.ada, "other").unwrap();
    assert_eq!(socket.event("CHANNEL_UPDATE").await["name"], "other");
    stage.discord.delete_channel(channel, stage.ada).unwrap();
    socket.event("CHANNEL_DELETE").await;
    let eve = stage.discord.add_person("eve");
    stage.discord.add_member(stage.guild, eve, &[]);
    assert_eq!(socket.event("GUILD_MEMBER_ADD").await["user"]["username"], "eve");
    stage.discord.remove_member(stage.guild, eve);
    socket.event("GUILD_MEMBER_REMOVE").await;
    stage.discord.type_in(stage.channel, stage.maya);
    socket.event("TYPING_START").await;
    let second = stage.discord.add_guild("Second", stage.ada);
    assert_eq!(id(&socket.event("GUILD_CREATE").await), second);
    stage.discord.kick(second);
    let told = socket.event("GUILD_DELETE").await;
    assert_eq!((id(&told), told.get("unavailable")), (second, None));
    let path = format!("/guilds/{second}");
    assert_eq!(stage.refused("GET", &path, Value::Null).await, (403, 50001));
    stage.discord.set_our_permissions(stage.guild, Permissions::ALL);
    socket.event("GUILD_ROLE_UPDATE").await;
}

#[tokio::test]
async fn shards_share_the_guilds_and_the_first_has_the_direct_messages() {
    let stage = Stage::with(|options| options.shards = 2).await;
    let mut heard = Vec::new();
    for shard in 0..2 {
        let mut socket = stage.connect().await;
        let data = json!({"token": stage.token(), "intents": ALL, "shard": [shard, 2]});
        socket.identify_with(data).await;
        let ready = socket.event("READY").await;
        heard.push((socket, ready["guilds"].as_array().unwrap().len()));
    }
    assert_eq!(heard[0].1 + heard[1].1, 1);
    let [(mut first, guilds), _] = <[_; 2]>::try_from(heard).ok().unwrap();
    if guilds == 1 {
        first.event("GUILD_CREATE").await;
    }
    stage.discord.direct(stage.maya, "alone").unwrap();
    first.event("MESSAGE_CREATE").await;
}

#[tokio::test]
async fn so_many_identify_in_a_while() {
    let stage = Stage::with(|options| options.identify_every = TimeDelta::seconds(5)).await;
    stage.session(0).await;
    let mut socket = stage.connect().await;
    socket.identify(&stage, 0).await;
    assert_eq!(socket.payload().await["op"], 9);
    stage.advance(5);
    socket.identify(&stage, 0).await;
    socket.event("READY").await;
}

#[tokio::test]
async fn large_payloads_are_compressed_for_those_who_wish_it() {
    let stage = Stage::new().await;
    let mut socket = stage.connect().await;
    socket.identify_with(json!({"token": stage.token(), "intents": ALL, "compress": true})).await;
    let Came::Bytes(bytes) = socket.came().await else { panic!("not compressed") };
    let mut text = String::new();
    ZlibDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["t"], "READY");
}

#[tokio::test]
async fn a_whole_connection_is_compressed_for_those_who_wish_it() {
    let stage = Stage::new().await;
    let mut socket = Socket::raw(&format!("{}/?v=10&compress=zlib-stream", stage.discord.gateway_url())).await;
    let mut zlib = Decompress::new(true);
    let mut next = async |socket: &mut Socket| -> Value {
        let Came::Bytes(bytes) = socket.came().await else { panic!("not compressed") };
        let mut out = Vec::with_capacity(64 * 1024);
        zlib.decompress_vec(&bytes, &mut out, FlushDecompress::Sync).unwrap();
        serde_json::from_slice(&out).unwrap()
    };
    assert_eq!(next(&mut socket).await["op"], 10);
    socket.identify(&stage, ALL).await;
    assert_eq!(next(&mut socket).await["t"], "READY");
    assert_eq!(next(&mut socket).await["t"], "GUILD_CREATE");
}

#[tokio::test]
async fn members_are_told_on_request_and_presence_is_seen() {
    let stage = Stage::new().await;
    let (mut socket, _) = stage.session(intents::GUILD_MEMBERS).await;
    socket.send(json!({"op": 3, "d": {"status": "idle", "activities": [], "since": null, "afk": false}})).await;
    socket.send(json!({"op": 8, "d": {"guild_id": stage.guild.to_string(), "query": "ma", "limit": 5}})).await;
    let chunk = socket.event("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(chunk["members"][0]["user"]["username"], "maya");
    assert_eq!(stage.discord.gateway_view().presence.unwrap()["status"], "idle");
}
