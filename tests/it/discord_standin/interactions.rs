//! Interactions: three seconds for the first answer, fifteen minutes for the rest.

use serde_json::{Value, json};
use threadbox::standin::discord::{Answered, Id};

use super::socket::Socket;
use super::{Stage, id, text};

/// A stage with a session and the command `ask`.
async fn stage() -> (Stage, Socket) {
    let stage = Stage::new().await;
    let option = json!({"type": 3, "name": "what", "description": "x", "autocomplete": true});
    let commands = json!([{"name": "ask", "description": "x", "options": [option]}]);
    let (status, _) = stage.ask("PUT", &format!("/applications/{}/commands", stage.discord.us()), commands).await;
    assert_eq!(status, 200);
    let (socket, _) = stage.session(0).await;
    (stage, socket)
}

impl Stage {
    fn ask_command(&self) -> Id {
        self.discord.slash(self.channel, self.maya, "ask", &[("what", "why".into())]).unwrap()
    }

    async fn answer(&self, told: &Value, body: Value) -> (u16, Value) {
        let path = format!("/interactions/{}/{}/callback", id(told), told["token"].as_str().unwrap());
        let answer = self.http.post(self.url(&path)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    fn webhook(&self, told: &Value, rest: &str) -> String {
        format!("/webhooks/{}/{}{rest}", self.discord.us(), told["token"].as_str().unwrap())
    }
}

#[tokio::test]
async fn a_command_is_told_and_answered() {
    let (stage, mut socket) = stage().await;
    let asked = stage.ask_command();
    let told = socket.event("INTERACTION_CREATE").await;
    assert_eq!((id(&told), &told["type"], &told["data"]["name"]), (asked, &json!(2), &json!("ask")));
    assert_eq!(told["data"]["options"], json!([{"name": "what", "type": 3, "value": "why"}]));
    assert_eq!(told["member"]["user"]["username"], "maya");
    assert_eq!(stage.answer(&told, json!({"type": 4, "data": {"content": "Because."}})).await.0, 204);
    let interaction = stage.discord.interaction(asked).unwrap();
    assert_eq!(interaction.took().unwrap().num_seconds(), 0);
    let message = stage.discord.messages(stage.channel).pop().unwrap();
    assert_eq!((message.content.as_str(), message.kind, Some(message.id)), ("Because.", 20, interaction.original));
    let (status, again) = stage.answer(&told, json!({"type": 4, "data": {"content": "Again."}})).await;
    assert_eq!((status, &again["code"]), (400, &json!(40060)));
    let (_, follow) = stage.ask("POST", &stage.webhook(&told, ""), text("And more.")).await;
    assert_eq!(stage.discord.interaction(asked).unwrap().followups, [id(&follow)]);
    let path = stage.webhook(&told, "/messages/@original");
    assert_eq!(stage.ask("PATCH", &path, text("Because of this.")).await.1["content"], "Because of this.");
    assert_eq!(stage.ask("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(stage.refused("GET", &path, Value::Null).await, (404, 10008));
}

#[tokio::test]
async fn whoever_takes_longer_than_three_seconds_did_not_respond() {
    let (stage, mut socket) = stage().await;
    let asked = stage.ask_command();
    let told = socket.event("INTERACTION_CREATE").await;
    stage.advance(4);
    assert_eq!(stage.discord.world(|world| world.failed_interactions().len()), 1);
    let (status, late) = stage.answer(&told, json!({"type": 5})).await;
    assert_eq!((status, &late["code"]), (404, &json!(10062)));
    assert_eq!(stage.discord.interaction(asked).unwrap().refused, 1);
    assert_eq!(stage.refused("POST", &stage.webhook(&told, ""), text("x")).await, (404, 10015));
}

#[tokio::test]
async fn a_deferred_answer_is_filled_in_within_fifteen_minutes() {
    let (stage, mut socket) = stage().await;
    let asked = stage.ask_command();
    let told = socket.event("INTERACTION_CREATE").await;
    assert_eq!(stage.answer(&told, json!({"type": 5})).await.0, 204);
    let path = stage.webhook(&told, "/messages/@original");
    assert_eq!(stage.get(&path).await["flags"], 128);
    stage.advance(14 * 60);
    let (_, first) = stage.ask("POST", &stage.webhook(&told, ""), text("Done.")).await;
    assert_eq!((Some(id(&first)), &first["flags"]), (stage.discord.interaction(asked).unwrap().original, &json!(0)));
    stage.advance(61);
    assert_eq!(stage.refused("PATCH", &path, text("x")).await, (401, 50027));
}

#[tokio::test]
async fn what_is_for_one_person_only_they_see() {
    let (stage, mut socket) = stage().await;
    let asked = stage.ask_command();
    let told = socket.event("INTERACTION_CREATE").await;
    stage.answer(&told, json!({"type": 4, "data": {"content": "Not you.", "flags": 64}})).await;
    assert_eq!(stage.get(&stage.messages()).await, json!([]));
    assert!(stage.discord.messages(stage.channel).is_empty());
    let interaction = stage.discord.interaction(asked).unwrap();
    assert_eq!(interaction.answered.unwrap().0, Answered::Message { ephemeral: true });
    let message = stage.discord.world(|world| world.message(interaction.original.unwrap()).cloned()).unwrap();
    assert_eq!((message.only_for, message.content.as_str()), (Some(stage.maya), "Not you."));
}

#[tokio::test]
async fn a_button_changes_its_message_or_opens_a_modal() {
    let (stage, mut socket) = stage().await;
    let buttons = [
        json!({"type": 2, "style": 4, "label": "Stop", "custom_id": "stop"}),
        json!({"type": 2, "style": 1, "label": "Off", "custom_id": "off", "disabled": true}),
    ];
    let rows = json!([{"type": 1, "components": buttons}]);
    let message = id(&stage.write(json!({"content": "Working.", "components": rows})).await);
    stage.discord.press(message, stage.maya, "stop").unwrap();
    let told = socket.event("INTERACTION_CREATE").await;
    assert_eq!((&told["type"], &told["data"]["custom_id"], id(&told["message"])), (&json!(3), &json!("stop"), message));
    let update = json!({"type": 7, "data": {"content": "Stopped.", "components": []}});
    assert_eq!(stage.answer(&told, update).await.0, 204);
    assert_eq!(stage.discord.messages(stage.channel)[0].content, "Stopped.");
    assert!(stage.discord.press(message, stage.maya, "stop").is_err());
    let again = id(&stage.write(json!({"content": "x", "components": rows})).await);
    assert!(stage.discord.press(again, stage.maya, "off").is_err());
    assert!(stage.discord.press(again, stage.maya, "none").is_err());
    let pressed = stage.discord.press_labelled(again, stage.maya, "Stop").unwrap();
    let told = socket.event("INTERACTION_CREATE").await;
    let input = json!({"type": 4, "custom_id": "why", "label": "Why", "style": 1, "max_length": 10});
    let modal = json!({"custom_id": "reason", "title": "Why?", "components": [{"type": 1, "components": [input]}]});
    assert_eq!(stage.answer(&told, json!({"type": 9, "data": modal})).await.0, 204);
    assert!(stage.discord.submit(pressed, &[("why", "much too long a reason")]).is_err());
    assert!(stage.discord.submit(pressed, &[]).is_err());
    stage.discord.submit(pressed, &[("why", "Enough.")]).unwrap();
    let told = socket.event("INTERACTION_CREATE").await;
    assert_eq!((&told["type"], &told["data"]["components"][0]["components"][0]["value"]), (&json!(5), &json!("Enough.")));
    assert_eq!(stage.answer(&told, json!({"type": 6})).await.0, 204);
}

#[tokio::test]
async fn typing_is_completed() {
    let (stage, mut socket) = stage().await;
    let typing = stage.discord.autocomplete(stage.channel, stage.maya, "ask", &[("what", "wh".into())], "what").unwrap();
    let told = socket.event("INTERACTION_CREATE").await;
    assert_eq!((&told["type"], &told["data"]["options"][0]["focused"]), (&json!(4), &json!(true)));
    assert_eq!(stage.answer(&told, json!({"type": 4, "data": {"content": "x"}})).await.0, 400);
    let many = vec![json!({"name": "x", "value": "x"}); 26];
    assert_eq!(stage.answer(&told, json!({"type": 8, "data": {"choices": many}})).await.0, 400);
    assert_eq!(stage.answer(&told, json!({"type": 8, "data": {"choices": [{"name": "Why", "value": "why"}]}})).await.0, 204);
    let answered = stage.discord.interaction(typing).unwrap().answered.unwrap().0;
    assert_eq!(answered, Answered::Choices(vec![json!({"name": "Why", "value": "why"})]));
}

#[tokio::test]
async fn an_answer_must_fit_its_question() {
    let (stage, mut socket) = stage().await;
    stage.ask_command();
    let told = socket.event("INTERACTION_CREATE").await;
    for kind in [1, 6, 7, 8, 99] {
        let (status, answer) = stage.answer(&told, json!({"type": kind, "data": {"content": "x"}})).await;
        assert_eq!((status, &answer["code"]), (400, &json!(50035)), "{kind}");
    }
    let mut wrong = told.clone();
    wrong["token"] = "wrong".into();
    assert_eq!(stage.answer(&wrong, json!({"type": 5})).await.1["code"], 10062);
    // The response says what became of it when it is asked to.
    let path = format!("/interactions/{}/{}/callback?with_response=true", id(&told), told["token"].as_str().unwrap());
    let (status, answer) = stage.ask("POST", &path, json!({"type": 4, "data": {"content": "x"}})).await;
    assert_eq!((status, &answer["resource"]["message"]["content"]), (200, &json!("x")));
}
