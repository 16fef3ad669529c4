-- Who may see which clients and sites, and keys for people's scripts.

-- A scoped user sees what its rows below name, and nothing where there are none.
ALTER TABLE users ADD COLUMN scoped boolean NOT NULL DEFAULT false;

CREATE TABLE user_clients (
    user_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id uuid NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX user_clients_client_id ON user_clients (client_id);

CREATE TABLE user_sites (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    site_id uuid NOT NULL REFERENCES sites (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, site_id)
);
CREATE INDEX user_sites_site_id ON user_sites (site_id);

-- Both at once, so that a user and its scope are read in one query.
CREATE VIEW user_places AS
    SELECT user_id, client_id, NULL::uuid AS site_id FROM user_clients
    UNION ALL
    SELECT user_id, NULL, site_id FROM user_sites;

-- Each order in which lists can be read, so that a page costs the same wherever it begins.
CREATE INDEX clients_by_name ON clients (name, id);
CREATE INDEX sites_by_name ON sites (name, id);
CREATE INDEX agents_by_hostname ON agents (hostname, id);
CREATE INDEX agents_by_last_seen ON agents (coalesce(last_seen_at, timestamptz '1970-01-01 00:00:00+00'), id);
CREATE INDEX agents_by_created ON agents (created_at, id);

-- A key without a scope has its maker's.
CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    key_hash     bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    role         text NOT NULL CHECK (role IN ('administrator', 'technician', 'read_only')),
    scope        jsonb CHECK (length(scope::text) <= 262144),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_user_id ON api_keys (user_id);
CREATE INDEX api_keys_by_name ON api_keys (name, id);

-- Samples by minute and by hour, made from `metrics` again whenever its rows are late. `at` is the
-- beginning of the minute or the hour.
CREATE INDEX metrics_recorded_at ON metrics (recorded_at);
CREATE TABLE metrics_1m (
    agent_id           uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    at                 timestamptz NOT NULL,
    samples            bigint NOT NULL,
    cpu_avg            double precision,
    cpu_min            double precision,
    cpu_max            double precision,
    memory_used_avg    double precision,
    memory_used_min    bigint,
    memory_used_max    bigint,
    memory_total_bytes bigint,
    disk_used_avg      double precision,
    disk_used_min      bigint,
    disk_used_max      bigint,
    disk_total_bytes   bigint,
    network_rx_avg     double precision,
    network_rx_min     bigint,
    network_rx_max     bigint,
    network_tx_avg     double precision,
    network_tx_min     bigint,
    network_tx_max     bigint,
    PRIMARY KEY (agent_id, at)
);
CREATE INDEX metrics_1m_at ON metrics_1m (at);
CREATE TABLE metrics_1h (
    agent_id           uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    at                 timestamptz NOT NULL,
    samples            bigint NOT NULL,
    cpu_avg            double precision,
    cpu_min            double precision,
    cpu_max            double precision,
    memory_used_avg    double precision,
    memory_used_min    bigint,
    memory_used_max    bigint,
    memory_total_bytes bigint,
    disk_used_avg      double precision,
    disk_used_min      bigint,
    disk_used_max      bigint,
    disk_total_bytes   bigint,
    network_rx_avg     double precision,
    network_rx_min     bigint,
    network_rx_max     bigint,
    network_tx_avg     double precision,
    network_tx_min     bigint,
    network_tx_max     bigint,
    PRIMARY KEY (agent_id, at)
);
CREATE INDEX metrics_1h_at ON metrics_1h (at);

-- How far each has been made.
CREATE TABLE metrics_rollups (
    step       text PRIMARY KEY CHECK (step IN ('1m', '1h')),
    done_until timestamptz NOT NULL
);
