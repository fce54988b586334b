//! Which system calls code may make. Three filters, of which the kernel obeys the strictest, and the last among equals:
//! what is on no list does not exist, what is forbidden is not permitted, and other kinds of sockets are not supported.
//! Nothing is killed for asking, so programs fall back.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::sys;
use super::syscalls::{ALLOWED, FORBIDDEN};

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;
type Built<T> = Result<T, BackendError>;

/// From here on, this process and all it starts make only the system calls on the list. Needs `no_new_privs` or a capability.
pub(super) fn confine() -> Result<String, String> {
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("there is no list of system calls for {}", std::env::consts::ARCH))?;
    let programs = programs(arch).map_err(|error| error.to_string())?;
    for program in &programs {
        sys::install_filter(program).map_err(|error: io::Error| format!("install a filter: {error}"))?;
    }
    let count = ALLOWED.iter().map(|group| group.len()).sum::<usize>();
    Ok(format!(
        "{count} system calls allowed, {} more with conditions; no io_uring, no ptrace of others, no keys, no raw or vsock sockets",
        CONDITIONAL.len()
    ))
}

/// In the order in which they are installed.
fn programs(arch: TargetArch) -> Built<[BpfProgram; 3]> {
    let allow = |rules, action| SeccompFilter::new(rules, action, SeccompAction::Allow, arch)?.try_into();
    let refuse = |rules, errno: i32| {
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), arch)?.try_into()
    };
    Ok([
        allow(allowed()?, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))?,
        refuse(forbidden()?, libc::EPERM)?,
        refuse(unsupported()?, libc::EAFNOSUPPORT)?,
    ])
}

/// Allowed with some arguments only.
const CONDITIONAL: [c_long; 7] = [
    libc::SYS_clone,
    libc::SYS_unshare,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_ioctl,
    libc::SYS_ptrace,
    libc::SYS_personality,
];

/// Each makes a namespace. `clone3`, whose arguments cannot be seen, is on no list: libraries then use `clone`.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// Of `unshare` only; for `clone` these bits say which signal is sent at the end.
const TIME_NAMESPACE: i32 = 0x80;

/// Push characters into, or talk to the driver of, the terminal of whoever started us.
const TERMINAL_TRICKS: [u64; 4] = [0x5412, 0x541c, 0x541d, 0x5423];
/// `PTRACE_ATTACH`, `PTRACE_SEIZE`: debuggers may start programs, not take over running ones.
const ATTACHING: [u64; 2] = [16, 0x4206];
/// Linux, Linux that says it is 32 bits wide, and the question which it is.
const PERSONALITIES: [u64; 3] = [0, 8, 0xffff_ffff];

const KIND: u64 = 0xf;
const INTERNET: [i32; 2] = [libc::AF_INET, libc::AF_INET6];
/// The default one, TCP, UDP.
const PROTOCOLS: [i32; 3] = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP];

fn allowed() -> Built<Rules> {
    let mut rules: Rules = ALLOWED.iter().flat_map(|group| group.iter()).map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACES.iter().fold(0, |all, flag| all | bits(*flag));
    rules.insert(libc::SYS_clone, vec![rule([masked(0, namespaces, 0)?])?]);
    rules.insert(libc::SYS_unshare, vec![rule([masked(0, namespaces | bits(TIME_NAMESPACE), 0)?])?]);
    rules.insert(libc::SYS_ioctl, vec![none_of(1, &TERMINAL_TRICKS)?]);
    rules.insert(libc::SYS_ptrace, vec![none_of(0, &ATTACHING)?]);
    rules.insert(libc::SYS_personality, PERSONALITIES.iter().map(|value| rule([is(0, *value)?])).collect::<Built<_>>()?);
    rules.insert(libc::SYS_socketpair, vec![rule([is(0, bits(libc::AF_UNIX))?])?]);

    let mut sockets =
        vec![rule([is(0, bits(libc::AF_UNIX))?])?, rule([is(0, bits(libc::AF_NETLINK))?, is(2, bits(libc::NETLINK_ROUTE))?])?];
    for family in INTERNET {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            for protocol in PROTOCOLS {
                sockets.push(rule([is(0, bits(family))?, masked(1, KIND, bits(kind))?, is(2, bits(protocol))?])?);
            }
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}

fn forbidden() -> Built<Rules> {
    let mut rules: Rules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let any_of = |flags: &[i32]| flags.iter().map(|flag| rule([masked(0, bits(*flag), bits(*flag))?])).collect::<Built<Vec<_>>>();
    rules.insert(libc::SYS_clone, any_of(&NAMESPACES)?);
    rules.insert(libc::SYS_unshare, any_of(&[&NAMESPACES[..], &[TIME_NAMESPACE]].concat())?);
    rules.insert(libc::SYS_ioctl, TERMINAL_TRICKS.iter().map(|request| rule([is(1, *request)?])).collect::<Built<_>>()?);
    rules.insert(libc::SYS_ptrace, ATTACHING.iter().map(|request| rule([is(0, *request)?])).collect::<Built<_>>()?);
    rules.insert(libc::SYS_personality, vec![none_of(0, &PERSONALITIES)?]);
    rules.insert(
        libc::SYS_socket,
        INTERNET
            .iter()
            .map(|family| rule([is(0, bits(*family))?, masked(1, KIND, bits(libc::SOCK_RAW))?]))
            .collect::<Built<_>>()?,
    );
    Ok(rules)
}

/// Families and protocols of sockets. A namespace does not hold all of them (vsock), and many are seldom used and full of holes.
fn unsupported() -> Built<Rules> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(bits);
    let protocols = PROTOCOLS.map(bits);
    let mut sockets =
        vec![none_of(0, &families)?, rule([is(0, bits(libc::AF_NETLINK))?, is_not(2, bits(libc::NETLINK_ROUTE))?])?];
    for family in INTERNET {
        let mut conditions = vec![is(0, bits(family))?];
        conditions.extend(protocols.iter().map(|protocol| is_not(2, *protocol)).collect::<Built<Vec<_>>>()?);
        sockets.push(SeccompRule::new(conditions)?);
    }
    Ok(Rules::from([(libc::SYS_socket, sockets), (libc::SYS_socketpair, vec![none_of(0, &[bits(libc::AF_UNIX)])?])]))
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Built<SeccompRule> {
    SeccompRule::new(conditions.into())
}

/// The kernel looks at the lower half of these arguments only, so the filters do too.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn is(argument: u8, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

fn none_of(argument: u8, values: &[u64]) -> Built<SeccompRule> {
    SeccompRule::new(values.iter().map(|value| is_not(argument, *value)).collect::<Built<_>>()?)
}

/// Flags and numbers of C, none of which is negative.
fn bits(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_on_two_lists() {
        let allowed: Vec<c_long> = ALLOWED.iter().flat_map(|group| group.iter().copied()).chain(CONDITIONAL).collect();
        let distinct: BTreeSet<c_long> = allowed.iter().copied().collect();
        assert_eq!(allowed.len(), distinct.len());
        let both: Vec<_> = FORBIDDEN.iter().filter(|call| distinct.contains(call)).collect();
        assert_eq!(both, Vec::<&c_long>::new());
        assert!(!distinct.contains(&libc::SYS_clone3) && !FORBIDDEN.contains(&libc::SYS_clone3));
    }

    #[test]
    fn the_filters_fit_into_the_kernel_for_every_processor_they_are_made_for() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64] {
            for program in programs(arch).unwrap() {
                assert!((1..=4096).contains(&program.len()), "{}", program.len());
            }
        }
    }
}
