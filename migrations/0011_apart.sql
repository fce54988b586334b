-- Runs whose work never lands have a sandbox of their own, which no other run of the thread uses: `baseline_run` says whose it is.

alter table sandboxes drop constraint sandboxes_role_check;
alter table sandboxes add constraint sandboxes_role_check check (role in ('own', 'extra', 'warm', 'apart'));
-- Never two at once for a run.
create unique index sandboxes_apart on sandboxes (baseline_run, provider) where role = 'apart';
