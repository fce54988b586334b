//! What GitHub remembers of the webhooks it sent to the App: three days of them, with their payloads.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{As, Credentials};
use super::client::{Call, Effect, Github};
use super::error::GithubError;
use super::paging;

const PER_PAGE: u32 = 100;

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedDelivery {
    /// The attempt's number.
    pub id: i64,
    /// `X-GitHub-Delivery`: the same for every attempt.
    pub guid: String,
    /// When it was attempted.
    pub delivered_at: DateTime<Utc>,
    /// What we answered; 0 where nobody did.
    #[serde(default)]
    pub status_code: u16,
    /// `X-GitHub-Event`.
    pub event: String,
    /// Its action.
    pub action: Option<String>,
}

impl ListedDelivery {
    /// True when we said that we have it.
    pub fn was_taken(&self) -> bool {
        (200..400).contains(&self.status_code)
    }
}

/// A page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The newest first.
    pub deliveries: Vec<ListedDelivery>,
    /// Where older ones are; none on the last page.
    pub older: Option<String>,
}

#[derive(Deserialize)]
struct WireDelivery {
    request: Option<WireRequest>,
}

#[derive(Deserialize)]
struct WireRequest {
    payload: Option<Value>,
}

impl Github {
    /// True when GitHub keeps a list for us: it does for Apps, and not for the account of a token.
    pub fn has_delivery_list(&self) -> bool {
        match &self.credentials {
            Credentials::App { .. } => true,
            Credentials::Token(_) => false,
        }
    }

    /// A page of the App's deliveries, the newest first; `cursor` is a [`Page::older`] of before. All outcomes are listed: GitHub's
    /// filter for failures leaves out those that never reached us.
    ///
    /// # Errors
    /// As the call.
    pub async fn deliveries(&self, cursor: Option<&str>) -> Result<Page, GithubError> {
        let cursor = cursor.map(|cursor| format!("&cursor={}", paging::encode(cursor))).unwrap_or_default();
        let operation = async {
            let call = Call::get(format!("/app/hook/deliveries?per_page={PER_PAGE}{cursor}"));
            let answer = self.call(As::App, &call).await?;
            let older = self.link(&answer, "next").and_then(|link| cursor_of(&link));
            Ok(Page { deliveries: answer.json(Effect::None)?, older })
        };
        self.within(Effect::None, operation).await
    }

    /// The payload of a delivery as it was sent; none when GitHub does not keep it.
    ///
    /// # Errors
    /// As the call; `NotFound` when the delivery is too old.
    pub async fn delivery_payload(&self, id: i64) -> Result<Option<Value>, GithubError> {
        let call = Call::get(format!("/app/hook/deliveries/{id}"));
        let answer = self.within(Effect::None, self.call(As::App, &call)).await?;
        let delivery: WireDelivery = answer.json(Effect::None)?;
        Ok(delivery.request.and_then(|request| request.payload).filter(Value::is_object))
    }

    /// Has a webhook sent once more, under the same `X-GitHub-Delivery`. More of them are duplicates here.
    ///
    /// # Errors
    /// As the call.
    pub async fn redeliver(&self, id: i64) -> Result<(), GithubError> {
        let call = Call::post(format!("/app/hook/deliveries/{id}/attempts"), json!({}), Effect::Change);
        self.within(Effect::Change, self.call(As::App, &call)).await?;
        Ok(())
    }
}

fn cursor_of(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_nobody_answered_was_not_taken() {
        let listed = r#"{"id": 1, "guid": "g", "delivered_at": "2026-11-01T10:00:00Z", "redelivery": false, "duration": 0.2,
            "status": "failed to connect to host", "status_code": 0, "event": "issues", "action": "opened", "installation_id": null,
            "repository_id": null}"#;
        let mut listed: ListedDelivery = serde_json::from_str(listed).unwrap();
        assert!(!listed.was_taken());
        for (status_code, taken) in [(200, true), (202, true), (401, false), (503, false)] {
            listed.status_code = status_code;
            assert_eq!(listed.was_taken(), taken);
        }
    }

    #[test]
    fn the_cursor_comes_out_of_the_link_as_it_is() {
        assert_eq!(cursor_of("/app/hook/deliveries?per_page=100&cursor=v1_12%3D").as_deref(), Some("v1_12="));
        assert_eq!(cursor_of("/app/hook/deliveries"), None);
    }
}
