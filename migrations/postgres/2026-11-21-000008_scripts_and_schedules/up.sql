-- Saved scripts, and what runs by the clock.

CREATE TABLE scripts (
    id              uuid PRIMARY KEY,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description     text NOT NULL CHECK (length(description) <= 2000),
    -- The type as the wire writes it.
    command_type    jsonb NOT NULL CHECK (length(command_type::text) <= 1048576),
    body            text NOT NULL CHECK (length(body) <= 65536),
    timeout_seconds integer CHECK (timeout_seconds > 0),
    elevated        boolean NOT NULL,
    parameters      jsonb NOT NULL CHECK (length(parameters::text) <= 1048576),
    updated_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE UNIQUE INDEX scripts_name_key ON scripts (lower(name));
CREATE INDEX scripts_by_name ON scripts (name, id);
CREATE INDEX scripts_by_updated ON scripts (updated_at, id);

-- Which script it was, in which version, and what it was given. No key: it outlives the script.
ALTER TABLE commands ADD COLUMN script jsonb CHECK (length(script::text) <= 4096);
ALTER TABLE commands ADD COLUMN arguments jsonb CHECK (length(arguments::text) <= 1048576);
ALTER TABLE jobs ADD COLUMN script jsonb CHECK (length(script::text) <= 4096);
ALTER TABLE jobs ADD COLUMN arguments jsonb CHECK (length(arguments::text) <= 1048576);

CREATE TABLE schedules (
    id                 uuid PRIMARY KEY,
    name               text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    owner_id           uuid REFERENCES users (id) ON DELETE SET NULL,
    cron               text NOT NULL CHECK (length(cron) BETWEEN 1 AND 200),
    time_zone          text NOT NULL CHECK (length(time_zone) BETWEEN 1 AND 64),
    enabled            boolean NOT NULL,
    -- A script with what it is given, or a command.
    script_id          uuid REFERENCES scripts (id) ON DELETE RESTRICT,
    arguments          jsonb NOT NULL CHECK (length(arguments::text) <= 1048576),
    command_type       jsonb CHECK (length(command_type::text) <= 1048576),
    command            text CHECK (length(command) <= 65536),
    timeout_seconds    integer CHECK (timeout_seconds > 0),
    elevated           boolean NOT NULL,
    filter             jsonb NOT NULL CHECK (length(filter::text) <= 1048576),
    when_offline       text NOT NULL CHECK (when_offline IN ('skip', 'wait')),
    expires_in_seconds integer CHECK (expires_in_seconds > 0),
    -- Until when it is decided what was due.
    decided_until      timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT schedules_one_of_both CHECK ((script_id IS NULL) = (command IS NOT NULL))
);
CREATE INDEX schedules_by_name ON schedules (name, id);
CREATE INDEX schedules_by_updated ON schedules (updated_at, id);
CREATE INDEX schedules_owner_id ON schedules (owner_id);
CREATE INDEX schedules_script_id ON schedules (script_id);

CREATE TABLE schedule_runs (
    id           uuid PRIMARY KEY,
    schedule_id  uuid NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    due_at       timestamptz NOT NULL,
    started_at   timestamptz,
    requested_by uuid REFERENCES users (id) ON DELETE SET NULL,
    job_id       uuid REFERENCES jobs (id) ON DELETE SET NULL,
    outcome      text NOT NULL CHECK (length(outcome) <= 64),
    detail       text CHECK (length(detail) <= 2000),
    targets      integer NOT NULL,
    commands     integer NOT NULL,
    offline      integer NOT NULL,
    busy         integer NOT NULL
);
-- What was due once runs once, whatever the clock does.
CREATE UNIQUE INDEX schedule_runs_due_key ON schedule_runs (schedule_id, due_at);
CREATE INDEX schedule_runs_schedule_id ON schedule_runs (schedule_id, id);
CREATE INDEX schedule_runs_job_id ON schedule_runs (job_id);
