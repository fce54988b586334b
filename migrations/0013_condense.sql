-- Condensing long threads, and titles: what they cost, and when they are due again.

-- What the tokens of a line were for: a step of the run, or something the run made necessary beside it. Each counts its own steps.
alter table ledger add column purpose text not null default 'step' check (purpose in ('step', 'title', 'condensing', 'embedding'));
alter table ledger drop constraint ledger_pkey;
alter table ledger add primary key (run_id, step, purpose);

-- Characters that a finished run takes up in the history of its thread, and whether that is only what was asked and answered, because
-- the whole was too much. Decided once, so that the history of a thread never changes but at its end. None until it is measured.
alter table runs add column size integer;
alter table runs add column reduced boolean not null default false;
create index runs_unmeasured on runs (id) where size is null and state = 'posted';

-- Condensing that failed, or had no money left, is not begun again before that.
alter table threads add column condense_at timestamptz;
create index threads_uncondensed on threads (uncondensed);

-- Runs after which a title was looked for in vain, and when a person gave it the title it has.
alter table threads add column title_tries integer not null default 0;
alter table threads add column titled_at timestamptz;
