//! Paths and pagination links, on any host and under any base path.

use url::Url;

/// Percent-encodes a path segment or query value.
pub(super) fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The target of `relation` in a `Link` header.
pub(super) fn find(links: &str, relation: &str) -> Option<String> {
    links.split(',').find_map(|link| {
        let (target, parameters) = link.split_once(';')?;
        let wanted = format!("rel=\"{relation}\"");
        parameters.split(';').any(|parameter| parameter.trim() == wanted).then_some(())?;
        Some(target.trim().strip_prefix('<')?.strip_suffix('>')?.to_owned())
    })
}

/// Path and query of a link without its host and the API's base path. The host is dropped on purpose: credentials go to the
/// configured server and nowhere else.
pub(super) fn relative(link: &str, base_path: &str) -> Option<String> {
    let absolute = Url::parse(link).or_else(|_| Url::parse("http://relative.invalid").and_then(|base| base.join(link))).ok()?;
    let path = absolute.path().strip_prefix(base_path).filter(|rest| rest.starts_with('/')).unwrap_or(absolute.path());
    Some(match absolute.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

/// The `page` a link speaks of.
pub(super) fn page(link: &str) -> Option<u32> {
    let (_, query) = link.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: &str = r#"<https://h/api/v3/repositories/5/issues/7/comments?page=3&per_page=100>; rel="next", <https://h/api/v3/x?page=9>; rel="last""#;

    #[test]
    fn links_are_found_and_made_relative() {
        let next = find(LINKS, "next").unwrap_or_default();
        assert_eq!(relative(&next, "/api/v3").as_deref(), Some("/repositories/5/issues/7/comments?page=3&per_page=100"));
        assert_eq!(relative(&next, "").as_deref(), Some("/api/v3/repositories/5/issues/7/comments?page=3&per_page=100"));
        assert_eq!(relative("/repos/a/b?page=2", "/api/v3").as_deref(), Some("/repos/a/b?page=2"));
        assert_eq!(relative("https://h/api/v3x/y", "/api/v3").as_deref(), Some("/api/v3x/y"));
        assert_eq!(find(LINKS, "prev"), None);
        assert_eq!(find(LINKS, "last").and_then(|link| page(&link)), Some(9));
        assert_eq!(page(&next), Some(3));
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(encode("threadbox[bot]"), "threadbox%5Bbot%5D");
        assert_eq!(encode("a/../b?c"), "a%2F..%2Fb%3Fc");
    }
}
