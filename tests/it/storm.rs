//! A storm of deliveries: mentions, noise, duplicates, edits, deletions, closings and review comments in random order, a share of them
//! lost, the service killed again and again. At the end every mention that was made has ended visibly, exactly once.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::StreamExt;
use threadbox::standin::github::{Expects, GithubStandin, IssueRef, NewComment, NewPull, Node, Options};
use threadbox::standin::model::say;

use crate::support::bot::{Bot, LIMIT, REPOSITORY};

/// What the suite sends. `STORM_DELIVERIES=10000` makes it the whole storm.
const DELIVERIES: usize = 1_000;
const KILLS: usize = 4;
const AT_ONCE: usize = 16;
const ISSUES: usize = 24;
/// In a hundred.
const LOST: u64 = 7;
/// What a storm that does not end is about.
const OPEN: &str = "
    select 'run ' || (to_jsonb(runs) - 'snapshot') from runs where state <> 'posted'
    union all select 'inbox ' || to_jsonb(inbox) from inbox
        where state <> 'done' or not exists (select from runs where inbox_id = inbox.id)
    union all select 'lookout ' || to_jsonb(lookouts) from lookouts
    union all select 'change ' || to_jsonb(changes) from changes";

/// A small generator, so that a storm can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// What somebody did, and where to look for what came of it.
#[derive(Clone, Debug)]
struct Asked {
    place: IssueRef,
    comment: i64,
}

/// The people of the storm: what they do is chosen by dice, what must come of it is written down.
struct People {
    dice: Dice,
    issues: Vec<IssueRef>,
    pull: IssueRef,
    /// Deliveries in the order in which they will be sent; the same one may be there several times.
    deliveries: Vec<u64>,
    as_new: Vec<u64>,
    asked: Vec<Asked>,
    words: usize,
}

impl People {
    /// One thing somebody does. Their webhooks are made and not sent: they come when the storm brings them.
    async fn act(&mut self, github: &GithubStandin) {
        let issue = self.issues[self.dice.roll(self.issues.len())].clone();
        self.words += 1;
        let word = self.words;
        let mention = format!("@threadbox queue say {word}");
        match self.dice.roll(20) {
            0..=3 => {
                let asked = github.comment(&issue, "maya", &mention).await.unwrap();
                self.keep(asked.sent.delivery);
                self.asked.push(Asked { place: issue, comment: asked.id });
            }
            4 => {
                // The mention comes with an edit, and the webhook of the first words before or after it.
                let asked = github.comment(&issue, "maya", "wait").await.unwrap();
                self.keep(asked.sent.delivery);
                let edit = github.edit_comment(asked.id, "maya", &mention).await.unwrap();
                self.keep(edit.delivery);
                self.asked.push(Asked { place: issue, comment: asked.id });
            }
            5 => {
                // Words that were a request already are edited: still one request.
                let asked = github.comment(&issue, "maya", &mention).await.unwrap();
                self.keep(asked.sent.delivery);
                let edit = github.edit_comment(asked.id, "maya", &format!("{mention} please")).await.unwrap();
                self.keep(edit.delivery);
                self.asked.push(Asked { place: issue, comment: asked.id });
            }
            6 => {
                let line = NewComment::on("src/lib.rs", 1, &mention);
                let asked = github.review_comment(&self.pull, "maya", line).await.unwrap();
                self.keep(asked.sent.delivery);
                self.asked.push(Asked { place: self.pull.clone(), comment: asked.id });
            }
            7 => {
                // One that is closed already sends nothing.
                if let Ok(closed) = github.close_issue(&issue, "maya").await {
                    self.keep(closed.delivery);
                }
            }
            8 => {
                let noise = github.comment(&issue, "maya", &format!("noise {word}")).await.unwrap();
                self.keep(noise.sent.delivery);
                self.keep(github.delete_comment(noise.id, "maya").await.unwrap().delivery);
            }
            9..=12 if !self.deliveries.is_empty() => {
                let again = self.deliveries[self.dice.roll(self.deliveries.len())];
                if self.dice.roll(2) == 0 { self.deliveries.push(again) } else { self.as_new.push(again) }
            }
            _ => self.keep(github.comment(&issue, "maya", &format!("noise {word}")).await.unwrap().sent.delivery),
        }
    }

    fn keep(&mut self, delivery: u64) {
        self.deliveries.push(delivery);
    }

    fn shuffle(&mut self) -> Vec<(u64, bool)> {
        let mut order: Vec<(u64, bool)> = self.deliveries.iter().map(|delivery| (*delivery, false)).collect();
        order.extend(self.as_new.iter().map(|delivery| (*delivery, true)));
        for last in (1..order.len()).rev() {
            order.swap(last, self.dice.roll(last + 1));
        }
        order
    }
}

async fn stage(bot: &Bot, seed: u64) -> People {
    let mut issues = Vec::new();
    for number in 0..ISSUES {
        issues.push(bot.issue(&format!("Thread {number}")).await);
    }
    let github = &bot.github;
    github.push(REPOSITORY, "Begin", &[("src/lib.rs", Node::from("fn one() {}\n"))]).unwrap();
    let main = github.world(|world| world.branch(REPOSITORY, "main")).unwrap();
    github.create_branch(REPOSITORY, "maya", "work", &main).await.unwrap();
    let changed = [("src/lib.rs", Some(Node::from("fn two() {}\n")))];
    github.push_to(REPOSITORY, "maya", "work", "Two", &changed).await.unwrap();
    let (pull, _) = github.open_pull(REPOSITORY, "maya", &NewPull::of("work", "Two")).await.unwrap();
    People { dice: Dice(seed), issues, pull, deliveries: vec![], as_new: vec![], asked: vec![], words: 0 }
}

