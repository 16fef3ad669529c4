//! A fresh server with a site, and a real agent where one is needed.

use anyhow::{Context, Result};
use gururmm_shared::{AgentId, SessionId};
use gururmm_tests::api::text;
use gururmm_tests::deployment::{ADMIN, Site, add_site, open, session_id};
use gururmm_tests::viewer::ticket;
use gururmm_tests::{AgentSettings, Api, Database, TestAgent, TestServer};
use serde_json::json;
use tempfile::TempDir;

use crate::pinning::Pinned;
use crate::socket::Socket;

/// Limits on what people and agents may do in a minute, raised so that none ends a measurement.
const LIMITS: [(&str, &str); 9] = [
    ("commands.per_minute", "10000000"),
    ("commands.max_waiting", "10000"),
    ("limits.requests_per_minute", "10000000"),
    ("tunnel.commands_per_minute", "10000000"),
    ("tunnel.max_running_commands", "32"),
    ("auth.account_attempts_per_minute", "1000"),
    ("auth.address_attempts_per_minute", "1000"),
    ("agents.messages_per_second", "100000"),
    ("agents.enrollments_per_site_per_minute", "1000000"),
];

/// A server that is set up.
pub struct Stage {
    // Declared first, so that it ends before the server does.
    agent: Option<(TestAgent, AgentId)>,
    /// The server.
    pub server: TestServer,
    /// The administrator's client.
    pub api: Api,
    /// The site.
    pub site: Site,
    /// The database.
    pub database: Database,
    directory: TempDir,
}

impl Stage {
    /// A server without agents.
    pub async fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("gururmm-bench-")
            .tempdir()?;
        let data_dir = directory.path().join("data");
        std::fs::create_dir(&data_dir)?;
        let database = Database::Sqlite(data_dir.clone());
        let server = TestServer::start(&data_dir, &database, &LIMITS).await;
        let (email, password) = ADMIN;
        let setup = json!({"token": server.setup_token(), "email": email, "name": "Ada",
            "password": password});
        let anonymous = server.anonymous();
        let answer = anonymous.post("/api/auth/setup", setup).await.expect(201);
        let api = anonymous.with_token(text(&answer, "token"));
        let client = api
            .post("/api/clients", json!({"name": "Client"}))
            .await
            .expect(201);
        let site = add_site(&api, text(&client, "id"), "Site").await;
        Ok(Self {
            agent: None,
            server,
            api,
            site,
            database,
            directory,
        })
    }

    /// A server with a real agent that is online.
    pub async fn with_agent() -> Result<Self> {
        let mut stage = Self::new().await?;
        let url = stage.server.agents_url();
        let agent = TestAgent::start(&url, &stage.site.code, AgentSettings::default());
        let id = agent.wait_online(&stage.api).await;
        stage.agent = Some((agent, id));
        Ok(stage)
    }

    /// The real agent.
    pub fn agent_id(&self) -> Result<AgentId> {
        let (_, id) = self.agent.as_ref().context("this stage has no agent")?;
        Ok(*id)
    }

    /// Pins server and agent to one CPU.
    pub fn pin(&self, pinned: &Pinned) -> Result<()> {
        pinned.add(self.server.pid())?;
        if let Some((agent, _)) = &self.agent {
            pinned.add(agent.pid())?;
        }
        Ok(())
    }

    /// A file beside the database, on the same disk.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Opens a tunnel to the agent.
    pub async fn open(&self) -> Result<SessionId> {
        let (_, id) = self.agent.as_ref().context("this stage has no agent")?;
        Ok(open(&self.api, *id).await)
    }

    /// Closes a tunnel.
    pub async fn close(&self, session: SessionId) {
        let body = json!({"session_id": session});
        let answer = self
            .api
            .post("/api/v1/tunnel/close", body)
            .await
            .expect(200);
        assert_eq!(session_id(&answer), session);
    }

    /// Opens a session's stream.
    pub async fn watch(&self, session: SessionId) -> Result<Socket> {
        let ticket = ticket(&self.api, session).await;
        let path = format!("/api/v1/tunnel/{session}/stream?ticket={ticket}");
        Socket::open(self.server.address(), &path).await
    }

    /// Starts a command.
    pub async fn command(&self, session: SessionId, command: &str) {
        let path = format!("/api/v1/tunnel/{session}/command");
        let body = json!({"command": command, "timeout_seconds": 120});
        self.api.post(&path, body).await.check(202);
    }
}
