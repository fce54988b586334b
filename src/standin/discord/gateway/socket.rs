//! One websocket: greets, listens, and sends what its session has to be told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::Shared;
use super::client::{Reply, Wishes, take};
use super::{Ending, Order};

/// Bytes a client may send in one piece.
const LARGEST_PAYLOAD: usize = 4096;
/// Payloads a client may send in a minute.
const MOST_PAYLOADS: usize = 120;
/// Bytes from which payloads are compressed for those who wish it.
const WORTH_COMPRESSING: usize = 512;
/// How long a client may take to answer a close.
const GOODBYE: Duration = Duration::from_secs(1);

/// Opens a connection, unless the gateway is down.
pub(in super::super) async fn connect(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if shared.with(|world| world.gateway.script.down) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let stream = query.get("compress").is_some_and(|kind| kind == "zlib-stream");
    let version = query.get("v").cloned();
    upgrade.on_upgrade(move |socket| async move {
        let id = shared.with(|world| world.gateway.open());
        let zlib = stream.then(|| Compress::new(Compression::fast(), true));
        let wishes = Wishes::default();
        let heard = Instant::now();
        let mut line = Line { shared: shared.clone(), socket, id, zlib, wishes, heard, recent: VecDeque::new() };
        let ending = line.serve(version).await;
        shared.with(|world| {
            let now = world.now();
            world.gateway.end(id, ending, now);
        });
        shared.notify();
    })
}

struct Line {
    shared: Arc<Shared>,
    socket: WebSocket,
    id: u64,
    zlib: Option<Compress>,
    wishes: Wishes,
    /// When the last heartbeat came.
    heard: Instant,
    /// When payloads came.
    recent: VecDeque<Instant>,
}

/// What a connection has to do now.
#[derive(Default)]
struct Due {
    payloads: Vec<Value>,
    end: Option<Order>,
}

