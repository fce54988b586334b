//! Every word as a slash command, with what people see of it.

use serde_json::json;
use threadbox::clock::SystemClock;
use threadbox::discord::command::{Registered, register};
use threadbox::intake::{Place, Trigger};
use threadbox::standin::discord::Answered;

use super::{Stage, text};

#[tokio::test]
async fn a_command_in_a_channel_is_repeated_for_everybody_and_opens_a_conversation() {
    let stage = Stage::new().await;
    let used = stage.uses("ask", &text("why is @everyone red?")).await;
    let said = stage.said_to(used).await;
    assert_eq!(
        (said.content.as_str(), said.channel, said.only_for),
        ("**maya** asks: why is @everyone red?", stage.channel, None)
    );
    assert!(!said.pings.everyone, "nobody is pinged");
    let [asked] = stage.asked(1).await.try_into().unwrap();
    assert_eq!(asked.text, "@threadbox why is @everyone red?");
    let message = i64::try_from(said.id).unwrap();
    assert_eq!((asked.place.key(), asked.trigger), (message.to_string(), Trigger::Comment(message)));
    assert!(asked.url.ends_with(&format!("/{}/{message}", stage.channel)), "{}", asked.url);
    assert_eq!(stage.count("select count(*) from deliveries where surface = 'discord'").await, 1);
    stage.finish().await;
}

/// A command, its options, the request it becomes, and what is shown of it.
type Word<'a> = (&'a str, &'a [(&'a str, serde_json::Value)], &'a str, &'a str);

#[tokio::test]
async fn every_word_says_what_a_mention_would() {
    let stage = Stage::new().await;
    let begun = stage.said_to(stage.uses("ask", &text("hello")).await).await.id;
    let thread = stage.discord.open_thread(stage.channel, stage.maya, "hello", Some(begun)).unwrap();
    let words: [Word; 18] = [
        ("review", &[], "@threadbox review", "**maya** says: `review`"),
        ("fix", &[], "@threadbox fix", "**maya** says: `fix`"),
        ("pr", &[], "@threadbox pr", "**maya** says: `pr`"),
        ("plan", &text("tidy up"), "@threadbox plan tidy up", "**maya** wants a plan: tidy up"),
        ("approve", &[("digest", "0123456789".into())], "@threadbox approve 0123456789", "**maya** approves: 0123456789"),
        ("queue", &text("is it green?"), "@threadbox queue this: is it green?", "**maya** queues: is it green?"),
        ("stop", &[], "@threadbox stop", "**maya** says: `stop`"),
        ("retry", &[], "@threadbox retry", "**maya** says: `retry`"),
        ("undo", &[], "@threadbox undo", "**maya** says: `undo`"),
        ("status", &[], "@threadbox status", "**maya** says: `status`"),
        ("remember", &text("we use tabs"), "@threadbox remember we use tabs", "**maya** wants this remembered: we use tabs"),
        ("forget", &text("the tabs"), "@threadbox forget the tabs", "**maya** wants this forgotten: the tabs"),
        ("memory", &[], "@threadbox memory", "**maya** says: `memory`"),
        (
            "model",
            &[("name", "openai/gpt-5.5".into())],
            "@threadbox model openai/gpt-5.5",
            "**maya** sets the model: openai/gpt-5.5",
        ),
        ("budget", &[("usd", json!(2.5))], "@threadbox budget 2.5", "**maya** sets the budget: 2.5"),
        ("link", &[("address", "acme/rocket".into())], "@threadbox link acme/rocket", "**maya** links: acme/rocket"),
        (
            "branch",
            &[("address", "https://discord.com/channels/1/2".into())],
            "@threadbox branch https://discord.com/channels/1/2",
            "**maya** branches off: https://discord.com/channels/1/2",
        ),
        (
            "run",
            &[("code", "print(1)".into())],
            "@threadbox run\n\n```python\nprint(1)\n```",
            "**maya** runs:\n```python\nprint(1)\n```",
        ),
    ];
    let mut expected = vec!["@threadbox hello".to_owned()];
    for (name, options, text, shown) in words {
        let used = stage.uses_in(thread, name, options).await;
        assert_eq!(stage.said_to(used).await.content, shown);
        expected.push(text.to_owned());
        assert_eq!(stage.texts(expected.len()).await, expected);
    }
    let asked = stage.asked(expected.len()).await;
    assert!(asked.iter().all(|request| request.place.key() == begun.to_string()), "all are one conversation");
    assert!(matches!(asked.last().unwrap().place, Place::Discord { parent: Some(_), opening: None, .. }));
    stage.finish().await;
}

