-- What who sits at a machine said to a tunnel is written down.
--
-- SQLite cannot change a CHECK, so the table is built anew. Nothing refers to it; its triggers and indexes
-- go with it and come again below.

CREATE TABLE tunnel_audit_rebuilt (
    id             BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    at             INTEGER NOT NULL,
    action         TEXT NOT NULL CHECK (action IN ('open', 'command', 'close', 'refused', 'terminal', 'tcp', 'file', 'service', 'process',
        'registry', 'watch', 'consent')),
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
    key_id         BLOB CHECK (length(key_id) = 16),
    -- What a write replaced, so that it can be put back.
    before         TEXT CHECK (length(before) <= 65536),
    -- What a stream carried, both ways together.
    bytes          INTEGER CHECK (bytes >= 0),
    CONSTRAINT tunnel_audit_text_without_nul CHECK (
        instr(coalesce(user_email, '') || coalesce(agent_hostname, '') || coalesce(session_id, '')
            || coalesce(channel_id, '') || coalesce(detail, '') || coalesce(remote_addr, '')
            || coalesce(request_id, '') || coalesce(outcome, '') || coalesce(before, ''), char(0)) = 0)
) STRICT;

INSERT INTO tunnel_audit_rebuilt (id, at, action, user_id, user_email, agent_id, agent_hostname, session_id, command_id, channel_id,
    detail, remote_addr, request_id, outcome, exit_code, ended_at, key_id, before, bytes)
SELECT id, at, action, user_id, user_email, agent_id, agent_hostname, session_id, command_id, channel_id,
    detail, remote_addr, request_id, outcome, exit_code, ended_at, key_id, before, bytes FROM tunnel_audit;
DROP TABLE tunnel_audit;
ALTER TABLE tunnel_audit_rebuilt RENAME TO tunnel_audit;

CREATE INDEX tunnel_audit_at ON tunnel_audit (at);
CREATE INDEX tunnel_audit_session_id ON tunnel_audit (session_id);
CREATE INDEX tunnel_audit_agent_id_at ON tunnel_audit (agent_id, at);
CREATE INDEX tunnel_audit_user_id_at ON tunnel_audit (user_id, at);
CREATE UNIQUE INDEX tunnel_audit_command_id_key ON tunnel_audit (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX tunnel_audit_unfinished ON tunnel_audit (session_id) WHERE outcome IS NULL;

CREATE TRIGGER tunnel_audit_asked AFTER INSERT ON tunnel_audit
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, key_id, agent_id, agent_hostname,
        client_id, site_id, session_id, command_id, target, detail, remote_addr, request_id, outcome, exit_code)
    SELECT NEW.id, CASE WHEN NEW.outcome IS NULL THEN 'asked' ELSE 'event' END, NEW.at,
        CASE WHEN NEW.action = 'refused' THEN 'access.refused'
             WHEN NEW.action = 'command' AND NEW.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || NEW.action END,
        NEW.user_id, NEW.user_email, NEW.key_id, NEW.agent_id, NEW.agent_hostname, place.client_id,
        place.site_id, NEW.session_id, NEW.command_id, coalesce(NEW.channel_id, ''), NEW.detail,
        NEW.remote_addr, NEW.request_id, NEW.outcome, NEW.exit_code
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.agent_id;
END;

-- The end says what was replaced, or how much was carried, so that the seal covers it.
CREATE TRIGGER tunnel_audit_ended AFTER UPDATE OF outcome ON tunnel_audit
WHEN OLD.outcome IS NULL AND NEW.outcome IS NOT NULL
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, key_id, agent_id, session_id,
        command_id, detail, outcome, exit_code)
    VALUES (NEW.id, 'ended', coalesce(NEW.ended_at, NEW.at),
        CASE WHEN NEW.action = 'refused' THEN 'access.refused'
             WHEN NEW.action = 'command' AND NEW.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || NEW.action END,
        NEW.user_id, NEW.user_email, NEW.key_id, NEW.agent_id, NEW.session_id, NEW.command_id,
        coalesce(NEW.before, NEW.bytes || ' bytes', ''), NEW.outcome, NEW.exit_code);
END;
