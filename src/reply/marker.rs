//! The hidden line that names a post, so that it is found again when its record was lost.

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

/// Longest key that stands in a marker as it is.
const MAX_KEY: usize = 200;

/// The marker of a key: an HTML comment nobody sees. Whatever the key, it stays one comment: letters, digits and `.` `_` `:` `/` and
/// single `-` stand as they are, every other byte as `%XX`; a key over 200 bytes is shortened to its beginning and a digest.
pub fn marker(key: &str) -> String {
    format!("<!-- threadbox:post={} -->", encode(key))
}

/// A body with the marker of its key as the last line.
pub fn mark(body: &str, key: &str) -> String {
    format!("{}\n\n{}", body.trim_end(), marker(key))
}

/// The key a body was posted under (in the shortened form when it was shortened). It is the last marker that counts: ours stands
/// at the end, and text inside a post may hold something that looks like one.
pub fn find(body: &str) -> Option<String> {
    static MARKER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<!-- threadbox:post=([A-Za-z0-9._:/%-]+) -->").expect("the pattern is constant and valid"));
    let (_, [encoded]) = MARKER.captures_iter(body).last()?.extract();
    decode(encoded)
}

/// True when the body was posted under this key.
pub fn has(body: &str, key: &str) -> bool {
    find(body).is_some_and(|found| encode(&found) == encode(key))
}

fn encode(key: &str) -> String {
    let shortened;
    let key = if key.len() > MAX_KEY {
        shortened = format!("{}:{}", &key[..key.floor_char_boundary(MAX_KEY / 2)], hex::encode(Sha256::digest(key)));
        &shortened
    } else {
        key
    };
    let mut out = String::new();
    for byte in key.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"._:/".contains(&byte) || (byte == b'-' && !out.ends_with('-'));
        if plain { out.push(byte as char) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            bytes.extend(hex::decode(rest.get(..2)?).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_marker_is_an_invisible_line() {
        insta::assert_snapshot!(marker("run:0198c0de-7b1f:answer"), @"<!-- threadbox:post=run:0198c0de-7b1f:answer -->");
        insta::assert_snapshot!(marker("a --> b"), @"<!-- threadbox:post=a%20-%2D%3E%20b -->");
    }

    #[test]
    fn the_last_marker_counts() {
        let forged = format!("text {} more", marker("other"));
        assert_eq!(find(&mark(&forged, "mine")), Some("mine".into()));
        assert!(has(&mark(&forged, "mine"), "mine") && !has(&mark(&forged, "mine"), "other"));
        assert_eq!(find("nothing here"), None);
    }

    proptest! {
        #[test]
        fn any_key_comes_back_and_cannot_break_out(key in "\\PC{1,60}|[-]{1,9}|.{1,400}") {
            let text = marker(&key);
            prop_assert_eq!(text.matches("--").count(), 2);
            prop_assert!(text.len() < 1000 && !text.contains('\n'));
            prop_assert!(has(&mark("body", &key), &key));
            if key.len() <= MAX_KEY {
                prop_assert_eq!(find(&text), Some(key));
            }
        }
    }
}
