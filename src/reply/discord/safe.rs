//! Text of somebody else in a message of ours: nothing pings, nothing hides, nothing is markup but what we make of it. Pure.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use crate::reply::{clean, inline, links};

/// Breaks what Discord would read as one: takes no room and shows as nothing.
pub(super) const BREAK: char = '\u{200b}';

/// Longest address that is a link.
const LONGEST_ADDRESS: usize = 800;

/// Text as people would see it: no control characters, no marks that turn the direction of writing, nothing that takes no room. Emoji
/// keep what joins them.
pub(super) fn visible(text: &str) -> String {
    let joins = |c: char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    clean::visible(text).chars().filter(|c| joins(*c) || !clean::is_hidden(*c)).collect()
}

/// Running text in which Discord sees no markup, no ping and no mention. `at_start` says that it begins a line.
pub(super) fn escape(text: &str, at_start: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    if at_start && let Some(mark) = line_mark(text) {
        out.push_str(&text[..mark]);
        out.push('\\');
        let marked = text[mark..].chars().next().unwrap_or_default();
        out.push(marked);
        rest = &text[mark + marked.len_utf8()..];
    }
    let mut before = text[..text.len() - rest.len()].chars().next_back();
    while let Some(c) = rest.chars().next() {
        let taken = one(&mut out, before, c, rest);
        before = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    out
}

/// Writes what stands for the first character of `rest` and says how many bytes it took.
fn one(out: &mut String, before: Option<char>, c: char, rest: &str) -> usize {
    let after = rest[c.len_utf8()..].chars().next();
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let is_twice = before == Some(c) || after == Some(c);
    match c {
        '\\' | '*' | '`' | '[' => out.extend(['\\', c]),
        '_' if !(is_word(before) && is_word(after)) => out.extend(['\\', c]),
        '~' | '|' if is_twice => out.extend(['\\', c]),
        '@' if calls_everybody(rest) => out.extend([c, BREAK]),
        '<' => match reference(rest) {
            Some(length) => {
                out.push_str(&rest[..length]);
                return length;
            }
            None if after.is_some_and(|c| "@#:/&".contains(c)) => out.extend([c, BREAK]),
            None if after.is_some_and(char::is_alphabetic) => out.extend(['\\', c]),
            None => out.push(c),
        },
        c => out.push(c),
    }
    c.len_utf8()
}

fn calls_everybody(rest: &str) -> bool {
    ["@everyone", "@here", "@silent"].iter().any(|word| rest.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word)))
}

/// A channel or a moment: they tell nobody anything and people want to see them.
fn reference(rest: &str) -> Option<usize> {
    static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^<(?:#\d{15,20}|t:-?\d{1,12}(?::[tTdDfFR])?)>").expect("the pattern is constant and valid")
    });
    REFERENCE.find(rest).map(|found| found.end())
}

/// Where the mark stands that would make a heading, a list, a quote or a small line of this.
fn line_mark(text: &str) -> Option<usize> {
    static MARK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*(?:([#>+-])|\d{1,10}([.)]))").expect("the pattern is constant and valid"));
    let found = MARK.captures(text)?;
    found.get(1).or_else(|| found.get(2)).map(|mark| mark.start())
}

/// A code span on one line. Discord takes three backticks for a block, so runs inside are broken up.
pub(super) fn code_span(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let line = broken(&line, 1);
    let ticks = if line.contains('`') { "``" } else { "`" };
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// Code for a fence of three backticks, the only one Discord knows: no run inside is as long.
pub(super) fn fenced(text: &str) -> String {
    broken(text, 2)
}

/// The text with a break after every `most` backticks of a run.
fn broken(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        if run > most {
            out.push(BREAK);
            run = 1;
        }
        out.push(c);
    }
    out
}

/// The info string of a fence, as Discord reads one.
pub(super) fn language(info: &str) -> String {
    let word = info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
    word.chars().filter(|c| c.is_ascii_alphanumeric() || "_+-.#".contains(*c)).take(30).collect::<String>().to_lowercase()
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A link, ready to stand between `<` and `>`.
    Link(String),
    /// Shown as code, because it carries data away, invites, or is no address of the web.
    Code(String),
}

/// Judges an address that somebody else chose.
pub(super) fn address(given: &str) -> Address {
    let shown = || Address::Code(given.chars().filter(|c| !clean::is_hidden(*c)).collect());
    let Ok(url) = Url::parse(given) else { return shown() };
    let is_web = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if !is_web || given.len() > LONGEST_ADDRESS || links::carries_data(given) || invites(&url) {
        return shown();
    }
    Address::Link(inline::target(url.as_str()).replace('@', "%40"))
}

/// An address that we chose, which may be long because it grants something.
pub(super) fn our_address(given: &str) -> Address {
    match Url::parse(given) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && given.len() <= LONGEST_ADDRESS => {
            Address::Link(inline::target(url.as_str()).replace('@', "%40"))
        }
        Ok(_) | Err(_) => address(given),
    }
}

/// Discord shows these as a card with a button.
fn invites(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches("www.").to_ascii_lowercase();
    let path = url.path().to_ascii_lowercase();
    match host.as_str() {
        "discord.gg" | "dsc.gg" | "discord.me" | "discord.new" | "discord.gift" => true,
        "discord.com" | "discordapp.com" | "ptb.discord.com" | "canary.discord.com" => {
            ["/invite", "/template", "/gifts", "/oauth2", "/api/oauth2"].iter().any(|start| path.starts_with(start))
        }
        _ => false,
    }
}

/// Addresses in running text, as Discord would find them, and invitations, which it finds without a scheme.
pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)(?:https?|steam)://[^\s<>]+|(?:discord\.(?:gg|me|new|gift)|dsc\.gg|discord(?:app)?\.com/invite)/[a-z0-9-]+",
        )
        .expect("the pattern is constant and valid")
    });
    let whole = |found: regex::Match<'_>| {
        let mut end = found.start() + found.as_str().trim_end_matches(['.', ',', ':', ';', '"', '\'', ']', '!', '?', '*']).len();
        let inside = &text[found.start()..end];
        if inside.ends_with(')') && inside.matches(')').count() > inside.matches('(').count() {
            end -= 1;
        }
        found.start()..end
    };
    BARE.find_iter(text).map(whole).collect()
}

