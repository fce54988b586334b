//! One program that runs in the background: what it prints, how it is, and the ways to end it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::super::{Killed, Offsets, ProcessReport, ProcessState, SandboxError, Stream};
use super::exec::Observer;

/// Bytes kept of each stream: the last ones.
const KEPT: usize = 256 << 10;

/// How a program ended, as it is remembered over restarts of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// Exit status, or 128 + signal.
    pub exit_code: i32,
    /// Why it was killed.
    pub killed: Option<Killed>,
    /// How much it had printed.
    pub printed: Offsets,
}

impl End {
    /// A report of a program whose output is not kept any more.
    pub(super) fn report(&self, asked: Offsets) -> ProcessReport {
        let from = Offsets { stdout: self.printed.stdout.max(asked.stdout), stderr: self.printed.stderr.max(asked.stderr) };
        let state = ProcessState::Ended { exit_code: self.exit_code, killed: self.killed };
        ProcessReport { state, stdout: Bytes::new(), stderr: Bytes::new(), from, next: from }
    }
}

/// A started program.
#[derive(Debug, Default)]
pub(super) struct Process {
    stdout: Mutex<Tail>,
    stderr: Mutex<Tail>,
    end: Mutex<Option<End>>,
    /// Asks everything inside to end.
    pub ask: CancellationToken,
    /// Ends everything inside.
    pub kill: CancellationToken,
    /// The program has begun.
    pub ready: CancellationToken,
    /// It has ended and nothing of it is left.
    pub over: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// How it ended; none while it lives.
    pub(super) fn end(&self) -> Option<End> {
        *locked(&self.end)
    }

    /// It ended. The state is there before anybody who waits for [`Process::over`] looks at it.
    pub(super) fn ended(&self, exit_code: i32, killed: Option<Killed>) -> End {
        let printed = Offsets { stdout: locked(&self.stdout).total, stderr: locked(&self.stderr).total };
        let asked_to_die = self.ask.is_cancelled() && exit_code > 128;
        let end = End { exit_code, killed: killed.or(asked_to_die.then_some(Killed::Cancelled)), printed };
        *locked(&self.end) = Some(end);
        end
    }

    /// It ended without having become a program; the reason is told where people look for it.
    pub(super) fn not_started(&self, error: &SandboxError) -> End {
        const CANNOT_EXECUTE: i32 = 126;
        self.printed(Stream::Stderr, format!("{error}\n").as_bytes());
        self.ended(CANNOT_EXECUTE, None)
    }

    /// State first, so that what is said to be all of a program that ended is all.
    pub(super) fn report(&self, asked: Offsets, limit: usize) -> ProcessReport {
        let state = match self.end() {
            Some(End { exit_code, killed, .. }) => ProcessState::Ended { exit_code, killed },
            None => ProcessState::Running,
        };
        let (out_from, stdout) = locked(&self.stdout).read(asked.stdout, limit);
        let (err_from, stderr) = locked(&self.stderr).read(asked.stderr, limit);
        let next = Offsets { stdout: out_from + stdout.len() as u64, stderr: err_from + stderr.len() as u64 };
        ProcessReport { state, stdout, stderr, from: Offsets { stdout: out_from, stderr: err_from }, next }
    }
}

impl Observer for Process {
    fn ready(&self) {
        self.ready.cancel();
    }

    fn printed(&self, stream: Stream, bytes: &[u8]) {
        let tail = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        locked(tail).push(bytes);
    }
}

/// The last bytes of a stream, with their true place in it.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// How much there was in all.
    total: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        let surplus = (self.bytes.len() + bytes.len()).saturating_sub(KEPT);
        self.bytes.drain(..surplus);
        self.bytes.extend(bytes);
    }

    /// At most `limit` bytes from `offset` on, or from the first that is kept. An offset beyond the end reads nothing, at the end.
    fn read(&self, offset: u64, limit: usize) -> (u64, Bytes) {
        let first = self.total - self.bytes.len() as u64;
        let from = offset.clamp(first, self.total);
        let start = usize::try_from(from - first).unwrap_or(usize::MAX).min(self.bytes.len());
        let count = limit.min(self.bytes.len() - start);
        (from, self.bytes.range(start..start + count).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_says_what_is_lost() {
        let process = Process::default();
        process.printed(Stream::Stdout, &vec![b'a'; KEPT]);
        process.printed(Stream::Stdout, b"0123456789");
        let report = process.report(Offsets::default(), 4);
        assert_eq!((report.state, report.from.stdout, report.next.stdout), (ProcessState::Running, 10, 14));
        let report = process.report(Offsets { stdout: KEPT as u64 + 7, stderr: 0 }, 100);
        assert_eq!((report.from.stdout, &report.stdout[..]), (KEPT as u64 + 7, &b"789"[..]));
        assert_eq!(
            process.report(Offsets { stdout: u64::MAX, stderr: 5 }, 100).next,
            Offsets { stdout: KEPT as u64 + 10, stderr: 0 }
        );
    }

    #[test]
    fn who_was_asked_to_end_and_did_so_in_order_was_not_killed() {
        let process = Process::default();
        process.ask.cancel();
        assert_eq!(process.ended(0, None).killed, None);
        assert_eq!(process.ended(143, None).killed, Some(Killed::Cancelled));
        assert_eq!(process.ended(137, Some(Killed::Timeout)).killed, Some(Killed::Timeout));
    }

    proptest! {
        #[test]
        fn reading_on_gives_every_byte_that_is_kept(chunks in prop::collection::vec(0usize..200_000, 0..6), limit in 1usize..90_000) {
            let mut tail = Tail::default();
            let whole: Vec<u8> = (0..chunks.iter().sum::<usize>()).map(|at| (at % 251) as u8).collect();
            let mut begin = 0;
            for chunk in chunks {
                tail.push(&whole[begin..begin + chunk]);
                begin += chunk;
            }
            let (first, _) = tail.read(0, 0);
            let (mut at, mut read) = (first, Vec::new());
            while at < tail.total {
                let (from, bytes) = tail.read(at, limit);
                prop_assert_eq!(from, at);
                prop_assert!(!bytes.is_empty() && bytes.len() <= limit);
                read.extend_from_slice(&bytes);
                at += bytes.len() as u64;
            }
            prop_assert_eq!(&read[..], &whole[usize::try_from(first).unwrap()..]);
            prop_assert_eq!(tail.bytes.len(), whole.len().min(KEPT));
        }
    }
}
