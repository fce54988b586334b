-- Landings that are not settled: pushed, but their pull request is not open, or the workspace does not follow yet.

-- How often the pull request of one that is in nobody's hands was tried to be opened, and when it is tried next.
alter table landings add column tries integer not null default 0;
alter table landings add column next_try_at timestamptz not null default now();
-- How often the workspace was tried to be brought to it.
alter table landings add column follows integer not null default 0;
create index landings_unsettled on landings (next_try_at) where state = 'landing';

-- What waits for an approval is in `approvals` from now on; `landing_approvals` keeps the contents alone, by their digest. Rows that wait
-- there from before stay, but cannot be approved any more, because nobody knows whether people saw what they hold: whoever lands next
-- asks for them anew. Those that were approved land.
