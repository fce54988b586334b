//! What is posted on Discord: where it stands, that it happens once, and what becomes of it where we may do less.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use threadbox::clock::{Clock, ManualClock};
use threadbox::discord::{Discord, Pace};
use threadbox::github::Reaction;
use threadbox::id::{LeaseEpoch, RunId, ThreadId};
use threadbox::intake::{Accepted, Asks, Author, Delivery, ObjectVersion, Place, Request, Surface, Trigger, With, accept_found};
use threadbox::landing::CommitMade;
use threadbox::reply::{
    AnswerView, Attached, Card, CommentPost, Footer, Landed, LiveComment, LiveOf, LiveState, LiveStep, LiveView, Outcome,
    PostError, Poster, Redactor, Said, Shown, Spot, StepState, answer_key,
};
use threadbox::secret::{ExposeSecret, secret};
use threadbox::settings::DiscordSettings;
use threadbox::standin::discord::{DiscordStandin, Fault, Id, Message, Options, Permissions, World};
use threadbox::standin::github;
use threadbox::standin::model::{call, say};
use tokio::sync::watch;
use url::Url;

use crate::support::bot::{self, Bot};
use crate::support::database::TestDatabase;
use crate::support::discord_bot::recorded;

const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &str = "hunter2-hunter2-hunter2";

/// A guild of `ada` with `maya` in it, a channel, and the poster.
pub(super) struct Stage {
    pub discord: DiscordStandin,
    pub clock: ManualClock,
    pub database: TestDatabase,
    pub poster: Poster,
    pub ada: Id,
    pub maya: Id,
    pub guild: Id,
    pub channel: Id,
}

/// A conversation that began with a message in the channel.
pub(super) struct Begun {
    pub opening: Id,
    place: Place,
    thread: ThreadId,
    request: Request,
}

pub(super) fn number(id: Id) -> i64 {
    i64::try_from(id).unwrap()
}

impl Stage {
    pub async fn new() -> Self {
        let clock = ManualClock::at("2026-11-01T10:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
        let discord = DiscordStandin::start(recorded(options)).await.unwrap();
        discord.enforce_limits(false);
        discord.limit_route("POST /channels/:id/messages", 1_000, 1_000);
        let [ada, maya] = ["ada", "maya"].map(|name| discord.add_person(name));
        let guild = discord.add_guild("Octo", ada);
        discord.add_member(guild, maya, &[]);
        let channel = discord.add_text_channel(guild, "general");
        let database = TestDatabase::create().await;
        let poster = poster(&discord, &database, &clock);
        Self { discord, clock, database, poster, ada, maya, guild, channel }
    }

    /// Maya mentions us in the channel.
    pub async fn begin(&self, text: &str) -> Begun {
        let opening = self.discord.say(self.channel, self.maya, text).unwrap();
        let place = opened(self.guild, self.channel, opening);
        self.accept(opening, place, text).await
    }

    async fn accept(&self, message: Id, place: Place, text: &str) -> Begun {
        let request = request(&place, (self.maya, message), text, self.clock.now());
        let thread = accept(&self.database, &request).await;
        Begun { opening: message, place, thread, request }
    }

    /// What we wrote in a channel or thread; not that a thread was opened.
    pub fn ours(&self, place: Id) -> Vec<Message> {
        let us = self.discord.us();
        self.discord.messages(place).into_iter().filter(|one| one.author == us && one.kind != 21).collect()
    }

    pub fn texts(&self, place: Id) -> Vec<String> {
        self.ours(place).into_iter().map(|message| message.content).collect()
    }

    pub async fn say(&self, begun: &Begun, key: &str, said: &Said<'_>) -> Result<(), PostError> {
        self.poster.comment(&begun.post(key), said).await.map(drop)
    }

    pub async fn answer(&self, begun: &Begun, key: &str, text: &str) -> Result<(), PostError> {
        self.say(begun, key, &Said::Answer { view: &answer(text), allowed: &[] }).await
    }

    fn name_of(&self, thread: Id) -> String {
        self.discord.world(|world| world.channel(thread).unwrap().name.clone())
    }

    pub fn deny(&self, permissions: Permissions) {
        self.discord.deny_us(self.channel, permissions);
    }

    /// A run of the conversation, as far as a post needs one.
    async fn run(&self, begun: &Begun) -> RunId {
        let run = RunId::new();
        sqlx::query(
            "insert into runs (id, thread_id, inbox_id, message_id, request, task, next_try_at, requester, requester_id, repository,
                               created_at)
             select $1, thread_id, id, message_id, request, '{}', now(), 'maya', 1, '', now() from inbox where thread_id = $2",
        )
        .bind(run)
        .bind(begun.thread)
        .execute(&self.database.pool)
        .await
        .unwrap();
        run
    }

