//! Reads variables one by one and collects what is wrong, so that everything is reported at once.

use url::{Host, Url};

use super::finding::{Finding, Warning, Wrong};
use super::sources::{Origin, Sources};
use super::value;
use crate::secret::{SecretString, secret};

pub(super) struct Reader<'a> {
    sources: &'a Sources,
    pub problems: Vec<Finding>,
    pub warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The value without surrounding space; empty is unset.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.sources.get(name).map(|(value, _)| value)
    }

    /// The value in the process environment alone, for what a file must not decide.
    pub fn of_process(&self, name: &str) -> Option<&'a str> {
        self.sources.process.get(name).map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// True when the variable is there without a value.
    pub fn is_blank(&self, name: &str) -> bool {
        !self.has(name) && self.sources.names().any(|known| known == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.sources.names()
    }

    pub fn is_from_file(&self, name: &str) -> bool {
        self.sources.file.contains_key(name) && !self.sources.process.contains_key(name)
    }

    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(secret)
    }

    pub fn problem(&mut self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Finding { name: name.into(), what: what.into(), remedy: remedy.into() });
    }

    pub fn warn(&mut self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.push(Warning::Setting(Finding { name: name.into(), what: what.into(), remedy: remedy.into() }));
    }

    /// The parsed value; nothing when it is unset or wrong, which is noted.
    pub fn parse<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        match parse(self.get(name)?) {
            Ok(value) => Some(value),
            Err(Wrong { what, remedy }) => {
                self.problem(name, what, remedy);
                None
            }
        }
    }

    /// An address that `credential` is sent to. Both must come from the same place, so that a dropped-in file cannot redirect a key.
    pub fn base_url(&mut self, name: &str, credential: Option<&str>) -> Option<Url> {
        let url = self.parse(name, value::base_url)?;
        let Some(credential) = credential else { return Some(url) };
        if let (Some(from), Some(sent)) = (self.origin(name), self.origin(credential))
            && from != sent
        {
            self.problem(
                name,
                format!("comes from {from}, but {credential}, which would be sent there, comes from {sent}"),
                format!("set both in {sent} or both in {from}"),
            );
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            self.warn(name, format!("{credential} travels there unencrypted"), "use https:// outside of a private network");
        }
        Some(url)
    }

    fn origin(&self, name: &str) -> Option<Origin> {
        self.sources.get(name).map(|(_, origin)| origin)
    }
}

/// True for an address on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
