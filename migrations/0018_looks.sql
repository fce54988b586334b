-- Threads that were active lately, for whoever looks for what no notification told.
create index threads_updated on threads (updated_at);
