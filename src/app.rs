//! The composition root: settings become clients, clients become an [`App`] that serves, works and shuts down.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::tools::Toolbox;
use crate::agent::{Kit, Spending};
use crate::clock::{Clock, SystemClock};
use crate::db;
use crate::discord::gateway::Gateway;
use crate::discord::interaction::{self, Interactions};
use crate::discord::{self, Discord};
use crate::github::{Github, Pace};
use crate::http::{self, Http};
use crate::intake::Intake;
use crate::jobs::{self, Bells, Engine, Members, Origins, Repositories, Services, Stops, Waker};
use crate::memory::recall::Recall;
use crate::model::{self, Embedder, Model, ModelName, Patience, Shelf};
use crate::reply::{Poster, Redactor};
use crate::sandbox::Provider;
use crate::sandbox::daytona::{self, DaytonaConfig, DaytonaProvider, Origin};
use crate::sandbox::local::{LocalConfig, LocalProvider};
use crate::sandbox::proxy::Policy;
use crate::secret::{ExposeSecret, Learned};
use crate::settings::{DiscordSettings, GithubAuth, SandboxKind, Settings};

/// Processes and threads of one command in a local sandbox.
const SANDBOX_PROCESSES: u64 = 256;
/// Connections beside one per run: short jobs, listeners, webhooks.
const SPARE_CONNECTIONS: u32 = 24;
/// How long requests that are under way at the end may still take.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The parts of the service a process may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    All,
    /// Webhooks and HTTP.
    Web,
    /// The gate and the runs.
    Worker,
    /// The connection to Discord.
    Gateway,
}

impl Role {
    fn serves(self) -> bool {
        matches!(self, Self::All | Self::Web)
    }

    fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }

    fn listens(self) -> bool {
        matches!(self, Self::All | Self::Gateway)
    }
}

/// What an app is made of beside its settings; tests and benches replace parts of it.
#[derive(Clone)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Path of the threadbox binary, which isolates local sandboxes.
    pub helper: PathBuf,
    /// How fast GitHub is written to.
    pub pace: Pace,
    /// How patiently models are asked.
    pub patience: Patience,
    /// How patiently Daytona is asked.
    pub daytona: daytona::Pace,
    /// Replaces the sandboxes of the settings.
    pub sandboxes: Option<Arc<dyn Provider>>,
}

impl Parts {
    /// The parts of a real service.
    pub fn real() -> anyhow::Result<Self> {
        Ok(Self {
            clock: Arc::new(SystemClock),
            helper: std::env::current_exe().context("Cannot find this program's own file")?,
            pace: Pace::GITHUB,
            patience: Patience::default(),
            daytona: daytona::Pace::default(),
            sandboxes: None,
        })
    }
}

/// Connections the pool needs with these settings.
pub fn connections(settings: &Settings) -> u32 {
    settings.limits.max_concurrent_runs.saturating_add(SPARE_CONNECTIONS)
}

/// Brings the service's tables and the job engine's up to date. Idempotent, and safe in several processes at once.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    db::migrate(pool).await?;
    jobs::migrate(pool).await
}

/// A running service.
#[derive(Debug)]
pub struct App {
    address: Option<SocketAddr>,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
    /// Ends after the server, with everything answered that it was handed.
    writer: Option<JoinHandle<()>>,
    engine: Option<Engine>,
    /// The connection to Discord, and the writer of what is heard there, which ends after it.
    gateway: Option<(JoinHandle<()>, JoinHandle<()>)>,
    /// Its tokens are given back at the end.
    github: Option<Arc<Github>>,
}

