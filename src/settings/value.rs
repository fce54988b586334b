//! Texts to values. Pure; each refusal says what is wrong and what would be right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::finding::Wrong;
use super::{Allow, Network, Permission, SandboxKind};
use crate::model::ModelName;
use crate::sandbox::proxy::Rule;
use crate::secret::{SecretString, secret};

/// How long a run may last.
pub(super) const RUN_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// A value as it is repeated in a message: short, and on one line.
fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// A whole number within bounds.
pub(super) fn number(text: &str, bounds: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let (low, high) = bounds.clone().into_inner();
    let remedy = || format!("set a whole number from {low} to {high}");
    let number: u64 = text.parse().map_err(|_| Wrong::new(format!("{} is not a whole number", shown(text)), remedy()))?;
    if bounds.contains(&number) {
        return Ok(number);
    }
    Err(Wrong::new(format!("{number} is out of bounds"), remedy()))
}

/// The same for smaller types. The bounds must fit.
pub(super) fn small_number(text: &str, bounds: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let (low, high) = bounds.into_inner();
    let number = number(text, u64::from(low)..=u64::from(high))?;
    Ok(u32::try_from(number).unwrap_or(high))
}

/// Mebibytes: a bare number, or with a unit such as `2G`, `512 MB`, `1GiB`.
pub(super) fn mebibytes(text: &str, bounds: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let (low, high) = bounds.clone().into_inner();
    let remedy = || format!("set mebibytes from {low} to {high}, or a size such as 2G");
    let (digits, unit) = split_number(text);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => Some(1),
        "g" | "gb" | "gib" => Some(1024),
        "t" | "tb" | "tib" => Some(1024 * 1024),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
    match size {
        Some(size) if bounds.contains(&size) => Ok(size),
        Some(size) => Err(Wrong::new(format!("{size} MiB is out of bounds"), remedy())),
        None => Err(Wrong::new(format!("{} is not a size", shown(text)), remedy())),
    }
}

/// `90s`, `30m`, `1h30m`, `250ms`, `1d`; a bare number is not accepted, because people disagree about its unit.
pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let remedy = || {
        let (low, high) = bounds.clone().into_inner();
        format!("set a time such as 90s, 30m or 1h30m, from {} to {}", spoken(low), spoken(high))
    };
    let not_a_duration = || Wrong::new(format!("{} is not a time with its unit", shown(text)), remedy());
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (digits, after) = split_number(rest);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let milliseconds: u64 = match after[..unit_end].to_ascii_lowercase().as_str() {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(not_a_duration()),
        };
        let count: u64 = digits.parse().map_err(|_| not_a_duration())?;
        let part = count.checked_mul(milliseconds).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(not_a_duration)?;
        rest = after[unit_end..].trim_start();
    }
    if bounds.contains(&total) { Ok(total) } else { Err(Wrong::new(format!("{} is out of bounds", shown(text)), remedy())) }
}

/// Digits at the start, and what follows them without the space between.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Yes or no, in the usual words.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Wrong::new(format!("{} is neither yes nor no", shown(text)), "set 1 or 0")),
    }
}

/// An amount of US dollars above zero.
pub(super) fn dollars(text: &str) -> Result<f64, Wrong> {
    const MOST: f64 = 1_000_000.0;
    let remedy = "set US dollars above 0, for example 2 or 0.50";
    match text.trim_start_matches('$').trim().parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount <= MOST => Ok(amount),
        Ok(_) => Err(Wrong::new(format!("{} is out of bounds", shown(text)), remedy)),
        Err(_) => Err(Wrong::new(format!("{} is not an amount", shown(text)), remedy)),
    }
}

/// The non-empty items of a comma-separated list, without repetitions.
pub(super) fn list(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items
}

/// Address and port to listen on; `localhost` is the IPv4 loopback.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    numeric.parse().map_err(|_| {
        let remedy = "set address and port, for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
        Wrong::new(format!("{} is not an address with a port", shown(text)), remedy)
    })
}

/// Where something that listens there is reached from the same machine: "every address" becomes the loopback, which can be opened.
pub fn address_of(listen: SocketAddr) -> Url {
    let host = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let address = SocketAddr::new(host, listen.port());
    Url::parse(&format!("http://{address}")).expect("a socket address is a valid authority")
}

/// The base of an HTTP API, without a slash at its end (a bare host keeps the one `Url` insists on).
pub(super) fn base_url(text: &str) -> Result<Url, Wrong> {
    let remedy = "set an address such as https://host/path";
    let mut url = Url::parse(text).map_err(|error| Wrong::new(format!("is not an address ({error})"), remedy))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Wrong::new("is not an http:// or https:// address", remedy));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("has a user name or password inside", "remove it: credentials have variables of their own"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("has a ? or # part", "end it with the path"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A Postgres address. Its text is never repeated: it usually holds a password.
pub(super) fn postgres_url(text: &str) -> Result<SecretString, Wrong> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(secret(text)),
        Ok(_) => Err(Wrong::new(
            "is not a postgres:// address",
            "set postgres://user:password@host:5432/name, or unset it for the private database",
        )),
        Err(error) => Err(Wrong::new(
            format!("is not an address ({error})"),
            "set postgres://user:password@host:5432/name; write / ? # @ : % in a password as %2F %3F %23 %40 %3A %25",
        )),
    }
}

