//! Programs inside that listen, seen from outside: the proxy's way to ports.

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) async fn forward(Path((port, _)): Path<(u16, String)>, request: Request) -> Response {
    pass(port, request).await
}

pub(super) async fn forward_root(Path(port): Path<u16>, request: Request) -> Response {
    pass(port, request).await
}

async fn pass(port: u16, mut request: Request) -> Response {
    let whole = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let target = whole.trim_start_matches(&format!("/.port/{port}")).to_owned();
    let Ok(uri) = target.parse::<Uri>() else { return StatusCode::BAD_REQUEST.into_response() };
    *request.uri_mut() = uri;
    if let Ok(host) = format!("localhost:{port}").parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let answer = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(std::io::Error::other)
    };
    match answer.await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
