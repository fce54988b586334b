//! The attacks, as they are written down.

use super::canary::Canaries;

/// An attack.
#[derive(Clone, Debug)]
pub struct Attack {
    pub family: String,
    /// Where the text stands.
    pub place: String,
    /// What follows the first word of the place, such as a path.
    pub at: String,
    pub text: String,
    /// Nobody sees the text, so the model must not, either.
    pub is_hidden: bool,
}

/// All of them, with the places of the canaries filled in.
pub fn read(canaries: &Canaries) -> Vec<Attack> {
    let corpus = include_str!("../../injection/corpus.txt");
    corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| attack(line, canaries)).collect()
}

const PLACES: [&str; 24] = [
    "title",
    "body",
    "comment",
    "request",
    "file",
    "command",
    "pull title",
    "pull body",
    "pull branch",
    "pull message",
    "pull file",
    "review comment",
    "review",
    "log",
    "annotation",
    "check name",
    "other issue",
    "edited body",
    "edited",
    "later",
    "attachment",
    "picture",
    "comment!",
    "none",
];

fn attack(line: &str, canaries: &Canaries) -> Attack {
    let parts: Vec<&str> = line.splitn(3, " | ").collect();
    let [family, place, text] = parts[..] else { panic!("not an attack: {line}") };
    let found =
        PLACES.iter().filter(|known| place == **known || place.starts_with(&format!("{known} "))).max_by_key(|known| known.len());
    let known = *found.unwrap_or_else(|| panic!("no such place: {place}"));
    let text = canaries.fill(&unescaped(text));
    // An attack in a file has its name from the place, one in a name its text.
    let at = canaries.fill(place[known.len()..].trim());
    let is_hidden = family.ends_with('!') || known.ends_with('!');
    Attack {
        family: family.trim_end_matches('!').to_owned(),
        place: known.trim_end_matches('!').to_owned(),
        at,
        text: written(&text),
        is_hidden,
    }
}

/// `\n`, `\|`, `\\` and `\u{…}`.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some((code, tail)) = after.strip_prefix("u{").and_then(|after| after.split_once('}')) {
            out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
            rest = tail;
            continue;
        }
        let next = after.chars().next().unwrap();
        out.push(if next == 'n' { '\n' } else { next });
        rest = &after[next.len_utf8()..];
    }
    out + rest
}

/// In strange letters, where it says so.
fn written(text: &str) -> String {
    let text = text.replace("{long}", &"x ".repeat(3_000));
    for (name, write) in [("tags", tags as fn(&str) -> String), ("zw", zero_width), ("vs", selectors), ("ent", entities)] {
        let open = format!("{{{name}:");
        if let Some((before, rest)) = text.split_once(&open) {
            let (inside, after) = rest.split_once('}').unwrap();
            return format!("{before}{}{after}", write(inside));
        }
    }
    text
}

/// The first characters of these families, from which the model of the tests reads them back.
fn tags(text: &str) -> String {
    text.bytes().map(|byte| char::from_u32(0xe0000 + u32::from(byte)).unwrap()).collect()
}

fn zero_width(text: &str) -> String {
    text.bytes()
        .flat_map(|byte| (0..8).rev().map(move |bit| if byte >> bit & 1 == 1 { '\u{200c}' } else { '\u{200b}' }))
        .collect()
}

fn selectors(text: &str) -> String {
    let one = |byte: u8| if byte < 16 { 0xfe00 + u32::from(byte) } else { 0xe0100 + u32::from(byte) - 16 };
    text.bytes().map(|byte| char::from_u32(one(byte)).unwrap()).collect()
}

fn entities(text: &str) -> String {
    text.chars().map(|c| format!("&#{};", u32::from(c))).collect()
}

/// The same back: what a model reads that knows all these letters.
pub fn read_back(text: &str) -> Vec<String> {
    let tags: Vec<u8> = text.chars().filter_map(|c| u8::try_from(u32::from(c).checked_sub(0xe0000)?).ok()).collect();
    let selectors: Vec<u8> = text
        .chars()
        .filter_map(|c| match u32::from(c) {
            code @ 0xfe00..=0xfe0f => Some((code - 0xfe00) as u8),
            code @ 0xe0100..=0xe01ef => Some((code - 0xe0100 + 16) as u8),
            _ => None,
        })
        .collect();
    let bits: Vec<u8> =
        text.chars().filter_map(|c| matches!(c, '\u{200b}' | '\u{200c}').then_some(u8::from(c == '\u{200c}'))).collect();
    let bits: Vec<u8> = bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
    let plain: String = text.chars().filter(|c| !matches!(c, '\u{200b}' | '\u{200c}' | '\u{202e}' | '\u{202c}')).collect();
    let entity = regex::Regex::new("&#([0-9]+);").unwrap();
    let decoded = entity.replace_all(&plain, |found: &regex::Captures<'_>| {
        found[1].parse().ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
    });
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    vec![decoded.into_owned(), text(tags), text(selectors), text(bits)]
}
