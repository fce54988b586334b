//! Values of single entries: each refusal is half a sentence that says what is wrong and what would be right. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::PullRequestMode;
use crate::memory::working::Template;
use crate::memory::{Reach, Working};
use crate::model::ModelName;
use crate::reply::clean;
use crate::settings::{self, Network, Permission};

/// Nobody writes a longer one.
const LONGEST_TEXT: usize = 16 << 10;
/// Every run is told of it.
const LONGEST_TEMPLATE: usize = 4_000;
const LONGEST_LABEL: usize = 50;
const LONGEST_PREFIX: usize = 60;
const LONGEST_LOGIN: usize = 60;
const LONGEST_SLUG: usize = 100;
const MOST_NAMES: usize = 200;
const MOST_MODELS: usize = 8;
const MOST_USD: f64 = 1_000_000.0;

/// A value, or why it is none.
pub(super) type Read<T> = Result<T, String>;

/// A text without NUL; empty means unset.
pub(super) fn text(value: &DeValue<'_>) -> Read<Option<String>> {
    let text = string(value)?.trim();
    if text.len() > LONGEST_TEXT {
        return Err(format!("is longer than {LONGEST_TEXT} bytes"));
    }
    if text.contains('\0') {
        return Err("has a NUL character".to_owned());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn string<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    match value {
        DeValue::String(text) => Ok(text.as_ref()),
        other => Err(format!("must be a text in quotes, not {}", described(other))),
    }
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A value as it is repeated in a message: short, on one line.
fn shown(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("`{}`", short.replace('`', "'"))
}

/// One of a few words.
fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Read<T> {
    let text = string(value)?;
    let lower = text.to_ascii_lowercase();
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == lower) {
        return Ok(*found);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(match settings::closest(&lower, names.iter().copied()) {
        Some(guess) => format!("cannot be {}; did you mean `{guess}`?", shown(text)),
        None => format!("cannot be {}; it is one of {}", shown(text), names.join(", ")),
    })
}

pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    match value {
        DeValue::Boolean(yes) => Ok(*yes),
        other => Err(format!("must be true or false without quotes, not {}", described(other))),
    }
}

/// A label; `false` and the empty text turn it off.
pub(super) fn label(value: &DeValue<'_>) -> Read<Option<String>> {
    if let DeValue::Boolean(on) = value {
        return if *on { Err("must be the name of a label, or false for none".to_owned()) } else { Ok(None) };
    }
    let label = string(value)?.trim();
    match label {
        "" => Ok(None),
        label if label.chars().count() > LONGEST_LABEL => {
            Err(format!("is longer than the {LONGEST_LABEL} characters of a label"))
        }
        label if label.chars().any(char::is_control) => Err("has a control character".to_owned()),
        label => Ok(Some(label.to_owned())),
    }
}

/// `off`, or the word that turns it on.
pub(super) fn switch(value: &DeValue<'_>, on: &str) -> Read<bool> {
    word(value, &[("off", false), (on, true)])
}

pub(super) fn permission(value: &DeValue<'_>) -> Read<Permission> {
    word(
        value,
        &[
            ("read", Permission::Read),
            ("triage", Permission::Triage),
            ("write", Permission::Write),
            ("maintain", Permission::Maintain),
            ("admin", Permission::Admin),
        ],
    )
}

pub(super) fn mode(value: &DeValue<'_>) -> Read<PullRequestMode> {
    word(value, &[("draft", PullRequestMode::Draft), ("ready", PullRequestMode::Ready), ("none", PullRequestMode::None)])
}

pub(super) fn network(value: &DeValue<'_>) -> Read<Network> {
    Network::parse(string(value)?.trim()).map_err(|wrong| wrong.to_string())
}

/// A chain of models without repetitions.
pub(super) fn models(value: &DeValue<'_>) -> Read<Vec<ModelName>> {
    let mut models: Vec<ModelName> = Vec::new();
    for name in string(value)?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let model: ModelName = name
            .parse()
            .map_err(|_| format!("has {}, which is not of the form provider/model, for example openai/gpt-4.1", shown(name)))?;
        if model.model.len() > 200 || model.to_string().chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("has {}, which is no name of a model", shown(name)));
        }
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.len() > MOST_MODELS {
        return Err(format!("names more than {MOST_MODELS} models"));
    }
    Ok(models)
}

/// Logins, with or without `@`, without repetitions.
pub(super) fn logins(value: &DeValue<'_>) -> Read<Vec<String>> {
    names(value, |name| {
        let plain = name.strip_suffix("[bot]").unwrap_or(name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        match name {
            _ if is_everybody(plain) => Err(format!("has {}; name people one by one", shown(name))),
            _ if plain.contains('/') => Err(format!("has {}; teams stand in `teams`", shown(name))),
            _ if !plain.is_empty() && plain.len() <= LONGEST_LOGIN && plain.chars().all(allowed) => Ok(name),
            _ => Err(format!("has {}, which is not a login", shown(name))),
        }
    })
}

/// Slugs of teams, without repetitions.
pub(super) fn teams(value: &DeValue<'_>) -> Read<Vec<String>> {
    names(value, |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match name {
            _ if is_everybody(name) => Err(format!("has {}; name teams one by one", shown(name))),
            _ if name.contains('/') => {
                Err(format!("has {}; name teams of the owning organisation without its name, such as `reviewers`", shown(name)))
            }
            _ if !name.is_empty() && name.len() <= LONGEST_SLUG && name.chars().all(allowed) => Ok(name),
            _ => Err(format!("has {}, which is not a team's short name as in its address", shown(name))),
        }
    })
}

