//! http

pub mod signature;
