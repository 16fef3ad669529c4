-- Saved scripts, and what runs by the clock.

CREATE TABLE scripts (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name            TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description     TEXT NOT NULL CHECK (length(description) <= 2000),
    -- The type as the wire writes it.
    command_type    TEXT NOT NULL CHECK (json_valid(command_type) AND length(command_type) <= 1048576),
    body            TEXT NOT NULL CHECK (length(body) <= 65536),
    timeout_seconds INTEGER CHECK (timeout_seconds > 0),
    elevated        INTEGER NOT NULL CHECK (elevated IN (0, 1)),
    parameters      TEXT NOT NULL CHECK (json_valid(parameters) AND length(parameters) <= 1048576),
    updated_by      BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CONSTRAINT scripts_text_without_nul CHECK (instr(name || description || body, char(0)) = 0)
) STRICT;
CREATE UNIQUE INDEX scripts_name_key ON scripts (lower(name));
CREATE INDEX scripts_by_name ON scripts (name, id);
CREATE INDEX scripts_by_updated ON scripts (updated_at, id);

-- Which script it was, in which version, and what it was given. No key: it outlives the script.
ALTER TABLE commands ADD COLUMN script TEXT CHECK (json_valid(script) AND length(script) <= 4096);
ALTER TABLE commands ADD COLUMN arguments TEXT CHECK (json_valid(arguments) AND length(arguments) <= 1048576);
ALTER TABLE jobs ADD COLUMN script TEXT CHECK (json_valid(script) AND length(script) <= 4096);
ALTER TABLE jobs ADD COLUMN arguments TEXT CHECK (json_valid(arguments) AND length(arguments) <= 1048576);

CREATE TABLE schedules (
    id                 BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name               TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    owner_id           BLOB REFERENCES users (id) ON DELETE SET NULL,
    cron               TEXT NOT NULL CHECK (length(cron) BETWEEN 1 AND 200),
    time_zone          TEXT NOT NULL CHECK (length(time_zone) BETWEEN 1 AND 64),
    enabled            INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- A script with what it is given, or a command.
    script_id          BLOB REFERENCES scripts (id) ON DELETE RESTRICT,
    arguments          TEXT NOT NULL CHECK (json_valid(arguments) AND length(arguments) <= 1048576),
    command_type       TEXT CHECK (json_valid(command_type) AND length(command_type) <= 1048576),
    command            TEXT CHECK (length(command) <= 65536),
    timeout_seconds    INTEGER CHECK (timeout_seconds > 0),
    elevated           INTEGER NOT NULL CHECK (elevated IN (0, 1)),
    filter             TEXT NOT NULL CHECK (json_valid(filter) AND length(filter) <= 1048576),
    when_offline       TEXT NOT NULL CHECK (when_offline IN ('skip', 'wait')),
    expires_in_seconds INTEGER CHECK (expires_in_seconds > 0),
    -- Until when it is decided what was due.
    decided_until      INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    CONSTRAINT schedules_one_of_both CHECK ((script_id IS NULL) = (command IS NOT NULL)),
    CONSTRAINT schedules_text_without_nul CHECK (instr(name || cron || time_zone || coalesce(command, ''), char(0)) = 0)
) STRICT;
CREATE INDEX schedules_by_name ON schedules (name, id);
CREATE INDEX schedules_by_updated ON schedules (updated_at, id);
CREATE INDEX schedules_owner_id ON schedules (owner_id);
CREATE INDEX schedules_script_id ON schedules (script_id);

CREATE TABLE schedule_runs (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    schedule_id  BLOB NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    due_at       INTEGER NOT NULL,
    started_at   INTEGER,
    requested_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    job_id       BLOB REFERENCES jobs (id) ON DELETE SET NULL,
    outcome      TEXT NOT NULL CHECK (length(outcome) <= 64),
    detail       TEXT CHECK (length(detail) <= 2000),
    targets      INTEGER NOT NULL,
    commands     INTEGER NOT NULL,
    offline      INTEGER NOT NULL,
    busy         INTEGER NOT NULL,
    CONSTRAINT schedule_runs_text_without_nul CHECK (instr(outcome || coalesce(detail, ''), char(0)) = 0)
) STRICT;
-- What was due once runs once, whatever the clock does.
CREATE UNIQUE INDEX schedule_runs_due_key ON schedule_runs (schedule_id, due_at);
CREATE INDEX schedule_runs_schedule_id ON schedule_runs (schedule_id, id);
CREATE INDEX schedule_runs_job_id ON schedule_runs (job_id);
