-- Pictures that people showed in a request, as the service fetched them for the run; messages hold their numbers.

create table pictures (
    run_id      uuid not null references runs on delete cascade,
    -- Unique in its run, so that fetching them again finds the first.
    number      integer not null,
    media_type  text not null,
    content     bytea not null,
    created_at  timestamptz not null,
    primary key (run_id, number)
);
-- Pictures are compressed already.
alter table pictures alter column content set storage external;
create index pictures_created on pictures (created_at);