#[tokio::test]
async fn a_question_knows_its_repository_and_a_model_is_asked_for_first() {
    let stage = Stage::new().await;
    let options = [("text", "fix it".into()), ("repository", "acme/rocket".into()), ("model", "openai/gpt-5.5".into())];
    stage.uses("ask", &options).await;
    let asked = stage.asked(2).await;
    let said: Vec<_> = asked.iter().map(|asked| (asked.text.as_str(), asked.with.repository.as_deref())).collect();
    assert_eq!(said, [("@threadbox model openai/gpt-5.5", None), ("fix it\n\n@threadbox", Some("acme/rocket"))]);
    assert_eq!(stage.count("select count(distinct thread_id) from inbox").await, 1);
    stage.finish().await;
}

#[tokio::test]
async fn code_is_written_in_a_field_with_several_lines() {
    let stage = Stage::new().await;
    let used = stage.uses("run", &[("language", "rust".into())]).await;
    let Answered::Modal(modal) = stage.answer_to(used).await else { panic!("there is no modal") };
    assert_eq!(modal["title"], "Run code");
    assert_eq!(stage.count("select count(*) from discord_interactions").await, 0, "nothing is asked for yet");
    stage.restart().await;
    let sent = stage.discord.submit(used, &[("code", "fn main() {\n    println!(\"```\");\n}")]).unwrap();
    let said = stage.said_to(sent).await;
    assert_eq!((said.content.as_str(), said.attachments.len()), ("**maya** runs this:", 1));
    assert_eq!(stage.texts(1).await, ["@threadbox run\n\n````rust\nfn main() {\n    println!(\"```\");\n}\n````"]);
    let again = stage.uses("run", &[]).await;
    let sent = stage.discord.submit(again, &[("code", "1"), ("language", "cobol")]).unwrap();
    assert_eq!(stage.whispered(sent).await, "I cannot run `cobol`. Choose one of the languages of the list.");
    stage.finish().await;
}

