-- What waits until somebody with permission says yes: a plan, the words of somebody without permission, workflow files that would
-- land, money beyond a line. One table, because a yes means the same everywhere: exactly this, once.

create table approvals (
    id              uuid primary key,
    -- Who asks again finds what was asked before.
    key             text not null unique,
    thread_id       uuid not null references threads on delete cascade,
    kind            text not null check (kind in ('plan', 'outsider', 'workflows', 'budget')),
    -- The run that asks; none for an outsider, for whom nothing has run.
    run_id          uuid references runs on delete cascade,
    -- What exactly is approved, and its digest. Neither ever changes.
    covers          jsonb not null,
    digest          text not null,
    -- The run that begins with the yes, where one does.
    continues       jsonb,
    -- The comment it is shown in, whose reactions count, and what that says above the line about the approval. None until it is shown:
    -- what nobody can see cannot be approved.
    post_key        text,
    shown           text,
    state           text not null default 'waiting'
                    check (state in ('waiting', 'approved', 'declined', 'void', 'replaced', 'expired')),
    -- Why it is void, for people.
    why             text,
    decided_by      text,
    decided_by_id   bigint,
    -- The inbox row that decided; the same again finds its own decision.
    decided_inbox   uuid,
    -- False while the comment does not say yet how it ended.
    told            boolean not null default false,
    -- Who asked, by the surface's number, for what one person may ask for.
    asker_id        bigint,
    -- Somebody may have changed what it covers; to be looked at.
    suspect         boolean not null default false,
    asked_at        timestamptz not null,
    decided_at      timestamptz,
    expires_at      timestamptz not null
);
create index approvals_thread on approvals (thread_id, asked_at);
create index approvals_waiting on approvals (expires_at) where state = 'waiting';
create index approvals_untold on approvals (asked_at) where state <> 'waiting' and not told;
create index approvals_asker on approvals (asker_id, asked_at) where kind = 'outsider';
create index approvals_post on approvals (post_key);

-- The approval that let a run begin.
alter table runs add column approval_id uuid references approvals on delete set null;
create index runs_approval on runs (approval_id) where approval_id is not null;

-- Reactions send no notification, so they are looked for: when next, and as of which answer of the surface.
alter table posts add column look_at timestamptz;
alter table posts add column looked_etag text;
create index posts_look on posts (look_at) where look_at is not null;

-- The place in line that people were shown last, and the reaction that a finished run still owes its trigger.
alter table runs add column shown_position integer;
alter table runs add column owes_reaction text check (owes_reaction in ('rocket', 'confused'));
create index runs_owing on runs (id) where owes_reaction is not null;
