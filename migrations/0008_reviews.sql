-- Reviews of pull requests: one for each run that reviews, written down before it is posted.
create table reviews (
    run_id          uuid primary key references runs on delete cascade,
    repository_id   bigint not null,
    number          bigint not null,
    -- The reviewed commit, and a digest of what the pull request changed there.
    commit          text not null,
    digest          text not null,
    -- How many files it changed.
    files           integer not null,
    state           text not null default 'open' check (state in ('open', 'sending', 'done')),
    -- What is posted, decided once; then what came of it, as the answer tells it.
    plan            jsonb,
    told            text,
    -- GitHub's number of the review; none when there was nothing to post.
    external_id     bigint,
    -- True when all of the pull request was looked at to the end.
    complete        boolean not null default false,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
create index reviews_pull on reviews (repository_id, number, created_at);

-- What reviews found. A finding is known again in later reviews of the same pull request by its fingerprint.
create table findings (
    id              uuid primary key,
    run_id          uuid not null references reviews on delete cascade,
    repository_id   bigint not null,
    number          bigint not null,
    path            text not null,
    fingerprint     text not null,
    -- kept until the end of the run; posted; repeated: an earlier review said it; resolved: fixed since; withdrawn: no longer said;
    -- dismissed: people do not want it.
    state           text not null default 'kept'
                    check (state in ('kept', 'posted', 'repeated', 'resolved', 'withdrawn', 'dismissed')),
    data            jsonb not null,
    -- GitHub's number of its comment; none when it stands in the body.
    comment_id      bigint,
    created_at      timestamptz not null,
    -- A call made again after a restart finds what it did.
    unique (run_id, path, fingerprint)
);
create index findings_pull on findings (repository_id, number);
