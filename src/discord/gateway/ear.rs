//! What the shards tell: put into a queue as it comes. Interactions go past it, because they wait for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serenity::client::{Context, RawEventHandler};
use serenity::model::event::Event;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::Interactions;

/// Hands events over as they come. serenity calls it for one after the other, on its own thread.
pub(super) struct Ear {
    /// What is said, in order.
    pub heard: Sender<Event>,
    /// Set when something found no room: from then on nothing is put into the queue, and a new session has to begin.
    pub left_out: Arc<AtomicBool>,
    /// Answers interactions.
    pub interactions: Option<Arc<dyn Interactions>>,
    /// Where they are answered: not on serenity's thread.
    pub runtime: Handle,
}

#[async_trait]
impl RawEventHandler for Ear {
    async fn raw_event(&self, _: Context, event: Event) {
        match (event, self.interactions.clone()) {
            (Event::InteractionCreate(made), Some(interactions)) => {
                self.runtime.spawn(async move { interactions.interaction(made.interaction).await });
            }
            (event, interactions) => {
                if let Some(interactions) = interactions.filter(|_| matches!(event, Event::Ready(_))) {
                    self.runtime.spawn(async move { interactions.begin().await });
                }
                if !self.left_out.load(Ordering::Acquire) && self.heard.try_send(event).is_err() {
                    tracing::warn!("more is said on Discord than can be stored; what is left out is looked for afterwards");
                    self.left_out.store(true, Ordering::Release);
                }
            }
        }
    }
}
