//! The models of this process by their chains: made when they are first wanted, then shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Http, Model, ModelName, Patience, RouterError, build, router};
use crate::settings::ModelSettings;

/// People and repositories may name many; a model holds next to nothing.
const MOST: usize = 256;

/// Makes models and keeps them. Clones share them.
#[derive(Clone)]
pub struct Shelf {
    settings: Arc<ModelSettings>,
    http: Http,
    patience: Patience,
    made: Arc<Mutex<Made>>,
}

/// By their chain.
type Made = HashMap<Vec<ModelName>, Arc<dyn Model>>;

impl Shelf {
    /// Nothing is made yet.
    pub fn new(settings: ModelSettings, http: Http, patience: Patience) -> Self {
        Self { settings: Arc::new(settings), http, patience, made: Arc::default() }
    }

    /// What answers for a chain, the first asked first.
    ///
    /// # Errors
    /// When none of them can be asked.
    pub fn of(&self, chain: &[ModelName]) -> Result<Arc<dyn Model>, RouterError> {
        if let Some(model) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(chain) {
            return Ok(Arc::clone(model));
        }
        let model = build(&self.settings, chain, &self.http, &self.patience)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MOST {
            made.clear();
        }
        made.insert(chain.to_vec(), Arc::clone(&model));
        Ok(model)
    }

    /// True when the operator configured the model's provider: it has a key, or an address of its own.
    pub fn can_ask(&self, model: &ModelName) -> bool {
        let known = router::provider(&model.provider).map(|provider| provider.name);
        let aliases = router::provider(&model.provider).into_iter().flat_map(|provider| provider.aliases.iter().copied());
        let mut names = std::iter::once(model.provider.as_str()).chain(known).chain(aliases);
        names.any(|name| self.settings.can_ask(&ModelName { provider: name.to_owned(), ..model.clone() }))
            && self.of(std::slice::from_ref(model)).is_ok()
    }

    /// The providers the operator configured, sorted.
    pub fn providers(&self) -> Vec<String> {
        let configured =
            |(_, provider): &(&String, &crate::settings::ProviderSettings)| provider.key.is_some() || provider.base_url.is_some();
        self.settings.providers.iter().filter(configured).map(|(name, _)| name.clone()).collect()
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}
