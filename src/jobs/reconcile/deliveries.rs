//! The App's delivery list: what GitHub could not deliver, and what we said we have and do not.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::store::{self, State};
use super::{HISTORY, Looked, Lookout, Skipped, Trouble};
use crate::github::{self, GithubError, ListedDelivery};
use crate::intake::{Accepted, Delivery, Surface};

/// Deliveries are listed a little late, and clocks differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Pages of a hundred in one look. With the payloads these are less than what GitHub lets an App ask in an hour, and leave room for the
/// tokens that everything else needs.
const MOST_PAGES: usize = 20;
/// Payloads fetched in one look.
const MOST_FETCHED: usize = 50;
/// A webhook whose payload GitHub does not show is sent again; not more often than this.
const MOST_ATTEMPTS: usize = 5;
/// What we answer when a delivery is on disk.
const STORED: u16 = 202;

impl Lookout {
    /// One look through the list, newest first, back to what is accounted for.
    pub(super) async fn deliveries(&self, state: &State) -> Result<Looked, Trouble> {
        let now = self.services.clock.now();
        let (mut cursor, began) = match &state.goes_on {
            Some((cursor, began)) => (Some(cursor.clone()), *began),
            None => (None, now),
        };
        let floor = state.seen_until.map_or(now - HISTORY, |seen| (seen - OVERLAP).max(now - HISTORY));
        let mut listed = Listed::new(floor, state.seen_until.is_some());
        let mut reached = false;
        for _ in 0..MOST_PAGES {
            let page = match self.github.deliveries(cursor.as_deref()).await {
                Err(GithubError::NotFound) => return Err(Trouble::NoList),
                page => page?,
            };
            reached = page.older.is_none() || page.deliveries.last().is_none_or(|oldest| oldest.delivered_at < floor);
            listed.add(page.deliveries);
            cursor = page.older;
            if reached {
                break;
            }
        }
        let (missing, attempts) = listed.missing();
        let guids: Vec<String> = missing.iter().map(|delivery| delivery.guid.clone()).collect();
        let unknown: HashSet<String> = store::unknown(&self.services.pool, &guids).await?.into_iter().collect();
        let missing: Vec<_> = missing.into_iter().filter(|delivery| unknown.contains(&delivery.guid)).collect();
        let (mut fetched, mut trouble) = (Vec::new(), Skipped::default());
        for delivery in &missing {
            let attempts = attempts.get(&delivery.guid).copied().unwrap_or_default();
            fetched.extend(trouble.pass(self.recover(delivery, attempts).await)?);
            if fetched.len() == MOST_FETCHED || trouble.is_too_much() {
                break;
            }
        }
        trouble.into_result()?;
        if missing.len() > fetched.len() {
            // What was fetched is known by the next look, which goes on with the rest: at once, unless some of it is on its way here.
            let is_more = !fetched.contains(&Recovered::SentAgain);
            return Ok(Looked { seen_until: None, goes_on: state.goes_on.clone(), is_more });
        }
        let goes_on = cursor.filter(|_| !reached).map(|cursor| (cursor, began));
        Ok(Looked { seen_until: reached.then_some(began), goes_on, is_more: false })
    }

    /// Takes a delivery in as if it had arrived. Whatever it means, it is not looked at again.
    async fn recover(&self, listed: &ListedDelivery, attempts: usize) -> Result<Recovered, Trouble> {
        let payload = match self.github.delivery_payload(listed.id).await {
            Ok(Some(payload)) => payload,
            Ok(None) if attempts < MOST_ATTEMPTS => match self.github.redeliver(listed.id).await {
                Err(GithubError::NotFound | GithubError::Invalid(_)) => {
                    return self.looked_at(listed, "it cannot be sent again").await;
                }
                sent => return Ok(sent.map(|()| Recovered::SentAgain)?),
            },
            Ok(None) | Err(GithubError::NotFound) => return self.looked_at(listed, "its payload is gone").await,
            Err(error) => return Err(error.into()),
        };
        let handle = &self.services.settings.name;
        let inbound = match github::parse(&listed.event, &listed.guid, payload.to_string().as_bytes(), handle) {
            Ok(inbound) => inbound,
            Err(error) => return self.looked_at(listed, &error.to_string()).await,
        };
        match self.intake.accept(inbound).await? {
            Accepted::Stored { thread, sequence } => {
                tracing::info!(delivery.id = listed.guid, thread.id = %thread, inbox.sequence = sequence, "found what was missed");
                Ok(Recovered::Known)
            }
            Accepted::Noted(what) => {
                tracing::info!(delivery.id = listed.guid, what, "found what was missed");
                Ok(Recovered::Known)
            }
            Accepted::Duplicate => self.looked_at(listed, "it is there under another id").await,
            Accepted::Nothing(why) => self.looked_at(listed, why).await,
        }
    }

