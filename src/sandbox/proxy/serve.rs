//! Accepts from one command, checks, connects and passes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Host;

use super::head::{self, Place, Wanted};
use super::hello::{self, Hello};
use super::policy::{Policy, Refused, Tunnel};
use super::pump::Flow;

/// What one command may use of the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Connections at once; further ones wait.
    pub connections: usize,
    /// Bytes in both directions together.
    pub bytes: u64,
    /// How long a request may take to arrive.
    pub head_time: Duration,
    /// How long to try each address.
    pub connect_time: Duration,
    /// How long a connection may be silent.
    pub idle_time: Duration,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            connections: 64,
            bytes: 4 << 30,
            head_time: Duration::from_secs(30),
            connect_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(120),
        }
    }
}

/// Refusals of one command that are logged; the rest is counted by nobody.
const LOGGED: u32 = 20;
/// How long to wait when this machine has no more files to open.
const BREATH: Duration = Duration::from_millis(100);

/// The proxy of one command.
#[derive(Debug)]
pub struct Proxy {
    policy: Policy,
    who: Arc<str>,
    quota: Quota,
    left: Arc<AtomicU64>,
    refusals: AtomicU32,
}

impl Proxy {
    pub(super) fn new(policy: Policy, who: &str, quota: Quota) -> Self {
        Self { policy, who: who.into(), quota, left: Arc::new(AtomicU64::new(quota.bytes)), refusals: AtomicU32::new(0) }
    }

    /// Serves everything that connects. Never ends by itself; dropping it closes all connections.
    pub async fn serve(self, listener: TcpListener) {
        let here = Arc::new(Semaphore::new(self.quota.connections));
        let all = Arc::clone(&self.policy.places);
        let proxy = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let (Ok(one_here), Ok(one_of_all)) =
                (Arc::clone(&here).acquire_owned().await, Arc::clone(&all).acquire_owned().await)
            else {
                return;
            };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((client, _)) => {
                    let proxy = Arc::clone(&proxy);
                    connections.spawn(async move {
                        proxy.connection(client).await;
                        drop((one_here, one_of_all));
                    });
                }
                Err(error) => {
                    tracing::warn!(sandbox.id = %proxy.who, %error, "the proxy of a sandbox cannot accept");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    async fn connection(&self, mut client: TcpStream) {
        let Err(refused) = self.relay(&mut client).await else { return };
        if refused.is_noteworthy() && self.refusals.fetch_add(1, Ordering::Relaxed) < LOGGED {
            tracing::warn!(sandbox.id = %self.who, reason = %refused, "a sandbox was refused a connection");
        }
    }

    async fn relay(&self, client: &mut TcpStream) -> Result<(), Refused> {
        let reached = match self.reach(client).await {
            Ok(reached) => reached,
            Err(refused) => {
                answer(client, &refused).await;
                return Err(refused);
            }
        };
        let flow = Flow::new(Arc::clone(&self.left), self.quota.idle_time);
        match reached.wanted {
            Wanted::Tunnel(place) => self.tunnel(&flow, client, reached.server, &place, reached.rest).await,
            Wanted::Forward { head, body, .. } => forward(&flow, client, reached.server, &head, body, &reached.rest).await,
        }
    }

    /// Reads what is wanted, checks it, and connects. Nothing was answered yet.
    async fn reach(&self, client: &mut TcpStream) -> Result<Reached, Refused> {
        let head = timeout(self.quota.head_time, head::read(client)).await.map_err(|_| Refused::TooSlow)??;
        let wanted = head.wanted()?;
        let (place, tunnel) = match &wanted {
            Wanted::Tunnel(place) => (place, Tunnel::Yes),
            Wanted::Forward { place, .. } => (place, Tunnel::No),
        };
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err(Refused::Quota);
        }
        let addresses = self.policy.admit(&place.host, place.port, tunnel).await?;
        let server = self.connect(&addresses).await.ok_or_else(|| Refused::Unreachable { place: place.to_string() })?;
        Ok(Reached { wanted, server, rest: head.rest })
    }

    /// Connects to one of the addresses that were checked; no name is looked up again.
    async fn connect(&self, addresses: &[SocketAddr]) -> Option<TcpStream> {
        for address in addresses {
            if let Ok(Ok(server)) = timeout(self.quota.connect_time, TcpStream::connect(address)).await {
                return Some(server);
            }
        }
        None
    }

    async fn tunnel(
        &self,
        flow: &Flow,
        client: &mut TcpStream,
        mut server: TcpStream,
        place: &Place,
        said: Vec<u8>,
    ) -> Result<(), Refused> {
        flow.write(client, b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let greeting = self.greeting(flow, &mut from_client, place, said).await?;
            flow.write(&mut to_server, &greeting).await?;
            flow.copy(&mut from_client, &mut to_server).await
        };
        tokio::try_join!(up, flow.copy(&mut from_server, &mut to_client)).map(drop)
    }

    /// The first bytes of a client, if they may be passed on: a greeting of TLS must name the host that was asked for.
    async fn greeting(
        &self,
        flow: &Flow,
        client: &mut (impl AsyncRead + Unpin),
        place: &Place,
        mut said: Vec<u8>,
    ) -> Result<Vec<u8>, Refused> {
        let (true, Host::Domain(name)) = (self.policy.checks_names(), &place.host) else {
            return Ok(said);
        };
        let mut piece = [0; 4096];
        loop {
            match hello::look(&said) {
                Hello::NotTls | Hello::Names(None) => return Ok(said),
                Hello::Names(Some(named)) if named == *name => return Ok(said),
                Hello::Names(Some(_)) | Hello::Broken => return Err(Refused::OtherName { place: place.to_string() }),
                Hello::More => match flow.read(client, &mut piece).await? {
                    0 => return Ok(said),
                    read => said.extend_from_slice(&piece[..read]),
                },
            }
        }
    }
}

/// A request that may be passed on, and the server it goes to.
struct Reached {
    wanted: Wanted,
    server: TcpStream,
    rest: Vec<u8>,
}

/// One request and its answer. What a client sends behind the body is dropped, so that a second request cannot ride along.
async fn forward(
    flow: &Flow,
    client: &mut TcpStream,
    mut server: TcpStream,
    head: &str,
    body: u64,
    said: &[u8],
) -> Result<(), Refused> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let said = &said[..usize::try_from(body).unwrap_or(usize::MAX).min(said.len())];
    let up = async {
        flow.write(&mut to_server, head.as_bytes()).await?;
        flow.write(&mut to_server, said).await?;
        flow.copy_exactly(body - said.len() as u64, &mut from_client, &mut to_server).await?;
        // The answer is what ends it.
        std::future::pending::<Result<(), Refused>>().await
    };
    tokio::select! {
        ended = up => ended,
        answered = flow.copy(&mut from_server, &mut to_client) => answered,
    }
}

async fn answer(client: &mut TcpStream, refused: &Refused) {
    const TIME: Duration = Duration::from_secs(5);
    let Some((status, phrase)) = refused.status() else { return };
    let text = format!("{refused}\n");
    // Many programs show of a refused CONNECT nothing but this line.
    let reason = if status == 403 { format!("{phrase}: {refused}") } else { phrase.to_owned() };
    let response = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let write = async {
        client.write_all(response.as_bytes()).await?;
        client.shutdown().await?;
        // What is still on its way would turn the answer into a reset.
        let mut rest = [0; 4096];
        while client.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(TIME, write).await;
}
