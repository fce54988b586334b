//! Which lines differ, found out within a bounded time: what is compared was written by strangers, and the usual way to compare takes time
//! that grows with the product of what differs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// How long one comparison may take.
pub const LONGEST: Duration = Duration::from_secs(1);

/// What leads from `old` to `new`, in order; none when that is not found out within [`LONGEST`]. It computes all the time: for content of
/// strangers, call it where nothing else waits, as with [`apart`].
pub fn compare(old: &[&str], new: &[&str]) -> Option<Vec<DiffOp>> {
    compare_within(old, new, LONGEST)
}

/// As [`compare`], with another limit.
pub fn compare_within(old: &[&str], new: &[&str], longest: Duration) -> Option<Vec<DiffOp>> {
    let deadline = Instant::now() + longest;
    // Long lines that are alike at their beginnings are compared once each.
    let mut known: HashMap<&str, u32> = HashMap::new();
    let (old, new) = (numbered(old, &mut known)?, numbered(new, &mut known)?);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
    // What is found after it is right, but as coarse as when there is nothing in common.
    (Instant::now() < deadline).then_some(ops)
}

fn numbered<'a>(lines: &[&'a str], known: &mut HashMap<&'a str, u32>) -> Option<Vec<u32>> {
    let mut numbers = Vec::with_capacity(lines.len());
    for line in lines {
        let next = u32::try_from(known.len()).ok()?;
        numbers.push(*known.entry(line).or_insert(next));
    }
    Some(numbers)
}

/// Does what computes for long on a thread of its own. A panic of it is one here.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends takes back what has not begun; nobody waits for it then.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use similar::DiffTag;

    use super::*;
    use crate::clock::computed;

    #[test]
    fn lines_that_differ_are_found() {
        let ops = compare(&["a\n", "b\n", "c\n"], &["a\n", "x\n", "c\n"]).unwrap();
        let changed: Vec<_> = ops.iter().filter(|op| op.tag() != DiffTag::Equal).map(DiffOp::old_range).collect();
        assert!(changed.len() == 1 && changed[0] == (1..2), "{changed:?}");
        assert_eq!(compare(&[], &[]).unwrap(), []);
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let lines = |step: usize| -> Vec<String> { (0..60_000_usize).map(|n| (n * step % 61_001).to_string()).collect() };
        let (old, new) = (lines(7), lines(13));
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        let began = computed();
        assert_eq!(compare_within(&old, &new, Duration::from_millis(100)), None);
        let took = computed() - began;
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[tokio::test]
    async fn what_is_done_apart_comes_back() {
        assert_eq!(apart(|| 7).await, 7);
    }
}
