//! A server that is set up: people, a client with a site, and the calls of the main job.

use std::time::Duration;

use gururmm_shared::{AgentId, SessionId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::agent::{AgentSettings, TestAgent};
use crate::api::{Api, items, text};
use crate::database::Database;
use crate::raw_agent::RawAgent;
use crate::server::TestServer;
use crate::viewer::Viewer;
use crate::wait::{SOON, eventually};

/// The administrator's log-in.
pub const ADMIN: (&str, &str) = ("admin@example.com", "correct horse 1");
/// The technician's log-in.
pub const TECHNICIAN: (&str, &str) = ("tech@example.com", "battery staple 2");

/// A server with an administrator, a technician, a client and a site.
pub struct Deployment {
    /// The server.
    pub server: TestServer,
    /// Its database.
    pub database: Database,
    /// The administrator's client.
    pub admin: Api,
    /// The technician's client.
    pub technician: Api,
    /// The technician's id.
    pub technician_id: String,
    /// The site.
    pub site: Site,
}

/// A site with what its creation told.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its id.
    pub id: String,
    /// The id of its client.
    pub client_id: String,
    /// Its code.
    pub code: String,
    /// Its key, shown once.
    pub key: String,
}

impl Deployment {
    /// Sets a server up.
    pub async fn on(server: TestServer, database: Database) -> Self {
        let anonymous = server.anonymous();
        let (email, password) = ADMIN;
        let setup = json!({"token": server.setup_token(), "email": email, "name": "Ada",
            "password": password});
        let answer = anonymous.post("/api/auth/setup", setup).await.expect(201);
        let admin = anonymous.with_token(text(&answer, "token"));
        let (technician_id, technician) = add_user(&admin, TECHNICIAN, "technician").await;
        let client = admin
            .post("/api/clients", json!({"name": "Example Client"}))
            .await
            .expect(201);
        let site = add_site(&admin, text(&client, "id"), "Head Office").await;
        Self {
            server,
            database,
            admin,
            technician,
            technician_id,
            site,
        }
    }

    /// Adds a user of this role and logs in.
    pub async fn add_user(&self, email: &str, role: &str) -> (String, Api) {
        add_user(&self.admin, (email, "another long password"), role).await
    }

    /// Starts a real agent that enrols with the site's code, and waits until it is online.
    pub async fn agent(&self) -> (TestAgent, AgentId) {
        let settings = AgentSettings::default();
        let agent = TestAgent::start(&self.server.agents_url(), &self.site.code, settings);
        let id = agent.wait_online(&self.admin).await;
        (agent, id)
    }

    /// Connects an agent of the tests' own that enrols with the site's code.
    pub async fn raw_agent(&self) -> (RawAgent, AgentId) {
        let mut agent = RawAgent::connect(&self.server.agents_url()).await;
        let ack = agent.enrol(&self.site.code).await;
        (agent, ack.agent_id.expect("auth_ack tells the agent's id"))
    }

    /// Opens a tunnel as the technician.
    pub async fn open(&self, agent: AgentId) -> SessionId {
        open(&self.technician, agent).await
    }

    /// Opens a tunnel to an agent of the tests' own, which says that it is ready.
    pub async fn open_raw(&self, agent: &mut RawAgent, id: AgentId) -> SessionId {
        let (session, ()) = tokio::join!(self.open(id), async {
            let session = agent.tunnel_open().await;
            agent.ready(session).await;
        });
        session
    }

    /// Runs a command in a session of the technician; answers `(command_id, channel_id)`.
    pub async fn command(&self, session: SessionId, command: &str) -> (String, String) {
        let body = json!({"command": command});
        let path = format!("/api/v1/tunnel/{session}/command");
        let answer = self.technician.post(&path, body).await.expect(202);
        (
            text(&answer, "command_id").to_owned(),
            text(&answer, "channel_id").to_owned(),
        )
    }

    /// Opens a stream of a session of the technician.
    pub async fn view(&self, session: SessionId) -> Viewer {
        Viewer::open(&self.technician, session).await
    }

    /// Runs a command to its end and answers what it printed.
    pub async fn run(&self, session: SessionId, command: &str) -> crate::viewer::Output {
        let mut viewer = self.view(session).await;
        let (_, channel) = self.command(session, command).await;
        viewer.output(&channel).await
    }

    /// A session as the API tells it.
    pub async fn session(&self, session: SessionId) -> Value {
        let path = format!("/api/v1/tunnel/status/{session}");
        self.technician.get(&path).await.expect(200)
    }

