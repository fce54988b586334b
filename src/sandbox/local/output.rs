//! Captures a stream in bounded memory: the beginning and the end are kept, the middle is counted.

use std::collections::VecDeque;

use super::super::Output;

/// Room for the line that says what was left out.
const MARKER: usize = 64;

/// Keeps at most `limit` bytes of what is pushed.
pub(super) struct Ring {
    head: Vec<u8>,
    head_limit: usize,
    tail: VecDeque<u8>,
    tail_limit: usize,
    total: u64,
}

impl Ring {
    /// A ring whose result, the line about the middle included, has at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        let room = limit.saturating_sub(MARKER);
        let head_limit = room / 2;
        // Without anything left out no line is needed, so the tail may use its room.
        Self { head: Vec::new(), head_limit, tail: VecDeque::new(), tail_limit: limit - head_limit, total: 0 }
    }

    /// Takes what was printed next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    fn finish(self) -> Output {
        let mut bytes = self.head;
        let mut tail = Vec::from(self.tail);
        if self.total == (bytes.len() + tail.len()) as u64 {
            bytes.append(&mut tail);
            return Output { bytes, omitted: 0 };
        }
        tail.drain(..tail.len().min(MARKER));
        cut_broken_end(&mut bytes);
        cut_broken_start(&mut tail);
        let omitted = self.total - (bytes.len() + tail.len()) as u64;
        let limit = self.head_limit + self.tail_limit;
        let marker = format!("\n[… {omitted} bytes left out …]\n");
        if bytes.len() + marker.len() + tail.len() <= limit {
            bytes.extend_from_slice(marker.as_bytes());
        }
        bytes.append(&mut tail);
        Output { bytes, omitted }
    }
}

/// Removes a character that was cut in two at the end.
fn cut_broken_end(bytes: &mut Vec<u8>) {
    if let Some(chunk) = bytes.utf8_chunks().last() {
        let invalid = chunk.invalid().len();
        if (1..4).contains(&invalid) {
            bytes.truncate(bytes.len() - invalid);
        }
    }
}

/// Removes the rest of a character that was cut in two at the start.
fn cut_broken_start(bytes: &mut Vec<u8>) {
    let rest = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    bytes.drain(..rest);
}

impl From<Ring> for Output {
    fn from(ring: Ring) -> Self {
        ring.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn captured(limit: usize, chunks: &[Vec<u8>]) -> Output {
        let mut ring = Ring::new(limit);
        chunks.iter().for_each(|chunk| ring.push(chunk));
        ring.finish()
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let output = captured(200, &[b"begin ".to_vec(), vec![b'x'; 10_000], b" end".to_vec()]);
        let text = output.text();
        assert!(text.starts_with("begin x") && text.ends_with("x end"), "{text}");
        assert!(text.contains(&format!("[… {} bytes left out …]", output.omitted)), "{text}");
    }

    #[test]
    fn characters_are_not_cut_in_two() {
        let output = captured(201, &["ä€😀".repeat(500).into_bytes()]);
        assert!(!output.text().contains('\u{fffd}'), "{}", output.text());
    }

    proptest! {
        #[test]
        fn never_longer_than_the_limit_and_nothing_uncounted(limit in 0usize..400, chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            let whole = chunks.concat();
            let output = captured(limit, &chunks);
            prop_assert!(output.bytes.len() <= limit);
            if whole.len() <= limit {
                prop_assert_eq!(output.omitted, 0);
                prop_assert_eq!(output.bytes, whole);
            } else {
                prop_assert!(output.omitted > 0);
            }
        }
    }
}
