//! Small pieces of text in a line of ours: names, labels, reasons, times, money.

use std::time::Duration;

use super::{Cost, clean, cut, mention};

/// Plain text in Markdown: one line, at most `limit` characters, nothing in it is markup, nobody is pinged.
pub fn plain(text: &str, limit: usize) -> String {
    let line = one_line(text, limit);
    let mut out = String::with_capacity(line.len());
    for c in mention::neutralise_all(&line).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A sentence of ours that may hold code spans: one line, at most `limit` characters, no HTML, nobody is pinged.
pub fn sentence(text: &str, limit: usize) -> String {
    mention::neutralise_all(&one_line(text, limit).replace('<', "&lt;"))
}

fn one_line(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    cut::cut_end(&clean::visible(&words.join(" ")), limit)
}

/// An address for `[…](…)`: what could end the link is percent-encoded.
pub fn target(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars().filter(|c| !c.is_control()) {
        match c {
            ' ' | '(' | ')' | '<' | '>' | '\\' | '"' | '`' => out.push_str(&format!("%{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// `0.4 s`, `12 s`, `3 min 4 s`, `1 h 2 min`.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64().min(9.9)),
        10..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `$0.42`, `$0.0031`, `under $0.0001`; none when no model was asked.
pub fn cost(cost: Cost) -> Option<String> {
    match cost {
        Cost::None => None,
        Cost::Unknown => Some("cost unknown".to_owned()),
        Cost::Usd(usd) if usd <= 0.0 => Some("$0.00".to_owned()),
        Cost::Usd(usd) if usd < 0.0001 => Some("under $0.0001".to_owned()),
        Cost::Usd(usd) if usd < 0.095 => Some(format!("${usd:.4}")),
        Cost::Usd(usd) => Some(format!("${usd:.2}")),
    }
}

/// `1 step`, `2 steps`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", cut::grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_no_markup() {
        assert_eq!(plain("a *b* `c`\n<d> @e & [f](g)", 100), "a \\*b\\* \\`c\\` &lt;d&gt; @\u{200b}e &amp; \\[f\\](g)");
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(target("https://a/b (c)"), "https://a/b%20%28c%29");
    }

    #[test]
    fn figures_are_short() {
        let times = [0, 1234, 9999, 10_000, 59_999, 60_000, 184_000, 3_600_000, 3_720_000];
        assert_eq!(
            times.map(|ms| time(Duration::from_millis(ms))),
            ["0.0 s", "1.2 s", "9.9 s", "10 s", "59 s", "1 min", "3 min 4 s", "1 h", "1 h 2 min"]
        );
        let costs = [Cost::Usd(0.0), Cost::Usd(0.00001), Cost::Usd(0.0031), Cost::Usd(0.42), Cost::Usd(12.0), Cost::Unknown];
        assert_eq!(
            costs.map(|usd| cost(usd).unwrap_or_default()),
            ["$0.00", "under $0.0001", "$0.0031", "$0.42", "$12.00", "cost unknown"]
        );
        assert_eq!(cost(Cost::None), None);
        assert_eq!((counted(1, "step"), counted(1200, "step")), ("1 step".into(), "1,200 steps".into()));
    }
}
