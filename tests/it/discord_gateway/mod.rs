//! What people say on Discord reaches the service: once, in its order, through whatever happens to connections and processes.

mod backfill;
mod followups;
mod gone;
mod heard;
mod replicas;
mod sessions;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use threadbox::clock::{Clock, SystemClock};
use threadbox::standin::discord::{Id, Options};
use threadbox::standin::model::say;

use crate::support::bot::LIMIT;
use crate::support::discord_bot::DiscordBot;

/// A running bot that answers everything with "Yes.".
async fn agreeable(options: Options) -> DiscordBot {
    begin(options, |_| {}).await
}

/// Goes on as time does, weeks ago, and can be moved ahead: people and limits wait for what they wait for.
#[derive(Clone, Debug)]
struct Earlier(Arc<AtomicI64>);

impl Earlier {
    fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for Earlier {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::milliseconds(self.0.load(Ordering::SeqCst))
    }
}

/// A bot whose time, and Discord's, is moved.
async fn with_clock() -> (DiscordBot, Earlier) {
    let clock = Earlier(Arc::new(AtomicI64::new(-TimeDelta::days(30).num_milliseconds())));
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    (begin(options, |bot| bot.use_clock(Arc::new(clock.clone()))).await, clock)
}

async fn begin(options: Options, change: impl FnOnce(&mut DiscordBot)) -> DiscordBot {
    let mut bot = DiscordBot::prepare(&[("USER_RUNS_PER_HOUR", "1000"), ("DAILY_BUDGET_USD", "1000")], options).await;
    bot.model.rule(|request| (!request.tools.is_empty()).then(|| say("Yes.")));
    change(&mut bot);
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
