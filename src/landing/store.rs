//! The tables `landings` and `landing_approvals`, which keeps the contents of what waits for an approval. What a run writes carries the lease epoch of its thread.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::survey::LeftOut;
use crate::id::{LeaseEpoch, RunId, ThreadId};
use crate::intake::Place;

/// How a landing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum LandingState {
    /// Its commits are made; whether the branch names them is to be looked up.
    Landing,
    /// The branch names them, and the workspace goes on from there.
    Landed,
    /// It was taken back.
    Undone,
    /// The branch never named them.
    Void,
}

/// A commit of a landing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitMade {
    /// Its name.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
}

/// One change of a branch.
#[derive(Clone, Debug)]
pub struct Landing {
    /// Its id.
    pub id: Uuid,
    /// The run that made it.
    pub run: RunId,
    /// Number of the repository the branch is in.
    pub repository_id: i64,
    /// Its name at that time.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Where its pull request goes.
    pub base_branch: String,
    /// True when the branch and its pull request are made for it.
    pub opens: bool,
    /// The commit the branch stood at before.
    pub parent: String,
    /// The commit it stands at after.
    pub head: String,
    /// From the oldest.
    pub commits: Vec<CommitMade>,
    /// Files that change.
    pub files: i32,
    /// What does not land.
    pub left_out: Vec<LeftOut>,
    /// Of the pull request.
    pub title: String,
    /// Of the pull request.
    pub body: String,
    /// Of the pull request.
    pub draft: bool,
    /// The pull request, once it is known.
    pub pull_request: Option<i64>,
    /// Where people read it.
    pub pull_url: Option<String>,
    /// How it stands.
    pub state: LandingState,
}

/// Who writes.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The database.
    pub pool: PgPool,
    /// For which thread.
    pub thread: ThreadId,
    /// With which lease.
    pub epoch: LeaseEpoch,
}

