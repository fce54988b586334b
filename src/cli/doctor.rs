//! `threadbox doctor`: a real call for every dependency; for each failure what is wrong, what it means and what to do.

mod daytona;
mod discord;

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::output::Progress;
use super::{DoctorArgs, Outcome};
use crate::agent;
use crate::app::{self, Parts};
use crate::clock::{Clock as _, SystemClock};
use crate::db;
use crate::github::Github;
use crate::memory::vectors;
use crate::model::{self, Message, Patience, Request, Role};
use crate::sandbox::toolchains::{self, Toolchain};
use crate::sandbox::{Command, Exec, Language, Provider, SandboxSpec};
use crate::settings::{SandboxKind, Settings, Warning};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// How it is.
    state: State,
    /// What was found, or what is wrong.
    found: String,
    /// What a failure means for people who mention us.
    #[serde(skip_serializing_if = "Option::is_none")]
    means: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Fine,
    /// The service does its job without it.
    Off,
    Wrong,
}

impl Finding {
    fn fine(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Fine, found: found.into(), means: None, remedy: None }
    }

    fn wrong(check: impl Into<String>, found: impl ToString, means: &str, remedy: impl Into<String>) -> Self {
        let (means, remedy) = (Some(means.to_owned()), Some(remedy.into()));
        Self { check: check.into(), state: State::Wrong, found: found.to_string(), means, remedy }
    }

    fn off(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Off, found: found.into(), means: None, remedy: Some(remedy.into()) }
    }
}

/// Looks at everything, prints what was found, and fails if the service could not do its job.
pub async fn main(args: DoctorArgs, settings: Settings, warnings: Vec<Warning>) -> Outcome {
    let progress = Progress::spinner("looking at the database");
    let mut findings: Vec<Finding> = Vec::new();
    for warning in &warnings {
        if let Warning::Setting(finding) = warning {
            findings.push(Finding::off("settings", finding.to_string(), finding.remedy.clone()));
        }
    }
    let (found, trouble) = database(&settings).await;
    findings.extend(found);
    progress.say("asking the models");
    findings.extend(models(&settings).await);
    findings.push(embedding(&settings).await);
    progress.say("asking GitHub");
    findings.extend(github(&settings).await);
    progress.say("asking Discord");
    findings.extend(discord::look(&settings, trouble.as_deref()).await);
    progress.say("running code in a sandbox");
    findings.extend(sandbox(&settings).await);
    drop(progress);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings).unwrap_or_default());
    } else {
        print(&findings);
    }
    let healthy = findings.iter().all(|finding| finding.state != State::Wrong);
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let sign = match finding.state {
            State::Fine => "✓",
            State::Off => "–",
            State::Wrong => "✗",
        };
        println!("{sign} {}: {}", finding.check, finding.found);
        if let Some(means) = &finding.means {
            println!("    means: {means}");
        }
        if let Some(remedy) = &finding.remedy {
            println!("    do:    {remedy}");
        }
    }
}

/// The database, and what it knows of the connection to Discord.
async fn database(settings: &Settings) -> (Vec<Finding>, Option<String>) {
    let options = db::Options { connections: 2, patience: Duration::from_secs(5), ..db::Options::default() };
    let database = match db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await {
        Ok(database) => database,
        Err(error) => return (vec![no_database(error)], None),
    };
    let migrated = app::migrate(&database.pool).await;
    let version = db::version(&database.pool).await;
    let (vectors, spent) = (vectors::state(&database.pool).await, agent::store::spent_with_caches(&database.pool, today()).await);
    let trouble = crate::discord::store::trouble(&database.pool).await.ok().flatten();
    let kind = if settings.database.url.is_some() { "DATABASE_URL" } else { "its own, in the data directory" };
    if let Err(error) = database.close().await {
        tracing::warn!(%error, "the database was not closed in order");
    }
    let mut findings = vec![match (migrated, version) {
        (Ok(()), Ok(version)) => Finding::fine("database", format!("Postgres {version} ({kind}), migrated")),
        (Err(error), _) => no_database(format!("{error:#}")),
        (_, Err(error)) => no_database(error),
    }];
    if let Ok(Some(state)) = vectors
        && settings.models.embedding.is_some()
    {
        findings.push(memories(&state));
    }
    if let Ok(spent) = spent {
        let (all, embedding, saved) = (spent.everything, spent.embedding, spent.saved);
        let ceiling = settings.limits.daily_budget_usd;
        let found = format!("${all:.2} of ${ceiling:.2}, of which embedding ${embedding:.4}; prompt caches saved ${saved:.2}");
        findings.push(Finding::fine("spent today", found));
    }
    (findings, trouble)
}

