-- Tunnel sessions and their audit.

CREATE TABLE tech_sessions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    session_id    TEXT NOT NULL UNIQUE CHECK (length(session_id) <= 36),
    tech_id       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_id      BLOB NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    opened_at     INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    closed_at     INTEGER,
    status        TEXT NOT NULL CHECK (status IN ('active', 'ready', 'closed', 'error')),
    close_reason  TEXT CHECK (length(close_reason) <= 500),
    CONSTRAINT tech_sessions_closed_at CHECK ((status IN ('closed', 'error')) = (closed_at IS NOT NULL)),
    CONSTRAINT tech_sessions_text_without_nul CHECK (instr(coalesce(session_id, '') || coalesce(close_reason, ''), char(0)) = 0)
) STRICT;
-- One open session for a technician and an agent: this index refuses the second.
CREATE UNIQUE INDEX tech_sessions_one_active ON tech_sessions (tech_id, agent_id)
    WHERE status IN ('active', 'ready');
CREATE INDEX tech_sessions_open_by_agent ON tech_sessions (agent_id) WHERE status IN ('active', 'ready');
CREATE INDEX tech_sessions_open_by_tech ON tech_sessions (tech_id) WHERE status IN ('active', 'ready');

-- No foreign keys: the audit outlives what it speaks of, so it keeps names beside ids.
CREATE TABLE tunnel_audit (
    id             BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    at             INTEGER NOT NULL,
    action         TEXT NOT NULL CHECK (action IN ('open', 'command', 'close', 'refused')),
    user_id        BLOB CHECK (length(user_id) = 16),
    user_email     TEXT NOT NULL CHECK (length(user_email) <= 254),
    agent_id       BLOB CHECK (length(agent_id) = 16),
    agent_hostname TEXT CHECK (length(agent_hostname) <= 255),
    session_id     TEXT CHECK (length(session_id) <= 36),
    command_id     BLOB CHECK (length(command_id) = 16),
    channel_id     TEXT CHECK (length(channel_id) <= 64),
    detail         TEXT NOT NULL CHECK (length(detail) <= 65536),
    remote_addr    TEXT NOT NULL CHECK (length(remote_addr) <= 64),
    request_id     TEXT NOT NULL CHECK (length(request_id) <= 128),
    outcome        TEXT CHECK (length(outcome) <= 500),
    exit_code      INTEGER,
    ended_at       INTEGER,
    CONSTRAINT tunnel_audit_text_without_nul CHECK (
        instr(coalesce(user_email, '') || coalesce(agent_hostname, '') || coalesce(session_id, '')
            || coalesce(channel_id, '') || coalesce(detail, '') || coalesce(remote_addr, '')
            || coalesce(request_id, '') || coalesce(outcome, ''), char(0)) = 0)
) STRICT;
CREATE INDEX tunnel_audit_at ON tunnel_audit (at);
CREATE INDEX tunnel_audit_session_id ON tunnel_audit (session_id);
CREATE INDEX tunnel_audit_agent_id_at ON tunnel_audit (agent_id, at);
CREATE INDEX tunnel_audit_user_id_at ON tunnel_audit (user_id, at);
CREATE UNIQUE INDEX tunnel_audit_command_id_key ON tunnel_audit (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX tunnel_audit_unfinished ON tunnel_audit (session_id) WHERE outcome IS NULL;
