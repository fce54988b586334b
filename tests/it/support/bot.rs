//! The test bot: the real service on loopback, with the real clients, a real database, a GitHub and a model that object to nonsense.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use threadbox::app::{App, Parts, Role};
use threadbox::clock::{Clock, ManualClock, SystemClock};
use threadbox::db;
use threadbox::github::Pace;
use threadbox::model::{Patience, RetryPolicy};
use threadbox::sandbox::daytona;
use threadbox::secret::{ExposeSecret, secret};
use threadbox::settings::{DatabaseSettings, Permission, Settings, Sources};
use threadbox::standin::github::{Comment, Expects, GithubStandin, IssueRef, Options, UserKind, Visibility};
use threadbox::standin::model::{ModelStandin, Protocol, RecordedRequest, say};

use super::database::{TestDatabase, passable_dir};

/// Longest wait for anything; a test that is fine never comes near it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The repository of the tests.
pub const REPOSITORY: &str = "acme/rocket";

/// Daytona on loopback is quick.
const DAYTONA_PACE: daytona::Pace = daytona::Pace {
    tries: 3,
    backoff: Duration::from_millis(10),
    rate_limit: Duration::from_secs(60),
    refused: Duration::from_secs(60),
    poll: Duration::from_millis(10),
    start: Duration::from_secs(60),
    restore: Duration::from_secs(60),
    remove: Duration::from_secs(60),
    silence: Duration::from_secs(1),
};

/// The same, with every request to GitHub and its answer written down where `THREADBOX_RECORD_GITHUB` says, for
/// `tests/github/openapi.mjs`.
pub fn recorded(options: Options) -> Options {
    Options { record: std::env::var_os("THREADBOX_RECORD_GITHUB").map(PathBuf::from), ..options }
}

/// The service with all that it talks to.
pub struct Bot {
    pub github: GithubStandin,
    pub model: ModelStandin,
    pub database: TestDatabase,
    pub settings: Settings,
    parts: Parts,
    app: Option<(App, db::Database)>,
    _data: tempfile::TempDir,
}

