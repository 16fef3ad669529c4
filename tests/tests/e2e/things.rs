//! One of everything that belongs to somebody, in one client: what tests of roles and scopes ask for.

use std::path::PathBuf;

use chrono::{Duration as Time, Utc};
use gururmm_shared::{
    AgentId, AgentMessage, Inventory, InventorySections, ServerMessage, SoftwareInfo,
};
use gururmm_tests::api::text;
use gururmm_tests::database::Engine;
use gururmm_tests::deployment::{Site, add_site};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, Heard, RawAgent, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// A recording's file.
const CAST: &str =
    "{\"version\":2,\"width\":80,\"height\":24}\n[0.500000, \"o\", \"$ make\\r\\n\"]\n";

/// What can be made again when a test has deleted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An agent that never connected.
    SpareAgent,
    /// A policy of that agent's site.
    Policy,
    /// A registration token.
    Token,
    /// A maintenance window.
    Window,
    /// A notification channel.
    Channel,
    /// A script.
    Script,
    /// A schedule of the owner's.
    Schedule,
    /// A key of the owner's.
    Key,
    /// A session of the owner's.
    Session,
    /// A release.
    Release,
}

/// Everything of one client.
pub struct Things {
    /// A word that stands in the name of each thing and in nothing else.
    pub word: String,
    /// The client's site.
    pub site: Site,
    /// A second site, where nothing happens.
    pub spare_site: Site,
    /// An agent that is connected and does nothing that it is told, but opens tunnels.
    pub agent_id: AgentId,
    /// An agent that never connected.
    pub spare_agent: String,
    /// An agent that polls, of the same device as one in the second site.
    pub polling_agent: String,
    /// Its key.
    pub polling_key: String,
    /// Its device's id.
    pub device_id: String,
    /// The agent of that device in the second site.
    pub twin: String,
    /// A command of the polling agent, which waits.
    pub waiting_command: String,
    /// An agent that waits for approval.
    pub pending_agent: String,
    /// A command for the agent that is connected.
    pub command: String,
    /// A job for it.
    pub job: String,
    /// An alert about it.
    pub alert: String,
    /// The recording of a terminal of the owner's.
    pub recording: String,
    /// A policy of the second site.
    pub policy: String,
    /// A registration token.
    pub token: String,
    /// A maintenance window.
    pub window: String,
    /// A notification channel.
    pub channel: String,
    /// A script.
    pub script: String,
    /// A schedule of the owner's.
    pub schedule: String,
    /// A key of the owner's.
    pub key: String,
    /// A session of the owner's.
    pub session: String,
    /// A release for Linux on x86-64, in the channel stable.
    pub release: String,
    /// The SHA-256 of its program.
    pub sha256: String,
    /// A rollout that is over.
    pub rollout: String,
}

impl Things {
    /// Makes all of it in the client of a site; `owner` is a technician who may act there.
    pub async fn create(rmm: &Deployment, site: Site, owner: &Api, word: &str) -> Self {
        let spare_site = add_site(&rmm.admin, &site.client_id, &format!("{word} spare")).await;
        let name = json!({"name": format!("{word} client")});
        let path = format!("/api/clients/{}", site.client_id);
        rmm.admin.put(&path, name).await.check(200);
        let name = json!({"name": format!("{word} site")});
        let path = format!("/api/sites/{}", site.id);
        rmm.admin.put(&path, name).await.check(200);
        let agent_id = connect(rmm, &site, word).await;
        let (polling_agent, polling_key) = by_hand(rmm, &site, word, "twin").await;
        let (twin, _) = by_hand(rmm, &spare_site, word, "twin").await;
        let mut things = Self {
            word: word.to_owned(),
            agent_id,
            spare_agent: String::new(),
            polling_agent,
            polling_key,
            device_id: format!("{word}-twin"),
            twin,
            waiting_command: String::new(),
            pending_agent: String::new(),
            command: String::new(),
            job: String::new(),
            alert: Uuid::now_v7().to_string(),
            recording: Uuid::now_v7().to_string(),
            policy: String::new(),
            token: String::new(),
            window: String::new(),
            channel: String::new(),
            script: String::new(),
            schedule: String::new(),
            key: String::new(),
            session: String::new(),
            release: String::new(),
            sha256: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            rollout: Uuid::now_v7().to_string(),
            site,
            spare_site,
        };
        things.give_commands(owner).await;
        things.insert_alert(rmm).await;
        let me = owner.get("/api/auth/me").await.expect(200);
        things.insert_recording(rmm, text(&me, "id")).await;
        things.insert_rollout(rmm).await;
        for kind in [
            Kind::SpareAgent,
            Kind::Policy,
            Kind::Token,
            Kind::Window,
            Kind::Channel,
            Kind::Script,
            Kind::Schedule,
            Kind::Key,
            Kind::Session,
            Kind::Release,
        ] {
            things.renew(rmm, owner, kind).await;
        }
        things.enrol_one_that_waits(rmm).await;
        things
    }

