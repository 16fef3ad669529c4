CREATE OR REPLACE FUNCTION tunnel_audit_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_log (act_id, stage, at, action, user_id, user_email, key_id, agent_id, session_id,
        command_id, outcome, exit_code)
    VALUES (NEW.id, 'ended', coalesce(NEW.ended_at, NEW.at),
        CASE WHEN NEW.action = 'command' AND NEW.session_id IS NULL THEN 'command.run'
             ELSE 'tunnel.' || NEW.action END,
        NEW.user_id, NEW.user_email, NEW.key_id, NEW.agent_id, NEW.session_id, NEW.command_id,
        NEW.outcome, NEW.exit_code);
    RETURN NULL;
END $$;

ALTER TABLE tunnel_audit DROP COLUMN bytes;
ALTER TABLE tunnel_audit DROP COLUMN before;
ALTER TABLE tunnel_audit DROP CONSTRAINT tunnel_audit_action_check;
-- What the older program has no word for stays in audit_log.
DELETE FROM tunnel_audit WHERE action NOT IN ('open', 'command', 'close', 'refused');
ALTER TABLE tunnel_audit ADD CONSTRAINT tunnel_audit_action_check CHECK (action IN ('open', 'command', 'close', 'refused'));
