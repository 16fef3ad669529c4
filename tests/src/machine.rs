//! A machine to work on: a real agent, a session to it, and a folder of the test's own there.

use std::path::{Path, PathBuf};

use gururmm_shared::{AgentId, SessionId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::TestAgent;
use crate::deployment::Deployment;
use crate::files::Files;
use crate::wait::{SOON, eventually};
use crate::world::World;

/// An agent that is worked on.
pub struct Machine {
    /// The server and its people.
    pub rmm: Deployment,
    /// The agent.
    pub agent: TestAgent,
    /// Its id.
    pub id: AgentId,
    /// The technician's session.
    pub session: SessionId,
    /// Its files, as that session reaches them.
    pub files: Files,
    folder: TempDir,
}

impl Machine {
    /// One that no policy speaks of.
    pub async fn start(world: &World) -> Self {
        Self::with_policy(world, |_| json!({})).await
    }

    /// One with a policy whose `tunnel` is made for the test's folder.
    pub async fn with_policy(world: &World, tunnel: impl FnOnce(&Path) -> Value) -> Self {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let folder = folder();
        rmm.set_tunnel_policy(id, tunnel(folder.path())).await;
        let session = rmm.open(id).await;
        let files = Files::of(&rmm.technician, session);
        Self {
            rmm,
            agent,
            id,
            session,
            files,
            folder,
        }
    }

    /// The test's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the test's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file in the test's folder.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The names in the test's folder, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        names(self.folder())
    }

    /// The names of what uploads have left in the test's folder.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name.ends_with(".gururmm-part"));
        names
    }

    /// Waits for the audit row of what was done with `detail`, with an outcome.
    pub async fn act(&self, detail: &str) -> Value {
        let what = format!("the act {detail:?} has an outcome");
        eventually(&what, SOON, || async {
            let rows = self.rmm.audit(self.session).await;
            let row = rows.into_iter().rev().find(|row| row["detail"] == detail);
            row.filter(|row| row["outcome"].is_string())
        })
        .await
    }
}

impl Deployment {
    /// Sets what is allowed in tunnels to an agent; for the sessions that open from now on.
    pub async fn set_tunnel_policy(&self, agent: AgentId, tunnel: Value) {
        let body =
            json!({"name": "of the test", "agent_id": agent, "settings": {"tunnel": tunnel}});
        self.admin.post("/api/policies", body).await.check(201);
    }
}

/// The names in a folder, sorted.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("gururmm-files-")
        .tempdir()
        .unwrap()
}