    async fn attachment(&self, run: RunId, name: &str, content: &[u8]) -> Attached {
        let token = format!("token-{}", name.replace(' ', "-"));
        sqlx::query(
            "insert into attachments (token, run_id, sequence, name, media_type, content, created_at)
             select $1, $2, count(*)::int, $3, 'application/octet-stream', $4, now() from attachments",
        )
        .bind(&token)
        .bind(run)
        .bind(name)
        .bind(content)
        .execute(&self.database.pool)
        .await
        .unwrap();
        let public = Url::parse("https://threadbox.example/base").unwrap();
        let url = threadbox::attachment::address(&public, &token, name);
        Attached { name: name.to_owned(), size: content.len() as u64, url, shown: Shown::Link }
    }

    pub async fn finish(self) {
        assert_eq!(self.discord.faults_left(), 0, "a fault was never met");
        drop(self.poster);
        self.database.finish().await;
    }
}

/// A conversation that begins with this message in a channel.
fn opened(guild: Id, channel: Id, opening: Id) -> Place {
    Place::Discord {
        guild: Some(number(guild)),
        channel: number(channel),
        parent: None,
        opening: Some(number(opening)),
        person: None,
        repository: None,
        apart: None,
    }
}

fn request(place: &Place, (maya, message): (Id, Id), text: &str, now: DateTime<Utc>) -> Request {
    Request {
        place: place.clone(),
        trigger: Trigger::Comment(number(message)),
        author: Author { id: number(maya), login: "maya".into(), is_bot: false },
        text: text.to_owned(),
        title: String::new(),
        body: None,
        url: format!("https://discord.com/channels/1/2/{message}"),
        written_at: now,
        asks: Asks::Words,
        head: None,
        review_thread: None,
        from_fork: false,
        opened_by: None,
        with: With::default(),
    }
}

/// Takes in what was said, as if the gateway had told of it. The thread it belongs to.
async fn accept(database: &TestDatabase, request: &Request) -> ThreadId {
    let Trigger::Comment(message) = request.trigger else { panic!("{:?}", request.trigger) };
    let delivery = Delivery {
        surface: Surface::Discord,
        external_id: message.to_string(),
        kind: "message".into(),
        object: Some(ObjectVersion { object: format!("message:{message}"), edited_at: request.written_at }),
        was_also: None,
    };
    match accept_found(&database.pool, &delivery, request, request.written_at).await.unwrap() {
        Accepted::Stored { thread, .. } => thread,
        other => panic!("{other:?}"),
    }
}

/// A poster, as a process has one.
pub(super) fn poster(discord: &DiscordStandin, database: &TestDatabase, clock: &ManualClock) -> Poster {
    let settings = DiscordSettings {
        token: discord.token(),
        api_url: Url::parse(&discord.url()).unwrap(),
        allow_guilds: None,
        allow_roles: None,
        allow_channels: None,
        guild_daily_budget_usd: None,
    };
    let client = Discord::new(&settings, Arc::new(clock.clone()), Pace::UNLIMITED).unwrap();
    let redactor = Arc::new(Redactor::new([secret(SECRET)]));
    Poster::new(database.pool.clone(), None, redactor, Arc::new(clock.clone())).on_discord(Arc::new(client))
}

impl Begun {
    pub fn post<'a>(&'a self, key: &'a str) -> CommentPost<'a> {
        CommentPost {
            key,
            thread: self.thread,
            run: None,
            kind: "answer",
            about: None,
            place: &self.place,
            spot: Spot::Conversation,
        }
    }
}

pub(super) fn answer(text: &str) -> AnswerView {
    AnswerView {
        outcome: Outcome::Answered,
        text: text.to_owned(),
        executions: Vec::new(),
        attachments: Vec::new(),
        diff: None,
        landed: Vec::new(),
        footer: Footer::default(),
    }
}

pub(super) fn working(step: &str) -> LiveView {
    let steps = vec![LiveStep { label: step.to_owned(), state: StepState::Running }];
    LiveView { state: LiveState::Working, steps, ..LiveView::default() }
}

