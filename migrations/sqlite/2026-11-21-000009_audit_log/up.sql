-- Everything that was done, by whom and how it ended: rows that are added and never changed, chained by
-- seals. No foreign keys: it outlives what it speaks of.

ALTER TABLE tunnel_audit ADD COLUMN key_id BLOB CHECK (length(key_id) = 16);

CREATE TABLE audit_log (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- One act is asked for and ends: two rows with the same act_id. An event is both in one.
    act_id         BLOB NOT NULL CHECK (length(act_id) = 16),
    stage          TEXT NOT NULL CHECK (stage IN ('asked', 'ended', 'event')),
    at             INTEGER NOT NULL,
    action         TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    user_id        BLOB CHECK (length(user_id) = 16),
    user_email     TEXT NOT NULL DEFAULT '' CHECK (length(user_email) <= 254),
    key_id         BLOB CHECK (length(key_id) = 16),
    agent_id       BLOB CHECK (length(agent_id) = 16),
    agent_hostname TEXT CHECK (length(agent_hostname) <= 255),
    client_id      BLOB CHECK (length(client_id) = 16),
    site_id        BLOB CHECK (length(site_id) = 16),
    session_id     TEXT CHECK (length(session_id) <= 36),
    command_id     BLOB CHECK (length(command_id) = 16),
    target         TEXT NOT NULL DEFAULT '' CHECK (length(target) <= 500),
    detail         TEXT NOT NULL DEFAULT '' CHECK (length(detail) <= 65536),
    remote_addr    TEXT NOT NULL DEFAULT '' CHECK (length(remote_addr) <= 64),
    request_id     TEXT NOT NULL DEFAULT '' CHECK (length(request_id) <= 128),
    outcome        TEXT CHECK (length(outcome) <= 500),
    exit_code      INTEGER,
    UNIQUE (act_id, stage),
    CONSTRAINT audit_log_text_without_nul CHECK (
        instr(action || user_email || coalesce(agent_hostname, '') || coalesce(session_id, '') || target
            || detail || remote_addr || request_id || coalesce(outcome, ''), char(0)) = 0)
) STRICT;
CREATE INDEX audit_log_at ON audit_log (at, act_id) WHERE stage <> 'ended';
CREATE INDEX audit_log_action ON audit_log (action, id);
CREATE INDEX audit_log_user_id ON audit_log (user_id, at) WHERE stage <> 'ended' AND user_id IS NOT NULL;
CREATE INDEX audit_log_agent_id ON audit_log (agent_id, at) WHERE stage <> 'ended' AND agent_id IS NOT NULL;
CREATE INDEX audit_log_session_id ON audit_log (session_id) WHERE stage <> 'ended' AND session_id IS NOT NULL;
CREATE INDEX audit_log_command_id ON audit_log (command_id) WHERE stage <> 'ended' AND command_id IS NOT NULL;

-- What the sealer has still to seal.
CREATE TABLE audit_unsealed (
    entry_id INTEGER PRIMARY KEY NOT NULL
) STRICT;

-- The chain: each seal is an HMAC over the seal before, its own number and the whole row.
CREATE TABLE audit_seals (
    seq      INTEGER PRIMARY KEY NOT NULL CHECK (seq > 0),
    entry_id INTEGER NOT NULL UNIQUE,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Acts as they are shown: what was asked for, with how it ended.
CREATE VIEW audit_acts AS
SELECT asked.act_id, asked.id, asked.at, asked.action, asked.user_id, asked.user_email, asked.key_id,
    asked.agent_id, asked.agent_hostname, asked.client_id, asked.site_id, asked.session_id,
    asked.command_id, coalesce(nullif(ended.target, ''), asked.target) AS target, asked.detail,
    asked.remote_addr, asked.request_id, coalesce(ended.outcome, asked.outcome) AS outcome,
    coalesce(ended.exit_code, asked.exit_code) AS exit_code,
    CASE WHEN asked.stage = 'event' THEN asked.at ELSE ended.at END AS ended_at,
    seals.seq AS seq,
    CASE WHEN ended.id IS NULL THEN seals.seq ELSE ended_seals.seq END AS last_seq
FROM audit_log AS asked
    LEFT JOIN audit_log AS ended ON ended.act_id = asked.act_id AND ended.stage = 'ended'
    LEFT JOIN audit_seals AS seals ON seals.entry_id = asked.id
    LEFT JOIN audit_seals AS ended_seals ON ended_seals.entry_id = ended.id
WHERE asked.stage <> 'ended';

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: UPDATE on audit_log is refused');
END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: DELETE on audit_log is refused');
END;
CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: UPDATE on audit_seals is refused');
END;
CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: DELETE on audit_seals is refused');
END;

CREATE TRIGGER audit_log_queue AFTER INSERT ON audit_log
BEGIN
    INSERT INTO audit_unsealed (entry_id) VALUES (NEW.id);
END;

-- What tunnels and commands write down flows in, in the same commit.
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

CREATE TRIGGER tunnel_audit_ended AFTER UPDATE OF outcome ON tunnel_audit
WHEN OLD.outcome IS NULL AND NEW.outcome IS NOT NULL
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, key_id, agent_id, session_id,
        command_id, outcome, exit_code)
    VALUES (NEW.id, 'ended', coalesce(NEW.ended_at, NEW.at),
        CASE WHEN NEW.action = 'refused' THEN 'access.refused'
             WHEN NEW.action = 'command' AND NEW.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || NEW.action END,
        NEW.user_id, NEW.user_email, NEW.key_id, NEW.agent_id, NEW.session_id, NEW.command_id,
        NEW.outcome, NEW.exit_code);
