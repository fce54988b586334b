//! The agent.

pub mod prompt;
pub mod tools;
