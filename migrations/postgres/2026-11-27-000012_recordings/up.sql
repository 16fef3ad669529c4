-- Recordings of terminals; what they hold stands in files. No foreign keys: as the audit they outlive the
-- session, the machine and the user, and keep names beside ids.

CREATE TABLE recordings (
    id             uuid PRIMARY KEY,
    session_id     text NOT NULL CHECK (length(session_id) <= 36),
    channel_id     text NOT NULL CHECK (length(channel_id) BETWEEN 1 AND 64),
    agent_id       uuid NOT NULL,
    agent_hostname text NOT NULL CHECK (length(agent_hostname) <= 255),
    -- Where the machine was at that time.
    client_id      uuid,
    site_id        uuid,
    tech_id        uuid NOT NULL,
    tech_email     text NOT NULL CHECK (length(tech_email) <= 254),
    program        text NOT NULL CHECK (length(program) <= 500),
    -- Whether what was typed is in it.
    with_input     boolean NOT NULL,
    state          text NOT NULL CHECK (state IN ('recording', 'complete', 'interrupted', 'failed', 'deleted')),
    started_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    duration_ms    bigint CHECK (duration_ms >= 0),
    bytes          bigint CHECK (bytes >= 0),
    sha256         bytea CHECK (octet_length(sha256) = 32),
    -- From here on the terminal went on without being recorded, and why.
    gap_from_ms    bigint CHECK (gap_from_ms >= 0),
    problem        text CHECK (length(problem) <= 500),
    -- Below the folder of recordings.
    path           text NOT NULL UNIQUE CHECK (length(path) BETWEEN 1 AND 200),
    keep_until     timestamptz NOT NULL,
    CONSTRAINT recordings_ended_at CHECK ((state = 'recording') = (ended_at IS NULL))
);
CREATE INDEX recordings_started_at ON recordings (started_at, id);
CREATE INDEX recordings_agent_id ON recordings (agent_id, started_at);
CREATE INDEX recordings_tech_id ON recordings (tech_id, started_at);
CREATE INDEX recordings_session_id ON recordings (session_id);
CREATE INDEX recordings_keep_until ON recordings (keep_until) WHERE state <> 'deleted';
CREATE INDEX recordings_unfinished ON recordings (id) WHERE state = 'recording';
