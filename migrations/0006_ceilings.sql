-- What people with permission set for a thread: the model that answers in it, and the ceiling of its runs in dollars.
alter table threads add column model text;
alter table threads add column budget_usd double precision check (budget_usd > 0);
-- A run that ended at a ceiling of money and goes on: when it had ended. What was said since is shown to it once.
alter table runs add column continued_from timestamptz;
