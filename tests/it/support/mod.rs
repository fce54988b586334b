//! What tests share.

pub mod bot;
pub mod database;
pub mod service;