fn today() -> DateTime<Utc> {
    let now = SystemClock.now();
    now.with_time(NaiveTime::MIN).earliest().unwrap_or(now)
}

/// How far the vectors of memory are.
fn memories(state: &vectors::State) -> Finding {
    let refused = if state.refused == 0 { String::new() } else { format!(", {} refused", state.refused) };
    let found = format!("{}: {} done, {} due{refused}", state.model, state.done, state.due);
    match &state.failing {
        None => Finding::fine("vectors of memory", found),
        Some(failing) => {
            let since = failing.since.format("%Y-%m-%d %H:%M UTC");
            let means = "Recall goes by words and by the vectors there are. It is tried again by itself.";
            Finding::wrong("vectors of memory", format!("{found}; failing since {since}"), means, failing.reason.clone())
        }
    }
}

fn no_database(error: impl ToString) -> Finding {
    let remedy = "Set DATABASE_URL to a Postgres 14 or newer whose user may create tables, or leave it unset.";
    Finding::wrong("database", error, "Nothing can be accepted or remembered.", remedy)
}

/// Each model of the chain is asked by itself: a chain hides which of its members does not answer.
async fn models(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let http = match model::Http::new() {
        Ok(http) => http,
        Err(error) => return vec![Finding::wrong("model", error, "No request can be answered.", "Check the TLS setup.")],
    };
    let mut patience = Patience::default();
    patience.retry.tries = 1;
    for name in &settings.models.chain {
        let check = format!("model {name}");
        let request = Request {
            system: "You check a connection.".to_owned(),
            messages: vec![Message::text(Role::User, "Answer with the word ready.")],
            tools: Vec::new(),
            max_output_tokens: Some(64),
        };
        let means = "Requests to the agent fail with this reason; `run` works without a model.";
        findings.push(match model::build(&settings.models, std::slice::from_ref(name), &http, &patience) {
            Err(error) => Finding::wrong(check, error, means, "Set the variable named above, or choose another MODEL."),
            Ok(model) => match model.answer(&request, &|_| {}).await {
                Ok(answer) => {
                    let usage = answer.usage;
                    Finding::fine(check, format!("answered ({} tokens in, {} out)", usage.input, usage.output))
                }
                Err(error) => Finding::wrong(check, error, means, "Check the key, the model's name and the base URL."),
            },
        });
    }
    findings
}

/// A real call: what it makes is as long as what is stored.
async fn embedding(settings: &Settings) -> Finding {
    let Some(name) = &settings.models.embedding else {
        return Finding::off(
            "embedding",
            "off: recall goes by words alone",
            "Set EMBEDDING_MODEL to find things by their meaning, too.",
        );
    };
    let check = format!("embedding {name}");
    let means = "Memory is searched by words alone; nothing else is affected.";
    let mut patience = Patience::default();
    patience.retry.tries = 1;
    let built = model::Http::new().and_then(|http| model::embedding::build(&settings.models, name, &http, &patience));
    let embedder = match built {
        Ok(embedder) => embedder,
        Err(error) => {
            return Finding::wrong(check, error, means, "Set the variable named above, or choose another EMBEDDING_MODEL.");
        }
    };
    match embedder.embed_counted(&["What was decided?".to_owned()], model::Input::Query).await {
        Ok(embedded) => {
            let dims = embedded.vectors.first().map_or(0, Vec::len);
            Finding::fine(check, format!("{dims} dimensions ({} tokens)", embedded.tokens))
        }
        Err(error) => Finding::wrong(check, error, means, "Check the key, the model's name and the base URL."),
    }
}

async fn github(settings: &Settings) -> Vec<Finding> {
    let remedy = "Set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN with the secret.";
    let Some(github) = &settings.github else { return vec![Finding::off("GitHub", "off", remedy)] };
    let means = "Mentions on GitHub are not answered.";
    let client = match Github::new(github, std::sync::Arc::new(SystemClock)) {
        Ok(client) => client,
        Err(error) => return vec![Finding::wrong("GitHub", error, means, remedy)],
    };
    match client.verify().await {
        Ok(checks) => checks
            .into_iter()
            .map(|check| match check.result {
                Ok(found) => Finding::fine(check.name, found),
                Err(problem) => Finding::wrong(check.name, problem.what, &problem.means, problem.remedy),
            })
            .collect(),
        Err(error) => {
            vec![Finding::wrong("GitHub", error, means, "Check GITHUB_API_URL, the credentials and the network.")]
        }
    }
}

