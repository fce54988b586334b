//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test may look at its own environment, and wait for a process")]

mod attachments;
mod attacks;
mod cli;
mod contract;
mod conversation;
mod crash;
mod daytona_control;
mod daytona_faults;
mod daytona_machine;
mod daytona_standin;
mod egress;
mod embedded;
mod faults;
mod github;
mod hostile;
mod injection;
mod languages;
mod limits;
mod model;
mod pictures;
mod processes;
mod providers;
mod reading;
mod replicas;
mod sandbox;
mod standin_git;
mod steering;
mod support;
mod tools;
mod webhook;
mod workspace;
