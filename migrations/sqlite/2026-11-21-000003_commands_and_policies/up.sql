-- What is asked of machines (commands), what is wrong with them (alerts), how they are to behave
-- (policies), and how they may join (registration tokens).

CREATE TABLE commands (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    agent_id        BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    created_by      BLOB REFERENCES users (id) ON DELETE SET NULL,
    command_type    TEXT NOT NULL CHECK (length(command_type) <= 64),
    command         TEXT NOT NULL CHECK (length(command) <= 65536),
    parameters      TEXT CHECK (json_valid(parameters) AND length(parameters) <= 1048576),
    timeout_seconds INTEGER NOT NULL CHECK (timeout_seconds > 0),
    elevated        INTEGER NOT NULL DEFAULT 0 CHECK (elevated IN (0, 1)),
    status          TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    reason          TEXT CHECK (length(reason) <= 200),
    exit_code       INTEGER,
    stdout          TEXT CHECK (length(stdout) <= 1048576),
    stderr          TEXT CHECK (length(stderr) <= 1048576),
    duration_ms     INTEGER,
    created_at      INTEGER NOT NULL,
    sent_at         INTEGER,
    finished_at     INTEGER,
    expires_at      INTEGER,
    CONSTRAINT commands_text_without_nul CHECK (
        instr(coalesce(command_type, '') || coalesce(command, '') || coalesce(reason, '')
            || coalesce(stdout, '') || coalesce(stderr, ''), char(0)) = 0)
) STRICT;
CREATE INDEX commands_agent_id_status ON commands (agent_id, status);
CREATE INDEX commands_created_at ON commands (created_at);
CREATE INDEX commands_created_by ON commands (created_by);
CREATE INDEX commands_unfinished ON commands (status) WHERE status IN ('pending', 'running');

CREATE TABLE alerts (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    agent_id        BLOB REFERENCES agents (id) ON DELETE CASCADE,
    site_id         BLOB REFERENCES sites (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    severity        TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    status          TEXT NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
    message         TEXT NOT NULL CHECK (length(message) <= 2000),
    opened_at       INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    resolved_at     INTEGER,
    CONSTRAINT alerts_text_without_nul CHECK (instr(coalesce(kind, '') || coalesce(message, ''), char(0)) = 0)
) STRICT;
CREATE UNIQUE INDEX alerts_one_unresolved ON alerts (agent_id, kind) WHERE status <> 'resolved';
CREATE INDEX alerts_site_id ON alerts (site_id);
CREATE INDEX alerts_opened_at ON alerts (opened_at);

-- A policy without a target is the default.
CREATE TABLE policies (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    client_id  BLOB REFERENCES clients (id) ON DELETE CASCADE,
    site_id    BLOB REFERENCES sites (id) ON DELETE CASCADE,
    agent_id   BLOB REFERENCES agents (id) ON DELETE CASCADE,
    settings   TEXT NOT NULL CHECK (json_valid(settings) AND length(settings) <= 1048576),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT policies_one_target CHECK (
        (client_id IS NOT NULL) + (site_id IS NOT NULL) + (agent_id IS NOT NULL) <= 1),
    CONSTRAINT policies_text_without_nul CHECK (instr(name, char(0)) = 0)
) STRICT;
CREATE INDEX policies_client_id ON policies (client_id);
CREATE INDEX policies_site_id ON policies (site_id);
CREATE INDEX policies_agent_id ON policies (agent_id);

CREATE TABLE registration_tokens (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    site_id    BLOB NOT NULL REFERENCES sites (id) ON DELETE CASCADE,
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    expires_at INTEGER NOT NULL,
    uses_left  INTEGER CHECK (uses_left >= 0),
    created_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_tokens_site_id ON registration_tokens (site_id);
