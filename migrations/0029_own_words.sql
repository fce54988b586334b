-- People take back what they said themselves.

-- words: what somebody said, by their number on a surface, everywhere there or (with `@` and its id) in one thread. Their name stays.
alter table forgettings drop constraint forgettings_what_check;
alter table forgettings add constraint forgettings_what_check
    check (what in ('message', 'edited', 'answer', 'quotes', 'thread', 'owner', 'person', 'words'));
