//! The other side of the benches: stand-ins and load, in a process of their own.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use threadbox::secret::ExposeSecret;
use threadbox::settings::Permission;
use threadbox::standin::github::{Delivery, Expects, GithubStandin, IssueRef, Options, UserKind, Visibility};
use threadbox::standin::model::{ModelStandin, Protocol, call, say};

const REPOSITORY: &str = "acme/rocket";
const PATIENCE: Duration = Duration::from_secs(60);

pub fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(answer_questions());
}

struct World {
    github: GithubStandin,
    client: reqwest::Client,
}

async fn answer_questions() {
    let options = Options { expects: Expects::Token, echo: false, ..Options::default() };
    let github = GithubStandin::start(options).await.unwrap();
    github.add_repository(REPOSITORY, Visibility::Public);
    github.add_user("maya", UserKind::User);
    github.set_permission(REPOSITORY, "maya", Permission::Write).unwrap();
    let model = ModelStandin::start().await.unwrap();
    model.rule(|request| {
        let asked_last = request.messages.last().is_some_and(|message| message.results.is_empty());
        Some(match (request.tools.is_empty(), asked_last) {
            (true, _) => say("A title"),
            (false, true) => call("readFile", json!({ "path": "notes.txt" })),
            (false, false) => say("The notes say that all is well."),
        })
    });
    let environment = json!({
        "THREADBOX_LISTEN": "127.0.0.1:0",
        "GITHUB_API_URL": github.url(),
        "GITHUB_TOKEN": github.token().expose_secret(),
        "GITHUB_WEBHOOK_SECRET": github.webhook_secret().expose_secret(),
        "MODEL": "openai/gpt-4.1",
        "OPENAI_API_KEY": "sk-stand-in-key-0123456789",
        "OPENAI_BASE_URL": model.base_url(Protocol::OpenAi),
    });
    println!("{environment}");
    let world = Arc::new(World { github, client: reqwest::Client::builder().no_proxy().build().unwrap() });
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match question["ask"].as_str().unwrap() {
            "rate" => rate(&world, &question).await,
            "flood" => flood(&world, &question).await,
            "turns" => turns(&world, &question).await,
            other => panic!("no such question: {other}"),
        };
        println!("{answer}");
    }
}

async fn issue(world: &World, title: &str) -> IssueRef {
    world.github.deliver_to("http://127.0.0.1:9/nowhere");
    world.github.open_issue(REPOSITORY, "maya", title, "Some background.").await.unwrap().0
}

async fn send(world: &World, url: &str, delivery: &Delivery) -> Option<u16> {
    let mut request = world.client.post(url).body(delivery.body.clone());
    for (name, value) in delivery.headers(&world.github.webhook_secret()) {
        request = request.header(name, value);
    }
    request.send().await.ok().map(|response| response.status().as_u16())
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    (round(at(0.5)), round(at(0.99)))
}

/// Open loop: one webhook every so often, whatever the service does.
async fn rate(world: &Arc<World>, question: &Value) -> Value {
    let url = question["url"].as_str().unwrap().to_owned();
    let per_second = question["per_second"].as_u64().unwrap();
    let count = per_second * question["seconds"].as_u64().unwrap();
    let mut deliveries = Vec::new();
    for number in 0..count {
        let issue = if number % 50 == 0 { Some(issue(world, "Load").await) } else { None };
        if let Some(issue) = issue {
            deliveries.push((issue, Vec::new()));
        }
        let (issue, list) = deliveries.last_mut().unwrap();
        list.push(world.github.prepare_comment(issue, "maya", "@threadbox do it").unwrap().1);
    }
    // Spread over the issues, as a busy repository would be.
    let mut order: Vec<Delivery> = Vec::new();
    for round in 0..50 {
        order.extend(deliveries.iter().filter_map(|(_, list)| list.get(round).cloned()));
    }
    let start = Instant::now();
    let mut sends = tokio::task::JoinSet::new();
    for (number, delivery) in order.into_iter().enumerate() {
        let due = start + Duration::from_secs_f64(number as f64 / per_second as f64);
        tokio::time::sleep_until(due.into()).await;
        let (world, url) = (world.clone(), url.clone());
        sends.spawn(async move {
            let begun = Instant::now();
            (send(&world, &url, &delivery).await, begun.elapsed())
        });
    }
    let results = sends.join_all().await;
    let ok = results.iter().filter(|(status, _)| *status == Some(202)).count();
    let (p50, p99) = percentiles(results.iter().map(|(_, time)| *time).collect());
    world.github.prune();
    json!({ "sent": results.len(), "ok": ok, "p50": p50, "p99": p99 })
}

/// Closed loop: so many at once, as fast as they are answered.
async fn flood(world: &Arc<World>, question: &Value) -> Value {
    let url = question["url"].as_str().unwrap().to_owned();
    let tasks = question["tasks"].as_u64().unwrap();
    let until = Duration::from_secs(question["seconds"].as_u64().unwrap());
    let mut issues = Vec::new();
    for _ in 0..tasks {
        issues.push(issue(world, "Flood").await);
    }
    // Prepared before the clock runs: making a payload costs more than sending it.
    let prepared: Vec<Vec<Delivery>> = issues
        .iter()
        .map(|issue| {
            let one = || world.github.prepare_comment(issue, "maya", "@threadbox do it").unwrap().1;
            (0..9_000 / tasks).map(|_| one()).collect()
        })
        .collect();
    let start = Instant::now();
    let mut floods = tokio::task::JoinSet::new();
    for deliveries in prepared {
        let (world, url) = (world.clone(), url.clone());
        floods.spawn(async move {
            let mut accepted = 0_u32;
            for delivery in &deliveries {
                if start.elapsed() >= until {
                    break;
                }
                accepted += u32::from(send(&world, &url, delivery).await == Some(202));
            }
            accepted
        });
    }
    let accepted: u32 = floods.join_all().await.into_iter().sum();
    let per_second = f64::from(accepted) / start.elapsed().as_secs_f64();
    world.github.prune();
    json!({ "per_second": per_second })
}

/// So many threads, each asking again as soon as it is answered.
async fn turns(world: &Arc<World>, question: &Value) -> Value {
    let url = question["url"].as_str().unwrap().to_owned();
    let threads = question["threads"].as_u64().unwrap();
    let wanted = usize::try_from(question["turns"].as_u64().unwrap()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let mut issues = Vec::new();
    for _ in 0..threads {
        issues.push(issue(world, "Turns").await);
    }
    let start = Instant::now();
    let mut people = tokio::task::JoinSet::new();
    for issue in issues {
        let (world, url, asked) = (world.clone(), url.clone(), asked.clone());
        people.spawn(async move {
            let mut times = Vec::new();
            while asked.fetch_add(1, Ordering::Relaxed) < wanted {
                let begun = Instant::now();
                turn(&world, &url, &issue).await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = people.join_all().await.into_iter().flatten().collect();
    let per_second = times.len() as f64 / start.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(times);
    world.github.prune();
    json!({ "per_second": per_second, "p50": p50, "p99": p99 })
}

/// A mention and the end of its run: the rocket on the comment.
async fn turn(world: &World, url: &str, issue: &IssueRef) {
    let (comment, delivery) = world.github.prepare_comment(issue, "maya", "@threadbox what do the notes say?").unwrap();
    assert_eq!(send(world, url, &delivery).await, Some(202));
    let done = world.github.wait_for("the rocket", PATIENCE, |world| {
        world.reactions(issue, Some(comment)).iter().any(|reaction| reaction.content == "rocket").then_some(())
    });
    done.await.unwrap();
}
