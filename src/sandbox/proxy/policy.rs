//! Decides where a sandbox may connect, and to which address exactly.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use url::Host;

use super::address::{is_public, is_this_machine, plain};
use super::rules::Egress;
use super::serve::{Proxy, Quota};

/// Connections of all sandboxes of this process at once.
const PLACES: usize = 512;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Rules that are named in full where the setting is quoted.
const MAX_QUOTED: usize = 12;
const RESOLVE_TIME: Duration = Duration::from_secs(10);

/// Finds the addresses of a name.
#[derive(Clone)]
pub struct Resolver(Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>);

impl Resolver {
    /// Asks `find`. What it answers is checked like any other answer.
    pub fn new(find: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// As this machine does it.
    pub fn system() -> Self {
        Self::new(|name| {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// What sandboxes may reach, with what is needed to decide it. Clones share the count of connections.
#[derive(Clone, Debug)]
pub struct Policy {
    egress: Arc<Egress>,
    resolver: Resolver,
    quota: Quota,
    pub(super) places: Arc<Semaphore>,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(Egress::None)
    }
}

impl Policy {
    /// Resolves as this machine does, with the usual quota.
    pub fn new(egress: Egress) -> Self {
        let places = Arc::new(Semaphore::new(PLACES));
        Self { egress: Arc::new(egress), resolver: Resolver::system(), quota: Quota::default(), places }
    }

    /// The same for sandboxes that may reach something else; the connections are counted together.
    pub fn with_egress(&self, egress: Egress) -> Self {
        Self { egress: Arc::new(egress), ..self.clone() }
    }

    /// The same with another resolver.
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// The same with another quota for each command.
    pub fn with_quota(self, quota: Quota) -> Self {
        Self { quota, ..self }
    }

    /// False when nothing can be reached, so that no proxy is needed.
    pub fn is_open(&self) -> bool {
        *self.egress != Egress::None
    }

    /// The proxy of one command; `who` names its sandbox in the log. None when nothing can be reached.
    pub fn proxy(&self, who: &str) -> Option<Proxy> {
        self.is_open().then(|| Proxy::new(self.clone(), who, self.quota))
    }

    /// For an agent: what can be reached.
    pub fn words(&self) -> String {
        match &*self.egress {
            Egress::None => "no network".to_owned(),
            Egress::Allow(rules) => {
                let names: Vec<String> = rules.iter().take(MAX_QUOTED).map(ToString::to_string).collect();
                let more = rules.len().saturating_sub(MAX_QUOTED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "only {}{more}, by HTTP and HTTPS through the proxy that HTTPS_PROXY names; other hosts answer 403",
                    names.join(", ")
                )
            }
            Egress::Full => {
                "the public internet, by HTTP and HTTPS through the proxy that HTTPS_PROXY names; private networks answer 403"
                    .to_owned()
            }
        }
    }

    /// True when the name in a TLS greeting has to be the one that was allowed.
    pub(super) fn checks_names(&self) -> bool {
        matches!(*self.egress, Egress::Allow(_))
    }

    /// The addresses to connect to, of which every one was checked. Never empty.
    pub(super) async fn admit(&self, host: &Host, port: u16, tunnel: Tunnel) -> Result<Vec<SocketAddr>, Refused> {
        if !self.allows(host, port, tunnel) {
            return Err(Refused::NotAllowed { place: place(host, port), setting: self.setting_with(host, port) });
        }
        let addresses = match host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self.resolve(name).await?,
        };
        let admitted: Vec<SocketAddr> = addresses
            .into_iter()
            .map(plain)
            .filter(|address| self.names_address(*address, port) || (is_public(*address) && !is_this_machine(*address)))
            .map(|address| SocketAddr::new(address, port))
            .take(MAX_ADDRESSES)
            .collect();
        if admitted.is_empty() { Err(Refused::NotPublic { place: place(host, port) }) } else { Ok(admitted) }
    }

    fn allows(&self, host: &Host, port: u16, tunnel: Tunnel) -> bool {
        match &*self.egress {
            Egress::None => false,
            Egress::Full => true,
            // Plain HTTP is taken apart, so that the name it asks for is the one that was allowed. A tunnel would hide it.
            Egress::Allow(rules) => {
                rules.iter().any(|rule| rule.allows(host, port) && (tunnel == Tunnel::No || port != HTTP || rule.names_port()))
            }
        }
    }

    fn names_address(&self, address: IpAddr, port: u16) -> bool {
        match &*self.egress {
            Egress::None | Egress::Full => false,
            Egress::Allow(rules) => rules.iter().any(|rule| rule.names_address(address, port)),
        }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Refused> {
        match tokio::time::timeout(RESOLVE_TIME, (self.resolver.0)(name.to_owned())).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) | Err(_) => Err(Refused::Unresolved { name: name.to_owned() }),
        }
    }

    /// The setting that would have allowed it.
    fn setting_with(&self, host: &Host, port: u16) -> String {
        let port = if matches!(port, HTTP | HTTPS) { String::new() } else { format!(":{port}") };
        let mut rules: Vec<String> = match &*self.egress {
            Egress::Allow(rules) if rules.len() <= MAX_QUOTED => rules.iter().map(ToString::to_string).collect(),
            Egress::Allow(_) => vec!["...".to_owned()],
            Egress::None | Egress::Full => Vec::new(),
        };
        rules.push(format!("{host}{port}"));
        format!("SANDBOX_NETWORK=allow:{}", rules.join(","))
    }
}

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Whether what is said can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// Bytes are passed on as they are.
    Yes,
    /// One request, taken apart.
    No,
}

fn place(host: &Host, port: u16) -> String {
    format!("{host}:{port}")
}

/// Why something was not passed on. The text is for whoever asked inside the sandbox, and for the log.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No rule allows it.
    #[error(
        "{place} is not in SANDBOX_NETWORK, so this sandbox may not reach it. Whoever runs the service can allow it: {setting}"
    )]
    NotAllowed {
        /// Host and port.
        place: String,
        /// What would allow it.
        setting: String,
    },
    /// The address is one of a private network, of this machine or of a cloud's own services.
    #[error(
        "{place} is, or resolves to, an address that is not on the public internet. It is reached only if SANDBOX_NETWORK names that very address, such as allow:10.0.0.5:8080"
    )]
    NotPublic {
        /// Host and port.
        place: String,
    },
    /// The name in the TLS greeting is another than the one that was asked for.
    #[error("the TLS greeting names another host than {place}")]
    OtherName {
        /// Host and port.
        place: String,
    },
    /// The command has moved as much as it may.
    #[error("this command has sent and received as much as one command may")]
    Quota,
    /// The name has no address.
    #[error("{name} cannot be resolved")]
    Unresolved {
        /// The name.
        name: String,
    },
    /// Nothing answers there.
    #[error("{place} does not answer")]
    Unreachable {
        /// Host and port.
        place: String,
    },
    /// Not a request that a proxy can pass on.
    #[error("{0}")]
    Malformed(&'static str),
    /// A body whose length is not known beforehand.
    #[error("send the body with a Content-Length; this proxy takes no chunked bodies over plain HTTP")]
    NoLength,
    /// Nothing was asked in time.
    #[error("no request came in time")]
    TooSlow,
    /// The other side is gone; nobody is there to answer to.
    #[error("the connection was closed")]
    Gone,
}

