//! The search by vectors finds what comparing everything finds, within its border.

use threadbox::id::{MemoryId, MessageId, ThreadId};
use threadbox::memory::vectors::store::{Bill, Share, keep};
use threadbox::memory::vectors::{Effort, filtered, near, nearest, search};
use threadbox::memory::{By, Filter, Period, Reach, Scope};
use threadbox::model::ModelName;
use threadbox::standin::model::vector;

use crate::support::database::TestDatabase;

const DIMS: usize = 96;

/// A conversation of an owner.
async fn thread(database: &TestDatabase, owner: &str) -> (ThreadId, MessageId) {
    let (thread, message) = (ThreadId::new(), MessageId::new());
    sqlx::query("insert into threads (id, owner, created_at, updated_at) values ($1, $2, now(), now())")
        .bind(thread)
        .bind(owner)
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::query("insert into messages (id, thread_id, role, parts, created_at) values ($1, $2, 'user', '[]', now())")
        .bind(message)
        .bind(thread)
        .execute(&database.pool)
        .await
        .unwrap();
    (thread, message)
}

#[derive(Clone)]
struct Piece {
    id: MemoryId,
    owner: &'static str,
    thread: ThreadId,
    shared: bool,
    vector: Vec<f32>,
}

/// Two owners with two conversations each; every fifth piece is known to its own conversation only.
async fn fill(database: &TestDatabase, model: &ModelName, count: usize) -> Vec<Piece> {
    let mut places = Vec::new();
    for owner in ["github:1", "github:1", "github:2", "github:2"] {
        places.push((owner, thread(database, owner).await));
    }
    let mut pieces = Vec::new();
    for number in 0..count {
        let (owner, (thread, message)) = places[number % places.len()];
        let text = format!("topic{} detail{} word{number}", number % 7, number % 31);
        let piece = Piece { id: MemoryId::new(), owner, thread, shared: number % 5 != 0, vector: vector(&text, DIMS) };
        sqlx::query(
            "insert into memories (id, owner, thread_id, message_id, piece, shared, role, text, terms, said_at)
             values ($1, $2, $3, $4, $5, $6, 'user', $7, '', now())",
        )
        .bind(piece.id)
        .bind(owner)
        .bind(thread)
        .bind(message)
        .bind(number as i32)
        .bind(piece.shared)
        .bind(text)
        .execute(&database.pool)
        .await
        .unwrap();
        pieces.push(piece);
    }
    let bill = Bill {
        shares: vec![Share { tokens: 1, cost_usd: None }; count],
        estimated: false,
        at: threadbox::clock::Clock::now(&threadbox::clock::SystemClock),
    };
    let vectors: Vec<_> = pieces.iter().map(|piece| (piece.id, piece.vector.clone())).collect();
    assert_eq!(keep(&database.pool, model, &vectors, &bill).await.unwrap(), count as u64);
    assert_eq!(keep(&database.pool, model, &vectors, &bill).await.unwrap(), 0, "nothing is doubled");
    pieces
}

/// By comparing everything, here.
fn brute_force(pieces: &[Piece], scope: &Scope, query: &[f32], limit: usize) -> Vec<MemoryId> {
    let may = |piece: &&Piece| {
        let own = piece.thread == scope.thread;
        piece.owner == scope.owner
            && match scope.reach {
                Reach::Thread => own,
                Reach::Owner => own || piece.shared,
            }
    };
    let dot = |piece: &Piece| piece.vector.iter().zip(query).map(|(left, right)| left * right).sum::<f32>();
    let mut found: Vec<_> = pieces.iter().filter(may).map(|piece| (dot(piece), piece.id)).collect();
    found.sort_by(|left, right| right.0.total_cmp(&left.0).then(right.1.cmp(&left.1)));
    found.into_iter().take(limit).map(|(_, id)| id).collect()
}

fn scopes(pieces: &[Piece]) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for piece in &pieces[..4] {
        for reach in [Reach::Thread, Reach::Owner] {
            scopes.push(Scope { owner: piece.owner.to_owned(), thread: piece.thread, reach });
        }
    }
    // Somebody else's conversation, asked for under a name that is not its owner's.
    scopes.push(Scope { owner: "github:2".into(), thread: pieces[0].thread, reach: Reach::Owner });
    scopes
}

/// Similarities may differ in the last digit, and what is as near as another may take its place.
fn alike(pieces: &[Piece], query: &[f32], found: &[(MemoryId, f32)], wanted: &[MemoryId]) {
    assert_eq!(found.len(), wanted.len());
    let near = |id: &MemoryId| -> f32 {
        let piece = pieces.iter().find(|piece| piece.id == *id).unwrap();
        piece.vector.iter().zip(query).map(|(left, right)| left * right).sum()
    };
    for ((id, similarity), wanted) in found.iter().zip(wanted) {
        assert!((similarity - near(wanted)).abs() < 1e-5 && (similarity - near(id)).abs() < 1e-5, "{id}: {similarity}");
    }
}

/// Of the likely ones the nearest are found, every similarity is right, and nothing is found that may not be; one of the nearest may be
/// missing where the signs alone do not tell.
fn mostly_alike(pieces: &[Piece], query: &[f32], found: &[(MemoryId, f32)], wanted: &[MemoryId], may: &[MemoryId]) {
    assert_eq!(found.len(), wanted.len());
    let near = |id: &MemoryId| -> f32 {
        let piece = pieces.iter().find(|piece| piece.id == *id).unwrap();
        piece.vector.iter().zip(query).map(|(left, right)| left * right).sum()
    };
    assert!(found.iter().all(|(id, similarity)| may.contains(id) && (similarity - near(id)).abs() < 1e-5));
    let Some(least) = wanted.last().map(near) else { return };
    let right = found.iter().filter(|(_, similarity)| *similarity >= least - 1e-5).count();
    assert!(right * 10 >= wanted.len() * 6, "{right} of {}", wanted.len());
}

