//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]

mod cli;
mod embedded;
mod github;
mod model;
mod sandbox;
mod support;
mod tools;
