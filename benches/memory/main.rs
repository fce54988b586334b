//! The figures of memory: what recall finds of long conversations, and how long it takes.
//!
//! `cargo bench --bench memory` prints them; `-- --help` lists what can be chosen. Nothing is downloaded: conversations, questions and
//! judge are made from a seed, and so is the embedder unless `--embedder` names a provider's. The database is the one of
//! `DATABASE_URL` (whose conversations are deleted, so it has to be empty), else a private one.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod latency;
mod public;
#[allow(dead_code, reason = "the tests use the rest")]
mod set;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use serde_json::json;
use threadbox::app;
use threadbox::db::embedded::{Durability, Lifetime};
use threadbox::db::{self, Database, Tuning};
use threadbox::model::{Embedder, Http, Patience, embedding};
use threadbox::settings::{Settings, Sources};

use set::ask::Asker;
use set::embedder::{Hashing, shared_meanings};
use set::judge::{self, Findings, Verdict, Way};
use set::place;
use set::world::{Category, Size, World};

/// What memory finds, and how long it takes.
#[derive(Debug, Parser)]
#[command(name = "memory")]
struct Options {
    /// Only this part.
    #[arg(long)]
    only: Option<Section>,
    /// What the conversations are made from.
    #[arg(long, default_value_t = Size::FULL.seed)]
    seed: u64,
    /// How many messages the questions are asked over.
    #[arg(long, default_value_t = Size::FULL.messages)]
    messages: usize,
    /// Questions of each of the twelve categories; at most 52.
    #[arg(long, default_value_t = Size::FULL.questions)]
    questions: usize,
    /// An embedder instead of the built-in one, as `provider/model`; its key and address come from the environment.
    #[arg(long)]
    embedder: Option<String>,
    /// Measures latency at 1,000,000 messages too, which takes a quarter of an hour to fill.
    #[arg(long)]
    full: bool,
    /// The public LongMemEval file at this path instead of the made conversations.
    #[arg(long)]
    longmemeval: Option<PathBuf>,
    /// Questions of that file.
    #[arg(long)]
    limit: Option<usize>,
    /// Figures by kind of question, and every question whose answer is not among the first ten.
    #[arg(long)]
    verbose: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    Retrieval,
    Latency,
}

impl Options {
    fn wants(&self, section: Section) -> bool {
        self.longmemeval.is_none() && self.only.is_none_or(|only| only == section)
    }
}

fn main() {
    let options = Options::parse();
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run(options));
}