impl Writer {
    /// Records what is about to be done. False when the lease was lost: then it must not be done.
    pub async fn begin(&self, landing: &Landing, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            r#"
            insert into landings (id, thread_id, run_id, repository_id, repository, branch, base_branch, opens, parent, head, commits,
                files, left_out, title, body, draft, pull_request, pull_url, created_at)
            select $1, t.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
            from threads t where t.id = $2 and t.lease_epoch = $3
            "#,
            landing.id,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            landing.run as RunId,
            landing.repository_id,
            landing.repository,
            landing.branch,
            landing.base_branch,
            landing.opens,
            landing.parent,
            landing.head,
            Json(&landing.commits) as _,
            landing.files,
            Json(&landing.left_out) as _,
            landing.title,
            landing.body,
            landing.draft,
            landing.pull_request,
            landing.pull_url,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The thread's landings that count, oldest first.
    pub async fn landings(&self) -> Result<Vec<Landing>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"
            select id, run_id as "run: RunId", repository_id, repository, branch, base_branch, opens, parent, head,
                commits as "commits: Json<Vec<CommitMade>>", files, left_out as "left_out: Json<Vec<LeftOut>>", title, body, draft,
                pull_request, pull_url, state as "state: LandingState"
            from landings where thread_id = $1 and state <> 'void' order by created_at, id
            "#,
            self.thread as ThreadId,
        )
        .fetch_all(&self.pool)
        .await?;
        let landing = rows.into_iter().map(|row| Landing {
            id: row.id,
            run: row.run,
            repository_id: row.repository_id,
            repository: row.repository,
            branch: row.branch,
            base_branch: row.base_branch,
            opens: row.opens,
            parent: row.parent,
            head: row.head,
            commits: row.commits.0,
            files: row.files,
            left_out: row.left_out.0,
            title: row.title,
            body: row.body,
            draft: row.draft,
            pull_request: row.pull_request,
            pull_url: row.pull_url,
            state: row.state,
        });
        Ok(landing.collect())
    }

    /// Records how a landing stands. False when the lease was lost.
    pub async fn set_state(&self, id: Uuid, state: LandingState, by: Option<RunId>) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            "update landings l set state = $4, undone_by = coalesce($5, l.undone_by) from threads t
             where l.id = $1 and l.thread_id = $2 and t.id = $2 and t.lease_epoch = $3",
            id,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            state as LandingState,
            by as Option<RunId>,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records the pull request of a landing, that it is talked about in this thread (where a place is given), and the posts. False when the
    /// lease was lost. May be repeated.
    pub async fn set_pull(
        &self,
        landing: &Landing,
        number: i64,
        url: &str,
        place: Option<&Place>,
        now: DateTime<Utc>,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            r#"
            with held as (
                select id from threads where id = $1 and lease_epoch = $2
            ), landing as (
                update landings set pull_request = $4, pull_url = $5 from held where landings.id = $3 and landings.thread_id = held.id
            ), surface as (
                insert into surfaces as s (surface, key, thread_id, place) select $6, $7, id, $8 from held where $6::text is not null
                on conflict (surface, key) do update set thread_id = excluded.thread_id, place = excluded.place
                where not exists (select 1 from runs r where r.thread_id = s.thread_id)
            ), post as (
                insert into posts (key, thread_id, run_id, kind, state, external_id, created_at, updated_at)
                select p.key, held.id, $9, p.kind, 'done', p.external_id, $10, $10
                from held, unnest($11::text[], $12::text[], $13::text[]) as p (key, kind, external_id)
                on conflict do nothing
            )
            select count(*) as "count!" from held
            "#,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            landing.id,
            number,
            url,
            place.map(|place| place.surface().as_str()),
            place.map(Place::key),
            place.map(Json) as _,
            landing.run as RunId,
            now,
            &[pull_key(landing.id), format!("commits-{}", landing.id)],
            &["pull_request".to_owned(), "commits".to_owned()],
            &[number.to_string(), landing.head.clone()],
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(done.count == 1)
    }

    /// Counts that the workspace was tried to be brought to a landing; returns how often it was.
    pub async fn count_follow(&self, id: Uuid) -> Result<i32, sqlx::Error> {
        let row = sqlx::query!(
            "update landings set follows = follows + 1 where id = $1 and thread_id = $2 returning follows",
            id,
            self.thread as ThreadId,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map_or(i32::MAX, |row| row.follows))
    }

    /// Keeps the contents of changes that wait for an approval, and forgets those of the thread that neither wait nor are approved any
    /// more. May be repeated.
    pub async fn keep(&self, pending: &Pending, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query!(
            r#"
            with held as (
                select id from threads where id = $1 and lease_epoch = $2
            ), forgotten as (
                delete from landing_approvals p using held
                where p.thread_id = held.id and p.state = 'pending' and p.digest <> $3
                  and not exists (
                    select 1 from approvals a
                    where a.thread_id = p.thread_id and a.kind = 'workflows' and a.state in ('waiting', 'approved')
                      and a.continues->'task'->>'digest' = p.digest
                  )
            )
            insert into landing_approvals (thread_id, digest, run_id, base, paths, changes, created_at)
            select held.id, $3, $4, $5, $6, $7, $8 from held
            on conflict (thread_id, digest) do nothing
            "#,
            self.thread as ThreadId,
            self.epoch as LeaseEpoch,
            pending.digest,
            pending.run as RunId,
            pending.base,
            Json(&pending.paths) as _,
            pending.changes,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The approved changes landed.
    pub async fn approved_landed(&self, digest: &str) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update landing_approvals set state = 'landed' where thread_id = $1 and digest = $2 and state in ('pending', 'approved')",
            self.thread as ThreadId,
            digest,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// A landing that was pushed, as far as is known, and whose pull request is not open; nobody works on its thread.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// It.
    pub landing: Landing,
    /// Where it was asked for.
    pub place: Place,
    /// Its thread.
    pub thread: ThreadId,
    /// The lease its thread had last; whoever takes the thread over has another.
    pub epoch: LeaseEpoch,
}

/// Takes some landings whose pull request is to be opened; each is tried later and later, and not for ever. One is taken by one process.
pub async fn unsettled(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<Unsettled>, sqlx::Error> {
    const AT_ONCE: i64 = 5;
    const MOST_TRIES: i32 = 20;
    let rows = sqlx::query!(
        r#"
        with due as (
            select l.id, t.lease_epoch, r.request
            from landings l join threads t on t.id = l.thread_id join runs r on r.id = l.run_id
            where l.state = 'landing' and l.pull_request is null and l.opens and l.next_try_at <= $1 and l.tries < $3
              and (t.lease_until is null or t.lease_until < now())
              and not exists (select 1 from runs o where o.thread_id = t.id and o.state <> 'posted')
            order by l.next_try_at limit $2
            for update of l skip locked
        )
        update landings l set tries = l.tries + 1, next_try_at = $1 + interval '5 seconds' * power(2, least(l.tries, 10))
        from due where l.id = due.id
        returning l.id, l.thread_id as "thread: ThreadId", due.lease_epoch as "epoch: LeaseEpoch",
            due.request as "request: Json<crate::intake::Request>", l.run_id as "run: RunId", l.repository_id, l.repository, l.branch,
            l.base_branch, l.opens, l.parent, l.head, l.commits as "commits: Json<Vec<CommitMade>>", l.files,
            l.left_out as "left_out: Json<Vec<LeftOut>>", l.title, l.body, l.draft, l.pull_request, l.pull_url,
            l.state as "state: LandingState"
        "#,
        now,
        AT_ONCE,
        MOST_TRIES,
    )
    .fetch_all(pool)
    .await?;
    let unsettled = rows.into_iter().map(|row| Unsettled {
        landing: Landing {
            id: row.id,
            run: row.run,
            repository_id: row.repository_id,
            repository: row.repository,
            branch: row.branch,
            base_branch: row.base_branch,
            opens: row.opens,
            parent: row.parent,
            head: row.head,
            commits: row.commits.0,
            files: row.files,
            left_out: row.left_out.0,
            title: row.title,
            body: row.body,
            draft: row.draft,
            pull_request: row.pull_request,
            pull_url: row.pull_url,
            state: row.state,
        },
        place: row.request.0.place,
        thread: row.thread,
        epoch: row.epoch,
    });
    Ok(unsettled.collect())
}

/// The key of a landing's pull request; its marker stands in the text.
pub fn pull_key(landing: Uuid) -> String {
    format!("pull-{landing}")
}

/// The contents of changes that wait for an approval, or have it.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Names exactly these changes.
    pub digest: String,
    /// The run that made them.
    pub run: RunId,
    /// The commit they were made from.
    pub base: String,
    /// Their paths.
    pub paths: Vec<String>,
    /// As `pack` leaves them.
    pub changes: Vec<u8>,
    /// True when they were approved before approvals were kept for themselves.
    pub is_approved: bool,
}

/// What is kept of a thread under a digest.
pub async fn kept(pool: &PgPool, thread: ThreadId, digest: &str) -> Result<Option<Pending>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select digest, run_id as "run: RunId", base, paths as "paths: Json<Vec<String>>", changes,
            approved_by is not null and state in ('approved', 'landed') as "is_approved!"
        from landing_approvals where thread_id = $1 and digest = $2
        "#,
        thread as ThreadId,
        digest,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Pending {
        digest: row.digest,
        run: row.run,
        base: row.base,
        paths: row.paths.0,
        changes: row.changes,
        is_approved: row.is_approved,
    }))
}

