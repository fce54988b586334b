//! Pictures and files that people put into what they write on GitHub: found in Markdown, fetched from GitHub's own addresses alone.
//!
//! Whoever writes a comment chooses its addresses, so only hosts that are GitHub's are asked, redirects included. The credential goes
//! to GitHub itself and to nobody it redirects to. Pictures of private repositories are had under the signed addresses that GitHub puts
//! into the rendered text; they hold for a few minutes.

use std::collections::HashSet;
use std::sync::LazyLock;

use pulldown_cmark::{Event, Tag, TagEnd};
use regex::Regex;
use serde::Deserialize;
use url::Url;

use super::RepoRef;
use super::auth::{As, Needs};
use super::client::Github;
use super::comment::CommentId;
use super::download::{At, Keep, Order};
use super::error::GithubError;
use crate::markdown::{self, TokenKind};

/// Renderings are not larger than this.
const LARGEST_TEXT: usize = 4 << 20;
/// Links that are looked at in one text.
const MOST_LINKS: usize = 50;

/// Something that a text shows or links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Where it is, as written.
    pub url: Url,
    /// What its author calls it: the alternative text of a picture, the text of a link.
    pub label: String,
    /// True when it is shown as a picture.
    pub is_shown: bool,
}

/// What a text shows, and the files it links to, in order, each once. Code counts for nothing.
pub fn linked(text: &str) -> Vec<Linked> {
    let mut found: Vec<Linked> = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(Option<Url>, bool, String)> = Vec::new();
    let mut keep = |url: Option<Url>, label: &str, is_shown: bool| {
        let Some(url) = url.filter(|url| is_shown || is_upload(url)) else { return };
        if seen.len() < MOST_LINKS && seen.insert(url.to_string()) {
            found.push(Linked { url, label: label.trim().to_owned(), is_shown });
        }
    };
    for (event, range) in markdown::events(text) {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => open.push((Url::parse(&dest_url).ok(), true, String::new())),
            Event::Start(Tag::Link { dest_url, .. }) => open.push((Url::parse(&dest_url).ok(), false, String::new())),
            Event::End(TagEnd::Image | TagEnd::Link) => {
                if let Some((url, is_shown, label)) = open.pop() {
                    keep(url, &label, is_shown);
                }
            }
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                for (url, label) in images(&text[range]) {
                    keep(Some(url), &label, true);
                }
            }
            Event::Text(words) => match open.last_mut() {
                Some((_, _, label)) => label.push_str(&words),
                // GitHub makes links of bare addresses.
                None => {
                    for url in words.split_whitespace().filter_map(|word| Url::parse(word).ok()) {
                        keep(Some(url), "", false);
                    }
                }
            },
            _ => {}
        }
    }
    found
}

/// The pictures of a piece of HTML, with their alternative texts.
fn images(html: &str) -> Vec<(Url, String)> {
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)\s(src|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+))"#).expect("the pattern is constant and valid")
    });
    let tokens = markdown::html_tokens(html).into_iter();
    let tags = tokens.filter(|token| token.name == "img" && matches!(token.kind, TokenKind::Open | TokenKind::Void));
    let read = |token: markdown::Token| {
        let (mut url, mut label) = (None, String::new());
        for found in ATTRIBUTE.captures_iter(&html[token.range]) {
            let value = [2, 3, 4].into_iter().find_map(|group| found.get(group)).map_or("", |value| value.as_str());
            let value = value.replace("&amp;", "&");
            if found[1].eq_ignore_ascii_case("src") { url = Url::parse(&value).ok() } else { label = value }
        }
        url.map(|url| (url, label))
    };
    tags.filter_map(read).collect()
}

