//! The few system calls for which there is no safe wrapper.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which side of a fork this is.
pub(super) enum Forked {
    /// The new process.
    Child,
    /// The old one.
    Parent(Pid),
}

/// Forks. Only the helper calls it, and the helper has one thread.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: the process has a single thread, so the child's memory is consistent and may be used freely.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Forked::Child),
        pid => Pid::from_raw(pid).filter(|_| pid > 0).map(Forked::Parent).ok_or_else(io::Error::last_os_error),
    }
}

/// Moves into new namespaces. Never called with `FILES`.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only `UnshareFlags::FILES` is unsafe, and it needs a second thread to do harm.
    #[allow(unsafe_code)]
    let done = unsafe { rustix::thread::unshare_unsafe(flags) };
    Ok(done?)
}

/// Signals every process of this pid namespace but the first one, which is the caller; anybody else has no say.
pub(super) fn signal_all(signal: rustix::process::Signal) {
    if rustix::process::getpid() != Pid::INIT {
        return;
    }
    // SAFETY: kill reads and writes no memory; -1 means all the caller may signal, which are those in its pid namespace.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(-1, signal.as_raw());
    }
}

/// Closes what was inherited beyond the standard streams.
pub(super) fn close_inherited() {
    // SAFETY: called first thing, when nothing in this process owns a descriptor above 2.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
    }
}

/// Leaves the keys of whoever started the service behind.
pub(super) fn forget_keys() {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the null pointer asks for a new session keyring without a name; nothing is read or written.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>());
    }
}

#[repr(C)]
struct Filter {
    length: libc::c_ushort,
    instructions: *const seccompiler::sock_filter,
}

/// Adds a filter of system calls to this process. Filters add up and never go away.
pub(super) fn install_filter(program: &[seccompiler::sock_filter]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let filter = Filter { length, instructions: program.as_ptr() };
    const NO_FLAGS: libc::c_uint = 0;
    // SAFETY: the struct has the layout of `sock_fprog`, its length is that of the slice, and the kernel copies both before it returns.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, NO_FLAGS, &raw const filter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// What a mount forbids. `nosuid` is always among it.
#[derive(Clone, Copy, Default)]
pub(super) struct Forbids {
    pub writing: bool,
    pub devices: bool,
}

/// Restricts a mount and, where asked, all below it, and cuts it off from mounts made elsewhere.
pub(super) fn restrict_mount(mount: impl AsFd, path: &std::ffi::CStr, forbids: Forbids, recursive: bool) -> io::Result<()> {
    let mut set = MOUNT_ATTR_NOSUID;
    set |= if forbids.writing { MOUNT_ATTR_RDONLY } else { 0 };
    set |= if forbids.devices { MOUNT_ATTR_NODEV } else { 0 };
    let attributes = MountAttr { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string and the attributes are a struct of the size that is passed; both outlive the call.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags as libc::c_uint,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Turns on the loopback interface of this network namespace, so that programs can talk to themselves.
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: all-zero is a valid ifreq; the name fits with its terminator; the ioctl only reads the struct.
    #[allow(unsafe_code)]
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the end of a child interrupt what this process waits for, so that it is collected at once.
#[allow(unsafe_code)]
pub(super) fn wake_when_children_end() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing, so it may run at any moment.
    unsafe { libc::signal(libc::SIGCHLD, handler as libc::sighandler_t) };
}