/// True when the words of a link name another place than it leads to.
pub(super) fn is_deceptive(label: &str, target: &str) -> bool {
    static HOST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(https?:\s*/?/?|www\.)?((?:[\p{L}\p{N}-]+\.)+\p{L}[\p{L}\p{N}]{1,23})")
            .expect("the pattern is constant and valid")
    });
    /// Endings that name a file where no scheme says otherwise, also where they are domains.
    const FILES: [&str; 44] = [
        "rs", "md", "py", "sh", "js", "ts", "go", "rb", "cc", "pl", "so", "tsx", "jsx", "toml", "yml", "yaml", "json", "txt",
        "java", "html", "css", "cpp", "lock", "zip", "png", "jpg", "jpeg", "gif", "svg", "webp", "mp4", "webm", "pdf", "csv",
        "tsv", "log", "xml", "diff", "patch", "tar", "gz", "ipynb", "sql", "db",
    ];
    let Ok(url) = Url::parse(target) else { return true };
    let host = bare_host(url.host_str().unwrap_or_default());
    let label: String = label.chars().map(|c| if matches!(c, '．' | '。' | '｡' | '․') { '.' } else { c }).collect();
    HOST.captures_iter(&label).any(|found| {
        let named = bare_host(&found[2]);
        let is_file = found.get(1).is_none() && named.rsplit('.').next().is_some_and(|end| FILES.contains(&end));
        let is_there = host == named || host.ends_with(&format!(".{named}"));
        !is_file && !is_there
    })
}

fn bare_host(host: &str) -> String {
    let host = host.to_lowercase();
    host.strip_prefix("www.").map(str::to_owned).unwrap_or(host)
}

