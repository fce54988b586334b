//! The client of Discord against the stand-in: what it sends, what it makes of refusals, and that no storm loses or reorders anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use serenity::builder::{CreateActionRow, CreateButton, CreateEmbed};
use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};
use threadbox::clock::SystemClock;
use threadbox::discord::{
    ChannelKind, Discord, DiscordError, Draft, NewFile, NewThread, Opened, Pace, Page, code, first_at, made_at, nonce,
};
use threadbox::secret::{ExposeSecret, SecretString, secret};
use threadbox::settings::DiscordSettings;
use threadbox::standin::discord::{DiscordStandin, Fault, Id, NewChannel, Options, Permissions, Scope, Storm};
use url::Url;

use crate::support::discord_bot::recorded;

const LIMIT: Duration = Duration::from_secs(30);
const WRITES: &str = "POST /channels/:id/messages";

/// A Discord with a guild of `ada`, a channel, and the client.
struct Stage {
    discord: DiscordStandin,
    client: Arc<Discord>,
    ada: Id,
    guild: Id,
    channel: ChannelId,
}

fn client(url: &str, token: SecretString) -> Discord {
    let settings = DiscordSettings {
        token,
        api_url: Url::parse(url).unwrap(),
        allow_guilds: None,
        allow_roles: None,
        allow_channels: None,
        guild_daily_budget_usd: None,
    };
    Discord::new(&settings, Arc::new(SystemClock), Pace::UNLIMITED).unwrap()
}

impl Stage {
    async fn new() -> Self {
        let discord = DiscordStandin::start(recorded(Options::default())).await.unwrap();
        discord.enforce_limits(false);
        // What is announced is heeded all the same.
        discord.limit_route(WRITES, 1_000, 1_000);
        let ada = discord.add_person("ada");
        let guild = discord.add_guild("Octo", ada);
        let channel = ChannelId::new(discord.add_text_channel(guild, "general"));
        let client = Arc::new(client(&discord.url(), discord.token()));
        Self { discord, client, ada, guild, channel }
    }

    fn texts(&self, channel: ChannelId) -> Vec<String> {
        self.discord.messages(channel.get()).into_iter().map(|message| message.content).collect()
    }

    async fn write(&self, text: &str) -> MessageId {
        self.client.create_message(self.channel, &Draft::text(text)).await.unwrap().id
    }

    /// Asks for all of these at once, in this order.
    async fn write_all(&self, texts: &[String]) {
        let drafts: Vec<Draft> = texts.iter().map(Draft::text).collect();
        for written in join_all(drafts.iter().map(|draft| self.client.create_message(self.channel, draft))).await {
            written.unwrap();
        }
    }

    fn requests(&self, method: &str) -> usize {
        self.discord.requests().iter().filter(|request| request.method == method).count()
    }

    /// Waits until a request of this kind was answered with a status; when that was.
    async fn answered(&self, method: &str, status: u16) -> chrono::DateTime<Utc> {
        let look = |world: &threadbox::standin::discord::World| {
            world.requests().find(|one| one.method == method && one.status == Some(status)).map(|one| one.at)
        };
        self.discord.wait_for(method, LIMIT, look).await.unwrap()
    }

