//! `threadbox demo`: the whole system on loopback, with stand-ins and no accounts.
//!
//! Everything is the real thing but GitHub, Discord and the model: a real database, real clients, a signed webhook over HTTP, a gateway,
//! and code that really runs in the local sandbox. The model stand-in follows a script, but what it says about the output it reads
//! from the tool's result.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use self::discord::Town;
use self::project::REPOSITORY;
use super::output::{Failure, Progress};
use super::{DemoArgs, DemoSandbox, Outcome};
use crate::app::{self, App, Parts, Role};
use crate::db;
use crate::settings::{DEFAULT_LOG_FILTER, DatabaseSettings, Permission, SandboxKind, Settings, Sources};
use crate::standin::daytona::{self, Daytona};
use crate::standin::github::{GithubStandin, Options, UserKind, Visibility};
use crate::standin::model::{Gate, ModelStandin, gated};
use crate::telemetry;

mod discord;
mod project;
mod scenes;
mod script;

const PERSON: &str = "maya";
const COLLEAGUE: &str = "ben";
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the demo, prints what people would see, and succeeds only if the answer arrived.
pub async fn main(args: DemoArgs, settings: Settings) -> Outcome {
    let progress = Progress::spinner("starting the stand-ins");
    let github = stand_in_github().await?;
    let town = Town::start().await?;
    let model = ModelStandin::start().await.map_err(anyhow::Error::from)?;
    let gates = Gates { seen: Gate::closed(), steered: Gate::closed() };
    follow_script(&model, &gates);
    // What had to be fetched serves the next demo too.
    let binaries = Some(settings.data_dir.join("postgres-bin"));
    let mut settings = demo_settings(&settings, &github, &town, &model)?;
    progress.say("opening the database");
    let options = db::Options { connections: app::connections(&settings), binaries, ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &progress).await?;
    app::migrate(&database.pool).await?;
    // After the database, which decides who may enter the data directory.
    let daytona = match args.sandbox {
        DemoSandbox::Local => None,
        DemoSandbox::Daytona => Some(stand_in_daytona(&mut settings).await?),
    };
    let data_dir = settings.data_dir.clone();
    let app = App::start(settings, Role::All, database.pool.clone(), Parts::real()?).await?;
    let address = app.address().ok_or_else(|| Failure::new("The demo does not listen.", ""))?;
    github.deliver_to(format!("http://{address}/webhooks/github"));
    drop(progress);
    let further = if daytona.is_some() { ", one for Daytona" } else { "" };
    println!(
        "Threadbox runs on http://{address}, with its own Postgres, a stand-in for GitHub, one for Discord{further} \
         and one for the model.\n"
    );
    let mut answered = play(&github, &town, model, &gates, args.kill_model).await;
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

/// What the model waits for.
struct Gates {
    /// That people have seen the first run at work.
    seen: Gate,
    /// That somebody said more on GitHub.
    steered: Gate,
}

fn follow_script(model: &ModelStandin, gates: &Gates) {
    let (seen, steered) = (gates.seen.clone(), gates.steered.clone());
    model.rule(move |request| {
        let on_discord = discord::script::follow(request, &steered);
        // The first answer comes at once.
        let on_github = || script::follow(request).map(|turn| if request.is_first() { turn } else { gated(&seen, turn) });
        on_discord.or_else(on_github)
    });
}

/// The scenes, one after the other.
async fn play(github: &GithubStandin, town: &Town, model: ModelStandin, gates: &Gates, kill_model: bool) -> Outcome {
    let mut model = Some(model);
    let played = async {
        scenes::question(github, &mut model, &gates.seen, kill_model).await?;
        let Some(model) = &model else { return Ok(()) };
        let pull = scenes::review(github).await?;
        scenes::review_thread(github, &pull).await?;
        scenes::fix(github, model).await?;
        discord::chart(town).await?;
        discord::both(town, github, &gates.steered).await
    };
    match played.await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::new(
            format!("{error:#}"),
            "What was posted stands above. If nothing there explains it, please report it.",
        )),
    }
}

fn print_indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

async fn stand_in_github() -> anyhow::Result<GithubStandin> {
    let github = GithubStandin::start(Options::default()).await?;
    github.add_repository(REPOSITORY, Visibility::Public);
    for login in [PERSON, COLLEAGUE] {
        github.add_user(login, UserKind::User);
        github.set_permission(REPOSITORY, login, Permission::Write)?;
    }
    github.push(REPOSITORY, "Fuel, and how long it lasts", &project::files())?;
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
    let (commands, sandboxes) = daytona.world(|world| {
        let sandboxes: BTreeSet<&str> = world.executions().map(|execution| execution.sandbox.as_str()).collect();
        (world.executions().count(), sandboxes.len())
    });
    println!("\nAt Daytona: {} requests, {commands} commands, in {sandboxes} sandboxes.", daytona.requests().len());
    match daytona.violations().as_slice() {
        [] => Ok(()),
        wrong => Err(Failure::new(
            format!("Daytona was asked for what it does not do: {}", wrong.join("; ")),
            "This is a bug; please report it.",
        )),
    }
}

/// The settings of a new user, with the stand-ins in place of the world, and nothing of this machine's accounts.
fn demo_settings(own: &Settings, github: &GithubStandin, town: &Town, model: &ModelStandin) -> anyhow::Result<Settings> {
    let mut settings = Settings::load(&Sources { process: BTreeMap::new(), file: BTreeMap::new() })?.settings;
    settings.listen = ([127, 0, 0, 1], 0).into();
    // Of its own each time: a thread of an earlier demo would remember its answer.
    settings.data_dir = own.data_dir.join(format!("demo-{}", std::process::id()));
    settings.database = DatabaseSettings { url: None, ..own.database.clone() };
    settings.sandbox = own.sandbox.clone();
    settings.sandbox.kind = SandboxKind::Local;
    settings.github = Some(github.settings()?);
    settings.discord = Some(town.settings()?);
    settings.models = model.settings("openai/gpt-4.1");
    settings.log = own.log.clone();
    Ok(settings)
}
