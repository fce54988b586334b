//! A websocket client that knows opcodes and nothing else.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{LIMIT, Stage};

pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last event.
    pub seq: u64,
    pub heartbeat_interval: u64,
}

/// What a connection brought.
#[derive(Debug)]
pub enum Came {
    Payload(Value),
    Bytes(Vec<u8>),
    Closed(u16),
    Broken,
}

impl Socket {
    /// Connects and is greeted.
    pub async fn open(url: &str) -> Self {
        Self::open_as(&format!("{url}/?v=10&encoding=json")).await
    }

    pub async fn open_as(url: &str) -> Self {
        let mut socket = Self::raw(url).await;
        let hello = socket.payload().await;
        assert_eq!(hello["op"], 10, "{hello}");
        socket.heartbeat_interval = hello["d"]["heartbeat_interval"].as_u64().unwrap();
        socket
    }

    /// Connects and has heard nothing yet.
    pub async fn raw(url: &str) -> Self {
        let (stream, _) = connect_async(url).await.unwrap();
        Self { stream, seq: 0, heartbeat_interval: 0 }
    }

    pub async fn send(&mut self, payload: Value) {
        self.send_text(payload.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    pub async fn identify(&mut self, stage: &Stage, intents: u64) {
        self.identify_with(json!({"token": stage.token(), "intents": intents})).await;
    }

    pub async fn identify_with(&mut self, mut data: Value) {
        data["properties"] = json!({"os": "linux", "browser": "test", "device": "test"});
        self.send(json!({"op": 2, "d": data})).await;
    }

    pub async fn resume(&mut self, stage: &Stage, session: &Value, seq: u64) {
        self.send(json!({"op": 6, "d": {"token": stage.token(), "session_id": session, "seq": seq}})).await;
    }

    pub async fn came(&mut self) -> Came {
        loop {
            let next = tokio::time::timeout(LIMIT, self.stream.next()).await.expect("the gateway says nothing");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let payload: Value = serde_json::from_str(&text).unwrap();
                    self.seq = payload["s"].as_u64().unwrap_or(self.seq);
                    return Came::Payload(payload);
                }
                Some(Ok(Message::Binary(bytes))) => return Came::Bytes(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => return Came::Closed(frame.unwrap().code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Came::Broken,
            }
        }
    }

    pub async fn payload(&mut self) -> Value {
        match self.came().await {
            Came::Payload(payload) => payload,
            other => panic!("instead of a payload: {other:?}"),
        }
    }

    /// The next payload, which must be this event; its data.
    pub async fn event(&mut self, name: &str) -> Value {
        let payload = self.payload().await;
        assert_eq!(payload["t"], name, "{payload}");
        payload["d"].clone()
    }

    /// How the connection ends; nothing may come before.
    pub async fn closed(&mut self) -> u16 {
        match self.came().await {
            Came::Closed(code) => code,
            other => panic!("instead of a close: {other:?}"),
        }
    }

    /// Nothing is under way: a heartbeat is answered next.
    pub async fn quiet(&mut self) {
        self.send(json!({"op": 1, "d": self.seq})).await;
        let payload = self.payload().await;
        assert_eq!(payload["op"], 11, "there was something: {payload}");
    }

    pub async fn close(mut self, code: u16) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.stream.close(Some(frame)).await.unwrap();
        // Until the other side has closed too.
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}
