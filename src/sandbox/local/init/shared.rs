//! A user and a network namespace that commands of one sandbox share, so that one can talk to a server another started.
//!
//! They live as long as the service keeps their descriptors. Who joins needs a descriptor, which only the service hands out, and
//! to be the user on this machine who made the namespaces. Mounts, processes and shared memory stay separate.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::super::plan::Ids;
use super::{Building, Line, Refused, egress, outer, sys};

/// Descriptors of the two.
pub(super) struct Namespaces {
    pub user: OwnedFd,
    pub network: OwnedFd,
}

/// Moves into them. The descriptors are closed here, before anything else is started.
pub(super) fn join(namespaces: Namespaces) -> Result<(), Refused> {
    move_into_link_name_space(namespaces.user.as_fd(), Some(LinkNameSpaceType::User)).building("user namespace", "join")?;
    move_into_link_name_space(namespaces.network.as_fd(), Some(LinkNameSpaceType::Network)).building("network namespace", "join")
}

/// Makes the two, hands their descriptors to the service, and is not needed any more.
pub(super) fn hold(become_outside: Option<Ids>, egress: bool, line: &mut Line) -> Result<(), Refused> {
    let outside = outer::leave_root(become_outside)?;
    outer::make_user_namespace(outside)?;
    sys::unshare(UnshareFlags::NEWNET).building("network namespace", "unshare")?;
    sys::loopback_up().building("network namespace", "turn on the loopback")?;
    let open = |name: &str| File::open(format!("/proc/self/ns/{name}"));
    let user = open("user").building("user namespace", "open")?;
    let network = open("net").building("network namespace", "open")?;

    let listener = if egress { Some(egress::listen()?) } else { None };

    let mut descriptors = vec![user.as_fd(), network.as_fd()];
    descriptors.extend(listener.as_ref().map(AsFd::as_fd));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&line.0, &[IoSlice::new(b"\n")], &mut ancillary, SendFlags::NOSIGNAL).building("network namespace", "hand over")?;
    Ok(())
}