impl App {
    /// Starts on a migrated database. When it returns, webhooks are accepted and work is taken.
    pub async fn start(settings: Settings, role: Role, pool: PgPool, parts: Parts) -> anyhow::Result<Self> {
        let settings = Arc::new(settings);
        let shutdown = CancellationToken::new();
        let (mut engine, mut github, mut waker) = (None, None, Waker::Elsewhere(pool.clone()));
        let discord = discord_of(&settings, &parts)?;
        if role.works() {
            let services = services(&settings, &pool, &parts, discord.clone(), &shutdown)?;
            github = services.github.clone();
            if let Some(embedder) = &services.embedder {
                jobs::adopt_embedder(&pool, embedder.name()).await.context("Cannot note the embedding model")?;
            }
            waker = Waker::Here(services.bells.clone());
            engine = Some(Engine::start(services).await.context("Cannot start the workers")?);
        }
        let listens = discord.zip(settings.discord.clone()).filter(|_| role.listens());
        let gateway = match listens {
            Some((discord, own)) => Some(listen(&settings, own, discord, &pool, &parts, (waker.clone(), &shutdown))?),
            None => None,
        };
        let mut app = Self { address: None, shutdown, server: None, writer: None, engine, gateway, github };
        if role.serves()
            && let Err(error) = app.serve(&settings, pool, &parts, waker).await
        {
            // The workers may have taken something already.
            app.shut_down().await;
            return Err(error);
        }
        Ok(app)
    }

    async fn serve(&mut self, settings: &Settings, pool: PgPool, parts: &Parts, waker: Waker) -> anyhow::Result<()> {
        let recall = recall(settings, &pool, &parts.patience)?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("Cannot listen on {}; set THREADBOX_LISTEN to a free address", settings.listen))?;
        self.address = Some(listener.local_addr()?);
        let secrets = settings.github.as_ref().map(|github| github.webhook_secrets.clone()).unwrap_or_default();
        let (intake, writer) = Intake::start(pool.clone(), parts.clock.clone(), waker);
        self.writer = Some(writer);
        let http = Http {
            pool,
            name: settings.name.as_str().into(),
            webhook_secrets: secrets.into(),
            surfaces: settings.github.iter().map(|_| "github").collect(),
            intake,
            admin: Arc::new(http::api::Admin::new(settings.admin_token.as_ref())),
            recall,
            redactor: Arc::new(Redactor::new(settings.secrets())),
            clock: parts.clock.clone(),
        };
        let stop = self.shutdown.clone();
        self.server = Some(tokio::spawn(async move {
            let served = axum::serve(listener, http::router(http)).with_graceful_shutdown(stop.clone().cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "HTTP ended; shutting down");
                stop.cancel();
            }
        }));
        Ok(())
    }

    /// Where HTTP listens; none for a worker.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Cancelled when the service ends, by itself or by [`App::shut_down`].
    pub fn ending(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Stops taking work, hands back what is under way, and waits for all of it.
    pub async fn shut_down(self) {
        self.shutdown.cancel();
        if let Some((mut gateway, mut writer)) = self.gateway {
            for task in [&mut gateway, &mut writer] {
                if tokio::time::timeout(LAST_REQUESTS, &mut *task).await.is_err() {
                    task.abort();
                }
            }
        }
        if let Some(engine) = self.engine {
            engine.shut_down().await;
        }
        if let Some(github) = self.github {
            github.revoke_tokens().await;
        }
        if let Some(mut server) = self.server {
            match tokio::time::timeout(LAST_REQUESTS, &mut server).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "HTTP ended badly"),
                // Half a request keeps nobody from ending; what was not answered is delivered again.
                Err(_) => server.abort(),
            }
        }
        if let Some(mut writer) = self.writer {
            // A connection with half a request still holds its end of the queue; everything that was handed over is written by now.
            if tokio::time::timeout(LAST_REQUESTS, &mut writer).await.is_err() {
                writer.abort();
            }
        }
    }
}

/// One client for whoever speaks to Discord in this process, because they share its limits; none where it is off.
fn discord_of(settings: &Settings, parts: &Parts) -> anyhow::Result<Option<Arc<Discord>>> {
    let client = settings.discord.as_ref().map(|own| Discord::new(own, parts.clock.clone(), discord::Pace::DISCORD));
    Ok(client.transpose()?.map(Arc::new))
}

