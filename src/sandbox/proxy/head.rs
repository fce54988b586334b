//! Reads the head of a request, strictly: what two programs could understand differently is refused.

use tokio::io::{AsyncRead, AsyncReadExt};
use url::Host;

use super::policy::Refused;

/// Longer heads are refused.
const MAX_HEAD: usize = 32 << 10;
const END: &[u8] = b"\r\n\r\n";

/// A head as it came, and what was read beyond it.
#[derive(Debug)]
pub(super) struct Head {
    text: String,
    pub(super) rest: Vec<u8>,
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `CONNECT`.
    Tunnel(Place),
    /// One request by plain HTTP: the head as it is passed on, and the length of the body behind it.
    Forward { place: Place, head: String, body: u64 },
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// Reads to the empty line.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, Refused> {
    let mut bytes = Vec::new();
    loop {
        let seen = bytes.len();
        if stream.read_buf(&mut bytes).await.map_err(|_| Refused::Gone)? == 0 {
            return Err(Refused::Gone);
        }
        let from = seen.saturating_sub(END.len());
        if let Some(end) = bytes[from..].windows(END.len()).position(|window| window == END) {
            let rest = bytes.split_off(from + end + END.len());
            bytes.truncate(bytes.len() - END.len());
            let text = String::from_utf8(bytes).map_err(|_| Refused::Malformed("the head of the request is not UTF-8"))?;
            return Ok(Head { text, rest });
        }
        if bytes.len() > MAX_HEAD {
            return Err(Refused::Malformed("the head of the request is too long"));
        }
    }
}

impl Head {
    /// Understands it, or refuses it.
    pub(super) fn wanted(&self) -> Result<Wanted, Refused> {
        let mut lines = self.text.split("\r\n");
        let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let headers = lines.map(header).collect::<Result<Vec<_>, _>>()?;
        match request[..] {
            ["CONNECT", target, "HTTP/1.1" | "HTTP/1.0"] => Ok(Wanted::Tunnel(Place::parse(target, None)?)),
            [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] if !method.is_empty() && method.bytes().all(is_token) => {
                forward(method, target, version, &headers)
            }
            _ => Err(Refused::Malformed("this is not a request of HTTP/1.1")),
        }
    }
}

type Header<'a> = (&'a str, &'a str);

fn header(line: &str) -> Result<Header<'_>, Refused> {
    let (name, value) = line.split_once(':').ok_or(Refused::Malformed("a header has no colon"))?;
    // No space before the colon, no line that continues the one before, no line that ends in half a line break.
    if name.is_empty() || !name.bytes().all(is_token) || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(Refused::Malformed("a header is not one"));
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Not passed on: they are between the client and us.
const BETWEEN_US: [&str; 10] = [
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    // Written anew.
    "host",
    "content-length",
];

fn forward(method: &str, target: &str, version: &str, headers: &[Header<'_>]) -> Result<Wanted, Refused> {
    let (place, path) = absolute(target)?;
    match values(headers, "host")[..] {
        [] => {}
        [one] if Place::parse(one, Some(80))? == place => {}
        _ => return Err(Refused::Malformed("the Host header names another host than the address of the request")),
    }
    let body = body_length(headers)?;
    let connection = values(headers, "connection").join(",").to_ascii_lowercase();
    let dropped = |name: &str| {
        let name = name.to_ascii_lowercase();
        BETWEEN_US.contains(&name.as_str()) || connection.split(',').any(|option| option.trim() == name)
    };
    let mut head = format!("{method} {path} {version}\r\nHost: {}\r\n", place.as_host());
    for (name, value) in headers.iter().filter(|(name, _)| !dropped(name)) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = body {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    Ok(Wanted::Forward { place, head, body: body.unwrap_or(0) })
}

fn values<'a>(headers: &[Header<'a>], wanted: &str) -> Vec<&'a str> {
    headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value).collect()
}

/// The end of a request must be beyond doubt, or what follows could be taken for a second one.
fn body_length(headers: &[Header<'_>]) -> Result<Option<u64>, Refused> {
    if !values(headers, "transfer-encoding").is_empty() {
        return Err(Refused::NoLength);
    }
    match values(headers, "content-length")[..] {
        [] => Ok(None),
        [one] => Ok(Some(digits(one).ok_or(Refused::Malformed("the Content-Length is not a number"))?)),
        _ => Err(Refused::Malformed("there is more than one Content-Length")),
    }
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| only)
}

/// `http://host:port/path`, split into where and what.
fn absolute(target: &str) -> Result<(Place, String), Refused> {
    let start = target.get(..7).filter(|start| start.eq_ignore_ascii_case("http://"));
    let rest = start.and_then(|_| target.get(7..)).ok_or(Refused::Malformed(
        "this is the proxy of the sandbox; it takes CONNECT host:443, and requests for http:// addresses",
    ))?;
    if target.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(Refused::Malformed("the address of the request has characters that must be escaped"));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((Place::parse(authority, Some(80))?, format!("{slash}{path}")))
}

