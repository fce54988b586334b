//! Who may use commands and buttons here: guild, channel and roles came with the interaction, so nothing is looked up. Pure.
//!
//! The gate decides again, and about more; this is so that whoever may not is told at once, for their eyes alone.

use super::heard::Heard;
use crate::settings::DiscordSettings;

/// Which of the operator's lists keeps somebody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The guild is not on the list.
    Guild,
    /// The channel is not.
    Channel,
    /// None of the person's roles is.
    Role,
    /// Direct messages show neither channel nor roles, and those are listed.
    Direct,
}

/// Whether the lists let the person ask there. In direct messages the gate has to look up in which guilds they are.
pub(super) fn may(settings: &DiscordSettings, heard: &Heard) -> Result<(), Refused> {
    let Some(guild) = heard.spot.guild else {
        let shown = settings.allow_roles.is_none() && settings.allow_channels.is_none();
        return if shown { Ok(()) } else { Err(Refused::Direct) };
    };
    let lists = |list: &Option<Vec<i64>>, ids: &[i64]| list.as_ref().is_none_or(|list| ids.iter().any(|id| list.contains(id)));
    if !lists(&settings.allow_guilds, &[guild]) {
        return Err(Refused::Guild);
    }
    let channels: Vec<i64> = std::iter::once(heard.spot.channel).chain(heard.spot.parent).collect();
    if !lists(&settings.allow_channels, &channels) {
        return Err(Refused::Channel);
    }
    // The role of everybody has the number of its guild.
    let roles: Vec<i64> = heard.roles.iter().copied().chain([guild]).collect();
    if lists(&settings.allow_roles, &roles) { Ok(()) } else { Err(Refused::Role) }
}
