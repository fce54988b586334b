//! The way out of local sandboxes: programs inside, the proxy in the service, and a server that writes down what reaches it.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::proxy::{Egress, Policy, Quota, Resolver};
use threadbox::sandbox::{Command, Exec, Executed, Language, Provider, Sandbox, SandboxSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::sandbox::{again_without_rights, config};

/// A server on the loopback of the machine. Each connection's bytes are written down; it answers `GET /big` with 4 MiB, other
/// requests with what they asked for, and anything else by saying it back.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let number = all.lock().unwrap().len();
                all.lock().unwrap().push(Vec::new());
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = client.read(&mut buffer).await {
                        all.lock().unwrap()[number].extend_from_slice(&buffer[..count]);
                        let said = all.lock().unwrap()[number].clone();
                        let text = String::from_utf8_lossy(&said);
                        if !text.contains("HTTP/1.") {
                            let _ = client.write_all(&buffer[..count]).await;
                        } else if is_whole(&text) {
                            let body = if text.starts_with("GET /big") { vec![b'x'; 4 << 20] } else { said.clone() };
                            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                            let _ = client.write_all(head.as_bytes()).await;
                            let _ = client.write_all(&body).await;
                            let _ = client.shutdown().await;
                        }
                    }
                });
            }
        });
        Self { port, heard, _task: AbortOnDropHandle::new(task) }
    }

    /// What was said in each connection.
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// True when head and body are there.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// Sandboxes with a way out, and names for addresses of the loopback.
struct Place {
    provider: LocalProvider,
    lookups: Arc<AtomicUsize>,
    server: Server,
    _root: tempfile::TempDir,
}

impl Place {
    async fn new(rules: &str) -> Self {
        let server = Server::start().await;
        let rules = rules.replace("PORT", &server.port.to_string());
        let rules = rules.split_whitespace().map(|rule| rule.parse().unwrap()).collect();
        Self::with(server, Egress::Allow(rules), Quota::default())
    }

    fn with(server: Server, egress: Egress, quota: Quota) -> Self {
        let lookups = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lookups);
        // Every second answer for `turning.test` is another one, as a name under somebody else's control may do.
        let resolver = Resolver::new(move |name| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                let address: &str = match name.as_str() {
                    "turning.test" if number % 2 == 1 => "10.0.0.9",
                    "private.test" => "10.0.0.5",
                    "clouds.test" => "169.254.169.254",
                    "mapped.test" => "::ffff:127.0.0.2",
                    name if name.ends_with(".test") => "127.0.0.1",
                    _ => return Err(std::io::Error::other("no such name")),
                };
                Ok(vec![address.parse::<IpAddr>().unwrap()])
            })
        });
        let root = tempfile::tempdir().unwrap();
        let network = Policy::new(egress).with_resolver(resolver).with_quota(quota);
        let provider = LocalProvider::new(LocalConfig { network, ..config(root.path()) }).unwrap();
        Self { provider, lookups, server, _root: root }
    }

    async fn sandbox(&self) -> Arc<dyn Sandbox> {
        self.provider.create(SandboxSpec { name: Some("outgoing".to_owned()), ..SandboxSpec::default() }).await.unwrap()
    }

    /// `PORT` in the code is the server's.
    async fn python(&self, code: &str) -> Executed {
        let code = format!("{HELPERS}\n{}", code.replace("PORT", &self.server.port.to_string()));
        let command = Command::Code { language: Language::Python, code, argv: Vec::new() };
        let sandbox = self.sandbox().await;
        sandbox.exec(Exec::new(command, Duration::from_secs(40), 256 << 10), &CancellationToken::new()).await.unwrap()
    }
}

/// Speaking with the proxy by hand.
const HELPERS: &str = r#"
import os, socket, ssl, urllib.error, urllib.request
def raw(text):
    s = socket.create_connection(("127.0.0.1", 3128), 10)
    s.sendall(text if isinstance(text, bytes) else text.encode())
    return s