impl Place {
    /// `host:port`, in the form it is compared in: names small and without a dot at the end, addresses as numbers.
    fn parse(text: &str, default_port: Option<u16>) -> Result<Self, Refused> {
        let wrong = || Refused::Malformed("the address of the request is not host:port");
        let end =
            if text.starts_with('[') { text.find(']').ok_or_else(wrong)? + 1 } else { text.find(':').unwrap_or(text.len()) };
        let (host, port) = text.split_at(end);
        let port = match port.strip_prefix(':') {
            Some(port) => digits(port).filter(|port| *port != 0),
            None if port.is_empty() => default_port,
            None => None,
        };
        if host.bytes().any(|byte| !byte.is_ascii_graphic() || b"@/\\%".contains(&byte)) {
            return Err(wrong());
        }
        let host = match Host::parse(host).map_err(|_| wrong())? {
            Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
            address @ (Host::Ipv4(_) | Host::Ipv6(_)) => address,
        };
        Ok(Self { host, port: port.ok_or_else(wrong)? })
    }

    fn as_host(&self) -> String {
        if self.port == 80 { self.host.to_string() } else { self.to_string() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn wanted(text: &str) -> Result<Wanted, Refused> {
        Head { text: text.to_owned(), rest: Vec::new() }.wanted()
    }

    fn place(host: &str, port: u16) -> Place {
        Place { host: Host::parse(host).unwrap(), port }
    }

    #[test]
    fn a_tunnel_names_host_and_port() {
        assert_eq!(wanted("CONNECT PyPI.org.:443 HTTP/1.1\r\nHost: x").unwrap(), Wanted::Tunnel(place("pypi.org", 443)));
        assert_eq!(wanted("CONNECT [::1]:443 HTTP/1.0").unwrap(), Wanted::Tunnel(place("[::1]", 443)));
        assert_eq!(wanted("CONNECT 0x7f.1:80 HTTP/1.1").unwrap(), Wanted::Tunnel(place("127.0.0.1", 80)));
        for target in [
            "a",
            "a:",
            "a:0",
            "a:+1",
            "a:70000",
            "u@a:443",
            "a:443:443",
            "[::1]x:443",
            "a%2eb:443",
            "a/b:443",
            ":443",
            "a\u{e9}:443",
        ] {
            assert!(wanted(&format!("CONNECT {target} HTTP/1.1")).is_err(), "{target}");
        }
    }

    #[test]
    fn a_plain_request_is_written_anew() {
        let text = "POST http://A.example:8080/x?y=1 HTTP/1.1\r\nhost: a.example:8080\r\nProxy-Authorization: secret\r\n\
            Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept:\t*/* \r\nContent-Length: 3\r\nUpgrade: h2c\r\nTE: trailers";
        let Wanted::Forward { place: to, head, body } = wanted(text).unwrap() else { panic!() };
        assert_eq!((to, body), (place("a.example", 8080), 3));
        assert_eq!(
            head,
            "POST /x?y=1 HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
        let Wanted::Forward { head, .. } = wanted("GET http://a.example?q HTTP/1.0").unwrap() else { panic!() };
        assert_eq!(head, "GET /?q HTTP/1.0\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let get = "GET http://a.example/ HTTP/1.1\r\n";
        for headers in [
            "Host: b.example",
            "Host: a.example\r\nHost: b.example",
            "Host: a.example:81",
            "Host: a.example@b.example",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: 0x1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding : chunked",
            "transfer-encoding:\tidentity",
            "X: a\r\n folded",
            "X: a\nHost: b.example",
            "X: a\rHost: b.example",
            "X: a\0b",
            "no colon",
            ": empty",
        ] {
            assert!(wanted(&format!("{get}{headers}")).is_err(), "{headers:?}");
        }
        for line in [
            "GET / HTTP/1.1",
            "GET https://a.example/ HTTP/1.1",
            "GET  http://a.example/ HTTP/1.1",
            "GET http://a.example/ HTTP/2",
            "GET http://a.example/ HTTP/1.1 ",
            "GET http://a.example/\tb HTTP/1.1",
            "GET http://u:p@a.example/ HTTP/1.1",
            "GET http://b.example\\@a.example/ HTTP/1.1",
            "GET http://a.example/#x HTTP/1.1",
            "G T http://a.example/ HTTP/1.1",
            " http://a.example/ HTTP/1.1",
            "connect a.example:443 HTTP/1.1",
            "",
        ] {
            assert!(wanted(line).is_err(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_one_request(text in "(GET|POST) http://a\\.example/[ -~]{0,10} HTTP/1.1\r\n([ -~\r\n\t]{0,60})") {
            if let Ok(Wanted::Forward { head, .. }) = wanted(&text) {
                prop_assert_eq!(head.matches("\r\n\r\n").count(), 1);
                prop_assert_eq!(head.matches('\r').count(), head.matches("\r\n").count());
                prop_assert_eq!(head.matches('\n').count(), head.matches("\r\n").count());
                prop_assert_eq!(head.to_ascii_lowercase().matches("\r\nhost:").count(), 1);
            }
        }
    }
}