/// Connects to Discord: one task for all that is heard there, and the writer of it.
fn listen(
    settings: &Arc<Settings>,
    own: DiscordSettings,
    discord: Arc<Discord>,
    pool: &PgPool,
    parts: &Parts,
    (waker, shutdown): (Waker, &CancellationToken),
) -> anyhow::Result<(JoinHandle<()>, JoinHandle<()>)> {
    let (intake, writer) = Intake::start(pool.clone(), parts.clock.clone(), waker);
    let interactions = Interactions::new(interaction::Parts {
        discord: discord.clone(),
        intake: intake.clone(),
        pool: pool.clone(),
        clock: parts.clock.clone(),
        settings: settings.clone(),
        models: Shelf::new(settings.models.clone(), model::Http::new()?, parts.patience.clone()),
        redactor: Arc::new(Redactor::new(settings.secrets())),
    });
    let gateway = Gateway {
        pool: pool.clone(),
        discord,
        settings: own,
        handle: settings.name.as_str().into(),
        intake,
        clock: parts.clock.clone(),
        holder: format!("{}-{}", std::process::id(), uuid::Uuid::now_v7().simple()).into(),
        interactions: Some(Arc::new(interactions.clone())),
        shutdown: shutdown.clone(),
    };
    let shutdown = shutdown.clone();
    let both = async move {
        tokio::join!(gateway.run(), interactions.tend(shutdown));
    };
    Ok((tokio::spawn(both), writer))
}

