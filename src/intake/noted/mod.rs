//! What arrives and asks for nothing: edits, endings, installations, repositories. It takes effect at once and needs no worker, but for
//! what is to be forgotten: that is written down, hidden, and done in the background.

pub(super) mod store;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{Accepted, Change, Closed, Closing, Delivery, Event, Left, Place, Renamed, RepositoryChange};
use crate::memory::forget::{self, Target, Why};
use crate::memory::title;
use crate::{approval, thread};

/// Who asks for a run to stop, and for everything to be forgotten, when the App is taken away.
const REMOVAL: &str = "the removal of the App";

/// The same when we leave a guild.
const LEAVING: &str = "the bot's leaving of the server";

/// Carries it out and remembers the delivery. Every effect may happen twice, so it comes first.
pub(super) async fn note(pool: &PgPool, delivery: &Delivery, event: Event, now: DateTime<Utc>) -> Result<Accepted, sqlx::Error> {
    let what = match &event {
        Event::Nothing(reason) => return Ok(Accepted::Nothing(reason)),
        Event::Request(_) => return Ok(Accepted::Nothing("a request is no note")),
        Event::Changed(_) => "the change is recorded",
        Event::Closed(_) => "the conversation is closed",
        Event::Renamed(_) => "the conversation is renamed",
        Event::Installation(_) => "the installation is recorded",
        Event::Repository(_) => "the repository is recorded",
        Event::Left(_) => "the guild is forgotten",
    };
    if store::is_known(pool, delivery).await? {
        return Ok(Accepted::Duplicate);
    }
    match event {
        Event::Nothing(_) | Event::Request(_) => {}
        Event::Changed(changed) => {
            store::change(pool, &changed, now).await?;
            let target = match changed.change {
                Change::Edited => Target::Edited(changed.object.clone()),
                Change::Deleted => Target::Message(changed.object.clone()),
            };
            forget::ask(pool, &target, Why::Wanted, &changed.by, now).await?;
            approval::store::suspect(pool, changed.place.surface().as_str(), &changed.place.key(), now).await?;
        }
        Event::Closed(closed) => close(pool, &closed, now).await?,
        Event::Renamed(Renamed { place, title, by, at }) => {
            let title = title::tidy(&title);
            if title.is_empty() || !thread::rename(pool, &place, &title, &by, at).await? {
                return Ok(Accepted::Nothing("no conversation of ours has another title now"));
            }
        }
        Event::Installation(installation) => {
            store::installation(pool, &installation, now).await?;
            if installation.deleted {
                forget::installation_gone(pool, installation.id, REMOVAL, now).await?;
            }
            // A repository may be given back, and words said in it, before this arrives.
            let at = installation.at.unwrap_or(now).min(now);
            for repository in installation.removed {
                forget::ask(pool, &Target::Owner(Place::owner_of(repository)), Why::Gone, REMOVAL, at).await?;
            }
        }
        Event::Repository(RepositoryChange::Moved { id, full_name, installation }) => {
            store::repository_moved(pool, id, &full_name, installation).await?;
        }
        Event::Repository(RepositoryChange::Deleted { id, by }) => {
            store::repository_deleted(pool, id, &by, now).await?;
            forget::ask(pool, &Target::Owner(Place::owner_of(id)), Why::Gone, &by, now).await?;
        }
        Event::Left(Left { guild, at }) => {
            let at = at.min(now);
            store::guild_left(pool, guild, at).await?;
            forget::guild_gone(pool, guild, LEAVING, at).await?;
        }
    }
    let known = if store::record(pool, delivery, now).await? { Accepted::Noted(what) } else { Accepted::Duplicate };
    Ok(known)
}

/// Closed, work that nobody asked for ends. Where nothing can be said any more, all of it does.
async fn close(pool: &PgPool, closed: &Closed, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    match &closed.closing {
        Closing::Closed => store::close(pool, &closed.place, store::Ends::Automatic { at: closed.at }, &closed.by, now).await,
        Closing::Deleted => {
            store::close(pool, &closed.place, store::Ends::Everything, &closed.by, now).await?;
            forget::place_gone(pool, &closed.place, &closed.by, now).await
        }
        Closing::Transferred { to } => {
            let to = to.as_deref().unwrap_or("another repository");
            let by = format!("{}, who moved this to {to}; mention me there to go on", closed.by);
            store::close(pool, &closed.place, store::Ends::Begun, &by, now).await
        }
    }
}
