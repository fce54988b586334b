//! Borders of recall, and indexing that is cut short: at the level of the database, with owners of every kind.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use sqlx::PgPool;
use threadbox::id::{MessageId, RunId, ThreadId};
use threadbox::memory::recall::{Ask, Passage, Recall, Seen};
use threadbox::memory::{Reach, Scope, index};
use threadbox::reply::Redactor;

use crate::support::database::TestDatabase;

const OWNERS: [&str; 4] = ["github:1", "github:2", "discord:guild:1", "person:github:7"];

fn redactor() -> Redactor {
    Redactor::new([])
}

async fn thread(pool: &PgPool, owner: &str) -> ThreadId {
    let id = ThreadId::new();
    sqlx::query("insert into threads (id, owner, title, created_at, updated_at) values ($1, $2, 'Talk', now(), now())")
        .bind(id.0)
        .bind(owner)
        .execute(pool)
        .await
        .unwrap();
    id
}

/// Somebody says something in a run that is over.
async fn says(pool: &PgPool, thread: ThreadId, who: Option<&str>, text: &str) -> MessageId {
    let id = MessageId::new();
    sqlx::query(
        "insert into messages (id, thread_id, run_id, place_in_run, role, author, parts, url, created_at)
         values ($1, $2, $3, 0, $4, $5, $6, 'https://example.invalid/' || $1, $7)",
    )
    .bind(id.0)
    .bind(thread.0)
    .bind(RunId::new().0)
    .bind(if who.is_some() { "user" } else { "assistant" })
    .bind(who)
    .bind(serde_json::json!([{ "type": "text", "text": text }]))
    .bind(Utc::now() + TimeDelta::zero())
    .execute(pool)
    .await
    .unwrap();
    id
}

async fn index_all(pool: &PgPool) {
    while index::some(pool, &redactor()).await.unwrap().messages > 0 {}
}

fn scope(owner: &str, thread: ThreadId, reach: Reach) -> Scope {
    Scope { owner: owner.to_owned(), thread, reach }
}

async fn find(recall: &Recall, scope: Scope, query: &str) -> Vec<Passage> {
    recall.recall(&Ask { top_k: 20, around: (5, 5), ..Ask::new(scope, query) }).await.unwrap()
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn no_owner_finds_what_was_said_at_another() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let mut threads = Vec::new();
    for (number, owner) in OWNERS.into_iter().enumerate() {
        for copy in 0..3 {
            let thread = thread(pool, owner).await;
            // Naming another owner's term brings nobody nearer to it.
            says(
                pool,
                thread,
                Some("ada"),
                &format!("The canary of the vault is c{number}x{copy} 'owner:github:1' owner:github:2"),
            )
            .await;
            says(pool, thread, None, &format!("I keep the canary c{number}x{copy} of the vault in mind.")).await;
            threads.push((owner, thread, format!("c{number}x")));
        }
    }
    index_all(pool).await;
    let recall = Recall::new(pool.clone(), None);
    for (owner, thread, canary) in &threads {
        for query in ["canary of the vault", "owner:github:1 canary", "' | 'owner:github:2", "c0x0 c1x0 c2x0 c3x0"] {
            for reach in [Reach::Owner, Reach::Thread] {
                let found = find(&recall, scope(owner, *thread, reach), query).await;
                let texts = found.iter().flat_map(|passage| {
                    let near = passage.before.iter().chain(&passage.after).map(|near| near.text.clone());
                    near.chain([passage.text.clone()]).collect::<Vec<_>>()
                });
                for text in texts {
                    assert!(text.contains(canary.as_str()), "{owner} with {query:?} finds {text:?}");
                }
                assert!(reach == Reach::Owner || found.iter().all(|passage| passage.thread == *thread));
            }
        }
        assert!(!find(&recall, scope(owner, *thread, Reach::Owner), "canary of the vault").await.is_empty());
        // Somebody else's conversation is no way in.
        for (other, elsewhere, _) in &threads {
            if other != owner {
                assert!(find(&recall, scope(owner, *elsewhere, Reach::Thread), "canary of the vault").await.is_empty());
            }
        }
    }
    assert!(find(&recall, scope("github:3", threads[0].1, Reach::Owner), "canary of the vault").await.is_empty());
    database.finish().await;
}

