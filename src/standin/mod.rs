//! Stand-ins: loopback servers that behave like the outside world, for `threadbox demo`, tests and benches. They hold state and
//! refuse what the real ones refuse.

pub mod daytona;
pub mod discord;
pub mod github;
pub mod model;
mod wire;