/// How often each word was answered, wherever that stands.
fn answers(bot: &Bot, people: &People) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let places = people.issues.iter().chain([&people.pull]);
    let bodies = places.flat_map(|place| {
        bot.github.world(|world| {
            let comments = world.our_comments(place).into_iter().map(|comment| comment.body().to_owned());
            let us = world.our_login();
            let remarks = world.review_comments(place).into_iter().filter(|one| one.author == us);
            comments.chain(remarks.map(|remark| remark.body().to_owned())).collect::<Vec<_>>()
        })
    });
    for body in bodies {
        *found.entry(body.lines().next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    found
}

/// Waits until as many runs are there as people who asked. What was lost is looked for once a minute, and after a kill not before the
/// lease of the dead look is over: here it is due at once.
async fn heal(bot: &Bot, mentions: i64) {
    let (mut before, mut since) = (-1, Instant::now());
    loop {
        bot.sql(
            "update lookouts set next_look_at = now() - interval '1 second' where lease_until is null or lease_until < now()",
        )
        .await;
        let runs = bot.count("select count(*) from runs where state = 'posted'").await;
        if runs >= mentions {
            return;
        }
        if runs != before {
            (before, since) = (runs, Instant::now());
        }
        if since.elapsed() > 4 * LIMIT {
            let open: Vec<String> = sqlx::query_scalar(OPEN).fetch_all(&bot.database.pool).await.unwrap();
            panic!("still {runs} of {mentions} mentions have ended; what is not done: {open:#?}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mention_of_a_storm_ends_visibly_exactly_once() {
    let wanted = std::env::var("STORM_DELIVERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(DELIVERIES);
    let seed = std::env::var("STORM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x5EED_CAFE_u64);
    let limits = [("USER_RUNS_PER_HOUR", "100000"), ("DAILY_BUDGET_USD", "100000")];
    let bot = Bot::prepare(&limits, Options { expects: Expects::App, echo: false, ..Options::default() }).await;
    bot.model.rule(|request| {
        let asked = request.last_user_text().lines().find_map(|line| line.strip_prefix("say ").map(str::to_owned));
        Some(match (request.tools.is_empty(), asked) {
            (true, _) => say("A title"),
            (false, Some(word)) => say(format!("You said {}.", word.split(' ').next().unwrap_or_default())),
            (false, None) => say("You said nothing."),
        })
    });
    let begun = Instant::now();
    // Nobody listens while things happen: every webhook fails at first, as when the service is down.
    bot.github.deliver_to("http://127.0.0.1:9/webhooks/github");
    let mut people = stage(&bot, seed).await;
    while people.deliveries.len() + people.as_new.len() < wanted {
        people.act(&bot.github).await;
    }
    let storm = people.shuffle();
    let made = begun.elapsed();

    // The storm: most arrive in random order while the service is killed now and then; some never do and are only listed as failed.
    let mut service = bot.run_apart().await;
    let part = storm.len().div_ceil(KILLS + 1);
    let mut lost = 0;
    for (number, deliveries) in storm.chunks(part).enumerate() {
        let mut sent = Vec::new();
        for (delivery, as_new) in deliveries {
            if people.dice.roll(100) < usize::try_from(LOST).unwrap() { lost += 1 } else { sent.push((*delivery, *as_new)) }
        }
        let github = &bot.github;
        let send = |(delivery, as_new): (u64, bool)| async move {
            let sent = if as_new { github.deliver_again_as_new(delivery).await } else { github.redeliver(delivery).await };
            assert!(sent.is_ok());
        };
        futures::stream::iter(sent).for_each_concurrent(AT_ONCE, send).await;
        if number < KILLS {
            drop(service);
            service = bot.run_apart().await;
        }
    }
    // A look that died has its lease for two minutes; nobody has to wait for that here.
    bot.sql("update lookouts set lease_until = now() - interval '1 second'").await;
    let arrived = begun.elapsed() - made;

    // Everybody who mentioned us is answered.
    let mentions = i64::try_from(people.asked.len()).unwrap();
    heal(&bot, mentions).await;
    bot.until_count("select count(*) from inbox where state = 'new'", 0).await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    let ended = begun.elapsed();
    let visible = people.asked.iter().filter(|asked| {
        let reactions = bot.github.world(|world| world.reactions(&asked.place, Some(asked.comment)));
        reactions.iter().filter(|reaction| reaction.content == "rocket").count() == 1
    });
    let visible = visible.count();
    let answers = answers(&bot, &people);
    let doubled = answers.values().filter(|count| **count > 1).count();
    let kept = people.asked.len();
    println!(
        "storm: {} deliveries (the suite sends {DELIVERIES}, the whole storm is 10000), seed {seed}, {lost} lost on the way, {KILLS} kills; \
         {kept} mentions, {} answers, {} lost, {doubled} doubled; made in {made:.1?}, arrived in {arrived:.1?}, all ended after {ended:.1?}",
        storm.len(),
        answers.values().sum::<usize>(),
        kept - answers.len().min(kept),
    );
    assert_eq!((answers.len(), answers.values().sum::<usize>(), doubled), (kept, kept, 0));
    assert_eq!(visible, kept, "every mention got its reaction");
    assert_eq!(bot.count("select count(*) from runs").await, mentions);
    drop(service);
    bot.database.finish().await;
}
