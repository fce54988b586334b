//! Every button, also after a restart, twice, and when it is too late.

use serde_json::{Value, json};
use serenity::builder::{CreateActionRow, CreateButton};
use threadbox::discord::button::Button;
use threadbox::discord::{Draft, id};
use threadbox::id::RunId;
use threadbox::intake::{Asks, Press};
use threadbox::standin::discord::{Answered, Id};

use super::{Stage, text};

/// A conversation of maya's with a run in it, and a message in its thread.
struct Conversation {
    thread: Id,
    message: Id,
    run: RunId,
}

impl Stage {
    /// Maya asked something, and a run came of it.
    async fn conversation(&self, state: &'static str, outcome: Value, buttons: impl Fn(RunId) -> Vec<Button>) -> Conversation {
        let used = self.uses("ask", &text("hello")).await;
        let opening = self.said_to(used).await.id;
        self.asked(1).await;
        let run = RunId::new();
        sqlx::query(
            "insert into runs (id, thread_id, inbox_id, message_id, request, task, state, next_try_at, requester, requester_id,
                               repository, created_at, outcome)
             select $1, thread_id, id, message_id, request, '{\"task\": \"ask\", \"text\": \"hello\"}', $2, now(), 'maya', $3,
                    'discord:1', now() - interval '2 hours', $4 from inbox",
        )
        .bind(run.0)
        .bind(state)
        .bind(i64::try_from(self.maya).unwrap())
        .bind((!outcome.is_null()).then_some(outcome))
        .execute(&self.database.pool)
        .await
        .unwrap();
        let thread = self.discord.open_thread(self.channel, self.maya, "hello", Some(opening)).unwrap();
        let label = |button: &Button| format!("{button:?}").split('(').next().unwrap_or_default().to_owned();
        let row = buttons(run).iter().map(|button| CreateButton::new(button.custom_id()).label(label(button))).collect();
        let draft = Draft { rows: vec![CreateActionRow::Buttons(row)], ..Draft::text("Working.") };
        let message = self.client.create_message(id(i64::try_from(thread).unwrap()), &draft).await.unwrap();
        Conversation { thread, message: message.id.get(), run }
    }

    async fn press(&self, at: &Conversation, label: &str) -> Id {
        let pressed = self.discord.press_labelled(at.message, self.maya, label).unwrap();
        self.answer_to(pressed).await;
        pressed
    }
}

fn all(run: RunId) -> Vec<Button> {
    vec![Button::Stop(run), Button::Retry(run), Button::Continue(run), Button::OpenPullRequest(run)]
}

#[tokio::test]
async fn stop_is_about_that_run_also_after_a_restart() {
    let stage = Stage::new().await;
    let at = stage.conversation("running", Value::Null, all).await;
    stage.restart().await;
    let pressed = stage.press(&at, "Stop").await;
    assert_eq!(stage.answer_to(pressed).await, Answered::DeferredUpdate);
    let asked = stage.asked(2).await;
    let interaction = i64::try_from(pressed).unwrap();
    assert_eq!(asked[1].asks, Asks::Pressed { press: Press::Stop(at.run), interaction });
    assert_eq!((asked[1].text.as_str(), asked[1].place.key()), ("@threadbox stop", at.thread.to_string()));
    for early in ["Retry", "Continue", "OpenPullRequest"] {
        let pressed = stage.press(&at, early).await;
        assert!(stage.whispered(pressed).await.contains("not over yet"));
    }
    assert_eq!(stage.asked(2).await.len(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn retry_and_pull_request_are_asked_for_once_it_is_over() {
    let stage = Stage::new().await;
    let at = stage.conversation("posted", json!({"outcome": "stopped", "by": "maya"}), all).await;
    let pressed = stage.press(&at, "Stop").await;
    assert_eq!(stage.whispered(pressed).await, "That run is over already.");
    let pressed = stage.press(&at, "Continue").await;
    assert!(stage.whispered(pressed).await.contains("did not end at a limit"));
    stage.press(&at, "Retry").await;
    stage.press(&at, "OpenPullRequest").await;
    let asks: Vec<_> = stage.asked(3).await.into_iter().map(|request| request.asks).collect();
    assert!(matches!(asks[1], Asks::Pressed { press: Press::Retry(run), .. } if run == at.run), "{asks:?}");
    assert!(matches!(asks[2], Asks::Pressed { press: Press::OpenPullRequest(run), .. } if run == at.run), "{asks:?}");
    stage.finish().await;
}

#[tokio::test]
async fn a_run_that_ended_at_a_ceiling_of_money_asks_for_another() {
    let stage = Stage::new().await;
    let reckoning = json!({"spent_milli_usd": 2000, "next_milli_usd": null, "raise_to_usd": 4, "doing": null});
    let outcome = json!({"outcome": "limit", "limit": {"kind": "cost", "max_milli_usd": 2000}, "reckoning": reckoning});
    let at = stage.conversation("posted", outcome, all).await;
    let pressed = stage.press(&at, "Continue").await;
    let Answered::Modal(modal) = stage.answer_to(pressed).await else { panic!("there is no modal") };
    assert_eq!(modal["components"][0]["components"][0]["value"], "4");
    stage.restart().await;
    let wrong = stage.discord.submit(pressed, &[("usd", "a lot")]).unwrap();
    assert!(stage.whispered(wrong).await.contains("not an amount"));
    let sent = stage.discord.submit(pressed, &[("usd", "$5")]).unwrap();
    assert_eq!(stage.said_to(sent).await.content, "**maya** sets the budget: $5");
    let asked = stage.asked(2).await;
    assert_eq!((asked[1].text.as_str(), asked[1].place.key()), ("@threadbox budget $5", at.thread.to_string()));
    stage.finish().await;
}

#[tokio::test]
async fn a_run_that_ended_at_another_limit_goes_on_in_words() {
    let stage = Stage::new().await;
    let outcome = json!({"outcome": "limit", "limit": {"kind": "steps", "max": 50}});
    let at = stage.conversation("posted", outcome, all).await;
    let pressed = stage.press(&at, "Continue").await;
    assert_eq!(stage.said_to(pressed).await.content, "**maya** says: continue");
    assert_eq!(stage.texts(2).await[1], "@threadbox continue");
    stage.finish().await;
}

#[tokio::test]
async fn a_button_of_another_version_or_of_what_was_forgotten_says_so() {
    let stage = Stage::new().await;
    let unknown = RunId::new();
    let at = stage.conversation("posted", json!({"outcome": "stopped", "by": "maya"}), |_| vec![Button::Retry(unknown)]).await;
    let pressed = stage.press(&at, "Retry").await;
    assert_eq!(stage.whispered(pressed).await, "I do not know that conversation any more.");
    let row = vec![CreateActionRow::Buttons(vec![CreateButton::new("tb0:stop").label("Old")])];
    let thread = id(i64::try_from(at.thread).unwrap());
    let old = stage.client.create_message(thread, &Draft { rows: row, ..Draft::text("x") }).await.unwrap();
    let pressed = stage.discord.press_labelled(old.id.get(), stage.eve, "Old").unwrap();
    assert!(stage.whispered(pressed).await.contains("older version"));
    stage.finish().await;
}
