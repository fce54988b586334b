-- Where on Discord a post stands: a thread, or the channel itself.
alter table posts add column channel_id bigint;

-- Where we talk in a conversation on Discord that begins with a message in a channel. One row a message: the second worker that opens
-- its thread finds the first.
create table discord_talks (
    -- The message, which is also the number of its thread.
    opening     bigint primary key,
    thread_id   uuid not null references threads on delete cascade,
    -- The thread, or the channel where none could be opened.
    channel_id  bigint not null,
    -- The names we gave the thread, so that a person's is told from ours. Empty where we named nothing.
    names       text[] not null default '{}',
    created_at  timestamptz not null
);
create index discord_talks_thread on discord_talks (thread_id);
