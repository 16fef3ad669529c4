-- Who may see which clients and sites, and keys for people's scripts.

-- A scoped user sees what its rows below name, and nothing where there are none.
ALTER TABLE users ADD COLUMN scoped INTEGER NOT NULL DEFAULT 0 CHECK (scoped IN (0, 1));

CREATE TABLE user_clients (
    user_id   BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id BLOB NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, client_id)
) STRICT;
CREATE INDEX user_clients_client_id ON user_clients (client_id);

CREATE TABLE user_sites (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    site_id BLOB NOT NULL REFERENCES sites (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, site_id)
) STRICT;
CREATE INDEX user_sites_site_id ON user_sites (site_id);

-- Both at once, so that a user and its scope are read in one query.
CREATE VIEW user_places AS
    SELECT user_id, client_id, NULL AS site_id FROM user_clients
    UNION ALL
    SELECT user_id, NULL, site_id FROM user_sites;

-- Each order in which lists can be read, so that a page costs the same wherever it begins.
CREATE INDEX clients_by_name ON clients (name, id);
CREATE INDEX sites_by_name ON sites (name, id);
CREATE INDEX agents_by_hostname ON agents (hostname, id);
CREATE INDEX agents_by_last_seen ON agents (coalesce(last_seen_at, 0), id);
CREATE INDEX agents_by_created ON agents (created_at, id);

-- A key without a scope has its maker's.
CREATE TABLE api_keys (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    user_id      BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    key_hash     BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    role         TEXT NOT NULL CHECK (role IN ('administrator', 'technician', 'read_only')),
    scope        TEXT CHECK (json_valid(scope) AND length(scope) <= 262144),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    CONSTRAINT api_keys_text_without_nul CHECK (instr(name, char(0)) = 0)
) STRICT;
CREATE INDEX api_keys_user_id ON api_keys (user_id);
CREATE INDEX api_keys_by_name ON api_keys (name, id);

-- Samples by minute and by hour, made from `metrics` again whenever its rows are late. `at` is the
-- beginning of the minute or the hour.
CREATE INDEX metrics_recorded_at ON metrics (recorded_at);
CREATE TABLE metrics_1m (
    agent_id           BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    at                 INTEGER NOT NULL,
    samples            INTEGER NOT NULL,
    cpu_avg            REAL,
    cpu_min            REAL,
    cpu_max            REAL,
    memory_used_avg    REAL,
    memory_used_min    INTEGER,
    memory_used_max    INTEGER,
    memory_total_bytes INTEGER,
    disk_used_avg      REAL,
    disk_used_min      INTEGER,
    disk_used_max      INTEGER,
    disk_total_bytes   INTEGER,
    network_rx_avg     REAL,
    network_rx_min     INTEGER,
    network_rx_max     INTEGER,
    network_tx_avg     REAL,
    network_tx_min     INTEGER,
    network_tx_max     INTEGER,
    PRIMARY KEY (agent_id, at)
) STRICT;
CREATE INDEX metrics_1m_at ON metrics_1m (at);
CREATE TABLE metrics_1h (
    agent_id           BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    at                 INTEGER NOT NULL,
    samples            INTEGER NOT NULL,
    cpu_avg            REAL,
    cpu_min            REAL,
    cpu_max            REAL,
    memory_used_avg    REAL,
    memory_used_min    INTEGER,
    memory_used_max    INTEGER,
    memory_total_bytes INTEGER,
    disk_used_avg      REAL,
    disk_used_min      INTEGER,
    disk_used_max      INTEGER,
    disk_total_bytes   INTEGER,
    network_rx_avg     REAL,
    network_rx_min     INTEGER,
    network_rx_max     INTEGER,
    network_tx_avg     REAL,
    network_tx_min     INTEGER,
    network_tx_max     INTEGER,
    PRIMARY KEY (agent_id, at)
) STRICT;
CREATE INDEX metrics_1h_at ON metrics_1h (at);

-- How far each has been made.
CREATE TABLE metrics_rollups (
    step       TEXT PRIMARY KEY NOT NULL CHECK (step IN ('1m', '1h')),
    done_until INTEGER NOT NULL
) STRICT;