impl Bot {
    /// A running bot with the settings of a new user: `maya` may write, `eve` may only read, `robot[bot]` is an App.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with other settings, written as in the environment.
    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut bot = Self::prepare(environment, Options { expects: Expects::Token, ..Options::default() }).await;
        bot.run().await;
        bot
    }

    /// The same as a GitHub App on a server that keeps its API under `base_path`.
    pub async fn start_as_app(base_path: &str) -> Self {
        let mut bot = Self::prepare(&[], Options { base_path: base_path.to_owned(), ..Options::default() }).await;
        bot.run().await;
        bot
    }

    /// Everything but the service itself.
    pub async fn prepare(environment: &[(&str, &str)], options: Options) -> Self {
        let bot = Self::prepare_without_rules(environment, options).await;
        // What comes without tools asks for a title, or whether anybody is there; a test that condenses says itself what comes of it.
        let condenses = |system: &str| system.starts_with("You condense") || system.starts_with("You shorten");
        bot.model.rule(move |request| (request.tools.is_empty() && !condenses(&request.system)).then(|| say("A title")));
        bot
    }

    /// The same with a model that answers nothing by itself, not even the question for a title.
    pub async fn prepare_without_rules(environment: &[(&str, &str)], options: Options) -> Self {
        let expects = options.expects;
        let github = GithubStandin::start(recorded(options)).await.unwrap();
        github.add_repository(REPOSITORY, Visibility::Public);
        for (login, permission) in [("maya", Permission::Write), ("ada", Permission::Admin), ("eve", Permission::Read)] {
            github.add_user(login, UserKind::User);
            github.set_permission(REPOSITORY, login, permission).unwrap();
        }
        github.add_user("robot[bot]", UserKind::Bot);
        let model = ModelStandin::start().await.unwrap();
        let database = TestDatabase::create().await;
        let data = passable_dir("threadbox-it-");
        let settings = settings(environment, expects, &github, &model, &database, data.path().to_path_buf());
        let patience = Patience {
            retry: RetryPolicy {
                first_wait: Duration::from_millis(5),
                longest_wait: Duration::from_millis(20),
                ..RetryPolicy::default()
            },
            ..Patience::default()
        };
        let parts = Parts {
            clock: Arc::new(SystemClock),
            helper: PathBuf::from(env!("CARGO_BIN_EXE_threadbox")),
            pace: Pace::UNLIMITED,
            patience,
            daytona: DAYTONA_PACE,
            sandboxes: None,
        };
        Self { github, model, database, settings, parts, app: None, _data: data }
    }

    /// Starts the service (again).
    pub async fn run(&mut self) {
        let options = db::Options { connections: 20, ..db::Options::default() };
        let own = db::open(&self.settings.database, &self.settings.data_dir, &options, &db::Quiet).await.unwrap();
        let app = App::start(self.settings.clone(), Role::All, own.pool.clone(), self.parts.clone()).await.unwrap();
        self.github.deliver_to(format!("http://{}/webhooks/github", app.address().unwrap()));
        self.app = Some((app, own));
    }

    /// Starts the service on a runtime of its own, which can be killed.
    pub async fn run_apart(&self) -> Apart {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (settings, parts) = (self.settings.clone(), self.parts.clone());
        let started = runtime.spawn(async move {
            let options = db::Options { connections: 20, ..db::Options::default() };
            let own = db::open(&settings.database, &settings.data_dir, &options, &db::Quiet).await.unwrap();
            let app = App::start(settings, Role::All, own.pool.clone(), parts).await.unwrap();
            (app, own)
        });
        let (app, own) = started.await.unwrap();
        self.github.deliver_to(format!("http://{}/webhooks/github", app.address().unwrap()));
        Apart { runtime: Some(runtime), _app: app, _own: own }
    }

    /// The service's time from its next start on; the stand-ins have their own.
    pub fn use_clock(&mut self, clock: Arc<dyn Clock>) {
        self.parts.clock = clock;
    }

    /// Sandboxes from somewhere else, from the next start on.
    pub fn use_sandboxes(&mut self, sandboxes: Arc<dyn threadbox::sandbox::Provider>) {
        self.parts.sandboxes = Some(sandboxes);
    }

    /// The service lives this much later from its next start on.
    pub fn later(&mut self, by: chrono::TimeDelta) {
        self.parts.clock = Arc::new(ManualClock::at(SystemClock.now() + by));
    }

    /// Where HTTP listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.app.as_ref().unwrap().0.address().unwrap())
    }

    /// Ends the service as SIGTERM does.
    pub async fn stop(&mut self) {
        if let Some((app, own)) = self.app.take() {
            app.shut_down().await;
            own.close().await.unwrap();
        }
    }

    /// Maya opens an issue that does not mention us.
    pub async fn issue(&self, title: &str) -> IssueRef {
        self.github.open_issue(REPOSITORY, "maya", title, "Some background.").await.unwrap().0
    }

    /// Somebody comments; returns the comment. The webhook must be answered with 202.
    pub async fn says(&self, issue: &IssueRef, who: &str, text: &str) -> i64 {
        let commented = self.github.comment(issue, who, text).await.unwrap();
        assert_eq!(commented.sent.status, Some(202), "the webhook was not accepted: {:?}", commented.sent);
        commented.id
    }

    /// Maya comments, and the answer is waited for.
    pub async fn asks(&self, issue: &IssueRef, text: &str) -> String {
        let comment = self.says(issue, "maya", text).await;
        self.ended(issue, comment).await;
        self.our_comments(issue).last().unwrap().body().to_owned()
    }

    /// Waits for the reaction that marks the end of what a comment asked for. Returns it.
    pub async fn ended(&self, issue: &IssueRef, comment: i64) -> String {
        self.reaction(issue, comment, &["rocket", "confused"]).await
    }

    /// Waits for one of these reactions of ours on a comment.
    pub async fn reaction(&self, issue: &IssueRef, comment: i64, wanted: &[&str]) -> String {
        let what = format!("our reaction {wanted:?} on comment {comment}");
        let look = |world: &threadbox::standin::github::World| {
            let reactions = world.reactions(issue, Some(comment));
            let ours = reactions.into_iter().filter(|reaction| reaction.user == world.our_login());
            ours.map(|reaction| reaction.content).find(|content| wanted.contains(&content.as_str()))
        };
        self.github.wait_for(&what, LIMIT, look).await.unwrap()
    }

    /// Waits until we have written that many comments there.
    pub async fn our_comment_number(&self, issue: &IssueRef, count: usize) -> Comment {
        let look = |world: &threadbox::standin::github::World| world.our_comments(issue).get(count - 1).cloned();
        self.github.wait_for(&format!("our comment number {count}"), LIMIT, look).await.unwrap()
    }

    /// What we wrote, oldest first.
    pub fn our_comments(&self, issue: &IssueRef) -> Vec<Comment> {
        self.github.world(|world| world.our_comments(issue))
    }

    /// One number from the database.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    /// Waits until a count is what it should be, as long as it still moves: writing to GitHub is paced.
    pub async fn until_count(&self, sql: &'static str, wanted: i64) {
        let mut deadline = tokio::time::Instant::now() + LIMIT;
        let mut before = self.count(sql).await;
        loop {
            let count = self.count(sql).await;
            if count == wanted {
                return;
            }
            if count != before {
                (before, deadline) = (count, tokio::time::Instant::now() + LIMIT);
            }
            assert!(tokio::time::Instant::now() < deadline, "still {count} instead of {wanted}: {sql}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the model was asked in runs, oldest first; the questions for titles are left out.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        self.model.requests().into_iter().filter(|request| !request.tools.is_empty()).collect()
    }

    /// Waits until the model was asked this often in runs.
    pub async fn until_asked(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while self.asked().len() < count {
            assert!(tokio::time::Instant::now() < deadline, "the model was asked {} times, not {count}", self.asked().len());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Names of the directories of local sandboxes.
    pub fn sandboxes(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.settings.data_dir.join("sandboxes")).unwrap();
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Changes the database behind the service's back.
    pub async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.database.pool).await.unwrap();
    }

    /// What waits is due now, and the workers are told.
    pub async fn hurry(&self) {
        self.sql(
            "update inbox set next_try_at = now() - interval '1 second' where state = 'new';
             update runs set next_try_at = now() - interval '1 second' where state <> 'posted';
             update posts set look_at = now() - interval '1 hour' where look_at is not null;
             update jobs._private_jobs set run_at = now() where run_at > now() and attempts = 0;
             select jobs.add_job('wake_thread', json_build_object('thread_id', id)) from threads;
             select jobs.add_job('run_thread', json_build_object('thread_id', id)) from threads;",
        )
        .await;
    }

    /// Waits until nothing is left to do. A service must be running, unless nothing is left already.
    pub async fn idle(&self) {
        self.until_count("select count(*) from runs where state <> 'posted'", 0).await;
        // One that a worker died over counts even when another has taken its place: the engine brings it back.
        let open = "select count(*) from jobs.jobs
                    where (attempts < max_attempts or locked_by is not null) and task_identifier <> 'title_thread'";
        self.until_count(open, 0).await;
    }

    /// Ends the test: nothing may be left over.
    pub async fn finish(mut self) {
        self.until_count("select count(*) from inbox where state = 'new'", 0).await;
        self.idle().await;
        assert_eq!(
            self.count("select count(*) from posts where state <> 'done' and kind = 'answer'").await,
            0,
            "an answer is not posted"
        );
        self.stop().await;
        assert_eq!(self.github.faults_left(), 0, "a fault was never met");
        assert_eq!(self.model.left(), 0, "a turn of the script was never asked for");
        assert_eq!(self.model.objections(), Vec::<String>::new(), "the model refused something");
        self.database.finish().await;
    }
}

/// A service on a runtime of its own. Dropped, it is killed: nothing is handed back, nothing is said goodbye to.
pub struct Apart {
    runtime: Option<tokio::runtime::Runtime>,
    _app: App,
    _own: db::Database,
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The settings as the real loader reads them.
fn settings(
    environment: &[(&str, &str)],
    expects: Expects,
    github: &GithubStandin,
    model: &ModelStandin,
    database: &TestDatabase,
    data_dir: PathBuf,
) -> Settings {
    let mut process = service_environment(github, model, &database.url(), &data_dir);
    if expects == Expects::App {
        process.remove("GITHUB_TOKEN");
        process.insert("GITHUB_APP_ID".into(), github.app_id().to_string());
        process.insert("GITHUB_APP_PRIVATE_KEY".into(), github.private_key_pem().expose_secret().to_owned());
    }
    process.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let sources = Sources { process, file: BTreeMap::new() };
    let mut settings = Settings::load(&sources).unwrap().settings;
    settings.database = DatabaseSettings { url: Some(secret(database.url())), ..settings.database };
    settings
}

/// The environment of a service that talks to these stand-ins.
pub fn service_environment(
    github: &GithubStandin,
    model: &ModelStandin,
    database: &str,
    data_dir: &std::path::Path,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("DATABASE_URL".into(), database.to_owned()),
        ("THREADBOX_DATA_DIR".into(), data_dir.display().to_string()),
        ("THREADBOX_LISTEN".into(), "127.0.0.1:0".into()),
        ("GITHUB_API_URL".into(), github.url()),
        ("GITHUB_WEBHOOK_SECRET".into(), github.webhook_secret().expose_secret().to_owned()),
        ("MODEL".into(), "openai/gpt-4.1".into()),
        ("OPENAI_API_KEY".into(), "sk-stand-in-key-0123456789".into()),
        ("OPENAI_BASE_URL".into(), model.base_url(Protocol::OpenAi)),
        ("ANTHROPIC_API_KEY".into(), "sk-ant-stand-in-key-0123456789".into()),
        ("ANTHROPIC_BASE_URL".into(), model.base_url(Protocol::Anthropic)),
        ("GEMINI_API_KEY".into(), "gemini-stand-in-key-0123456789".into()),
        ("GOOGLE_BASE_URL".into(), model.base_url(Protocol::Gemini)),
    ]);
    if let Ok(path) = std::env::var("PATH") {
        environment.insert("PATH".into(), path);
    }
    environment.insert("GITHUB_TOKEN".into(), github.token().expose_secret().to_owned());
    environment
}
