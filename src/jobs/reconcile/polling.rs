//! Comments of the repositories we know, for where no list of deliveries is kept.

use chrono::{DateTime, TimeDelta, Utc};

use super::store::State;
use super::{HISTORY, Looked, Lookout, Skipped, Trouble};
use crate::github::{self, GithubError, Recent, RecentKind, RepoRef};
use crate::intake::command::mentions;

/// Repositories where nothing was said for this long are not looked at.
pub(super) const ASLEEP: TimeDelta = TimeDelta::days(30);
/// The ones looked at, those with the latest conversations first.
pub(super) const MOST_REPOSITORIES: i64 = 50;
/// The webhook of a younger comment is under way.
const SETTLED: TimeDelta = TimeDelta::seconds(30);
/// Lists lag behind a little.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);
/// Pages of a hundred in one look, of each kind.
const MOST_PAGES: usize = 10;
/// An older comment was seen when it was written; what became of it since is not what asks.
const OLD: TimeDelta = TimeDelta::days(9);

impl Lookout {
    /// One look through what was written since the last.
    pub(super) async fn comments(&self, repo: &RepoRef, state: &State) -> Result<Looked, Trouble> {
        let until = self.services.clock.now() - SETTLED;
        let since = state.seen_until.map_or(until - OVERLAP, |seen| (seen - OVERLAP).max(until - HISTORY));
        let (mut reached, mut trouble) = (until, Skipped::default());
        for kind in [RecentKind::Comment, RecentKind::ReviewComment] {
            reached = reached.min(self.comments_of(repo, kind, since, until, &mut trouble).await?);
        }
        trouble.into_result()?;
        Ok(Looked { seen_until: Some(reached), goes_on: None, is_more: false })
    }

    /// Returns until when everything is accounted for.
    async fn comments_of(
        &self,
        repo: &RepoRef,
        kind: RecentKind,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        trouble: &mut Skipped,
    ) -> Result<DateTime<Utc>, Trouble> {
        let mut since = since;
        for _ in 0..MOST_PAGES {
            let (page, more) = match self.github.recent(repo, kind, since).await {
                // Renamed away, made private, or without pull requests for us: there is nothing to be seen.
                Err(GithubError::NotFound | GithubError::Forbidden { .. } | GithubError::Gone(_)) => return Ok(until),
                page => page?,
            };
            for recent in page.iter().filter(|recent| recent.updated_at <= until) {
                trouble.pass(self.take(repo, kind, recent).await)?;
                if trouble.is_too_much() {
                    return Ok(since);
                }
            }
            let last = page.last().map(|last| last.updated_at);
            match last {
                Some(last) if more && last <= until && last > since => since = last,
                // More than a page within one second: the next second is looked at.
                Some(last) if more && last <= until => since = last + TimeDelta::seconds(1),
                Some(_) | None => return Ok(until),
            }
        }
        Ok(since)
    }

    /// Takes a comment in under the keys its webhook has, so that this one is a duplicate when it comes late.
    async fn take(&self, repo: &RepoRef, kind: RecentKind, recent: &Recent) -> Result<(), Trouble> {
        let handle = &self.services.settings.name;
        let old = self.services.clock.now() - recent.created_at > OLD;
        if old || recent.body.contains(github::MARKER) || !mentions(&recent.body, handle) {
            return Ok(());
        }
        let payload = match self.github.payload_of(repo, kind, recent).await {
            Ok(payload) => payload,
            Err(GithubError::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let id = format!("poll:{}:{}", kind.event(), recent.id);
        let Ok(mut inbound) = github::parse(kind.event(), &id, payload.to_string().as_bytes(), handle) else { return Ok(()) };
        inbound.delivery.was_also = Some(recent.created_at);
        let accepted = self.intake.accept(inbound).await?;
        tracing::debug!(comment.id = recent.id, ?accepted, "looked at a comment");
        Ok(())
    }
}
