//! What commands of one sandbox share while a program of it runs in the background: a user and a network namespace, kept by
//! their descriptors. Only commands of the same sandbox are ever given them.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::super::SandboxError;
use super::exec::no_helper;
use super::isolation::refusal;
use super::plan::{Event, Ids, Order, Plan};

/// How long a helper may take for two namespaces.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two namespaces; gone when dropped and nothing runs in them.
#[derive(Debug)]
pub(super) struct Network {
    user: OwnedFd,
    network: OwnedFd,
}

impl Network {
    /// Has a helper make them. Blocks.
    pub(super) fn make(helper: &Path, become_outside: Option<Ids>) -> Result<Self, SandboxError> {
        let made = start(helper, become_outside).and_then(|mut socket| receive(&mut socket));
        match made.map_err(|error| no_helper(helper, &error))? {
            Received::Network(network) => Ok(network),
            Received::Refused(Event::NoIsolation { layer, reason }) => Err(SandboxError::NoIsolation(refusal(&layer, &reason))),
            Received::Refused(other) => Err(SandboxError::Unavailable(format!("the sandbox helper said {other:?}"))),
        }
    }

    /// Sends bytes with the two descriptors.
    pub(super) fn send_with(&self, socket: &UnixStream, bytes: &[u8]) -> std::io::Result<()> {
        let descriptors = [self.user.as_fd(), self.network.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        match retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL))? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(std::io::ErrorKind::WriteZero.into()),
        }
    }
}

enum Received {
    Network(Network),
    Refused(Event),
}

fn start(helper: &Path, become_outside: Option<Ids>) -> std::io::Result<UnixStream> {
    let (mut ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PATIENCE))?;
    let mut child = Command::new(helper)
        .arg("sandbox-init")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // It ends when it has answered, or when our end of the socket is closed.
    std::thread::Builder::new().name("sandbox-network".to_owned()).spawn(move || child.wait())?;
    let order: Order<&Plan> = Order::Hold { become_outside };
    ours.write_all(&super::exec::framed(&order)?)?;
    Ok(ours)
}

fn receive(socket: &mut UnixStream) -> std::io::Result<Received> {
    let mut text = vec![0; 8 << 10];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    // Ended children interrupt whoever waits.
    let count =
        retry_on_intr(|| recvmsg(&*socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?.bytes;
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let mut descriptors: Vec<OwnedFd> = rights.flatten().collect();
    if let (Some(network), Some(user)) = (descriptors.pop(), descriptors.pop()) {
        return Ok(Received::Network(Network { user, network }));
    }
    text.truncate(count);
    socket.take(8 << 10).read_to_end(&mut text)?;
    Ok(Received::Refused(serde_json::from_slice(&text)?))
}
