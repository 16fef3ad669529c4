DROP INDEX tech_sessions_by_opened;
DROP INDEX alerts_by_opened;
DROP INDEX jobs_by_created;
DROP INDEX commands_by_created;
DROP INDEX inventory_unindexed;
ALTER TABLE inventory DROP COLUMN indexed;
DROP TABLE inventory_entries;
