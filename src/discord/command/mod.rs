//! Slash commands: every word of the grammar, so that nobody has to know it by heart.
//!
//! A command becomes the very text a mention would have been ([`translate`]), so that there is one grammar, one gate and one set of
//! limits; the definitions are data ([`definition`]) and are told to Discord only when they are others than before ([`register`]).

pub mod complete;
pub mod definition;
mod register;
mod store;
pub mod translate;

pub use register::{Compared, RegisterError, Registered, compare, register};
pub(super) use store::repositories;