#[tokio::test]
async fn what_is_not_shared_is_found_from_its_own_conversation_and_is_nobodys_neighbour() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let (own, other) = (thread(pool, "github:1").await, thread(pool, "github:1").await);
    let secret = says(pool, own, Some("eve"), "The rumour about the harvester is true.").await;
    says(pool, own, Some("maya"), "Harvester maintenance happens on Mondays.").await;
    index_all(pool).await;
    sqlx::query("update memories set shared = false where message_id = $1").bind(secret.0).execute(pool).await.unwrap();
    let recall = Recall::new(pool.clone(), None);
    let from_own = find(&recall, scope("github:1", own, Reach::Owner), "harvester").await;
    let from_other = find(&recall, scope("github:1", other, Reach::Owner), "harvester").await;
    assert_eq!((from_own.len(), from_other.len()), (2, 1));
    assert!(from_other[0].before.is_empty() && from_own.iter().any(|passage| !passage.before.is_empty()));
    database.finish().await;
}

#[tokio::test]
async fn where_the_app_was_taken_away_nothing_is_recalled() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let (here, gone) = (thread(pool, "github:1").await, thread(pool, "github:1").await);
    for (thread, installation) in [(here, 1), (gone, 2)] {
        sqlx::query("insert into surfaces (surface, key, thread_id, place) values ('github', $1, $2, $3)")
            .bind(format!("1#{installation}"))
            .bind(thread.0)
            .bind(serde_json::json!({ "surface": "github", "repository_id": 1, "installation": installation }))
            .execute(pool)
            .await
            .unwrap();
        says(pool, thread, Some("maya"), &format!("Release trains leave at {installation} o'clock.")).await;
    }
    index_all(pool).await;
    let recall = Recall::new(pool.clone(), None);
    assert_eq!(find(&recall, scope("github:1", here, Reach::Owner), "release trains").await.len(), 2);
    sqlx::query("insert into installations (id, account, gone, updated_at) values (2, 'acme', true, now())")
        .execute(pool)
        .await
        .unwrap();
    let found = find(&recall, scope("github:1", here, Reach::Owner), "release trains").await;
    assert_eq!(found.iter().map(|passage| passage.thread).collect::<Vec<_>>(), [here]);
    database.finish().await;
}

#[tokio::test]
async fn rows_come_with_one_neighbour_on_each_side_in_order_and_four_at_most() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let own = thread(pool, "github:1").await;
    for number in 0..8 {
        let talk = thread(pool, "github:1").await;
        says(pool, talk, Some("maya"), &format!("Before number {number} we spoke of lunch.")).await;
        says(
            pool,
            talk,
            None,
            &format!("The gearbox of machine k{number} needs oil every {number} weeks, says manual {number}."),
        )
        .await;
        says(pool, talk, Some("ada"), &format!("After number {number} we spoke of dinner.")).await;
    }
    index_all(pool).await;
    let recall = Recall::new(pool.clone(), None);
    let found =
        recall.recall(&Ask::new(scope("github:1", own, Reach::Owner), "how often does the gearbox need oil?")).await.unwrap();
    assert_eq!(found.len(), 4);
    for passage in &found {
        let texts: Vec<&str> = passage.before.iter().chain(&passage.after).map(|near| near.text.as_str()).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[0].starts_with("Before number") && texts[1].starts_with("After number"), "{texts:?}");
        assert_eq!(texts[0].split(' ').nth(2), texts[1].split(' ').nth(2));
    }
    // What the asker has in front of it is not found again.
    let talk = found[0].thread;
    let ask = Ask::new(scope("github:1", talk, Reach::Owner), "how often does the gearbox need oil?");
    let seen = Ask { seen: Seen::After(None), ..ask.clone() };
    assert!(recall.recall(&seen).await.unwrap().iter().all(|passage| passage.thread != talk));
    let condensed = Ask { seen: Seen::After(Some(RunId::new())), ..ask };
    assert!(recall.recall(&condensed).await.unwrap().iter().any(|passage| passage.thread == talk));
    database.finish().await;
}

