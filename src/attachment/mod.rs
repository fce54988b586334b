//! Attachments: files of a sandbox that people get with an answer, kept as they were when the agent had them.
//!
//! An attachment is stored with the result of the call that made it and served under a link that nobody can guess. Whoever has the link
//! may read it; it is forgotten after a while.

mod media;
pub(crate) mod store;

use bytes::Bytes;
use url::Url;

pub use media::{is_picture, may_be_picture, media_type};

/// Bytes of a picture that is attached without being asked for.
pub const MAX_PICTURE: usize = 4 << 20;
/// Bytes of a file the agent attaches.
pub const MAX_FILE: usize = 8 << 20;
/// Characters of a name.
const MAX_NAME: usize = 80;
/// Texts up to this size are shown in the answer itself.
const MAX_SHOWN: usize = 8 << 10;

/// What a run may still attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Allowance {
    /// Files.
    pub files: usize,
    /// Bytes of all of them together.
    pub bytes: u64,
}

impl Default for Allowance {
    /// What a run may attach in all.
    fn default() -> Self {
        Self { files: 40, bytes: 16 << 20 }
    }
}

impl Allowance {
    /// Whether one more file of this size may be attached; the error says why not.
    pub fn admit(&self, size: u64) -> Result<(), String> {
        let whole = Self::default();
        if self.files == 0 {
            Err(format!("{} files are attached already, which is the most an answer may have", whole.files))
        } else if size > self.bytes {
            Err(format!(
                "the files of an answer may have {} MB together, of which {} bytes are left",
                whole.bytes >> 20,
                self.bytes
            ))
        } else {
            Ok(())
        }
    }

    /// What is left after a file of this size.
    #[must_use]
    pub fn without(self, size: u64) -> Self {
        Self { files: self.files.saturating_sub(1), bytes: self.bytes.saturating_sub(size) }
    }
}

/// An attachment that is to be stored.
#[derive(Clone, Debug)]
pub struct NewAttachment {
    /// Names it in its link. Random, so that only those who were given the link can read it.
    pub token: String,
    /// The run event that tells of it; what makes storing it twice find the first.
    pub event: i32,
    /// As [`clean_name`] leaves it.
    pub name: String,
    /// As [`media_type`] says.
    pub media_type: String,
    /// The file.
    pub content: Bytes,
}

/// A new token: 160 random bits, in hexadecimal, so that it is never taken for a secret of somebody else.
pub fn new_token() -> String {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    hex::encode(bytes)
}

/// Whether a text could be a token.
pub fn is_token(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The last part of a path as a name for people and addresses: no separators, nothing invisible, no white space, never empty, at most 80
/// characters. Keeps what follows the last dot.
pub fn clean_name(path: &str) -> String {
    let base = path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = crate::reply::clean::visible(base);
    let kept: String = visible
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '=' | ',' | '~') => Some(c),
            c if c.is_whitespace() || c.is_ascii_punctuation() => Some('-'),
            _ => None,
        })
        .collect();
    let kept = kept.trim_start_matches(['.', '-']);
    let (stem, extension) = match kept.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= 10 && !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (kept, String::new()),
    };
    let room = MAX_NAME - extension.chars().count();
    let stem: String = stem.chars().take(room).collect();
    if stem.is_empty() { format!("file{extension}") } else { format!("{stem}{extension}") }
}

/// Where it can be fetched.
pub fn address(public_url: &Url, token: &str, name: &str) -> String {
    let mut url = public_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["attachments", token, name]);
    }
    url.to_string()
}

/// Whether others than this machine can fetch it, as far as the address tells.
pub fn is_public(public_url: &Url) -> bool {
    match public_url.host() {
        Some(url::Host::Domain(name)) => name != "localhost" && !name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => !address.is_loopback() && !address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => !address.is_loopback() && !address.is_unspecified(),
        None => false,
    }
}

/// The text of an attachment that is short enough to be shown.
pub fn shown_text(media_type: &str, content: &[u8]) -> Option<String> {
    if is_picture(media_type) || content.len() > MAX_SHOWN || content.contains(&0) {
        return None;
    }
    std::str::from_utf8(content).ok().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_plain() {
        let names = [
            "out/plot.png",
            "a b (1).txt",
            "../../etc/passwd",
            ".env",
            "ä\u{202e}gnp.exe",
            "/",
            "<img src=x>.svg",
            "x](http:--e)",
            "日本.csv",
        ];
        assert_eq!(
            names.map(clean_name),
            ["plot.png", "a-b--1-.txt", "passwd", "env", "ägnp.exe", "file", "img-src=x-.svg", "x--http---e-", "日本.csv"]
        );
        assert_eq!(clean_name(&format!("{}.png", "x".repeat(200))), format!("{}.png", "x".repeat(76)));
    }

    #[test]
    fn addresses_hold_token_and_name() {
        let address = |base: &str, name: &str| address(&Url::parse(base).unwrap(), "t0", name);
        assert_eq!(address("https://bot.example", "a.png"), "https://bot.example/attachments/t0/a.png");
        assert_eq!(address("https://bot.example/base/", "ä#.png"), "https://bot.example/base/attachments/t0/%C3%A4%23.png");
        let is_public = |base: &str| is_public(&Url::parse(base).unwrap());
        assert!(is_public("https://bot.example") && is_public("http://10.0.0.1:80"));
        assert!(
            !is_public("http://127.0.0.1:8080")
                && !is_public("http://[::1]")
                && !is_public("http://localhost:1")
                && !is_public("http://0.0.0.0")
        );
    }

    #[test]
    fn tokens_are_random() {
        let (one, two) = (new_token(), new_token());
        assert!(one != two && is_token(&one) && is_token(&two));
        assert!(!is_token("") && !is_token(&"A".repeat(40)) && !is_token(&one[1..]));
    }

    #[test]
    fn an_allowance_is_used_up() {
        let small = Allowance { files: 2, bytes: 10 };
        assert_eq!(small.admit(10), Ok(()));
        assert!(small.admit(11).unwrap_err().contains("10 bytes are left"));
        assert!(small.without(3).without(3).admit(1).unwrap_err().contains("40 files"));
    }

    #[test]
    fn short_texts_are_shown() {
        assert_eq!(shown_text("text/csv", b"a,b\n").unwrap(), "a,b\n");
        assert_eq!(shown_text("text/csv", &b"a".repeat(9000)), None);
        assert_eq!(shown_text("application/octet-stream", b"a\0"), None);
        assert_eq!(shown_text("image/svg+xml", b"<svg/>"), None);
    }

    proptest! {
        #[test]
        fn any_name_fits_and_stays(name in "\\PC{0,120}") {
            let clean = clean_name(&name);
            prop_assert!(!clean.is_empty() && clean.chars().count() <= MAX_NAME);
            prop_assert!(!clean.contains(|c: char| c.is_whitespace() || "/\\<>[]()`*@|&\"'".contains(c)), "{}", clean);
            prop_assert_eq!(clean_name(&clean), clean);
        }
    }
}
