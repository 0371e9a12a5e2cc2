-- before deploy
-- A help centre may have several sources: what one of them no longer holds is retired without the others' articles.
set local role sluice_owner;

alter table kb_article add column source text;  -- its folder, file or address; NULL: stored before, or as the whole