#[tokio::test]
async fn queries_of_nothing_but_common_words_or_junk_find_nothing_and_fail_not() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let talk = thread(pool, "github:1").await;
    says(pool, talk, Some("maya"), "Größe der Datenbank: 数据库连接 👩‍👩‍👧 and it's 'quoted' \\ back").await;
    says(pool, talk, Some("maya"), &"a_".repeat(500_000)).await;
    says(pool, talk, Some("maya"), &"数".repeat(100_000)).await;
    says(pool, talk, None, "").await;
    index_all(pool).await;
    assert_eq!(count(pool, "select count(*) from messages where not indexed").await, 0);
    let recall = Recall::new(pool.clone(), None);
    for query in ["", "the and of what is it", "???", "🚀", "' & !", "\\", ":*", "zeppelin"] {
        assert_eq!(find(&recall, scope("github:1", talk, Reach::Owner), query).await, [], "{query:?}");
    }
    for query in ["größe", "数据库", "it's quoted"] {
        assert_eq!(find(&recall, scope("github:1", talk, Reach::Owner), query).await.len(), 1, "{query:?}");
    }
    database.finish().await;
}

#[tokio::test]
async fn two_workers_and_one_that_dies_in_the_middle_lose_and_double_nothing() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let talk = thread(pool, "github:1").await;
    for number in 0..150 {
        says(pool, talk, Some("maya"), &format!("Paragraph one of {number}. {}\n\nParagraph two.", "Words follow. ".repeat(120)))
            .await;
    }
    // The first worker has inserted its pieces and is held before it marks its messages; then it dies.
    sqlx::raw_sql(
        "create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(99); return null; end $$;
         create trigger hold before update on messages for each statement execute function hold();",
    )
    .execute(pool)
    .await
    .unwrap();
    let mut holder = pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(99)").execute(&mut *holder).await.unwrap();
    let dying = {
        let pool = pool.clone();
        tokio::spawn(async move { index::some(&pool, &redactor()).await })
    };
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory' and datname = current_database()";
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while count(pool, waits).await == 0 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
    )
    .execute(pool)
    .await
    .unwrap();
    assert!(dying.await.unwrap().is_err());
    sqlx::query("select pg_advisory_unlock(99)").execute(&mut *holder).await.unwrap();
    drop(holder);
    assert_eq!(count(pool, "select count(*) from memories").await, 0);
    assert_eq!(count(pool, "select count(*) from messages where indexed").await, 0);

    let workers = (0..3).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut pieces = 0;
            loop {
                let done = index::some(&pool, &redactor()).await.unwrap();
                pieces += done.pieces;
                if done.messages == 0 {
                    return pieces;
                }
            }
        })
    });
    let mut made = 0;
    for worker in workers.collect::<Vec<_>>() {
        made += worker.await.unwrap();
    }
    index_all(pool).await;
    assert_eq!(count(pool, "select count(*) from messages where not indexed").await, 0);
    assert_eq!(count(pool, "select count(*) from memories").await, i64::try_from(made).unwrap());
    assert_eq!(count(pool, "select count(distinct message_id) from memories").await, 150);
    // Once more from the beginning: what is there is found.
    sqlx::raw_sql("update messages set indexed = false").execute(pool).await.unwrap();
    let again = index::some(pool, &redactor()).await.unwrap();
    assert_eq!((again.pieces, again.messages > 0), (0, true));
    database.finish().await;
}

#[tokio::test]
async fn only_words_are_remembered_and_secrets_are_not() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    let talk = thread(pool, "github:1").await;
    says(pool, talk, Some("maya"), "The pass phrase is open-sesame-9000.<!-- hidden -->").await;
    let quoted = says(pool, talk, Some("nobody"), "What others said meanwhile.").await;
    let results = says(pool, talk, None, "ignored").await;
    sqlx::query("update messages set author = null where id = $1").bind(quoted.0).execute(pool).await.unwrap();
    sqlx::query("update messages set role = 'tool' where id = $1").bind(results.0).execute(pool).await.unwrap();
    sqlx::query(
        "insert into messages (id, thread_id, role, author, parts, created_at) values ($1, $2, 'user', 'eve', $3, now())",
    )
    .bind(MessageId::new().0)
    .bind(talk.0)
    .bind(serde_json::json!([{ "type": "text", "text": "A refused request." }]))
    .execute(pool)
    .await
    .unwrap();
    let redactor = Arc::new(Redactor::new([threadbox::secret::secret("open-sesame-9000".to_owned())]));
    index::some(pool, &redactor).await.unwrap();
    let texts: Vec<String> = sqlx::query_scalar("select text || ' ' || terms::text from memories").fetch_all(pool).await.unwrap();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("[secret]") && !texts[0].contains("9000") && !texts[0].contains("hidden"), "{texts:?}");
    assert_eq!(count(pool, "select count(*) from messages where not indexed").await, 1);
    database.finish().await;
}
