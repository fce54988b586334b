//! Credentials and limits of the real client: tokens come and go in time, answers that hold are not paid for, and what is gone is said
//! in words people can act on.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use threadbox::clock::ManualClock;
use threadbox::github::{Github, GithubError, Pace, RepoRef};
use threadbox::settings::Permission;
use threadbox::standin::github::{Expects, GithubStandin, Node, Options, RequestRecord, UserKind, Visibility};

type Result<T = ()> = anyhow::Result<T>;

const REPO: &str = "octo-org/hello-world";

struct Stage {
    github: GithubStandin,
    client: Arc<Github>,
    clock: ManualClock,
    repo: RepoRef,
}

fn start() -> DateTime<Utc> {
    "2026-11-01T10:00:00Z".parse().expect("it is a time")
}

impl Stage {
    async fn new(options: impl FnOnce(&mut Options)) -> Result<Self> {
        let clock = ManualClock::at(start());
        let mut all = Options { clock: Arc::new(clock.clone()), ..Options::default() };
        options(&mut all);
        let github = GithubStandin::start(all).await?;
        let id = github.add_repository(REPO, Visibility::Public);
        github.add_user("maya", UserKind::User);
        github.set_permission(REPO, "maya", Permission::Admin)?;
        github.open_issue(REPO, "maya", "First", "See below.").await?;
        github.push(REPO, "Begin", &[("README.md", Node::from("Hello"))])?;
        let client = Arc::new(Github::with_pace(&github.settings()?, Arc::new(clock.clone()), Pace::UNLIMITED)?);
        let repo = RepoRef { full_name: REPO.into(), id, installation: github.installation("octo-org") };
        Ok(Self { github, client, clock, repo })
    }

    async fn comment(&self, body: &str) -> std::result::Result<(), GithubError> {
        self.client.create_comment(&self.repo, 1, body).await.map(drop)
    }

    fn requests(&self, part: &str) -> Vec<RequestRecord> {
        self.github.requests().into_iter().filter(|request| request.path.contains(part)).collect()
    }

    fn statuses(&self, part: &str) -> Vec<Option<u16>> {
        self.requests(part).iter().map(|request| request.status).collect()
    }
}

#[tokio::test]
async fn an_answer_that_still_holds_is_not_asked_for_again() -> Result {
    for expects in [Expects::App, Expects::Token] {
        let stage = Stage::new(|options| options.expects = expects).await?;
        let first = stage.client.default_head(&stage.repo).await?;
        assert_eq!(stage.client.default_head(&stage.repo).await?, first);
        let pushed = stage.github.push(REPO, "Go on", &[("README.md", Node::from("Hello again"))])?;
        assert_eq!(stage.client.default_head(&stage.repo).await?, Some(pushed));
        assert_eq!(stage.statuses("/commits/HEAD"), [Some(200), Some(304), Some(200)]);
        assert_eq!(stage.client.permission(&stage.repo, "maya").await?, Permission::Admin);
        stage.clock.advance(TimeDelta::minutes(2));
        assert_eq!(stage.client.permission(&stage.repo, "maya").await?, Permission::Admin);
        assert_eq!(stage.statuses("/permission"), [Some(200), Some(304)]);
    }
    Ok(())
}

#[tokio::test]
async fn tokens_are_replaced_before_they_end_once_for_all_who_need_one() -> Result {
    let stage = Stage::new(|_| {}).await?;
    stage.comment("first").await?;
    stage.clock.advance(TimeDelta::minutes(56));
    let calls = (0..20).map(|n| {
        let (client, repo) = (stage.client.clone(), stage.repo.clone());
        async move { client.create_comment(&repo, 1, &format!("comment {n}")).await }
    });
    for made in futures::future::join_all(calls).await {
        made?;
    }
    assert_eq!(stage.statuses("/access_tokens"), [Some(201), Some(201)]);
    assert!(stage.statuses("/comments").iter().all(|status| *status == Some(201)), "no call met a token that had ended");
    Ok(())
}

#[tokio::test]
async fn tokens_are_given_back_at_the_end() -> Result {
    let stage = Stage::new(|options| options.base_path = "/api/v3".into()).await?;
    stage.comment("first").await?;
    stage.client.default_head(&stage.repo).await?;
    stage.client.revoke_tokens().await;
    let given_back = stage.requests("/installation/token");
    assert_eq!(given_back.len(), 2);
    assert!(given_back.iter().all(|request| request.method == "DELETE" && request.status == Some(204)), "{given_back:?}");
    assert_eq!(stage.github.tokens(), 0, "none works any more");
    stage.comment("a new one is made when it is needed").await?;
    stage.client.revoke_tokens().await;
    stage.client.revoke_tokens().await;
    assert_eq!(stage.requests("/installation/token").len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_is_gone_is_said_with_what_to_do() -> Result {
    let stage = Stage::new(|_| {}).await?;
    stage.github.suspend("octo-org").await?;
    let suspended = stage.comment("one").await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(suspended.contains("suspended") && suspended.contains("Settings > Installed GitHub Apps"), "{suspended}");
    stage.github.uninstall("octo-org").await?;
    let removed = stage.comment("two").await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(removed.contains("removed") && removed.contains("install it again"), "{removed}");
    let unknown = RepoRef { installation: None, ..stage.repo.clone() };
    let nowhere =
        stage.client.create_comment(&unknown, 1, "three").await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(nowhere.contains("not installed on octo-org/hello-world") && nowhere.contains("Install it"), "{nowhere}");
    Ok(())
}

#[tokio::test]
async fn teams_are_looked_up_and_where_we_may_not_look_it_is_an_error() -> Result {
    let stage = Stage::new(|_| {}).await?;
    stage.github.add_to_team("octo-org", "reviewers", "maya");
    let teams = ["nobody".to_owned(), "reviewers".to_owned()];
    assert!(stage.client.is_in_team(&stage.repo, &teams, "Maya").await?);
    assert!(!stage.client.is_in_team(&stage.repo, &teams[..1], "maya").await?);
    assert!(!stage.client.is_in_team(&stage.repo, &teams, "sam").await?);
    let asked = stage.requests("/teams/").len();
    assert!(stage.client.is_in_team(&stage.repo, &teams, "maya").await?);
    assert_eq!(stage.requests("/teams/").len(), asked, "it is remembered for a while");
    let other = Stage::new(|_| {}).await?;
    other.github.grant("members", None);
    assert!(matches!(other.client.is_in_team(&other.repo, &teams, "maya").await, Err(GithubError::Forbidden { .. })));
    Ok(())
}
