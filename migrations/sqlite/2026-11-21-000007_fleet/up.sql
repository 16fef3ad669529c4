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
