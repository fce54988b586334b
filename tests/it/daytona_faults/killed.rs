//! Our process is killed while a command runs at Daytona: the next one finds the command, which ran once, with all it printed.

use std::time::Duration;

use serde_json::json;
use threadbox::standin::github::{Expects, Options};
use threadbox::standin::model::{RecordedRequest, Turn, call, say};

use super::place::{daytona, environment};
use crate::support::bot::{Bot, LIMIT, service_environment};
use crate::support::database::passable_dir;
use crate::support::service::Service;

/// Prints until a file is there, then ends in its own way.
const COMMAND: &str = "echo ran >> log.txt; i=0; until [ -e gate ]; do i=$((i+1)); echo line $i; sleep 0.1; done; \
     echo late >&2; echo $i > count; exit 7";

fn follow(request: &RecordedRequest) -> Option<Turn> {
    let last = request.messages.iter().flat_map(|message| &message.results).next_back();
    Some(match last {
        _ if request.tools.is_empty() => say("A title"),
        None => call("runCommand", json!({ "command": COMMAND, "timeoutSeconds": 300 })),
        Some(result) => say(format!("It said: {}", result.text)),
    })
}

#[tokio::test]
async fn a_command_outlives_our_process() {
    let root = passable_dir("threadbox-killed-");
    let daytona = daytona(root.path()).await;
    let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.model.rule(follow);
    let mut settings = service_environment(&bot.github, &bot.model, &bot.database.url(), root.path());
    settings.extend(environment(&daytona).map(|(name, value)| (name.to_owned(), value)));
    let start = async || {
        let service = Service::start(&settings).await;
        bot.github.deliver_to(format!("{}/webhooks/github", service.url));
        service
    };
    let issue = bot.issue("Long").await;
    let first = start().await;
    let comment = bot.says(&issue, "maya", "@threadbox count for a while").await;
    // Live output is recorded long before the end.
    let printed = "select count(*) from run_events where kind = 'printed'";
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.count(printed).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "nothing was printed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.kill().await;
    for sql in [
        "update threads set lease_until = now() - interval '1 second' where lease_until is not null",
        "update jobs._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 minute'",
    ] {
        sqlx::query(sql).execute(&bot.database.pool).await.unwrap();
    }
    let second = start().await;
    let before = bot.count(printed).await;
    while bot.count(printed).await == before {
        assert!(tokio::time::Instant::now() < deadline, "the second process does not hear the command");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = daytona.world(|world| world.sandboxes().next().unwrap().id.clone());
    let workspace = daytona.root().join(id).join("workspace");
    std::fs::write(workspace.join("gate"), "").unwrap();
    assert_eq!(bot.ended(&issue, comment).await, "rocket");
    bot.idle().await;
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1);
    let result =
        bot.asked().last().unwrap().messages.iter().flat_map(|message| &message.results).next_back().unwrap().text.clone();
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    let lines: usize = std::fs::read_to_string(workspace.join("count")).unwrap().trim().parse().unwrap();
    let expected: String = (1..=lines).map(|line| format!("line {line}\n")).collect();
    assert_eq!((result["stdout"].as_str(), result["stderr"].as_str()), (Some(expected.as_str()), Some("late\n")), "{result}");
    assert_eq!(result["exitCode"], 7);
    assert_eq!(std::fs::read_to_string(workspace.join("log.txt")).unwrap(), "ran\n");
    assert!(ours[0].body().contains("line 1\n") && ours[0].body().contains("late"), "{}", ours[0].body());
    assert_eq!(daytona.world(|world| world.sandboxes().count()), 1);
    second.terminate().await;
    bot.finish().await;
    assert_eq!(daytona.violations(), Vec::<String>::new());
    daytona.shut_down().await;
}
