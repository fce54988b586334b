//! What tests share.

pub mod bot;
pub mod database;
pub mod discord_bot;
pub mod operator;
pub mod plane;
pub mod service;
