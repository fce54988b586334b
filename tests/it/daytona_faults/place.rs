//! The service with its sandboxes at a Daytona on loopback, and cases that run beside each other.

use std::path::PathBuf;

use threadbox::secret::ExposeSecret;
use threadbox::standin::daytona::{Daytona, Fault, Options, RequestRecord, State};
use threadbox::standin::github::{Expects, IssueRef, Options as GithubOptions};
use uuid::Uuid;

use super::script::{self, Gates};
use crate::support::bot::Bot;
use crate::support::database::passable_dir;

pub struct Place {
    pub bot: Bot,
    pub daytona: Daytona,
    gates: Gates,
    root: tempfile::TempDir,
}

/// One conversation.
pub struct Case {
    pub name: String,
    pub issue: IssueRef,
    pub comment: i64,
    pub thread: Uuid,
}

impl Case {
    /// The sandbox's name.
    pub fn sandbox(&self) -> String {
        format!("thread-{}", self.thread)
    }
}

/// A Daytona whose machines live in `root`.
pub async fn daytona(root: &std::path::Path) -> Daytona {
    let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_threadbox")), root.join("sandboxes"));
    options.disk_mb = 64;
    Daytona::start(options).await.unwrap()
}

/// The settings that lead there.
pub fn environment(daytona: &Daytona) -> [(&'static str, String); 3] {
    [
        ("SANDBOX", "daytona".to_owned()),
        ("DAYTONA_API_URL", daytona.url()),
        ("DAYTONA_API_KEY", daytona.key().expose_secret().to_owned()),
    ]
}

impl Place {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        let root = passable_dir("threadbox-daytona-");
        let daytona = daytona(root.path()).await;
        let environment = environment(&daytona);
        let mut pairs: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pairs.extend(more);
        let options = GithubOptions { expects: Expects::Token, ..GithubOptions::default() };
        let mut bot = Bot::prepare(&pairs, options).await;
        let gates = Gates::default();
        let held = gates.clone();
        bot.model.keep(100_000);
        bot.model.rule(move |request| script::follow(request, &held));
        bot.run().await;
        Self { bot, daytona, gates, root }
    }

    /// Maya asks, and nothing is done yet. `name` has no spaces.
    pub async fn case(&self, name: &str) -> Case {
        let issue = self.bot.issue(name).await;
        self.again(&issue, name).await
    }

    /// Maya asks (once more) in this issue.
    pub async fn again(&self, issue: &IssueRef, name: &str) -> Case {
        let comment = self.bot.says(issue, "maya", &format!("@threadbox do case-{name} please")).await;
        self.bot.reaction(issue, comment, &["eyes"]).await;
        let thread = self.thread(issue.number).await;
        Case { name: name.to_owned(), issue: issue.clone(), comment, thread }
    }

    async fn thread(&self, number: i64) -> Uuid {
        let sql = "select t.id from threads t join inbox i on i.thread_id = t.id
                   where (i.request -> 'place' ->> 'number')::bigint = $1 limit 1";
        sqlx::query_scalar(sql).bind(number).fetch_one(&self.bot.database.pool).await.unwrap()
    }

    /// Makes this happen to the sandbox of a case.
    pub fn inject(&self, case: &Case, fault: Fault) {
        self.daytona.inject(fault.of(&case.sandbox()));
    }

    /// Lets the case begin, and waits for its end.
    pub async fn run(&self, case: &Case) -> String {
        self.gates.of(&case.name).open();
        self.bot.ended(&case.issue, case.comment).await
    }

    /// Our one comment of a case that asked once.
    pub fn answer(&self, case: &Case) -> String {
        let ours = self.bot.our_comments(&case.issue);
        assert_eq!(ours.len(), 1, "{}: {ours:#?}", case.name);
        ours[0].body().to_owned()
    }

    /// All that tools told the model in the last run of a case.
    pub fn told(&self, case: &Case) -> Vec<String> {
        let mut told = Vec::new();
        for request in self.bot.asked() {
            if let Some((name, results)) = script::case(&request)
                && name == case.name
                && results.len() > told.len()
            {
                told = results.into_iter().map(|result| result.text.clone()).collect();
            }
        }
        told
    }

    /// The requests about the sandbox of a case so far, oldest first.
    pub fn requests(&self, case: &Case) -> Vec<RequestRecord> {
        let name = case.sandbox();
        let ids: Vec<String> = self.ids(case).collect();
        let about = |request: &RequestRecord| request.path.split('/').any(|part| part == name || ids.iter().any(|id| id == part));
        self.daytona.requests().into_iter().filter(about).collect()
    }

    /// Ids of the sandboxes of a case that exist, but for those that failed for good: they are removed later.
    pub fn ids(&self, case: &Case) -> impl Iterator<Item = String> + use<> {
        let thread = case.thread.to_string();
        let of_case = |sandbox: &&threadbox::standin::daytona::Sandbox| {
            sandbox.state != State::Error && sandbox.labels.get("threadbox-thread").is_some_and(|of| *of == thread)
        };
        let ids: Vec<_> =
            self.daytona.world(|world| world.sandboxes().filter(of_case).map(|sandbox| sandbox.id.clone()).collect());
        ids.into_iter()
    }

    /// A file as it lies on the disk of the one sandbox of a case.
    pub fn on_disk(&self, case: &Case, path: &str) -> Option<String> {
        let ids: Vec<_> = self.ids(case).collect();
        assert_eq!(ids.len(), 1, "{}: {ids:?}", case.name);
        std::fs::read_to_string(self.daytona.root().join(&ids[0]).join("workspace").join(path)).ok()
    }

    /// Everything the careful colleague should have achieved.
    pub fn is_done_once(&self, case: &Case) {
        let answer = self.answer(case);
        let told = || format!("{}: {answer}\n{:#?}", case.name, self.told(case));
        assert!(answer.contains(&script::good_answer()), "{}", told());
        assert_eq!(self.on_disk(case, "log.txt").as_deref(), Some("ran\n"), "{}", told());
        assert!(self.on_disk(case, "a note.txt") == Some(script::note()), "{}", told());
    }

    /// Ends the test: nothing may be left over.
    pub async fn end(self) {
        let Self { bot, daytona, root, .. } = self;
        bot.finish().await;
        assert_eq!(daytona.violations(), Vec::<String>::new());
        daytona.shut_down().await;
        drop(root);
    }
}
