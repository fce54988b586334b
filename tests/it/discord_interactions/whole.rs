//! From a command or a button to what comes of it: with workers, a model and the thread people read.

use std::path::PathBuf;

use threadbox::app::{App, Parts, Role};
use threadbox::db;
use threadbox::secret::secret;
use threadbox::settings::DatabaseSettings;
use threadbox::standin::discord::{Answered, Id, Message};
use threadbox::standin::model::{Gate, ModelStandin, Protocol, Turn, gated, say};

use super::{Stage, text};
use crate::support::bot::LIMIT;
use crate::support::database::passable_dir;
use crate::support::discord_bot::DiscordBot;

/// A stage with workers.
struct Whole {
    stage: Stage,
    model: ModelStandin,
    app: App,
    own: db::Database,
    _data: tempfile::TempDir,
}

impl Whole {
    async fn start(environment: &[(&str, &str)], script: Vec<Turn>) -> Self {
        let model = ModelStandin::start().await.unwrap();
        model.rule(|request| request.tools.is_empty().then(|| say("A title")));
        model.script(script);
        let data = passable_dir("threadbox-it-");
        let (url, directory) = (model.base_url(Protocol::OpenAi), data.path().display().to_string());
        let path = std::env::var("PATH").unwrap_or_default();
        let ours =
            [("OPENAI_BASE_URL", url.as_str()), ("MODEL", "openai/gpt-4.1"), ("THREADBOX_DATA_DIR", &directory), ("PATH", &path)];
        let stage = Stage::with(&[&ours, environment].concat(), |_, _| {}).await;
        let mut settings = stage.settings.as_ref().clone();
        settings.database = DatabaseSettings { url: Some(secret(stage.database.url())), ..settings.database };
        let options = db::Options { connections: 20, ..db::Options::default() };
        let own = db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await.unwrap();
        let parts = Parts { helper: PathBuf::from(env!("CARGO_BIN_EXE_threadbox")), ..Parts::real().unwrap() };
        let app = App::start(settings, Role::Worker, own.pool.clone(), parts).await.unwrap();
        Self { stage, model, app, own, _data: data }
    }

    /// Waits for a message of ours in a place.
    async fn ours(&self, place: Id, what: &str, look: impl Fn(&Message) -> bool) -> Message {
        let us = self.stage.discord.us();
        let find = |world: &threadbox::standin::discord::World| {
            world.messages(place).find(|message| message.author == us && look(message)).cloned()
        };
        self.stage.discord.wait_for(what, LIMIT, find).await.unwrap()
    }

    /// Maya asks with a command; the thread that opens.
    async fn asks(&self, words: &str) -> Id {
        let used = self.stage.uses("ask", &text(words)).await;
        self.stage.said_to(used).await.id
    }

    /// What somebody was told after a press, for their eyes alone.
    async fn told_after(&self, pressed: Id) -> String {
        let find = |world: &threadbox::standin::discord::World| {
            let follow_up = world.interaction(pressed)?.followups.first().copied()?;
            world.message(follow_up).cloned()
        };
        let told = self.stage.discord.wait_for("a word about the press", LIMIT, find).await.unwrap();
        assert!(told.only_for.is_some(), "{told:?}");
        told.content
    }

