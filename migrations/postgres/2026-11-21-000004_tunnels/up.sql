-- Tunnel sessions and their audit.

CREATE TABLE tech_sessions (
    id            serial PRIMARY KEY,
    session_id    varchar(36) NOT NULL UNIQUE,
    tech_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_id      uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    opened_at     timestamptz NOT NULL,
    last_activity timestamptz NOT NULL,
    closed_at     timestamptz,
    status        text NOT NULL CHECK (status IN ('active', 'ready', 'closed', 'error')),
    close_reason  text CHECK (length(close_reason) <= 500),
    CONSTRAINT tech_sessions_closed_at CHECK ((status IN ('closed', 'error')) = (closed_at IS NOT NULL))
);
-- One open session for a technician and an agent: this index refuses the second.
CREATE UNIQUE INDEX tech_sessions_one_active ON tech_sessions (tech_id, agent_id)
    WHERE status IN ('active', 'ready');
CREATE INDEX tech_sessions_open_by_agent ON tech_sessions (agent_id) WHERE status IN ('active', 'ready');
CREATE INDEX tech_sessions_open_by_tech ON tech_sessions (tech_id) WHERE status IN ('active', 'ready');

-- No foreign keys: the audit outlives what it speaks of, so it keeps names beside ids.
CREATE TABLE tunnel_audit (
    id             uuid PRIMARY KEY,
    at             timestamptz NOT NULL,
    action         text NOT NULL CHECK (action IN ('open', 'command', 'close', 'refused')),
    user_id        uuid,
    user_email     text NOT NULL CHECK (length(user_email) <= 254),
    agent_id       uuid,
    agent_hostname text CHECK (length(agent_hostname) <= 255),
    session_id     text CHECK (length(session_id) <= 36),
    command_id     uuid,
    channel_id     text CHECK (length(channel_id) <= 64),
    detail         text NOT NULL CHECK (length(detail) <= 65536),
    remote_addr    text NOT NULL CHECK (length(remote_addr) <= 64),
    request_id     text NOT NULL CHECK (length(request_id) <= 128),
    outcome        text CHECK (length(outcome) <= 500),
    exit_code      integer,
    ended_at       timestamptz
);
CREATE INDEX tunnel_audit_at ON tunnel_audit (at);
CREATE INDEX tunnel_audit_session_id ON tunnel_audit (session_id);
CREATE INDEX tunnel_audit_agent_id_at ON tunnel_audit (agent_id, at);
CREATE INDEX tunnel_audit_user_id_at ON tunnel_audit (user_id, at);
CREATE UNIQUE INDEX tunnel_audit_command_id_key ON tunnel_audit (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX tunnel_audit_unfinished ON tunnel_audit (session_id) WHERE outcome IS NULL;
