-- Files that people get with an answer, as they were when a call of the run made them.

create table attachments (
    -- Random; whoever knows it may read the file.
    token       text primary key,
    run_id      uuid not null references runs on delete cascade,
    -- The event that tells of it. Unique in its run, so that a save that is repeated finds the first.
    sequence    integer not null,
    name        text not null,
    media_type  text not null,
    content     bytea not null,
    created_at  timestamptz not null,
    unique (run_id, sequence)
);
-- Most are compressed already.
alter table attachments alter column content set storage external;
create index attachments_created on attachments (created_at);
