//! The way out of local sandboxes: an HTTP proxy in the service that connects only where `SANDBOX_NETWORK` allows.
//!
//! It is built so that nothing that was checked can change afterwards: names are resolved here, once, and the address that was
//! checked is the one connected to; a plain request is taken apart and written anew, with the `Host` of the address it was checked
//! for and a body of the announced length, after which nothing more of that connection is passed on; behind `CONNECT` the name in
//! the TLS greeting must be the one that was asked for. Addresses of private networks, of this machine, and those where clouds
//! give out credentials are refused whatever a name says, unless a rule names that very address.
//!
//! What it cannot see: who is asked for *inside* TLS. A host behind a shared front (a content network) can be used to reach others
//! behind the same front, where the front allows that.

mod address;
mod head;
mod hello;
mod policy;
mod pump;
mod rules;
mod serve;

pub use self::policy::{Policy, Refused, Resolver};
pub use self::rules::{Egress, Rule};
pub use self::serve::{Proxy, Quota};
