//! What kind of file it is: by its name, and for pictures by its content too.

/// Such as `image/png`; `application/octet-stream` for what is not known. A file is a picture only if it begins like one.
pub fn media_type(name: &str, content: &[u8]) -> &'static str {
    let extension = extension(name);
    if let Some(picture) = picture_type(&extension) {
        return if begins_as(picture, content) { picture } else { text_or_bytes(content) };
    }
    match extension.as_str() {
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "json" => "application/json",
        "md" => "text/markdown",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "tar" => "application/x-tar",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => text_or_bytes(content),
    }
}

/// Whether people see it rather than read it.
pub fn is_picture(media_type: &str) -> bool {
    media_type.starts_with("image/")
}

/// Whether a file of this name is worth looking into.
pub fn may_be_picture(path: &str) -> bool {
    picture_type(&extension(path)).is_some()
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn picture_type(extension: &str) -> Option<&'static str> {
    match extension {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn begins_as(picture: &str, content: &[u8]) -> bool {
    match picture {
        "image/png" => content.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => content.starts_with(b"\xff\xd8\xff"),
        "image/gif" => content.starts_with(b"GIF87a") || content.starts_with(b"GIF89a"),
        "image/webp" => content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP"),
        _ => {
            let head = content[..content.len().min(4096)].to_ascii_lowercase();
            !content.contains(&0) && head.windows(4).any(|piece| piece == b"<svg")
        }
    }
}

fn text_or_bytes(content: &[u8]) -> &'static str {
    if !content.contains(&0) && std::str::from_utf8(content).is_ok() { "text/plain" } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_must_begin_like_pictures() {
        assert_eq!(media_type("a.PNG", b"\x89PNG\r\n\x1a\nrest"), "image/png");
        assert_eq!(media_type("a.png", b"<html>"), "text/plain");
        assert_eq!(media_type("a.jpg", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(media_type("a.gif", b"GIF89a.."), "image/gif");
        assert_eq!(media_type("a.webp", b"RIFF\0\0\0\0WEBPVP8 "), "image/webp");
        assert_eq!(media_type("a.svg", b"<?xml version='1.0'?>\n<SVG/>"), "image/svg+xml");
        assert_eq!(media_type("a.svg", b"\0"), "application/octet-stream");
        assert_eq!(
            (media_type("a.csv", b"\xff"), media_type("a", b"x"), media_type("a.bin", b"\xff")),
            ("text/csv", "text/plain", "application/octet-stream")
        );
        assert!(may_be_picture("x/y.svg") && !may_be_picture("png") && is_picture("image/gif") && !is_picture("text/plain"));
    }
}
