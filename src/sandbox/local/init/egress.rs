//! The one way out: a socket that listens on the loopback inside, and is accepted from by the service's proxy outside. It crosses
//! the wall as an open file, so nothing of the service is visible inside and no process has to relay.

use std::io::{IoSlice, Result};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::super::isolation::Layer;
use super::super::network::PROXY;
use super::super::plan::{Egress, Plan};
use super::{Building, Line, Refused};

/// Opens it if the plan says so. Must come before anything is said on the line, and before any program runs.
pub(super) fn open(plan: &Plan, line: &Line) -> core::result::Result<Layer, Refused> {
    match plan.egress {
        Egress::None => return Ok(Layer::given("egress", "none")),
        Egress::Opened => hand_over(line, &listen()?).building("egress", "hand the listener over")?,
        Egress::Shared => {}
    }
    Ok(Layer::given("egress", "only what SANDBOX_NETWORK allows, through the service's proxy"))
}

/// Where the proxy is, as programs inside see it.
pub(super) fn listen() -> core::result::Result<TcpListener, Refused> {
    TcpListener::bind(PROXY).building("egress", "listen inside")
}

fn hand_over(line: &Line, listener: &TcpListener) -> Result<()> {
    let files = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(&line.0, &[IoSlice::new(b"\n")], &mut ancillary, SendFlags::empty())?;
    Ok(())
}
