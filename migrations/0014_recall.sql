-- Recall: how pieces are found fast.

-- The run it was said in: what a conversation still has in front of it is not recalled.
alter table memories add column run_id uuid;

-- What waits to be entered into the index is read through by every search; a piece is entered at once instead.
alter index memories_terms set (fastupdate = off);
-- A search begins with its rarest words, so the database has to know more than the hundred most common ones.
alter table memories alter column terms set statistics 400;
-- Rows stay in one piece: to compare a candidate's words must not cost another read.
alter table memories set (toast_tuple_target = 8160);

-- What was said right before and after a piece: ids are in the order of time.
drop index memories_thread;
create index memories_thread on memories (thread_id, message_id, piece);
