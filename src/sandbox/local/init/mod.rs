//! The helper that builds the walls: `threadbox sandbox-init`, started by the service for each command.
//!
//! Three processes, each single-threaded. The *outer* one leaves root behind, makes the namespaces and waits. The *first* one
//! (pid 1 inside) finishes the new root and watches memory and disk; when it ends, the kernel ends everything inside. The
//! *program* drops its last rights and executes the code. All of them end when the service's end of the socket closes.

mod egress;
mod outer;
mod program;
mod root;
mod seccomp;
mod shared;
mod sys;
#[rustfmt::skip] // one line for each call would be long
mod syscalls;
mod watch;

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::plan::{Event, Order};
use shared::Namespaces;

/// A plan is a few kilobytes; one that claims more is not ours.
const MAX_PLAN: usize = 16 << 20;

/// Runs the helper. Must be called before any thread or runtime exists, with a socket as standard input. Never returns.
#[expect(clippy::disallowed_methods, reason = "this is a process of its own; nothing in it is left to be dropped")]
pub fn main() -> ! {
    sys::close_inherited();
    let code = match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("sandbox-init: {error}. This command is started by threadbox itself, not by people.");
            2
        }
    };
    std::process::exit(code)
}

fn run() -> std::io::Result<()> {
    // Standard input is the socket; the copy is closed on exec, and the program gets another standard input.
    let mut line = Line(UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?));
    let (order, namespaces) = line.order()?;
    let done = match order {
        Order::Run(plan) => outer::run(&plan, namespaces, &mut line),
        Order::Hold { become_outside, egress } => shared::hold(become_outside, egress, &mut line),
    };
    if let Err(refused) = done {
        line.say(&refused.event());
    }
    Ok(())
}

/// The socket to the service.
struct Line(UnixStream);

impl Line {
    fn order(&mut self) -> std::io::Result<(Order, Option<Namespaces>)> {
        let mut length = [0; 4];
        let namespaces = self.first_bytes(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_PLAN {
            return Err(std::io::Error::other("the plan is too long"));
        }
        let mut json = vec![0; length];
        self.0.read_exact(&mut json)?;
        Ok((serde_json::from_slice(&json).map_err(std::io::Error::other)?, namespaces))
    }

    /// Reads the bytes with which descriptors may come.
    fn first_bytes(&mut self, bytes: &mut [u8; 4]) -> std::io::Result<Option<Namespaces>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            retry_on_intr(|| recvmsg(&self.0, &mut [IoSliceMut::new(bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?.bytes;
        let rights = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        });
        let mut descriptors: Vec<OwnedFd> = rights.flatten().collect();
        self.0.read_exact(&mut bytes[received..])?;
        match (descriptors.pop(), descriptors.pop()) {
            (Some(network), Some(user)) => Ok(Some(Namespaces { user, network })),
            (None, _) => Ok(None),
            (Some(_), None) => Err(std::io::Error::other("a descriptor is missing")),
        }
    }

    /// One byte of what the service says later on; none when it hung up.
    fn hear(&mut self) -> Option<u8> {
        let mut byte = [0];
        matches!(self.0.read(&mut byte), Ok(1)).then_some(byte[0])
    }

    /// Reports. A service that is gone does not need to know, so failures are dropped.
    fn say(&mut self, event: &Event) {
        if let Ok(mut json) = serde_json::to_vec(event) {
            json.push(b'\n');
            let _ = self.0.write_all(&json);
        }
    }
}

/// A wall that could not be built.
struct Refused {
    layer: &'static str,
    reason: String,
}

impl Refused {
    fn event(&self) -> Event {
        Event::NoIsolation { layer: self.layer.to_owned(), reason: self.reason.clone() }
    }
}

/// Names the wall an error belongs to.
trait Building<T> {
    fn building(self, layer: &'static str, doing: &str) -> Result<T, Refused>;
}

impl<T, E: std::fmt::Display> Building<T> for Result<T, E> {
    fn building(self, layer: &'static str, doing: &str) -> Result<T, Refused> {
        self.map_err(|error| Refused { layer, reason: format!("{doing}: {error}") })
    }
}
