//! The pull request of what was pushed: found or opened, and known to belong to the conversation. Also for landings that a worker left in
//! between, which nobody may ever ask about again.

use std::time::Duration;

use chrono::TimeDelta;

use super::trouble::Trouble;
use crate::clock::Clock;
use crate::github::{Github, GithubError, NewPull, Pull, RepoRef};
use crate::intake::Place;
use crate::jobs::Services;
use crate::jobs::bridge::join;
use crate::landing::store::{self, Unsettled, Writer};
use crate::landing::{Landing, LandingState};
use crate::reply::marker;

/// How often a call is made whose answer is lost.
const TRIES: u32 = 3;
/// How often the turn of a call is waited for.
pub(super) const TURNS: usize = 30;
const BETWEEN: Duration = Duration::from_secs(5);

/// Makes a call, and waits for its turn where that comes soon: what is half done is worth some patience, and many contents take longer
/// than one call is let wait.
pub(super) async fn in_turn<T, F>(clock: &dyn Clock, turns: usize, call: impl Fn() -> F) -> Result<T, GithubError>
where
    F: Future<Output = Result<T, GithubError>>,
{
    // GitHub asks for a minute where it says nothing else.
    const LONGEST: TimeDelta = TimeDelta::seconds(65);
    for _ in 0..turns {
        match call().await {
            Err(GithubError::RateLimited { until }) if until - clock.now() <= LONGEST => {
                tokio::time::sleep((until - clock.now()).to_std().unwrap_or_default()).await;
            }
            made => return made,
        }
    }
    call().await
}

/// Opens pull requests of a conversation.
pub(super) struct Announcer<'a> {
    pub services: &'a Services,
    pub github: &'a Github,
    pub writer: &'a Writer,
    pub repo: &'a RepoRef,
    /// Where it was asked for.
    pub from: &'a Place,
    /// How often the turn of a call is waited for.
    pub turns: usize,
}

impl Announcer<'_> {
    /// The pull request, and that it belongs to this conversation. May be repeated.
    pub async fn announce(&self, mut landing: Landing) -> Result<Landing, Trouble> {
        if landing.pull_request.is_none() {
            let pull = self.pull_for(&landing).await?;
            landing.draft = pull.is_draft;
            landing.pull_url = Some(pull.url);
            landing.pull_request = Some(pull.number);
        }
        let number = landing.pull_request.unwrap_or_default();
        let place = Place::Github {
            repository: self.repo.full_name.clone(),
            repository_id: self.repo.id,
            number,
            installation: self.repo.installation,
            is_pull_request: true,
        };
        let url = landing.pull_url.clone().unwrap_or_default();
        let joins = self.joins().await?.then_some(&place);
        if !self.writer.set_pull(&landing, number, &url, joins, self.services.clock.now()).await? {
            return Err(Trouble::Overtaken);
        }
        Ok(landing)
    }

    /// Whether the pull request is part of the conversation: not where it would let others read what was said there.
    async fn joins(&self) -> Result<bool, Trouble> {
        match self.from {
            Place::Github { .. } => Ok(true),
            Place::Discord { .. } => Ok(join::uneven(self.from, self.github.is_private(self.repo).await?).is_none()),
        }
    }

    /// Finds the pull request of a landing by its branch and marker, or opens it.
    async fn pull_for(&self, landing: &Landing) -> Result<Pull, Trouble> {
        let marker = marker::marker(&store::pull_key(landing.id));
        let clock = self.services.clock.as_ref();
        let mut draft = landing.draft;
        let mut last = None;
        for _ in 0..TRIES {
            let find = || self.github.pull_of_branch(self.repo, &landing.branch, &marker);
            if let Some(pull) = in_turn(clock, self.turns, find).await? {
                return Ok(pull);
            }
            let new =
                NewPull { title: &landing.title, body: &landing.body, head: &landing.branch, base: &landing.base_branch, draft };
            match in_turn(clock, self.turns, || self.github.open_pull(self.repo, &new)).await {
                Ok(pull) => return Ok(pull),
                // Private repositories of free plans have none.
                Err(GithubError::Invalid(why)) if draft && why.to_lowercase().contains("draft") => draft = false,
                Err(error @ (GithubError::Invalid(_) | GithubError::Unavailable { .. })) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or(Trouble::Moved, Trouble::Github))
    }
}

/// Opens what is pushed and in nobody's hands, until shutdown. The workspace follows when somebody lands next.
pub(in crate::jobs) async fn keep_settling(services: Services) {
    loop {
        if let Err(error) = settle_some(&services).await {
            tracing::warn!(%error, "cannot look for pull requests that are not open yet");
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN) => {}
            () = services.shutdown.cancelled() => return,
        }
    }
}

async fn settle_some(services: &Services) -> Result<(), sqlx::Error> {
    let Some(github) = services.github.as_deref() else { return Ok(()) };
    for unsettled in store::unsettled(&services.pool, services.clock.now()).await? {
        let id = unsettled.landing.id;
        match settle(services, github, unsettled).await {
            Ok(()) => {}
            Err(Trouble::Database(error)) => return Err(error),
            Err(trouble) => tracing::info!(landing.id = %id, %trouble, "a pull request is not open yet"),
        }
    }
    Ok(())
}

async fn settle(services: &Services, github: &Github, unsettled: Unsettled) -> Result<(), Trouble> {
    let Unsettled { landing, place, thread, epoch } = unsettled;
    let Some(repo) = RepoRef::about(&place).filter(|repo| repo.id == landing.repository_id) else { return Ok(()) };
    let writer = Writer { pool: services.pool.clone(), thread, epoch };
    let there = match github.branch_head(&repo, &landing.branch).await? {
        Some(head) => github.holds(&repo, &head, &landing.head).await?,
        None => false,
    };
    if !there {
        // What it meant still stands in the workspace.
        writer.set_state(landing.id, LandingState::Void, None).await?;
        return Ok(());
    }
    let announcer = Announcer { services, github, writer: &writer, repo: &repo, from: &place, turns: 0 };
    announcer.announce(landing).await.map(drop)
}
