//! Things of every kind, whose ids and bodies the description is given as examples: random ids find
//! nothing, and what finds nothing shows little.

use chrono::{Duration, Utc};
use gururmm_tests::api::text;
use gururmm_tests::deployment::{TECHNICIAN, add_site};
use gururmm_tests::{Deployment, Site};
use serde_json::{Value, json};

use crate::things::{Things, obliging};

/// What is asked about.
pub struct Examples {
    first: Things,
    /// What may be deleted.
    second: Things,
    /// An agent without a session.
    free_agent: String,
    user: String,
    empty_site: Site,
    empty_client: String,
}

impl Examples {
    /// Makes all of it.
    pub async fn furnish(rmm: &Deployment) -> Self {
        let mut sites = Vec::new();
        for name in ["second", "empty", "empty too"] {
            let client = rmm.admin.post("/api/clients", json!({"name": name})).await;
            let client = client.expect(201);
            sites.push(add_site(&rmm.admin, text(&client, "id"), "Site").await);
        }
        let empty = rmm
            .admin
            .post("/api/clients", json!({"name": "bare"}))
            .await;
        let (agent, free_agent) = rmm.raw_agent().await;
        tokio::spawn(obliging(agent));
        let (user, _) = rmm.add_user("victim@example.com", "read_only").await;
        // What belongs to a person belongs to whom the key is of.
        let owner = &rmm.admin;
        Self {
            first: Things::create(rmm, rmm.site.clone(), owner, "zanzibar").await,
            second: Things::create(rmm, sites[0].clone(), owner, "timbuktu").await,
            free_agent: free_agent.to_string(),
            user,
            empty_site: sites[1].clone(),
            empty_client: text(&empty.expect(201), "id").to_owned(),
        }
    }

    /// The key of an agent that polls.
    pub fn agent_key(&self) -> &str {
        &self.first.polling_key
    }

    /// The description with an example of each id and of each body that chance does not find.
    pub fn put_into(&self, mut description: Value) -> Value {
        let paths = description["paths"].as_object_mut();
        for (path, item) in paths.expect("there are paths") {
            for (method, operation) in item.as_object_mut().expect("there are methods") {
                let parameters = operation.get_mut("parameters");
                let parameters = parameters.and_then(Value::as_array_mut);
                for parameter in parameters.into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap_or_default();
                    let example = match name {
                        "session_id" if path.contains('{') => Some(self.first.session.clone()),
                        "file" => Some("swagger-ui.css".to_owned()),
                        "sha256" => Some(self.first.sha256.clone()),
                        "platform" => Some("linux-x86_64".to_owned()),
                        "id" => self.id(method, path),
                        _ => None,
                    };
                    if let Some(example) = example {
                        parameter["example"] = json!(example);
                    }
                }
                if let Some(body) = self.body(method, path) {
                    operation["requestBody"]["content"]["application/json"]["example"] = body;
                }
            }
        }
        description
    }

    fn id(&self, method: &str, path: &str) -> Option<String> {
        let deletes = method == "delete";
        let things = if deletes { &self.second } else { &self.first };
        let segment = path.split('/').nth(2).unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let id = match segment {
            "users" => &self.user,
            "clients" if deletes => &self.empty_client,
            "clients" => &things.site.client_id,
            "sites" if deletes => &self.empty_site.id,
            "sites" => &things.site.id,
            "agents" if last == "approve" => &self.first.pending_agent,
            "agents" if last == "reject" => &self.second.pending_agent,
            "agents" if deletes || last == "move" => &things.spare_agent,
            "agents" => return Some(things.agent_id.to_string()),
            "alerts" if last == "resolve" => &self.second.alert,
            "alerts" => &things.alert,
            "commands" => &things.command,
            "jobs" => &things.job,
            "keys" => &things.key,
            "maintenance" => &things.window,
            "notifications" => &things.channel,
            "policies" => &things.policy,
            "recordings" => &things.recording,
            "registration-tokens" => &things.token,
            "releases" => &things.release,
            "rollouts" => &things.rollout,
            "schedules" => &things.schedule,
            "scripts" => &things.script,
            _ => return None,
        };
        Some(id.clone())
    }

    fn body(&self, method: &str, path: &str) -> Option<Value> {
        let soon = Utc::now() + Duration::hours(2);
        let schedule = json!({"name": "yearly", "cron": "@yearly", "time_zone": "UTC",
            "enabled": false, "when_offline": "skip", "command": "true", "script_id": null,
            "parameters": null, "command_type": null,
            "filter": {"client_id": self.first.site.client_id}});
        Some(match (method, path) {
            ("post", "/api/agent/register-legacy") => {
                json!({"site_code": self.first.site.code, "device_id": "polls"})
            }
            ("post", "/api/agent/command-result") => {
                json!({"command_id": self.first.waiting_command, "exit_code": 0})
            }
            ("post", "/api/auth/login") => {
                json!({"email": TECHNICIAN.0, "password": TECHNICIAN.1})
            }
            ("post", "/api/agents/{id}/command") => json!({"command": "true",
                "script_id": null, "parameters": null, "command_type": null}),
            ("post", "/api/agents/{id}/move") => json!({"site_id": self.first.site.id}),
            ("post", "/api/jobs") => json!({"name": "job", "command": "true",
                "script_id": null, "parameters": null, "command_type": null,
                "filter": {"agent_ids": [self.first.agent_id]}}),
            ("post", "/api/scripts") => json!({"name": "a script", "body": "true"}),
            ("put", "/api/scripts/{id}") => json!({"name": "another script", "body": "true"}),
            ("post", "/api/schedules") | ("put", "/api/schedules/{id}") => schedule,
            ("post", "/api/maintenance") => json!({"ends_at": soon, "reason": "new disks",
                "starts_at": null, "client_id": null, "site_id": null, "agent_id": null}),
            ("post", "/api/alerts/{id}/snooze") => json!({"until": soon}),
            ("post", "/api/rollouts") => json!({"release_id": self.first.release,
                "version": null, "channel": null, "waves": [100]}),
            ("post", "/api/v1/tunnel/open") => json!({"agent_id": self.free_agent}),
            ("post", "/api/v1/tunnel/{session_id}/command") => {
                json!({"command": "true", "command_type": null})
            }
            _ => return None,
        })
    }
}
