-- The one connection to Discord's gateway: who holds it, and until when everything said is accounted for.
create table discord_gateway (
    -- `gateway`; there is one bot.
    name            text primary key,
    holder          text,
    lease_until     timestamptz,
    -- What was said before is known here; none before the first connection.
    seen_until      timestamptz,
    -- Why it cannot connect, for people; none while it can.
    trouble         text
);

-- Whom a conversation on Discord is with. What that person says there needs no mention, until somebody else takes the conversation over.
-- The numbers are those of messages, which are in the order of time.
create table discord_talks (
    -- The thread.
    channel         bigint primary key,
    partner         bigint not null,
    -- The message in which the partner addressed us.
    addressed       bigint not null,
    -- The first message of somebody else after that.
    taken_over      bigint
);

-- A reply to a message of ours goes on with the conversation that message belongs to.
create index posts_external on posts (external_id) where external_id is not null;
