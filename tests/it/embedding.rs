//! What was said gets vectors, whatever the embedder does.

use std::time::Duration;

use chrono::TimeDelta;
use threadbox::id::{MemoryId, ThreadId};
use threadbox::memory::vectors::{nearest, state};
use threadbox::memory::{Reach, Scope};
use threadbox::model::{Embedder, Http, Input, ModelError, ModelName, Patience, RetryPolicy, embedding};
use threadbox::standin::model::{EmbeddingFault, Gate, ModelStandin, Protocol, say, vector};

use crate::support::bot::{Bot, LIMIT};

const OPENAI: &str = "openai/text-embedding-3-small";
const GOOGLE: &str = "google/gemini-embedding-001";
const EMBEDDING: [(&str, &str); 1] = [("EMBEDDING_MODEL", OPENAI)];

/// One vector for each piece of memory.
const WITHOUT: &str = "select count(*) from memories m where not exists (select from memory_vectors v where v.memory_id = m.id)";

/// A bot with one finished run, whose words are what pieces are made of.
async fn bot(environment: &[(&str, &str)]) -> Bot {
    let bot = Bot::start_with(environment).await;
    let issue = bot.issue("Vectors").await;
    bot.model.script([say("Noted.")]);
    bot.asks(&issue, "@threadbox please take note of this").await;
    bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
    bot.until_count("select count(*) from messages where place_in_run is not null and not indexed", 0).await;
    bot
}

/// Puts pieces into memory, as said in the first run of the bot. Returns their ids.
async fn remember(bot: &Bot, texts: &[&str]) -> Vec<MemoryId> {
    let mut ids = Vec::new();
    for text in texts {
        let id = MemoryId::new();
        ids.push(id);
        let piece = sqlx::query(
            "insert into memories (id, owner, thread_id, message_id, piece, shared, role, text, terms, said_at)
             select $1, 'github:1', thread_id, id, (select 1000 + count(*) from memories), true, 'user', $2, '', now()
             from messages where place_in_run is not null order by id limit 1",
        );
        assert_eq!(piece.bind(id).bind(text).execute(&bot.database.pool).await.unwrap().rows_affected(), 1);
    }
    ids
}

async fn scope(bot: &Bot) -> Scope {
    let thread: ThreadId = sqlx::query_scalar("select id from threads").fetch_one(&bot.database.pool).await.unwrap();
    Scope { owner: "github:1".into(), thread, reach: Reach::Owner }
}

fn name(model: &str) -> ModelName {
    model.parse().unwrap()
}

#[tokio::test]
async fn after_a_turn_vectors_are_made_and_paid_for_once() {
    let bot = bot(&EMBEDDING).await;
    let ids = remember(&bot, &["We chose sqlx for database migrations.", "Lunch is at noon on Fridays."]).await;
    bot.until_count(WITHOUT, 0).await;
    let question = vector("which tool for database migrations?", 256);
    let found = nearest(&bot.database.pool, &scope(&bot).await, &name(OPENAI), &question, 1).await.unwrap();
    assert_eq!(found[0].0, ids[0]);
    assert!(found[0].1 > 0.3 && found[0].1 < 1.0, "{found:?}");
    let (tokens, cost): (i64, f64) = sqlx::query_as("select input, cost_usd from ledger where purpose = 'embedding'")
        .fetch_one(&bot.database.pool)
        .await
        .unwrap();
    let sent: Vec<_> = bot.model.embedded();
    let texts: Vec<&String> = sent.iter().flat_map(|request| &request.texts).collect();
    let counted: usize = texts.iter().map(|text| text.chars().count().div_ceil(4)).sum();
    assert_eq!(tokens, counted as i64);
    assert!((cost - tokens as f64 * 0.02 / 1e6).abs() < 1e-12, "{cost}");
    let state = state(&bot.database.pool).await.unwrap().unwrap();
    assert_eq!((state.model.as_str(), state.dims, state.due, state.failing), (OPENAI, Some(256), 0, None));
    bot.finish().await;
}

