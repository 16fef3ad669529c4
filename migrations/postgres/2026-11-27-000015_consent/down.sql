-- What the older program has no word for stays in audit_log.
ALTER TABLE tunnel_audit DROP CONSTRAINT tunnel_audit_action_check;
DELETE FROM tunnel_audit WHERE action = 'consent';
ALTER TABLE tunnel_audit ADD CONSTRAINT tunnel_audit_action_check CHECK (action IN ('open', 'command', 'close', 'refused', 'terminal', 'tcp', 'file', 'service', 'process',
        'registry', 'watch'));
