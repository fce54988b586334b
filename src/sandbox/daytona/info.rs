//! What the toolbox and `find` say about files, as [`FileInfo`]. Pure.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::sandbox::{FileInfo, WalkBounds, Walked};

/// Of an owner that is given by a name.
const NOBODY: u32 = 65534;

const DIRECTORY: u32 = 0o040_000;
/// The bits of a mode that say what kind of file it is.
pub(super) const FILE_TYPE: u32 = 0o170_000;
pub(super) const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// A file as the toolbox describes it; hardly anything is required.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    name: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    mode: Value,
    #[serde(default)]
    permissions: Value,
    #[serde(default)]
    modified_at: Value,
    #[serde(default)]
    mod_time: Value,
    #[serde(default)]
    owner: Value,
    #[serde(default)]
    group: Value,
}

impl From<Described> for FileInfo {
    fn from(described: Described) -> Self {
        let Described { name, is_dir, size, mode, permissions, modified_at, mod_time, owner, group } = described;
        // A path instead of a name, as some versions give it.
        let name = name.rsplit('/').next().filter(|base| !base.is_empty()).unwrap_or(&name).to_owned();
        Self {
            name,
            is_dir,
            size: size.as_u64().or_else(|| size.as_f64().map(|size| size as u64)).unwrap_or(0),
            mode: mode_of(mode.as_str().unwrap_or_default(), permissions.as_str().unwrap_or_default(), is_dir),
            modified: [modified_at, mod_time].iter().find_map(|time| time_of(time.as_str()?)).unwrap_or_default(),
            owner: id_of(&owner),
            group: id_of(&group),
        }
    }
}

fn id_of(value: &Value) -> u32 {
    let number = value.as_u64().and_then(|id| u32::try_from(id).ok());
    number.or_else(|| value.as_str()?.parse().ok()).unwrap_or(NOBODY)
}

/// From `drwxr-xr-x`, with the letters of Go before the nine of the permissions, and `0755` where that is given too.
fn mode_of(mode: &str, permissions: &str, is_dir: bool) -> u32 {
    let split = mode.len().checked_sub(9).filter(|split| mode.is_char_boundary(*split)).unwrap_or(0);
    let (letters, nine) = mode.split_at(split);
    let from_nine = nine.chars().fold(0, |bits, letter| bits << 1 | u32::from(letter != '-'));
    let bits = u32::from_str_radix(permissions, 8).map_or(from_nine & 0o777, |bits| bits & 0o7777);
    let special = letters.chars().map(|letter| match letter {
        'u' => 0o4000,
        'g' => 0o2000,
        't' => 0o1000,
        _ => 0,
    });
    let kind = letters.chars().find_map(kind_of_letter);
    kind.unwrap_or(if is_dir { DIRECTORY } else { REGULAR }) | bits | special.sum::<u32>()
}

fn kind_of_letter(letter: char) -> Option<u32> {
    Some(match letter {
        'd' => DIRECTORY,
        'L' | 'l' => LINK,
        'p' => 0o010_000,
        'S' | 's' => 0o140_000,
        'c' => 0o020_000,
        'D' | 'b' => 0o060_000,
        _ => return None,
    })
}

/// RFC 3339, or the way Go prints a time.
fn time_of(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let mut words = text.split_whitespace();
    let text = format!("{} {} {}", words.next()?, words.next()?, words.next()?);
    DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f %z").ok().map(|time| time.to_utc())
}

/// What `find` is asked to print for each file; a NUL ends it.
pub(super) const RECORD: &str = r"%y %s %m %T@ %U %G %P\0";

/// Arguments of `find`: how deep, what is not entered, what is printed.
pub(super) fn find_arguments(bounds: WalkBounds) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let mut arguments = words(&["-mindepth", "1", "-maxdepth", &bounds.depth.max(1).to_string()]);
    if !bounds.skip.is_empty() {
        arguments.extend(words(&["(", "-type", "d", "("]));
        for (at, name) in bounds.skip.iter().enumerate() {
            if at > 0 {
                arguments.push("-o".to_owned());
            }
            arguments.extend(["-name".to_owned(), literal(name)]);
        }
        arguments.extend(words(&[")", "-prune", "-o", "-true", ")"]));
    }
    arguments.extend(words(&["-printf", RECORD]));
    arguments
}

