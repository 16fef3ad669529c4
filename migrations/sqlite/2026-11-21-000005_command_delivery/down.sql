DROP TABLE command_output;
DROP INDEX commands_agent_id_id;
DROP INDEX commands_job_id;
ALTER TABLE commands DROP COLUMN sent_in_poll;
ALTER TABLE commands DROP COLUMN cancel_requested_at;
ALTER TABLE commands DROP COLUMN attempts;
ALTER TABLE commands DROP COLUMN job_id;
DROP TABLE jobs;