const QUERIES: [&str; 4] = ["topic3 detail12", "word77", "topic6 detail30 word6", "nothing of the kind"];

#[tokio::test]
async fn the_nearest_are_those_of_comparing_everything_and_the_border_holds() {
    let (database, model): (_, ModelName) = (TestDatabase::create().await, "acme/embed".parse().unwrap());
    let pieces = fill(&database, &model, 400).await;
    // Two ways: every vector, and only the likely ones.
    let few = Effort { exact_up_to: 0, index_beyond: 1_000, newest: 1_000, likely: 100, likely_per_wanted: 8 };
    for scope in scopes(&pieces) {
        for text in QUERIES {
            let query = vector(text, DIMS);
            let wanted = brute_force(&pieces, &scope, &query, 10);
            alike(&pieces, &query, &nearest(&database.pool, &scope, &model, &query, 10).await.unwrap(), &wanted);
            let may = brute_force(&pieces, &scope, &query, pieces.len());
            let found = search(&database.pool, &scope, &model, &query, 10, few).await.unwrap();
            mostly_alike(&pieces, &query, &found, &wanted, &may);
        }
    }
    let (scope, query) = (scopes(&pieces).remove(1), vector("topic3", DIMS));
    let other: ModelName = "acme/embed-2".parse().unwrap();
    assert_eq!(nearest(&database.pool, &scope, &other, &query, 10).await.unwrap(), [], "another model's are not compared");
    assert_eq!(nearest(&database.pool, &scope, &model, &query[..90], 10).await.unwrap(), [], "nor those of another length");
    assert_eq!(nearest(&database.pool, &scope, &model, &query, 0).await.unwrap(), []);
    let within = nearest(&database.pool, &scope, &model, &query, usize::MAX).await.unwrap();
    assert!(within.len() > 100 && within.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    database.finish().await;
}

#[tokio::test]
#[ignore = "needs a Postgres with pgvector in DATABASE_URL: .ci/run pgvector fetches one"]
async fn pgvector_finds_what_is_found_without_it() {
    let (database, model): (_, ModelName) = (TestDatabase::create().await, "acme/it's \\ embed".parse().unwrap());
    let pieces = fill(&database, &model, 600).await;
    assert!(!near::tend(&database.pool, &model, DIMS, 1_000).await.unwrap(), "too few for an index");
    assert!(near::tend(&database.pool, &model, DIMS, 100).await.unwrap());
    assert!(near::tend(&database.pool, &model, DIMS, 100).await.unwrap(), "again is harmless");
    // What comes after the index was made is found, too, before and after it is copied.
    sqlx::query("update memory_vectors set near = null where memory_id = $1")
        .bind(pieces[3].id)
        .execute(&database.pool)
        .await
        .unwrap();
    let by_index = Effort { exact_up_to: 0, index_beyond: 60, newest: 60, likely: 60, likely_per_wanted: 6 };
    for copied in [false, true] {
        if copied {
            assert!(near::tend(&database.pool, &model, DIMS, 100).await.unwrap());
        }
        for scope in scopes(&pieces) {
            for text in QUERIES {
                let query = vector(text, DIMS);
                let wanted = brute_force(&pieces, &scope, &query, 10);
                alike(&pieces, &query, &search(&database.pool, &scope, &model, &query, 10, by_index).await.unwrap(), &wanted);
            }
        }
    }
    let other: ModelName = "acme/other".parse().unwrap();
    assert!(!near::tend(&database.pool, &other, 5_000, 0).await.unwrap(), "too long for an index");
    database.finish().await;
}

#[tokio::test]
async fn what_does_not_count_is_left_out_however_near_it_is() {
    let database = TestDatabase::create().await;
    let model: ModelName = "openai/counts".parse().unwrap();
    let pieces = fill(&database, &model, 240).await;
    let query = vector("topic3 detail12", DIMS);
    sqlx::query("update memories set author = case when piece % 3 = 0 then 'Maya' end, said_at = '2026-01-01T00:00:00Z'::timestamptz + piece * interval '1 hour'")
        .execute(&database.pool)
        .await
        .unwrap();
    let period = Period::read(Some("2026-01-03"), Some("2026-01-08")).unwrap();
    let in_it = |number: usize| (48..192).contains(&number);
    let cases: [(Filter, &dyn Fn(usize) -> bool); 4] = [
        (Filter { period, by: None }, &in_it),
        (Filter { by: By::named("@maya", "threadbox"), ..Filter::default() }, &|number| number % 3 == 0),
        (Filter { by: By::named("threadbox", "threadbox"), ..Filter::default() }, &|number| number % 3 != 0),
        (Filter { period, by: By::named("maya", "threadbox") }, &|number| in_it(number) && number % 3 == 0),
    ];
    for scope in scopes(&pieces) {
        for (filter, counts) in &cases {
            let those: Vec<Piece> =
                pieces.iter().enumerate().filter(|(number, _)| counts(*number)).map(|(_, piece)| piece.clone()).collect();
            let found = filtered(&database.pool, (&scope, filter), &model, &query, 10).await.unwrap();
            alike(&those, &query, &found, &brute_force(&those, &scope, &query, 10));
        }
    }
    let nobody = Filter { by: By::named("nobody", "threadbox"), ..Filter::default() };
    assert_eq!(filtered(&database.pool, (&scopes(&pieces)[0], &nobody), &model, &query, 10).await.unwrap(), []);
    database.finish().await;
}
