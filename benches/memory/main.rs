//! The figures of memory. `cargo bench --bench memory` prints them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

#[allow(dead_code, reason = "the tests use the rest")]
mod set;

use set::world::{Category, Size, World};

fn main() {
    let world = World::generate(Size::FULL);
    println!("{} messages in {} threads over {} days", world.messages.len(), world.threads.len(), world.span().num_days());
    for category in Category::ALL {
        let questions = world.questions.iter().filter(|question| question.category == category).count();
        println!("  {:<20}{questions:>4} questions", category.name());
    }
}
