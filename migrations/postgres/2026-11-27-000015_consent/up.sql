-- What who sits at a machine said to a tunnel is written down.

ALTER TABLE tunnel_audit DROP CONSTRAINT tunnel_audit_action_check;
ALTER TABLE tunnel_audit ADD CONSTRAINT tunnel_audit_action_check CHECK (action IN ('open', 'command', 'close', 'refused', 'terminal', 'tcp', 'file', 'service', 'process',
        'registry', 'watch', 'consent'));
