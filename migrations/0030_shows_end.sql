-- The end of a run shows in more places than its answer: on the other surface of its conversation, in the tags of a post in a forum. When
-- that is tried (again); none when it is done, or was given up.
alter table runs add column shows_end_at timestamptz;
create index runs_showing_end on runs (shows_end_at) where shows_end_at is not null;