fn services(
    settings: &Arc<Settings>,
    pool: &PgPool,
    parts: &Parts,
    discord: Option<Arc<Discord>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Services> {
    let clock = parts.clock.clone();
    let learned = Learned::default();
    let github = match &settings.github {
        Some(github) => Some(Arc::new(Github::with_pace(github, clock.clone(), parts.pace)?.telling(learned.clone()))),
        None => None,
    };
    let archives = settings.data_dir.join("cache").join("archives");
    let repositories = github.clone().map(|github| Arc::new(Repositories::new(github, clock.clone())));
    let origins =
        github.clone().zip(repositories.clone()).map(|(github, repositories)| Origins::new(github, repositories, archives));
    let origins = origins.transpose()?.map(Arc::new);
    let redactor = Arc::new(Redactor::with_learned(settings.secrets(), learned));
    let http = model::Http::new()?;
    let poster = Poster::new(pool.clone(), github.clone(), redactor.clone(), clock.clone());
    let poster = match &discord {
        Some(discord) => poster.on_discord(discord.clone()),
        None => poster,
    };
    let title = if settings.models.title.is_empty() { &settings.models.chain } else { &settings.models.title };
    let embedder = embedder(settings, &http, &parts.patience);
    let kit = Kit {
        pool: pool.clone(),
        model: model_of(settings, &settings.models.chain, &http, &parts.patience),
        toolbox: Arc::new(Toolbox::standard()),
        clock: clock.clone(),
        limits: settings.limits.clone(),
        spending: Spending::default(),
        redactor,
    };
    Ok(Services {
        pool: pool.clone(),
        settings: settings.clone(),
        poster,
        github,
        discord,
        kit,
        models: Shelf::new(settings.models.clone(), http.clone(), parts.patience.clone()),
        recall: Recall::new(pool.clone(), embedder.clone()),
        embedder,
        title_model: model_of(settings, title, &http, &parts.patience),
        sandboxes: sandboxes(settings, parts)?,
        origins,
        repositories,
        clock,
        instructions: instructions(settings)?,
        holder: format!("{}-{}", std::process::id(), uuid::Uuid::now_v7().simple()).into(),
        stops: Stops::default(),
        bells: Bells::default(),
        members: Members::default(),
        shutdown: shutdown.clone(),
    })
}

/// The models of a chain; where one cannot be asked, something that says why to whoever asks.
fn model_of(settings: &Settings, chain: &[ModelName], http: &model::Http, patience: &Patience) -> Arc<dyn Model> {
    match model::build(&settings.models, chain, http, patience) {
        Ok(model) => model,
        Err(error) => {
            tracing::warn!(%error, "no model can be asked; requests are answered with this");
            Arc::new(model::Unavailable::new(settings.models.chain[0].clone(), &error))
        }
    }
}

/// What embeds; none where nothing is configured or it cannot be asked, which is said: recall then goes by words alone.
fn embedder(settings: &Settings, http: &model::Http, patience: &Patience) -> Option<Arc<dyn Embedder>> {
    let name = settings.models.embedding.as_ref()?;
    let built = model::embedding::build(&settings.models, name, http, patience);
    built.inspect_err(|error| tracing::warn!(%error, "nothing is embedded; recall goes by words alone")).ok()
}

/// Asks memory as the service does.
///
/// # Errors
/// When no client can be made on this machine.
pub fn recall(settings: &Settings, pool: &PgPool, patience: &Patience) -> anyhow::Result<Recall> {
    let embedder = embedder(settings, &model::Http::new()?, patience);
    Ok(Recall::new(pool.clone(), embedder))
}

/// Where code runs.
pub fn sandboxes(settings: &Settings, parts: &Parts) -> anyhow::Result<Arc<dyn Provider>> {
    if let Some(sandboxes) = &parts.sandboxes {
        return Ok(sandboxes.clone());
    }
    match settings.sandbox.kind {
        SandboxKind::Local => Ok(Arc::new(local_sandboxes(settings, parts.helper.clone())?)),
        SandboxKind::Daytona => {
            let config = DaytonaConfig { pace: parts.daytona.clone(), ..daytona_config(settings)? };
            Ok(Arc::new(DaytonaProvider::new(config, parts.helper.clone(), Arc::clone(&parts.clock))?))
        }
    }
}

/// How machines at Daytona are made.
pub fn daytona_config(settings: &Settings) -> anyhow::Result<DaytonaConfig> {
    let Some(daytona) = &settings.sandbox.daytona else {
        anyhow::bail!("There is no key for Daytona. Set DAYTONA_API_KEY, or SANDBOX=local.")
    };
    let gibibytes = |mebibytes: u64| u32::try_from(mebibytes.div_ceil(1024)).unwrap_or(u32::MAX);
    let origin = match (&daytona.image, &daytona.snapshot) {
        (Some(image), _) => Origin::Image {
            reference: image.clone(),
            cpus: settings.sandbox.cpus,
            memory_gib: gibibytes(settings.sandbox.memory_mb),
            disk_gib: gibibytes(settings.sandbox.disk_mb),
        },
        (None, Some(snapshot)) => Origin::Snapshot(snapshot.clone()),
        (None, None) => Origin::Default,
    };
    Ok(DaytonaConfig {
        api_url: daytona.api_url.clone(),
        credential: daytona.credential.clone(),
        target: daytona.target.clone(),
        origin,
        network: settings.sandbox.network.clone(),
        idle_minutes: settings.sandbox.idle_minutes,
        ttl_minutes: None,
        pace: daytona::Pace::default(),
    })
}

/// Sandboxes on this machine.
pub fn local_sandboxes(settings: &Settings, helper: PathBuf) -> anyhow::Result<LocalProvider> {
    Ok(LocalProvider::new(LocalConfig {
        root: settings.data_dir.join("sandboxes"),
        helper,
        cpus: settings.sandbox.cpus,
        memory_mb: settings.sandbox.memory_mb,
        disk_mb: settings.sandbox.disk_mb,
        processes: SANDBOX_PROCESSES,
        search_path: settings.database.search_path.iter().flat_map(std::env::split_paths).collect(),
        network: Policy::new(settings.sandbox.network.egress()?),
        without: BTreeSet::new(),
    })?)
}

fn instructions(settings: &Settings) -> anyhow::Result<Option<Arc<str>>> {
    let Some(path) = &settings.instructions else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("Cannot read THREADBOX_INSTRUCTIONS ({}); check the path", path.display()))?;
    Ok(Some(text.into()))
}

impl Settings {
    /// Every secret value, so that none of them is ever posted.
    pub fn secrets(&self) -> Vec<crate::secret::SecretString> {
        let mut secrets: Vec<_> = self.models.providers.values().filter_map(|provider| provider.key.clone()).collect();
        if let Some(url) = &self.database.url {
            let password = url::Url::parse(url.expose_secret()).ok().and_then(|url| url.password().map(crate::secret::secret));
            secrets.extend([Some(url.clone()), password].into_iter().flatten());
        }
        secrets.extend(self.admin_token.clone());
        if let Some(github) = &self.github {
            secrets.extend(github.webhook_secrets.iter().cloned());
            secrets.push(match &github.auth {
                GithubAuth::App { private_key, .. } => private_key.clone(),
                GithubAuth::Token(token) => token.clone(),
            });
        }
        secrets.extend(self.discord.iter().map(|discord| discord.token.clone()));
        secrets.extend(self.sandbox.daytona.iter().map(|daytona| daytona.credential.secret().clone()));
        secrets
    }
}
