-- before deploy
-- A long section has a vector for each of its overlapping windows, beside the one of its beginning: the embedder reads 256
-- tokens. They are stored out of line, as a search reads those of its candidates only. Sections that are stored now get
-- theirs when their article is next ingested.
set local role sluice_owner;

alter table kb_section add column windows vector(384)[] not null default '{}';
alter table kb_section alter column windows set storage external;