impl Line {
    async fn serve(&mut self, version: Option<String>) -> Ending {
        if version.is_some_and(|version| version != "10" && version != "9") {
            return self.close(4012, "Invalid API version.").await;
        }
        let interval = self.shared.heartbeat_interval;
        let hello = json!({"op": 10, "d": {"heartbeat_interval": interval.as_millis(), "_trace": []}, "s": null, "t": null});
        if !self.send(&hello).await {
            return Ending::Dropped;
        }
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(ending) = self.deliver().await {
                return ending;
            }
            // Twice the interval without a heartbeat: nobody is there any more.
            let patience = self.heard + interval * 2;
            let said = tokio::select! {
                said = timeout_at(patience, self.socket.recv()) => said,
                seen = changed.changed() => match seen {
                    Ok(()) => continue,
                    Err(_) => return Ending::Dropped,
                },
            };
            let ending = match said {
                Ok(Some(Ok(message))) => self.hear(message).await,
                Ok(Some(Err(_)) | None) => Some(Ending::Dropped),
                Err(_) => Some(self.close(4009, "Session timed out.").await),
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Sends what is due; an ending when there is nothing more to say.
    async fn deliver(&mut self) -> Option<Ending> {
        let due = self.due();
        for payload in due.payloads {
            if !self.send(&payload).await {
                return Some(Ending::Dropped);
            }
        }
        match due.end? {
            Order::Close(code, reason) => Some(self.close(code, &reason).await),
            Order::Drop | Order::Reconnect | Order::Invalid { .. } | Order::Heartbeat => Some(Ending::Dropped),
        }
    }

    fn due(&mut self) -> Due {
        let mut world = self.shared.lock();
        let gateway = &mut world.gateway;
        let mut due = Due::default();
        let Some(connection) = gateway.connections.get_mut(&self.id) else {
            due.end = Some(Order::Drop);
            return due;
        };
        let session = connection.session.as_ref().and_then(|id| gateway.sessions.get(id));
        if gateway.script.frozen {
            // Nothing is sent, but it can still break.
            due.end = connection.orders.iter().any(|order| *order == Order::Drop).then_some(Order::Drop);
            return due;
        }
        let sent = connection.sent;
        for told in session.into_iter().flat_map(|session| session.since(sent)) {
            connection.sent = told.seq;
            due.payloads.push(json!({"op": 0, "t": told.name, "s": told.seq, "d": *told.data}));
            if let Some(left) = &mut gateway.script.drop_after {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    gateway.script.drop_after = None;
                    due.end = Some(Order::Drop);
                    return due;
                }
            }
        }
        while let Some(order) = connection.orders.pop_front() {
            let plain = |op: u64, d: Value| json!({"op": op, "d": d, "s": null, "t": null});
            match order {
                Order::Reconnect => due.payloads.push(plain(7, Value::Null)),
                Order::Heartbeat => due.payloads.push(plain(1, Value::Null)),
                Order::Invalid { resumable } => {
                    connection.session = None;
                    due.payloads.push(plain(9, resumable.into()));
                }
                Order::Close(..) | Order::Drop => {
                    due.end = Some(order);
                    break;
                }
            }
        }
        due
    }

    async fn hear(&mut self, message: Message) -> Option<Ending> {
        let text = match message {
            Message::Text(text) => text.to_string(),
            Message::Binary(_) => return Some(self.close(4002, "Error while decoding payload.").await),
            Message::Close(frame) => return Some(Ending::Left(frame.map(|frame| frame.code))),
            Message::Ping(_) | Message::Pong(_) => return None,
        };
        if text.len() > LARGEST_PAYLOAD {
            return Some(self.close(4002, "Error while decoding payload.").await);
        }
        let now = Instant::now();
        self.recent.retain(|at| now - *at < Duration::from_secs(60));
        self.recent.push_back(now);
        if self.recent.len() > MOST_PAYLOADS {
            return Some(self.close(4008, "Rate limited.").await);
        }
        let reply = take(&self.shared, self.id, &text, &mut self.wishes);
        // Everything but a heartbeat may have changed something; whoever waits for a session looks again.
        self.heard = now;
        self.shared.notify();
        match reply {
            Reply::Nothing => None,
            Reply::Payload(_) if self.shared.with(|world| world.gateway.script.frozen) => None,
            Reply::Payload(payload) => (!self.send(&payload).await).then_some(Ending::Dropped),
            Reply::Close(code, reason) => Some(self.close(code, reason).await),
        }
    }

    async fn send(&mut self, payload: &Value) -> bool {
        let text = payload.to_string();
        let message = match &mut self.zlib {
            Some(zlib) => Message::Binary(flushed(zlib, text.as_bytes()).into()),
            None if self.wishes.compress && text.len() > WORTH_COMPRESSING => Message::Binary(compressed(text.as_bytes()).into()),
            None => Message::Text(text.into()),
        };
        self.socket.send(message).await.is_ok()
    }

    /// Says goodbye and waits a moment for the answer: a connection that is cut at once may lose the goodbye.
    async fn close(&mut self, code: u16, reason: &str) -> Ending {
        let frame = CloseFrame { code, reason: reason.to_owned().into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            let answer = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            // However it answers, this is over.
            let _ = timeout(GOODBYE, answer).await;
        }
        Ending::Closed(code)
    }
}

/// One piece of a stream that is compressed as a whole.
fn flushed(zlib: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 2 + 64);
    let begin = zlib.total_in();
    loop {
        let done = usize::try_from(zlib.total_in() - begin).unwrap_or(text.len());
        let room = out.capacity() - out.len();
        let status = zlib.compress_vec(&text[done..], &mut out, FlushCompress::Sync);
        let all = zlib.total_in() - begin == text.len() as u64;
        // With room left over there is nothing more to flush.
        if !matches!(status, Ok(Status::Ok)) || (all && out.len() < out.capacity() && room > 0) {
            return out;
        }
        out.reserve(out.capacity().max(256));
    }
}

/// A payload compressed by itself.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut zlib = Compress::new(Compression::fast(), true);
    let mut out = Vec::with_capacity(text.len() + 128);
    loop {
        let done = usize::try_from(zlib.total_in()).unwrap_or(text.len());
        match zlib.compress_vec(&text[done..], &mut out, FlushCompress::Finish) {
            Ok(Status::Ok | Status::BufError) => out.reserve(text.len() + 128),
            Ok(Status::StreamEnd) | Err(_) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;

    use flate2::Decompress;
    use flate2::read::ZlibDecoder;

    use super::*;

    #[test]
    fn a_stream_is_read_piece_by_piece() {
        let mut zlib = Compress::new(Compression::fast(), true);
        let mut reader = Decompress::new(true);
        for text in ["{}".to_owned(), "ab".repeat(5_000), (0..3000).map(|n| n.to_string()).collect()] {
            let piece = flushed(&mut zlib, text.as_bytes());
            assert!(piece.ends_with(&[0, 0, 0xff, 0xff]));
            let mut out = Vec::with_capacity(20_000);
            reader.decompress_vec(&piece, &mut out, flate2::FlushDecompress::Sync).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn a_payload_is_compressed_by_itself() {
        let text = "ab".repeat(5_000);
        let mut read = String::new();
        ZlibDecoder::new(&compressed(text.as_bytes())[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