/// Whether an address is one of a file that somebody put into a comment, on whatever GitHub.
fn is_upload(url: &Url) -> bool {
    let path: Vec<&str> = url.path().trim_start_matches('/').split('/').collect();
    match path.as_slice() {
        ["user-attachments", "files" | "assets", _, ..] | ["storage", "user", _, ..] => true,
        [_, _, "files", number, _] => number.bytes().all(|byte| byte.is_ascii_digit()),
        [_, _, "assets", number, _] => number.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Hosts of pictures in comments; everybody can read what is there, or holds a signed address.
const PICTURE_HOSTS: [&str; 2] = ["user-images.githubusercontent.com", "private-user-images.githubusercontent.com"];

/// Where GitHub keeps what its own addresses redirect to.
fn is_store(host: &str) -> bool {
    let bucket = host.strip_suffix(".s3.amazonaws.com").unwrap_or_default();
    let own = ["github-production-user-asset-", "github-production-repository-file-", "github-production-repository-image-"];
    PICTURE_HOSTS.contains(&host)
        || host == "objects.githubusercontent.com"
        || own.iter().any(|own| bucket.starts_with(own) && !bucket.contains('.'))
}

/// A rendered text; one of the two fields is there.
#[derive(Deserialize)]
struct Rendered {
    body_html: Option<String>,
}

/// Signed addresses of the pictures in a text.
#[derive(Clone, Debug, Default)]
pub struct Signed(Vec<Url>);

impl Signed {
    fn read(html: &str) -> Self {
        Self(images(html).into_iter().map(|(url, _)| url).filter(|url| url.host_str() == Some(PICTURE_HOSTS[1])).collect())
    }

    /// The signed address of an upload: both hold its name.
    fn of(&self, url: &Url) -> Option<&Url> {
        let name = url.path_segments()?.next_back().filter(|name| name.len() >= 32)?;
        let stem = name.split('.').next().unwrap_or(name);
        self.0.iter().find(|signed| signed.path().contains(stem))
    }
}

impl Github {
    /// The signed addresses in the text of an issue, or of a comment on it.
    ///
    /// # Errors
    /// As the call.
    pub async fn signed(&self, repo: &RepoRef, number: i64, comment: Option<CommentId>) -> Result<Signed, GithubError> {
        let what = comment.map_or_else(|| number.to_string(), |CommentId(id)| format!("comments/{id}"));
        let at = |url: &Url| if self.is_api(url) { At::Home } else { At::Closed };
        let order = Order {
            url: self.api_address(&format!("{}/issues/{what}", repo.path()?))?,
            accept: "application/vnd.github.full+json",
            who: As::Repository(repo, Needs::Conversation),
            at: &at,
            keep: Keep::Whole(LARGEST_TEXT),
        };
        let fetched = self.download(order).await?;
        let rendered: Rendered = serde_json::from_slice(&fetched.bytes)
            .map_err(|error| GithubError::Invalid(format!("an answer that cannot be read: {error}")))?;
        Ok(Signed::read(&rendered.body_html.unwrap_or_default()))
    }

    /// Whether [`Github::upload`] would ask for it.
    pub fn is_ours_to_fetch(&self, url: &Url) -> bool {
        self.first(url) == At::Open
    }

    /// What somebody put into a comment of this repository; at most `most` bytes.
    ///
    /// # Errors
    /// As a call. `Invalid` for what is larger, or not on GitHub.
    pub async fn upload(&self, repo: &RepoRef, url: &Url, signed: &Signed, most: usize) -> Result<Vec<u8>, GithubError> {
        if let Some(signed) = signed.of(url)
            && let Ok(bytes) = self.fetch_upload(repo, signed, most, At::Open).await
        {
            return Ok(bytes);
        }
        match self.fetch_upload(repo, url, most, At::Open).await {
            // What is private is not there for strangers.
            Err(GithubError::NotFound | GithubError::Forbidden { .. }) if self.is_web(url) && is_upload(url) => {
                self.fetch_upload(repo, url, most, At::Home).await
            }
            fetched => fetched,
        }
    }

    async fn fetch_upload(&self, repo: &RepoRef, url: &Url, most: usize, home: At) -> Result<Vec<u8>, GithubError> {
        let at = |asked: &Url| match self.first(asked) {
            At::Open if asked == url && self.is_web(url) => home,
            At::Open | At::Home => At::Open,
            At::Closed if asked != url && self.is_safe(asked) && asked.host_str().is_some_and(is_store) => At::Open,
            At::Closed => At::Closed,
        };
        let order = Order {
            url: url.clone(),
            accept: "*/*",
            who: As::Repository(repo, Needs::Conversation),
            at: &at,
            keep: Keep::Whole(most),
        };
        Ok(self.download(order).await?.bytes)
    }

    /// What an address is that somebody wrote: open or closed.
    fn first(&self, url: &Url) -> At {
        let host = url.host_str().unwrap_or_default();
        let is_upload = self.is_web(url) && is_upload(url);
        // The hosts for pictures belong to github.com.
        let is_picture = self.web_host() == Some("github.com") && PICTURE_HOSTS.contains(&host) && self.is_safe(url);
        if is_upload || is_picture { At::Open } else { At::Closed }
    }

    /// Encrypted, on the usual port, without a user.
    fn is_safe(&self, url: &Url) -> bool {
        url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && url.password().is_none()
    }

    /// Whether an address is on GitHub's own pages: beside the API, or, for an Enterprise Server, on its host and port.
    fn is_web(&self, url: &Url) -> bool {
        let Ok(api) = Url::parse(self.api_url()) else { return false };
        url.username().is_empty()
            && url.password().is_none()
            && url.host_str() == self.web_host()
            && url.scheme() == api.scheme()
            && url.port_or_known_default() == api.port_or_known_default()
    }

    fn web_host(&self) -> Option<&str> {
        web_host(self.host())
    }
}

/// The pages of `api.github.com` are on `github.com`, those of `api.name.ghe.com` on `name.ghe.com`, those of an Enterprise Server on it.
fn web_host(api: Option<&str>) -> Option<&str> {
    let api = api?;
    match api.strip_prefix("api.") {
        Some(web) if web == "github.com" || web.ends_with(".ghe.com") => Some(web),
        Some(_) | None => Some(api),
    }
}

/// The kind of a picture by how it begins; SVG is a program rather than a picture, and none.
pub fn picture_type(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The name of an upload as its address has it.
pub fn upload_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    crate::attachment::clean_name(&decoded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_text_shows_is_found_outside_of_code() {
        let text = "![a plot](https://github.com/user-attachments/assets/0bec7adc) and <img width=\"3\" alt='b' src=\"https://x.example/y.png\">\n\n\
             [log.txt](https://github.com/user-attachments/files/16339507/log.txt) [elsewhere](https://x.example/z)\n\n\
             `![no](https://github.com/user-attachments/assets/1)`\n\nhttps://github.com/user-attachments/assets/2\n\n![a plot](https://github.com/user-attachments/assets/0bec7adc)";
        let found: Vec<_> = linked(text).into_iter().map(|one| format!("{} {} {}", one.url, one.label, one.is_shown)).collect();
        assert_eq!(
            found,
            [
                "https://github.com/user-attachments/assets/0bec7adc a plot true",
                "https://x.example/y.png b true",
                "https://github.com/user-attachments/files/16339507/log.txt log.txt false",
                "https://github.com/user-attachments/assets/2  false",
            ]
        );
    }

    #[test]
    fn only_githubs_own_stores_are_redirected_to() {
        for own in [
            "objects.githubusercontent.com",
            "private-user-images.githubusercontent.com",
            "github-production-user-asset-6210df.s3.amazonaws.com",
        ] {
            assert!(is_store(own), "{own}");
        }
        for other in [
            "evil.s3.amazonaws.com",
            "github-production-user-asset-6210df.s3.amazonaws.com.evil.example",
            "camo.githubusercontent.com",
            "evil.github-production-user-asset-1.s3.amazonaws.com",
            "github-production-user-asset-1.evil.s3.amazonaws.com",
            "169.254.169.254",
            "localhost",
        ] {
            assert!(!is_store(other), "{other}");
        }
        assert_eq!(web_host(Some("api.github.com")), Some("github.com"));
        assert_eq!(web_host(Some("api.acme.ghe.com")), Some("acme.ghe.com"));
        assert_eq!(web_host(Some("api.evil.example")), Some("api.evil.example"));
        assert_eq!(web_host(Some("ghe.example")), Some("ghe.example"));
    }

    #[test]
    fn signed_addresses_are_found_by_name() {
        let html = "<p><a href=\"x\"><img src=\"https://private-user-images.githubusercontent.com/1/2-0bec7adc-52c5-432f-bca7-c9a3186649b4.png?jwt=a&amp;b=c\" alt=\"x\"></a></p>\
             <img src=\"https://evil.example/0bec7adc-52c5-432f-bca7-c9a3186649b4\">";
        let signed = Signed::read(html);
        let url = Url::parse("https://github.com/user-attachments/assets/0bec7adc-52c5-432f-bca7-c9a3186649b4").unwrap();
        assert_eq!(signed.of(&url).unwrap().query(), Some("jwt=a&b=c"));
        assert!(signed.of(&Url::parse("https://github.com/user-attachments/assets/png").unwrap()).is_none());
    }

    #[test]
    fn pictures_are_known_by_how_they_begin() {
        assert_eq!(picture_type(b"\x89PNG\r\n\x1a\n.."), Some("image/png"));
        assert_eq!(picture_type(b"GIF89a.."), Some("image/gif"));
        assert_eq!(picture_type(b"RIFF\0\0\0\0WEBPVP8"), Some("image/webp"));
        for none in [&b"<svg xmlns='x'>"[..], b"<html>", b"%PDF", b"", b"\x89PNG"] {
            assert_eq!(picture_type(none), None);
        }
        assert_eq!(upload_name(&Url::parse("https://github.com/o/r/files/1/..%2F..%2Fa%20b.txt").unwrap()), "a-b.txt");
    }
}