/// A pattern of `find` that means just this name.
fn literal(name: &str) -> String {
    name.chars().flat_map(|c| matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\').into_iter().chain([c])).collect()
}

/// Reads what `find` printed: one record more than asked for says that there is more.
pub(super) fn walked(records: &str, bounds: WalkBounds) -> Walked {
    let mut walked = Walked { entries: Vec::new(), complete: true };
    // What follows the last NUL was cut off.
    let (whole, rest) = records.rsplit_once('\0').unwrap_or(("", records));
    if !rest.trim().is_empty() {
        walked.complete = false;
    }
    for record in whole.split('\0').filter(|record| !record.is_empty()) {
        if walked.entries.len() == bounds.entries {
            walked.complete = false;
            break;
        }
        let Some((path, info)) = entry(record) else { continue };
        let depth = path.matches('/').count() + 1;
        if info.is_dir && bounds.depth > 1 && depth >= bounds.depth && !bounds.skip.contains(&info.name.as_str()) {
            walked.complete = false;
        }
        walked.entries.push((path, info));
    }
    walked.entries.sort_by(|a, b| a.0.cmp(&b.0));
    walked
}

fn entry(record: &str) -> Option<(String, FileInfo)> {
    let mut fields = record.splitn(7, ' ');
    let letter = fields.next()?.chars().next()?;
    let size = fields.next()?.parse().ok()?;
    let bits = u32::from_str_radix(fields.next()?, 8).ok()?;
    let (seconds, nanos) = fields.next()?.split_once('.')?;
    let (owner, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let path = fields.next()?.to_owned();
    let nanos = nanos.get(..9).unwrap_or("0").parse().unwrap_or(0);
    let modified = DateTime::from_timestamp(seconds.parse().ok()?, nanos).unwrap_or_else(|| NaiveDateTime::default().and_utc());
    let name = path.rsplit('/').next()?.to_owned();
    let mode = kind_of_letter(letter).unwrap_or(REGULAR) | bits;
    Some((path, FileInfo { name, is_dir: letter == 'd', size, mode, modified, owner, group }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn described(json: &str) -> FileInfo {
        serde_json::from_str::<Described>(json).unwrap().into()
    }

    #[test]
    fn old_and_new_descriptions_are_read() {
        let info = described(
            r#"{"name":"ä b.txt","size":12,"mode":"-rw-r--r--","modTime":"2025-03-01 10:20:30.5 +0100 CET","isDir":false,"owner":"1000","group":"1000","permissions":"0644"}"#,
        );
        assert_eq!((info.name.as_str(), info.size, info.mode, info.owner), ("ä b.txt", 12, 0o100_644, 1000));
        assert_eq!(info.modified.to_rfc3339(), "2025-03-01T09:20:30.500+00:00");
        let info = described(
            r#"{"name":"d","mode":"dtrwxrwxrwx","modifiedAt":"2025-03-01T09:20:30Z","isDir":true,"owner":"daytona","extra":[1]}"#,
        );
        assert_eq!((info.is_dir, info.mode, info.owner, info.group), (true, 0o041_777, 65534, 65534));
        assert_eq!(described(r#"{"name":"l","mode":"Lrwxrwxrwx"}"#).mode, 0o120_777);
        assert_eq!(described(r#"{"name":"x","mode":"ä"}"#).mode & 0o170_000, 0o100_000);
    }

    #[test]
    fn records_of_find_become_entries() {
        let bounds = WalkBounds { depth: 2, entries: 3, skip: &["node_modules"] };
        let records =
            "d 4096 755 1700000000.5000000000 0 0 src\0f 3 644 1700000000.0000000000 7 8 src/a b\nc\0l 9 777 1.0 0 0 link\0";
        let found = walked(records, bounds);
        let names: Vec<_> = found.entries.iter().map(|(path, info)| (path.as_str(), info.is_dir)).collect();
        assert_eq!(names, [("link", false), ("src", true), ("src/a b\nc", false)]);
        assert!(found.complete);
        assert_eq!(found.entries[2].1.owner, 7);
        assert!(!walked(&format!("{records}f 1 644 1.0 0 0 more\0"), bounds).complete);
        assert!(!walked("d 1 755 1.0 0 0 a/deep\0", bounds).complete);
        assert!(walked("d 1 755 1.0 0 0 a/node_modules\0", bounds).complete);
        assert!(!walked("f 1 644 1.0 0 0 a\0f 1 64", bounds).complete);
    }
}
