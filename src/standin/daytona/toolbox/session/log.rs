//! What a command of a session printed: whole lines, each behind three bytes that name its stream.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a command prints beyond this is not kept.
const MOST: usize = 32 << 20;
/// Frames of a follower; they split marks and characters anywhere.
const FRAME: usize = 4096;

/// One of the streams, as its mark says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Stdout = 1,
    Stderr = 2,
}

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    exit_code: Option<i32>,
}

/// The log of one command.
#[derive(Debug)]
pub(super) struct Log {
    written: Mutex<Written>,
    changed: watch::Sender<()>,
}

impl Default for Log {
    fn default() -> Self {
        Self { written: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, given without its end.
    pub fn line(&self, mark: Mark, line: &[u8]) {
        {
            let bytes = &mut self.lock().bytes;
            if bytes.len() + line.len() < MOST {
                bytes.extend_from_slice(&[mark as u8; 3]);
                bytes.extend(line.iter().filter(|byte| **byte != 0));
                bytes.push(b'\n');
            }
        }
        self.changed.send_replace(());
    }

    pub fn end(&self, code: i32) {
        self.lock().exit_code = Some(code);
        self.changed.send_replace(());
    }

    pub fn exit_code(&self) -> Option<i32> {
        self.lock().exit_code
    }

    /// Waits for the exit status; none when the session goes first.
    pub async fn ended(&self, gone: &CancellationToken) -> Option<i32> {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(code) = self.exit_code() {
                return Some(code);
            }
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = gone.cancelled() => return None,
            }
        }
    }

    /// Everything, with its marks.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Everything, without its marks.
    pub fn merged(&self) -> String {
        let (mut text, written) = (Vec::new(), self.lock());
        lines(&written.bytes).for_each(|(_, line)| text.extend_from_slice(line));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Standard output and standard error.
    pub fn split(&self) -> (String, String) {
        let (mut out, mut err, written) = (Vec::new(), Vec::new(), self.lock());
        for (mark, line) in lines(&written.bytes) {
            match mark {
                Mark::Stdout => out.extend_from_slice(line),
                Mark::Stderr => err.extend_from_slice(line),
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
    }

    fn from(&self, offset: usize) -> (Vec<u8>, bool) {
        let written = self.lock();
        let end = written.bytes.len().min(offset + FRAME);
        (written.bytes[offset..end].to_vec(), written.exit_code.is_some())
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (Mark, &[u8])> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| match line {
        [2, 2, 2, rest @ ..] => (Mark::Stderr, rest),
        [1, 1, 1, rest @ ..] => (Mark::Stdout, rest),
        rest => (Mark::Stdout, rest),
    })
}

/// Sends the log from its beginning until the command has ended, or the client is gone.
pub(super) async fn follow(log: &Log, mut socket: WebSocket) {
    let (mut offset, mut changes) = (0, log.changed.subscribe());
    loop {
        let (bytes, ended) = log.from(offset);
        if !bytes.is_empty() {
            offset += bytes.len();
            if socket.send(Message::Binary(bytes.into())).await.is_err() {
                return;
            }
            continue;
        }
        if ended {
            break;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
    let close = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    let _ = socket.send(Message::Close(Some(close))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_apart_again() {
        let log = Log::default();
        log.line(Mark::Stdout, b"a\0b");
        log.line(Mark::Stderr, b"c");
        log.line(Mark::Stdout, b"d");
        assert_eq!(log.split(), ("ab\nd\n".to_owned(), "c\n".to_owned()));
        assert_eq!(log.merged(), "ab\nc\nd\n");
        assert_eq!(log.raw(), "\u{1}\u{1}\u{1}ab\n\u{2}\u{2}\u{2}c\n\u{1}\u{1}\u{1}d\n");
    }
}
