//! What commands of one sandbox share while a program of it runs in the background: a user and a network namespace, kept by
//! their descriptors. Only commands of the same sandbox are ever given them.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use tokio_util::task::AbortOnDropHandle;

use super::super::SandboxError;
use super::super::proxy::Proxy;
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
    /// Serves the way out, if there is one.
    _proxy: Option<AbortOnDropHandle<()>>,
}

impl Network {
    /// Has a helper make them, with a way out through the proxy where there is one. Blocks, within a runtime.
    pub(super) fn make(helper: &Path, become_outside: Option<Ids>, proxy: Option<Proxy>) -> Result<Self, SandboxError> {
        let failed = |error: std::io::Error| no_helper(helper, &error);
        let received = start(helper, become_outside, proxy.is_some()).and_then(|mut socket| receive(&mut socket));
        match received.map_err(failed)? {
            Received::Descriptors(descriptors) => Self::of(descriptors, proxy).map_err(failed),
            Received::Refused(Event::NoIsolation { layer, reason }) => Err(SandboxError::NoIsolation(refusal(&layer, &reason))),
            Received::Refused(other) => Err(SandboxError::Unavailable(format!("the sandbox helper said {other:?}"))),
        }
    }

    fn of(mut descriptors: Vec<OwnedFd>, proxy: Option<Proxy>) -> std::io::Result<Self> {
        let missing = || std::io::Error::other("a descriptor is missing");
        let proxy = match proxy {
            Some(proxy) => {
                let listener = TcpListener::from(descriptors.pop().ok_or_else(missing)?);
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                Some(AbortOnDropHandle::new(tokio::spawn(proxy.serve(listener))))
            }
            None => None,
        };
        let network = descriptors.pop().ok_or_else(missing)?;
        let user = descriptors.pop().ok_or_else(missing)?;
        Ok(Self { user, network, _proxy: proxy })
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
    /// The user namespace, the network namespace, the listener.
    Descriptors(Vec<OwnedFd>),
    Refused(Event),
}

fn start(helper: &Path, become_outside: Option<Ids>, egress: bool) -> std::io::Result<UnixStream> {
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
    let order: Order<&Plan> = Order::Hold { become_outside, egress };
    ours.write_all(&super::exec::framed(&order)?)?;
    Ok(ours)
}

fn receive(socket: &mut UnixStream) -> std::io::Result<Received> {
    let mut text = vec![0; 8 << 10];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    // Ended children interrupt whoever waits.
    let count =
        retry_on_intr(|| recvmsg(&*socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?.bytes;
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = rights.flatten().collect();
    if !descriptors.is_empty() {
        return Ok(Received::Descriptors(descriptors));
    }
    text.truncate(count);
    socket.take(8 << 10).read_to_end(&mut text)?;
    Ok(Received::Refused(serde_json::from_slice(&text)?))
}
