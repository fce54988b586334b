//! Installations and repositories as a whole.

use chrono::{DateTime, Utc};

use super::super::payload::Payload;
use super::{INCOMPLETE, performer};
use crate::intake::{Event, Installation, RepositoryChange};

/// A removed installation never comes back under its number, whatever arrives late (31 December 9999).
const FOR_EVER: Option<DateTime<Utc>> = DateTime::from_timestamp(253_402_214_400, 0);

pub(super) fn installation(action: &str, payload: Payload) -> Event {
    let gone = match action {
        "deleted" | "suspend" => true,
        "created" | "unsuspend" | "new_permissions_accepted" | "added" | "removed" => false,
        _ => return Event::Nothing("this action of an installation is not handled"),
    };
    let removed = payload.repositories_removed.unwrap_or_default().into_iter().filter_map(|repository| repository.id).collect();
    let Some((id, installation)) = payload.installation.and_then(|i| Some((i.id?, i))) else {
        return Event::Nothing(INCOMPLETE);
    };
    let at = if action == "deleted" { FOR_EVER } else { installation.updated_at };
    let account = installation.account.and_then(|a| a.login.or(a.slug)).unwrap_or_default();
    Event::Installation(Installation { id, account, gone, deleted: action == "deleted", removed, at })
}

pub(super) fn repository(action: &str, payload: Payload) -> Event {
    let by = performer(&payload);
    let installation = payload.installation.and_then(|installation| installation.id);
    let Some(repository) = payload.repository else { return Event::Nothing(INCOMPLETE) };
    let (Some(id), Some(mut full_name)) = (repository.id, repository.full_name) else { return Event::Nothing(INCOMPLETE) };
    match action {
        "renamed" | "transferred" => {
            crate::storable::text(&mut full_name);
            Event::Repository(RepositoryChange::Moved { id, full_name, installation })
        }
        "deleted" => Event::Repository(RepositoryChange::Deleted { id, by }),
        _ => Event::Nothing("this action of a repository is not handled"),
    }
}
