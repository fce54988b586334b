-- Memory: what may be found again, what is kept in mind, and what long conversations were condensed to. Everything here is made of
-- messages and goes with them.

-- What is found again: the words of finished runs in pieces of a size that a search can rank. A piece belongs to the owner of the
-- conversation it was said in (a repository, a guild, a person), which is the border of every search.
create table memories (
    id          uuid primary key,
    owner       text not null,
    thread_id   uuid not null references threads on delete cascade,
    message_id  uuid not null references messages on delete cascade,
    -- Place of the piece in its message, from 0. A piece that is made twice is found.
    piece       integer not null,
    -- False where others of the owner may not find it: what people without permission said is known to their own thread only.
    shared      boolean not null,
    role        text not null check (role in ('user', 'assistant')),
    author      text,
    text        text not null,
    -- The words as `memory::terms` splits them, with the owner as one of them.
    terms       tsvector not null,
    said_at     timestamptz not null,
    unique (message_id, piece)
);
create index memories_terms on memories using gin (terms);
create index memories_thread on memories (thread_id, said_at);
create index memories_owner on memories (owner, said_at);

-- Unit vectors, 32-bit floats, little-endian. While another model takes over, a piece has one of each.
create table memory_vectors (
    memory_id   uuid not null references memories on delete cascade,
    model       text not null,
    dims        smallint not null,
    -- As in `memories`: a search must not read the wide table for what it leaves out.
    owner       text not null,
    thread_id   uuid not null,
    shared      boolean not null,
    vector      bytea not null,
    primary key (memory_id, model)
);
alter table memory_vectors alter column vector set storage external;
create index memory_vectors_owner on memory_vectors (model, owner);
create index memory_vectors_thread on memory_vectors (model, thread_id);

-- Which messages of finished runs are in `memories`; what is not yet is due.
alter table messages add column indexed boolean not null default false;
create index messages_unindexed on messages (id) where not indexed and place_in_run is not null;

-- What is kept in mind of a thread or for all threads of an owner: lines, each with the message it comes from. The version counts
-- changes: who changes it names the one that was read.
create table working_memories (
    scope       text not null check (scope in ('thread', 'owner')),
    -- The thread's id or the owner.
    key         text not null,
    lines       jsonb not null,
    version     bigint not null default 1,
    updated_at  timestamptz not null,
    primary key (scope, key)
);
alter table threads drop column working_memory;

-- What the older part of a long thread was condensed to. The messages themselves stay; each line says which it comes from.
create table observations (
    id          uuid primary key,
    thread_id   uuid not null references threads on delete cascade,
    sequence    integer not null,
    -- When the earliest of what it tells of was said.
    said_at     timestamptz not null,
    text        text not null,
    cites       uuid[] not null,
    -- False once a later line says it in fewer words.
    current     boolean not null default true,
    created_at  timestamptz not null,
    unique (thread_id, sequence)
);
-- Runs up to this one are in the observations and in the history no more.
alter table threads add column condensed_until uuid;
-- Characters said in runs after that one.
alter table threads add column uncondensed bigint not null default 0;
-- Who condenses holds this; nobody else begins before it is over.
alter table threads add column condensing_until timestamptz;
alter table threads add column condensing_failures integer not null default 0;
-- Who named the thread: a person's title stays whatever a model proposes.
alter table threads add column titled_by text;
