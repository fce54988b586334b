-- Branches: a conversation that begins with what was said in another one. Its words are not copied: what is forgotten there is forgotten here.

-- Whose runs stand before a thread's own: those of the conversation it began with, and of those which that one began with in its turn, each
-- in a row of its own, so that a history is read without following a chain. The key makes one of what is asked for twice.
create table branches (
    thread_id   uuid not null references threads on delete cascade,
    source_id   uuid not null references threads on delete cascade,
    -- The last run of the source that belongs to it.
    until       uuid not null,
    -- How far back: 1 is the conversation that was named.
    steps_back  integer not null check (steps_back > 0),
    -- When it parted from the source: what was said there later is not known here.
    parted_at   timestamptz not null,
    primary key (thread_id, source_id)
);
create index branches_source on branches (source_id);

-- Whose runs make the history of a thread, and up to which: its own without end, and those before them.
create view histories as
    select id as thread_id, id as source_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as until from threads
    union all
    select thread_id, source_id, until from branches;
