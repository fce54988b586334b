//! Threadbox: mention `@threadbox` where people already talk, and an agent with a memory and a sandbox answers there.
//!
//! This page is the map. Follow one message through the rooms:
//!
//! 1. From GitHub, [`http`] receives a signed webhook; nothing is parsed before the signature of the raw body was checked. From Discord,
//!    [`discord::gateway`] hears what people say, on one connection of all processes, and [`discord::interaction`] answers commands and
//!    buttons within a second.
//! 2. [`github`] and [`discord::event`] translate it into a surface-neutral [`intake::Inbound`]; foreign payloads go no further than this.
//! 3. [`intake`] commits delivery, thread, message and inbox row in one statement; only then is a webhook answered 2xx, and a worker woken.
//! 4. [`jobs`] carries the wake-up to a worker. The *gate* looks up who may, acknowledges (👀 and the live comment) or says
//!    why not, and turns the message into a run, a steering message or the effect of a command. What a surface tells is a hint: on GitHub a
//!    lookout (*reconcile*), on Discord every new session finds what never arrived and hands it to [`intake`] under the same keys.
//! 5. [`agent`] executes the run: model answer, tool calls, snapshot, and again, until it ends by name.
//!    It talks to a [`model`], acts in a [`sandbox`] (on this machine, or at Daytona), and remembers through [`memory`] and [`thread`].
//!    Each thread has one sandbox with the repository in it, recorded before it is made and rebuilt from a checkpoint when it is gone.
//!    What people want to keep becomes commits and a pull request: [`landing`] decides what, trusted code in [`jobs`] makes the calls.
//! 6. [`reply`] says what happened: run events become the live comment and then the answer, each a post with a key, so that
//!    it happens once in effect however often the code runs. What is said is a value ([`reply::Said`]); GitHub shows it as one comment,
//!    [`reply::discord`] as messages within Discord's limits. Files that belong to an answer are an [`attachment`] each.
//! 7. On a pull request the run may [`review`]: findings are anchored to the diff, suggestions proved, and one review is posted at the end.
//!
//! Memory: what was said enters [`memory`] after its run, as pieces with words and vectors ([`memory::index`], [`memory::vectors`]). A run is
//! shown what was said last whole ([`memory::history`]), what is older as dated lines ([`memory::observations`]), what
//! [`memory::recall`] finds for its request, and the lines of [`memory::working`]. What it takes from there carries a [`memory::receipt`], and
//! what people delete goes with everything that was made of it ([`memory::forget`]). A conversation may begin with what was said in another
//! one ([`memory::branch`]). What is done about it after a run is in [`jobs`].
//!
//! Between the surfaces: the *bridge* in [`jobs`] knows which repository a conversation on Discord is about, who somebody there is on GitHub
//! (proven, never claimed), who reads a channel, and makes a thread there and an issue here one conversation that shows on both.
//!
//! What needs a yes first (a plan, the words of somebody without permission, workflow files, money) is an [`approval`]: bound to a digest
//! of exactly what was shown, given by words, a reaction or a button, counted once.
//!
//! Around them: [`cli`] is what can be typed, [`settings`] what can be set, [`db`] the database, this machine's own where there is no other.
//! [`standin`] holds loopback servers that behave like GitHub, Discord, Daytona and the models, for `threadbox demo`, tests and benches.
//! [`markdown`], [`diffing`], [`clock`], [`id`], [`secret`], [`storable`] and [`telemetry`] are what every room uses.
//!
//! Imports point one way: surfaces → intake → jobs; jobs → agent → model, sandbox, memory, thread; reply → github, discord. Only [`app`]
//! sees everything. SQL stands in the `store.rs` beside the feature that owns the table.
//!
//! Rules that hold everywhere: what may run twice is written so that the second time finds the first; every write of a run
//! carries the lease epoch of its thread, so that a worker which lost the lease changes nothing; nothing is unbounded;
//! time comes from a [`clock::Clock`]; settings are read in [`settings`] and nowhere else.

pub mod agent;
pub mod app;
pub mod approval;
pub mod attachment;
pub mod cli;
pub mod clock;
pub mod db;
pub mod diffing;
pub mod discord;
pub mod github;
pub mod http;
pub mod id;
pub mod intake;
pub mod jobs;
pub mod landing;
pub mod markdown;
pub mod memory;
pub mod model;
pub mod reply;
pub mod review;
pub mod sandbox;
pub mod secret;
pub mod settings;
pub mod standin;
pub mod storable;
pub mod telemetry;
pub mod thread;
