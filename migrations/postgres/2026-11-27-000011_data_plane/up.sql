-- Terminals, forwards, files and what else goes through a tunnel is written down like commands, with what a
-- write replaced and how much a stream carried.

ALTER TABLE tunnel_audit DROP CONSTRAINT tunnel_audit_action_check;
ALTER TABLE tunnel_audit ADD CONSTRAINT tunnel_audit_action_check CHECK (action IN ('open', 'command', 'close', 'refused', 'terminal', 'tcp', 'file', 'service', 'process',
        'registry', 'watch'));
-- What a write replaced, so that it can be put back.
ALTER TABLE tunnel_audit ADD COLUMN before text CHECK (length(before) <= 65536);
-- What a stream carried, both ways together.
ALTER TABLE tunnel_audit ADD COLUMN bytes bigint CHECK (bytes >= 0);

-- The end says what was replaced, or how much was carried, so that the seal covers it.
CREATE OR REPLACE FUNCTION tunnel_audit_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, key_id, agent_id, session_id,
        command_id, detail, outcome, exit_code)
    VALUES (NEW.id, 'ended', coalesce(NEW.ended_at, NEW.at),
        CASE WHEN NEW.action = 'command' AND NEW.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || NEW.action END,
        NEW.user_id, NEW.user_email, NEW.key_id, NEW.agent_id, NEW.session_id, NEW.command_id,
        coalesce(NEW.before, NEW.bytes || ' bytes', ''), NEW.outcome, NEW.exit_code);
    RETURN NULL;
END $$;