    fn finish(self) {
        assert_eq!(self.discord.faults_left(), 0, "a fault was never met");
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

fn file(name: &str, content: &'static [u8]) -> NewFile {
    NewFile { name: name.to_owned(), bytes: Bytes::from_static(content), media_type: None, description: None }
}

#[tokio::test]
async fn a_limited_route_loses_nothing_and_keeps_the_order() {
    let stage = Stage::new().await;
    stage.discord.enforce_limits(true);
    stage.discord.limit_route(WRITES, 5, 200);
    let texts = numbered(30);
    stage.write_all(&texts).await;
    assert_eq!(stage.texts(stage.channel), texts);
    // What is announced is heeded before it is met.
    assert_eq!(stage.discord.invalid_answers(), 0);
    stage.finish();
}

#[tokio::test]
async fn storms_of_every_scope_lose_nothing_and_keep_the_order() {
    for scope in [Scope::User, Scope::Global, Scope::Shared] {
        let stage = Stage::new().await;
        stage.discord.storm(Storm::of(scope).on("POST", "/messages").times(12).retry_after(0.05));
        let texts = numbered(20);
        stage.write_all(&texts).await;
        assert_eq!(stage.texts(stage.channel), texts, "{scope:?}");
        // Everybody's limit brings no ban nearer.
        assert_eq!(stage.discord.invalid_answers(), if scope == Scope::Shared { 0 } else { 12 }, "{scope:?}");
        stage.finish();
    }
}

#[tokio::test]
async fn the_global_limit_holds_up_every_call_and_that_of_a_route_only_its_own() {
    for (scope, waits) in [(Scope::Global, true), (Scope::User, false)] {
        let stage = Stage::new().await;
        stage.discord.storm(Storm::of(scope).on("POST", "/messages").retry_after(0.5));
        let (client, channel) = (stage.client.clone(), stage.channel);
        let writes = tokio::spawn(async move { client.create_message(channel, &Draft::text("hello")).await });
        let refused = stage.answered("POST", 429).await;
        // The refusal is on its way to the client; a call that asks about another thing may overtake it once.
        let looks = async || {
            stage.client.channel(stage.channel).await.unwrap();
            stage.discord.requests().into_iter().rfind(|request| request.method == "GET").unwrap().at
        };
        looks().await;
        let waited = looks().await - refused >= TimeDelta::milliseconds(400);
        assert_eq!(waited, waits, "{scope:?}");
        writes.await.unwrap().unwrap();
        stage.finish();
    }
}

#[tokio::test]
async fn a_limit_that_lasts_too_long_is_told_and_holds_up_no_other_channel() {
    let stage = Stage::new().await;
    let other = ChannelId::new(stage.discord.add_text_channel(stage.guild, "other"));
    stage.discord.limit_next(Scope::User, 120.0);
    let limited = stage.client.create_message(stage.channel, &Draft::text("late")).await.unwrap_err();
    let DiscordError::RateLimited { until } = limited else { panic!("{limited}") };
    let wait = until - Utc::now();
    assert!(wait > TimeDelta::seconds(110) && wait <= TimeDelta::seconds(121), "{wait}");
    // It is not even tried again, and the other channel has a bucket of its own.
    let again = stage.client.create_message(stage.channel, &Draft::text("late")).await.unwrap_err();
    assert_eq!((again, stage.requests("POST")), (DiscordError::RateLimited { until }, 1));
    stage.client.create_message(other, &Draft::text("here")).await.unwrap();
    assert_eq!(stage.texts(other), ["here"]);
    stage.finish();
}

#[tokio::test]
async fn the_limit_on_names_holds_up_nothing_but_names() {
    let stage = Stage::new().await;
    let message = stage.write("begin").await;
    let thread = ChannelId::new(message.get());
    stage.client.start_thread(stage.channel, message, NewThread { name: "First" }).await.unwrap();
    for name in ["Second", "Third"] {
        stage.client.rename(thread, name).await.unwrap();
    }
    let limited = stage.client.rename(thread, "Fourth").await.unwrap_err();
    assert!(matches!(limited, DiscordError::RateLimited { until } if until > Utc::now() + TimeDelta::minutes(9)), "{limited}");
    stage.client.archive(thread, true).await.unwrap();
    stage.client.archive(thread, false).await.unwrap();
    assert_eq!(stage.client.channel(thread).await.unwrap().name, "Third");
    stage.finish();
}

#[tokio::test]
async fn what_was_answered_to_nobody_is_written_once() {
    let stage = Stage::new().await;
    let draft = Draft { nonce: Some(nonce("run-1")), ..Draft::text("once") };
    stage.discord.inject(Fault::answer_lost("POST", "/messages"));
    let lost = stage.client.create_message(stage.channel, &draft).await.unwrap_err();
    assert!(lost.is_transient() && lost.maybe_done(), "{lost}");
    let found = stage.client.create_message(stage.channel, &draft).await.unwrap();
    assert_eq!(stage.texts(stage.channel), ["once"]);
    let ours = stage.client.own_messages(stage.channel, Utc::now() - TimeDelta::minutes(1), Utc::now()).await.unwrap();
    assert_eq!(ours.iter().map(|message| message.id).collect::<Vec<_>>(), [found.id]);
    stage.discord.inject(Fault::answer_lost("POST", "/threads"));
    let new = NewThread { name: "Talk" };
    assert!(stage.client.start_thread(stage.channel, found.id, new).await.unwrap_err().maybe_done());
    assert_eq!(stage.client.start_thread(stage.channel, found.id, new).await.unwrap(), Opened::Before);
    stage.discord.inject(Fault::answer_lost("PATCH", "/messages"));
    assert!(stage.client.edit_message(stage.channel, found.id, &Draft::text("more")).await.unwrap_err().maybe_done());
    stage.client.edit_message(stage.channel, found.id, &Draft::text("more")).await.unwrap();
    assert_eq!(stage.texts(stage.channel), ["more"]);
    stage.finish();
}

#[tokio::test]
async fn a_server_in_trouble_is_tried_again_later_and_one_that_is_not_there_did_nothing() {
    let stage = Stage::new().await;
    for status in [500, 502, 503] {
        stage.discord.inject(Fault::status("POST", "/messages", status));
        let error = stage.client.create_message(stage.channel, &Draft::text("x")).await.unwrap_err();
        assert!(error.is_transient() && error.maybe_done(), "{status}: {error}");
        stage.discord.inject(Fault::status("GET", "/channels", status));
        let error = stage.client.channel(stage.channel).await.unwrap_err();
        assert!(error.is_transient() && !error.maybe_done(), "{status}: {error}");
    }
    let nowhere = client("http://127.0.0.1:1", stage.discord.token());
    let error = nowhere.create_message(stage.channel, &Draft::text("x")).await.unwrap_err();
    assert!(error.is_transient() && !error.maybe_done(), "{error}");
    let token = stage.discord.token();
    assert!(!format!("{error} {error:?} {nowhere:?}").contains(token.expose_secret()));
    stage.finish();
}

#[tokio::test]
async fn refusals_say_what_is_wrong_by_their_codes() {
    let stage = Stage::new().await;
    let (client, text) = (&stage.client, Draft::text("x"));
    let code_of = |error: DiscordError| (error.is_transient(), error.code());
    let unknown = client.create_message(ChannelId::new(1), &text).await.unwrap_err();
    assert!(matches!(unknown, DiscordError::NotFound { code: code::UNKNOWN_CHANNEL }), "{unknown}");
    let gone = client.edit_message(stage.channel, MessageId::new(1), &text).await.unwrap_err();
    assert!(matches!(gone, DiscordError::NotFound { code: code::UNKNOWN_MESSAGE }), "{gone}");
    let hidden = stage.discord.add_channel(stage.guild, NewChannel::text("secret").hidden());
    let unseen = client.create_message(ChannelId::new(hidden), &text).await.unwrap_err();
    assert!(matches!(unseen, DiscordError::Forbidden { code: code::MISSING_ACCESS, .. }), "{unseen}");
    let mute = stage.discord.add_text_channel(stage.guild, "mute");
    stage.discord.deny_us(mute, Permissions::SEND_MESSAGES);
    let muted = client.create_message(ChannelId::new(mute), &text).await.unwrap_err();
    assert!(matches!(muted, DiscordError::Forbidden { code: code::MISSING_PERMISSIONS, .. }), "{muted}");
    assert!(muted.to_string().contains("Missing Permissions"), "{muted}");
    let long = client.create_message(stage.channel, &Draft::text("x".repeat(2_001))).await.unwrap_err();
    assert_eq!(code_of(long), (false, Some(code::INVALID_FORM)));
    let empty = client.create_message(stage.channel, &Draft::text("")).await.unwrap_err();
    assert_eq!(code_of(empty), (false, Some(code::EMPTY_MESSAGE)));
    let large = NewFile { bytes: vec![7; (10 << 20) + 1].into(), ..file("film.bin", b"") };
    let large = client.create_message(stage.channel, &Draft { files: vec![large], ..Draft::text("x") }).await.unwrap_err();
    assert_eq!(code_of(large), (false, Some(code::TOO_LARGE)));
    stage.discord.deny_us(stage.channel.get(), Permissions::READ_MESSAGE_HISTORY);
    let said = stage.discord.say(stage.channel.get(), stage.ada, "hello").unwrap();
    let reply = Draft { reply_to: Some(MessageId::new(said)), ..Draft::text("x") };
    let reply = client.create_message(stage.channel, &reply).await.unwrap_err();
    assert_eq!(code_of(reply), (false, Some(code::REPLY_NEEDS_HISTORY)));
    assert_eq!(stage.texts(stage.channel), ["hello"]);
    stage.finish();
}

#[tokio::test]
async fn a_refused_token_is_told_with_its_remedy_and_not_sent_again_at_once() {
    let stage = Stage::new().await;
    let wrong = client(&stage.discord.url(), secret("not.the.token"));
    for _ in 0..3 {
        assert_eq!(wrong.bot().await.unwrap_err(), DiscordError::Unauthorized);
    }
    assert_eq!(stage.requests("GET"), 1);
    assert!(DiscordError::Unauthorized.to_string().contains("DISCORD_TOKEN"));
    stage.finish();
}

#[tokio::test]
async fn a_message_carries_what_the_draft_has_and_an_edit_replaces_it() {
    let stage = Stage::new().await;
    let button = CreateButton::new("tb1:stop:0").label("Stop");
    let described =
        NewFile { description: Some("A plot".into()), media_type: Some("image/svg+xml".into()), ..file("a.svg", b"<svg/>") };
    let draft = Draft {
        embeds: vec![CreateEmbed::new().title("A title")],
        rows: vec![CreateActionRow::Buttons(vec![button])],
        files: vec![described, file("b.txt", b"bee")],
        ..Draft::text("@everyone look")
    };
    let written = stage.client.create_message(stage.channel, &draft).await.unwrap();
    assert_eq!((written.attachments.len(), written.embeds.len(), written.components.len()), (2, 1, 1));
    let [message] = &stage.discord.messages(stage.channel.get())[..] else { panic!("one message") };
    assert_eq!(message.pings, Default::default());
    let [plot, bee] = &message.attachments[..] else { panic!("{:?}", message.attachments) };
    assert_eq!(
        (&plot.bytes[..], plot.description.as_deref(), plot.content_type.as_deref()),
        (&b"<svg/>"[..], Some("A plot"), Some("image/svg+xml"))
    );
    assert_eq!((bee.name.as_str(), &bee.bytes[..]), ("b.txt", &b"bee"[..]));

    let kept = Draft { keep: vec![written.attachments[1].id], files: vec![file("c.txt", b"sea")], ..Draft::text("changed") };
    stage.client.edit_message(stage.channel, written.id, &kept).await.unwrap();
    let [message] = &stage.discord.messages(stage.channel.get())[..] else { panic!("one message") };
    let names: Vec<&str> = message.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((message.content.as_str(), names), ("changed", vec!["b.txt", "c.txt"]));
    assert!(message.embeds.is_empty() && message.components.is_empty());

    for _ in 0..2 {
        stage.client.delete_message(stage.channel, written.id).await.unwrap();
    }
    assert!(stage.texts(stage.channel).is_empty());
    stage.finish();
}

#[tokio::test]
async fn files_people_send_are_fetched_from_discord_alone_and_no_larger_than_wanted() {
    let stage = Stage::new().await;
    let words = threadbox::standin::discord::Words::new("look").attach("notes.txt", "twelve bytes");
    let said = stage.discord.say(stage.channel.get(), stage.ada, words).unwrap();
    let message = stage.client.message(stage.channel, MessageId::new(said)).await.unwrap();
    let address = Url::parse(&message.attachments[0].url).unwrap();
    assert_eq!(&stage.client.download(&address, 100).await.unwrap()[..], b"twelve bytes");
    let large = stage.client.download(&address, 5).await.unwrap_err();
    assert!(matches!(large, DiscordError::Invalid { .. }), "{large}");
    for elsewhere in ["https://example.com/attachments/1/2/x", "http://127.0.0.1:1/attachments/1/2/x"] {
        let refused = stage.client.download(&Url::parse(elsewhere).unwrap(), 100).await.unwrap_err();
        assert!(matches!(refused, DiscordError::Invalid { .. }), "{refused}");
    }
    let mut gone = address;
    gone.set_path("/attachments/1/2/none.txt");
    let gone = stage.client.download(&gone, 100).await.unwrap_err();
    assert!(matches!(gone, DiscordError::NotFound { .. }), "{gone}");
    stage.finish();
}

#[tokio::test]
async fn threads_are_opened_once_renamed_archived_and_brought_back() {
    let stage = Stage::new().await;
    let message = stage.write("begin").await;
    let thread = ChannelId::new(message.get());
    let opened = stage.client.start_thread(stage.channel, message, NewThread { name: " A\nname " }).await.unwrap();
    assert_eq!(opened, Opened::Now { name: "A name".into() });
    assert_eq!(stage.client.start_thread(stage.channel, message, NewThread { name: "B" }).await.unwrap(), Opened::Before);
    let found = stage.client.channel(thread).await.unwrap();
    let us = UserId::new(stage.discord.us());
    assert_eq!((found.kind, found.parent, found.owner), (ChannelKind::PublicThread, Some(stage.channel), Some(us)));
    let active = stage.client.active_threads(GuildId::new(stage.guild)).await.unwrap();
    assert_eq!(active.iter().map(|one| one.id).collect::<Vec<_>>(), [thread]);
    let inside = stage.client.create_message(thread, &Draft::text("in it")).await.unwrap().id;
    stage.client.rename(thread, &"é".repeat(300)).await.unwrap();
    stage.client.archive(thread, true).await.unwrap();
    let archived = stage.client.edit_message(thread, inside, &Draft::text("changed")).await.unwrap_err();
    assert_eq!(archived.code(), Some(code::THREAD_ARCHIVED));
    stage.client.archive(thread, false).await.unwrap();
    stage.client.edit_message(thread, inside, &Draft::text("changed")).await.unwrap();
    stage.discord.lock(thread.get(), stage.ada, true).unwrap();
    let locked = stage.client.create_message(thread, &Draft::text("x")).await.unwrap_err();
    assert!(!locked.is_transient() && locked.code() == Some(code::THREAD_LOCKED), "{locked}");
    stage.finish();
}

#[tokio::test]
async fn messages_are_read_page_by_page_oldest_first() {
    let stage = Stage::new().await;
    stage.write_all(&numbered(25)).await;
    stage.discord.say(stage.channel.get(), stage.ada, "and me").unwrap();
    let newest = stage.client.messages(stage.channel, Page::Newest, 10).await.unwrap();
    assert_eq!((newest.len(), newest[9].content.as_str()), (10, "and me"));
    let before = stage.client.messages(stage.channel, Page::Before(newest[0].id), 100).await.unwrap();
    assert_eq!((before.len(), before[0].content.as_str()), (16, "message 0"));
    let after = stage.client.messages(stage.channel, Page::After(before[0].id), 5).await.unwrap();
    assert_eq!((after.len(), after[0].content.as_str()), (5, "message 1"));
    let ours = stage.client.own_messages(stage.channel, made_at(before[0].id), Utc::now()).await.unwrap();
    assert_eq!((ours.len(), ours[24].content.as_str()), (25, "message 24"));
    let until = made_at(before[9].id);
    let first = stage.client.own_messages(stage.channel, made_at(before[0].id), until).await.unwrap();
    assert_eq!(first.len(), before.iter().filter(|one| made_at(one.id) <= until).count());
    let all = stage.client.messages(stage.channel, Page::After(first_at(made_at(before[0].id))), 100).await.unwrap();
    assert!(all.len() >= 25);
    stage.finish();
}

#[tokio::test]
async fn reactions_and_typing_are_seen() {
    let stage = Stage::new().await;
    let said = stage.discord.say(stage.channel.get(), stage.ada, "hello").unwrap();
    for _ in 0..2 {
        stage.client.react(stage.channel, MessageId::new(said), "👀").await.unwrap();
    }
    let seen = |stage: &Stage| stage.discord.world(|world| world.message(said).unwrap().reactions.clone());
    assert_eq!(seen(&stage), [("👀".to_owned(), vec![stage.discord.us()])]);
    for _ in 0..2 {
        stage.client.unreact(stage.channel, MessageId::new(said), "👀").await.unwrap();
    }
    assert!(seen(&stage).iter().all(|(_, who)| who.is_empty()));
    stage.client.type_in(stage.channel).await.unwrap();
    let us = stage.discord.us();
    assert!(stage.discord.world(|world| world.typing().any(|one| one.user == us && one.channel == stage.channel.get())));
    stage.finish();
}

#[tokio::test]
async fn who_we_are_and_what_we_may_is_known() {
    let stage = Stage::new().await;
    let (client, guild) = (&stage.client, GuildId::new(stage.guild));
    let us = client.known_bot().await.unwrap().clone();
    assert_eq!((us.name.as_str(), us.id.get()), ("threadbox", stage.discord.us()));
    assert!(client.application().await.unwrap().has_message_content());
    stage.discord.set_privileged(0);
    assert!(!client.application().await.unwrap().has_message_content());
    let gateway = client.gateway().await.unwrap();
    assert!(gateway.url.as_str().starts_with("ws://127.0.0.1:") && gateway.shards == 1 && gateway.sessions_left() > 0);
    assert_eq!(client.guilds().await.unwrap().iter().map(|one| one.id).collect::<Vec<_>>(), [guild]);
    stage.discord.set_tier(stage.guild, 2);
    stage.discord.deny_us(stage.channel.get(), Permissions::ATTACH_FILES);
    let found = client.guild(guild).await.unwrap();
    assert_eq!(found.premium_tier, 2);
    let member = client.member(guild, us.id).await.unwrap();
    let channel = client.channel(stage.channel).await.unwrap();
    let may = found.permissions_in(&channel, us.id, &member);
    let known = stage.discord.world(|world| world.permissions(stage.channel.get(), us.id.get()));
    assert_eq!(may.bits(), known.0);
    assert!(!may.attach_files() && may.send_messages());
    let direct = client.direct_channel(UserId::new(stage.ada)).await.unwrap();
    assert_eq!((direct.kind, direct.recipients), (ChannelKind::Direct, vec![UserId::new(stage.ada)]));
    stage.finish();
}
