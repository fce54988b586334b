//! The same Discord, through serenity: what a bot does all day.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serenity::all::{
    ButtonStyle, Channel, ChannelId, ChannelType, Client, Context, CreateActionRow, CreateAllowedMentions, CreateAttachment,
    CreateButton, CreateCommand, CreateCommandOption, CreateForumPost, CreateInteractionResponse,
    CreateInteractionResponseFollowup, CreateMessage, CreateThread, EditInteractionResponse, EditMessage, EditThread,
    EventHandler, GatewayIntents, GetMessages, GuildId, Http, HttpBuilder, Interaction, Message, MessageId, MessageUpdateEvent,
    Ready, ResumedEvent,
};
use threadbox::standin::discord::{GatewayView, Id, NewChannel, Permissions, Scope, Storm};
use tokio::task::JoinHandle;

use super::{LIMIT, Stage};

/// Answers mentions in a thread, with a button and a file; takes the button.
#[derive(Default)]
struct Bot {
    ready: AtomicUsize,
    resumed: AtomicUsize,
    edited: AtomicBool,
    seen: std::sync::Mutex<Vec<String>>,
}

#[serenity::async_trait]
impl EventHandler for Bot {
    async fn ready(&self, _: Context, _: Ready) {
        self.ready.fetch_add(1, Ordering::SeqCst);
    }

    async fn resume(&self, _: Context, _: ResumedEvent) {
        self.resumed.fetch_add(1, Ordering::SeqCst);
    }

    async fn message(&self, ctx: Context, message: Message) {
        if message.author.bot {
            return;
        }
        self.seen.lock().unwrap().push(message.content.clone());
        if message.mentions_me(&ctx).await.unwrap() {
            answer(&ctx, &message).await.unwrap();
        }
    }

    async fn message_update(&self, _: Context, _: Option<Message>, _: Option<Message>, event: MessageUpdateEvent) {
        if event.content.as_deref() == Some("changed") {
            self.edited.store(true, Ordering::SeqCst);
        }
    }

    async fn interaction_create(&self, ctx: Context, interaction: Interaction) {
        match interaction {
            Interaction::Component(pressed) => {
                pressed.create_response(&ctx, CreateInteractionResponse::Acknowledge).await.unwrap();
                pressed.edit_response(&ctx, EditInteractionResponse::new().content("Stopped.").components(vec![])).await.unwrap();
            }
            Interaction::Command(used) => {
                used.defer(&ctx).await.unwrap();
                used.edit_response(&ctx, EditInteractionResponse::new().content("Here.")).await.unwrap();
                let more = CreateInteractionResponseFollowup::new().content("For you.").ephemeral(true);
                used.create_followup(&ctx, more).await.unwrap();
            }
            _ => {}
        }
    }
}

async fn answer(ctx: &Context, message: &Message) -> serenity::Result<()> {
    message.react(ctx, '👀').await?;
    let thread = message.channel_id.create_thread_from_message(ctx, message.id, CreateThread::new("A question")).await?;
    thread.id.broadcast_typing(ctx).await?;
    let stop = CreateButton::new("stop:1").label("Stop").style(ButtonStyle::Danger);
    let first = CreateMessage::new()
        .content("Working on it, @everyone.")
        .components(vec![CreateActionRow::Buttons(vec![stop])])
        .add_file(CreateAttachment::bytes(b"line\n".as_slice(), "log.txt"));
    let mut first = thread.id.send_message(ctx, first).await?;
    first.edit(ctx, EditMessage::new().content("Done.")).await
}

/// serenity, as far away from discord.com as it goes.
fn http(stage: &Stage) -> Http {
    let none = CreateAllowedMentions::new();
    HttpBuilder::new(stage.token()).proxy(stage.discord.url()).ratelimiter_disabled(true).default_allowed_mentions(none).build()
}

async fn start(stage: &Stage, bot: &Arc<Bot>) -> JoinHandle<()> {
    let http = http(stage);
    assert!(http.ratelimiter.is_none(), "it would ask discord.com");
    let intents = GatewayIntents::non_privileged() | GatewayIntents::MESSAGE_CONTENT;
    let builder = serenity::client::ClientBuilder::new_with_http(http, intents).event_handler_arc(bot.clone());
    let mut client: Client = builder.await.unwrap();
    let running = tokio::spawn(async move { client.start().await.unwrap() });
    stage.discord.connected(LIMIT).await.unwrap();
    running
}

impl Stage {
    async fn answered(&self, asked: Id, content: &str) -> Message2 {
        self.discord
            .wait_for(content, LIMIT, |world| world.messages(asked).find(|one| one.content == content).cloned())
            .await
            .unwrap()
    }

