-- Vectors: a search in very many looks at the newest of an owner, so that it takes no longer while memory grows.

-- Ids are in the order in which pieces were made. What is compared first stands in the index itself.
create index memory_vectors_newest on memory_vectors (model, owner, memory_id) include (dims, thread_id, shared, signs);
drop index memory_vectors_owner;