    /// Waits until a session has ended, and checks its status and why.
    pub async fn wait_session(&self, id: SessionId, status: &str, reason: &str, limit: Duration) {
        let what = format!("session {id} is {status} by {reason}");
        let ended = eventually(&what, limit, || async {
            let row = self.session_row(id).await;
            let open = row["status"] == "active" || row["status"] == "ready";
            (!open).then_some(row)
        })
        .await;
        assert_eq!(ended["status"], status, "{ended}");
        assert_eq!(ended["close_reason"], reason, "{ended}");
        assert!(ended["closed_at"].is_string(), "{ended}");
    }

    /// A session as its row in the database tells it, for when its technician cannot ask.
    pub async fn session_row(&self, id: SessionId) -> Value {
        let value = |column: &str| {
            let query = format!(
                "SELECT CAST({column} AS TEXT) AS value FROM tech_sessions \
                 WHERE session_id = '{id}'"
            );
            async move {
                let mut rows = self.database.values(&query).await;
                rows.pop().expect("the session has a row")
            }
        };
        json!({"status": value("status").await, "close_reason": value("close_reason").await,
            "closed_at": value("closed_at").await})
    }

    /// The audit rows of a session, oldest first, as the administrator reads them.
    pub async fn audit(&self, session: SessionId) -> Vec<Value> {
        let path = format!("/api/audit/tunnel?session_id={session}");
        let mut rows = items(&self.admin.get(&path).await.expect(200));
        rows.reverse();
        rows
    }

    /// Waits until the audit tells how a command ended, and checks it; answers its row.
    pub async fn wait_outcome(&self, session: SessionId, command: &str, outcome: &str) -> Value {
        let what = format!("command {command} has an outcome");
        let row = eventually(&what, SOON, || async {
            let rows = self.audit(session).await;
            let row = rows.into_iter().find(|row| row["command_id"] == command);
            row.filter(|row| row["outcome"].is_string())
        })
        .await;
        assert_eq!(row["outcome"], outcome, "{row}");
        assert!(row["ended_at"].is_string(), "{row}");
        row
    }

    /// Waits until an agent's status is this.
    pub async fn wait_status(&self, agent: AgentId, status: &str, limit: Duration) {
        let what = format!("agent {agent} is {status}");
        eventually(&what, limit, || async {
            let body = self.admin.get(&format!("/api/agents/{agent}")).await;
            (body.expect(200)["status"] == status).then_some(())
        })
        .await;
    }

    /// Waits until a new tunnel opens, which shows that the agent is back in heartbeat mode.
    pub async fn wait_opens(&self, api: &Api, agent: AgentId, limit: Duration) -> SessionId {
        eventually("a new tunnel opens", limit, || async {
            let answer = api
                .post("/api/v1/tunnel/open", json!({"agent_id": agent}))
                .await;
            (answer.status == 201).then(|| session_id(&answer.json()))
        })
        .await
    }
}

/// Opens a tunnel.
pub async fn open(api: &Api, agent: AgentId) -> SessionId {
    let answer = api
        .post("/api/v1/tunnel/open", json!({"agent_id": agent}))
        .await
        .expect(201);
    assert_eq!(answer["status"], "ready", "{answer}");
    assert_eq!(answer["agent_id"], agent.to_string(), "{answer}");
    session_id(&answer)
}

/// Adds a site to a client.
pub async fn add_site(admin: &Api, client_id: &str, name: &str) -> Site {
    let site = admin
        .post("/api/sites", json!({"client_id": client_id, "name": name}))
        .await
        .expect(201);
    Site {
        id: text(&site, "id").to_owned(),
        client_id: text(&site, "client_id").to_owned(),
        code: text(&site, "site_code").to_owned(),
        key: text(&site, "api_key").to_owned(),
    }
}

/// Waits until the agent with this device id is online; answers its id.
pub async fn wait_device_online(api: &Api, device_id: &str) -> AgentId {
    let what = format!("the agent with device id {device_id} is online");
    eventually(&what, SOON, || async {
        let body = api.get("/api/agents?limit=100").await.expect(200);
        let agent = items(&body)
            .into_iter()
            .find(|agent| agent["device_id"] == device_id)?;
        (agent["status"] == "online").then(|| {
            let id = Uuid::parse_str(text(&agent, "id")).expect("ids are UUIDs");
            AgentId(id)
        })
    })
    .await
}

/// The `session_id` of an answer.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn session_id(answer: &Value) -> SessionId {
    text(answer, "session_id").parse().expect("ids are UUIDs")
}

async fn add_user(admin: &Api, (email, password): (&str, &str), role: &str) -> (String, Api) {
    let body = json!({"email": email, "name": role, "password": password, "role": role});
    let user = admin.post("/api/users", body).await.expect(201);
    let api = Api::new(admin.base()).log_in(email, password).await;
    (text(&user, "id").to_owned(), api)
}
