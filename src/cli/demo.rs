//! `threadbox demo`: the whole system on loopback, with stand-ins and no accounts.
//!
//! Everything is the real thing but GitHub and the model: a real database, real clients, a signed webhook over HTTP, and code
//! that really runs in the local sandbox. The model stand-in follows a script, but what it says about the output it reads
//! from the tool's result.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::output::{Failure, Progress};
use super::{DemoArgs, DemoSandbox, Outcome};
use crate::app::{self, App, Parts, Role};
use crate::db;
use crate::settings::{DEFAULT_LOG_FILTER, DatabaseSettings, Permission, SandboxKind, Settings, Sources};
use crate::standin::daytona::{self, Daytona};
use crate::standin::github::{Comment, GithubStandin, IssueRef, Options, UserKind, Visibility};
use crate::standin::model::{Gate, ModelStandin, RecordedRequest, Turn, call, gated, say, say_and_call};
use crate::telemetry;

const REPOSITORY: &str = "acme/rocket";
const PERSON: &str = "maya";
const PATIENCE: Duration = Duration::from_secs(120);

const ISSUE_TITLE: &str = "How many primes are there below 10,000?";
const ISSUE_BODY: &str = "We need the number for the hash table sizes in `src/table.rs`.";
const QUESTION: &str = "@threadbox please count them, and write the last five into `primes.txt`.";
const PROGRAM: &str = "\
limit = 10_000
sieve = bytearray([1]) * limit
sieve[:2] = b'\\0\\0'
for n in range(2, int(limit ** 0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))
primes = [n for n in range(limit) if sieve[n]]
with open('primes.txt', 'w') as file:
    file.write('\\n'.join(map(str, primes[-5:])) + '\\n')
print(len(primes), 'primes below', limit)
";

/// Runs the demo, prints what people would see, and succeeds only if the answer arrived.
pub async fn main(args: DemoArgs, settings: Settings) -> Outcome {
    let progress = Progress::spinner("starting the stand-ins");
    let github = stand_in_github().await?;
    let model = ModelStandin::start().await.map_err(anyhow::Error::from)?;
    let gate = Gate::closed();
    let held = gate.clone();
    // The first answer comes at once; the others wait until people have seen the run at work.
    model.rule(move |request| follow_the_script(request).map(|turn| if request.is_first() { turn } else { gated(&held, turn) }));
    // What had to be fetched serves the next demo too.
    let binaries = Some(settings.data_dir.join("postgres-bin"));
    let mut settings = demo_settings(&settings, &github, &model)?;
    progress.say("opening the database");
    let options = db::Options { connections: app::connections(&settings), binaries, ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &progress).await?;
    app::migrate(&database.pool).await?;
    // After the database, which decides who may enter the data directory.
    let daytona = match args.sandbox {
        DemoSandbox::Local => None,
        DemoSandbox::Daytona => Some(stand_in_daytona(&mut settings).await?),
    };
    let (name, data_dir) = (settings.name.clone(), settings.data_dir.clone());
    let app = App::start(settings, Role::All, database.pool.clone(), Parts::real()?).await?;
    let address = app.address().ok_or_else(|| Failure::new("The demo does not listen.", ""))?;
    github.deliver_to(format!("http://{address}/webhooks/github"));
    drop(progress);
    let further = if daytona.is_some() { ", one for Daytona" } else { "" };
    println!(
        "Threadbox runs on http://{address}, with its own Postgres, a stand-in for GitHub{further} and one for the model.\n"
    );
    let mut answered = converse(&github, model, &gate, args.kill_model, &name).await;
    if args.keep && answered.is_ok() {
        println!("\nStill running; end it with Ctrl-C.");
        let _ = tokio::signal::ctrl_c().await;
    }
    app.shut_down().await;
    if let Some(daytona) = daytona {
        answered = answered.and_then(|code| at_daytona(&daytona).map(|()| code));
        daytona.shut_down().await;
    }
    database.close().await?;
    if let Err(error) = tokio::fs::remove_dir_all(&data_dir).await {
        tracing::warn!(directory = %data_dir.display(), %error, "the demo's files are still there");
    }
    answered
}

/// The settings with logging started: what the demo prints is what people would see, so the log is quiet unless it is asked for.
pub fn settings(mut settings: Settings) -> Settings {
    if settings.log.filter == DEFAULT_LOG_FILTER {
        settings.log.filter = "error".to_owned();
    }
    telemetry::init(&settings.log);
    settings
}

