//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]

mod cli;
mod conversation;
mod crash;
mod embedded;
mod faults;
mod github;
mod hostile;
mod limits;
mod model;
mod providers;
mod replicas;
mod sandbox;
mod steering;
mod support;
mod tools;
mod webhook;
