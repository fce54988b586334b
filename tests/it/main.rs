//! Tests of behaviour, through the real binary and loopback only.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test may look at its own environment, and wait for a process")]

mod attachments;
mod attacks;
mod auth;
mod budgets;
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
mod hunks;
mod landing;
mod languages;
mod limits;
mod model;
mod outsiders;
mod plans;
mod processes;
mod providers;
mod reactions;
mod reconcile;
mod replicas;
mod repository_file;
mod review;
mod sandbox;
mod standin_git;
mod standin_reviews;
mod steering;
mod storm;
mod support;
mod tools;
mod triggers;
mod webhook;
mod words;
mod workspace;