async fn run(options: Options) {
    let data = tempfile::Builder::new().prefix("threadbox-bench-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let settings = settings(&options, data.path());
    let database = open(&settings).await;
    let asker = Asker::new(database.pool.clone(), embedder(&options, &settings));
    let about = format!("Postgres {}, {} cores", db::version(&database.pool).await.unwrap(), cores());
    let mut figures = json!({ "about": about, "embedder": asker.embedder.name().to_string() });
    if !options.json {
        println!("{about}, vectors by {}\n", asker.embedder.name());
    }
    if let Some(path) = &options.longmemeval {
        figures["longmemeval"] = public::measure(&asker, path, options.limit, options.json).await;
    }
    if options.wants(Section::Retrieval) {
        figures["retrieval"] = retrieval(&options, &asker).await;
        place::clear(&database.pool).await;
    }
    if options.wants(Section::Latency) {
        figures["latency"] = latency::measure(&asker, options.full, options.json).await;
    }
    if options.json {
        println!("{figures:#}");
    }
    drop(asker);
    database.close().await.unwrap();
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Those of the environment that a database and an embedder need.
fn settings(options: &Options, data: &Path) -> Settings {
    let wanted = |name: &str| {
        let database = ["DATABASE_URL", "PATH", "THREADBOX_POSTGRES_BIN", "THREADBOX_OFFLINE"].contains(&name);
        database || (options.embedder.is_some() && (name.ends_with("_API_KEY") || name.ends_with("_BASE_URL")))
    };
    let mut process: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| wanted(name)).collect();
    process.insert("THREADBOX_DATA_DIR".into(), data.display().to_string());
    process.extend(options.embedder.clone().map(|name| ("EMBEDDING_MODEL".to_owned(), name)));
    Settings::load(&Sources { process, file: BTreeMap::new() }).unwrap().settings
}

async fn open(settings: &Settings) -> Database {
    let tuning = Tuning { durability: Durability::None, lifetime: Lifetime::EndsWithProcess, ..Tuning::default() };
    let options = db::Options { tuning, ..db::Options::default() };
    let database = db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await.unwrap();
    app::migrate(&database.pool).await.unwrap();
    let sql = "select exists (select from threads)";
    let used: bool = sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap();
    assert!(!used, "The database of DATABASE_URL has conversations in it, and this would delete them. Name an empty one.");
    database
}

fn embedder(options: &Options, settings: &Settings) -> Arc<dyn Embedder> {
    match (&options.embedder, &settings.models.embedding) {
        (Some(_), Some(name)) => embedding::build(&settings.models, name, &Http::new().unwrap(), &Patience::default()).unwrap(),
        _ => Arc::new(Hashing::default()),
    }
}

async fn retrieval(options: &Options, asker: &Asker) -> serde_json::Value {
    let world = World::generate(Size { seed: options.seed, messages: options.messages, questions: options.questions });
    let begun = Instant::now();
    place::put(&asker.pool, &world, &asker.embedder).await;
    if !options.json {
        describe(options, &world, begun);
    }
    let mut verdicts = Vec::new();
    for way in Way::ALL {
        let found = asker.all(&world, way).await;
        if options.verbose && !options.json {
            misses(&world, way, &found);
        }
        verdicts.push(judge::judge(&world, way, &found));
    }
    if !options.json {
        println!("{}\n", judge::table(&verdicts));
    }
    if options.verbose && !options.json {
        println!("{}\n", judge::kinds(&verdicts));
    }
    json!({ "seed": options.seed, "messages": world.messages.len(), "verdicts": verdicts.iter().map(Verdict::json).collect::<Vec<_>>() })
}

fn describe(options: &Options, world: &World, begun: Instant) {
    let pairs: Vec<usize> = world
        .questions
        .iter()
        .filter(|question| question.category == Category::Paraphrase)
        .map(|question| question.answers.iter().map(|place| shared_meanings(&world.messages[*place].text, &question.text)).sum())
        .collect();
    let known = |least: usize| pairs.iter().filter(|shared| **shared >= least).count();
    println!(
        "retrieval: {} questions over {} messages in {} threads of 3 owners, {} days, seed {}; put into memory in {:.0} s",
        world.questions.len(),
        world.messages.len(),
        world.threads.len(),
        world.span().num_days(),
        options.seed,
        begun.elapsed().as_secs_f64()
    );
    if options.embedder.is_none() {
        println!(
            "  The built-in embedder hashes words and knows {} small groups of synonyms: it shows how words and vectors are fused, not how\n  \
             good a provider's model is. Of the {} paraphrases it knows both changed words of {}, one of {}, and none of {}.",
            set::embedder::groups(),
            pairs.len(),
            known(2),
            known(1) - known(2),
            pairs.len() - known(1)
        );
    }
    println!();
}

/// What was asked and not found, for whoever wants to know why.
fn misses(world: &World, way: Way, found: &[Findings]) {
    for (question, found) in world.questions.iter().zip(found).filter(|(question, _)| !question.answers.is_empty()) {
        let missing = |place: &&usize| !found.ranked.iter().take(10).any(|id| *id == world.messages[**place].id);
        for place in question.answers.iter().filter(missing) {
            let (name, kind) = (question.category.name(), question.kind);
            println!("{} missed, {name} ({kind}): {}\n  {:?}", way.name(), question.text, world.messages[*place].text);
        }
    }
}

/// Of this process, in megabytes.
fn resident_mb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1e6
}
