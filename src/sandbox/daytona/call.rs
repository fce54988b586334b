//! One request as a value, and its answer.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::{ApiError, ErrorKind};

/// Deadline of what should answer at once.
pub const QUICK: Duration = Duration::from_secs(15);
/// Most of an answer that is read when nothing else is said.
pub const LIMIT: usize = 8 << 20;

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The control plane.
    Control,
    /// The toolbox of a machine, at [`super::wire::Sandbox::toolbox`].
    Toolbox(&'a Url),
}

/// What may be done again when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Doing it twice is as good as once: tried again when the connection fails, is lost or times out, and on 502, 503 and 504.
    Safe,
    /// Tried again only when it provably never arrived.
    Once,
}

/// What is sent with a call. Built anew for each try.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON text.
    Json(Bytes),
    /// Bytes as they are.
    Raw(Content),
    /// A form of parts, in this order.
    Multipart(Vec<Part>),
}

/// Bytes to send.
#[derive(Clone, Debug)]
pub enum Content {
    /// From memory.
    Bytes(Bytes),
    /// A file of this machine, read while it is sent.
    File(PathBuf),
}

/// One part of a form.
#[derive(Clone, Debug)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// Name of the file, where the part is one.
    pub file_name: Option<String>,
    /// What is in it.
    pub content: Content,
}

/// One request. Made by [`Call::new`] and refined by the methods.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub(super) method: Method,
    pub(super) base: Base<'a>,
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) range: Option<String>,
    pub(super) body: Body,
    pub(super) deadline: Duration,
    pub(super) retry: Retry,
    pub(super) counts_as_use: bool,
    pub(super) limit: usize,
}

impl<'a> Call<'a> {
    /// A call without body. `path` are the segments after the base; each is encoded. GET and DELETE are [`Retry::Safe`], all others
    /// [`Retry::Once`]; the deadline is [`QUICK`], the answer at most [`LIMIT`] bytes.
    pub fn new(method: Method, base: Base<'a>, path: &'a [&'a str]) -> Self {
        let retry = if method == Method::GET || method == Method::DELETE { Retry::Safe } else { Retry::Once };
        Self {
            method,
            base,
            path,
            query: Vec::new(),
            range: None,
            body: Body::Empty,
            deadline: QUICK,
            retry,
            counts_as_use: true,
            limit: LIMIT,
        }
    }

    /// GET.
    pub fn get(base: Base<'a>, path: &'a [&'a str]) -> Self {
        Self::new(Method::GET, base, path)
    }

    /// POST.
    pub fn post(base: Base<'a>, path: &'a [&'a str]) -> Self {
        Self::new(Method::POST, base, path)
    }

    /// DELETE.
    pub fn delete(base: Base<'a>, path: &'a [&'a str]) -> Self {
        Self::new(Method::DELETE, base, path)
    }

    /// Adds to the query; both are encoded.
    pub fn query(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sends JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self, ApiError> {
        let text = serde_json::to_vec(value)
            .map_err(|error| ApiError::own(ErrorKind::Invalid, format!("the request is not JSON: {error}")))?;
        self.body = Body::Json(text.into());
        Ok(self)
    }

    /// Sends this.
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Asks for the bytes from here on, at most `length` of them. What comes back is 206, or 200 from a server that ignores ranges; 416 is
    /// an error with that status.
    pub fn range(mut self, from: u64, length: Option<u64>) -> Self {
        let end = length.map(|length| from.saturating_add(length.max(1) - 1).to_string()).unwrap_or_default();
        self.range = Some(format!("bytes={from}-{end}"));
        self
    }

    /// Longest time for one try, from connecting to the end of the answer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What may be done again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Does not count as use of the machine: for looking on in the background, so that an idle machine is stopped all the same.
    pub fn in_background(mut self) -> Self {
        self.counts_as_use = false;
        self
    }

    /// Most bytes of the answer that are read; what is beyond is left unread and [`Response::complete`] is false.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// For logs: method and path, without query.
    pub(super) fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

/// A successful answer (2xx).
#[derive(Clone, Debug)]
pub struct Response {
    /// 200, 201, 202, 204 or 206.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was read of the body, at most the limit of the call.
    pub body: Bytes,
    /// False when the body was longer than that.
    pub complete: bool,
}

impl Response {
    /// The body as JSON. [`ErrorKind::Unreadable`] when it is something else or was too long.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if !self.complete {
            let what = format!("the answer is longer than the {} bytes that are read", self.body.len());
            return Err(ApiError::own(ErrorKind::Unreadable, what));
        }
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| ApiError::own(ErrorKind::Unreadable, format!("the answer is not what was expected: {error}")))
    }
}
