-- How much a run may do; see `Powers` in the agent.
alter table runs add column powers text not null default 'everything'
    check (powers in ('everything', 'nothing_lands', 'only_reads'));
