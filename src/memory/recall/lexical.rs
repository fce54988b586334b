//! The search by words: candidates from the index, ranked here.

use std::collections::HashMap;

use sqlx::PgPool;

use super::plan::{self, Begin, Word};
use super::rank::Worth;
use super::statistics::Statistics;
use super::{Ask, store};
use crate::memory::{Reach, terms};

/// Pieces among which the best are: each has a rare word, or all of the common ones.
const ENOUGH: usize = 200;

/// The pieces of the scope that fit the words of the query best, the best first, at most `most`, each with how well: about 1 where it has
/// every word once.
pub(super) async fn search(
    pool: &PgPool,
    statistics: &Statistics,
    ask: &Ask,
    most: usize,
) -> Result<Vec<(store::Found, f64)>, sqlx::Error> {
    let scope = match ask.scope.reach {
        Reach::Thread => terms::of_thread(ask.scope.thread),
        Reach::Owner => terms::of_owner(&ask.scope.owner),
    };
    let counts = statistics.counts(pool).await?;
    let plan = plan::plan(&ask.query, &scope, &counts);
    let words: Vec<String> = plan.words.iter().map(Word::query).collect();
    let hits = match &plan.begin {
        Begin::Nowhere => return Ok(Vec::new()),
        Begin::Words { narrow, wide } => {
            let some = match narrow {
                Some(query) => store::hits(pool, ask, query, &words).await?,
                None => Vec::new(),
            };
            if some.len() >= ENOUGH { some } else { store::hits(pool, ask, wide, &words).await? }
        }
        Begin::Newest(names) => {
            let named = match names {
                Some(query) => store::hits(pool, ask, query, &words).await?,
                None => Vec::new(),
            };
            if named.is_empty() { store::newest(pool, ask, &words).await? } else { named }
        }
    };
    if hits.len() >= store::MOST_HITS {
        statistics.outdated();
    }
    let worth = Worth::of(&plan.words, &hits, plan.rows);
    let best = worth.best(&plan.words, &hits, most);
    if best.is_empty() {
        return Ok(Vec::new());
    }
    let places: HashMap<_, usize> = best.iter().copied().zip(0..).collect();
    let mut found: Vec<(store::Found, f64)> = store::load(pool, ask, &best)
        .await?
        .into_iter()
        .map(|found| {
            let saying = terms::of_saying(found.author.as_deref(), found.said_at);
            let fit = worth.fit(&plan.words, &found.text, &saying);
            (found, fit)
        })
        .collect();
    // The coarse order, which has the newer first, decides between equals.
    let place = |found: &store::Found| places.get(&found.id).copied().unwrap_or(usize::MAX);
    found.sort_by(|(one, fit), (other, than)| than.total_cmp(fit).then(place(one).cmp(&place(other))));
    Ok(found)
}
