//! Asks memory as a run does.

use std::sync::Arc;

use sqlx::PgPool;
use threadbox::memory::Scope;
use threadbox::memory::recall::{Ask, Recall, Search};
use threadbox::model::Embedder;

use super::judge::{Findings, Way};
use super::world::{Question, World};

/// Hits that are judged.
const HITS: usize = 10;

pub struct Asker {
    pub pool: PgPool,
    pub embedder: Arc<dyn Embedder>,
    recall: Recall,
}

impl Asker {
    pub fn new(pool: PgPool, embedder: Arc<dyn Embedder>) -> Self {
        let recall = Recall::new(pool.clone(), Some(embedder.clone()));
        Self { pool, embedder, recall }
    }

    /// All questions of the world, in order.
    pub async fn all(&self, world: &World, way: Way) -> Vec<Findings> {
        let mut found = Vec::new();
        for question in &world.questions {
            found.push(self.question(world, question, way, HITS).await);
        }
        found
    }

    pub async fn question(&self, world: &World, question: &Question, way: Way, most: usize) -> Findings {
        let thread = &world.threads[question.thread];
        let scope = Scope { owner: thread.owner.clone(), thread: thread.id, reach: question.reach };
        self.find(&scope, &question.text, way, most).await
    }

    pub async fn find(&self, scope: &Scope, text: &str, way: Way, most: usize) -> Findings {
        let search = match way {
            Way::Lexical => Search::Lexical,
            Way::Vector => Search::Vector,
            Way::Hybrid => Search::Hybrid,
        };
        let ask = Ask { top_k: most, ..Ask::new(scope.clone(), text) };
        let passages = self.recall.search(&ask, search).await.unwrap();
        let shown = |near: &threadbox::memory::recall::Neighbour| near.message;
        Findings {
            ranked: passages.iter().map(|passage| passage.message).collect(),
            shown: passages.iter().flat_map(|passage| passage.before.iter().chain(&passage.after)).map(shown).collect(),
        }
    }
}
