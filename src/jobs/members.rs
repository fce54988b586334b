//! Who is in one of the listed guilds, for direct messages, which show none. Where somebody was found is asked first the next time, and
//! that they were found nowhere holds for a minute, so that what strangers write does not ask all of them again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use serenity::model::id::{GuildId, UserId};

use crate::discord::{self, Discord, DiscordError};

/// Guilds that are asked for one person; a list that is longer is cut, and that is logged.
const MOST_GUILDS: usize = 200;
/// How many are asked at once.
const AT_ONCE: usize = 8;
const NOWHERE_FOR: TimeDelta = TimeDelta::minutes(1);
const MOST_KNOWN: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    In(i64),
    Nowhere { since: DateTime<Utc> },
}

/// What is known of people's guilds. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Members {
    known: Arc<Mutex<HashMap<i64, Known>>>,
}

impl Members {
    /// Whether somebody is in one of the guilds, now.
    ///
    /// # Errors
    /// As the calls, when they were not found in those that could be asked.
    pub(super) async fn is_in_one(
        &self,
        discord: &Discord,
        guilds: &[i64],
        person: i64,
        now: DateTime<Utc>,
    ) -> Result<bool, DiscordError> {
        let known = self.lock().get(&person).copied();
        let first = match known {
            Some(Known::Nowhere { since }) if now - since < NOWHERE_FOR => return Ok(false),
            Some(Known::In(guild)) => Some(guild),
            Some(Known::Nowhere { .. }) | None => None,
        };
        if guilds.len() > MOST_GUILDS {
            tracing::warn!("DISCORD_ALLOW_GUILDS has more than {MOST_GUILDS} guilds; in direct messages the others do not count");
        }
        let found = search(guilds, first, |guild| is_in(discord, guild, person)).await?;
        self.note(person, found.map_or(Known::Nowhere { since: now }, Known::In));
        Ok(found.is_some())
    }

    fn note(&self, person: i64, known: Known) {
        let mut all = self.lock();
        if all.len() >= MOST_KNOWN {
            all.clear();
        }
        all.insert(person, known);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn is_in(discord: &Discord, guild: i64, person: i64) -> Result<bool, DiscordError> {
    match discord.member(discord::id::<GuildId>(guild), discord::id::<UserId>(person)).await {
        Ok(_) => Ok(true),
        Err(DiscordError::NotFound { .. } | DiscordError::Forbidden { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The guild that says yes, if one does: `first` is asked before the others. One that does not answer keeps nobody from being found.
async fn search<F>(guilds: &[i64], first: Option<i64>, ask: impl Fn(i64) -> F) -> Result<Option<i64>, DiscordError>
where
    F: Future<Output = Result<bool, DiscordError>>,
{
    let first = first.filter(|first| guilds.contains(first));
    if let Some(guild) = first
        && ask(guild).await?
    {
        return Ok(Some(guild));
    }
    let others = guilds.iter().copied().filter(|guild| Some(*guild) != first).take(MOST_GUILDS);
    let asked = futures::stream::iter(others).map(|guild| {
        let answer = ask(guild);
        async move { (guild, answer.await) }
    });
    let mut answers = std::pin::pin!(asked.buffer_unordered(AT_ONCE));
    let mut trouble = None;
    while let Some((guild, answer)) = answers.next().await {
        match answer {
            Ok(true) => return Ok(Some(guild)),
            Ok(false) => {}
            Err(error) => trouble = Some(error),
        }
    }
    trouble.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_of_many_guilds_counts_like_the_first() {
        let guilds: Vec<i64> = (1..=60).collect();
        for (home, known) in [(1, None), (60, None), (60, Some(60)), (60, Some(3)), (60, Some(99))] {
            let found = search(&guilds, known, |guild| async move { Ok(guild == home) }).await;
            assert_eq!(found, Ok(Some(home)), "{home} {known:?}");
        }
        assert_eq!(search(&guilds, Some(7), |_| async { Ok(false) }).await, Ok(None));
    }

    #[tokio::test]
    async fn where_somebody_was_found_is_asked_first_and_alone() {
        let asked = Mutex::new(Vec::new());
        let guilds: Vec<i64> = (1..=60).collect();
        let ask = |guild| {
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(guild);
            async move { Ok(guild == 42) }
        };
        assert_eq!(search(&guilds, Some(42), ask).await, Ok(Some(42)));
        assert_eq!(*asked.lock().unwrap_or_else(PoisonError::into_inner), [42]);
    }

    #[tokio::test]
    async fn a_guild_that_does_not_answer_keeps_nobody_from_being_found() {
        let ask = |guild| async move { if guild == 1 { Err(DiscordError::Unauthorized) } else { Ok(guild == 3) } };
        assert_eq!(search(&[1, 2, 3], None, ask).await, Ok(Some(3)));
        assert_eq!(search(&[1, 2], None, ask).await, Err(DiscordError::Unauthorized));
    }
}