    /// Makes one of these, in the place of the one before.
    pub async fn renew(&mut self, rmm: &Deployment, owner: &Api, kind: Kind) {
        let (word, site, spare) = (&self.word, &self.site, &self.spare_site);
        let name = format!("{word} {}", Uuid::new_v4().simple());
        let soon = Utc::now() + Time::hours(1);
        let (by, path, body) = match kind {
            Kind::SpareAgent => {
                self.spare_agent = by_hand(rmm, site, word, &name).await.0;
                return;
            }
            Kind::Policy => {
                let settings = json!({"metrics": {"interval_seconds": 60}});
                let body = json!({"name": name, "site_id": spare.id, "settings": settings});
                (&rmm.admin, "/api/policies", body)
            }
            Kind::Token => {
                let body = json!({"name": name, "site_id": site.id, "approval": true});
                (&rmm.admin, "/api/registration-tokens", body)
            }
            Kind::Window => {
                let body = json!({"agent_id": self.agent_id, "ends_at": soon, "reason": name});
                (owner, "/api/maintenance", body)
            }
            Kind::Channel => {
                let body = json!({"name": name, "kind": "email", "client_id": site.client_id,
                    "target": "ops@example.com"});
                (&rmm.admin, "/api/notifications", body)
            }
            Kind::Script => (
                &rmm.admin,
                "/api/scripts",
                json!({"name": name, "body": "true"}),
            ),
            Kind::Schedule => {
                let body = json!({"name": name, "cron": "@yearly", "time_zone": "UTC",
                    "enabled": false, "when_offline": "skip", "command": "true",
                    "filter": {"client_id": site.client_id}});
                (owner, "/api/schedules", body)
            }
            Kind::Key => {
                let body = json!({"name": name, "role": "read_only"});
                (owner, "/api/keys", body)
            }
            Kind::Session => {
                let body = json!({"agent_id": self.agent_id});
                (owner, "/api/v1/tunnel/open", body)
            }
            Kind::Release => {
                self.release = Uuid::now_v7().to_string();
                self.insert_release(rmm).await;
                return;
            }
        };
        let made = by.post(path, body).await.expect(201);
        let (slot, field) = match kind {
            Kind::SpareAgent | Kind::Release => return,
            Kind::Policy => (&mut self.policy, "id"),
            Kind::Token => (&mut self.token, "id"),
            Kind::Window => (&mut self.window, "id"),
            Kind::Channel => (&mut self.channel, "id"),
            Kind::Script => (&mut self.script, "id"),
            Kind::Schedule => (&mut self.schedule, "id"),
            Kind::Key => (&mut self.key, "id"),
            Kind::Session => (&mut self.session, "session_id"),
        };
        text(&made, field).clone_into(slot);
    }

