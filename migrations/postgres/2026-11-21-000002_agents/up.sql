-- The machines: who they are, how they are, and what they reported.

CREATE TABLE agents (
    id                    uuid PRIMARY KEY,
    site_id               uuid REFERENCES sites (id) ON DELETE RESTRICT,
    device_id             text NOT NULL CHECK (length(device_id) <= 255),
    hostname              text NOT NULL CHECK (length(hostname) <= 255),
    os_family             text NOT NULL CHECK (length(os_family) <= 64),
    os_name               text NOT NULL CHECK (length(os_name) <= 255),
    os_version            text NOT NULL CHECK (length(os_version) <= 255),
    os_arch               text NOT NULL CHECK (length(os_arch) <= 64),
    agent_version         text CHECK (length(agent_version) <= 64),
    previous_version      text CHECK (length(previous_version) <= 64),
    protocol              integer NOT NULL,
    capabilities          jsonb NOT NULL CHECK (length(capabilities::text) <= 65536),
    key_hash              bytea UNIQUE CHECK (octet_length(key_hash) = 32),
    key_used_at           timestamptz,
    enrollment_nonce_hash bytea CHECK (octet_length(enrollment_nonce_hash) = 32),
    first_generation      boolean NOT NULL DEFAULT false,
    status                text NOT NULL CHECK (status IN ('online', 'offline')),
    last_seen_at          timestamptz,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    UNIQUE (site_id, device_id)
);
CREATE INDEX agents_site_id ON agents (site_id);
CREATE INDEX agents_status ON agents (status);
CREATE INDEX agents_last_seen_at ON agents (last_seen_at);

-- The latest of each agent. Rates and sizes are as the agent counts them.
CREATE TABLE agent_state (
    agent_id           uuid PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
    cpu_percent        double precision,
    memory_used_bytes  bigint,
    memory_total_bytes bigint,
    disk_used_bytes    bigint,
    disk_total_bytes   bigint,
    network_rx_bytes   bigint,
    network_tx_bytes   bigint,
    uptime_seconds     bigint,
    metrics_at         timestamptz,
    network            jsonb CHECK (length(network::text) <= 1048576),
    network_hash       text CHECK (length(network_hash) <= 128),
    network_at         timestamptz,
    updated_at         timestamptz NOT NULL
);

-- recorded_at is the server's clock, reported_at the agent's.
CREATE TABLE metrics (
    id                 bigserial PRIMARY KEY,
    agent_id           uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    recorded_at        timestamptz NOT NULL,
    reported_at        timestamptz,
    cpu_percent        double precision,
    memory_used_bytes  bigint,
    memory_total_bytes bigint,
    disk_used_bytes    bigint,
    disk_total_bytes   bigint,
    network_rx_bytes   bigint,
    network_tx_bytes   bigint,
    uptime_seconds     bigint
);
CREATE INDEX metrics_agent_id_recorded_at ON metrics (agent_id, recorded_at);

CREATE TABLE watchdog_events (
    id          bigserial PRIMARY KEY,
    agent_id    uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    service     text NOT NULL CHECK (length(service) <= 255),
    event       text NOT NULL CHECK (length(event) <= 64),
    message     text CHECK (length(message) <= 4000),
    reported_at timestamptz,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX watchdog_events_agent_id_recorded_at ON watchdog_events (agent_id, recorded_at);

CREATE TABLE agent_updates (
    id           bigserial PRIMARY KEY,
    agent_id     uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    from_version text CHECK (length(from_version) <= 64),
    to_version   text NOT NULL CHECK (length(to_version) <= 64),
    status       text NOT NULL CHECK (status IN ('pending', 'sent', 'completed', 'failed')),
    error        text CHECK (length(error) <= 4000),
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz
);
CREATE INDEX agent_updates_agent_id ON agent_updates (agent_id);