    async fn view(&self, look: impl Fn(&GatewayView) -> bool) {
        let search = async {
            loop {
                let changed = self.discord.changed();
                if look(&self.discord.gateway_view()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(LIMIT, search).await.unwrap();
    }
}

type Message2 = threadbox::standin::discord::Message;

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_becomes_a_thread_with_an_answer_a_button_and_a_file() {
    let stage = Stage::new().await;
    stage.discord.set_our_permissions(stage.guild, Permissions::USUAL | Permissions::MENTION_EVERYONE);
    let bot = Arc::new(Bot::default());
    let running = start(&stage, &bot).await;
    let mention = stage.discord.mention(stage.discord.us());
    let asked = stage.discord.say(stage.channel, stage.maya, format!("{mention} why?")).unwrap();
    let done = stage.answered(asked, "Done.").await;
    assert_eq!(done.versions, ["Working on it, @everyone."]);
    assert_eq!((done.attachments[0].name.as_str(), &done.attachments[0].bytes[..]), ("log.txt", b"line\n".as_slice()));
    assert!(!done.pings.everyone);
    let question = stage.discord.messages(stage.channel).remove(0);
    assert_eq!(question.reactions, [("👀".to_owned(), vec![stage.discord.us()])]);
    assert!(stage.discord.world(|world| world.typing().any(|typing| typing.channel == asked)));
    let pressed = stage.discord.press_labelled(done.id, stage.maya, "Stop").unwrap();
    let stopped = stage.answered(asked, "Stopped.").await;
    assert!(stopped.components.is_empty());
    assert!(stage.discord.interaction(pressed).unwrap().took().unwrap() < chrono::TimeDelta::seconds(1));
    stage.discord.edit(asked, stage.maya, "changed").unwrap();
    stage.until_bot(&bot, |bot| bot.edited.load(Ordering::SeqCst)).await;
    running.abort();
}

impl Stage {
    /// Waits for what the bot heard, which nobody tells of: it looks again and again, with a deadline.
    async fn until_bot(&self, bot: &Bot, look: impl Fn(&Bot) -> bool) {
        let search = async {
            while !look(bot) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, search).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_drop_serenity_resumes_and_misses_nothing() {
    let stage = Stage::new().await;
    let bot = Arc::new(Bot::default());
    let running = start(&stage, &bot).await;
    stage.until_bot(&bot, |bot| bot.ready.load(Ordering::SeqCst) == 1).await;
    stage.discord.say(stage.channel, stage.maya, "one").unwrap();
    stage.until_bot(&bot, |bot| bot.seen.lock().unwrap().len() == 1).await;
    // Each step waits until serenity has seen it: what the gateway has sent may not have arrived, and serenity gives every event a task of
    // its own, so two that are under way together come in any order.
    stage.discord.drop_connections();
    stage.discord.say(stage.channel, stage.maya, "two").unwrap();
    stage.view(|view| view.resumed == 1 && view.connected == 1).await;
    stage.until_bot(&bot, |bot| bot.resumed.load(Ordering::SeqCst) == 1 && bot.seen.lock().unwrap().len() == 2).await;
    stage.discord.say(stage.channel, stage.maya, "three").unwrap();
    stage.until_bot(&bot, |bot| bot.seen.lock().unwrap().len() == 3).await;
    stage.discord.ask_to_reconnect();
    stage.view(|view| view.resumed == 2 && view.connected == 1).await;
    stage.until_bot(&bot, |bot| bot.resumed.load(Ordering::SeqCst) == 2).await;
    stage.discord.close_connections(4000);
    stage.view(|view| view.resumed == 3 && view.connected == 1).await;
    stage.until_bot(&bot, |bot| bot.resumed.load(Ordering::SeqCst) == 3).await;
    // Now with an invalid session: a new one begins.
    stage.discord.invalidate_sessions(false);
    stage.until_bot(&bot, |bot| bot.ready.load(Ordering::SeqCst) == 2).await;
    stage.discord.say(stage.channel, stage.maya, "four").unwrap();
    stage.until_bot(&bot, |bot| bot.seen.lock().unwrap().len() == 4).await;
    assert_eq!(*bot.seen.lock().unwrap(), ["one", "two", "three", "four"]);
    assert!(bot.resumed.load(Ordering::SeqCst) >= 3);
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_registered_used_and_answered() {
    let stage = Stage::new().await;
    let bot = Arc::new(Bot::default());
    let running = start(&stage, &bot).await;
    let http = http(&stage);
    http.set_application_id(stage.discord.us().into());
    let what = CreateCommandOption::new(serenity::all::CommandOptionType::String, "what", "What to ask").required(true);
    let ask = CreateCommand::new("ask").description("Ask something").add_option(what);
    let made = serenity::all::Command::set_global_commands(&http, vec![ask]).await.unwrap();
    assert_eq!(made[0].options[0].name, "what");
    let used = stage.discord.slash(stage.channel, stage.maya, "ask", &[("what", "why".into())]).unwrap();
    stage.answered(stage.channel, "Here.").await;
    stage.answered(stage.channel, "For you.").await;
    assert_eq!(stage.discord.interaction(used).unwrap().followups.len(), 1);
    assert_eq!(stage.discord.messages(stage.channel).len(), 1);
    running.abort();
}

#[tokio::test]
async fn what_serenity_reads_over_http_it_understands() {
    let stage = Stage::new().await;
    let http = http(&stage);
    let (guild, channel) = (GuildId::new(stage.guild), ChannelId::new(stage.channel));
    assert_eq!(http.get_current_user().await.unwrap().id.get(), stage.discord.us());
    let info = http.get_current_application_info().await.unwrap();
    assert!(info.flags.unwrap().bits() & (1 << 19) != 0);
    assert_eq!(http.get_bot_gateway().await.unwrap().shards, 1);
    assert_eq!(guild.to_partial_guild(&http).await.unwrap().name, "Octo");
    assert_eq!(guild.channels(&http).await.unwrap().len(), 1);
    assert_eq!(guild.roles(&http).await.unwrap().len(), 2);
    assert_eq!(guild.member(&http, stage.maya).await.unwrap().user.name, "maya");
    let asked = stage.discord.say(stage.channel, stage.maya, "why?").unwrap();
    let answer = CreateMessage::new().content("Because.").reference_message((channel, MessageId::new(asked)));
    let answer = channel.send_message(&http, answer).await.unwrap();
    assert_eq!(answer.referenced_message.unwrap().id.get(), asked);
    let found = channel.messages(&http, GetMessages::new().after(asked).limit(10)).await.unwrap();
    assert_eq!(found.len(), 1);
    let thread = channel.create_thread(&http, CreateThread::new("talk").kind(ChannelType::PublicThread)).await.unwrap();
    thread.id.edit_thread(&http, EditThread::new().name("better").archived(true)).await.unwrap();
    let archived = channel.get_archived_public_threads(&http, None, None).await.unwrap();
    assert_eq!(archived.threads[0].name, "better");
    let forum = stage.discord.add_channel(stage.guild, NewChannel::forum("help", &["bug"]));
    let Channel::Guild(place) = ChannelId::new(forum).to_channel(&http).await.unwrap() else { panic!("no channel") };
    let tag = place.available_tags[0].id;
    let post = CreateForumPost::new("It broke", CreateMessage::new().content("Look.")).add_applied_tag(tag);
    let post = place.create_forum_post(&http, post).await.unwrap();
    assert_eq!(guild.get_active_threads(&http).await.unwrap().threads[0].id, post.id);
    let alone = stage.discord.us();
    assert!(ChannelId::new(alone).say(&http, "x").await.is_err());
    let direct = serenity::all::UserId::new(stage.maya).create_dm_channel(&http).await.unwrap();
    direct.say(&http, "Hello.").await.unwrap();
}

/// Without its own limiter, which would ask discord.com, serenity hands a 429 to whoever asked.
#[tokio::test]
async fn a_429_comes_back_as_an_error_with_its_status() {
    let stage = Stage::new().await;
    let http = http(&stage);
    stage.discord.storm(Storm::of(Scope::User).on("POST", "/messages").retry_after(0.2));
    let refused = ChannelId::new(stage.channel).say(&http, "x").await.unwrap_err();
    let serenity::Error::Http(error) = refused else { panic!("{refused}") };
    assert_eq!(error.status_code().unwrap().as_u16(), 429);
    ChannelId::new(stage.channel).say(&http, "x").await.unwrap();
    assert_eq!(stage.discord.messages(stage.channel).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn close_codes_that_end_serenity_say_why() {
    for (code, expected) in [(4004, "authentication"), (4013, "intents"), (4014, "intents")] {
        let stage = Stage::new().await;
        let http = http(&stage);
        let builder = serenity::client::ClientBuilder::new_with_http(http, GatewayIntents::GUILDS);
        let mut client = builder.await.unwrap();
        let running = tokio::spawn(async move { client.start().await });
        stage.discord.connected(LIMIT).await.unwrap();
        stage.discord.close_connections(code);
        let ended = tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap_err().to_string();
        assert!(ended.to_lowercase().contains(expected), "{code}: {ended}");
    }
}