#[tokio::test]
async fn an_embedder_that_is_down_keeps_nobody_waiting_is_seen_and_made_up_for() {
    let bot = bot(&EMBEDDING).await;
    bot.model.embedding_down(true);
    remember(&bot, &["one", "two"]).await;
    bot.until_count("select count(*) from embedding_models where failures > 0", 1).await;
    let failing = state(&bot.database.pool).await.unwrap().unwrap();
    let why = failing.failing.clone().unwrap();
    assert!(why.reason.contains("OpenAI is overloaded (503)") && why.next_try_at > Some(why.since), "{why:?}");
    assert!(failing.due >= 2, "{failing:?}");
    let issue = bot.issue("Meanwhile").await;
    bot.model.script([say("Answered without vectors.")]);
    assert!(bot.asks(&issue, "@threadbox still there?").await.contains("Answered without vectors."));
    bot.model.embedding_down(false);
    bot.until_count(WITHOUT, 0).await;
    bot.until_count("select count(*) from embedding_models where failures > 0", 0).await;
    assert_eq!(state(&bot.database.pool).await.unwrap().unwrap().failing, None);
    bot.finish().await;
}

#[tokio::test]
async fn a_crash_between_the_call_and_the_commit_costs_one_more_call_and_doubles_nothing() {
    let mut bot = bot(&EMBEDDING).await;
    bot.until_count(WITHOUT, 0).await;
    bot.stop().await;
    let before = bot.model.embedded().len();
    let gate = Gate::closed();
    bot.model.fail_embedding([EmbeddingFault::Gated(gate.clone())]);
    remember(&bot, &["said before the crash"]).await;
    let killed = bot.run_apart().await;
    tokio::time::timeout(LIMIT, bot.model.embeddings_arrived(before + 1)).await.unwrap();
    drop(killed);
    gate.open();
    // The claim of the dead is over.
    bot.sql("update embedding_models set claimed_until = now() - interval '1 second'").await;
    bot.run().await;
    bot.until_count(WITHOUT, 0).await;
    let paid =
        bot.model.embedded().iter().filter(|request| request.texts.iter().any(|text| text == "said before the crash")).count();
    assert_eq!(paid, 2);
    bot.finish().await;
}

