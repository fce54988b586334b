//! Statements for pgvector. None is checked when we are built, because that happens without the extension; names and numbers in them
//! are ours, and what is not is quoted.

use sha2::{Digest as _, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgPool, Postgres, Row as _};

use crate::id::MemoryId;
use crate::memory::{Reach, Scope};
use crate::model::ModelName;

/// Anything; the same in every process.
const TURN: i64 = 0x7468_7265_6164;
/// Likely ones that the index holds in mind while it looks.
const BREADTH: usize = 200;
/// Copies that are not in the index yet, at most.
const UNINDEXED: i64 = 5_000;

/// The right to change the index, which ends with its connection.
pub(super) struct Turn(PoolConnection<Postgres>);

impl Turn {
    /// None while somebody else has it.
    pub(super) async fn take(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = pool.acquire().await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(TURN).fetch_one(&mut *connection).await?;
        Ok(taken.then_some(Self(connection)))
    }

    /// One that may take as long as it takes.
    async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        self.0.execute("set statement_timeout = 0").await?;
        self.0.execute(AssertSqlSafe(sql)).await.map(drop)
    }

    pub(super) async fn give_back(self) -> Result<(), sqlx::Error> {
        // Closed rather than unlocked: whatever state it is in, the turn is over.
        self.0.detach().close().await
    }
}

/// Of pgvector, as far as this database has it.
pub(super) async fn version(pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
    let version = "select coalesce(installed_version, default_version) from pg_available_extensions where name = 'vector'";
    Ok(sqlx::query_scalar(version).fetch_optional(pool).await?.flatten())
}

/// Whether the model has at least `from` vectors.
pub(super) async fn has(pool: &PgPool, model: &ModelName, from: i64) -> Result<bool, sqlx::Error> {
    let count = "select count(*) >= $2 from (select from memory_vectors where model = $1 limit $2) as counted";
    sqlx::query_scalar(count).bind(model.to_string()).bind(from).fetch_one(pool).await
}

/// The extension, and a place for copies.
pub(super) async fn prepare(pool: &PgPool) -> Result<(), sqlx::Error> {
    let there = "select exists (select from pg_attribute
                 where attrelid = 'memory_vectors'::regclass and attname = 'near' and not attisdropped)";
    if sqlx::query_scalar(there).fetch_one(pool).await? {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    // Whoever holds the table is not waited for while everybody waits for us.
    transaction.execute("set local lock_timeout = '3s'").await?;
    transaction.execute("set local client_min_messages = warning").await?;
    transaction.execute("create extension if not exists vector").await?;
    transaction.execute("alter table memory_vectors add column if not exists near halfvec").await?;
    transaction.commit().await
}

/// Copies some vectors that have no copy. Returns how many.
pub(super) async fn fill(pool: &PgPool, model: &ModelName, dims: usize, count: i64) -> Result<u64, sqlx::Error> {
    let without = "select memory_id, vector from memory_vectors where near is null and model = $1 and dims = $2 limit $3";
    let rows = sqlx::query(without).bind(model.to_string()).bind(small(dims)).bind(count).fetch_all(pool).await?;
    let (mut ids, mut copies) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let vector: &[u8] = row.try_get(1)?;
        let (floats, _) = vector.as_chunks::<4>();
        ids.push(row.try_get::<uuid::Uuid, _>(0)?);
        copies.push(written(floats.iter().map(|bytes| f32::from_le_bytes(*bytes))));
    }
    let copy = "update memory_vectors v set near = c.near::halfvec
                from unnest($2::uuid[], $3::text[]) as c (id, near) where v.memory_id = c.id and v.model = $1";
    let copied = sqlx::query(copy).bind(model.to_string()).bind(ids).bind(copies).execute(pool).await?;
    Ok(copied.rows_affected())
}

/// The indexes: of the copies, and of what has none yet. Those of other models go.
pub(super) async fn index(pool: &PgPool, turn: &mut Turn, model: &ModelName, dims: usize) -> Result<(), sqlx::Error> {
    let name = index_name(model, dims);
    let stale = "select c.relname::text from pg_class c join pg_index i on i.indexrelid = c.oid
                 where c.relname like 'memory\\_vectors\\_near\\_%' and i.indrelid = 'memory_vectors'::regclass
                   and (c.relname <> $1 or not i.indisvalid)";
    for stale in sqlx::query_scalar::<_, String>(stale).bind(&name).fetch_all(pool).await? {
        turn.run(format!("drop index concurrently if exists {}", identifier(&stale))).await?;
    }
    turn.run(
        "create index concurrently if not exists memory_vectors_uncopied on memory_vectors (model, owner) where near is null"
            .to_owned(),
    )
    .await?;
    turn.run(format!(
        "create index concurrently if not exists {name} on memory_vectors using hnsw ((near::halfvec({dims})) halfvec_ip_ops)
             where model = {} and dims = {dims}",
        literal(&model.to_string())
    ))
    .await
}

/// Whether the index of the copies is there and whole.
pub(super) async fn is_indexed(pool: &PgPool, model: &ModelName, dims: usize) -> Result<bool, sqlx::Error> {
    let valid = "select exists (select from pg_index where indexrelid = to_regclass($1) and indisvalid)";
    sqlx::query_scalar(valid).bind(index_name(model, dims)).fetch_one(pool).await
}

/// What the index finds in the scope, and what is not in it yet.
pub(super) async fn likely(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    query: &[f32],
    count: usize,
) -> Result<Vec<(MemoryId, Vec<u8>)>, sqlx::Error> {
    let dims = query.len();
    // Not as parameters: the index is for these very values.
    let here = format!("model = {} and dims = {dims}", literal(&model.to_string()));
    let border = match scope.reach {
        Reach::Thread => "owner = $1 and thread_id = $2",
        Reach::Owner => "owner = $1 and (shared or thread_id = $2)",
    };
    let sql = format!(
        "(select memory_id, vector from memory_vectors where {here} and {border} and near is not null
          order by (near::halfvec({dims})) <#> $3::text::halfvec({dims}) limit $4)
         union all
         (select memory_id, vector from memory_vectors where {here} and {border} and near is null limit {UNINDEXED})"
    );
    let mut transaction = pool.begin().await?;
    transaction.execute("set local hnsw.iterative_scan = 'relaxed_order'").await?;
    transaction.execute(AssertSqlSafe(format!("set local hnsw.ef_search = {BREADTH}"))).await?;
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(&scope.owner)
        .bind(scope.thread.0)
        .bind(written(query.iter().copied()))
        .bind(i64::try_from(count).unwrap_or(i64::MAX));
    let rows = query.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn index_name(model: &ModelName, dims: usize) -> String {
    let digest = hex::encode(Sha256::digest(format!("{model} {dims}").as_bytes()));
    format!("memory_vectors_near_{}", &digest[..16])
}

/// As pgvector reads it.
fn written(values: impl Iterator<Item = f32>) -> String {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    format!("[{}]", values.join(","))
}

fn small(dims: usize) -> i16 {
    i16::try_from(dims).unwrap_or(i16::MAX)
}

/// A text in a statement; with `E`, so that a backslash means the same whatever the server is set to.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_quoted() {
        assert_eq!(literal("a'; drop table x; --\\'"), r"E'a''; drop table x; --\\'''");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(written([0.5, -1.0].into_iter()), "[0.5,-1]");
    }
}
