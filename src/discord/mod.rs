//! Discord: calls out, and what comes in.
//!
//! [`Discord`] makes the calls the service needs, each bounded in time, kept within Discord's limits and in order per channel.
//! serenity runs the gateway and lends its models and builders; its own HTTP client is not used, because its limiter and a base
//! address other than Discord's exclude each other.
//!
//! A call never pings anybody: [`Draft`] always says that nothing in its text is a mention. [`DiscordError`] says what the caller does
//! next; creating a message carries a nonce, so that asking again within minutes finds the first.

pub mod button;
mod channel;
mod client;
pub mod command;
mod component;
mod error;
pub mod event;
pub mod gateway;
mod guild;
mod identity;
pub mod interaction;
mod limits;
mod message;
mod reaction;
pub mod store;

use std::num::NonZeroU64;

use chrono::{DateTime, Utc};

pub use channel::{Channel, ChannelKind, ForumTag, NewThread, Opened, ThreadState, thread_name};
pub use client::{CALL_TIMEOUT, Discord};
pub use error::{DiscordError, code};
pub use guild::{Guild, GuildMember, GuildRole, OurGuild};
pub use identity::{Application, Bot, Gateway};
pub use limits::Pace;
pub use message::{Draft, MOST_CONTENT, MOST_FILES, NewFile, Page, nonce};

/// An id of Discord's from a number of ours. A number that cannot be one becomes an id that nothing has, so that the call answers
/// "not found".
pub fn id<T: From<NonZeroU64>>(number: i64) -> T {
    T::from(u64::try_from(number).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN))
}

/// The number of an id of Discord's. Snowflakes fit until the year 2084.
pub fn number(id: impl Into<u64>) -> i64 {
    i64::try_from(id.into()).unwrap_or(i64::MAX)
}

/// When the thing with this id came into being.
pub fn made_at(id: impl Into<u64>) -> DateTime<Utc> {
    /// The first second of 2015, from which ids count milliseconds.
    const EPOCH: i64 = 1_420_070_400_000;
    let milliseconds = i64::try_from(id.into() >> 22).unwrap_or(0);
    DateTime::from_timestamp_millis(EPOCH + milliseconds).unwrap_or_default()
}

/// The smallest id of what came into being at this time or later, for asking for what came after.
pub fn first_at<T: From<NonZeroU64>>(time: DateTime<Utc>) -> T {
    let milliseconds = u64::try_from((time - made_at(0_u64)).num_milliseconds()).unwrap_or(0);
    T::from(NonZeroU64::new(milliseconds << 22).unwrap_or(NonZeroU64::MIN))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serenity::model::id::MessageId;

    use super::*;

    #[test]
    fn an_id_tells_its_time_and_a_time_its_first_id() {
        let time: DateTime<Utc> = "2016-04-30T11:18:25.796Z".parse().unwrap();
        assert_eq!(made_at(175_928_847_299_117_063_u64), time);
        let first: MessageId = first_at(time);
        assert!(first.get() <= 175_928_847_299_117_063 && made_at(first) == time);
    }

    #[test]
    fn a_number_that_is_no_id_is_the_id_of_nothing() {
        assert_eq!((id::<MessageId>(-3), id::<MessageId>(0)), (MessageId::new(1), MessageId::new(1)));
        assert_eq!(number(id::<MessageId>(77)), 77);
    }
}
