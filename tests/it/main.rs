//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]

mod embedded;
mod sandbox;
mod support;
mod tools;
