//! Who reads a channel on Discord: everybody in its guild, or fewer.

use chrono::TimeDelta;
use serenity::model::id::{GuildId, UserId};

use super::store;
use crate::discord::{self, Channel, ChannelKind, Discord, DiscordError, GuildMember};
use crate::intake::Place;
use crate::jobs::Services;

/// How long what was looked up holds.
const FRESH: TimeDelta = TimeDelta::minutes(5);

/// The channel (or private thread) whose readers alone read a conversation; none where everybody in the guild does, and in direct
/// messages. What cannot be looked up is as it was known last, or read by few: then nothing said there is told elsewhere.
pub(in crate::jobs) async fn apart(services: &Services, place: &Place) -> Result<Option<i64>, sqlx::Error> {
    let Place::Discord { guild: Some(guild), channel, parent, .. } = place else { return Ok(None) };
    let now = services.clock.now();
    let known = store::audience(&services.pool, *channel).await?;
    if let Some(known) = known.filter(|known| (now - known.looked_at).abs() < FRESH) {
        return Ok(known.apart);
    }
    let cautious = known.map_or(Some(parent.unwrap_or(*channel)), |known| known.apart);
    let Some(discord) = &services.discord else { return Ok(cautious) };
    match look_up(discord, *guild, *channel).await {
        Ok(apart) => {
            store::set_audience(&services.pool, *channel, apart, now).await?;
            Ok(apart)
        }
        Err(error) => {
            tracing::warn!(discord.channel = channel, %error, "who reads a channel is not known");
            Ok(cautious)
        }
    }
}

async fn look_up(discord: &Discord, guild: i64, channel: i64) -> Result<Option<i64>, DiscordError> {
    let seen = Seen::of(discord, guild, channel).await?;
    if seen.is_private_thread {
        return Ok(Some(channel));
    }
    // Somebody without any role.
    let nobody = GuildMember { roles: Vec::new(), nick: None };
    let may = seen.guild.permissions_in(&seen.channel, UserId::new(1), &nobody);
    let open = may.view_channel() && may.read_message_history();
    Ok((!open).then(|| discord::number(seen.channel.id)))
}

/// A channel with its guild, for asking who may what there.
struct Seen {
    guild: discord::Guild,
    /// Of a thread: the channel it is in.
    channel: Channel,
    is_private_thread: bool,
}

impl Seen {
    async fn of(discord: &Discord, guild: i64, channel: i64) -> Result<Self, DiscordError> {
        let guild: GuildId = discord::id(guild);
        let (guild, found) = tokio::try_join!(discord.guild(guild), discord.channel(discord::id(channel)))?;
        let is_private_thread = found.kind == ChannelKind::PrivateThread;
        let channel = match found.parent.filter(|_| found.kind.is_thread()) {
            Some(parent) => discord.channel(parent).await?,
            None => found,
        };
        // Direct messages have no guild, and whoever knows their numbers is not let in by that.
        if channel.guild != Some(guild.id) {
            return Err(DiscordError::NotFound { code: discord::code::UNKNOWN_CHANNEL });
        }
        Ok(Self { guild, channel, is_private_thread })
    }
}

/// Whether somebody may read what is said in a channel or thread of a guild. Who is in a private thread is not looked up: nobody is
/// taken for one of them.
///
/// # Errors
/// As the calls; what we cannot see is not found.
pub(in crate::jobs) async fn may_read(
    discord: &Discord,
    (guild, channel): (i64, i64),
    person: i64,
) -> Result<bool, DiscordError> {
    let person: UserId = discord::id(person);
    let seen = Seen::of(discord, guild, channel).await?;
    if seen.is_private_thread {
        return Ok(false);
    }
    let member = match discord.member(seen.guild.id, person).await {
        Ok(member) => member,
        Err(DiscordError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let may = seen.guild.permissions_in(&seen.channel, person, &member);
    Ok(may.view_channel() && may.read_message_history())
}

/// Whether somebody may take away what others said in a channel or thread of a guild: who manages its messages or its threads.
///
/// # Errors
/// As the calls.
pub(in crate::jobs) async fn may_manage(
    discord: &Discord,
    (guild, channel): (i64, i64),
    person: i64,
) -> Result<bool, DiscordError> {
    let person: UserId = discord::id(person);
    let seen = Seen::of(discord, guild, channel).await?;
    let member = match discord.member(seen.guild.id, person).await {
        Ok(member) => member,
        Err(DiscordError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let may = seen.guild.permissions_in(&seen.channel, person, &member);
    Ok(may.manage_messages() || may.manage_threads())
}
