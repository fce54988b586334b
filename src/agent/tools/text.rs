//! Small helpers for what tools say.

use crate::sandbox::{FileInfo, Sandbox, SandboxError};

/// Cuts text to about `limit` bytes and says what was left out.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit);
    format!("{} [… {} bytes left out]", &text[..end], text.len() - end)
}

/// The beginning, at most `limit` bytes.
pub(super) fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The first line, cut for a checklist.
pub(super) fn short(text: &str) -> String {
    const SHORT: usize = 60;
    let line = text.trim().lines().next().unwrap_or_default();
    let cut: String = line.chars().take(SHORT).collect();
    if cut.len() < text.trim().len() { format!("{}…", cut.trim_end()) } else { cut }
}

/// The known name that is most likely meant.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let name = plain(name);
    let scored = known.map(|known| (strsim::jaro_winkler(&name, &plain(known)), known));
    scored.filter(|(score, _)| *score > 0.84).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// Whether an error says that the file is not there, rather than the whole sandbox.
pub(super) fn is_missing(path: &str, error: &SandboxError) -> bool {
    matches!(error, SandboxError::NotFound(what) if what == path || !what.starts_with("sandbox "))
}

/// The absolute path a program inside would use.
pub(super) fn absolute(sandbox: &dyn Sandbox, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", sandbox.workspace()) };
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Base 1024, one decimal: `0 B`, `1.5 KB`.
pub(super) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// As `ls -l` shows it: `drwxr-xr-x`.
pub(super) fn symbolic_mode(info: &FileInfo) -> String {
    let kind = match info.mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        _ => '-',
    };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars()).map(|(bit, letter)| if info.mode & (1 << bit) == 0 { '-' } else { letter });
    std::iter::once(kind).chain(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        let sizes = [0, 1, 1023, 1024, 1536, 1 << 20, 5 << 30, 1 << 50].map(human_size);
        assert_eq!(sizes, ["0 B", "1 B", "1023 B", "1.0 KB", "1.5 KB", "1.0 MB", "5.0 GB", "1.0 PB"]);
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["readFile", "writeFile", "runCommand"];
        assert_eq!(closest("read_file", known.into_iter()), Some("readFile"));
        assert_eq!(closest("runCommnd", known.into_iter()), Some("runCommand"));
        assert_eq!(closest("bash", known.into_iter()), None);
    }

    #[test]
    fn lines_for_the_checklist_are_short() {
        assert_eq!(short("ls -la"), "ls -la");
        assert_eq!(short("a\nb"), "a…");
        assert_eq!(short(&"x".repeat(100)).chars().count(), 61);
    }
}
