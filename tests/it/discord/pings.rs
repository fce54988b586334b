//! What the model writes, as Discord takes it: it pings nobody, and however long it is, nothing of it is lost or torn.

use serde_json::json;
use threadbox::standin::discord::{Message, Permissions};
use threadbox::standin::model::{call, say};

use crate::support::discord_bot::DiscordBot;

#[tokio::test]
async fn nobody_is_pinged_whatever_the_model_writes() {
    let bot = DiscordBot::start().await;
    bot.discord.set_our_permissions(bot.guild, Permissions::ALL);
    let role = bot.discord.add_role(bot.guild, "everybody", Permissions::NONE, true);
    let (bob, ada) = (bot.person("bob"), bot.person("ada"));
    let hostile = format!(
        "@everyone @here <@{bob}> <@!{ada}> <@&{role}> @bob @everybody\n\n> @everyone <@{bob}>\n\n# @here\n\n- <@&{role}>\n\n\
         `@everyone <@{bob}>`\n\n```\n@everyone <@{bob}> <@&{role}>\n```\n\n[@everyone](https://example.com/<@{bob}>) ||@here||"
    );
    // In words while it works, in what a program prints, in a name, and in the answer.
    let code = format!("print('@everyone <@{bob}> <@&{role}>'); open('@everyone.txt', 'w').write('@everyone')");
    bot.model.script([call("runCode", json!({ "code": code, "language": "python" })), say(&hostile)]);
    let thread = bot.says("maya", &format!("@threadbox say @everyone <@{bob}> <@&{role}>"));
    bot.answered(thread, thread).await;
    bot.idle().await;
    let ours = [bot.ours_in(thread), bot.ours_in(bot.channel)].concat();
    assert!(ours.iter().any(|message| message.content.contains("everyone")));
    for message in &ours {
        assert_eq!(message.pings, Default::default(), "{}", message.content);
    }
    // Discord is told so with every message, whatever it makes of the text.
    let writes = |method: &str, path: &str| {
        matches!(method, "POST" | "PATCH") && path.contains("/messages") && !path.ends_with("/threads")
    };
    let requests = bot.discord.requests();
    let said: Vec<_> = requests.iter().filter(|request| writes(&request.method, &request.path)).collect();
    assert!(said.len() > 1);
    for request in said {
        let body = request.body.as_ref().unwrap();
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }), "{body}");
    }
    bot.finish().await;
}

/// Words that are counted, in fences within fences.
fn book(most: usize) -> (String, usize) {
    let (mut text, mut words) = (String::new(), 0);
    while text.len() < most {
        let mut line = |count: usize| {
            let from = words;
            words += count;
            (from..words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
        };
        let (plain, outer, inner, after) = (line(40), line(12), line(30), line(5));
        text.push_str(&format!("{plain}\n\n`````markdown\n{outer}\n````text\n```rust\n{inner}\n```\n````\n{after}\n`````\n\n"));
    }
    (text, words)
}

fn is_whole(message: &Message) {
    assert!(message.content.chars().count() <= 2_000, "{} characters", message.content.chars().count());
    let fences = message.content.lines().filter(|line| line.trim_start_matches("> ").starts_with("```")).count();
    assert!(fences.is_multiple_of(2), "a fence is open in:\n{}", message.content);
}

fn numbered(text: &str) -> Vec<usize> {
    text.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.strip_prefix('w')?.parse().ok()).collect()
}

#[tokio::test]
async fn a_hundred_thousand_characters_with_fences_in_fences_arrive_whole() {
    let bot = DiscordBot::start().await;
    let (text, words) = book(100_000);
    bot.model.script([say(&text)]);
    let thread = bot.says("maya", "@threadbox tell me all");
    let ours = bot.answered(thread, thread).await;
    ours.iter().for_each(is_whole);
    let shown: String = ours.iter().map(|message| format!("{}\n", message.content)).collect();
    // The first words stand there without a gap; all of them are in the file.
    let seen = numbered(&shown);
    assert!(seen.len() > 1_000 && seen.iter().copied().eq(0..seen.len()), "{} words", seen.len());
    let file = ours.iter().flat_map(|message| &message.attachments).find(|file| file.name == "answer.md").unwrap();
    assert_eq!(numbered(&String::from_utf8_lossy(&file.bytes)), (0..words).collect::<Vec<_>>());
    bot.finish().await;
}