    /// The ids that nobody who may not act in the client is to be told.
    pub fn ids(&self) -> Vec<&str> {
        vec![
            &self.site.client_id,
            &self.site.id,
            &self.spare_site.id,
            &self.spare_agent,
            &self.polling_agent,
            &self.twin,
            &self.pending_agent,
            &self.waiting_command,
            &self.command,
            &self.job,
            &self.alert,
            &self.recording,
            &self.policy,
            &self.token,
            &self.window,
            &self.channel,
            &self.session,
        ]
    }

    async fn give_commands(&mut self, owner: &Api) {
        let line = format!("echo {}", self.word);
        for (agent, slot) in [
            (self.agent_id.to_string(), &mut self.command),
            (self.polling_agent.clone(), &mut self.waiting_command),
        ] {
            let path = format!("/api/agents/{agent}/command");
            let given = owner.post(&path, json!({"command": line})).await;
            text(&given.expect(202), "command_id").clone_into(slot);
        }
        let job = json!({"name": format!("{} job", self.word), "command": line,
            "filter": {"agent_ids": [self.agent_id]}});
        let job = owner.post("/api/jobs", job).await.expect(201);
        text(&job, "id").clone_into(&mut self.job);
    }

    async fn insert_alert(&self, rmm: &Deployment) {
        let statement = format!(
            "INSERT INTO alerts (id, agent_id, kind, severity, status, message, opened_at) VALUES \
             ({}, {}, 'cpu', 'warning', 'open', '{} is hot', {})",
            uuid(rmm, &self.alert),
            uuid(rmm, &self.agent_id.to_string()),
            self.word,
            moment(rmm, 1_700_000_000),
        );
        rmm.database.execute(&statement).await.unwrap();
    }

    async fn insert_recording(&self, rmm: &Deployment, owner: &str) {
        let session = Uuid::now_v7();
        let path = format!("2026/11/{session}/terminal-1.cast");
        let file: PathBuf = rmm.server.data_dir().join("recordings").join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, CAST).unwrap();
        std::fs::write(file.with_extension("idx"), "").unwrap();
        let off = match rmm.database.engine() {
            Engine::Sqlite => "0",
            Engine::Postgres => "false",
        };
        let statement = format!(
            "INSERT INTO recordings (id, session_id, channel_id, agent_id, agent_hostname, \
             client_id, site_id, tech_id, tech_email, program, with_input, state, started_at, path, \
             keep_until) VALUES ({}, '{session}', 'terminal-1', {}, '{} host', {}, {}, {}, \
             't@example.com', 'bash', {off}, 'recording', {}, '{path}', {})",
            uuid(rmm, &self.recording),
            uuid(rmm, &self.agent_id.to_string()),
            self.word,
            uuid(rmm, &self.site.client_id),
            uuid(rmm, &self.site.id),
            uuid(rmm, owner),
            moment(rmm, 1_700_000_000),
            moment(rmm, 4_700_000_000),
        );
        rmm.database.execute(&statement).await.unwrap();
    }

    async fn insert_release(&self, rmm: &Deployment) {
        let folder = rmm.server.data_dir().join("releases");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&self.sha256), "a program").unwrap();
        // Each client's is a version of its own.
        let version = format!(
            "0.1.{}",
            u16::from_str_radix(&self.sha256[..4], 16).unwrap()
        );
        let manifest = json!({"format": 1, "version": version, "platform": "linux-x86_64",
            "size": 9, "sha256": self.sha256, "released_at": "2026-01-01T00:00:00Z",
            "expires_at": "2099-01-01T00:00:00Z"});
        let off = match rmm.database.engine() {
            Engine::Sqlite => "0",
            Engine::Postgres => "false",
        };
        let statement = format!(
            "INSERT INTO releases (id, version, platform, channel, sha256, size_bytes, downgrade, \
             manifest, signature, released_at, expires_at, added_at) VALUES ({}, '{version}', \
             'linux-x86_64', 'stable', '{}', 9, {off}, '{manifest}', 's', {}, {}, {})",
            uuid(rmm, &self.release),
            self.sha256,
            moment(rmm, 1_700_000_000),
            moment(rmm, 4_000_000_000),
            moment(rmm, 1_700_000_000),
        );
        rmm.database.execute(&statement).await.unwrap();
    }

    async fn insert_rollout(&self, rmm: &Deployment) {
        let then = moment(rmm, 1_700_000_000);
        let statement = format!(
            "INSERT INTO rollouts (id, version, channel, waves, wave, wave_began_at, soak_seconds, \
             max_failed_percent, state, created_at, updated_at, ended_at) VALUES ({}, '0.0.1', \
             'stable', '[100]', 0, {then}, 0, 5, 'completed', {then}, {then}, {then})",
            uuid(rmm, &self.rollout),
        );
        rmm.database.execute(&statement).await.unwrap();
    }

    async fn enrol_one_that_waits(&mut self, rmm: &Deployment) {
        let body = json!({"site_id": self.site.id, "approval": true, "name": "once", "uses": 1});
        let made = rmm.admin.post("/api/registration-tokens", body).await;
        let made = made.expect(201);
        let word = &self.word;
        let body = json!({"site_code": text(&made, "token"), "device_id": format!("{word}-waits"),
            "hostname": format!("{word}-waits")});
        let path = "/api/agent/register-legacy";
        let waits = rmm.server.anonymous().post(path, body).await.expect(201);
        text(&waits, "agent_id").clone_into(&mut self.pending_agent);
        let used = format!("/api/registration-tokens/{}", text(&made, "id"));
        rmm.admin.delete(&used).await.check(204);
    }
}