/// A text of several messages.
pub(super) fn long(lines: usize) -> String {
    (0..lines).map(|n| format!("Line {n} says what the lines before it did not say yet.\n\n")).collect()
}

#[tokio::test]
async fn a_mention_becomes_a_thread_with_one_message_that_becomes_the_answer() {
    let stage = Stage::new().await;
    let begun = stage.begin("<@1> please fix the build of the parser").await;
    stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap();
    assert_eq!(stage.name_of(begun.opening), "please fix the build of the parser");
    let [live] = &stage.ours(begun.opening)[..] else { panic!("{:?}", stage.texts(begun.opening)) };
    stage.poster.edit(&begun.post("run-1"), &Said::Live(&working("Reading src/parser.rs"))).await.unwrap();
    assert!(stage.texts(begun.opening)[0].contains("Reading src/parser.rs"));
    stage.answer(&begun, "run-1", "The build is fixed. @everyone <@&5> <@7>").await.unwrap();
    let [answer] = &stage.ours(begun.opening)[..] else { panic!("{:?}", stage.texts(begun.opening)) };
    assert_eq!(answer.id, live.id);
    assert!(answer.content.contains("The build is fixed."), "{}", answer.content);
    assert_eq!(answer.pings, Default::default());
    assert!(stage.ours(stage.channel).is_empty());
    stage.finish().await;
}

#[tokio::test]
async fn a_long_answer_goes_on_in_messages_of_its_own_and_a_shorter_one_takes_them_away() {
    let stage = Stage::new().await;
    let begun = stage.begin("tell me all").await;
    stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap();
    let first = stage.ours(begun.opening)[0].id;
    for _ in 0..2 {
        stage.answer(&begun, "run-1", &long(100)).await.unwrap();
        let ours = stage.ours(begun.opening);
        assert!(ours.len() > 2 && ours[0].id == first, "{}", ours.len());
        let whole: String = ours.iter().map(|message| message.content.as_str()).collect();
        let places: Vec<usize> = (0..100).map(|n| whole.find(&format!("Line {n} says")).unwrap()).collect();
        assert!(places.is_sorted());
        let keys = sqlx::query_scalar::<_, i64>("select count(*) from posts where key like 'run-1/%' and state = 'done'");
        assert_eq!(keys.fetch_one(&stage.database.pool).await.unwrap(), ours.len() as i64 - 1);
    }
    stage.answer(&begun, "run-1", "In short: yes.").await.unwrap();
    let [short] = &stage.ours(begun.opening)[..] else { panic!("{:?}", stage.texts(begun.opening)) };
    assert!(short.id == first && short.content.contains("In short: yes."));
    stage.finish().await;
}

#[tokio::test]
async fn without_the_permission_for_threads_it_replies_in_the_channel_and_says_so_once() {
    let stage = Stage::new().await;
    stage.deny(Permissions::CREATE_PUBLIC_THREADS);
    let (one, other) = (stage.begin("first").await, stage.begin("second").await);
    stage.answer(&one, "run-1", "One.").await.unwrap();
    stage.answer(&other, "run-2", "Two.").await.unwrap();
    let ours = stage.ours(stage.channel);
    let notices: Vec<_> = ours.iter().filter(|one| one.content.contains("Create Public Threads")).collect();
    assert_eq!(notices.len(), 1);
    for (begun, text) in [(&one, "One."), (&other, "Two.")] {
        let answer = ours.iter().find(|message| message.content.contains(text)).unwrap();
        assert_eq!(answer.reference, Some((stage.channel, begun.opening)));
        assert_eq!(answer.pings.users, Vec::<Id>::new());
    }
    assert_eq!(ours.len(), 3);
    // Allowed again, a conversation goes on where it is, and the next one gets its thread.
    stage.discord.allow_us(stage.channel, Permissions::CREATE_PUBLIC_THREADS);
    stage.answer(&one, "run-3", "Still here.").await.unwrap();
    let third = stage.begin("third").await;
    stage.answer(&third, "run-4", "In a thread.").await.unwrap();
    assert!(stage.texts(stage.channel).iter().any(|text| text.contains("Still here.")));
    assert!(stage.texts(third.opening)[0].contains("In a thread."));
    stage.finish().await;
}

