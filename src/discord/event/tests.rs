#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const US: i64 = 100;

fn json_message(content: &str) -> Value {
    json!({
        "id": "175928847299117063", "channel_id": "5", "guild_id": "3", "type": 0, "content": content,
        "author": {"id": "8", "username": "maya", "discriminator": "0", "avatar": null, "bot": false},
        "timestamp": "2026-11-23T10:00:00Z", "edited_timestamp": null, "tts": false, "mention_everyone": false,
        "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": false,
        "member": {"roles": ["21", "22"], "deaf": false, "mute": false, "joined_at": null, "flags": 0},
    })
}

fn heard(spot: Spot) -> Heard<'static> {
    Heard { us: US, handle: "threadbox", spot, is_follow_up: false, roles: None }
}

fn said(value: Value, spot: Spot) -> Inbound {
    message(&serde_json::from_value(value).unwrap(), &heard(spot))
}

fn request(inbound: Inbound) -> Request {
    match inbound.event {
        Event::Request(request) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mention_in_a_channel_is_the_opening_of_its_thread() {
    let inbound = said(json_message("<@100> why is it red?"), Spot::Channel { guild: 3 });
    assert_eq!(inbound.delivery.external_id, "175928847299117063");
    let request = request(inbound);
    assert_eq!(request.text, "@threadbox why is it red?");
    assert_eq!(request.place.key(), "175928847299117063");
    assert_eq!(request.with.roles, [21, 22]);
    assert_eq!(request.url, "https://discord.com/channels/3/5/175928847299117063");
}

#[test]
fn in_a_thread_the_thread_is_the_conversation() {
    let spot = Spot::Thread { guild: 3, parent: Some(4), name: "Red".into() };
    let request = request(said(json_message("<@!100> status"), spot));
    assert_eq!((request.place.key().as_str(), request.title.as_str()), ("5", "Red"));
}

#[test]
fn alone_no_mention_is_needed() {
    let request = request(said(json_message("stop"), Spot::Direct));
    assert_eq!(request.text, "@threadbox stop");
    assert_eq!(request.place.owner(), "discord:person:8");
}

#[test]
fn what_mentions_nobody_or_only_in_code_is_not_for_us() {
    for text in ["hello", "`<@100>`", "> <@100> said", "<@101> you"] {
        let inbound = said(json_message(text), Spot::Channel { guild: 3 });
        assert!(matches!(inbound.event, Event::Nothing(_)), "{text}");
    }
}

#[test]
fn bots_webhooks_and_notices_never_ask() {
    let spot = || Spot::Channel { guild: 3 };
    let mut bot = json_message("<@100> loop");
    bot["author"]["bot"] = true.into();
    let mut webhook = json_message("<@100> loop");
    webhook["webhook_id"] = "9".into();
    let mut notice = json_message("<@100>");
    notice["type"] = 6.into();
    let mut ours = json_message("<@100> loop");
    ours["author"]["id"] = "100".into();
    for message in [bot, webhook, notice, ours] {
        assert!(matches!(said(message, spot()).event, Event::Nothing(_)));
    }
}

#[test]
fn an_edited_message_is_the_same_request_as_before() {
    let mut edited = json_message("<@100> now");
    edited["edited_timestamp"] = "2026-11-23T10:05:00Z".into();
    let delivery = said(edited, Spot::Channel { guild: 3 }).delivery;
    let first = said(json_message("<@100> now"), Spot::Channel { guild: 3 }).delivery;
    assert_eq!(delivery.was_also, first.object.map(|object| object.edited_at));
    assert_ne!(delivery.external_id, first.external_id);
}

proptest! {
    #[test]
    fn nothing_that_people_write_panics(text in ".{0,200}|(<@!?100>|[`>* \\n@a-z]){0,40}", follows: bool) {
        let message: Message = serde_json::from_value(json_message(&text)).unwrap();
        let spot = Spot::Thread { guild: 3, parent: None, name: text.clone() };
        super::message(&message, &Heard { is_follow_up: follows, ..heard(spot) });
    }
}
