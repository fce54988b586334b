//! Intake: what arrived, in the words of no particular surface, and the one transaction that makes it ours.

pub mod command;
mod event;

pub use event::*;
