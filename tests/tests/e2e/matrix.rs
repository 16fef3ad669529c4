//! Every route with every kind of credential, against what is written down beside the router; that
//! this is all there is the server's own tests hold against the description of its API.

#[path = "../../../server/src/http/route_table.rs"]
mod route_table;

use gururmm_tests::api::text;
use gururmm_tests::deployment::add_site;
use gururmm_tests::{Api, Deployment, on_both_databases, token};
use reqwest::Method;
use route_table::{Needs, ROUTES};
use serde_json::{Value, json};

const KEY: &str = "a-signing-key-of-more-than-32-bytes!";

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Expired,
    Revoked,
    SiteKey,
    AgentKey,
    ReadOnly,
    ReadOnlyKey,
    Elsewhere,
    Technician,
    Administrator,
}

/// What may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Neither 401 nor 403: what was asked for was looked at.
    Let,
    Unauthorized,
    Forbidden,
    /// Let in, but the thing belongs to somebody else.
    OutOfScope,
}

/// Routes about one place or machine, where a technician of another client is told so. The tunnels'
/// own routes are about sessions, of which none exists here.
const ABOUT_A_PLACE: [(&str, &str); 13] = [
    ("POST", "/api/agents/{id}/command"),
    ("GET", "/api/agents/{id}/policy"),
    ("GET", "/api/agents/{id}/inventory"),
    ("GET", "/api/agents/{id}/inventory/changes"),
    ("GET", "/api/clients/{id}"),
    ("GET", "/api/clients/{id}/sites"),
    ("GET", "/api/sites/{id}"),
    ("GET", "/api/agents/{id}"),
    ("GET", "/api/agents/{id}/state"),
    ("GET", "/api/agents/{id}/metrics"),
    // Scripts belong to everybody.
    ("POST", "/api/scripts"),
    ("PUT", "/api/scripts/{id}"),
    ("DELETE", "/api/scripts/{id}"),
];

/// The table: what each may of what is needed.
fn expected(who: Who, method: &str, path: &str, needs: Needs) -> Class {
    let reads = matches!(needs, Needs::Capability("ReadFleet"));
    let works = reads
        || matches!(
            needs,
            Needs::Capability("UseTunnels" | "RunCommands" | "HandleAlerts" | "ManageAutomation")
        );
    let logged_in = matches!(needs, Needs::LogIn | Needs::Person);
    match (who, needs) {
        (_, Needs::Nothing) => Class::Let,
        (Who::Nobody | Who::Expired | Who::Revoked | Who::SiteKey | Who::AgentKey, _) => {
            Class::Unauthorized
        }
        (Who::Administrator, _) => Class::Let,
        (Who::ReadOnlyKey, Needs::Person) => Class::Forbidden,
        (Who::ReadOnly | Who::ReadOnlyKey, _) if reads || logged_in => Class::Let,
        (Who::Elsewhere, _) if ABOUT_A_PLACE.contains(&(method, path)) => Class::OutOfScope,
        (Who::Elsewhere, _) if path == "/api/v1/tunnel/open" => Class::OutOfScope,
        (Who::Technician | Who::Elsewhere, _) if works || logged_in => Class::Let,
        _ => Class::Forbidden,
    }
}

