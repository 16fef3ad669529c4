-- What is asked of machines (commands), what is wrong with them (alerts), how they are to behave
-- (policies), and how they may join (registration tokens).

CREATE TABLE commands (
    id              uuid PRIMARY KEY,
    agent_id        uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    created_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    command_type    text NOT NULL CHECK (length(command_type) <= 64),
    command         text NOT NULL CHECK (length(command) <= 65536),
    parameters      jsonb CHECK (length(parameters::text) <= 1048576),
    timeout_seconds integer NOT NULL CHECK (timeout_seconds > 0),
    elevated        boolean NOT NULL DEFAULT false,
    status          text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    reason          text CHECK (length(reason) <= 200),
    exit_code       integer,
    stdout          text CHECK (length(stdout) <= 1048576),
    stderr          text CHECK (length(stderr) <= 1048576),
    duration_ms     bigint,
    created_at      timestamptz NOT NULL,
    sent_at         timestamptz,
    finished_at     timestamptz,
    expires_at      timestamptz
);
CREATE INDEX commands_agent_id_status ON commands (agent_id, status);
CREATE INDEX commands_created_at ON commands (created_at);
CREATE INDEX commands_created_by ON commands (created_by);
CREATE INDEX commands_unfinished ON commands (status) WHERE status IN ('pending', 'running');

CREATE TABLE alerts (
    id              uuid PRIMARY KEY,
    agent_id        uuid REFERENCES agents (id) ON DELETE CASCADE,
    site_id         uuid REFERENCES sites (id) ON DELETE CASCADE,
    kind            text NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    severity        text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    status          text NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
    message         text NOT NULL CHECK (length(message) <= 2000),
    opened_at       timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by uuid REFERENCES users (id) ON DELETE SET NULL,
    resolved_at     timestamptz
);
CREATE UNIQUE INDEX alerts_one_unresolved ON alerts (agent_id, kind) WHERE status <> 'resolved';
CREATE INDEX alerts_site_id ON alerts (site_id);
CREATE INDEX alerts_opened_at ON alerts (opened_at);

-- A policy without a target is the default.
CREATE TABLE policies (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    client_id  uuid REFERENCES clients (id) ON DELETE CASCADE,
    site_id    uuid REFERENCES sites (id) ON DELETE CASCADE,
    agent_id   uuid REFERENCES agents (id) ON DELETE CASCADE,
    settings   jsonb NOT NULL CHECK (length(settings::text) <= 1048576),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT policies_one_target CHECK (num_nonnulls(client_id, site_id, agent_id) <= 1)
);
CREATE INDEX policies_client_id ON policies (client_id);
CREATE INDEX policies_site_id ON policies (site_id);
CREATE INDEX policies_agent_id ON policies (agent_id);

CREATE TABLE registration_tokens (
    id         uuid PRIMARY KEY,
    site_id    uuid NOT NULL REFERENCES sites (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    expires_at timestamptz NOT NULL,
    uses_left  integer CHECK (uses_left >= 0),
    created_by uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX registration_tokens_site_id ON registration_tokens (site_id);