/// Connects an agent that has an inventory, and keeps it connected.
async fn connect(rmm: &Deployment, site: &Site, word: &str) -> AgentId {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let mut auth = agent.auth(&site.code);
    auth.hostname = format!("{word}-host");
    let id = agent.authenticate(auth).await.agent_id.unwrap();
    let software = SoftwareInfo {
        name: format!("{word}-software"),
        version: "1".to_owned(),
    };
    let sections = InventorySections {
        software: Some(vec![software]),
        ..InventorySections::default()
    };
    let hash = word.to_owned();
    let told = AgentMessage::Inventory(Inventory { hash, sections });
    agent.send(&told).await;
    tokio::spawn(obliging(agent));
    eventually("the inventory is kept", SOON, || async {
        let path = format!("/api/agents/{id}/inventory");
        (rmm.admin.get(&path).await.status == 200).then_some(())
    })
    .await;
    id
}

/// Says yes to every tunnel and runs nothing of what it is told.
pub async fn obliging(mut agent: RawAgent) {
    loop {
        match agent.hear_within(SOON * 20).await {
            Some(Heard::Message(ServerMessage::TunnelOpen(open))) => {
                agent.ready(open.session_id).await;
            }
            Some(Heard::Message(ServerMessage::Ping)) => {
                agent.send(&AgentMessage::Heartbeat).await;
            }
            Some(Heard::Message(_) | Heard::Text(_)) => {}
            Some(Heard::Closed(_)) | None => return,
        }
    }
}

/// Registers an agent by hand; answers its id and key.
async fn by_hand(rmm: &Deployment, site: &Site, word: &str, device: &str) -> (String, String) {
    let body = json!({"site_id": site.id, "device_id": format!("{word}-{device}"),
        "hostname": format!("{word} {device}")});
    let made: Value = rmm.admin.post("/api/agents", body).await.expect(201);
    (
        text(&made, "id").to_owned(),
        text(&made, "api_key").to_owned(),
    )
}

/// An id as the database writes it.
fn uuid(rmm: &Deployment, id: &str) -> String {
    match rmm.database.engine() {
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        Engine::Postgres => format!("'{id}'"),
    }
}

/// A time as the database writes it.
fn moment(rmm: &Deployment, seconds: i64) -> String {
    match rmm.database.engine() {
        Engine::Sqlite => (seconds * 1_000_000).to_string(),
        Engine::Postgres => format!("to_timestamp({seconds})"),
    }
}
