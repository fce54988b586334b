//! jobs

mod migrate;

pub use migrate::{SCHEMA, migrate};
