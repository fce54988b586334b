-- Sandboxes: what is known of each, so that it is found again, rebuilt when it is gone, and removed when nobody needs it.

-- This deployment. Sandboxes carry the id as a label, so that deployments that share an account at a provider leave each other's alone.
-- A copy of the database is the same deployment.
create table instance (
    one             boolean primary key default true check (one),
    id              uuid not null,
    -- One process at a time looks for what is left over.
    reaping_until   timestamptz,
    -- Seconds that idle warm sandboxes have cost on a day, and until when that is counted.
    warm_day        date,
    warm_seconds    double precision not null default 0,
    warm_counted_at timestamptz
);
insert into instance (id) values (gen_random_uuid());

create table sandboxes (
    provider        text not null,
    -- Chosen by us and recorded before it is made, so that making it twice finds the first.
    name            text not null,
    -- What the provider calls it; none until it is made.
    id              text,
    -- None for a warm one, and for one whose thread was forgotten, which is then removed.
    thread_id       uuid references threads on delete set null,
    role            text not null check (role in ('own', 'extra', 'warm')),
    -- Wanted: recorded, perhaps made, not yet prepared. Gone: removed or lost; what is known of it makes the next one.
    state           text not null default 'wanted' check (state in ('wanted', 'ready', 'gone')),
    -- How often it was replaced; part of the name, so that one which is only out of sight is never taken for its successor.
    generation      integer not null default 0,
    snapshot        text,
    -- What the workspace began with: repository, commit, what is missing, setup.
    checkout        jsonb,
    -- Names, sizes and times of the files it began with, compressed.
    base            bytea,
    -- The files when the run began, compressed: what its changes are compared with.
    baseline        bytea,
    baseline_run    uuid,
    -- The files that differ from the base, compressed.
    checkpoint      bytea,
    checkpoint_at   timestamptz,
    -- The run in which it was lost, and what that run is told.
    lost_run        uuid,
    lost_note       text,
    created_at      timestamptz not null,
    used_at         timestamptz not null,
    primary key (provider, name)
);
create unique index sandboxes_id on sandboxes (provider, id);
-- Never two at once for a thread.
create unique index sandboxes_own on sandboxes (thread_id, provider) where role = 'own';
create index sandboxes_thread on sandboxes (thread_id);
create index sandboxes_warm on sandboxes (provider, created_at) where role = 'warm';
create index sandboxes_used on sandboxes (used_at);

-- Until now a thread named its sandbox itself; all of them were local. `threads.sandbox_id` is no longer used and goes with a later
-- version. Their workspaces hold what people made there, so nothing is checked out into them.
insert into sandboxes (provider, name, id, thread_id, role, state, checkout, created_at, used_at)
select 'local', t.sandbox_id, t.sandbox_id, t.id, 'own', 'ready', '{"notes": []}', t.created_at, t.updated_at
from threads t where t.sandbox_id is not null
on conflict do nothing;
