//! The table of vectors.

use futures::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::{bytes_of, signs_of};
use crate::id::MemoryId;
use crate::memory::{Reach, Scope};
use crate::model::ModelName;

/// Keeps the vectors of pieces, which have length 1 and one dimension. A piece that is gone meanwhile is left out, and so is one that
/// has a vector of this model already. Returns how many were new.
pub async fn keep(pool: &PgPool, model: &ModelName, vectors: &[(MemoryId, Vec<f32>)]) -> Result<u64, sqlx::Error> {
    let ids: Vec<_> = vectors.iter().map(|(id, _)| id.0).collect();
    let bytes: Vec<Vec<u8>> = vectors.iter().map(|(_, vector)| bytes_of(vector)).collect();
    let signs: Vec<String> = vectors.iter().map(|(_, vector)| signs_of(vector)).collect();
    let dims: Vec<i16> = vectors.iter().map(|(_, vector)| i16::try_from(vector.len()).unwrap_or(i16::MAX)).collect();
    let done = sqlx::query!(
        r#"
        with piece as (
            -- Locked, so that nobody deletes it before its vector is there to be deleted with it.
            select id, owner, thread_id, shared from memories where id = any($2) order by id for key share
        )
        insert into memory_vectors (memory_id, model, dims, owner, thread_id, shared, vector, signs)
        select piece.id, $1, v.dims, piece.owner, piece.thread_id, piece.shared, v.vector, v.signs::varbit
        from piece join unnest($2::uuid[], $3::smallint[], $4::bytea[], $5::text[]) as v (id, dims, vector, signs) on v.id = piece.id
        on conflict do nothing
        "#,
        model.to_string(),
        &ids,
        &dims,
        &bytes,
        &signs,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Shows `each` every vector of the scope, in no order, as it is stored. Not by a checked macro: those copy each vector, and here the
/// bytes are read where they arrived.
pub(super) async fn scan(
    pool: &PgPool,
    scope: &Scope,
    model: &ModelName,
    dims: usize,
    mut each: impl FnMut(MemoryId, &[u8]),
) -> Result<(), sqlx::Error> {
    let sql = match scope.reach {
        Reach::Thread => {
            "select memory_id, vector from memory_vectors where model = $1 and dims = $2 and owner = $3 and thread_id = $4"
        }
        Reach::Owner => {
            "select memory_id, vector from memory_vectors
             where model = $1 and dims = $2 and owner = $3 and (shared or thread_id = $4)"
        }
    };
    let query = sqlx::query(sql)
        .bind(model.to_string())
        .bind(i16::try_from(dims).unwrap_or(i16::MAX))
        .bind(&scope.owner)
        .bind(scope.thread.0);
    let mut rows = query.fetch(pool);
    while let Some(row) = rows.try_next().await? {
        show(&row, dims, &mut each)?;
    }
    Ok(())
}

fn show(row: &PgRow, dims: usize, each: &mut impl FnMut(MemoryId, &[u8])) -> Result<(), sqlx::Error> {
    let vector: &[u8] = row.try_get(1)?;
    if vector.len() == 4 * dims {
        each(row.try_get(0)?, vector);
    }
    Ok(())
}
