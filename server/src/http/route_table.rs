//! Every route and what it asks for, written down a second time: tests hold the router and the
//! answers of the running server against it, so that no route comes in unseen.

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing at all, or something that stands in the request itself: a password, a ticket.
    Nothing,
    /// A log-in or a key, of any role.
    LogIn,
    /// A log-in, and no key.
    Person,
    /// A role with this capability, whose name is that of `domain::role`.
    Capability(&'static str),
}

use Needs::{Capability, LogIn, Nothing, Person};

/// Method, path, need.
pub const ROUTES: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", Nothing),
    ("GET", "/ws", Nothing),
    ("POST", "/api/auth/login", Nothing),
    ("POST", "/api/auth/register", Nothing),
    ("POST", "/api/auth/setup", Nothing),
    ("GET", "/api/auth/me", LogIn),
    ("POST", "/api/auth/logout", Person),
    ("POST", "/api/auth/password", Person),
    ("GET", "/api/users", Capability("ManageUsers")),
    ("POST", "/api/users", Capability("ManageUsers")),
    ("GET", "/api/users/{id}", Capability("ManageUsers")),
    ("PATCH", "/api/users/{id}", Capability("ManageUsers")),
    ("DELETE", "/api/users/{id}", Capability("ManageUsers")),
    ("GET", "/api/keys", LogIn),
    ("POST", "/api/keys", Person),
    ("DELETE", "/api/keys/{id}", Person),
    ("GET", "/api/clients", Capability("ReadFleet")),
    ("POST", "/api/clients", Capability("ManagePlaces")),
    ("GET", "/api/clients/{id}", Capability("ReadFleet")),
    ("PUT", "/api/clients/{id}", Capability("ManagePlaces")),
    ("DELETE", "/api/clients/{id}", Capability("ManagePlaces")),
    ("GET", "/api/clients/{id}/sites", Capability("ReadFleet")),
    ("GET", "/api/sites", Capability("ReadFleet")),
    ("POST", "/api/sites", Capability("ManagePlaces")),
    ("GET", "/api/sites/{id}", Capability("ReadFleet")),
    ("PUT", "/api/sites/{id}", Capability("ManagePlaces")),
    ("DELETE", "/api/sites/{id}", Capability("ManagePlaces")),
    (
        "POST",
        "/api/sites/{id}/regenerate-key",
        Capability("ManagePlaces"),
    ),
    ("GET", "/api/agents", Capability("ReadFleet")),
    ("POST", "/api/agents", Capability("ManageAgents")),
    ("GET", "/api/agents/stats", Capability("ReadFleet")),
    ("GET", "/api/agents/unassigned", Capability("ReadFleet")),
    ("GET", "/api/agents/{id}", Capability("ReadFleet")),
    ("DELETE", "/api/agents/{id}", Capability("ManageAgents")),
    ("GET", "/api/agents/{id}/state", Capability("ReadFleet")),
    ("POST", "/api/agents/{id}/move", Capability("ManageAgents")),
    ("GET", "/api/agents/{id}/metrics", Capability("ReadFleet")),
    ("GET", "/api/metrics/summary", Capability("ReadFleet")),
    ("GET", "/api/audit/tunnel", Capability("ReadAudit")),
    ("GET", "/api/audit", Capability("ReadAudit")),
    ("GET", "/api/audit/export", Capability("ReadAudit")),
    ("GET", "/api/v1/tunnel", Capability("UseTunnels")),
    ("POST", "/api/v1/tunnel/open", Capability("UseTunnels")),
    ("POST", "/api/v1/tunnel/close", Capability("UseTunnels")),
    (
        "GET",
        "/api/v1/tunnel/status/{session_id}",
        Capability("UseTunnels"),
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/command",
        Capability("UseTunnels"),
    ),
    (
        "POST",
        "/api/v1/tunnel/{session_id}/ticket",
        Capability("UseTunnels"),
    ),
    ("GET", "/api/v1/tunnel/{session_id}/stream", Nothing),
    (
        "POST",
        "/api/agents/{id}/command",
        Capability("RunCommands"),
    ),
    ("GET", "/api/commands", Capability("ReadFleet")),
    ("GET", "/api/commands/{id}", Capability("ReadFleet")),
    (
        "POST",
        "/api/commands/{id}/cancel",
        Capability("RunCommands"),
    ),
    ("GET", "/api/jobs", Capability("ReadFleet")),
    ("POST", "/api/jobs", Capability("RunCommands")),
    ("GET", "/api/jobs/{id}", Capability("ReadFleet")),
    ("POST", "/api/jobs/{id}/cancel", Capability("RunCommands")),
    ("POST", "/api/jobs/{id}/retry", Capability("RunCommands")),
    ("GET", "/api/scripts", Capability("ReadFleet")),
    ("POST", "/api/scripts", Capability("ManageAutomation")),
    ("GET", "/api/scripts/{id}", Capability("ReadFleet")),
    ("PUT", "/api/scripts/{id}", Capability("ManageAutomation")),
    (
        "DELETE",
        "/api/scripts/{id}",
        Capability("ManageAutomation"),
    ),
    ("GET", "/api/schedules", Capability("ReadFleet")),
    ("POST", "/api/schedules", Capability("ManageAutomation")),
    ("GET", "/api/schedules/{id}", Capability("ReadFleet")),
    ("PUT", "/api/schedules/{id}", Capability("ManageAutomation")),
    (
        "DELETE",
        "/api/schedules/{id}",
        Capability("ManageAutomation"),
    ),
    (
        "POST",
        "/api/schedules/{id}/run",
        Capability("ManageAutomation"),
    ),
    ("GET", "/api/schedules/{id}/runs", Capability("ReadFleet")),
    ("POST", "/api/agent/register-legacy", Nothing),
    ("POST", "/api/agent/heartbeat", Nothing),
    ("GET", "/api/policies", Capability("ReadFleet")),
    ("POST", "/api/policies", Capability("ManagePolicies")),
    ("GET", "/api/policies/{id}", Capability("ReadFleet")),
    ("PUT", "/api/policies/{id}", Capability("ManagePolicies")),
    ("DELETE", "/api/policies/{id}", Capability("ManagePolicies")),
    ("GET", "/api/agents/{id}/policy", Capability("ReadFleet")),
    (
        "GET",
        "/api/registration-tokens",
        Capability("ManageAgents"),
    ),
    (
        "POST",
        "/api/registration-tokens",
        Capability("ManageAgents"),
    ),
    (
        "DELETE",
        "/api/registration-tokens/{id}",
        Capability("ManageAgents"),
    ),
    ("GET", "/api/agents/pending", Capability("ReadFleet")),
    ("GET", "/api/agents/duplicates", Capability("ReadFleet")),
    (
        "POST",
        "/api/agents/{id}/approve",
        Capability("ManageAgents"),
    ),
    (
        "POST",
        "/api/agents/{id}/reject",
        Capability("ManageAgents"),
    ),
    ("GET", "/api/agents/{id}/inventory", Capability("ReadFleet")),
    (
        "GET",
        "/api/agents/{id}/inventory/changes",
        Capability("ReadFleet"),
    ),
    ("GET", "/api/inventory/software", Capability("ReadFleet")),
    ("GET", "/api/alerts", Capability("ReadFleet")),
    (
        "POST",
        "/api/alerts/{id}/acknowledge",
        Capability("HandleAlerts"),
    ),
    (
        "POST",
        "/api/alerts/{id}/resolve",
        Capability("HandleAlerts"),
    ),
    (
        "POST",
        "/api/alerts/{id}/snooze",
        Capability("HandleAlerts"),
    ),
    ("GET", "/api/maintenance", Capability("ReadFleet")),
    ("POST", "/api/maintenance", Capability("HandleAlerts")),
    (
        "DELETE",
        "/api/maintenance/{id}",
        Capability("HandleAlerts"),
    ),
    ("GET", "/api/notifications", Capability("ManagePolicies")),
    ("POST", "/api/notifications", Capability("ManagePolicies")),
    (
        "GET",
        "/api/notifications/{id}",
        Capability("ManagePolicies"),
    ),
    (
        "PUT",
        "/api/notifications/{id}",
        Capability("ManagePolicies"),
    ),
    (
        "DELETE",
        "/api/notifications/{id}",
        Capability("ManagePolicies"),
    ),
    (
        "POST",
        "/api/notifications/{id}/test",
        Capability("ManagePolicies"),
    ),
    (
        "GET",
        "/api/notifications/{id}/deliveries",
        Capability("ManagePolicies"),
    ),
    (
        "GET",
        "/api/v1/tunnel/{session_id}/audit",
        Capability("UseTunnels"),
    ),
];

/// The routes that the router's text registers, as `.route("path", method().to(…))`.
#[must_use]
pub fn registered(router: &str) -> Vec<(String, String)> {
    let calls = router.split(".route(").skip(1);
    calls
        .filter_map(|call| {
            let (path, rest) = call.trim_start().strip_prefix('"')?.split_once('"')?;
            let rest = rest.trim_start_matches([',', ' ', '\n']);
            let (method, _) = rest.split_once("()")?;
            Some((method.to_uppercase(), path.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::registered;

    #[test]
    fn routes_are_read_from_the_router_on_one_line_and_on_several() {
        let text = ".route(\"/a\", get().to(x))\n.route(\n  \"/b/{id}\",\n  post().to(y),\n)";
        let found = registered(text);
        assert_eq!(found[0], ("GET".to_owned(), "/a".to_owned()));
        assert_eq!(found[1], ("POST".to_owned(), "/b/{id}".to_owned()));
    }

    #[test]
    fn every_route_of_the_router_stands_in_the_table() {
        for (method, path) in registered(include_str!("router.rs")) {
            let stands = super::ROUTES
                .iter()
                .any(|(m, p, _)| *m == method && *p == path);
            assert!(stands, "{method} {path} is missing in route_table.rs");
        }
    }
}
