//! Who reads on Discord what memory would tell. A channel that everybody in its guild read may be read by fewer today: what was said there
//! is then told nowhere else. That is looked up when it would be told; what cannot be looked up is not told.

mod store;

use std::collections::{HashMap, HashSet};

use crate::id::{MessageId, ThreadId};
use crate::intake::Place;
use crate::jobs::Services;
use crate::jobs::bridge::audience;
use crate::memory::working::{Line, WorkingMemory};

/// Those of `threads` whose words may not be told where `owner` owns the conversation.
pub(super) async fn hidden(
    services: &Services,
    owner: &str,
    threads: impl IntoIterator<Item = ThreadId>,
) -> Result<HashSet<ThreadId>, sqlx::Error> {
    let threads: HashSet<ThreadId> = threads.into_iter().collect();
    let mut hidden = HashSet::new();
    if threads.is_empty() || !is_guild(owner) {
        return Ok(hidden);
    }
    let threads: Vec<ThreadId> = threads.into_iter().collect();
    for (thread, mut place) in store::places(&services.pool, &threads).await? {
        let readers = audience::apart(services, &place).await?;
        let is_guilds = matches!(place, Place::Discord { guild: Some(_), .. });
        if let Place::Discord { apart, .. } = &mut place {
            *apart = readers;
        }
        if is_guilds && readers.is_some() && place.owner() != owner {
            hidden.insert(thread);
        }
    }
    Ok(hidden)
}

/// The messages whose lines of an owner's working memory may not be told in the owner's conversations.
pub(super) async fn hidden_sources(
    services: &Services,
    owner: &str,
    memory: &WorkingMemory,
) -> Result<HashSet<MessageId>, sqlx::Error> {
    if memory.is_empty() || !is_guild(owner) {
        return Ok(HashSet::new());
    }
    let messages: Vec<MessageId> = memory.lines.iter().map(|line| line.source.message).collect();
    let threads: HashMap<MessageId, ThreadId> = store::threads(&services.pool, &messages).await?.into_iter().collect();
    let hidden = hidden(services, owner, threads.values().copied()).await?;
    Ok(threads.into_iter().filter(|(_, thread)| hidden.contains(thread)).map(|(message, _)| message).collect())
}

/// A memory without lines from hidden messages, and those.
pub(super) fn part(memory: &WorkingMemory, hidden: &HashSet<MessageId>) -> (WorkingMemory, Vec<Line>) {
    let (aside, lines) = memory.lines.iter().cloned().partition(|line| hidden.contains(&line.source.message));
    (WorkingMemory { lines, numbered: memory.numbered }, aside)
}

/// Whether a guild, or a channel of one, is the owner.
pub(super) fn is_guild(owner: &str) -> bool {
    owner.strip_prefix("discord:").is_some_and(|rest| !rest.starts_with("person:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_guilds_have_channels() {
        for (owner, guild) in [("discord:5", true), ("discord:5:6", true), ("discord:person:5", false), ("github:5", false)] {
            assert_eq!(is_guild(owner), guild, "{owner}");
        }
    }
}
