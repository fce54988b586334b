//! Memory: what a thread knows beside the run at work. Recent history and the title so far.

pub mod history;
pub mod title;
