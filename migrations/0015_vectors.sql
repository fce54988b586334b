-- Vectors: what finds the likely ones fast.

-- A bit for each number of the vector, 1 where it is not negative. Counting the bits in which two differ is quick, so a search in very
-- many looks at these first and compares only the likeliest exactly.
alter table memory_vectors add column signs bit varying not null;
