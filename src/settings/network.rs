//! What sandboxes may reach, in words, and how a repository narrows it.

use std::fmt;

use super::{Network, value};
use crate::sandbox::proxy::{Egress, Rule};

/// Why a text is no network: what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct NotANetwork {
    what: String,
    remedy: String,
}

impl Network {
    /// `none`, `full`, or `allow:` with hosts.
    ///
    /// # Errors
    /// When it is none of these; half a sentence for a person.
    pub fn parse(text: &str) -> Result<Self, NotANetwork> {
        value::network(text).map_err(|wrong| NotANetwork { what: wrong.what, remedy: wrong.remedy })
    }

    /// The rules of the proxy of local sandboxes. What was read from settings has passed this already.
    pub fn egress(&self) -> anyhow::Result<Egress> {
        let rule = |text: &String| text.parse::<Rule>().map_err(|error| anyhow::anyhow!("SANDBOX_NETWORK: `{text}` {error}"));
        Ok(match self {
            Self::None => Egress::None,
            Self::Allow(hosts) => Egress::Allow(hosts.iter().map(rule).collect::<anyhow::Result<_>>()?),
            Self::Full => Egress::Full,
        })
    }

    /// What both allow: never more than `self`, which is the service's, and never more than `wanted`.
    #[must_use]
    pub fn narrowed_to(&self, wanted: &Self) -> Self {
        match (self, wanted) {
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::Full, Self::Full) => Self::Full,
            (Self::Allow(_), Self::Full) => self.clone(),
            // Everything public is not everything: an address of a private network is the service's to open.
            (Self::Full, Self::Allow(_)) => {
                Self::allowing(wanted.rules().into_iter().filter(|rule| rule.opens_private_address().is_none()))
            }
            (Self::Allow(_), Self::Allow(_)) => {
                let ours = self.rules();
                Self::allowing(wanted.rules().iter().flat_map(|wanted| ours.iter().filter_map(|ours| ours.meet(wanted))))
            }
        }
    }

    fn rules(&self) -> Vec<Rule> {
        match self {
            Self::None | Self::Full => Vec::new(),
            Self::Allow(hosts) => hosts.iter().filter_map(|host| host.parse().ok()).collect(),
        }
    }

    fn allowing(rules: impl Iterator<Item = Rule>) -> Self {
        let mut hosts: Vec<String> = Vec::new();
        for host in rules.map(|rule| rule.to_string()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        if hosts.is_empty() { Self::None } else { Self::Allow(hosts) }
    }
}

/// As it is written in settings.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Allow(hosts) => write!(f, "allow:{}", hosts.join(",")),
            Self::Full => f.write_str("full"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn met(service: &str, wanted: &str) -> String {
        Network::parse(service).unwrap().narrowed_to(&Network::parse(wanted).unwrap()).to_string()
    }

    #[test]
    fn a_repository_only_narrows() {
        for (service, wanted, both) in [
            ("none", "full", "none"),
            ("full", "none", "none"),
            ("full", "allow:pypi.org", "allow:pypi.org"),
            ("full", "allow:pypi.org,10.0.0.5", "allow:pypi.org"),
            ("full", "allow:169.254.169.254", "none"),
            ("allow:pypi.org,*.crates.io", "full", "allow:pypi.org,*.crates.io"),
            ("allow:pypi.org,*.crates.io", "allow:static.crates.io,evil.example", "allow:static.crates.io"),
            ("allow:static.crates.io", "allow:*.crates.io", "allow:static.crates.io"),
            ("allow:*.a.example", "allow:*.b.a.example", "allow:*.b.a.example"),
            ("allow:a.example:8080", "allow:a.example", "none"),
            ("allow:a.example:443", "allow:a.example", "allow:a.example:443"),
            ("allow:a.example", "allow:a.example:443", "allow:a.example:443"),
            ("allow:a.example", "allow:a.example:80", "none"),
            ("allow:10.0.0.5:5432", "allow:10.0.0.5:5432", "allow:10.0.0.5:5432"),
            ("allow:a.example", "allow:10.0.0.5", "none"),
        ] {
            assert_eq!(met(service, wanted), both, "{service} and {wanted}");
        }
    }

    fn hosts() -> impl Strategy<Value = String> {
        let host = prop_oneof![
            Just("a.example"),
            Just("b.a.example"),
            Just("*.a.example"),
            Just("*.example"),
            Just("10.0.0.5"),
            Just("8.8.8.8"),
            Just("a.example:443"),
            Just("a.example:80"),
            Just("*.a.example:22"),
            Just("b.a.example:22"),
        ];
        let list = prop::collection::vec(host, 1..4).prop_map(|hosts| format!("allow:{}", hosts.join(",")));
        prop_oneof![Just("none".to_owned()), Just("full".to_owned()), list]
    }

    proptest! {
        #[test]
        fn narrowing_is_within_both_and_stays(service in hosts(), wanted in hosts()) {
            let (service, wanted) = (Network::parse(&service).unwrap(), Network::parse(&wanted).unwrap());
            let both = service.narrowed_to(&wanted);
            prop_assert_eq!(Network::parse(&both.to_string()), Ok(both.clone()));
            let sorted = |network: &Network| network.rules().iter().map(Rule::to_string).collect::<std::collections::BTreeSet<_>>();
            let again = service.narrowed_to(&both);
            prop_assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&both));
            prop_assert_eq!(sorted(&again), sorted(&both));
            if let (Network::Allow(_), Network::Allow(_)) = (&service, &both) {
                let within = |rule: &Rule| service.rules().iter().any(|ours| ours.meet(rule).as_ref() == Some(rule));
                prop_assert!(both.rules().iter().all(within));
            }
        }
    }
}
