-- The machines: who they are, how they are, and what they reported.

CREATE TABLE agents (
    id                    BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    site_id               BLOB REFERENCES sites (id) ON DELETE RESTRICT,
    device_id             TEXT NOT NULL CHECK (length(device_id) <= 255),
    hostname              TEXT NOT NULL CHECK (length(hostname) <= 255),
    os_family             TEXT NOT NULL CHECK (length(os_family) <= 64),
    os_name               TEXT NOT NULL CHECK (length(os_name) <= 255),
    os_version            TEXT NOT NULL CHECK (length(os_version) <= 255),
    os_arch               TEXT NOT NULL CHECK (length(os_arch) <= 64),
    agent_version         TEXT CHECK (length(agent_version) <= 64),
    previous_version      TEXT CHECK (length(previous_version) <= 64),
    protocol              INTEGER NOT NULL,
    capabilities          TEXT NOT NULL CHECK (json_valid(capabilities) AND length(capabilities) <= 65536),
    key_hash              BLOB UNIQUE CHECK (length(key_hash) = 32),
    key_used_at           INTEGER,
    enrollment_nonce_hash BLOB CHECK (length(enrollment_nonce_hash) = 32),
    first_generation      INTEGER NOT NULL DEFAULT 0 CHECK (first_generation IN (0, 1)),
    status                TEXT NOT NULL CHECK (status IN ('online', 'offline')),
    last_seen_at          INTEGER,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    UNIQUE (site_id, device_id),
    CONSTRAINT agents_text_without_nul CHECK (
        instr(coalesce(device_id, '') || coalesce(hostname, '') || coalesce(os_family, '')
            || coalesce(os_name, '') || coalesce(os_version, '') || coalesce(os_arch, '')
            || coalesce(agent_version, '') || coalesce(previous_version, ''), char(0)) = 0)
) STRICT;
CREATE INDEX agents_site_id ON agents (site_id);
CREATE INDEX agents_status ON agents (status);
CREATE INDEX agents_last_seen_at ON agents (last_seen_at);

-- The latest of each agent. Rates and sizes are as the agent counts them.
CREATE TABLE agent_state (
    agent_id           BLOB PRIMARY KEY NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    cpu_percent        REAL,
    memory_used_bytes  INTEGER,
    memory_total_bytes INTEGER,
    disk_used_bytes    INTEGER,
    disk_total_bytes   INTEGER,
    network_rx_bytes   INTEGER,
    network_tx_bytes   INTEGER,
    uptime_seconds     INTEGER,
    metrics_at         INTEGER,
    network            TEXT CHECK (json_valid(network) AND length(network) <= 1048576),
    network_hash       TEXT CHECK (length(network_hash) <= 128),
    network_at         INTEGER,
    updated_at         INTEGER NOT NULL,
    CONSTRAINT agent_state_text_without_nul CHECK (instr(coalesce(network_hash, ''), char(0)) = 0)
) STRICT;

-- recorded_at is the server's clock, reported_at the agent's.
CREATE TABLE metrics (
    id                 INTEGER PRIMARY KEY NOT NULL,
    agent_id           BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    recorded_at        INTEGER NOT NULL,
    reported_at        INTEGER,
    cpu_percent        REAL,
    memory_used_bytes  INTEGER,
    memory_total_bytes INTEGER,
    disk_used_bytes    INTEGER,
    disk_total_bytes   INTEGER,
    network_rx_bytes   INTEGER,
    network_tx_bytes   INTEGER,
    uptime_seconds     INTEGER
) STRICT;
CREATE INDEX metrics_agent_id_recorded_at ON metrics (agent_id, recorded_at);

CREATE TABLE watchdog_events (
    id          INTEGER PRIMARY KEY NOT NULL,
    agent_id    BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    service     TEXT NOT NULL CHECK (length(service) <= 255),
    event       TEXT NOT NULL CHECK (length(event) <= 64),
    message     TEXT CHECK (length(message) <= 4000),
    reported_at INTEGER,
    recorded_at INTEGER NOT NULL,
    CONSTRAINT watchdog_events_text_without_nul CHECK (instr(coalesce(service, '') || coalesce(event, '') || coalesce(message, ''), char(0)) = 0)
) STRICT;
CREATE INDEX watchdog_events_agent_id_recorded_at ON watchdog_events (agent_id, recorded_at);

CREATE TABLE agent_updates (
    id           INTEGER PRIMARY KEY NOT NULL,
    agent_id     BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    from_version TEXT CHECK (length(from_version) <= 64),
    to_version   TEXT NOT NULL CHECK (length(to_version) <= 64),
    status       TEXT NOT NULL CHECK (status IN ('pending', 'sent', 'completed', 'failed')),
    error        TEXT CHECK (length(error) <= 4000),
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    CONSTRAINT agent_updates_text_without_nul CHECK (instr(coalesce(from_version, '') || coalesce(to_version, '') || coalesce(error, ''), char(0)) = 0)
) STRICT;
CREATE INDEX agent_updates_agent_id ON agent_updates (agent_id);
