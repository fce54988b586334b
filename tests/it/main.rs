//! it
#![allow(clippy::unwrap_used)]

mod embedded;
mod support;