impl Refused {
    /// The status it is answered with; none when nobody is there.
    pub(super) fn status(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::NotAllowed { .. } | Self::NotPublic { .. } | Self::OtherName { .. } | Self::Quota => Some((403, "Forbidden")),
            Self::Unresolved { .. } | Self::Unreachable { .. } => Some((502, "Bad Gateway")),
            Self::Malformed(_) => Some((400, "Bad Request")),
            Self::NoLength => Some((411, "Length Required")),
            Self::TooSlow => Some((408, "Request Timeout")),
            Self::Gone => None,
        }
    }

    /// True for what an operator may want to know: somebody tried something that is not allowed.
    pub(super) fn is_noteworthy(&self) -> bool {
        match self {
            Self::NotAllowed { .. } | Self::NotPublic { .. } | Self::OtherName { .. } | Self::Quota => true,
            Self::Malformed(_) | Self::NoLength => true,
            Self::Unresolved { .. } | Self::Unreachable { .. } | Self::TooSlow | Self::Gone => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn policy(rules: &[&str]) -> Policy {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let resolver = Resolver::new(|name| {
            Box::pin(async move {
                Ok(match name.as_str() {
                    "good.example" => vec!["1.1.1.1".parse().unwrap()],
                    "inner.example" => vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap(), "10.0.0.5".parse().unwrap()],
                    "mixed.example" => vec!["192.168.0.1".parse().unwrap(), "1.0.0.1".parse().unwrap()],
                    _ => Vec::new(),
                })
            })
        });
        Policy::new(Egress::Allow(rules)).with_resolver(resolver)
    }

    async fn ask(policy: &Policy, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        policy.admit(&Host::parse(host).unwrap(), port, Tunnel::No).await
    }

    #[tokio::test]
    async fn only_checked_addresses_are_admitted() {
        let policy = policy(&["good.example", "inner.example", "mixed.example", "169.254.169.254:8080"]);
        assert_eq!(ask(&policy, "good.example", 443).await.unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        assert_eq!(ask(&policy, "mixed.example", 443).await.unwrap(), ["1.0.0.1:443".parse().unwrap()]);
        assert_eq!(ask(&policy, "169.254.169.254", 8080).await.unwrap(), ["169.254.169.254:8080".parse().unwrap()]);
        assert!(matches!(ask(&policy, "inner.example", 443).await, Err(Refused::NotPublic { .. })));
        assert!(matches!(ask(&policy, "169.254.169.254", 80).await, Err(Refused::NotAllowed { .. })));
        assert!(matches!(ask(&policy, "1.1.1.1", 443).await, Err(Refused::NotAllowed { .. })));
    }

    #[tokio::test]
    async fn a_name_leads_to_a_private_address_only_where_that_is_named_too() {
        let policy = policy(&["inner.example:5432", "10.0.0.5:5432"]);
        assert_eq!(ask(&policy, "inner.example", 5432).await.unwrap(), ["10.0.0.5:5432".parse().unwrap()]);
    }

    #[tokio::test]
    async fn full_is_the_public_internet() {
        let policy = Policy::new(Egress::Full);
        assert!(ask(&policy, "1.1.1.1", 22).await.is_ok());
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]", "[::1]", "169.254.169.254"] {
            assert!(matches!(ask(&policy, host, 80).await, Err(Refused::NotPublic { .. })), "{host}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_which_setting_allows_it() {
        let refused = ask(&policy(&["good.example"]), "evil.example", 443).await.unwrap_err();
        insta::assert_snapshot!(refused, @"evil.example:443 is not in SANDBOX_NETWORK, so this sandbox may not reach it. Whoever runs the service can allow it: SANDBOX_NETWORK=allow:good.example,evil.example");
    }

    #[tokio::test]
    async fn plain_http_is_never_hidden_in_a_tunnel() {
        let policy = policy(&["good.example", "mixed.example:80"]);
        let tunnel = async |host: &str| policy.admit(&Host::parse(host).unwrap(), 80, Tunnel::Yes).await;
        assert!(tunnel("good.example").await.is_err());
        assert!(tunnel("mixed.example").await.is_ok());
    }

    #[test]
    fn an_agent_reads_what_it_reaches() {
        insta::assert_snapshot!(policy(&["pypi.org", "*.crates.io"]).words(), @"only pypi.org, *.crates.io, by HTTP and HTTPS through the proxy that HTTPS_PROXY names; other hosts answer 403");
        assert_eq!(Policy::default().words(), "no network");
    }
}
