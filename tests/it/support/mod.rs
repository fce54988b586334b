//! What tests share.

pub mod bot;
pub mod database;
pub mod plane;
pub mod service;
