-- What is to be forgotten, and what has been. A forgotten row keeps its ids, times and money, so that nothing is answered twice; its
-- words are gone.

-- Who asked for what. The rows that are due are the queue; one that is done stays a while, so that what comes late is known.
create table forgettings (
    id              uuid primary key,
    -- message: a thing people wrote, by the name `deliveries` has for it; edited: its earlier words; answer: what the agent made of words
    -- that are gone, by the run; quotes: what unfinished runs of a thread still quote; thread; owner; person.
    what            text not null check (what in ('message', 'edited', 'answer', 'quotes', 'thread', 'owner', 'person')),
    key             text not null,
    -- Of a person, until it is done.
    login           text,
    -- A login, a command of the service's operator, or what became of the thing.
    asked_by        text not null,
    -- What was said later stays.
    asked_at        timestamptz not null,
    -- True when it is gone from its surface, so that what was written before can only arrive late.
    gone            boolean not null default false,
    -- Where it goes on: the last thread of the owner, or the last run that was looked through.
    cursor          uuid,
    -- Messages and runs emptied so far.
    messages        bigint not null default 0,
    runs            bigint not null default 0,
    next_try_at     timestamptz not null,
    claimed_until   timestamptz,
    done_at         timestamptz
);
-- What is asked twice is done once.
create unique index forgettings_open on forgettings (what, key) where done_at is null;
create index forgettings_key on forgettings (what, key);
create index forgettings_due on forgettings (next_try_at) where done_at is null;

alter table messages add column forgotten_at timestamptz;
alter table runs add column forgotten_at timestamptz;
-- The agent's side of a run may be forgotten alone: it told of something that is gone.
alter table runs add column answer_forgotten_at timestamptz;
create index messages_author on messages (author_id, created_at) where author_id is not null and forgotten_at is null;
create index messages_thread on messages (thread_id, id);
create index messages_created on messages (created_at) where forgotten_at is null;
create index inbox_message on inbox (message_id);
create index runs_message on runs (message_id);
create index threads_owner on threads (owner, id);
create index threads_updated on threads (updated_at, id);
-- Which runs were shown what.
create index run_events_remembered on run_events using gin (data jsonb_path_ops) where kind = 'remembered';

-- Whoever puts words into memory has read them before. They are not put there when they were forgotten meanwhile; the lock waits for
-- whoever is forgetting them just now.
create function keep_forgotten_out() returns trigger language plpgsql as $$
begin
    perform 1 from messages m where m.id = new.message_id and m.forgotten_at is null for share;
    if found then return new; else return null; end if;
end
$$;
create trigger memories_keep_forgotten_out before insert on memories for each row execute function keep_forgotten_out();

-- The token of the console and the API, when it was not set: its SHA-256.
alter table instance add column admin_token_sha256 bytea;
