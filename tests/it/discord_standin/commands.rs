//! Application commands: registered, measured, replaced.

use serde_json::{Value, json};
use threadbox::standin::discord::Id;

use super::{Stage, id};

fn command(name: &str) -> Value {
    json!({"name": name, "description": "Does it"})
}

impl Stage {
    fn commands(&self) -> String {
        format!("/applications/{}/commands", self.discord.us())
    }
}

#[tokio::test]
async fn commands_are_replaced_as_a_whole_and_keep_their_numbers() {
    let stage = Stage::new().await;
    let (status, first) = stage.ask("PUT", &stage.commands(), json!([command("ask"), command("stop")])).await;
    assert_eq!((status, first.as_array().unwrap().len()), (200, 2));
    let (_, second) = stage.ask("PUT", &stage.commands(), json!([command("ask")])).await;
    assert_eq!((second.as_array().unwrap().len(), id(&second[0])), (1, id(&first[0])));
    let of_guild = format!("/applications/{}/guilds/{}/commands", stage.discord.us(), stage.guild);
    let (status, made) = stage.ask("POST", &of_guild, command("here")).await;
    assert_eq!((status, &made["guild_id"]), (201, &json!(stage.guild.to_string())));
    assert_eq!(stage.ask("POST", &of_guild, command("here")).await.0, 200);
    assert_eq!(stage.get(&of_guild).await.as_array().unwrap().len(), 1);
    let one = format!("{of_guild}/{}", id(&made));
    assert_eq!(stage.ask("PATCH", &one, json!({"description": "Better"})).await.1["description"], "Better");
    assert_eq!(stage.ask("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(stage.refused("DELETE", &one, Value::Null).await, (404, 10063));
}

#[tokio::test]
async fn what_commands_may_not_be_is_refused() {
    let stage = Stage::new().await;
    let path = stage.commands();
    let option = |name: &str| json!({"type": 3, "name": name, "description": "x"});
    let with = |options: Vec<Value>| json!({"name": "ask", "description": "x", "options": options});
    let mut chosen = option("a");
    chosen["choices"] = vec![json!({"name": "x", "value": "x"}); 26].into();
    let mut both = option("a");
    (both["autocomplete"], both["choices"]) = (true.into(), json!([{"name": "x", "value": "x"}]));
    let wrong = [
        json!({"name": "Upper", "description": "x"}),
        json!({"name": "x"}),
        json!({"name": "x".repeat(33), "description": "x"}),
        with(vec![option("a"), option("a")]),
        with((0..26).map(|n| option(&format!("o{n}"))).collect()),
        with(vec![chosen]),
        with(vec![both]),
    ];
    for body in wrong {
        assert_eq!(stage.refused("POST", &path, body.clone()).await, (400, 50035), "{body}");
    }
    assert_eq!(stage.refused("PUT", &path, json!([command("a"), command("a")])).await, (400, 50035));
    let many: Vec<Value> = (0..101).map(|n| command(&format!("c{n}"))).collect();
    assert_eq!(stage.refused("PUT", &path, many.into()).await, (400, 30032));
    let other: Id = stage.maya;
    assert_eq!(stage.refused("GET", &format!("/applications/{other}/commands"), Value::Null).await, (403, 20012));
}

#[tokio::test]
async fn so_many_commands_are_new_in_a_day() {
    let stage = Stage::new().await;
    let set = |from: usize| -> Value { (from..from + 100).map(|n| command(&format!("c{n}"))).collect() };
    for from in [0, 100] {
        assert_eq!(stage.ask("PUT", &stage.commands(), set(from)).await.0, 200);
    }
    assert_eq!(stage.refused("PUT", &stage.commands(), set(200)).await, (400, 30034));
    // The same again is nothing new.
    assert_eq!(stage.ask("PUT", &stage.commands(), set(100)).await.0, 200);
}

#[tokio::test]
async fn people_use_what_is_registered() {
    let stage = Stage::new().await;
    let asks = json!({"name": "ask", "description": "x", "options": [
        {"type": 3, "name": "what", "description": "x", "required": true}, {"type": 4, "name": "n", "description": "x"}]});
    stage.ask("PUT", &stage.commands(), json!([asks])).await;
    let slash = |name: &str, options: &[(&str, Value)]| stage.discord.slash(stage.channel, stage.maya, name, options);
    slash("ask", &[("what", "why".into()), ("n", 3.into())]).unwrap();
    assert!(slash("tell", &[]).is_err());
    assert!(slash("ask", &[]).is_err());
    assert!(slash("ask", &[("what", 3.into())]).is_err());
    assert!(slash("ask", &[("what", "x".into()), ("who", "x".into())]).is_err());
}