/// One mention and its answer.
async fn converse(github: &GithubStandin, model: ModelStandin, gate: &Gate, kill_model: bool, name: &str) -> Outcome {
    let (issue, _) = github.open_issue(REPOSITORY, PERSON, ISSUE_TITLE, ISSUE_BODY).await?;
    println!("@{PERSON} comments on {REPOSITORY}#{} “{ISSUE_TITLE}”:\n", issue.number);
    print_indented(QUESTION);
    let commented = github.comment(&issue, PERSON, QUESTION).await?;
    let status = commented.sent.status.map_or("no answer".to_owned(), |status| status.to_string());
    println!("\nThe signed webhook was answered with {status}.");
    let progress = Progress::spinner("waiting for the answer");
    let at_work = github.wait_for("the comment at work", PATIENCE, |world| {
        world.our_comments(&issue).iter().any(|comment| comment.versions.len() > 1).then_some(())
    });
    at_work.await?;
    if kill_model {
        println!("The model stand-in is shut down now, in the middle of the run.");
        model.shutdown().await;
    } else {
        gate.open();
    }
    let ended = github.wait_for("the end of the run", PATIENCE, |world| {
        let ours = |reaction: &&crate::standin::github::Reaction| reaction.user == world.our_login();
        let reactions = world.reactions(&issue, Some(commented.id));
        reactions.iter().filter(ours).map(|reaction| reaction.content.clone()).find(|content| content != "eyes")
    });
    let ended = ended.await;
    drop(progress);
    let comments = github.world(|world| world.our_comments(&issue));
    show(github, &issue, commented.id, &comments, name);
    match (ended.as_deref(), comments.as_slice()) {
        (Ok("rocket"), [_]) => Ok(ExitCode::SUCCESS),
        (Ok("rocket"), _) => Err(Failure::new("There is not exactly one comment.", "This is a bug; please report it.")),
        (Ok(_), _) => Err(Failure::new("The run did not end with an answer.", "The comment above says why.")),
        (Err(error), _) => Err(Failure::new(format!("{error:#}"), "This is a bug; please report it.")),
    }
}

/// Prints the stages of the one comment, and the reactions.
fn show(github: &GithubStandin, issue: &IssueRef, trigger: i64, comments: &[Comment], name: &str) {
    for comment in comments {
        let (last, stages) = match comment.versions.split_last() {
            Some(split) => split,
            None => continue,
        };
        for (number, stage) in stages.iter().enumerate() {
            println!("\n@{name}'s comment, stage {}:\n", number + 1);
            print_indented(&stage.body);
        }
        println!("\nThe comment became the answer:\n");
        print_indented(&last.body);
    }
    let reactions = github.world(|world| world.reactions(issue, Some(trigger)));
    let words: Vec<&str> = reactions.iter().map(|reaction| reaction.content.as_str()).collect();
    println!("\nReactions on @{PERSON}'s comment: {}", words.join(", "));
}

fn print_indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

async fn stand_in_github() -> anyhow::Result<GithubStandin> {
    let github = GithubStandin::start(Options::default()).await?;
    github.add_repository(REPOSITORY, Visibility::Public);
    github.add_user(PERSON, UserKind::User);
    github.set_permission(REPOSITORY, PERSON, Permission::Write)?;
    Ok(github)
}

/// A Daytona whose sandboxes are on this machine.
async fn stand_in_daytona(settings: &mut Settings) -> anyhow::Result<Daytona> {
    let search_path = settings.database.search_path.iter().flat_map(std::env::split_paths).collect();
    let options = daytona::Options::new(Parts::real()?.helper, settings.data_dir.join("daytona"));
    let daytona = Daytona::start(daytona::Options { search_path, ..options }).await?;
    settings.sandbox.kind = SandboxKind::Daytona;
    settings.sandbox.daytona = Some(daytona.settings()?);
    Ok(daytona)
}

/// Says what happened at Daytona, and whether anything did that should not.
fn at_daytona(daytona: &Daytona) -> Result<(), Failure> {
    let commands = daytona.world(|world| world.executions().count());
    println!("\nAt Daytona: {} requests, {commands} commands, in one sandbox.", daytona.requests().len());
    match daytona.violations().as_slice() {
        [] => Ok(()),
        wrong => Err(Failure::new(
            format!("Daytona was asked for what it does not do: {}", wrong.join("; ")),
            "This is a bug; please report it.",
        )),
    }
}

/// The settings of a new user, with the stand-ins in place of the world, and nothing of this machine's accounts.
fn demo_settings(own: &Settings, github: &GithubStandin, model: &ModelStandin) -> anyhow::Result<Settings> {
    let mut settings = Settings::load(&Sources { process: BTreeMap::new(), file: BTreeMap::new() })?.settings;
    settings.listen = ([127, 0, 0, 1], 0).into();
    // Of its own each time: a thread of an earlier demo would remember its answer.
    settings.data_dir = own.data_dir.join(format!("demo-{}", std::process::id()));
    settings.database = DatabaseSettings { url: None, ..own.database.clone() };
    settings.sandbox = own.sandbox.clone();
    settings.sandbox.kind = SandboxKind::Local;
    settings.github = Some(github.settings()?);
    settings.models = model.settings("openai/gpt-4.1");
    settings.log = own.log.clone();
    Ok(settings)
}

/// What the scripted model answers, from what it is told.
fn follow_the_script(request: &RecordedRequest) -> Option<Turn> {
    if request.tools.is_empty() {
        return Some(say("Count the primes below 10,000"));
    }
    let results: Vec<&str> =
        request.messages.iter().flat_map(|message| &message.results).map(|result| result.text.as_str()).collect();
    Some(match results.as_slice() {
        [] => say_and_call(
            "I'll sieve up to 10,000 and keep the last five in a file.",
            "runCode",
            json!({ "language": "python", "code": PROGRAM }),
        ),
        [_] => call("readFile", json!({ "path": "primes.txt" })),
        [ran, read, ..] => say(format!(
            "I counted with a sieve: **{}**.\n\nThe last five are in `primes.txt`: {}.",
            text_in(ran, "stdout").trim(),
            text_in(read, "content").split_whitespace().collect::<Vec<_>>().join(", "),
        )),
    })
}

fn text_in(result: &str, field: &str) -> String {
    let value: Value = serde_json::from_str(result).unwrap_or_default();
    value.get(field).and_then(Value::as_str).unwrap_or("(no output)").to_owned()
}