/// The name of a file as people and Discord can take it: letters, digits, `.`, `_`, `-`; at most 80 characters, with its ending.
pub(super) fn file_name(given: &str) -> String {
    const LONGEST: usize = 80;
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    // `SPOILER_` hides a file behind a click.
    let safe = safe.trim_start_matches(['.', '-', '_']);
    let safe = if safe.to_ascii_uppercase().starts_with("SPOILER_") { &safe["SPOILER_".len()..] } else { safe };
    let safe = safe.trim_start_matches(['.', '-', '_']).trim_end_matches('.');
    match safe {
        "" => "file".to_owned(),
        safe if safe.len() <= LONGEST => safe.to_owned(),
        safe => {
            let ending = safe.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.len() <= 10);
            ending
                .map_or_else(|| safe[..LONGEST].to_owned(), |ending| format!("{}.{ending}", &safe[..LONGEST - 1 - ending.len()]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        escape(text, true).replace(BREAK, "·")
    }

    #[test]
    fn nothing_pings_and_nothing_is_markup() {
        assert_eq!(shown("@everyone and @Here, not @ada"), "@·everyone and @·Here, not @ada");
        assert_eq!(
            shown("<@1> <@!1> <@&1> </run:1> <:x:1> <a:x:1> <id:home>"),
            r"<·@1> <·@!1> <·@&1> <·/run:1> <·:x:1> \<a:x:1> \<id:home>"
        );
        assert_eq!(shown("in <#123456789012345678> at <t:1700000000:R>"), "in <#123456789012345678> at <t:1700000000:R>");
        assert_eq!(
            shown("*a* __b__ ~~c~~ ||d|| `e` [f](g) h_i_j ~5 a|b"),
            r"\*a\* \_\_b\_\_ \~\~c\~\~ \|\|d\|\| \`e\` \[f](g) h_i_j ~5 a|b"
        );
        assert_eq!(shown(r"a\*b"), r"a\\\*b");
        for (line, escaped) in [
            ("# x", r"\# x"),
            ("-# x", r"\-# x"),
            ("> x", r"\> x"),
            (">>> x", r"\>>> x"),
            ("- x", r"\- x"),
            ("12. x", r"12\. x"),
            ("1 x", "1 x"),
        ] {
            assert_eq!(shown(line), escaped);
        }
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{3164}d👩‍💻❤️\u{e0041}"), "abcd👩‍💻❤️");
    }

    #[test]
    fn code_stays_in_its_span_and_fence() {
        assert_eq!(code_span("a"), "`a`");
        assert_eq!(code_span("a`b"), "``a`b``");
        assert_eq!(code_span("``x"), "`` `\u{200b}`x ``");
        assert_eq!(fenced("```\n````\n``"), "``\u{200b}`\n``\u{200b}``\n``");
        assert_eq!((language("Rust,ignore"), language("c++ x"), language("{.x}")), ("rust".into(), "c++".into(), String::new()));
    }

    #[test]
    fn addresses_are_links_only_where_they_are_harmless() {
        let link = |given: &str| match address(given) {
            Address::Link(to) => to,
            Address::Code(shown) => format!("code {shown}"),
        };
        assert_eq!(link("https://docs.rs/serde/x(y)"), "https://docs.rs/serde/x%28y%29");
        assert_eq!(link("https://www.npmjs.com/package/@types/node"), "https://www.npmjs.com/package/%40types/node");
        for refused in [
            "https://discord.gg/abc",
            "https://discord.com/invite/abc",
            "javascript:alert(1)",
            "discord://x",
            "docs/a.md",
            "https://github.com@evil.example/",
            "mailto:a@b.c",
        ] {
            assert_eq!(link(refused), format!("code {refused}"));
        }
        let found = |text: &str| addresses(text).into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found("see (https://a.example/x), https://b.example/(y). discord.gg/abc!"),
            ["https://a.example/x", "https://b.example/(y)", "discord.gg/abc"]
        );
    }

    #[test]
    fn a_label_must_not_name_another_place() {
        let target = "https://evil.example/login";
        for label in ["github.com", "https://github.com/login", "www.github.com", "log in at github．com now", "https:github.com"]
        {
            assert!(is_deceptive(label, target), "{label}");
        }
        assert!(is_deceptive("github.com", "https://evil.example/github.com"), "the end of a path is not a host");
        for (label, target) in [
            ("the docs", target),
            ("evil.example", target),
            ("main.rs", "https://github.com/o/r/blob/main/src/main.rs"),
            ("movie.mp4", "https://bot.example/attachments/a/movie.mp4"),
            ("Node.js", "https://nodejs.org/"),
            ("docs.rs/serde", "https://docs.rs/serde"),
            ("example.com", "https://www.example.com/"),
            ("serde_json::to_string", "https://docs.rs/serde_json"),
        ] {
            assert!(!is_deceptive(label, target), "{label}");
        }
    }

    #[test]
    fn file_names_are_plain() {
        for (given, name) in [
            ("plot.png", "plot.png"),
            ("../../etc/passwd", "passwd"),
            ("SPOILER_x.png", "x.png"),
            ("ä b.txt", "b.txt"),
            (".env", "env"),
            ("...", "file"),
        ] {
            assert_eq!(file_name(given), name);
        }
        let long = file_name(&format!("{}.txt", "x".repeat(200)));
        assert!(long.len() == 80 && long.ends_with(".txt"), "{long}");
    }

    proptest! {
        #[test]
        fn hostile_text_is_only_text(text in "(@everyone|@here|<@!?1>|<@&2>|</a:1>|<a:b:3>|<:b:3>|[\\\\*_~|`\\[\\]()<>#@ -]|\\PC){0,30}") {
            let escaped = escape(&visible(&text), true);
            prop_assert!(!PINGS.is_match(&escaped), "{escaped}");
            // Every escape is undone by Discord; what is left is the text.
            let plain: String = unescaped(&escaped).chars().filter(|c| *c != BREAK).collect();
            prop_assert_eq!(plain, visible(&text));
            prop_assert!(!fenced(&text).contains("```"));
            prop_assert!(!code_span(&text).contains("```"));
        }

        #[test]
        fn names_of_files_are_always_names(name in "\\PC{0,120}") {
            let name = file_name(&name);
            prop_assert!(!name.is_empty() && name.len() <= 80 && !name.starts_with('.'));
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)));
        }
    }

    static PINGS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)@everyone|@here|<@[!&]?\d+>|</[^>]*:\d+>|(?:^|[^\\])<a?:\w+:\d+>").expect("constant"));

    fn unescaped(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match chars.peek() {
                Some(next) if c == '\\' && !next.is_alphanumeric() && !next.is_whitespace() => out.extend(chars.next()),
                _ => out.push(c),
            }
        }
        out
    }
}
