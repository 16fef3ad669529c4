//! What every changing route is called in the audit. One that stands in neither list is written down
//! as `change` with its path, and a test fails.

/// Method, path, action: written before the handler acts, and again when it has.
pub const AUDITED: &[(&str, &str, &str)] = &[
    ("POST", "/api/auth/logout", "session.logout"),
    ("POST", "/api/auth/password", "user.password"),
    ("POST", "/api/users", "user.create"),
    ("PATCH", "/api/users/{id}", "user.change"),
    ("DELETE", "/api/users/{id}", "user.delete"),
    ("POST", "/api/keys", "key.create"),
    ("DELETE", "/api/keys/{id}", "key.delete"),
    ("POST", "/api/clients", "client.create"),
    ("PUT", "/api/clients/{id}", "client.change"),
    ("DELETE", "/api/clients/{id}", "client.delete"),
    ("POST", "/api/sites", "site.create"),
    ("PUT", "/api/sites/{id}", "site.change"),
    ("DELETE", "/api/sites/{id}", "site.delete"),
    (
        "POST",
        "/api/sites/{id}/regenerate-key",
        "site.regenerate_key",
    ),
    ("POST", "/api/agents", "agent.create"),
    ("DELETE", "/api/agents/{id}", "agent.delete"),
    ("POST", "/api/agents/{id}/move", "agent.move"),
    ("POST", "/api/agents/{id}/approve", "agent.approve"),
    ("POST", "/api/agents/{id}/reject", "agent.reject"),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/ticket",
        "tunnel.ticket",
    ),
    ("DELETE", "/api/recordings/{id}", "recording.delete"),
    ("POST", "/api/commands/{id}/cancel", "command.cancel"),
    ("POST", "/api/jobs", "job.create"),
    ("POST", "/api/jobs/{id}/cancel", "job.cancel"),
    ("POST", "/api/jobs/{id}/retry", "job.retry"),
    ("POST", "/api/scripts", "script.create"),
    ("PUT", "/api/scripts/{id}", "script.change"),
    ("DELETE", "/api/scripts/{id}", "script.delete"),
    ("POST", "/api/schedules", "schedule.create"),
    ("PUT", "/api/schedules/{id}", "schedule.change"),
    ("DELETE", "/api/schedules/{id}", "schedule.delete"),
    ("POST", "/api/schedules/{id}/run", "schedule.run"),
    ("POST", "/api/policies", "policy.create"),
    ("PUT", "/api/policies/{id}", "policy.change"),
    ("DELETE", "/api/policies/{id}", "policy.delete"),
    (
        "POST",
        "/api/registration-tokens",
        "registration_token.create",
    ),
    (
        "DELETE",
        "/api/registration-tokens/{id}",
        "registration_token.delete",
    ),
    ("POST", "/api/alerts/{id}/acknowledge", "alert.acknowledge"),
    ("POST", "/api/alerts/{id}/resolve", "alert.resolve"),
    ("POST", "/api/alerts/{id}/snooze", "alert.snooze"),
    ("POST", "/api/maintenance", "maintenance.create"),
    ("DELETE", "/api/maintenance/{id}", "maintenance.delete"),
    ("POST", "/api/notifications", "notification.create"),
    ("PUT", "/api/notifications/{id}", "notification.change"),
    ("DELETE", "/api/notifications/{id}", "notification.delete"),
    ("POST", "/api/notifications/{id}/test", "notification.test"),
    ("DELETE", "/api/releases/{id}", "release.remove"),
    ("POST", "/api/rollouts", "rollout.create"),
    ("POST", "/api/rollouts/{id}/pause", "rollout.pause"),
    ("POST", "/api/rollouts/{id}/resume", "rollout.resume"),
    ("POST", "/api/rollouts/{id}/stop", "rollout.stop"),
    ("POST", "/api/rollouts/{id}/advance", "rollout.advance"),
    ("POST", "/api/agents/{id}/update", "agent.update_asked"),
];

/// Method, path, and who writes it down instead.
pub const EXEMPT: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/api/auth/login",
        "the handler: nobody is known before it",
    ),
    (
        "POST",
        "/api/auth/register",
        "the handler: nobody is known before it",
    ),
    (
        "POST",
        "/api/auth/setup",
        "the handler: nobody is known before it",
    ),
    (
        "POST",
        "/api/v1/tunnel/open",
        "tunnel_audit, in the commit of the session",
    ),
    (
        "POST",
        "/api/v1/tunnel/close",
        "tunnel_audit, in the commit of the end",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/command",
        "tunnel_audit, before it is sent",
    ),
    (
        "PUT",
        "/api/agent/lanes/{session_id}/{channel_id}",
        "tunnel_audit, before its lane is offered",
    ),
    (
        "DELETE",
        "/api/v1/tunnel/{session_id}/files",
        "tunnel_audit, before it is sent",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/files/mkdir",
        "tunnel_audit, before it is sent",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/files/rename",
        "tunnel_audit, before it is sent",
    ),
    (
        "PUT",
        "/api/v1/tunnel/{session_id}/files/content",
        "tunnel_audit, before it is sent",
    ),
    (
        "DELETE",
        "/api/v1/tunnel/{session_id}/files/upload",
        "tunnel_audit, before it is sent",
    ),
    (
        "PUT",
        "/api/v1/tunnel/{session_id}/files/archive",
        "tunnel_audit, before it is sent",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/services/{name}/{action}",
        "tunnel_audit, before it is sent",
    ),
    (
        "PUT",
        "/api/v1/tunnel/{session_id}/services/{name}/start-type",
        "tunnel_audit, before it is sent",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/processes/{pid}/kill",
        "tunnel_audit, before it is sent",
    ),
    (
        "PUT",
        "/api/v1/tunnel/{session_id}/registry/value",
        "tunnel_audit, before it is sent",
    ),
    (
        "DELETE",
        "/api/v1/tunnel/{session_id}/registry",
        "tunnel_audit, before it is sent",
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/terminal",
        "tunnel_audit, before it is opened",
    ),
    (
        "POST",
        "/api/agents/{id}/command",
        "tunnel_audit, in the commit of the command",
    ),
    (
        "POST",
        "/api/agent/register-legacy",
        "an agent, no user; the trigger on agents",
    ),
    ("POST", "/api/agent/heartbeat", "an agent, no user"),
    (
        "POST",
        "/api/agent/command-result",
        "an agent, no user; tunnel_audit",
    ),
];

/// What a route does in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audited {
    /// It is written down under this name.
    As(&'static str),
    /// Somebody else writes it down.
    Elsewhere,
    /// It changes nothing.
    Reads,
}

/// What the route of this method and pattern does.
pub fn of(method: &str, pattern: Option<&str>) -> Audited {
    if matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Audited::Reads;
    }
    let pattern = pattern.unwrap_or_default();
    let is = |(m, p, _): &&(&str, &str, &str)| *m == method && *p == pattern;
    if EXEMPT.iter().any(|row| is(&row)) {
        return Audited::Elsewhere;
    }
    let known = AUDITED.iter().find(is);
    Audited::As(known.map_or("change", |(_, _, action)| action))
}
