//! Recall: finds what was said before, in the same conversation or in others of the same owner.
//!
//! Two searches, by words (`lexical`) and, where an embedder is configured, by meaning ([`super::vectors`]), are fused (`fuse`). Every search has a [`Scope`]; the border is kept in the index, in SQL, and once more when a passage is loaded. What is
//! shown of it is rendered by [`show`].

mod fuse;
mod lexical;
mod plan;
mod rank;
pub mod show;
mod statistics;
mod store;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use self::fuse::Candidate;
use self::statistics::Statistics;
use super::receipt::Cite;
use super::{Filter, Reach, Scope, branch, forget, vectors};
use crate::id::{MemoryId, MessageId, RunId, ThreadId};
use crate::model::{Embedder, Input};

/// Passages that are returned when nobody says how many.
pub const TOP_K: usize = 4;
/// Nobody gets more.
pub const MOST: usize = 20;
/// Candidates of each search that are fused.
const CANDIDATES: usize = 40;
/// A run does not wait longer for a query's vector.
const PATIENCE: Duration = Duration::from_secs(2);
/// Characters of a query that are embedded: models read no more than a page or two, and a question is at its beginning.
const EMBEDDED: usize = 4_000;
/// Similarity below which a vector is noise for every model we know.
const FLOOR: f32 = 0.25;

/// What is sought.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where.
    pub scope: Scope,
    /// In words.
    pub query: String,
    /// Passages wanted, at most [`MOST`].
    pub top_k: usize,
    /// Messages shown before and after each.
    pub around: (usize, usize),
    /// Similarity that a vector must reach; a floor that is right for every model when there is none.
    pub threshold: Option<f32>,
    /// What the asker has in front of it anyway.
    pub seen: Seen,
    /// Which of it counts.
    pub filter: Filter,
}

impl Ask {
    /// With the defaults: four passages, one message before and after each.
    pub fn new(scope: Scope, query: impl Into<String>) -> Self {
        Self {
            scope,
            query: query.into(),
            top_k: TOP_K,
            around: (1, 1),
            threshold: None,
            seen: Seen::Nothing,
            filter: Filter::default(),
        }
    }
}

/// What of its own conversation the asker has in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing of it.
    Nothing,
    /// All runs after this one; all of them when there is none.
    After(Option<RunId>),
    /// The same of a branch, and these runs of the conversation it began with.
    Branch(Option<RunId>, Vec<RunId>),
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The message.
    pub message: MessageId,
    /// The conversation.
    pub thread: ThreadId,
    /// Its title, where it has one.
    pub title: Option<String>,
    /// `user` or `assistant`.
    pub role: String,
    /// Who, when it was a person.
    pub author: Option<String>,
    /// When.
    pub said_at: DateTime<Utc>,
    /// Its address; empty where it is not known.
    pub url: String,
    /// The piece of it that fits.
    pub text: String,
    /// Higher fits better; only comparable within one recall.
    pub score: f64,
    /// What was said right before, oldest first.
    pub before: Vec<Neighbour>,
    /// What was said right after.
    pub after: Vec<Neighbour>,
}

/// A message beside a passage, by its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The message.
    pub message: MessageId,
    /// `user` or `assistant`.
    pub role: String,
    /// Who, when it was a person.
    pub author: Option<String>,
    /// When.
    pub said_at: DateTime<Utc>,
    /// Its address; empty where it is not known.
    pub url: String,
    /// Its first piece.
    pub text: String,
}

impl Passage {
    /// The receipts of all that is shown with it. `own_name` is what we are called.
    pub fn cites<'a>(&'a self, own_name: &'a str) -> impl Iterator<Item = Cite> + 'a {
        let cite = move |message, url: &str, author: &Option<String>, at| Cite {
            message,
            url: url.to_owned(),
            author: author.clone().unwrap_or_else(|| own_name.to_owned()),
            at,
        };
        let around = self.before.iter().chain(&self.after);
        let around = around.map(move |near| cite(near.message, &near.url, &near.author, near.said_at));
        std::iter::once(cite(self.message, &self.url, &self.author, self.said_at)).chain(around)
    }
}

/// Which of the searches are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// By words, and by meaning where that is possible.
    #[default]
    Hybrid,
    /// By words alone.
    Lexical,
    /// By meaning alone.
    Vector,
}

/// Searches memory. Clones share what is known about the database.
#[derive(Clone)]
pub struct Recall {
    pool: PgPool,
    embedder: Option<Arc<dyn Embedder>>,
    statistics: Arc<Statistics>,
}

impl Recall {
    /// Searches in this database, by words alone without an embedder.
    pub fn new(pool: PgPool, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { pool, embedder, statistics: Arc::default() }
    }

    /// The passages that fit best, the best first, none where nothing fits; a message once, and what says the same once. An embedder
    /// that fails or is slow is logged, and words alone decide.
    ///
    /// # Errors
    /// As the database.
    pub async fn recall(&self, ask: &Ask) -> Result<Vec<Passage>, sqlx::Error> {
        self.search(ask, Search::Hybrid).await
    }

