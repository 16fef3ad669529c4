//! How each route is asked about a thing that exists, so that as little as possible comes of it.

use gururmm_tests::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::things::{Kind, Things};

/// WebSockets, whose first message is their credential; they are tested elsewhere.
pub const SOCKETS: [&str; 2] = ["/ws", "/api/v1/tunnel/{session_id}/stream"];

/// What asks for a WebSocket.
pub const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Which of the things a request ends, if it is let in.
pub fn ended_by(method: &str, path: &str) -> Option<Kind> {
    match (method, path) {
        ("POST", "/api/v1/tunnel/close") => Some(Kind::Session),
        ("DELETE", "/api/agents/{id}") => Some(Kind::SpareAgent),
        ("DELETE", "/api/policies/{id}") => Some(Kind::Policy),
        ("DELETE", "/api/registration-tokens/{id}") => Some(Kind::Token),
        ("DELETE", "/api/maintenance/{id}") => Some(Kind::Window),
        ("DELETE", "/api/notifications/{id}") => Some(Kind::Channel),
        ("DELETE", "/api/scripts/{id}") => Some(Kind::Script),
        ("DELETE", "/api/schedules/{id}") => Some(Kind::Schedule),
        ("DELETE", "/api/keys/{id}") => Some(Kind::Key),
        ("DELETE", "/api/releases/{id}") => Some(Kind::Release),
        _ => None,
    }
}

/// The id that stands in a path.
fn id_in(path: &str, method: &str, things: &Things, user: &str) -> String {
    let segment = path.split('/').nth(2).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    match segment {
        "users" => user.to_owned(),
        "keys" => things.key.clone(),
        "clients" => things.site.client_id.clone(),
        // The one where nothing happens, as far as it is enough.
        "sites" if last == "regenerate-key" => things.spare_site.id.clone(),
        "sites" => things.site.id.clone(),
        "agents" if method == "DELETE" || matches!(last, "move" | "approve" | "reject") => {
            things.spare_agent.clone()
        }
        "agents" => things.agent_id.to_string(),
        "commands" => things.command.clone(),
        "jobs" => things.job.clone(),
        "scripts" => things.script.clone(),
        "schedules" => things.schedule.clone(),
        "policies" => things.policy.clone(),
        "registration-tokens" => things.token.clone(),
        "alerts" => things.alert.clone(),
        "maintenance" => things.window.clone(),
        "notifications" => things.channel.clone(),
        "recordings" => things.recording.clone(),
        "releases" => things.release.clone(),
        "rollouts" => things.rollout.clone(),
        _ => Uuid::new_v4().to_string(),
    }
}

/// Asks; `user` is the id of somebody who does nothing else.
pub async fn ask(api: &Api, method: &str, path: &str, things: &Things, user: &str) -> Answer {
    let body = body(method, path, things);
    let id = id_in(path, method, things, user);
    let mut url = path
        .replace("{id}", &id)
        .replace("{session_id}", &things.session)
        .replace("{file}", "swagger-ui.css")
        .replace("{sha256}", &things.sha256)
        .replace("{platform}", "linux-x86_64")
        .replace("{channel_id}", "file-1")
        .replace("{name}", "x")
        .replace("{action}", "stop")
        .replace("{pid}", "1");
    url += query(path);
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let bare = [Method::GET, Method::HEAD, Method::DELETE].contains(&method);
    let mut headers = vec![
        ("content-type", "application/json"),
        ("if-match", "\"stale\""),
    ];
    if path.ends_with("/tcp") {
        headers.extend(UPGRADE);
    }
    let body = (!bare).then(|| body.to_string());
    let sent = api.send(method, &url, &headers, body).await;
    sent.expect("the server answers")
}

fn query(path: &str) -> &'static str {
    match path {
        "/api/recordings/{id}/search" => "?text=make",
        "/api/inventory/search" => "?q=e",
        "/api/recordings/{id}/index" => "?at=0",
        path if path.ends_with("/tcp") => "?host=127.0.0.1&port=9",
        // As long as the body.
        path if path.contains("/files") => "?path=/x&upload=u&size=2",
        path if path.contains("/registry") => "?key=HKLM",
        _ => "",
    }
}

