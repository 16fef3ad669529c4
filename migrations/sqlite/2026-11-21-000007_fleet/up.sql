-- How a fleet is kept: one policy a target.

CREATE UNIQUE INDEX policies_one_default ON policies ((client_id IS NULL))
    WHERE client_id IS NULL AND site_id IS NULL AND agent_id IS NULL;
CREATE UNIQUE INDEX policies_one_per_client ON policies (client_id) WHERE client_id IS NOT NULL;
CREATE UNIQUE INDEX policies_one_per_site ON policies (site_id) WHERE site_id IS NOT NULL;
CREATE UNIQUE INDEX policies_one_per_agent ON policies (agent_id) WHERE agent_id IS NOT NULL;

-- What machines are made of: the present, as the agent tells it, with what is searched over the
-- fleet as rows; and what has changed since it was first told.
CREATE TABLE inventory (
    agent_id    BLOB PRIMARY KEY NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    hash        TEXT NOT NULL CHECK (length(hash) <= 128),
    data        TEXT NOT NULL CHECK (json_valid(data) AND length(data) <= 4194304),
    received_at INTEGER NOT NULL,
    CONSTRAINT inventory_text_without_nul CHECK (instr(hash, char(0)) = 0)
) STRICT;

CREATE TABLE inventory_software (
    agent_id BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    name     TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    version  TEXT NOT NULL CHECK (length(version) <= 128),
    PRIMARY KEY (agent_id, name, version),
    CONSTRAINT inventory_software_text_without_nul CHECK (instr(name || version, char(0)) = 0)
) STRICT;
CREATE INDEX inventory_software_name ON inventory_software (name, version);

CREATE TABLE inventory_users (
    agent_id BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    name     TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    terminal TEXT NOT NULL CHECK (length(terminal) <= 128),
    PRIMARY KEY (agent_id, name, terminal),
    CONSTRAINT inventory_users_text_without_nul CHECK (instr(name || terminal, char(0)) = 0)
) STRICT;
CREATE INDEX inventory_users_name ON inventory_users (name);

CREATE TABLE inventory_changes (
    id       INTEGER PRIMARY KEY NOT NULL,
    agent_id BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    at       INTEGER NOT NULL,
    section  TEXT NOT NULL CHECK (length(section) <= 64),
    change   TEXT NOT NULL CHECK (change IN ('added', 'removed', 'changed')),
    key      TEXT NOT NULL CHECK (length(key) <= 255),
    before   TEXT CHECK (json_valid(before) AND length(before) <= 1048576),
    after    TEXT CHECK (json_valid(after) AND length(after) <= 1048576),
    CONSTRAINT inventory_changes_text_without_nul CHECK (instr(section || key, char(0)) = 0)
) STRICT;
CREATE INDEX inventory_changes_agent_id ON inventory_changes (agent_id, id);

-- What alerts have beside what they had, when none are opened, and how they are told.
ALTER TABLE alerts ADD COLUMN snoozed_until INTEGER;
ALTER TABLE alerts ADD COLUMN resolved_by BLOB REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX alerts_snoozed_until ON alerts (snoozed_until) WHERE snoozed_until IS NOT NULL;

CREATE TABLE maintenance_windows (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    client_id  BLOB REFERENCES clients (id) ON DELETE CASCADE,
    site_id    BLOB REFERENCES sites (id) ON DELETE CASCADE,
    agent_id   BLOB REFERENCES agents (id) ON DELETE CASCADE,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    reason     TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
    created_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT maintenance_windows_one_target CHECK (
        (client_id IS NOT NULL) + (site_id IS NOT NULL) + (agent_id IS NOT NULL) <= 1),
    CONSTRAINT maintenance_windows_ends_at CHECK (ends_at > starts_at),
    CONSTRAINT maintenance_windows_text_without_nul CHECK (instr(reason, char(0)) = 0)
) STRICT;
CREATE INDEX maintenance_windows_by_end ON maintenance_windows (ends_at);

CREATE TABLE notification_channels (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind         TEXT NOT NULL CHECK (kind IN ('email', 'webhook')),
    target       TEXT NOT NULL CHECK (length(target) BETWEEN 1 AND 2000),
    secret       TEXT CHECK (length(secret) <= 200),
    min_severity TEXT NOT NULL CHECK (min_severity IN ('info', 'warning', 'critical')),
    client_id    BLOB REFERENCES clients (id) ON DELETE CASCADE,
    enabled      INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    CONSTRAINT notification_channels_text_without_nul CHECK (instr(name || target || coalesce(secret, ''), char(0)) = 0)
) STRICT;

CREATE TABLE notification_deliveries (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    channel_id  BLOB NOT NULL REFERENCES notification_channels (id) ON DELETE CASCADE,
    alert_id    BLOB REFERENCES alerts (id) ON DELETE SET NULL,
    event       TEXT NOT NULL CHECK (length(event) <= 64),
    payload     TEXT NOT NULL CHECK (json_valid(payload) AND length(payload) <= 65536),
    status      TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    last_error  TEXT CHECK (length(last_error) <= 2000),
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    CONSTRAINT notification_deliveries_text_without_nul CHECK (instr(event || coalesce(last_error, ''), char(0)) = 0)
) STRICT;
CREATE INDEX notification_deliveries_due ON notification_deliveries (next_at) WHERE status = 'pending';
CREATE INDEX notification_deliveries_channel_id ON notification_deliveries (channel_id, id);
CREATE INDEX notification_deliveries_finished_at ON notification_deliveries (finished_at);

-- Who may join, and who waits for a person's word.
ALTER TABLE registration_tokens ADD COLUMN name TEXT CHECK (length(name) BETWEEN 1 AND 200 AND instr(name, char(0)) = 0);
ALTER TABLE registration_tokens ADD COLUMN approval_required INTEGER NOT NULL DEFAULT 0 CHECK (approval_required IN (0, 1));
ALTER TABLE registration_tokens ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;

-- An agent with a row here may do nothing.
CREATE TABLE agent_approvals (
    agent_id     BLOB PRIMARY KEY NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    token_id     BLOB REFERENCES registration_tokens (id) ON DELETE SET NULL,
    requested_at INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_device_id ON agents (device_id);