END;

-- What machines tell of themselves.
CREATE TRIGGER watchdog_events_audit AFTER INSERT ON watchdog_events
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', NEW.recorded_at, 'watchdog.event', NEW.agent_id, place.hostname,
        place.client_id, place.site_id, NEW.service, coalesce(NEW.message, ''), NEW.event
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.agent_id;
END;

CREATE TRIGGER agent_updates_audit AFTER INSERT ON agent_updates
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', coalesce(NEW.finished_at, NEW.created_at), 'agent.update', NEW.agent_id, place.hostname,
        place.client_id, place.site_id, NEW.to_version, coalesce('from ' || NEW.from_version || ': ' || NEW.error, 'from ' || NEW.from_version, NEW.error, ''), NEW.status
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.agent_id;
END;
CREATE TRIGGER agent_updates_audit_status AFTER UPDATE OF status ON agent_updates
WHEN OLD.status <> NEW.status
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', coalesce(NEW.finished_at, NEW.created_at), 'agent.update', NEW.agent_id, place.hostname,
        place.client_id, place.site_id, NEW.to_version, coalesce('from ' || NEW.from_version || ': ' || NEW.error, 'from ' || NEW.from_version, NEW.error, ''), NEW.status
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.agent_id;
END;

-- What becomes of machines, whoever does it.
CREATE TRIGGER agents_audit_enrolled AFTER INSERT ON agents
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER), 'agent.enrolled', NEW.id, place.hostname,
        place.client_id, place.site_id, NEW.device_id, '', 'ok'
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.id;
END;
-- Its row is gone: name and place are those it had.
CREATE TRIGGER agents_audit_deleted AFTER DELETE ON agents
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        outcome)
    VALUES (randomblob(16), 'event', CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER), 'agent.deleted', OLD.id,
        OLD.hostname, (SELECT client_id FROM sites WHERE id = OLD.site_id), OLD.site_id, OLD.device_id, 'ok');
END;
CREATE TRIGGER agents_audit_key_replaced AFTER UPDATE OF key_hash ON agents
WHEN OLD.key_hash IS NOT NEW.key_hash
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER), 'agent.key_replaced', NEW.id, place.hostname,
        place.client_id, place.site_id, NEW.device_id, '', 'ok'
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.id;
END;
CREATE TRIGGER agents_audit_moved AFTER UPDATE OF site_id ON agents
WHEN OLD.site_id IS NOT NEW.site_id
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, agent_id, agent_hostname, client_id, site_id, target,
        detail, outcome)
    SELECT randomblob(16), 'event', CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER), 'agent.moved', NEW.id, place.hostname,
        place.client_id, place.site_id, NEW.device_id, coalesce('from site ' || lower(hex(OLD.site_id)), 'from no site'), 'ok'
    FROM (SELECT 1) LEFT JOIN (
        SELECT agents.id, agents.hostname, agents.site_id, sites.client_id
        FROM agents LEFT JOIN sites ON sites.id = agents.site_id) AS place ON place.id = NEW.id;
END;

-- What was written down before.
INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, agent_id, agent_hostname, client_id,
    site_id, session_id, command_id, target, detail, remote_addr, request_id, outcome, exit_code)
SELECT t.id, CASE WHEN t.outcome IS NULL THEN 'asked' ELSE 'event' END, t.at,
    CASE WHEN t.action = 'refused' THEN 'access.refused'
             WHEN t.action = 'command' AND t.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || t.action END,
    t.user_id, t.user_email, t.agent_id, t.agent_hostname, sites.client_id, agents.site_id, t.session_id,
    t.command_id, coalesce(t.channel_id, ''), t.detail, t.remote_addr, t.request_id, t.outcome, t.exit_code
FROM tunnel_audit AS t
    LEFT JOIN agents ON agents.id = t.agent_id
    LEFT JOIN sites ON sites.id = agents.site_id
ORDER BY t.at, t.id;
