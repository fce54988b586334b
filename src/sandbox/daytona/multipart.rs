//! Reads the form in which the toolbox sends many files. Pure, on a body that may have been cut off anywhere.

use std::ops::Range;

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// Its parts in order; the last may be cut off.
    pub parts: Vec<Part>,
    /// The closing boundary was there.
    pub is_whole: bool,
}

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Name of its field.
    pub name: String,
    /// Name of the file; from `filename*` where that is given, because the plain one loses characters.
    pub file_name: Option<String>,
    /// Its size, where it was announced.
    pub length: Option<u64>,
    /// Where its content lies in the body.
    pub content: Range<usize>,
    /// Its end was there.
    pub is_whole: bool,
}

/// The boundary a `Content-Type` names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let parameters = content_type.split_once(';')?.1;
    let found = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    found.filter(|boundary| !boundary.is_empty())
}

/// Reads a body. A part that announces its length may contain the boundary.
pub(super) fn parse(body: &[u8], boundary: &str) -> Form {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut form = Form::default();
    let Some(first) = find(body, &delimiter) else { return form };
    let mut at = first + delimiter.len();
    while !body[at..].starts_with(b"--") {
        let Some(start) = find(&body[at..], b"\r\n").map(|end| at + end + 2) else { return form };
        let Some((headers, content)) = headers(body, start) else { return form };
        let end = content_end(body, content, headers.length, &delimiter);
        let is_whole = end.is_some();
        let stop = end.unwrap_or(body.len());
        let Headers { name, file_name, length } = headers;
        form.parts.push(Part { name, file_name, length, content: content..stop, is_whole });
        if !is_whole {
            return form;
        }
        at = stop + 2 + delimiter.len();
    }
    form.is_whole = true;
    form
}

/// Where content ends that begins at `start`: before a line break and the delimiter.
fn content_end(body: &[u8], start: usize, length: Option<u64>, delimiter: &[u8]) -> Option<usize> {
    let ends = |end: usize| body.get(end..).is_some_and(|rest| rest.starts_with(b"\r\n") && rest[2..].starts_with(delimiter));
    if let Some(length) = length {
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length))?;
        return ends(end).then_some(end);
    }
    let wanted = [b"\r\n", delimiter].concat();
    find(&body[start..], &wanted).map(|end| start + end)
}

#[derive(Default)]
struct Headers {
    name: String,
    file_name: Option<String>,
    length: Option<u64>,
}

/// The headers that begin at `start`, and where the content after them begins.
fn headers(body: &[u8], start: usize) -> Option<(Headers, usize)> {
    let mut headers = Headers::default();
    let mut at = start;
    loop {
        let end = at + find(body.get(at..)?, b"\r\n")?;
        let line = String::from_utf8_lossy(&body[at..end]);
        at = end + 2;
        if line.is_empty() {
            return Some((headers, at));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            headers.length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("content-disposition") {
            let parameters = parameters(value);
            let of = |wanted: &str| parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
            headers.name = of("name").cloned().unwrap_or_default();
            headers.file_name = of("filename*").and_then(|value| extended(value)).or_else(|| of("filename").cloned());
        }
    }
}

/// `form-data; name="file"; filename="a;\"b"` as pairs, quotes removed.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once('=') {
        let mut text = String::new();
        let after = after.trim_start();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut characters = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => text.extend(characters.next().map(|(_, character)| character)),
                    _ => text.push(character),
                }
            }
            rest = quoted[end..].split_once(';').map_or("", |(_, rest)| rest);
        } else {
            let (plain, next) = after.split_once(';').unwrap_or((after, ""));
            text.push_str(plain.trim());
            rest = next;
        }
        pairs.push((name.trim().to_owned(), text));
    }
    pairs
}

/// `UTF-8''a%20b` as text.
fn extended(value: &str) -> Option<String> {
    let encoded = value.splitn(3, '\'').nth(2)?.as_bytes();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while at < encoded.len() {
        let decoded = (encoded[at] == b'%')
            .then(|| std::str::from_utf8(encoded.get(at + 1..at + 3)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(encoded[at]));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(bytes).ok()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn body(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (path, content, has_length) in files {
            let escape =
                |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            let name: String = path.bytes().map(escape).collect();
            body.extend(
                format!("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"?\\\"\"; filename*=UTF-8''{name}\r\n")
                    .bytes(),
            );
            if *has_length {
                body.extend(format!("Content-Length: {}\r\n", content.len()).bytes());
            }
            body.extend(b"\r\n");
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"--B--\r\n");
        body
    }

    #[test]
    fn names_survive_and_content_may_contain_the_boundary() {
        let body = body(&[("/w/ä b;\"c", b"x\r\n--B\r\ny", true), ("/w/2", b"", false)]);
        let form = parse(&body, "B");
        assert!(form.is_whole);
        assert_eq!(form.parts[0].file_name.as_deref(), Some("/w/ä b;\"c"));
        assert_eq!(&body[form.parts[0].content.clone()], b"x\r\n--B\r\ny");
        assert_eq!((form.parts[1].file_name.as_deref(), form.parts[1].content.len()), (Some("/w/2"), 0));
    }

    #[test]
    fn the_boundary_is_found_in_its_header() {
        assert_eq!(boundary("multipart/form-data; boundary=DAYTONA-FILE-BOUNDARY").unwrap(), "DAYTONA-FILE-BOUNDARY");
        assert_eq!(boundary("multipart/form-data; charset=x; boundary=\"a b\"").unwrap(), "a b");
        assert_eq!(boundary("application/json"), None);
    }

    #[test]
    fn a_plain_name_is_used_where_there_is_no_other() {
        let text = "--B\r\ncontent-disposition: form-data; name=error; filename=\"a b\"\r\n\r\n{}\r\n--B--";
        let form = parse(text.as_bytes(), "B");
        assert_eq!((form.parts[0].name.as_str(), form.parts[0].file_name.as_deref()), ("error", Some("a b")));
    }

    proptest! {
        #[test]
        fn what_is_cut_off_is_never_taken_for_whole(
            one in prop::collection::vec(any::<u8>(), 0..60),
            two in prop::collection::vec(any::<u8>(), 0..60),
            cut in 0usize..400,
        ) {
            let whole = body(&[("/a", &one, true), ("/b", &two, true)]);
            let cut = cut.min(whole.len());
            let form = parse(&whole[..cut], "B");
            prop_assert_eq!(form.is_whole, cut >= whole.len() - 2);
            for part in form.parts.iter().filter(|part| part.is_whole) {
                let content: &[u8] = if part.file_name.as_deref() == Some("/a") { &one } else { &two };
                prop_assert_eq!(&whole[part.content.clone()], content);
            }
        }

        #[test]
        fn noise_is_not_a_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&noise, "B");
        }
    }
}
