//! The words of `SANDBOX_NETWORK`: which hosts sandboxes may reach.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Host;

use super::address::plain;

/// What sandboxes may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Egress {
    /// Nothing.
    #[default]
    None,
    /// What one of these allows.
    Allow(Vec<Rule>),
    /// Every address of the public internet.
    Full,
}

/// Ports a rule allows that names none: HTTP and HTTPS.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// `host`, `*.host`, an address, each with or without `:port`. Without a port, 80 and 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// This name.
    Name(String),
    /// Every name that ends so, but not this name itself.
    Below(String),
    /// This address, as a number; names that resolve to it too, when they are allowed themselves.
    Address(IpAddr),
}

impl Rule {
    /// True when it allows to ask for this host at this port. What a name resolves to is another question.
    pub(super) fn allows(&self, host: &Host, port: u16) -> bool {
        let named = match (&self.host, host) {
            (Pattern::Name(name), Host::Domain(asked)) => name == asked,
            (Pattern::Below(end), Host::Domain(asked)) => is_below(asked, end),
            (Pattern::Address(address), Host::Ipv4(asked)) => *address == IpAddr::V4(*asked),
            (Pattern::Address(address), Host::Ipv6(asked)) => *address == plain(IpAddr::V6(*asked)),
            (Pattern::Name(_) | Pattern::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) | (Pattern::Address(_), Host::Domain(_)) => {
                false
            }
        };
        named && self.has_port(port)
    }

    /// True when it names this very address, so that it may be connected to although it is not public.
    pub(super) fn names_address(&self, address: IpAddr, port: u16) -> bool {
        self.host == Pattern::Address(plain(address)) && self.has_port(port)
    }

    /// True when it names the port itself, so that anything may be spoken there.
    pub(super) fn names_port(&self) -> bool {
        self.port.is_some()
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.map_or(USUAL_PORTS.contains(&port), |only| only == port)
    }

    /// What both allow, as far as one rule can say it; never more.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let host = match (&self.host, &other.host) {
            (one, two) if one == two => one,
            (name @ Pattern::Name(inner), Pattern::Below(end)) | (Pattern::Below(end), name @ Pattern::Name(inner)) => {
                is_below(inner, end).then_some(name)?
            }
            (one @ Pattern::Below(inner), Pattern::Below(end)) if is_below(inner, end) => one,
            (Pattern::Below(end), two @ Pattern::Below(inner)) if is_below(inner, end) => two,
            (Pattern::Name(_) | Pattern::Below(_) | Pattern::Address(_), _) => return None,
        };
        let port = match (self.port, other.port) {
            (one, two) if one == two => one,
            // A rule that names port 80 lets anything be spoken there, one that names none only plain HTTP.
            (Some(443), None) | (None, Some(443)) => Some(443),
            (Some(_) | None, _) => return None,
        };
        Some(Self { host: host.clone(), port })
    }

    /// The address it names, if that is not one of the public internet.
    pub fn opens_private_address(&self) -> Option<IpAddr> {
        match self.host {
            Pattern::Address(address) if !super::address::is_public(address) => Some(address),
            Pattern::Address(_) | Pattern::Name(_) | Pattern::Below(_) => None,
        }
    }
}

/// True when a name lies below another.
fn is_below(name: &str, end: &str) -> bool {
    name.strip_suffix(end).and_then(|start| start.strip_suffix('.')).is_some_and(|start| !start.is_empty())
}

/// The error says what is wrong with the text, without the text.
impl FromStr for Rule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An IPv6 address may stand without brackets when no port follows.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: Pattern::Address(plain(address)), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                (host, Some(port.parse().ok().filter(|port| digits && *port != 0).ok_or("has no port that can be one")?))
            }
            None => (text, None),
        };
        let (below, name) = host.strip_prefix("*.").map_or((false, host), |rest| (true, rest));
        let host = match Host::parse(name).map_err(|_| "is not a host name")? {
            Host::Ipv4(address) if !below => Pattern::Address(address.into()),
            Host::Ipv6(address) if !below => Pattern::Address(plain(address.into())),
            Host::Ipv4(_) | Host::Ipv6(_) => return Err("is not a host name"),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let label = |label: &str| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                };
                if !name.split('.').all(label) {
                    return Err("is not a host name");
                }
                if below { Pattern::Below(name.to_owned()) } else { Pattern::Name(name.to_owned()) }
            }
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Pattern::Name(name) => f.write_str(name)?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
            Pattern::Address(IpAddr::V6(address)) if self.port.is_some() => write!(f, "[{address}]")?,
            Pattern::Address(address) => write!(f, "{address}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn allows(rule: &str, host: &str, port: u16) -> bool {
        rule.parse::<Rule>().unwrap().allows(&Host::parse(host).unwrap(), port)
    }

    #[test]
    fn a_rule_allows_what_it_says_and_no_more() {
        for (rule, host, port) in [
            ("pypi.org", "pypi.org", 443),
            ("PyPI.org.", "PYPI.org", 80),
            ("*.crates.io", "static.crates.io", 443),
            ("*.crates.io", "a.b.crates.io", 443),
            ("git.example:9418", "git.example", 9418),
            ("10.0.0.5", "10.0.0.5", 80),
            ("10.0.0.5:5432", "[::ffff:10.0.0.5]", 5432),
            ("[fd00::1]:8080", "[fd00::1]", 8080),
            ("fd00::1", "[fd00:0::1]", 443),
            ("bücher.example", "xn--bcher-kva.example", 443),
        ] {
            assert!(allows(rule, host, port), "{rule} {host}:{port}");
        }
        for (rule, host, port) in [
            ("pypi.org", "pypi.org", 22),
            ("pypi.org", "evil-pypi.org", 443),
            ("pypi.org", "files.pypi.org", 443),
            ("pypi.org", "pypi.org.evil.example", 443),
            ("*.crates.io", "crates.io", 443),
            ("*.crates.io", "evilcrates.io", 443),
            ("*.crates.io", ".crates.io", 443),
            ("git.example:9418", "git.example", 443),
            ("10.0.0.5", "10.0.0.6", 80),
            ("10.0.0.5:5432", "10.0.0.5", 80),
        ] {
            assert!(
                !Host::parse(host).is_ok_and(|host| rule.parse::<Rule>().unwrap().allows(&host, port)),
                "{rule} {host}:{port}"
            );
        }
    }

    #[test]
    fn what_is_not_a_host_is_said() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "a/b",
            "http://a",
            "a:",
            "a:0",
            "a:65536",
            "a:x",
            "a:+80",
            "*.10.0.0.1",
            "a..b",
            "*a.b",
            "a.*",
            "u@a",
            ":80",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn rules_are_read_as_they_are_written(text in "(\\*\\.)?[a-z0-9]([a-z0-9.-]{0,12}[a-z0-9])?(:[1-9][0-9]{0,3})?") {
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Rule>();
        }
    }
}