on_both_databases! {
    async fn every_route_answers_every_credential_as_the_table_says(world: World) {
        let settings = [("auth.signing_key", KEY), ("auth.account_attempts_per_minute", "100000"),
            ("auth.address_attempts_per_minute", "100000")];
        let rmm = world.deploy(&settings).await;
        let place = Place::create(&rmm).await;
        let mut faults = Vec::new();
        for who in [Who::Nobody, Who::Expired, Who::Revoked, Who::SiteKey, Who::AgentKey, Who::ReadOnly,
            Who::ReadOnlyKey, Who::Elsewhere, Who::Technician, Who::Administrator] {
            let mut api = credential(&rmm, &place, who).await;
            for (method, path, needs) in ROUTES {
                // A WebSocket's first message is its credential; that is tested elsewhere.
                if *path == "/ws" || path.ends_with("/stream") {
                    continue;
                }
                let answer = place.ask(&api, method, path).await;
                if *path == "/api/auth/logout" {
                    api = credential(&rmm, &place, who).await;
                }
                let wanted = expected(who, method, path, *needs);
                let code = if answer.status == 403 && *method != "HEAD" { answer.json()["code"].clone() } else { Value::Null };
                let fits = match wanted {
                    Class::Unauthorized => answer.status == 401,
                    Class::Forbidden => answer.status == 403 && code != "out_of_scope",
                    Class::OutOfScope => answer.status == 403 && code == "out_of_scope",
                    // A wrong password, a wrong token: what such routes say of themselves.
                    Class::Let if *needs == Needs::Nothing => answer.status < 500,
                    Class::Let if *path == "/api/auth/password" => code.is_null(),
                    Class::Let => ![401, 403].contains(&answer.status) && answer.status < 500,
                };
                if !fits {
                    faults.push(format!("{who:?} {method} {path}: {wanted:?}, got {} {}", answer.status, answer.text));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// What the requests are about; nothing of it is changed by them.
struct Place {
    client_id: String,
    site_id: String,
    agent_id: String,
    agent_key: String,
    expired: String,
    revoked: Api,
    read_only: (String, String),
    read_only_key: String,
    elsewhere: (String, String),
}

impl Place {
    async fn create(rmm: &Deployment) -> Self {
        let body = json!({"site_id": rmm.site.id, "device_id": "d", "hostname": "h"});
        let agent = rmm.admin.post("/api/agents", body).await.expect(201);
        let client = json!({"name": "Other Client"});
        let client = rmm.admin.post("/api/clients", client).await.expect(201);
        add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
        let password = "a long password 3".to_owned();
        let scope = json!({"client_ids": [client["id"]]});
        for (email, role, scope) in [
            ("reader@example.com", "read_only", Value::Null),
            ("elsewhere@example.com", "technician", scope),
            ("gone@example.com", "administrator", Value::Null),
        ] {
            let body = json!({"email": email, "password": password, "role": role, "scope": scope});
            rmm.admin.post("/api/users", body).await.check(201);
        }
        let revoked = rmm
            .server
            .anonymous()
            .log_in("gone@example.com", &password)
            .await;
        revoked.post("/api/auth/logout", json!({})).await.check(204);
        let key = json!({"name": "reader", "role": "read_only"});
        let key = rmm.admin.post("/api/keys", key).await.expect(201);
        Self {
            client_id: rmm.site.client_id.clone(),
            site_id: rmm.site.id.clone(),
            agent_id: text(&agent, "id").to_owned(),
            agent_key: text(&agent, "api_key").to_owned(),
            expired: expired(rmm.admin.token()),
            revoked,
            read_only: ("reader@example.com".to_owned(), password.clone()),
            read_only_key: text(&key, "key").to_owned(),
            elsewhere: ("elsewhere@example.com".to_owned(), password),
        }
    }

    /// Asks for something that exists, in such a way that nothing comes of it.
    async fn ask(&self, api: &Api, method: &str, path: &str) -> gururmm_tests::Answer {
        let id = if path.starts_with("/api/clients") {
            self.client_id.clone()
        } else if path.starts_with("/api/sites") {
            self.site_id.clone()
        } else if path.starts_with("/api/agents") {
            self.agent_id.clone()
        } else {
            uuid::Uuid::new_v4().to_string()
        };
        // Who may remove it is told that it does not exist, or that it is not empty.
        let id = match method {
            "DELETE" if path.starts_with("/api/agents") => uuid::Uuid::new_v4().to_string(),
            _ => id,
        };
        let path = path
            .replace("{id}", &id)
            .replace("{session_id}", &id)
            .replace("{name}", "x")
            .replace("{action}", "stop")
            .replace("{pid}", "1");
        let body = match path.as_str() {
            "/api/v1/tunnel/open" => json!({"agent_id": self.agent_id}),
            "/api/v1/tunnel/close" => json!({"session_id": id}),
            "/api/auth/password" => {
                json!({"current_password": "not the password", "new_password": "a wholly new one"})
            }
            "/api/auth/login" => json!({"email": "x@example.com", "password": "x"}),
            "/api/auth/setup" => {
                json!({"token": "x", "email": "x@example.com", "password": "a long password 3"})
            }
            "/api/users" => json!({"email": format!("{id}@example.com"), "role": "read_only",
                "password": "a long password 3"}),
            "/api/keys" => json!({"name": "k", "role": "read_only"}),
            "/api/sites" => json!({"client_id": self.client_id, "name": id}),
            "/api/agents" => json!({"site_id": self.site_id, "device_id": id, "hostname": "h"}),
            path if path.ends_with("/files/mkdir") => json!({"path": "/x"}),
            path if path.ends_with("/files/rename") => json!({"from": "/x", "to": "/y"}),
            path if path.ends_with("/start-type") => json!({"start_type": "manual"}),
            path if path.ends_with("/kill") => json!({"started": 1}),
            path if path.ends_with("/registry/value") => {
                json!({"key": "HKLM", "value": {"name": "x", "type": "dword", "data": 1}})
            }
            path if path.ends_with("/move") => json!({"site_id": self.site_id}),
            path if path.ends_with("/command") => json!({"command": "true"}),
            "/api/registration-tokens" => json!({"site_id": self.site_id, "name": "t"}),
            "/api/jobs" => json!({"name": "j", "command": "true", "filter": {"agent_ids": [id]}}),
            "/api/maintenance" => {
                json!({"site_id": id, "ends_at": "2100-01-01T00:00:00Z", "reason": "r"})
            }
            "/api/notifications" => json!({"name": "n", "kind": "email", "target": "x"}),
            path if path.starts_with("/api/schedules") => json!({"name": "s", "cron": "@yearly",
                "time_zone": "UTC", "enabled": false, "when_offline": "skip", "filter": {},
                "command": "true"}),
            path if path.starts_with("/api/policies") => json!({"name": "p", "settings": {}}),
            path if path.starts_with("/api/notifications/") => {
                json!({"name": "n", "target": "x", "min_severity": "warning", "enabled": true})
            }
            path if path.ends_with("/snooze") => json!({"until": "2100-01-01T00:00:00Z"}),
            path if path.starts_with("/api/users/") => json!({"name": "x"}),
            _ => json!({"name": format!("name {id}")}),
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let reads = [Method::GET, Method::HEAD, Method::DELETE].contains(&method);
        let query = if path.contains("/files") {
            "?path=/x&upload=u&size=1"
        } else if path.contains("/registry") {
            "?key=HKLM"
        } else {
            ""
        };
        let path = path + query;
        let headers = [("content-type", "application/json")];
        let body = (!reads).then(|| body.to_string());
        let sent = api.send(method, &path, &headers, body).await;
        sent.expect("the server answers")
    }
}

/// A token that was good a second ago.
fn expired(good: &str) -> String {
    let mut claims = token::claims(good);
    claims["exp"] = json!(chrono::Utc::now().timestamp() - 1);
    token::signed(jsonwebtoken::Algorithm::HS256, &claims, KEY.as_bytes())
}

/// A client with the credential.
async fn credential(rmm: &Deployment, place: &Place, who: Who) -> Api {
    let api = rmm.server.anonymous();
    match who {
        Who::Nobody => api,
        Who::Expired => api.with_token(&place.expired),
        Who::Revoked => place.revoked.clone(),
        Who::SiteKey => api.with_token(&rmm.site.key),
        Who::AgentKey => api.with_token(&place.agent_key),
        Who::ReadOnly => api.log_in(&place.read_only.0, &place.read_only.1).await,
        Who::ReadOnlyKey => api.with_token(&place.read_only_key),
        Who::Elsewhere => api.log_in(&place.elsewhere.0, &place.elsewhere.1).await,
        Who::Technician => {
            let (email, password) = gururmm_tests::deployment::TECHNICIAN;
            api.log_in(email, password).await
        }
        Who::Administrator => {
            let (email, password) = gururmm_tests::deployment::ADMIN;
            api.log_in(email, password).await
        }
    }
}
