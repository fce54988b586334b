//! The model of a service that has none: answers every request with what is missing.

use async_trait::async_trait;

use super::{Answer, Delta, Model, ModelError, ModelName, Request};

/// Says why no model can be asked, to whoever asks.
#[derive(Clone, Debug)]
pub struct Unavailable {
    name: ModelName,
    reason: String,
}

impl Unavailable {
    /// `reason` names the missing variable.
    pub fn new(name: ModelName, reason: impl ToString) -> Self {
        Self { name, reason: reason.to_string() }
    }
}

#[async_trait]
impl Model for Unavailable {
    async fn answer(&self, _request: &Request, _deltas: &(dyn Fn(Delta) + Send + Sync)) -> Result<Answer, ModelError> {
        let remedy = "`run` with a fenced block works without a model.".to_owned();
        Err(ModelError::Fail { reason: self.reason.clone(), remedy })
    }

    fn name(&self) -> &ModelName {
        &self.name
    }
}
