-- How commands reach machines: orders of cancellation, live output, and jobs over many machines.

CREATE TABLE jobs (
    id              uuid PRIMARY KEY,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    command_type    text NOT NULL CHECK (length(command_type) <= 64),
    command         text NOT NULL CHECK (length(command) <= 65536),
    parameters      jsonb CHECK (length(parameters::text) <= 1048576),
    timeout_seconds integer NOT NULL CHECK (timeout_seconds > 0),
    elevated        boolean NOT NULL DEFAULT false,
    filter          jsonb NOT NULL CHECK (length(filter::text) <= 1048576),
    created_at      timestamptz NOT NULL,
    cancelled_at    timestamptz
);
CREATE INDEX jobs_created_at ON jobs (created_at);

ALTER TABLE commands ADD COLUMN job_id uuid REFERENCES jobs (id) ON DELETE SET NULL;
ALTER TABLE commands ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE commands ADD COLUMN cancel_requested_at timestamptz;
-- The poll whose answer carried it, as its agent numbers them; empty where it does not.
ALTER TABLE commands ADD COLUMN sent_in_poll text CHECK (length(sent_in_poll) <= 64);
CREATE INDEX commands_job_id ON commands (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX commands_agent_id_id ON commands (agent_id, id);

-- What a running command has written so far; its result replaces it.
CREATE TABLE command_output (
    command_id uuid NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
    stream     text NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    position   bigint NOT NULL CHECK (position >= 0),
    body       text NOT NULL CHECK (length(body) <= 65536),
    PRIMARY KEY (command_id, stream, position)
);