#[tokio::test]
async fn where_nothing_can_be_said_in_the_thread_it_goes_on_in_the_channel() {
    let stage = Stage::new().await;
    stage.deny(Permissions::SEND_MESSAGES_IN_THREADS);
    let begun = stage.begin("first").await;
    stage.answer(&begun, "run-1", "Here instead.").await.unwrap();
    stage.answer(&begun, "run-1", "Here instead, again.").await.unwrap();
    let texts = stage.texts(stage.channel);
    assert_eq!(texts.iter().filter(|text| text.contains("Here instead, again.")).count(), 1, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("Send Messages in Threads")).count(), 1, "{texts:?}");
    assert_eq!(texts.len(), 2, "{texts:?}");
    stage.finish().await;
}

#[tokio::test]
async fn without_the_history_an_answer_in_the_channel_stands_alone() {
    let stage = Stage::new().await;
    stage.deny(Permissions::CREATE_PUBLIC_THREADS | Permissions::READ_MESSAGE_HISTORY);
    let begun = stage.begin("first").await;
    stage.answer(&begun, "run-1", "Alone.").await.unwrap();
    let ours = stage.ours(stage.channel);
    let answer = ours.iter().find(|message| message.content.contains("Alone.")).unwrap();
    assert_eq!(answer.reference, None);
    stage.finish().await;
}

#[tokio::test]
async fn an_answer_that_somebody_deleted_is_written_again_once() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap();
    let live = stage.ours(begun.opening)[0].id;
    stage.discord.delete(live, stage.ada).unwrap();
    // What shows how it goes is not worth a second message; the answer is.
    stage.poster.edit(&begun.post("run-1"), &Said::Live(&working("Reading"))).await.unwrap();
    assert!(stage.ours(begun.opening).is_empty());
    stage.discord.inject(Fault::answer_lost("POST", "/messages"));
    assert!(stage.answer(&begun, "run-1", "Done.").await.is_err());
    stage.answer(&begun, "run-1", "Done.").await.unwrap();
    stage.answer(&begun, "run-1", "Done twice.").await.unwrap();
    let texts = stage.texts(begun.opening);
    assert!(texts.len() == 1 && texts[0].contains("Done twice."), "{texts:?}");
    stage.finish().await;
}

