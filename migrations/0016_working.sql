-- Which changes of a working memory were made already, the newest last, so that one that is asked for twice happens once; and the
-- highest number a line ever had, so that a number always means the same line.
alter table working_memories
    add column applied text[] not null default '{}',
    add column numbered integer not null default 0;
