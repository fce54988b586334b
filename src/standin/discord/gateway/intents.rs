//! Which events somebody gets who asked for which intents.

/// Guilds, channels, threads, roles.
pub const GUILDS: u64 = 1;
/// Privileged: members coming, changing and going.
pub const GUILD_MEMBERS: u64 = 1 << 1;
/// Privileged: who is online.
pub const GUILD_PRESENCES: u64 = 1 << 8;
/// Messages in guilds.
pub const GUILD_MESSAGES: u64 = 1 << 9;
/// Reactions in guilds.
pub const GUILD_MESSAGE_REACTIONS: u64 = 1 << 10;
/// Typing in guilds.
pub const GUILD_MESSAGE_TYPING: u64 = 1 << 11;
/// Messages to us alone.
pub const DIRECT_MESSAGES: u64 = 1 << 12;
/// Reactions to what is said to us alone.
pub const DIRECT_MESSAGE_REACTIONS: u64 = 1 << 13;
/// Typing to us alone.
pub const DIRECT_MESSAGE_TYPING: u64 = 1 << 14;
/// Privileged: what messages say that neither name us nor are for us alone.
pub const MESSAGE_CONTENT: u64 = 1 << 15;

/// Those that must be switched on in the application's settings first.
pub const PRIVILEGED: u64 = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT;
/// Every intent there is: 0 to 16, auto moderation, polls.
const KNOWN: u64 = ((1 << 17) - 1) | (1 << 20) | (1 << 21) | (1 << 24) | (1 << 25);

pub(in super::super) fn valid(intents: u64) -> bool {
    intents & !KNOWN == 0
}

/// The intent an event needs; none for those that come to everybody.
pub(super) fn needed(event: &str, in_guild: bool) -> Option<u64> {
    let either = |guild: u64, direct: u64| Some(if in_guild { guild } else { direct });
    match event {
        "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => either(GUILD_MESSAGES, DIRECT_MESSAGES),
        "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE" => either(GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS),
        "TYPING_START" => either(GUILD_MESSAGE_TYPING, DIRECT_MESSAGE_TYPING),
        "GUILD_MEMBER_ADD" | "GUILD_MEMBER_REMOVE" | "GUILD_MEMBER_UPDATE" => Some(GUILD_MEMBERS),
        name if name.starts_with("GUILD_") || name.starts_with("CHANNEL_") || name.starts_with("THREAD_") => Some(GUILDS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_intents_are_valid() {
        assert!(valid(GUILDS | MESSAGE_CONTENT | (1 << 25)));
        assert!(!valid(1 << 18) && !valid(1 << 40));
    }

    #[test]
    fn an_event_needs_the_intent_of_where_it_happens() {
        assert_eq!(needed("MESSAGE_CREATE", true), Some(GUILD_MESSAGES));
        assert_eq!(needed("MESSAGE_CREATE", false), Some(DIRECT_MESSAGES));
        assert_eq!(needed("THREAD_LIST_SYNC", true), Some(GUILDS));
        assert_eq!(needed("INTERACTION_CREATE", true), None);
    }
}
