//! What programs print while they run, gathered in pieces for the record of the run and for the live comment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::event::RunEvent;
use crate::reply::LiveView;
use crate::sandbox::{Listener, Stream};

/// Bytes of one piece; what is printed faster than pieces are taken is cut at its beginning.
const PIECE: usize = 8 << 10;
/// Bytes of a line that is shown while the program runs.
const LINE: usize = 400;

/// The output of the calls that run together. Clones gather for the same taker.
#[derive(Clone, Default)]
pub(super) struct LiveOutput {
    streams: Arc<Mutex<Vec<Gathered>>>,
}

struct Gathered {
    call: String,
    stream: Stream,
    bytes: VecDeque<u8>,
    omitted: u64,
}

impl LiveOutput {
    /// Hears one call; the last line it printed stands in the live comment.
    pub(super) fn listener(&self, call: &str, view: watch::Sender<LiveView>) -> Listener {
        let (streams, call) = (Arc::clone(&self.streams), call.to_owned());
        Listener::new(move |stream, bytes| {
            let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
            let known = streams.iter().position(|known| known.stream == stream && known.call == call);
            let index = known.unwrap_or_else(|| {
                streams.push(Gathered { call: call.clone(), stream, bytes: VecDeque::new(), omitted: 0 });
                streams.len() - 1
            });
            streams[index].push(bytes);
            if let Some(line) = last_line(bytes) {
                view.send_modify(|view| view.printed = Some(line));
            }
        })
    }

    /// What was printed since the last time, as events; empty when nothing was.
    pub(super) fn take(&self) -> Vec<RunEvent> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter_mut().filter_map(Gathered::take).collect()
    }
}

impl Gathered {
    fn push(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(PIECE)..];
        let surplus = (self.bytes.len() + newest.len()).saturating_sub(PIECE);
        self.bytes.drain(..surplus);
        self.bytes.extend(newest);
        self.omitted += (surplus + bytes.len() - newest.len()) as u64;
    }

    fn take(&mut self) -> Option<RunEvent> {
        let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
        // A character that is not complete yet belongs to the next piece.
        if let Some(chunk) = bytes.utf8_chunks().last() {
            let rest = bytes.len() - chunk.invalid().len();
            if (1..4).contains(&chunk.invalid().len()) && rest > 0 {
                self.bytes.extend(bytes.drain(rest..));
            }
        }
        if bytes.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let omitted = std::mem::take(&mut self.omitted);
        Some(RunEvent::Printed { call: self.call.clone(), stream: self.stream, text, omitted })
    }
}

/// The last whole line with something on it: half a line could be half a secret, which nobody would recognise.
fn last_line(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().rposition(|byte| *byte == b'\n')?;
    // What comes before the first line break of a piece may be the rest of a line.
    let start = bytes[..end].iter().position(|byte| *byte == b'\n')? + 1;
    let lines = String::from_utf8_lossy(&bytes[start..end]);
    let line = lines.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    (line.len() <= LINE).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(output: &LiveOutput) -> Vec<String> {
        let text = |event| match event {
            RunEvent::Printed { text, omitted, .. } => format!("{omitted}:{text}"),
            other => format!("{other:?}"),
        };
        output.take().into_iter().map(text).collect()
    }

    #[test]
    fn characters_are_never_torn_and_streams_stay_apart() {
        let output = LiveOutput::default();
        let listener = output.listener("c", watch::Sender::new(LiveView::default()));
        listener.hear(Stream::Stdout, &"aä".as_bytes()[..2]);
        listener.hear(Stream::Stderr, b"oh");
        assert_eq!(texts(&output), ["0:a", "0:oh"]);
        listener.hear(Stream::Stdout, &"aä".as_bytes()[2..]);
        assert_eq!(texts(&output), ["0:ä"]);
        assert!(texts(&output).is_empty());
    }

    #[test]
    fn a_flood_keeps_its_end() {
        let output = LiveOutput::default();
        let listener = output.listener("c", watch::Sender::new(LiveView::default()));
        for _ in 0..1000 {
            listener.hear(Stream::Stdout, &[b'x'; 1000]);
        }
        listener.hear(Stream::Stdout, b"end");
        let text = texts(&output).remove(0);
        assert!(text.starts_with(&format!("{}:x", 1_000_003 - PIECE)) && text.ends_with("end"), "{}", &text[..30]);
    }

    #[test]
    fn only_whole_lines_are_shown() {
        let view = watch::Sender::new(LiveView::default());
        let listener = LiveOutput::default().listener("c", view.clone());
        listener.hear(Stream::Stdout, b"half of a tok");
        listener.hear(Stream::Stdout, b"en\nsecond\n\nthird half");
        assert_eq!(view.borrow().printed.as_deref(), Some("second"));
    }
}
