//! `branch` on Discord: within a guild, among the same readers.

use threadbox::standin::discord::{Id, NewChannel, Overwrite, OverwriteOf, Permissions};
use threadbox::standin::model::say;

use super::links::hidden;
use super::{both, comments, joined, linked, told};
use crate::support::bot::REPOSITORY;
use crate::support::discord_bot::DiscordBot;

/// Somebody asks in a thread, and is answered; what the model was shown then.
async fn hears(bot: &DiscordBot, thread: Id, who: &str, text: &str, answer: &str) -> String {
    bot.model.script([say(answer)]);
    let message = bot.says_in(thread, who, text);
    bot.answered(message, thread).await;
    bot.asked().pop().unwrap().body.to_string()
}

/// Somebody asks in a channel, and is answered in a thread of its own.
async fn begins(bot: &DiscordBot, channel: Id, text: &str, answer: &str) -> Id {
    bot.model.script([say(answer)]);
    let thread = bot.says_in(channel, "maya", text);
    bot.answered(thread, thread).await;
    thread
}

fn address(bot: &DiscordBot, place: Id) -> String {
    format!("{}/channels/{}/{}", bot.discord.url(), bot.guild, place)
}

async fn branched(bot: &DiscordBot, thread: Id, from: &str) -> String {
    told(bot, thread, "maya", &format!("@threadbox branch {from}")).await
}

fn thread(bot: &DiscordBot, channel: Id, name: &str) -> Id {
    bot.discord.open_thread(channel, bot.person("maya"), name, None).unwrap()
}

#[tokio::test]
async fn a_thread_begins_with_what_was_said_in_another_until_fewer_may_read_that() {
    let bot = both(&[]).await;
    let source = begins(&bot, bot.channel, "@threadbox keep tangerine in mind", "Kept: tangerine.").await;
    let branch = thread(&bot, bot.channel, "Branch");
    let said = branched(&bot, branch, &address(&bot, source)).await;
    assert!(said.contains("This conversation begins with what was said in that conversation"), "{said}");
    let shown = hears(&bot, branch, "maya", "@threadbox and now? quince", "Go on.").await;
    assert!(shown.contains("Kept: tangerine."), "{shown}");
    let shown = hears(&bot, source, "maya", "@threadbox hello", "Hello.").await;
    assert!(!shown.contains("quince"), "{shown}");
    // By the message it begins with it is the same conversation.
    let another = thread(&bot, bot.channel, "Another");
    let said = branched(&bot, another, &format!("{}/{source}", address(&bot, bot.channel))).await;
    assert!(said.contains("This conversation begins"), "{said}");
    // Said in a channel, it opens a thread.
    let opened = bot.says_in(bot.channel, "maya", &format!("@threadbox branch {}", address(&bot, source)));
    bot.until_ours(opened, "that it begins", |said| said.content.contains("This conversation begins")).await;
    let shown = hears(&bot, opened, "maya", "@threadbox and here?", "Here, too.").await;
    assert!(shown.contains("Kept: tangerine."), "{shown}");
    let open = bot.add_channel(NewChannel::text("open"));
    let kept = thread(&bot, open, "Kept");
    let lines = told(&bot, source, "maya", "@threadbox remember here: tangerines are orange").await;
    assert!(lines.contains("I keep that in mind"), "{lines}");
    branched(&bot, kept, &address(&bot, source)).await;
    let lines = told(&bot, kept, "maya", "@threadbox memory").await;
    assert!(lines.contains("tangerines are orange"), "{lines}");
    closed(&bot, bot.channel).await;
    let lines = told(&bot, kept, "maya", "@threadbox memory").await;
    assert!(!lines.contains("orange"), "{lines}");
    // What `memory` said in this thread stands there still; what was said in the other one does not come along any more.
    let shown = hears(&bot, kept, "maya", "@threadbox and now?", "Nothing.").await;
    assert!(!shown.contains("Kept: tangerine."), "{shown}");
    bot.finish().await;
}

