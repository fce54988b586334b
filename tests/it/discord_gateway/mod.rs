//! What people say on Discord reaches the service: once, in its order, through whatever happens to connections and processes.

mod backfill;
mod followups;
mod gone;
mod heard;
mod replicas;
mod sessions;
mod trouble;

use std::time::Duration;

use threadbox::standin::discord::{Id, Options};
use threadbox::standin::model::say;

use crate::support::bot::LIMIT;
use crate::support::discord_bot::DiscordBot;

/// A running bot that answers everything with "Yes.".
async fn agreeable(options: Options) -> DiscordBot {
    let mut bot = DiscordBot::prepare(&[("USER_RUNS_PER_HOUR", "1000"), ("DAILY_BUDGET_USD", "1000")], options).await;
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Yes.")));
    bot.run().await;
    bot.connected().await;
    // From now on everything counts.
    bot.until_count("select count(*) from discord_gateway where seen_until is not null", 1).await;
    bot
}

/// How many requests are known.
async fn asked(bot: &DiscordBot) -> i64 {
    bot.count("select count(*) from inbox").await
}

/// Waits until the model was asked so often in runs.
async fn until_model_asked(bot: &DiscordBot, times: usize) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while bot.asked().len() < times {
        assert!(tokio::time::Instant::now() < deadline, "the model was not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the inbox holds of a message: the number of its conversation.
async fn conversation_of(bot: &DiscordBot, message: Id) -> Option<String> {
    let sql = "select s.key from inbox i join surfaces s on s.thread_id = i.thread_id where i.object = $1";
    sqlx::query_scalar(sql).bind(format!("message:{message}")).fetch_optional(&bot.database.pool).await.unwrap()
}

/// Every message is one request, and those of a conversation are in the order in which they were said.
async fn once_each_and_in_order(bot: &DiscordBot) {
    let twice = "select count(*) from (select object from inbox group by object having count(*) > 1) as twice";
    assert_eq!(bot.count(twice).await, 0, "something was taken twice");
    let swapped = "select count(*) from inbox a join inbox b on a.thread_id = b.thread_id and a.sequence < b.sequence
                   where split_part(a.object, ':', 2)::bigint > split_part(b.object, ':', 2)::bigint";
    assert_eq!(bot.count(swapped).await, 0, "something came out of order");
}