    async fn until_posted(&self, runs: i64) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while self.stage.count("select count(*) from runs where state = 'posted'").await != runs {
            assert!(tokio::time::Instant::now() < deadline, "the runs did not end");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn finish(self) {
        self.app.shut_down().await;
        self.own.close().await.unwrap();
        assert_eq!((self.model.objections(), self.model.left()), (Vec::new(), 0));
        self.stage.finish().await;
    }
}

fn has_button(message: &Message, label: &str) -> bool {
    let buttons = message.components.iter().flat_map(|row| row["components"].as_array().into_iter().flatten());
    buttons.into_iter().any(|button| button["label"] == label)
}

#[tokio::test]
async fn a_command_is_answered_in_a_thread_and_can_be_repeated_with_a_button() {
    let bot = Whole::start(&[], vec![say("Because of the moon."), say("Because of the tide.")]).await;
    let thread = bot.asks("why?").await;
    let answer = bot.ours(thread, "the answer", |message| message.content.contains("moon")).await;
    assert!(has_button(&answer, "Retry"), "{answer:#?}");
    bot.until_posted(1).await;
    bot.stage.restart().await;
    let pressed = bot.stage.discord.press_labelled(answer.id, bot.stage.maya, "Retry").unwrap();
    assert_eq!(bot.stage.answer_to(pressed).await, Answered::DeferredUpdate);
    bot.ours(thread, "another answer", |message| message.content.contains("tide")).await;
    bot.until_posted(2).await;
    bot.finish().await;
}

#[tokio::test]
async fn stop_stops_what_it_stands_under_and_only_that() {
    let gate = Gate::closed();
    let bot = Whole::start(&[], vec![gated(&gate, say("Never said."))]).await;
    let thread = bot.asks("count to a million").await;
    let live = bot.ours(thread, "a live message", |message| has_button(message, "Stop")).await;
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.model.left() != 0 {
        assert!(tokio::time::Instant::now() < deadline, "the model is not asked");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Pressed twice at once: the second finds what the first did.
    let first = bot.stage.discord.press_labelled(live.id, bot.stage.maya, "Stop").unwrap();
    let second = bot.stage.discord.press_labelled(live.id, bot.stage.eve, "Stop").unwrap();
    bot.stage.answer_to(first).await;
    bot.stage.answer_to(second).await;
    bot.until_posted(1).await;
    gate.open();
    bot.ours(thread, "that it was stopped", |message| message.content.to_lowercase().contains("stopped")).await;
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.stage.count("select count(*) from inbox where state = 'new'").await != 0 {
        assert!(tokio::time::Instant::now() < deadline, "a press was not handled");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(bot.stage.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_plan_is_approved_with_a_button_once() {
    let bot = Whole::start(&[], vec![say("1. Tidy up."), say("It is tidy.")]).await;
    let used = bot.stage.uses("plan", &text("tidy up")).await;
    let thread = bot.stage.said_to(used).await.id;
    let plan = bot.ours(thread, "the plan", |message| has_button(message, "Approve")).await;
    bot.until_posted(1).await;
    let first = bot.stage.discord.press_labelled(plan.id, bot.stage.maya, "Approve").unwrap();
    bot.stage.answer_to(first).await;
    bot.ours(thread, "what came of it", |message| message.content.contains("It is tidy.")).await;
    bot.until_posted(2).await;
    // Somebody still sees the message as it was.
    let still = bot.stage.discord.press_labelled(plan.id, bot.stage.eve, "Approve");
    if let Ok(again) = still {
        assert_eq!(bot.stage.whispered(again).await, "That was approved already.");
    }
    bot.finish().await;
}

#[tokio::test]
async fn a_yes_does_not_count_when_a_message_of_what_was_shown_is_gone() {
    let steps: String = (1..=120).map(|n| format!("{n}. Tidy up what is in the corner number {n}.\n")).collect();
    let bot = Whole::start(&[], vec![say(&steps)]).await;
    let used = bot.stage.uses("plan", &text("tidy up")).await;
    let thread = bot.stage.said_to(used).await.id;
    let plan = bot.ours(thread, "the plan", |message| has_button(message, "Approve")).await;
    bot.until_posted(1).await;
    let shows = |message: &Message| message.content.contains("corner number 60.") && message.id != plan.id;
    let middle = bot.ours(thread, "the middle of the plan", shows).await;
    bot.stage.discord.delete(middle.id, bot.stage.discord.us()).unwrap();
    let pressed = bot.stage.discord.press_labelled(plan.id, bot.stage.maya, "Approve").unwrap();
    bot.stage.answer_to(pressed).await;
    bot.ours(thread, "why not", |message| message.content.contains("edited or deleted by somebody")).await;
    assert_eq!(bot.stage.count("select count(*) from runs").await, 1);
    bot.finish().await;
}

#[tokio::test]
async fn a_press_that_comes_too_late_for_the_gate_is_told_to_who_pressed() {
    let bot = Whole::start(&[], vec![say("Because.")]).await;
    let thread = bot.asks("why?").await;
    let answer = bot.ours(thread, "the answer", |message| message.content.contains("Because.")).await;
    bot.until_posted(1).await;
    // Between the press and the gate the run is forgotten.
    let hold = "create function forget_it() returns trigger language plpgsql as $$ begin \
                update runs set forgotten_at = now(); return new; end $$";
    sqlx::query(hold).execute(&bot.stage.database.pool).await.unwrap();
    let trigger = "create trigger forget_it after insert on inbox for each row execute function forget_it()";
    sqlx::query(trigger).execute(&bot.stage.database.pool).await.unwrap();
    let pressed = bot.stage.discord.press_labelled(answer.id, bot.stage.maya, "Retry").unwrap();
    assert_eq!(bot.told_after(pressed).await, "I do not know that run any more.");
    bot.finish().await;
}

#[tokio::test]
async fn a_service_that_connects_registers_its_commands_and_answers_them() {
    let mut bot = DiscordBot::start().await;
    let puts = |requests: &[threadbox::standin::discord::RequestRecord]| {
        let told = |request: &&threadbox::standin::discord::RequestRecord| {
            request.method == "PUT" && request.path.ends_with("/commands") && request.status == Some(200)
        };
        requests.iter().filter(told).count()
    };
    let registered = |world: &threadbox::standin::discord::World| {
        let all: Vec<_> = world.requests().cloned().collect();
        (puts(&all) == 1).then_some(())
    };
    bot.discord.wait_for("the commands", LIMIT, registered).await.unwrap();
    bot.model.script([say("Because.")]);
    let maya = bot.person("maya");
    let used = bot.discord.slash(bot.channel, maya, "ask", &text("why?")).unwrap();
    let find = |world: &threadbox::standin::discord::World| world.interaction(used)?.original;
    let opening = bot.discord.wait_for("what was asked", LIMIT, find).await.unwrap();
    bot.until_ours(opening, "the answer", |message| message.content.contains("Because.")).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 1).await;
    // Another process knows what the first one registered.
    bot.stop().await;
    bot.run().await;
    bot.connected().await;
    let used = bot.discord.slash(bot.channel, maya, "help", &[]).unwrap();
    let find = |world: &threadbox::standin::discord::World| world.interaction(used)?.original;
    bot.discord.wait_for("help", LIMIT, find).await.unwrap();
    assert_eq!(puts(&bot.discord.requests()), 1);
    bot.finish().await;
}
