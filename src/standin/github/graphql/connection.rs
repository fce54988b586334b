//! Pages of a list: `first` after a cursor, or `last` before one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Trouble;
use super::object::Object;

/// More than this at once is refused.
const MOST: u64 = 100;

/// A page of a list.
#[derive(Clone)]
pub(super) struct Connection {
    pub kind: &'static str,
    pub total: usize,
    /// Where in the list the page begins.
    pub from: usize,
    pub items: Vec<Object>,
}

fn cursor(at: usize) -> String {
    STANDARD.encode(format!("cursor:v2:{at}"))
}

fn position(cursor: &Value) -> Result<Option<usize>, Trouble> {
    let Some(text) = cursor.as_str() else { return Ok(None) };
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let at = decoded.and_then(|decoded| decoded.strip_prefix("cursor:v2:")?.parse().ok());
    let bad = || Trouble::new("INVALID_CURSOR_ARGUMENTS", format!("`{text}` does not appear to be a valid cursor."));
    at.map(Some).ok_or_else(bad)
}

impl Connection {
    /// The page of `all` the arguments ask for.
    pub fn new(kind: &'static str, all: Vec<Object>, arguments: &Map<String, Value>) -> Result<Self, Trouble> {
        let total = all.len();
        let argument = |name: &str| arguments.get(name).cloned().unwrap_or_default();
        let mut from = position(&argument("after"))?.map_or(0, |at| at + 1).min(total);
        let mut to = position(&argument("before"))?.unwrap_or(total).min(total);
        to = to.max(from);
        let count = |name: &str| {
            let value = argument(name);
            match value.as_u64() {
                None if value.is_null() => Ok(None),
                Some(count) if count <= MOST => Ok(Some(count as usize)),
                Some(count) => Err(Trouble::new(
                    "EXCESSIVE_PAGINATION",
                    format!("Requesting {count} records on the connection exceeds the `{name}` limit of {MOST} records."),
                )),
                None => Err(Trouble::new("INVALID_PAGINATION", format!("`{name}` must be a positive number"))),
            }
        };
        match (count("first")?, count("last")?) {
            (Some(first), _) => to = to.min(from + first),
            (None, Some(last)) => from = from.max(to.saturating_sub(last)),
            (None, None) => {
                let message = "You must provide a `first` or `last` value to properly paginate the connection.";
                return Err(Trouble::new("MISSING_PAGINATION_BOUNDARIES", message));
            }
        }
        Ok(Self { kind, total, from, items: all.into_iter().skip(from).take(to - from).collect() })
    }

    pub fn cursor(&self, at: usize) -> String {
        cursor(self.from + at)
    }

    pub fn has_next(&self) -> bool {
        self.from + self.items.len() < self.total
    }

    pub fn has_previous(&self) -> bool {
        self.from > 0
    }
}
