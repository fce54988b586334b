//! The agent.

pub mod tools;