def rest(s):
    s.settimeout(10); parts = []
    try:
        while part := s.recv(65536): parts.append(part)
    except ConnectionResetError: parts.append(b"[reset]")
    return b"".join(parts).decode(errors="replace")
def status(text):
    return rest(raw(text)).split("\r\n")[0]
"#;

#[tokio::test]
async fn what_is_allowed_is_reached_and_nothing_else() {
    let place = Place::new("good.test:PORT 127.0.0.1:PORT *.below.test:PORT").await;
    let ran = place
        .python(
            r#"
print(urllib.request.urlopen("http://good.test:PORT/hello?x=1").read().decode().split("\r\n")[0])
print(urllib.request.urlopen("http://a.below.test:PORT/", data=b"body").read().decode().endswith("\r\n\r\nbody"))
for url in ["http://evil.test:PORT/", "http://below.test:PORT/", "http://good.test/", "http://good.test.evil.test:PORT/", "http://127.0.0.2:PORT/"]:
    try: print(url, urllib.request.urlopen(url).read())
    except urllib.error.HTTPError as e: print(url, e.code, "SANDBOX_NETWORK" in e.read().decode())
try: urllib.request.urlopen("https://evil.test/")
except OSError as e: print(e)
"#,
        )
        .await;
    let text = ran.stdout.text().replace(&place.server.port.to_string(), "PORT");
    let expected = "\
GET /hello?x=1 HTTP/1.1
True
http://evil.test:PORT/ 403 True
http://below.test:PORT/ 403 True
http://good.test/ 403 True
http://good.test.evil.test:PORT/ 403 True
http://127.0.0.2:PORT/ 403 True
<urlopen error Tunnel connection failed: 403 Forbidden: evil.test:443 is not in SANDBOX_NETWORK, so this sandbox may not reach it. \
Whoever runs the service can allow it: SANDBOX_NETWORK=allow:good.test:PORT,127.0.0.1:PORT,*.below.test:PORT,evil.test>
";
    assert_eq!(text, expected, "{}", ran.stderr.text());
    assert_eq!(place.server.heard().len(), 2, "{:?}", place.server.heard());
}

