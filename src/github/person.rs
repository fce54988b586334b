//! Accounts as GitHub names them beside what they did.

use serde::Deserialize;

use crate::intake::Author;

#[derive(Deserialize)]
pub(super) struct WireUser {
    id: i64,
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl From<WireUser> for Author {
    fn from(user: WireUser) -> Self {
        let is_bot = user.kind.as_deref() == Some("Bot") || user.login.ends_with("[bot]");
        Self { id: user.id, login: user.login, is_bot }
    }
}