async fn sandbox(settings: &Settings) -> Vec<Finding> {
    let means = "Requests are answered, but no code can be run.";
    if settings.sandbox.kind == SandboxKind::Daytona {
        return daytona::look(settings).await;
    }
    let provider = Parts::real().and_then(|parts| app::local_sandboxes(settings, parts.helper));
    let provider = match provider {
        Ok(provider) => provider,
        Err(error) => return vec![Finding::wrong("sandbox", format!("{error:#}"), means, "Check THREADBOX_DATA_DIR.")],
    };
    let mut findings: Vec<Finding> = match provider.probe().await {
        Ok(isolation) => isolation
            .layers
            .into_iter()
            .map(|layer| {
                let check = format!("sandbox: {}", layer.name);
                if layer.given {
                    Finding::fine(check, layer.detail)
                } else {
                    let absence = layer.absence();
                    Finding::off(check, format!("missing: {}", layer.detail), absence)
                }
            })
            .collect(),
        Err(error) => return vec![Finding::wrong("sandbox", error, means, "See the remedy above.")],
    };
    for (language, code) in [
        (Language::Python, "print(6 * 7)"),
        (Language::Javascript, "console.log(6 * 7)"),
        (Language::Typescript, "const answer: number = 6 * 7; console.log(answer)"),
        (Language::Shell, "echo 42"),
    ] {
        findings.push(run(&provider, language, code).await);
    }
    findings.extend(languages(&provider).await);
    findings
}

/// One line for each language: what runs it, or that nothing does.
async fn languages(provider: &dyn Provider) -> Vec<Finding> {
    let sandbox = match provider.create(SandboxSpec::default()).await {
        Ok(sandbox) => sandbox,
        Err(error) => return vec![Finding::wrong("languages", error, "No code can be run.", "Check THREADBOX_DATA_DIR.")],
    };
    let found = toolchains::look(&*sandbox).await;
    if let Err(error) = provider.remove(sandbox.id()).await {
        tracing::warn!(%error, "the sandbox could not be removed");
    }
    let finding = |Toolchain { language, version }: Toolchain| {
        let check = format!("language {}", language.name());
        let needs: Vec<_> = language.needs().iter().map(|group| group.join(" or ")).collect();
        let remedy = format!("Install {} where the service finds it, if this language is wanted.", needs.join(" and "));
        version
            .map_or_else(|| Finding::off(check.clone(), "not found in the sandbox", remedy), |found| Finding::fine(&check, found))
    };
    match found {
        Ok(found) => found.into_iter().map(finding).collect(),
        Err(error) => vec![Finding::wrong("languages", error, "No code can be run.", "See the remedy above.")],
    }
}

async fn run(provider: &dyn Provider, language: Language, code: &str) -> Finding {
    let check = format!("sandbox runs {}", language.title());
    let command = Command::Code { language, code: code.to_owned(), argv: Vec::new() };
    let exec = Exec::new(command, Duration::from_secs(20), 4096);
    let sandbox = match provider.create(SandboxSpec::default()).await {
        Ok(sandbox) => sandbox,
        Err(error) => return Finding::wrong(check, error, "No code can be run.", "Check THREADBOX_DATA_DIR."),
    };
    let executed = sandbox.exec(exec, &CancellationToken::new()).await;
    if let Err(error) = provider.remove(sandbox.id()).await {
        tracing::warn!(%error, "the sandbox could not be removed");
    }
    match executed {
        Ok(executed) if executed.exit_code == 0 && executed.stdout.text().trim() == "42" => {
            Finding::fine(check, format!("in {} ms", executed.duration.as_millis()))
        }
        Ok(executed) => Finding::off(
            check,
            format!("exit {}: {}", executed.exit_code, executed.stderr.text().trim()),
            "Install the interpreter where the service finds it, if this language is wanted.",
        ),
        Err(error) => Finding::off(check, error.to_string(), "Install the interpreter, if this language is wanted."),
    }
}
