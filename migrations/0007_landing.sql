-- Where the work of threads landed, what waits for an approval, and what runs began with so that it can be taken back.

-- One row per change of a branch, written before the branch is: whoever comes after a crash finds what was meant.
create table landings (
    id              uuid primary key,
    thread_id       uuid not null references threads on delete cascade,
    run_id          uuid not null references runs on delete cascade,
    -- Where the branch is; for a fork that is another repository than the conversation's.
    repository_id   bigint not null,
    repository      text not null,
    branch          text not null,
    -- The pull request's base; the branch is made for it when `opens`.
    base_branch     text not null,
    opens           boolean not null,
    -- The commit the branch stood at before, and the one it stands at after.
    parent          text not null,
    head            text not null,
    commits         jsonb not null,
    files           integer not null,
    left_out        jsonb not null,
    title           text not null,
    body            text not null,
    draft           boolean not null,
    -- In the conversation's repository.
    pull_request    bigint,
    pull_url        text,
    -- Landing: the branch may not be there yet. Void: it never came to be.
    state           text not null default 'landing' check (state in ('landing', 'landed', 'undone', 'void')),
    undone_by       uuid,
    created_at      timestamptz not null
);
create index landings_thread on landings (thread_id, created_at);
create index landings_run on landings (run_id);

-- Changes that land only when somebody with power over the repository says so; the digest names exactly these.
create table landing_approvals (
    thread_id       uuid not null references threads on delete cascade,
    digest          text not null,
    run_id          uuid not null references runs on delete cascade,
    base            text not null,
    paths           jsonb not null,
    changes         bytea not null,
    state           text not null default 'pending' check (state in ('pending', 'approved', 'landed')),
    approved_by     text,
    created_at      timestamptz not null,
    primary key (thread_id, digest)
);
create index landing_approvals_run on landing_approvals (run_id);

-- The workspace when a run began with it.
create table run_beginnings (
    run_id          uuid primary key references runs on delete cascade,
    thread_id       uuid not null references threads on delete cascade,
    checkout        jsonb,
    checkpoint      bytea,
    baseline        bytea,
    -- The run that took it back.
    undone_by       uuid,
    created_at      timestamptz not null
);
create index run_beginnings_thread on run_beginnings (thread_id, run_id);
