//! Replies: what we say, as pure functions from values to text, and how it is posted so that it happens once.
//!
//! [`live()`], [`answer()`] and [`card()`] are everything people read. Their bodies stay under [`MAX_BODY`] by construction, end with the
//! marker of their key, and hold other people's text only after [`safe`] made it harmless. [`Redactor`] goes over values before they
//! are rendered and over every body before it leaves; [`clean`] over text from outside before a model reads it. [`Poster`] performs
//! posts, [`LiveComment`] keeps the one of a run up to date.

mod answer;
mod cards;
pub mod clean;
pub mod cut;
pub mod discord;
mod discord_post;
mod disguise;
pub mod fence;
mod house;
pub mod inline;
mod links;
mod live;
mod live_comment;
pub mod marker;
pub mod mention;
mod post;
mod redact;
pub mod safe;
mod said;
mod standing;
mod store;
mod view;

pub use answer::answer;
pub use cards::{
    Activity, ApprovalNote, BridgeCard, Card, Extent, Going, Listing, MemoryCard, Mirrored, Needed, Scope, Sharing, ShownLine,
    Step, Whole, account_code, approval_body, card, landing, outsider, plan,
};
pub use house::HouseCard;
pub use live::live;
pub use live_comment::{LiveComment, LiveOf, answer_key};
pub use post::{CommentPost, PostError, Poster, Spot, allowed_mentions};
pub use redact::Redactor;
pub use said::Said;
pub use standing::Standing;
pub use view::*;

/// Ceiling of a body in bytes. GitHub refuses more than 65,536 characters; bytes are never fewer, so this holds however it counts.
pub const MAX_BODY: usize = 65_000;
