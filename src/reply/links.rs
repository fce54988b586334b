//! Pictures and links in text of ours that somebody else wrote. GitHub fetches a picture when the comment is shown, and people
//! click links: an address somebody else chose can carry away what stands in it. Pure.

use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::LinkType;
use regex::Regex;
use url::Url;

use super::inline;

/// More of a query, or in one piece of a path, is data.
const LONGEST_QUERY: usize = 100;
const LONGEST_PIECE: usize = 64;
const LONGEST_PATH: usize = 110;

/// Elements that fetch something by themselves, or send something.
const FETCHING: [&str; 14] = [
    "picture", "source", "video", "audio", "track", "object", "embed", "link", "meta", "base", "form", "input", "button", "frame",
];

/// What a picture becomes; none where it may stay.
pub(super) fn image(text: &str, range: Range<usize>, address: &str) -> Option<(Range<usize>, String)> {
    if is_githubs_own(address) {
        return None;
    }
    let label = label(&text[range.clone()]);
    Some((range, shown(if label.trim().is_empty() { "image" } else { label }, address)))
}

/// What a link becomes; none where it may stay.
pub(super) fn link(text: &str, range: Range<usize>, kind: LinkType, address: &str) -> Option<(Range<usize>, String)> {
    let source = &text[range.clone()];
    let is_bare = matches!(kind, LinkType::Autolink | LinkType::Email);
    // A picture in a link would be clicked for the picture's sake.
    let holds_picture = !is_bare && source.contains("![");
    if kind == LinkType::Email || (!carries_data(address) && !holds_picture) {
        return None;
    }
    let replacement = match (is_bare, holds_picture) {
        (true, _) => code(address),
        (false, true) if !carries_data(address) => format!("{} ({})", label(source), inline::target(address)),
        (false, _) => format!("{} ({})", label(source), code(address)),
    };
    Some((range, replacement))
}

/// What a tag becomes; none where it may stay. `source` is a whole opening tag.
pub(super) fn tag(source: &str, name: &str) -> Option<String> {
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\s+([A-Za-z_:][A-Za-z0-9_.:-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?"#)
            .expect("the pattern is constant and valid")
    });
    const HARMLESS: [&str; 10] = ["open", "align", "valign", "colspan", "rowspan", "width", "height", "start", "dir", "href"];
    if FETCHING.contains(&name) {
        return Some(format!("&lt;{}", &source[1..]));
    }
    let mut given = ATTRIBUTE.captures_iter(source).map(|found| {
        let value = [2, 3, 4].into_iter().find_map(|group| found.get(group)).map_or("", |value| value.as_str());
        (found[1].to_ascii_lowercase(), value.to_owned())
    });
    if name == "img" {
        let address = given.find(|(name, _)| name == "src").map(|(_, value)| value);
        return Some(shown("image", &address.unwrap_or_default()));
    }
    let fine = given.all(|(name, value)| HARMLESS.contains(&name.as_str()) && (name != "href" || !carries_data(&value)));
    (!fine).then(|| format!("<{name}>"))
}

/// A label with its address, as a link where that is harmless.
fn shown(label: &str, address: &str) -> String {
    if carries_data(address) {
        format!("{} ({})", inline::plain(label, 200), code(address))
    } else {
        format!("[{}]({})", inline::plain(label, 200), inline::target(address))
    }
}

/// The address in a code span, which nothing in it can end.
fn code(address: &str) -> String {
    let shown: String = address.chars().filter(|c| !c.is_control() && *c != '`').collect();
    if shown.trim().is_empty() { "no address".to_owned() } else { format!("`{}`", shown.trim()) }
}

/// What stands between the brackets.
fn label(source: &str) -> &str {
    let inside = source.trim_start_matches('!').strip_prefix('[').unwrap_or(source);
    let end = inside.rfind("](").or_else(|| inside.rfind("][")).or_else(|| inside.rfind(']'));
    end.map_or(inside, |end| &inside[..end])
}

/// Pictures people put on GitHub themselves: whoever they belong to does not learn that they are looked at.
fn is_githubs_own(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    if url.scheme() != "https" || url.query().is_some() || !url.username().is_empty() || url.port().is_some() {
        return false;
    }
    match url.host_str() {
        Some("github.com") => url.path().starts_with("/user-attachments/"),
        Some("user-images.githubusercontent.com" | "avatars.githubusercontent.com") => true,
        _ => false,
    }
}

/// Whether an address says more than where something is.
pub(super) fn carries_data(address: &str) -> bool {
    // Relative addresses stay on GitHub.
    let Ok(url) = Url::parse(address) else { return address.starts_with("//") };
    if !matches!(url.scheme(), "http" | "https" | "mailto") {
        return true;
    }
    let is_github = url.host_str() == Some("github.com");
    let long = |text: Option<&str>| text.is_some_and(|text| text.len() > LONGEST_QUERY);
    let piece =
        |text: &str| !is_github && text.split(['/', '.', '-', '_', '=', '&', '+', ',']).any(|piece| piece.len() > LONGEST_PIECE);
    let host = url.host_str().unwrap_or_default();
    long(url.query())
        || long(url.fragment())
        || piece(url.path())
        || (!is_github && url.path().len() > LONGEST_PATH)
        || url.query().is_some_and(piece)
        || url.fragment().is_some_and(piece)
        || url.password().is_some()
        || url.username().len() > 8
        || host.len() > 100
        || host.split('.').any(|label| label.len() > 40)
}
