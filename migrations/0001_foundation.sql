-- Threads, what arrived for them, what was run for them, and what was said back.
-- Times are timestamptz, ids are UUIDv7 made by the service, JSON is jsonb. Money is US dollars.

create table threads (
    id              uuid primary key,
    owner           text not null,
    title           text,
    state           text not null default 'open' check (state in ('open', 'closed')),
    -- The last inbox sequence given out; the inbox of a thread is worked through in this order.
    last_sequence   bigint not null default 0,
    -- A worker that holds the lease owns the thread's runs. The epoch fences off one that lost it.
    lease_epoch     bigint not null default 0,
    lease_until     timestamptz,
    lease_holder    text,
    working_memory  text,
    sandbox_id      text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);

-- Where a thread is talked about; several surfaces may share one thread.
create table surfaces (
    surface     text not null,
    key         text not null,
    thread_id   uuid not null references threads on delete cascade,
    place       jsonb not null,
    primary key (surface, key)
);
create index surfaces_thread on surfaces (thread_id);

-- One accepted notification. Unique twice: by the surface's id, and by what it speaks of at its moment of editing.
create table deliveries (
    id              uuid primary key,
    surface         text not null,
    external_id     text not null,
    kind            text not null,
    object          text,
    edited_at       timestamptz,
    received_at     timestamptz not null,
    unique (surface, external_id),
    unique (surface, object, edited_at)
);
create index deliveries_received on deliveries (received_at);

create table installations (
    id          bigint primary key,
    account     text not null,
    gone        boolean not null,
    updated_at  timestamptz not null
);

-- What people and the agent said. Messages of a finished run carry the run and their place in it.
create table messages (
    id              uuid primary key,
    thread_id       uuid not null references threads on delete cascade,
    run_id          uuid,
    place_in_run    integer,
    role            text not null check (role in ('user', 'assistant', 'tool')),
    author          text,
    author_id       bigint,
    parts           jsonb not null,
    url             text,
    created_at      timestamptz not null
);
create index messages_run on messages (thread_id, run_id, place_in_run);

create table inbox (
    id              uuid primary key,
    thread_id       uuid not null references threads on delete cascade,
    sequence        bigint not null,
    -- Deliveries are forgotten earlier than what came of them, so this is no foreign key.
    delivery_id     uuid not null unique,
    message_id      uuid not null references messages on delete cascade,
    request         jsonb not null,
    state           text not null default 'new' check (state in ('new', 'done', 'dead')),
    verdict         text,
    attempts        integer not null default 0,
    -- Claims that ended in waiting for the surface; the others without a verdict are workers that died over it.
    waits           integer not null default 0,
    next_try_at     timestamptz not null,
    claimed_until   timestamptz,
    created_at      timestamptz not null,
    unique (thread_id, sequence)
);
create index inbox_new on inbox (thread_id, sequence) where state = 'new';
create index inbox_new_order on inbox (id) where state = 'new';

create table runs (
    id                  uuid primary key,
    thread_id           uuid not null references threads on delete cascade,
    inbox_id            uuid not null unique references inbox on delete cascade,
    message_id          uuid not null references messages on delete cascade,
    -- The request as it stood; for a retry, that of the run it repeats.
    request             jsonb not null,
    -- What to do: ask the agent, or run code as it is.
    task                jsonb not null,
    state               text not null default 'queued' check (state in ('queued', 'running', 'ended', 'posted')),
    outcome             jsonb,
    attempt             integer not null default 0,
    lease_epoch         bigint not null default 0,
    next_try_at         timestamptz not null,
    requester           text not null,
    requester_id        bigint not null,
    repository          text not null,
    snapshot            jsonb,
    steps               integer not null default 0,
    cost_usd            double precision,
    -- How many messages joined while it ran; ending checks it, so that none arrives unseen.
    arrivals            integer not null default 0,
    stop_requested_by   text,
    created_at          timestamptz not null,
    started_at          timestamptz,
    ended_at            timestamptz
);
create index runs_open on runs (id) where state <> 'posted';
create index runs_thread on runs (thread_id, id);
create index runs_requester on runs (requester_id, created_at);
create index runs_created on runs (created_at);

create table run_events (
    run_id      uuid not null references runs on delete cascade,
    sequence    integer not null,
    kind        text not null,
    data        jsonb not null,
    at          timestamptz not null,
    primary key (run_id, sequence)
);

-- One outbound effect each. The key makes it happen once; `external_id` is what the surface calls it.
create table posts (
    key             text primary key,
    thread_id       uuid not null references threads on delete cascade,
    run_id          uuid references runs on delete cascade,
    kind            text not null,
    about           text,
    state           text not null default 'sending' check (state in ('sending', 'done')),
    external_id     text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
create index posts_refusals on posts (thread_id, about, created_at) where kind = 'refusal';
create index posts_run on posts (run_id);

-- One row per model answer.
create table ledger (
    run_id      uuid not null references runs on delete cascade,
    step        integer not null,
    requester   text not null,
    repository  text not null,
    model       text not null,
    input       bigint not null,
    cached      bigint not null,
    output      bigint not null,
    estimated   boolean not null,
    cost_usd    double precision,
    at          timestamptz not null,
    primary key (run_id, step)
);
create index ledger_at on ledger (at);