fn body(method: &str, path: &str, things: &Things) -> Value {
    let (client, site) = (&things.site.client_id, &things.site.id);
    let unique = Uuid::new_v4();
    let far = "2100-01-01T00:00:00Z";
    let password = "a long password 3";
    match path {
        "/api/auth/login" => json!({"email": "x@example.com", "password": "x"}),
        "/api/auth/register" => json!({"email": "x@example.com", "password": password}),
        "/api/auth/setup" => json!({"token": "x", "email": "x@example.com", "password": password}),
        "/api/auth/password" => {
            json!({"current_password": "not the password", "new_password": "a wholly new one"})
        }
        "/api/users" => {
            json!({"email": format!("{unique}@example.com"), "role": "read_only",
                "password": password})
        }
        "/api/keys" => json!({"name": "k", "role": "read_only"}),
        "/api/sites" => json!({"client_id": client, "name": unique}),
        "/api/agents" => json!({"site_id": site, "device_id": unique, "hostname": "h"}),
        "/api/v1/tunnel/open" => json!({"agent_id": things.agent_id}),
        "/api/v1/tunnel/close" => json!({"session_id": things.session}),
        "/api/registration-tokens" => json!({"site_id": site, "name": "t"}),
        "/api/jobs" => json!({"name": "j", "command": "true",
            "filter": {"agent_ids": [things.agent_id]}}),
        // Far too late, which is found out after all else.
        "/api/maintenance" => json!({"site_id": site, "ends_at": far, "reason": "r"}),
        "/api/policies" => json!({"name": "p", "site_id": things.spare_site.id, "settings": {}}),
        "/api/notifications" => {
            json!({"name": "n", "kind": "email", "target": "x", "client_id": client})
        }
        "/api/agent/register-legacy" => json!({"site_code": "x", "device_id": unique}),
        "/api/agent/command-result" => {
            json!({"command_id": things.waiting_command, "exit_code": 0})
        }
        "/api/scripts" => json!({"name": unique, "body": "true"}),
        "/api/schedules" => schedule(things),
        // What is wrong with it is found out after all else.
        "/api/rollouts" => json!({"release_id": things.release, "channel": "beta"}),
        path if path.starts_with("/api/rollouts/") => json!({}),
        "/api/agents/{id}/update" => json!({}),
        path if path.ends_with("/run") => json!({}),
        path if path.ends_with("/move") => json!({"site_id": site}),
        path if path.ends_with("/command") => json!({"command": "true"}),
        path if path.ends_with("/snooze") => json!({"until": far}),
        path if ["/ticket", "/content", "/upload", "/archive"]
            .iter()
            .any(|end| path.ends_with(end)) =>
        {
            json!({})
        }
        path if path.ends_with("/terminal") => json!({"cols": 80, "rows": 24}),
        path if path.ends_with("/files/mkdir") => json!({"path": "/x"}),
        path if path.ends_with("/files/rename") => json!({"from": "/x", "to": "/y"}),
        path if path.ends_with("/start-type") => json!({"start_type": "manual"}),
        path if path.ends_with("/kill") => json!({"started": 1}),
        path if path.ends_with("/registry/value") => {
            json!({"key": "HKLM", "value": {"name": "x", "type": "dword", "data": 1}})
        }
        _ if method == "PUT" => match path {
            "/api/policies/{id}" => json!({"name": "p", "settings": {}}),
            "/api/notifications/{id}" => json!({"name": "n",
                "target": "ops@example.com", "min_severity": "warning", "enabled": true}),
            "/api/schedules/{id}" => schedule(things),
            _ => json!({"name": unique, "body": "true"}),
        },
        _ => json!({"name": unique}),
    }
}

fn schedule(things: &Things) -> Value {
    json!({"name": "s", "cron": "@yearly", "time_zone": "UTC",
        "enabled": false, "when_offline": "skip", "command": "true",
        "filter": {"client_id": things.site.client_id}})
}
