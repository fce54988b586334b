//! Merging two trees that grew from a third, line by line where both changed a file.

use bytes::Bytes;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::object::{Mode, Object, Sha};
use super::store::{Files, Store};

/// The files of both, or the paths that are in conflict.
pub(in super::super) fn merge(store: &Store, base: &Files, ours: &Files, theirs: &Files) -> Result<Files, Vec<String>> {
    let (mut merged, mut conflicts) = (ours.clone(), Vec::new());
    let mut paths: Vec<&String> = base.keys().chain(theirs.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (was, our, their) = (base.get(path), ours.get(path), theirs.get(path));
        if their == was || their == our {
            continue;
        }
        let taken = if our == was { Some(their.cloned()) } else { both(store, was, our, their).map(Some) };
        match taken {
            Some(Some(leaf)) => _ = merged.insert(path.clone(), leaf),
            Some(None) => _ = merged.remove(path),
            None => conflicts.push(path.clone()),
        }
    }
    if conflicts.is_empty() { Ok(merged) } else { Err(conflicts) }
}

type Leaf = (Mode, Sha);

fn both(store: &Store, was: Option<&Leaf>, our: Option<&Leaf>, their: Option<&Leaf>) -> Option<Leaf> {
    let (was, our, their) = (was?, our?, their?);
    let mode = if our.0 == was.0 { their.0 } else { our.0 };
    let content = lines(&store.blob(&was.1)?, &store.blob(&our.1)?, &store.blob(&their.1)?)?;
    Some((mode, store.put(Object::Blob(content))))
}

/// None when both changed the same or touching lines.
fn lines(was: &Bytes, our: &Bytes, their: &Bytes) -> Option<Bytes> {
    let split = |text: &Bytes| text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (was, our, their) = (split(was), split(our), split(their));
    let mut edits = edits(&was, &our);
    let theirs = self::edits(&was, &their);
    let touch = |a: &Edit, b: &Edit| a.0 <= b.1 && b.0 <= a.1;
    if theirs.iter().any(|edit| edits.iter().any(|other| touch(edit, other) && edit != other)) {
        return None;
    }
    edits.extend(theirs);
    edits.sort();
    edits.dedup();
    let (mut merged, mut at) = (Vec::new(), 0);
    for (start, end, new) in edits {
        merged.extend(was[at..start].concat());
        merged.extend(new.concat());
        at = end;
    }
    merged.extend(was[at..].concat());
    Some(merged.into())
}

/// From, to, and what stands there instead.
type Edit = (usize, usize, Vec<Vec<u8>>);

fn edits(old: &[Vec<u8>], new: &[Vec<u8>]) -> Vec<Edit> {
    let ops = capture_diff_slices(Algorithm::Myers, old, new);
    let changed = ops.into_iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    changed.map(|op| (op.old_range().start, op.old_range().end, new[op.new_range()].to_vec())).collect()
}
