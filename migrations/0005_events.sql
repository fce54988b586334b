-- What happens around requests: edits, deletions, review threads, installations, and deliveries that were missed.

-- The thing the request was written in, such as `issue_comment:42`, as `deliveries` names it.
alter table inbox add column object text;
create index inbox_object on inbox (object) where object is not null;

-- Things that mention us, or did, and were edited or deleted. It may be known here before the request it was: webhooks come in any
-- order. Approvals of a text are void once it has a row with a later time.
create table changes (
    surface     text not null,
    object      text not null,
    edited_at   timestamptz,
    deleted_at  timestamptz,
    changed_by  text not null,
    seen_at     timestamptz not null,
    primary key (surface, object)
);
create index changes_seen on changes (seen_at);

-- The first comment of the review thread a post stands in; none for the conversation.
alter table posts add column review_thread bigint;

-- When GitHub says it became so.
alter table installations add column said_at timestamptz;

-- How far it was looked for what was missed. One process at a time looks, while it has the lease.
create table lookouts (
    -- `deliveries`, or `repository:<number>`.
    name            text primary key,
    lease_until     timestamptz,
    -- Everything until then is accounted for.
    seen_until      timestamptz,
    -- A look that is not finished: where it goes on, and the moment it began at.
    cursor          text,
    cursor_began    timestamptz,
    failures        integer not null default 0,
    next_look_at    timestamptz not null
);