/// A handle people can mention, with or without its `@`.
pub(super) fn handle(text: &str) -> Result<String, Wrong> {
    let name = text.strip_prefix('@').unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.is_empty() && name.len() <= 39 && name.chars().all(allowed) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(name.to_owned());
    }
    let remedy = "set 1 to 39 letters, digits and inner hyphens, without [bot]";
    Err(Wrong::new(format!("{} cannot be mentioned", shown(text)), remedy))
}

/// A chain of models, the first asked first.
pub(super) fn model(text: &str) -> Result<ModelName, Wrong> {
    text.parse().map_err(|error: String| Wrong::new(error, "set provider/model, for example openai/text-embedding-3-small"))
}

pub(super) fn chain(text: &str) -> Result<Vec<ModelName>, Wrong> {
    let remedy = "set provider/model, or several separated by commas, for example openai/gpt-4.1,anthropic/claude-sonnet-4-5";
    let models: Result<Vec<ModelName>, String> = list(text).into_iter().map(str::parse).collect();
    match models {
        Ok(models) if models.is_empty() => Err(Wrong::new("names no model", remedy)),
        Ok(models) => Ok(models),
        Err(error) => Err(Wrong::new(error, remedy)),
    }
}

/// What a sandbox may reach.
pub(super) fn network(text: &str) -> Result<Network, Wrong> {
    let remedy = "set none, full, or allow: with hosts, for example allow:example.com,packages.example.com";
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(Network::None),
        "full" => Ok(Network::Full),
        lower => {
            let hosts = lower.strip_prefix("allow:").map(list).unwrap_or_default();
            if hosts.is_empty() {
                return Err(Wrong::new(format!("{} is not a network", shown(text)), remedy));
            }
            match hosts.iter().find_map(|host| host.parse::<Rule>().err().map(|error| (host, error))) {
                Some((host, error)) => Err(Wrong::new(format!("{} {error}", shown(host)), remedy)),
                None => Ok(Network::Allow(hosts.into_iter().map(str::to_owned).collect())),
            }
        }
    }
}

/// Who may trigger.
pub(super) fn allow(text: &str) -> Result<Allow, Wrong> {
    let remedy = "set read, triage, write, maintain, admin or member, or a list of logins";
    let items = list(text);
    if let [one] = items[..]
        && let Some(allow) = allow_word(one)
    {
        return Ok(allow);
    }
    if let Some(word) = items.iter().find(|item| allow_word(item).is_some()) {
        return Err(Wrong::new(format!("mixes {} with logins", shown(word)), "set either one word or a list of logins"));
    }
    if let Some(open) = items.iter().find(|item| {
        matches!(item.to_ascii_lowercase().as_str(), "*" | "all" | "any" | "anyone" | "everyone" | "public" | "none")
    }) {
        return Err(Wrong::new(format!("{} would leave the door open or shut for all", shown(open)), remedy));
    }
    let logins: Vec<&str> = items.into_iter().map(|login| login.strip_prefix('@').unwrap_or(login)).collect();
    match logins.iter().find(|login| !is_login(login)) {
        Some(login) => Err(Wrong::new(format!("{} is not a login", shown(login)), remedy)),
        None => Ok(Allow::Logins(logins.into_iter().map(str::to_owned).collect())),
    }
}

fn allow_word(text: &str) -> Option<Allow> {
    let permission = match text.to_ascii_lowercase().as_str() {
        "read" => Permission::Read,
        "triage" => Permission::Triage,
        "write" => Permission::Write,
        "maintain" => Permission::Maintain,
        "admin" => Permission::Admin,
        "member" => return Some(Allow::Member),
        _ => return None,
    };
    Some(Allow::Permission(permission))
}

fn is_login(text: &str) -> bool {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    !name.is_empty() && name.len() <= 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A log filter the way `tracing` understands it.
pub(super) fn log_filter(text: &str) -> Result<String, Wrong> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Wrong::new(
            format!("is not a log filter ({error})"),
            "set error, warn, info, debug or trace, or a list such as info,threadbox=debug",
        )),
    }
}

/// Text or JSON; true for JSON.
pub(super) fn log_format(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(Wrong::new(format!("{} is not a log format", shown(text)), "set text or json")),
    }
}

/// The sandbox provider.
pub(super) fn sandbox_kind(text: &str) -> Result<SandboxKind, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "local" => Ok(SandboxKind::Local),
        "daytona" => Ok(SandboxKind::Daytona),
        _ => Err(Wrong::new(format!("{} is not a sandbox", shown(text)), "set local or daytona")),
    }
}

/// A token nobody guesses. Its text is never repeated.
pub(super) fn admin_token(text: &str) -> Result<SecretString, Wrong> {
    const SHORTEST: usize = 16;
    if text.len() >= SHORTEST {
        return Ok(secret(text));
    }
    Err(Wrong::new(
        format!("is shorter than {SHORTEST} characters"),
        "set a long random text, for example from `openssl rand -hex 32`",
    ))
}

/// A directory that is there.
pub(super) fn directory(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(path);
    }
    Err(Wrong::new(
        format!("{} is not a directory", shown(text)),
        "set the directory that holds `initdb` and `postgres`, or unset it",
    ))
}

/// A file that can be read now.
pub(super) fn readable_file(text: &str) -> Result<PathBuf, Wrong> {
    match std::fs::read_to_string(text) {
        Ok(_) => Ok(PathBuf::from(text)),
        Err(error) => {
            Err(Wrong::new(format!("{} cannot be read ({error})", shown(text)), "set the path of a text file, or unset it"))
        }
    }
}
