-- Slash commands and interactions on Discord.

-- What was registered last, by its digest: Discord is told again only when the definitions differ.
create table discord_commands (
    application bigint primary key,
    digest text not null,
    registered_at timestamptz not null
);

-- Interactions whose token is still good. `asked` holds what one asks for between the moment it came in and the moment it is in the inbox;
-- its row goes a quarter of an hour after it came, when Discord takes the token no more.
create table discord_interactions (
    id bigint primary key,
    application bigint not null,
    token text not null,
    asked jsonb,
    arrived_at timestamptz not null
);
create index discord_interactions_arrived on discord_interactions (arrived_at);
