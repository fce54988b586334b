//! The retrieval set: a world of conversations made from a seed, questions about it, and the judge of what was found.
//!
//! The benchmark asks all of it, the tests a small one.

pub mod ask;
pub mod chance;
pub mod embedder;
pub mod facts;
pub mod filler;
pub mod judge;
pub mod longmemeval;
pub mod place;
pub mod vocabulary;
pub mod words;
pub mod world;