#[tokio::test]
async fn what_few_read_begins_no_conversation_of_others() {
    let bot = both(&[]).await;
    let few = hidden(&bot, &["maya"]);
    let secret = begins(&bot, few, "@threadbox the launch is on Tuesday", "Noted: Tuesday.").await;
    let inside = thread(&bot, few, "Inside");
    let said = branched(&bot, inside, &address(&bot, secret)).await;
    assert!(said.contains("This conversation begins"), "the readers are the same: {said}");
    let shown = hears(&bot, inside, "maya", "@threadbox when?", "On Tuesday.").await;
    assert!(shown.contains("Noted: Tuesday."), "{shown}");
    let outside = thread(&bot, bot.channel, "Outside");
    let unseen = "no such conversation, or not everybody who reads this one may read it";
    let nowhere = secret + 1;
    for from in [address(&bot, secret), address(&bot, inside), address(&bot, nowhere), "https://discord.com/channels/7/8".into()]
    {
        let said = branched(&bot, outside, &from).await;
        assert!(said.contains("Nothing was taken over.") && said.contains(unseen), "{from}: {said}");
    }
    let said = branched(&bot, outside, &address(&bot, bot.channel)).await;
    assert!(said.contains("That is a channel."), "{said}");
    let said = branched(&bot, outside, &format!("{}/acme/rocket/issues/1", bot.github.url())).await;
    assert!(said.contains("the other on Discord"), "{said}");
    let shown = hears(&bot, outside, "bob", "@threadbox when?", "I do not know.").await;
    assert!(!shown.contains("Tuesday"), "{shown}");
    bot.finish().await;
}

/// A channel that everybody saw is for few from now on.
async fn closed(bot: &DiscordBot, channel: Id) {
    let everybody = Overwrite { id: bot.guild, of: OverwriteOf::Role, allow: Permissions::NONE, deny: Permissions::VIEW_CHANNEL };
    bot.discord.overwrite(channel, everybody);
    bot.discord.allow_us(channel, Permissions::VIEW_CHANNEL);
    bot.sql("update discord_channels set looked_at = now() - interval '1 hour'").await;
}

#[tokio::test]
async fn a_branch_of_a_branch_is_parted_also_when_the_one_between_is_forgotten() {
    let bot = both(&[]).await;
    let open = bot.add_channel(NewChannel::text("open"));
    let first = begins(&bot, bot.channel, "@threadbox keep tangerine in mind", "Kept: tangerine.").await;
    let second = thread(&bot, open, "Second");
    branched(&bot, second, &address(&bot, first)).await;
    hears(&bot, second, "maya", "@threadbox and larch", "Kept: larch.").await;
    let third = thread(&bot, open, "Third");
    branched(&bot, third, &address(&bot, second)).await;
    let shown = hears(&bot, third, "maya", "@threadbox what is there?", "Both.").await;
    assert!(shown.contains("Kept: tangerine.") && shown.contains("Kept: larch."), "{shown}");
    told(&bot, second, "ada", "@threadbox forget this thread").await;
    bot.until_count("select count(*) from forgettings where done_at is null", 0).await;
    bot.until_count("select count(*) from branches", 1).await;
    closed(&bot, bot.channel).await;
    let shown = hears(&bot, third, "maya", "@threadbox and now?", "Nothing.").await;
    assert!(!shown.contains("Kept: tangerine.") && !shown.contains("Kept: larch."), "{shown}");
    bot.finish().await;
}

#[tokio::test]
async fn a_branch_is_not_linked_to_where_others_read() {
    let bot = both(&[]).await;
    joined(&bot, "maya", "maya").await;
    linked(&bot, bot.channel, "maya").await;
    let source = begins(&bot, bot.channel, "@threadbox keep tangerine in mind", "Kept: tangerine.").await;
    let branch = thread(&bot, bot.channel, "Branch");
    branched(&bot, branch, &address(&bot, source)).await;
    let issue = bot.issue("Elsewhere").await;
    let page = format!("{}/{REPOSITORY}/issues/{}", bot.github.url(), issue.number);
    let said = told(&bot, branch, "maya", &format!("@threadbox link {page}")).await;
    assert!(said.contains("Nothing was linked.") && said.contains("begins with another conversation"), "{said}");
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {}", address(&bot, branch))).await;
    assert!(said.contains("Nothing was linked.") && said.contains("begins with another conversation"), "{said}");
    // However it came about: what is one with a conversation elsewhere has its own words alone.
    bot.sql(
        "insert into surfaces (surface, key, thread_id, place)
         select 'github', 'elsewhere#1', (select thread_id from branches), jsonb_set(place, '{number}', '999') from surfaces
         where surface = 'github' limit 1",
    )
    .await;
    let shown = hears(&bot, branch, "maya", "@threadbox what is there?", "Nothing.").await;
    assert!(!shown.contains("Kept: tangerine."), "{shown}");
    bot.finish().await;
}
