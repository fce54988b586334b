//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test may look at its own environment, and wait for a process")]

mod cli;
mod conversation;
mod crash;
mod embedded;
mod github;
mod limits;
mod model;
mod sandbox;
mod support;
mod tools;
mod webhook;