/// Largest change set that is kept until somebody approves it, before it is compressed.
pub const MOST_KEPT: usize = 2 << 20;

/// Changes for storage.
pub fn pack(changes: &super::object::Changes) -> Option<Vec<u8>> {
    use std::io::Write;
    let total: usize = changes.values().map(super::object::Change::size).sum();
    if total > MOST_KEPT {
        return None;
    }
    let listed: Vec<(&String, Option<(super::object::Mode, String)>)> = changes
        .iter()
        .map(|(path, change)| match change {
            super::object::Change::Put { mode, content } => (path, Some((*mode, hex::encode(content)))),
            super::object::Change::Delete => (path, None),
        })
        .collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&serde_json::to_vec(&listed).ok()?).ok()?;
    encoder.finish().ok()
}

/// Changes from storage.
pub fn unpack(bytes: &[u8]) -> Option<super::object::Changes> {
    use std::io::Read;
    let reader = flate2::read::GzDecoder::new(bytes).take(8 * MOST_KEPT as u64);
    let listed: Vec<(String, Option<(super::object::Mode, String)>)> = serde_json::from_reader(reader).ok()?;
    let changes = listed.into_iter().map(|(path, put)| {
        let change = match put {
            Some((mode, content)) => super::object::Change::Put { mode, content: hex::decode(content).ok()?.into() },
            None => super::object::Change::Delete,
        };
        Some((path, change))
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::landing::object::{Change, Changes, Mode};

    #[test]
    fn kept_changes_come_back_as_they_were() {
        let put = Change::Put { mode: Mode::Executable, content: bytes::Bytes::from_static(b"\0\xff") };
        let changes = Changes::from([("a".to_owned(), put), ("b".to_owned(), Change::Delete)]);
        assert_eq!(unpack(&pack(&changes).unwrap()).unwrap(), changes);
        let large = Change::Put { mode: Mode::File, content: vec![0; MOST_KEPT + 1].into() };
        assert!(pack(&Changes::from([("a".to_owned(), large)])).is_none());
        assert!(unpack(b"x").is_none());
    }
}
