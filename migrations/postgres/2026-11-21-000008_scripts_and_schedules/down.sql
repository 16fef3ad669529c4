DROP TABLE schedule_runs;
DROP TABLE schedules;
ALTER TABLE jobs DROP COLUMN arguments;
ALTER TABLE jobs DROP COLUMN script;
ALTER TABLE commands DROP COLUMN arguments;
ALTER TABLE commands DROP COLUMN script;
DROP TABLE scripts;
