//! Unified diffs: reading them, and applying them to text. Pure; `applyPatch` gives them files.

mod apply;
mod parse;
mod place;

pub(super) use apply::{Applied, apply, new_content};
pub(super) use parse::{FilePatch, parse};