#[tokio::test]
async fn two_processes_pay_for_each_piece_once() {
    let mut bot = bot(&EMBEDDING).await;
    bot.until_count(WITHOUT, 0).await;
    bot.stop().await;
    let before: usize = bot.model.embedded().iter().map(|request| request.texts.len()).sum();
    let texts: Vec<String> = (0..150).map(|number| format!("piece number {number}")).collect();
    remember(&bot, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let other = bot.run_apart().await;
    bot.run().await;
    bot.until_count(WITHOUT, 0).await;
    let paid: usize = bot.model.embedded().iter().map(|request| request.texts.len()).sum();
    assert_eq!(paid - before, 150);
    drop(other);
    bot.finish().await;
}

#[tokio::test]
async fn another_model_takes_over_in_the_background_and_then_the_old_vectors_go() {
    let mut bot = bot(&EMBEDDING).await;
    let ids = remember(&bot, &["The deploy runs on Fridays."]).await;
    bot.until_count(WITHOUT, 0).await;
    bot.stop().await;
    let gate = Gate::closed();
    let before = bot.model.embedded().len();
    bot.model.fail_embedding([EmbeddingFault::Gated(gate.clone())]);
    bot.settings.models.embedding = Some(name(GOOGLE));
    bot.run().await;
    tokio::time::timeout(LIMIT, bot.model.embeddings_arrived(before + 1)).await.unwrap();
    assert_eq!(bot.count("select count(*) from memory_vectors").await, bot.count("select count(*) from memories").await);
    gate.open();
    bot.until_count("select count(*) from memory_vectors where model = 'openai/text-embedding-3-small'", 0).await;
    bot.until_count(WITHOUT, 0).await;
    let found =
        nearest(&bot.database.pool, &scope(&bot).await, &name(GOOGLE), &vector("deploy on Fridays", 768), 1).await.unwrap();
    assert_eq!(found[0].0, ids[0]);
    let request = bot.model.embedded().pop().unwrap();
    assert_eq!(
        (request.protocol, request.task.as_deref(), request.dims),
        (Protocol::Gemini, Some("RETRIEVAL_DOCUMENT"), Some(768))
    );
    let state = state(&bot.database.pool).await.unwrap().unwrap();
    assert_eq!((state.model.as_str(), state.dims, state.due), (GOOGLE, Some(768), 0));
    bot.finish().await;
}

#[tokio::test]
async fn switched_off_nothing_is_embedded_and_the_vectors_stay() {
    let mut bot = bot(&EMBEDDING).await;
    remember(&bot, &["kept"]).await;
    bot.until_count(WITHOUT, 0).await;
    bot.stop().await;
    let (calls, vectors) = (bot.model.embedded().len(), bot.count("select count(*) from memory_vectors").await);
    bot.settings.models.embedding = None;
    bot.run().await;
    let issue = bot.issue("Off").await;
    bot.model.script([say("By words alone.")]);
    bot.asks(&issue, "@threadbox hello").await;
    assert_eq!((bot.model.embedded().len(), bot.count("select count(*) from memory_vectors").await), (calls, vectors));
    bot.finish().await;
}

#[tokio::test]
async fn nothing_is_embedded_once_the_budget_of_the_day_is_used_up() {
    let mut bot = bot(&[EMBEDDING[0], ("DAILY_BUDGET_USD", "0.5")]).await;
    bot.until_count(WITHOUT, 0).await;
    let before = bot.model.embedded().len();
    // A process remembers the sum of the day for a few seconds; one that begins asks.
    bot.stop().await;
    bot.sql("update ledger set cost_usd = 0.6").await;
    bot.run().await;
    remember(&bot, &["too expensive today"]).await;
    bot.until_count("select count(*) from embedding_models where failure like 'The budget of the day is used up%'", 1).await;
    assert_eq!(bot.model.embedded().len(), before);
    bot.stop().await;
    bot.later(TimeDelta::hours(25));
    bot.run().await;
    bot.until_count(WITHOUT, 0).await;
    // That it is well again is noted after what was embedded.
    bot.until_count("select count(*) from embedding_models where failure is not null", 0).await;
    bot.finish().await;
}

#[tokio::test]
async fn a_text_that_is_refused_keeps_no_other_waiting() {
    let bot = bot(&EMBEDDING).await;
    bot.model.refuse_texts_with("POISON");
    remember(&bot, &["good one", "some POISON here", "good two", "good three", "good four"]).await;
    bot.until_count(WITHOUT, 1).await;
    bot.until_count("select count(*) from memory_refusals where reason like '%cannot be embedded%'", 1).await;
    let state = state(&bot.database.pool).await.unwrap().unwrap();
    assert_eq!((state.refused, state.due, state.failing), (1, 0, None));
    bot.finish().await;
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_embedded_leaves_no_vector() {
    let bot = bot(&EMBEDDING).await;
    bot.until_count(WITHOUT, 0).await;
    let before = bot.model.embedded().len();
    let gate = Gate::closed();
    bot.model.fail_embedding([EmbeddingFault::Gated(gate.clone())]);
    remember(&bot, &["to be forgotten"]).await;
    tokio::time::timeout(LIMIT, bot.model.embeddings_arrived(before + 1)).await.unwrap();
    bot.sql("delete from memories").await;
    gate.open();
    remember(&bot, &["said after"]).await;
    bot.until_count(WITHOUT, 0).await;
    assert_eq!(bot.count("select count(*) from memory_vectors").await, 1);
    assert_eq!(state(&bot.database.pool).await.unwrap().unwrap().failing, None);
    bot.finish().await;
}

#[tokio::test]
async fn one_that_has_no_embeddings_is_told_and_recall_goes_on_by_words() {
    let bot = bot(&[("EMBEDDING_MODEL", "anthropic/claude-opus-5")]).await;
    remember(&bot, &["no vector for this"]).await;
    assert_eq!(bot.count("select count(*) from embedding_models").await, 0);
    bot.finish().await;
}

/// A client of its own against a stand-in.
async fn client(model: &str) -> (ModelStandin, std::sync::Arc<dyn Embedder>) {
    let standin = ModelStandin::start().await.unwrap();
    let settings = standin.settings(model);
    let retry =
        RetryPolicy { first_wait: Duration::from_millis(2), longest_wait: Duration::from_millis(5), ..RetryPolicy::default() };
    let patience = Patience { retry, ..Patience::default() };
    let client = embedding::build(&settings, &name(model), &Http::new().unwrap(), &patience).unwrap();
    (standin, client)
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text number {number}")).collect()
}

#[tokio::test]
async fn every_provider_gives_unit_vectors_in_the_order_of_the_texts() {
    for (model, dims, most) in
        [(OPENAI, 256, 96), (GOOGLE, 768, 96), ("mistral/mistral-embed", 256, 32), ("ollama/nomic-embed-text", 256, 32)]
    {
        let (standin, client) = client(model).await;
        let texts = texts(200);
        let embedded = client.embed_counted(&texts, Input::Passage).await.unwrap();
        for (text, found) in texts.iter().zip(&embedded.vectors) {
            let wanted = vector(text, dims);
            assert!(found.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5), "{model}: {text}");
        }
        assert_eq!((embedded.vectors.len(), embedded.estimated), (200, model == GOOGLE));
        assert!(embedded.tokens > 200, "{}", embedded.tokens);
        let requests = standin.embedded();
        assert!(requests.len() == 200usize.div_ceil(most) && requests.iter().all(|request| request.texts.len() <= most));
        assert!(requests.iter().all(|request| request.key == "stand-in-key"));
        assert_eq!(standin.objections(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_would_spoil_a_search_is_refused() {
    use EmbeddingFault::{Cut, NotANumber, OneTooFew, Status, Zeros};
    for model in [OPENAI, GOOGLE, "mistral/mistral-embed"] {
        for fault in [Status(429, Some("0".into())), Status(500, None), Status(503, None), OneTooFew, NotANumber, Zeros, Cut] {
            let (standin, client) = client(model).await;
            standin.fail_embedding([fault.clone()]);
            let vectors = client.embed(&texts(3), Input::Passage).await.unwrap();
            assert_eq!((vectors.len(), standin.embedded().len()), (3, 2), "{model}: {fault:?}");
            standin.fail_embedding(vec![fault.clone(); 4]);
            let error = client.embed(&texts(3), Input::Passage).await.unwrap_err();
            assert!(
                matches!(&error, ModelError::Retry { reason, .. } if reason.contains("Tried 4 times")),
                "{model}: {fault:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn what_will_not_pass_is_told_with_its_remedy() {
    let told = |model: &'static str, fault: EmbeddingFault| async move {
        let (standin, client) = client(model).await;
        standin.fail_embedding([fault]);
        let error = client.embed(&texts(1), Input::Passage).await.unwrap_err();
        assert_eq!(standin.embedded().len(), 1);
        error.to_string()
    };
    let (_standin, unknown) = client("openai/gpt-4.1").await;
    let told = [
        told(OPENAI, EmbeddingFault::Status(401, None)).await,
        told(GOOGLE, EmbeddingFault::Status(403, None)).await,
        told(OPENAI, EmbeddingFault::Status(429, Some("3600".into()))).await,
        unknown.embed(&texts(1), Input::Passage).await.unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    OpenAI refused the key (401). Check OPENAI_API_KEY.
    Google refused access (403): “scripted by the stand-in”. Check that the key in GOOGLE_GENERATIVE_AI_API_KEY may use google/gemini-embedding-001.
    OpenAI is limiting our requests (429). It asks to wait 3600 seconds, which is too long.
    OpenAI does not know the model gpt-4.1 (404). Check its name in EMBEDDING_MODEL (and OPENAI_BASE_URL, if set).
    ");
}

#[tokio::test]
async fn a_question_that_is_asked_again_costs_nothing() {
    let (standin, client) = client(GOOGLE).await;
    let question = ["what was decided?".to_owned()];
    let first = client.embed(&question, Input::Query).await.unwrap();
    assert_eq!(client.embed(&question, Input::Query).await.unwrap(), first);
    assert_eq!(standin.embedded().len(), 1);
    assert_eq!(standin.embedded()[0].task.as_deref(), Some("RETRIEVAL_QUERY"));
    assert!(client.take_unbilled() > 0 && client.take_unbilled() == 0);
    let long = ["long ".repeat(50_000)];
    client.embed(&long, Input::Query).await.unwrap();
    assert_eq!(standin.embedded()[1].texts[0].chars().count(), 6_000);
}
