//! Posts of a forum: its tags say how the conversation stands, where there are such tags and we may set them.

use threadbox::standin::discord::{Id, NewChannel, Permissions, World};
use threadbox::standin::model::{Gate, gated, say, status};

use crate::support::bot::LIMIT;
use crate::support::discord_bot::DiscordBot;

const TAGS: [&str; 5] = ["bug", "Working", "✅ Answered", "Failed", "Needs answer"];

/// A forum with these tags, in which we may what is needed to set them.
fn forum(bot: &DiscordBot, tags: &[&str]) -> Id {
    let forum = bot.add_channel(NewChannel::forum("help", tags));
    bot.discord.allow_us(forum, Permissions::MANAGE_THREADS);
    forum
}

/// Maya opens a post that mentions us; its number.
fn post(bot: &DiscordBot, forum: Id, tags: &[&str]) -> Id {
    let text = bot.with_mention("@threadbox why is it red?");
    bot.discord.forum_post(forum, bot.person("maya"), "Red", text, tags).unwrap()
}

/// The names of a post's tags.
fn tags_of(world: &World, post: Id) -> Option<Vec<String>> {
    let channel = world.channel(post)?;
    let forum = world.channel(channel.parent?)?;
    let name = |id: &Id| forum.tags.iter().find(|tag| tag.id == *id).map(|tag| tag.name.clone());
    channel.thread.as_ref()?.tags.iter().map(name).collect()
}

async fn until_tags(bot: &DiscordBot, post: Id, wanted: &[&str]) {
    let look = |world: &World| (tags_of(world, post)? == wanted).then_some(());
    bot.discord.wait_for(&format!("tags {wanted:?}"), LIMIT, look).await.unwrap();
}

#[tokio::test]
async fn the_tags_of_a_post_say_how_it_stands_and_those_of_people_stay() {
    let bot = DiscordBot::start().await;
    let forum = forum(&bot, &TAGS);
    let gate = Gate::closed();
    bot.model.script([gated(&gate, say("Because of the rust."))]);
    let post = post(&bot, forum, &["bug"]);
    until_tags(&bot, post, &["bug", "Working"]).await;
    gate.open();
    until_tags(&bot, post, &["bug", "✅ Answered"]).await;
    bot.until_ours(post, "the answer", |message| message.content.contains("rust")).await;
    // What follows changes it; the provider refuses, which no retry mends.
    bot.model.script([status(401)]);
    bot.says_in(post, "maya", "@threadbox and now?");
    until_tags(&bot, post, &["bug", "Failed"]).await;
    bot.until_count("select count(*) from runs where state = 'posted'", 2).await;
    bot.finish().await;
}

#[tokio::test]
async fn where_there_are_no_such_tags_or_we_may_not_everything_else_works() {
    let bot = DiscordBot::start().await;
    let plain = forum(&bot, &["bug", "idea"]);
    let strict = bot.add_channel(NewChannel::forum("strict", &TAGS));
    for (forum, asked) in [(plain, 0), (strict, 1)] {
        bot.model.script([say("Because."), say("Still because.")]);
        let post = post(&bot, forum, &["bug"]);
        bot.until_ours(post, "the answer", |message| message.content.contains("Because.")).await;
        bot.idle().await;
        // Refused once, it is not tried again and again.
        let again = bot.says_in(post, "maya", "@threadbox really?");
        bot.answered(again, post).await;
        bot.idle().await;
        assert_eq!(bot.discord.world(|world| tags_of(world, post)), Some(vec!["bug".to_owned()]));
        let tried = |request: &threadbox::standin::discord::RequestRecord| {
            let body = request.body.as_ref().map(ToString::to_string).unwrap_or_default();
            request.method == "PATCH" && request.path.ends_with(&format!("/{post}")) && body.contains("applied_tags")
        };
        assert_eq!(bot.discord.requests().iter().filter(|request| tried(request)).count(), asked);
    }
    bot.finish().await;
}
