//! Landing: how the work in a thread's sandbox becomes commits and a pull request.
//!
//! Here is what can be decided without GitHub: what differs from the checkout ([`survey`]), what of it may land ([`path`]), how it goes
//! together with a branch that moved ([`merge`]), which commits it makes ([`plan`]), and what is said about it ([`words`]). The table of
//! landings is written before a branch is, so that whoever comes after a crash finds what was meant. The calls are made in
//! [`crate::jobs`].

pub mod manifest;
pub mod merge;
pub mod object;
pub mod patch;
pub mod path;
pub mod plan;
pub(crate) mod store;
pub mod survey;
pub mod words;

pub use store::{CommitMade, Landing, LandingState, Pending};
