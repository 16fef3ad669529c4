-- How commands reach machines: orders of cancellation, live output, and jobs over many machines.

CREATE TABLE jobs (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name            TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_by      BLOB REFERENCES users (id) ON DELETE SET NULL,
    command_type    TEXT NOT NULL CHECK (length(command_type) <= 64),
    command         TEXT NOT NULL CHECK (length(command) <= 65536),
    parameters      TEXT CHECK (json_valid(parameters) AND length(parameters) <= 1048576),
    timeout_seconds INTEGER NOT NULL CHECK (timeout_seconds > 0),
    elevated        INTEGER NOT NULL DEFAULT 0 CHECK (elevated IN (0, 1)),
    filter          TEXT NOT NULL CHECK (json_valid(filter) AND length(filter) <= 1048576),
    created_at      INTEGER NOT NULL,
    cancelled_at    INTEGER,
    CONSTRAINT jobs_text_without_nul CHECK (instr(coalesce(name, '') || coalesce(command, ''), char(0)) = 0)
) STRICT;
CREATE INDEX jobs_created_at ON jobs (created_at);

ALTER TABLE commands ADD COLUMN job_id BLOB REFERENCES jobs (id) ON DELETE SET NULL;
ALTER TABLE commands ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE commands ADD COLUMN cancel_requested_at INTEGER;
-- The poll whose answer carried it, as its agent numbers them; empty where it does not.
ALTER TABLE commands ADD COLUMN sent_in_poll TEXT CHECK (length(sent_in_poll) <= 64);
CREATE INDEX commands_job_id ON commands (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX commands_agent_id_id ON commands (agent_id, id);

-- What a running command has written so far; its result replaces it.
CREATE TABLE command_output (
    command_id BLOB NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
    stream     TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    position   INTEGER NOT NULL CHECK (position >= 0),
    body       TEXT NOT NULL CHECK (length(body) <= 65536),
    PRIMARY KEY (command_id, stream, position),
    CONSTRAINT command_output_text_without_nul CHECK (instr(body, char(0)) = 0)
) STRICT;
