-- Vectors: what finds the likely ones fast.

-- A bit for each number of the vector, 1 where it is not negative. Counting the bits in which two differ is quick, so a search in very
-- many looks at these first and compares only the likeliest exactly.
alter table memory_vectors add column signs bit varying not null;

-- How a model is doing with the pieces of memory: the one that was adopted last is at work, and every start adopts its own.
create table embedding_models (
    model           text primary key,
    adopted_at      timestamptz not null,
    -- Numbers in its vectors; none before the first.
    dims            smallint,
    -- Who embeds holds this, by the database's clock, and nobody else begins before it is over: what is paid for is paid for once.
    holder          text,
    claimed_until   timestamptz,
    -- Pieces made before that have their vectors, by the database's clock; none until all were looked through since the adoption.
    complete_until  timestamptz,
    looked_at       timestamptz,
    -- What went wrong last, and since when without success.
    failures        integer not null default 0,
    failure         text,
    failing_since   timestamptz,
    next_try_at     timestamptz
);

-- Pieces that a model will not take, so that they are not sent to it again and again.
create table memory_refusals (
    memory_id   uuid not null references memories on delete cascade,
    model       text not null,
    reason      text not null,
    at          timestamptz not null,
    primary key (memory_id, model)
);

-- Prompt tokens that were written to a provider's cache, which may cost more than plain ones, and what the tokens read from one would
-- have cost more without it; none where the price is not known. A line about embedding counts the days since 1970 as its step: a
-- run has one for each day on which something of it was embedded.
alter table ledger add column written bigint not null default 0;
alter table ledger add column saved_usd double precision;
