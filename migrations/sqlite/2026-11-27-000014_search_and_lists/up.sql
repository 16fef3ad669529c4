-- What is searched over the fleet beside software: entries of the other sections, as rows. Inventories that
-- came before are taken apart when the server starts.
CREATE TABLE inventory_entries (
    agent_id BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    section  TEXT NOT NULL CHECK (section IN ('hardware', 'os', 'disks', 'network', 'services', 'users')),
    name     TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    detail   TEXT NOT NULL CHECK (length(detail) <= 200),
    PRIMARY KEY (agent_id, section, name, detail),
    CONSTRAINT inventory_entries_text_without_nul CHECK (instr(name || detail, char(0)) = 0)
) STRICT;
CREATE INDEX inventory_entries_by_name ON inventory_entries (section, name, agent_id, detail);
ALTER TABLE inventory ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0 CHECK (indexed IN (0, 1));
CREATE INDEX inventory_unindexed ON inventory (agent_id) WHERE indexed = 0;

-- Lists go on behind a row.
CREATE INDEX commands_by_created ON commands (created_at, id);
CREATE INDEX jobs_by_created ON jobs (created_at, id);
CREATE INDEX alerts_by_opened ON alerts (opened_at, id);
CREATE INDEX tech_sessions_by_opened ON tech_sessions (opened_at, session_id);
