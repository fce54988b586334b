//! Long threads: what a run is shown of them, what becomes of their older part, and that neither a crash nor a model in trouble loses it.

mod cost;
mod crash;
mod rows;
mod saved;
mod titles;
pub(crate) mod town;
mod trouble;
