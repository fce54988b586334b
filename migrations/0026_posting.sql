-- How often the answer of a run had to wait for its surface: the other attempts at an ended run are workers that died over it.
alter table runs add column waits integer not null default 0;
