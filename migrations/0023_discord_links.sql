-- What conversations on Discord are about, and who on Discord is who on GitHub. All numbers are those of the surface.

-- Who reads a channel or thread, as it was looked up last.
create table discord_channels (
    channel     bigint primary key,
    -- Where not everybody in the guild reads it: the channel or private thread whose readers alone do.
    apart       bigint,
    looked_at   timestamptz not null
);

-- The repository a channel, thread, forum or direct conversation is about. A thread without a row goes by its channel's.
create table discord_repositories (
    -- Linking twice changes the first.
    channel         bigint primary key,
    guild           bigint,
    repository_id   bigint not null,
    full_name       text not null,
    installation    bigint,
    -- Who did it, by their number on Discord.
    linked_by       bigint not null,
    linked_at       timestamptz not null
);
create index discord_repositories_repository on discord_repositories (repository_id);

-- One person on both surfaces, proven by a code that was given to the one and written by the other.
create table people (
    discord_id      bigint primary key,
    discord_name    text not null,
    github_id       bigint not null,
    github_login    text not null,
    -- The message that proved it; a second look at it finds that it has.
    proven_by       uuid not null unique,
    joined_at       timestamptz not null
);
create index people_github on people (github_id);

-- The code of somebody who wants to prove it: its SHA-256, while it can be used. A new one takes its place.
create table account_codes (
    discord_id      bigint primary key,
    discord_name    text not null,
    digest          bytea unique,
    expires_at      timestamptz not null,
    -- How many were made since when.
    made            integer not null,
    made_since      timestamptz not null
);

-- Wrong codes of somebody on GitHub, so that none is guessed.
create table account_tries (
    github_id       bigint primary key,
    wrong           integer not null,
    wrong_since     timestamptz not null
);