    async fn looked_at(&self, listed: &ListedDelivery, why: &str) -> Result<Recovered, Trouble> {
        tracing::debug!(delivery.id = listed.guid, why, "a missed delivery asks for nothing");
        let kind = match &listed.action {
            Some(action) => format!("{}.{action}", listed.event),
            None => listed.event.clone(),
        };
        let delivery =
            Delivery { surface: Surface::Github, external_id: listed.guid.clone(), kind, object: None, was_also: None };
        self.intake.looked_at(&delivery).await?;
        Ok(Recovered::Known)
    }
}

/// What became of a delivery that was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovered {
    /// We have it, or know that there is nothing to have.
    Known,
    /// GitHub sends it again.
    SentAgain,
}

/// What the list says, one entry for a webhook, however often it was attempted.
struct Listed {
    floor: DateTime<Utc>,
    /// False at the first look ever: then it is not known what an earlier database held.
    doubts_stored: bool,
    taken: HashSet<String>,
    attempts: HashMap<String, usize>,
    /// Not taken, or taken into a database that may have been replaced since; the latest first.
    doubtful: Vec<ListedDelivery>,
}

impl Listed {
    fn new(floor: DateTime<Utc>, doubts_stored: bool) -> Self {
        Self { floor, doubts_stored, taken: HashSet::new(), attempts: HashMap::new(), doubtful: Vec::new() }
    }

    fn add(&mut self, page: Vec<ListedDelivery>) {
        for delivery in page.into_iter().filter(|delivery| delivery.delivered_at >= self.floor) {
            *self.attempts.entry(delivery.guid.clone()).or_default() += 1;
            let stored = delivery.status_code == STORED;
            if delivery.was_taken() && !(stored && self.doubts_stored) {
                self.taken.insert(delivery.guid);
            } else if github::handles(&delivery.event, delivery.action.as_deref()) {
                self.doubtful.push(delivery);
            }
        }
    }

    /// Those to be looked for here, the oldest first, and how often each webhook was attempted.
    fn missing(self) -> (Vec<ListedDelivery>, HashMap<String, usize>) {
        let mut seen = self.taken;
        // Of several attempts the latest is kept, in the place of the first.
        let mut missing: Vec<_> = self.doubtful.into_iter().filter(|delivery| seen.insert(delivery.guid.clone())).collect();
        missing.reverse();
        (missing, self.attempts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn listed(id: i64, guid: &str, status_code: u16, event: &str) -> ListedDelivery {
        let delivered_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(id);
        ListedDelivery { id, guid: guid.into(), delivered_at, status_code, event: event.into(), action: None }
    }

    fn missing(doubts_stored: bool, page: Vec<ListedDelivery>) -> Vec<i64> {
        let mut all = Listed::new(DateTime::UNIX_EPOCH + TimeDelta::minutes(1), doubts_stored);
        all.add(page);
        all.missing().0.into_iter().map(|delivery| delivery.id).collect()
    }

    #[test]
    fn what_failed_is_missing_and_the_oldest_comes_first() {
        let page = vec![
            listed(9, "e", 200, "issues"),
            listed(8, "d", 503, "issue_comment"),
            listed(7, "a", 202, "issue_comment"),
            listed(6, "c", 0, "issue_comment"),
            listed(5, "b", 503, "star"),
            listed(4, "a", 500, "issue_comment"),
            listed(0, "z", 500, "issue_comment"),
        ];
        assert_eq!(missing(false, page.clone()), [6, 8], "redelivered, unhandled and older ones are not");
        assert_eq!(missing(true, page), [6, 7, 8], "what was stored is looked for once there is a memory to look in");
    }
}
