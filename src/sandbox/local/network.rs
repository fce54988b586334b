//! The way out of a local sandbox, seen from the service: the variables programs find it by, and the listener the helper hands out.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::Interest;
use tokio::net::{TcpListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::super::proxy::Proxy;

/// Where the proxy listens inside. Every sandbox has a loopback of its own, so this never meets another.
pub(super) const PROXY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3128);

const NOT_THROUGH_IT: &str = "localhost,127.0.0.1,::1,sandbox";

/// What makes programs use the proxy. pip, cargo, git, curl, go and npm read the usual names (git and curl the small ones); Node's own
/// `fetch` and yarn have to be told separately.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    let proxy = format!("http://{PROXY}");
    let names = [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "YARN_HTTP_PROXY",
        "YARN_HTTPS_PROXY",
    ];
    let others = [("no_proxy", NOT_THROUGH_IT), ("NO_PROXY", NOT_THROUGH_IT), ("NODE_USE_ENV_PROXY", "1")];
    let proxied = names.into_iter().map(move |name| (name.to_owned(), proxy.clone()));
    proxied.chain(others.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// Serves the listener that the helper hands over, until the handle is dropped. The bytes are the beginning of what else the
/// helper says: it says something else first when a wall could not be built.
pub(super) async fn open(socket: &UnixStream, proxy: Proxy) -> (Vec<u8>, Option<AbortOnDropHandle<()>>) {
    match receive(socket).await {
        Ok((bytes, Some(listener))) => (bytes, Some(AbortOnDropHandle::new(tokio::spawn(proxy.serve(listener))))),
        Ok((bytes, None)) => (bytes, None),
        Err(error) => {
            tracing::warn!(%error, "the sandbox has no way out: its listener did not arrive");
            (Vec::new(), None)
        }
    }
}

/// One byte, and the listener that travels with it.
async fn receive(socket: &UnixStream) -> io::Result<(Vec<u8>, Option<TcpListener>)> {
    let (bytes, file) = socket.async_io(Interest::READABLE, || receive_now(socket)).await?;
    let Some(file) = file else {
        return Ok((bytes, None));
    };
    let listener = StdTcpListener::from(file);
    listener.set_nonblocking(true)?;
    Ok((bytes, Some(TcpListener::from_std(listener)?)))
}

fn receive_now(socket: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let file = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    Ok((byte[..received.bytes].to_vec(), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_of_every_name_are_set() {
        let names: Vec<String> = environment().map(|(name, _)| name).collect();
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            assert!(names.contains(&name.to_owned()) && names.contains(&name.to_uppercase()), "{names:?}");
        }
    }
}