fn is_everybody(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "*" | "all" | "any" | "anyone" | "everyone" | "everybody" | "public")
}

fn names<'v>(value: &'v DeValue<'_>, check: impl Fn(&'v str) -> Read<&'v str>) -> Read<Vec<String>> {
    let items = match value {
        DeValue::Array(items) => items,
        DeValue::String(text) => return Err(format!("must be a list, such as [{text:?}]").chars().take(200).collect()),
        other => return Err(format!("must be a list of names, not {}", described(other))),
    };
    if items.len() > MOST_NAMES {
        return Err(format!("has more than {MOST_NAMES} names"));
    }
    let mut names: Vec<String> = Vec::new();
    for item in items.iter() {
        let DeValue::String(name) = item.get_ref() else {
            return Err(format!("must be a list of names in quotes, but holds {}", described(item.get_ref())));
        };
        let name = name.trim();
        let name = check(name.strip_prefix('@').unwrap_or(name))?;
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// A whole number within bounds.
pub(super) fn whole(value: &DeValue<'_>, most: u32) -> Read<u32> {
    let remedy = || format!("must be a whole number from 1 to {most}");
    let DeValue::Integer(number) = value else { return Err(format!("{}, not {}", remedy(), described(value))) };
    let number = u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| remedy())?;
    if (1..=most).contains(&number) { Ok(number) } else { Err(remedy()) }
}

/// A whole number within bounds, which may begin with 0.
pub(super) fn within(value: &DeValue<'_>, bounds: RangeInclusive<usize>) -> Read<usize> {
    let remedy = || format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
    let DeValue::Integer(number) = value else { return Err(format!("{}, not {}", remedy(), described(value))) };
    let number = usize::from_str_radix(number.as_str(), number.radix()).map_err(|_| remedy())?;
    if bounds.contains(&number) { Ok(number) } else { Err(remedy()) }
}

/// A number from 0 to 1.
pub(super) fn share(value: &DeValue<'_>) -> Read<f64> {
    let remedy = || "must be a number from 0 to 1, for example 0.6".to_owned();
    let number: f64 = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().map_err(|_| remedy())?,
        DeValue::Float(number) => number.as_str().parse().map_err(|_| remedy())?,
        other => return Err(format!("{}, not {}", remedy(), described(other))),
    };
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(remedy()) }
}

pub(super) fn reach(value: &DeValue<'_>) -> Read<Reach> {
    word(value, &[("thread", Reach::Thread), ("owner", Reach::Owner)])
}

pub(super) fn working_memory(value: &DeValue<'_>) -> Read<Working> {
    word(value, &[("on", Working::On), ("read-only", Working::ReadOnly), ("off", Working::Off)])
}

/// Headings with what belongs under them; empty means unset.
pub(super) fn template(value: &DeValue<'_>) -> Read<Option<String>> {
    let Some(text) = text(value)? else { return Ok(None) };
    if text.len() > LONGEST_TEMPLATE {
        return Err(format!("is longer than {LONGEST_TEMPLATE} bytes"));
    }
    let text = clean::clean(&text);
    Template::parse(&text).map(|_| Some(text))
}

/// US dollars above zero.
pub(super) fn dollars(value: &DeValue<'_>) -> Read<f64> {
    let remedy = || "must be an amount of US dollars above 0, for example 2 or 0.5".to_owned();
    let amount: f64 = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().map_err(|_| remedy())?,
        DeValue::Float(number) => number.as_str().parse().map_err(|_| remedy())?,
        other => return Err(format!("{}, not {}", remedy(), described(other))),
    };
    if amount.is_finite() && amount > 0.0 && amount <= MOST_USD { Ok(amount) } else { Err(remedy()) }
}

/// A time such as `90s`, `30m`, `1h30m`.
pub(super) fn duration(value: &DeValue<'_>) -> Read<Duration> {
    settings::parse_duration(string(value)?.trim())
}

/// The beginning of the names of branches. Rules of `git check-ref-format`, for what comes after `refs/heads/`.
pub(super) fn branch_prefix(value: &DeValue<'_>) -> Read<String> {
    let prefix = string(value)?;
    let wrong = |why: &str| Err(format!("cannot begin the name of a branch: {why}"));
    if prefix.is_empty() {
        return wrong("it is empty, so our branches could not be told from others");
    }
    if prefix.len() > LONGEST_PREFIX {
        return wrong(&format!("it is longer than {LONGEST_PREFIX} bytes"));
    }
    if let Some(c) = prefix.chars().find(|c| c.is_control() || " ~^:?*[\\".contains(*c)) {
        return wrong(&format!("{c:?} is not allowed"));
    }
    if prefix.starts_with(['/', '-']) || prefix.contains("//") {
        return wrong("`/` and `-` cannot stand at the beginning, and `//` nowhere");
    }
    if prefix.contains("..") || prefix.contains("@{") {
        return wrong("`..` and `@{` are not allowed");
    }
    // The last part goes on with what we add.
    let parts: Vec<&str> = prefix.split('/').collect();
    let (last, whole) = parts.split_last().unwrap_or((&"", &[]));
    if parts.iter().any(|part| part.starts_with('.')) || whole.iter().any(|part| part.ends_with('.') || part.ends_with(".lock")) {
        return wrong("no part may begin or end with `.`, or end with `.lock`");
    }
    if last.eq_ignore_ascii_case("refs") || prefix.starts_with("refs/") {
        return wrong("leave `refs/heads/` out");
    }
    Ok(prefix.to_owned())
}
