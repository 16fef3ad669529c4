-- Recordings of terminals; what they hold stands in files. No foreign keys: as the audit they outlive the
-- session, the machine and the user, and keep names beside ids.

CREATE TABLE recordings (
    id             BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    session_id     TEXT NOT NULL CHECK (length(session_id) <= 36),
    channel_id     TEXT NOT NULL CHECK (length(channel_id) BETWEEN 1 AND 64),
    agent_id       BLOB NOT NULL CHECK (length(agent_id) = 16),
    agent_hostname TEXT NOT NULL CHECK (length(agent_hostname) <= 255),
    -- Where the machine was at that time.
    client_id      BLOB CHECK (length(client_id) = 16),
    site_id        BLOB CHECK (length(site_id) = 16),
    tech_id        BLOB NOT NULL CHECK (length(tech_id) = 16),
    tech_email     TEXT NOT NULL CHECK (length(tech_email) <= 254),
    program        TEXT NOT NULL CHECK (length(program) <= 500),
    -- Whether what was typed is in it.
    with_input     INTEGER NOT NULL CHECK (with_input IN (0, 1)),
    state          TEXT NOT NULL CHECK (state IN ('recording', 'complete', 'interrupted', 'failed', 'deleted')),
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    duration_ms    INTEGER CHECK (duration_ms >= 0),
    bytes          INTEGER CHECK (bytes >= 0),
    sha256         BLOB CHECK (length(sha256) = 32),
    -- From here on the terminal went on without being recorded, and why.
    gap_from_ms    INTEGER CHECK (gap_from_ms >= 0),
    problem        TEXT CHECK (length(problem) <= 500),
    -- Below the folder of recordings.
    path           TEXT NOT NULL UNIQUE CHECK (length(path) BETWEEN 1 AND 200),
    keep_until     INTEGER NOT NULL,
    CONSTRAINT recordings_ended_at CHECK ((state = 'recording') = (ended_at IS NULL)),
    CONSTRAINT recordings_text_without_nul CHECK (
        instr(session_id || channel_id || agent_hostname || tech_email || program || coalesce(problem, '')
            || path, char(0)) = 0)
) STRICT;
CREATE INDEX recordings_started_at ON recordings (started_at, id);
CREATE INDEX recordings_agent_id ON recordings (agent_id, started_at);
CREATE INDEX recordings_tech_id ON recordings (tech_id, started_at);
CREATE INDEX recordings_session_id ON recordings (session_id);
CREATE INDEX recordings_keep_until ON recordings (keep_until) WHERE state <> 'deleted';
CREATE INDEX recordings_unfinished ON recordings (id) WHERE state = 'recording';