#[tokio::test]
async fn a_message_whose_creation_was_answered_to_nobody_is_found_again() {
    // Within minutes Discord finds it by its nonce; hours later we do.
    for later in [TimeDelta::seconds(1), TimeDelta::hours(2)] {
        let stage = Stage::new().await;
        let begun = stage.begin("do it").await;
        stage.discord.inject(Fault::answer_lost("POST", "/messages"));
        let lost = stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap_err();
        assert!(matches!(lost, PostError::Discord(error) if error.maybe_done()));
        stage.clock.advance(later);
        stage.discord.say(begun.opening, stage.maya, "Hurry!").unwrap();
        let restarted = poster(&stage.discord, &stage.database, &stage.clock);
        let said = answer("Here it is.");
        restarted.comment(&begun.post("run-1"), &Said::Answer { view: &said, allowed: &[] }).await.unwrap();
        let texts = stage.texts(begun.opening);
        assert!(texts.len() == 1 && texts[0].contains("Here it is."), "{texts:?}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_thread_whose_opening_was_answered_to_nobody_is_ours_all_the_same() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    stage.discord.inject(Fault::answer_lost("POST", "/threads"));
    assert!(stage.answer(&begun, "run-1", "Done.").await.is_err());
    stage.answer(&begun, "run-1", "Done.").await.unwrap();
    assert_eq!(stage.texts(begun.opening).len(), 1);
    stage.poster.show_title(begun.thread, "A better name").await.unwrap();
    assert_eq!(stage.name_of(begun.opening), "A better name");
    stage.finish().await;
}

#[tokio::test]
async fn a_piece_in_the_middle_that_failed_is_said_when_it_is_tried_again() {
    let stage = Stage::new().await;
    let begun = stage.begin("tell me all").await;
    stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap();
    stage.discord.inject(Fault::status("POST", "/messages", 500));
    assert!(stage.answer(&begun, "run-1", &long(100)).await.is_err());
    stage.discord.inject(Fault::answer_lost("POST", "/messages"));
    assert!(stage.answer(&begun, "run-1", &long(100)).await.is_err());
    stage.answer(&begun, "run-1", &long(100)).await.unwrap();
    let whole: String = stage.texts(begun.opening).concat();
    for n in 0..100 {
        assert_eq!(whole.matches(&format!("Line {n} says")).count(), 1, "line {n}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn an_archived_thread_comes_back_when_something_is_said_in_it() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    stage.say(&begun, "run-1", &Said::Live(&LiveView::default())).await.unwrap();
    let is_archived = || {
        let look = |world: &World| world.channel(begun.opening).unwrap().thread.clone().unwrap().archived;
        stage.discord.world(look)
    };
    for (key, text) in [("run-1", "Edited."), ("run-2", "Written.")] {
        stage.discord.archive(begun.opening, stage.ada, true).unwrap();
        stage.answer(&begun, key, text).await.unwrap();
        assert!(!is_archived(), "{text}");
        assert!(stage.texts(begun.opening).last().unwrap().contains(text));
    }
    stage.finish().await;
}

#[tokio::test]
async fn files_are_sent_and_what_is_too_large_or_not_permitted_is_linked() {
    let stage = Stage::new().await;
    let begun = stage.begin("draw it").await;
    let run = stage.run(&begun).await;
    let small = stage.attachment(run, "plot 1.svg", b"<svg/>").await;
    let large = stage.attachment(run, "film.bin", &vec![7; (10 << 20) + 1]).await;
    let told = stage.attachment(run, "notes.txt", format!("the key is {SECRET}").as_bytes()).await;
    let view = AnswerView { attachments: vec![small.clone(), large.clone(), told], ..answer("Here.") };
    stage.say(&begun, "run-1", &Said::Answer { view: &view, allowed: &[] }).await.unwrap();
    let files = |message: &Message| message.attachments.iter().map(|file| file.bytes.clone()).collect::<Vec<_>>();
    let ours = stage.ours(begun.opening);
    let sent: Vec<_> = ours.iter().flat_map(files).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(&sent[0][..], b"<svg/>");
    assert!(!String::from_utf8_lossy(&sent[1]).contains(SECRET));
    let whole: String = stage.texts(begun.opening).concat();
    assert!(whole.contains(&large.url), "{whole}");
    // A guild that is boosted takes it; what was known about it holds for some minutes.
    stage.discord.set_tier(stage.guild, 2);
    stage.clock.advance(TimeDelta::minutes(11));
    stage.say(&begun, "run-1", &Said::Answer { view: &view, allowed: &[] }).await.unwrap();
    assert_eq!(stage.ours(begun.opening).iter().flat_map(files).count(), 3);
    // Where no files are allowed all of them are linked.
    stage.deny(Permissions::ATTACH_FILES);
    stage.say(&begun, "run-2", &Said::Answer { view: &view, allowed: &[] }).await.unwrap();
    let last = stage.ours(begun.opening).pop().unwrap();
    assert!(last.attachments.is_empty() && last.content.contains(&small.url), "{}", last.content);
    stage.finish().await;
}

#[tokio::test]
async fn where_frames_are_not_permitted_files_still_come() {
    let stage = Stage::new().await;
    stage.deny(Permissions::EMBED_LINKS);
    let begun = stage.begin("open it").await;
    let run = stage.run(&begun).await;
    let plot = stage.attachment(run, "plot.svg", b"<svg/>").await;
    let commit = CommitMade { sha: "0123456789abcdef0123456789abcdef01234567".into(), subject: "Fix the parser".into() };
    let landed = Landed {
        pull_request: Some(7),
        url: Some("https://github.com/acme/rocket/pull/7".into()),
        branch: "threadbox/parser".into(),
        commits: vec![commit],
        files: 1,
        ..Landed::default()
    };
    let view = AnswerView { attachments: vec![plot], landed: vec![landed], ..answer("Done.") };
    stage.say(&begun, "run-1", &Said::Answer { view: &view, allowed: &[] }).await.unwrap();
    let ours = stage.ours(begun.opening);
    let [answer] = &ours[..] else { panic!("{ours:?}") };
    assert_eq!((answer.attachments.len(), answer.embeds.len()), (1, 0));
    assert!(answer.content.contains("Fix the parser"), "{}", answer.content);
    stage.finish().await;
}

#[tokio::test]
async fn no_secret_leaves_in_a_message() {
    let stage = Stage::new().await;
    let begun = stage.begin(&format!("use {SECRET} for it")).await;
    stage.answer(&begun, "run-1", &format!("I used {SECRET}.")).await.unwrap();
    assert!(!stage.name_of(begun.opening).contains(SECRET), "{}", stage.name_of(begun.opening));
    assert!(!stage.texts(begun.opening).concat().contains(SECRET));
    stage.finish().await;
}

#[tokio::test]
async fn a_reaction_says_how_it_stands_and_takes_the_place_of_the_one_before() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    let ours = || {
        let message = stage.discord.messages(stage.channel).into_iter().find(|one| one.id == begun.opening).unwrap();
        message.reactions.into_iter().filter(|(_, who)| !who.is_empty()).map(|(emoji, _)| emoji).collect::<Vec<_>>()
    };
    for (reaction, emoji) in
        [(Reaction::Eyes, "👀"), (Reaction::Confused, "😕"), (Reaction::Rocket, "🚀"), (Reaction::Rocket, "🚀")]
    {
        stage.poster.react(&begun.request, reaction).await.unwrap();
        assert_eq!(ours(), [emoji]);
    }
    // Where we may not, or the message is gone, there is none.
    stage.deny(Permissions::ADD_REACTIONS);
    let other = stage.begin("and this").await;
    stage.poster.react(&other.request, Reaction::Eyes).await.unwrap();
    stage.discord.delete(begun.opening, stage.maya).unwrap();
    stage.poster.react(&begun.request, Reaction::Confused).await.unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn the_thread_gets_its_title_unless_a_person_gave_it_another_name() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    stage.answer(&begun, "run-1", "Done.").await.unwrap();
    stage.poster.show_title(begun.thread, "First title").await.unwrap();
    assert_eq!(stage.name_of(begun.opening), "First title");
    assert!(stage.poster.is_our_name(number(begun.opening), "First title").await.unwrap());
    stage.poster.show_title(begun.thread, "Second title").await.unwrap();
    assert_eq!(stage.name_of(begun.opening), "Second title");
    // Discord lets a name change twice in ten minutes.
    stage.clock.advance(TimeDelta::minutes(11));
    stage.discord.rename(begun.opening, stage.ada, "Ada's name").unwrap();
    assert!(!stage.poster.is_our_name(number(begun.opening), "Ada's name").await.unwrap());
    stage.poster.show_title(begun.thread, "Third title").await.unwrap();
    assert_eq!(stage.name_of(begun.opening), "Ada's name");
    // A thread that a person opened is theirs to name.
    let theirs = stage.begin("and this").await;
    stage.discord.open_thread(stage.channel, stage.ada, "Ada's thread", Some(theirs.opening)).unwrap();
    stage.answer(&theirs, "run-2", "Done, too.").await.unwrap();
    assert!(stage.texts(theirs.opening)[0].contains("Done, too."));
    stage.poster.show_title(theirs.thread, "Our title").await.unwrap();
    assert_eq!(stage.name_of(theirs.opening), "Ada's thread");
    stage.finish().await;
}

#[tokio::test]
async fn in_threads_posts_and_direct_messages_it_talks_right_there() {
    let stage = Stage::new().await;
    let thread = stage.discord.open_thread(stage.channel, stage.ada, "Talk", None).unwrap();
    let (direct, message) = stage.discord.direct(stage.maya, "hello").unwrap();
    let asked = stage.discord.say(thread, stage.maya, "do it").unwrap();
    let place = |guild: Option<Id>, channel: Id| Place::Discord {
        guild: guild.map(number),
        channel: number(channel),
        parent: None,
        opening: None,
        person: None,
        repository: None,
        apart: None,
    };
    let in_thread = stage.accept(asked, place(Some(stage.guild), thread), "do it").await;
    let alone = stage.accept(message, place(None, direct), "hello").await;
    stage.answer(&in_thread, "run-1", "Done.").await.unwrap();
    stage.answer(&alone, "run-2", "Hello!").await.unwrap();
    assert!(stage.texts(thread).concat().contains("Done.") && stage.texts(direct).concat().contains("Hello!"));
    stage.poster.show_title(in_thread.thread, "Our title").await.unwrap();
    assert_eq!(stage.name_of(thread), "Talk");
    stage.finish().await;
}

#[tokio::test]
async fn while_it_works_it_is_seen_typing_and_how_it_goes() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    let run = stage.run(&begun).await;
    let key = answer_key(run);
    let post = CommentPost { run: Some(run), ..begun.post(&key) };
    stage.poster.comment(&post, &Said::Live(&LiveView::default())).await.unwrap();
    let (view, views) = watch::channel(working("Reading"));
    let place = (begun.place.clone(), Spot::Conversation);
    sqlx::raw_sql("update threads set lease_epoch = 7, lease_until = now() + interval '1 hour'")
        .execute(&stage.database.pool)
        .await
        .unwrap();
    let of = LiveOf { thread: begun.thread, run, epoch: LeaseEpoch(7) };
    let live = LiveComment::follow(stage.poster.clone(), of, place, views);
    let message = stage.ours(begun.opening)[0].id;
    let shows = async |text: &str| {
        let look = |world: &World| world.message(message).is_some_and(|one| one.content.contains(text)).then_some(());
        stage.discord.wait_for(text, LIMIT, look).await.unwrap();
    };
    shows("Reading").await;
    let us = stage.discord.us();
    let typing = |world: &World| world.typing().find(|one| one.user == us && one.channel == begun.opening).map(drop);
    stage.discord.wait_for("typing", LIMIT, typing).await.unwrap();
    for n in 0..50 {
        view.send_replace(working(&format!("Step {n}")));
    }
    shows("Step 49").await;
    live.finish().await;
    let edits = stage.discord.requests().into_iter().filter(|request| request.method == "PATCH").count();
    assert!(edits <= 4, "{edits} edits");
    let stop = stage.ours(begun.opening)[0].components.clone();
    assert!(serde_json::to_string(&stop).unwrap().contains("tb1:stop:"), "{stop:?}");
    stage.finish().await;
}

#[tokio::test]
async fn two_workers_that_say_the_same_say_it_once() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    let other = poster(&stage.discord, &stage.database, &stage.clock);
    let card = Card::Bot;
    let (post, said) = (begun.post("card-1"), Said::Card(&card));
    let (one, two) = tokio::join!(stage.poster.comment(&post, &said), other.comment(&post, &said));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(stage.ours(begun.opening).len(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_channel_that_is_gone_is_a_final_refusal() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    stage.discord.delete_channel(stage.channel, stage.ada).unwrap();
    let error = stage.answer(&begun, "run-1", "Done.").await.unwrap_err();
    assert!(matches!(&error, PostError::Discord(error) if !error.is_transient()), "{error}");
    stage.finish().await;
}

#[tokio::test]
async fn a_request_is_answered_in_its_thread_which_gets_the_title() {
    let discord = DiscordStandin::start(recorded(Options::default())).await.unwrap();
    let [ada, maya] = ["ada", "maya"].map(|name| discord.add_person(name));
    let guild = discord.add_guild("Octo", ada);
    discord.add_member(guild, maya, &[]);
    let channel = discord.add_text_channel(guild, "general");
    let (url, token) = (discord.url(), discord.token());
    let environment = [("DISCORD_API_URL", url.as_str()), ("DISCORD_TOKEN", token.expose_secret())];
    let github = github::Options { expects: github::Expects::Token, ..github::Options::default() };
    let mut bot = Bot::prepare(&environment, github).await;
    bot.model.script([call("runCode", json!({ "code": "print(6 * 7)" })), say("It is **42**.")]);
    bot.run().await;
    let opening = discord.say(channel, maya, "what is six times seven?").unwrap();
    let place = opened(guild, channel, opening);
    accept(&bot.database, &request(&place, (maya, opening), "@threadbox what is six times seven?", Utc::now())).await;
    bot.hurry().await;

    let look = |world: &World| world.channel(opening).is_some_and(|thread| thread.name == "A title").then_some(());
    discord.wait_for("the title", bot::LIMIT, look).await.unwrap();
    let reacted = |world: &World| {
        let reactions = &world.message(opening)?.reactions;
        let ours: Vec<&str> = reactions.iter().filter(|(_, who)| !who.is_empty()).map(|(emoji, _)| emoji.as_str()).collect();
        (ours == ["🚀"]).then_some(())
    };
    discord.wait_for("the rocket alone", bot::LIMIT, reacted).await.unwrap();
    let ours: Vec<Message> = discord.messages(opening).into_iter().filter(|one| one.kind != 21).collect();
    let [answer] = &ours[..] else { panic!("{ours:?}") };
    assert!(answer.content.contains("It is **42**.") && answer.edited_at.is_some(), "{}", answer.content);
    let buttons = serde_json::to_string(&answer.components).unwrap();
    assert!(buttons.contains("tb1:retry:") && !buttons.contains("tb1:stop:"), "{buttons}");
    bot.finish().await;
}
