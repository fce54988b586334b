//! The service on Discord.

mod posts;