    /// The same with a choice of searches.
    ///
    /// # Errors
    /// As the database.
    pub async fn search(&self, ask: &Ask, search: Search) -> Result<Vec<Passage>, sqlx::Error> {
        let (hidden, by_words, by_meaning) = tokio::join!(
            // What is to be forgotten as a whole goes in batches, and is found no more from the first moment.
            forget::hides_owner(&self.pool, &ask.scope.owner),
            async {
                match search {
                    Search::Hybrid | Search::Lexical => self.by_words(ask).await,
                    Search::Vector => Ok(Vec::new()),
                }
            },
            async {
                match search {
                    Search::Hybrid | Search::Vector => self.by_meaning(ask).await,
                    Search::Lexical => Ok(Vec::new()),
                }
            }
        );
        let (by_words, by_meaning) = (by_words?, by_meaning?);
        if hidden? {
            return Ok(Vec::new());
        }
        let mut known: HashMap<MemoryId, store::Found> = by_words.iter().map(|(found, _)| (found.id, found.clone())).collect();
        let unknown: Vec<MemoryId> = by_meaning.iter().map(|(id, _)| *id).filter(|id| !known.contains_key(id)).collect();
        if !unknown.is_empty() {
            known.extend(store::load(&self.pool, ask, &unknown).await?.into_iter().map(|found| (found.id, found)));
        }
        let words: Vec<(MemoryId, f64)> = by_words.iter().map(|(found, fit)| (found.id, *fit)).collect();
        // A vector whose piece may not be shown here has no say either.
        let meanings: Vec<(MemoryId, f32)> =
            by_meaning.into_iter().filter(|(id, _)| known.contains_key(id)).take(CANDIDATES).collect();
        let candidates: Vec<Candidate<'_>> = known
            .values()
            .map(|found| Candidate { id: found.id, message: found.message, said_at: found.said_at, text: &found.text })
            .collect();
        let best = fuse::fuse(&words, &meanings, &candidates, ask.top_k.clamp(1, MOST));
        let chosen: Vec<(store::Found, f64)> =
            best.into_iter().filter_map(|(id, score)| Some((known.get(&id)?.clone(), score))).collect();
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        store::surround(&self.pool, ask, chosen).await
    }

    /// Where a conversation may look; none when there is no such conversation.
    ///
    /// # Errors
    /// As the database.
    pub async fn scope_of(&self, thread: ThreadId) -> Result<Option<Scope>, sqlx::Error> {
        let owner = store::owner(&self.pool, thread).await?;
        Ok(owner.map(|owner| Scope { owner, thread, reach: Reach::Owner }))
    }

    /// What the history of a thread holds: what was said after the run up to which it has been condensed.
    ///
    /// # Errors
    /// As the database.
    pub async fn in_history(&self, thread: ThreadId) -> Result<Seen, sqlx::Error> {
        let (cut, before) = branch::store::in_front(&self.pool, thread).await?;
        Ok(if before.is_empty() { Seen::After(cut) } else { Seen::Branch(cut, before) })
    }

    async fn by_words(&self, ask: &Ask) -> Result<Vec<(store::Found, f64)>, sqlx::Error> {
        lexical::search(&self.pool, &self.statistics, ask, CANDIDATES).await
    }

    async fn by_meaning(&self, ask: &Ask) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
        let Some(embedder) = &self.embedder else { return Ok(Vec::new()) };
        let query: String = ask.query.chars().take(EMBEDDED).collect();
        if query.trim().is_empty() {
            return Ok(Vec::new());
        }
        let texts = [query];
        let vector = match tokio::time::timeout(PATIENCE, embedder.embed(&texts, Input::Query)).await {
            Ok(Ok(vectors)) => vectors.into_iter().next(),
            Ok(Err(error)) => {
                tracing::warn!(%error, model = %embedder.name(), "recall goes by words alone: the query could not be embedded");
                None
            }
            Err(_) => {
                tracing::warn!(model = %embedder.name(), "recall goes by words alone: embedding the query takes too long");
                None
            }
        };
        let Some(vector) = vector else { return Ok(Vec::new()) };
        self.nearest(ask, embedder.as_ref(), &vector).await
    }

    /// More than is needed, because what the asker has in front of it is left out only then.
    async fn nearest(&self, ask: &Ask, embedder: &dyn Embedder, vector: &[f32]) -> Result<Vec<(MemoryId, f32)>, sqlx::Error> {
        let (pool, scope, model, most) = (&self.pool, &ask.scope, embedder.name(), 3 * CANDIDATES);
        let nearest = if ask.filter.is_open() {
            vectors::nearest(pool, scope, model, vector, most).await?
        } else {
            vectors::filtered(pool, (scope, &ask.filter), model, vector, most).await?
        };
        let floor = ask.threshold.unwrap_or(FLOOR);
        Ok(nearest.into_iter().filter(|(_, similarity)| *similarity >= floor).collect())
    }
}

impl std::fmt::Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recall").field("embeds", &self.embedder.is_some()).finish_non_exhaustive()
    }
}