#[tokio::test]
async fn what_is_about_a_conversation_means_nothing_in_a_channel() {
    let stage = Stage::new().await;
    let used = stage.uses("stop", &[]).await;
    assert!(stage.whispered(used).await.contains("`/stop` is about a conversation"));
    let used = stage.uses("help", &[]).await;
    let help = stage.whispered(used).await;
    assert!(help.contains("`/ask`") && help.contains("In a thread of mine also:"), "{help}");
    let used = stage.uses("model", &[("name", "openai/gpt-5.5".into())]).await;
    assert!(stage.whispered(used).await.contains("thread"));
    assert_eq!(stage.count("select count(*) from inbox").await, 0);
    stage.finish().await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_said_at_once() {
    let stage = Stage::new().await;
    let (begun, _) = stage.discord.direct(stage.maya, "hello").unwrap();
    let used = stage.uses_in(begun, "model", &[("name", "gpt".into())]).await;
    assert_eq!(
        stage.whispered(used).await,
        "`gpt` is not the name of a model, such as `openai/gpt-4.1`: provider, slash, model."
    );
    let used = stage.uses("remember", &text("???")).await;
    assert!(stage.whispered(used).await.starts_with("There are no words in it"));
    assert_eq!(stage.count("select count(*) from inbox").await, 0);
    stage.finish().await;
}

#[tokio::test]
async fn models_and_repositories_are_offered_while_somebody_types() {
    let stage = Stage::new().await;
    sqlx::query(
        "insert into discord_repositories (channel, guild, repository_id, full_name, linked_by, linked_at)
         values (1, $1, 7, 'acme/rocket', 1, now()), (2, $1, 8, 'acme/secret', 1, now()), (4, $1, 8, 'acme/unknown', 1, now()), (3, 99, 9, 'other/thing', 1, now())",
    )
    .bind(i64::try_from(stage.guild).unwrap())
    .execute(&stage.database.pool)
    .await
    .unwrap();
    let known = "insert into discord_channels (channel, apart, looked_at) values (1, null, now()), (2, 2, now())";
    sqlx::query(known).execute(&stage.database.pool).await.unwrap();
    let typed = |command: &str, option: &str, typed: &str| {
        stage.discord.autocomplete(stage.channel, stage.maya, command, &[(option, typed.into())], option).unwrap()
    };
    let offered = stage.answer_to(typed("link", "address", "acme")).await;
    assert_eq!(offered, Answered::Choices(vec![json!({"name": "acme/rocket", "value": "acme/rocket"})]));
    let Answered::Choices(models) = stage.answer_to(typed("model", "name", "gpt-5")).await else { panic!("no choices") };
    assert!(
        !models.is_empty() && models.iter().all(|one| one["name"].as_str().unwrap().starts_with("openai/gpt-5")),
        "{models:?}"
    );
    assert_eq!(stage.answer_to(typed("model", "name", "anthropic/")).await, Answered::Choices(Vec::new()), "without a key");
    stage.finish().await;
}

#[tokio::test]
async fn whoever_may_not_is_told_why_and_what_to_do_and_nobody_else_is() {
    let stage = Stage::with(&[("DISCORD_ALLOW_ROLES", "77")], |_, _| {}).await;
    let used = stage.uses("ask", &text("hello")).await;
    let said = stage.whispered(used).await;
    assert!(said.contains("You need a role") && said.contains("`DISCORD_ALLOW_ROLES`"), "{said}");
    assert!(stage.discord.messages(stage.channel).is_empty());
    let typing = stage.discord.autocomplete(stage.channel, stage.maya, "model", &[("name", "g".into())], "name").unwrap();
    assert_eq!(stage.answer_to(typing).await, Answered::Choices(Vec::new()));
    assert_eq!(stage.count("select count(*) from inbox").await, 0);
    stage.finish().await;
    for (name, reason) in [("DISCORD_ALLOW_GUILDS", "this server"), ("DISCORD_ALLOW_CHANNELS", "this channel")] {
        let stage = Stage::with(&[(name, "5")], |_, _| {}).await;
        let used = stage.uses("ask", &text("hello")).await;
        let said = stage.whispered(used).await;
        assert!(said.contains(reason) && said.contains(name), "{said}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn commands_are_registered_once_whoever_is_connected() {
    let stage = Stage::new().await;
    let puts = || stage.discord.requests().iter().filter(|request| request.method == "PUT").count();
    let application = serenity::model::id::ApplicationId::new(stage.discord.us());
    let again = register(&stage.client, &stage.database.pool, application, &SystemClock).await.unwrap();
    assert_eq!((again, puts()), (Registered::Before, 1));
    sqlx::query("update discord_commands set digest = 'of an older version'").execute(&stage.database.pool).await.unwrap();
    let one = register(&stage.client, &stage.database.pool, application, &SystemClock).await.unwrap();
    let other = register(&stage.client, &stage.database.pool, application, &SystemClock).await.unwrap();
    assert_eq!((one, other, puts()), (Registered::Now, Registered::Before, 2));
    stage.finish().await;
}