#[tokio::test]
async fn programs_find_the_way_by_themselves() {
    let place = Place::new("good.test:PORT 127.0.0.1:PORT").await;
    let sandbox = place.sandbox().await;
    let line = format!(
        "env | grep -ci proxy=; command -v curl >/dev/null || exit 0; curl -s http://good.test:{0}/curl | head -1; \
         curl -s -o /dev/null -w '%{{http_code}}\\n' http://evil.test/; curl -sS https://evil.test/ 2>&1; git ls-remote http://good.test:{0}/repo.git 2>&1 | head -1; \
         python3 -m http.server --bind 127.0.0.1 8000 >/dev/null 2>&1 & until curl -s -o /dev/null http://localhost:8000/; do :; done; echo own server; kill $!",
        place.server.port
    );
    let exec = Exec::new(Command::Shell(line), Duration::from_secs(40), 64 << 10);
    let ran = sandbox.exec(exec, &CancellationToken::new()).await.unwrap();
    let text = ran.stdout.text();
    assert!(text.starts_with("11\n"), "{text} {}", ran.stderr.text());
    assert!(text.contains("GET /curl HTTP/1.1\r\n403\n") && text.ends_with("own server\n"), "{text}");
    let heard = place.server.heard();
    assert!(heard.iter().any(|said| said.starts_with("GET /repo.git/info/refs")), "{heard:?}");
    assert!(heard.iter().all(|said| !said.to_ascii_lowercase().contains("proxy-")), "{heard:?}");
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_form() {
    let place = Place::new("*.test 127.0.0.1:PORT *.test:PORT 192.168.7.7").await;
    let ran = place
        .python(
            r#"
for target in ["clouds.test:443", "private.test:443", "local.test:443", "mapped.test:PORT", "169.254.169.254:443", "127.0.0.1:80", "127.0.0.1:22",
               "2130706433:443", "0x7f.0.0.1:443", "127.1:443", "[::1]:443", "[::ffff:127.0.0.1]:443", "[fe80::1]:443", "localhost:443", "192.168.7.8:443", "0.0.0.0:PORT"]:
    print(status(f"CONNECT {target} HTTP/1.1\r\n\r\n").split(" ")[1], target)
for url in ["http://clouds.test/latest/meta-data/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://local.test/", "http://127.1/"]:
    print(status(f"GET {url} HTTP/1.1\r\n\r\n").split(" ")[1], url)
"#,
        )
        .await;
    let text = ran.stdout.text();
    assert!(text.lines().count() >= 21, "{text} {}", ran.stderr.text());
    let not_refused: Vec<_> = text.lines().filter(|line| *line != "None" && !line.starts_with("403 ")).collect();
    assert!(not_refused.is_empty(), "{not_refused:?}");
    assert_eq!(place.server.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn the_whole_internet_is_not_this_machine() {
    let server = Server::start().await;
    let place = Place::with(server, Egress::Full, Quota::default());
    let ran = place
        .python(
            r#"
for target in ["127.0.0.1:PORT", "local.test:PORT", "[::ffff:127.0.0.1]:PORT", "clouds.test:80", "10.0.0.5:443"]:
    print(status(f"CONNECT {target} HTTP/1.1\r\n\r\n").split(" ")[1])
"#,
        )
        .await;
    assert_eq!(ran.stdout.text(), "403\n".repeat(5), "{}", ran.stderr.text());
    assert_eq!(place.provider.surroundings().network.split(',').next().unwrap(), "the public internet");
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let place = Place::new("turning.test:PORT 127.0.0.1:PORT").await;
    let ran = place
        .python(
            r#"
for _ in range(4): print(status("GET http://turning.test:PORT/ HTTP/1.1\r\n\r\n").split(" ")[1])
"#,
        )
        .await;
    assert_eq!(ran.stdout.text(), "200\n403\n200\n403\n", "{}", ran.stderr.text());
    assert_eq!(place.lookups.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn nothing_rides_along_with_a_request() {
    let place = Place::new("good.test:PORT 127.0.0.1:PORT").await;
    let ran = place
        .python(
            r#"
start = "GET http://good.test:PORT/one HTTP/1.1\r\nHost: good.test:PORT\r\n"
second = "GET http://evil.test:PORT/two HTTP/1.1\r\nHost: evil.test:PORT\r\n\r\n"
print(status(start + "\r\n" + second))
print(status(start.replace("GET", "POST") + "Content-Length: 4\r\n\r\nbody" + second))
for headers in ["Host: evil.test\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: 5\r\nContent-Length: 6\r\n", "X: a\nHost: evil.test\r\n", "X: a\r\n Host: evil.test\r\n", "Transfer-Encoding : chunked\r\n"]:
    print(status(start + headers + "\r\n" + "0\r\n\r\n" + second))
print(status(start.replace("Host: good.test:PORT", "Host: evil.test:PORT") + "\r\n"))
print(status("GET http://good.test:PORT@evil.test/ HTTP/1.1\r\n\r\n"))
print(status("GET / HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n"))
print(status("GET http://good.test:PORT/ HTTP/1.1\r\nX: " + "x" * 70000 + "\r\n\r\n"))
"#,
        )
        .await;
    let text = ran.stdout.text();
    let codes: Vec<_> = text.lines().map(|line| line.split(' ').nth(1).unwrap_or(line)).collect();
    assert_eq!(codes.len(), 13, "{text} {}", ran.stderr.text());
    assert_eq!(codes[..2], ["200", "200"], "{text}");
    assert!(codes[2..].iter().all(|code| matches!(*code, "400" | "411")), "{text}");
    let heard = place.server.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard.iter().all(|said| !said.contains("two") && !said.contains("evil")), "{heard:?}");
    assert!(heard[1].ends_with("\r\n\r\nbody"), "{heard:?}");
}

#[tokio::test]
async fn behind_connect_the_name_must_be_the_one_that_was_asked_for() {
    let place = Place::new("good.test:PORT 127.0.0.1:PORT").await;
    let ran = place
        .python(
            r#"
def greet(name):
    s = raw("CONNECT good.test:PORT HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n")
    print(s.recv(100).split(b"\r\n")[0].decode())
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    try: context.wrap_socket(s, server_hostname=name)
    except OSError as e: print(type(e).__name__ != "TimeoutError")
greet("evil.test"); greet("good.test")
s = raw("CONNECT good.test:PORT HTTP/1.0\r\n\r\n"); s.recv(100); s.sendall(b"not TLS"); print(s.recv(100))
"#,
        )
        .await;
    assert_eq!(
        ran.stdout.text(),
        "HTTP/1.1 200 Connection established\nTrue\nHTTP/1.1 200 Connection established\nTrue\nb'not TLS'\n",
        "{}",
        ran.stderr.text()
    );
    let heard = place.server.heard();
    assert!(heard.iter().all(|said| !said.contains("evil.test")), "{heard:?}");
    assert!(heard.iter().any(|said| said.contains("good.test")) && heard[0].is_empty(), "{heard:?}");
}

#[tokio::test]
async fn one_command_may_move_only_so_much() {
    let server = Server::start().await;
    let rules = [format!("127.0.0.1:{}", server.port).parse().unwrap()].into();
    let quota = Quota { bytes: 1 << 20, connections: 2, head_time: Duration::from_millis(300), ..Quota::default() };
    let place = Place::with(server, Egress::Allow(rules), quota);
    let code = r#"
silent = [raw("") for _ in range(2)]
print(status("GET http://127.0.0.1:PORT/ HTTP/1.1\r\n\r\n").split(" ")[1], [rest(s).split(" ")[1] for s in silent])
got = len(rest(raw("GET http://127.0.0.1:PORT/big HTTP/1.1\r\n\r\n")))
print(100000 < got <= 1 << 20, status("GET http://127.0.0.1:PORT/ HTTP/1.1\r\n\r\n").split(" ")[1])
"#;
    // The next command begins anew.
    for _ in 0..2 {
        let ran = place.python(code).await;
        assert_eq!(ran.stdout.text(), "200 ['408', '408']\nTrue 403\n", "{}", ran.stderr.text());
    }
}

#[tokio::test]
async fn the_way_out_is_closed_when_there_is_none() {
    let place = Place::with(Server::start().await, Egress::None, Quota::default());
    let ran = place
        .python(
            r#"
try: raw("CONNECT 127.0.0.1:PORT HTTP/1.1\r\n\r\n"); print("connected")
except OSError as e: print("refused")
print([name for name in os.environ if "proxy" in name.lower()])
"#,
        )
        .await;
    assert_eq!(ran.stdout.text(), "refused\n[]\n", "{}", ran.stderr.text());
    assert_eq!(place.provider.surroundings().network, "no network");
}

#[tokio::test]
async fn there_is_no_way_around_the_proxy() {
    let place = Place::new("good.test:PORT 127.0.0.1:PORT").await;
    let ran = place
        .python(
            r#"
for address in ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"]:
    try: socket.create_connection((address, PORT), 2); print("reached", address)
    except OSError as e: print("failed")
try: socket.getaddrinfo("good.test", 80); print("resolved")
except OSError: print("failed")
print(os.listdir("/proc/self/fd") and sorted(l for l in open("/proc/net/dev").read().split() if l.endswith(":")))
"#,
        )
        .await;
    assert_eq!(ran.stdout.text(), "failed\nfailed\nfailed\nfailed\n['lo:']\n", "{}", ran.stderr.text());
    assert_eq!(place.server.heard(), Vec::<String>::new());
}

#[test]
fn the_way_out_is_as_narrow_for_a_service_that_is_not_root() {
    again_without_rights(&["egress::"], "the_way_out_is_as_narrow");
}
