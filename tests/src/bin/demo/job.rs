//! The main job through the API: log in, make a site, wait for the agent, run a command.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gururmm_shared::{AgentId, SessionId};
use gururmm_tests::api::{Answer, Api};
use gururmm_tests::viewer::Viewer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::children::Service;
use crate::credentials::Credentials;

/// The demo's client.
pub const CLIENT: &str = "Demo";
/// The demo's site.
pub const SITE: &str = "This machine";

/// Where the demo's agent belongs.
pub struct Site {
    /// Its id.
    pub id: String,
    /// The code the agent enrols with.
    pub code: String,
}

/// Waits until the server has its database and, on a first run, its set-up token.
pub async fn wait_ready(api: &Api, server: &mut Service) -> Result<()> {
    let start = Instant::now();
    loop {
        server.check()?;
        if call(api, Method::GET, "/readyz", None)
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            return Ok(());
        }
        server.in_time(start)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Logs in; makes the first administrator where there is none yet.
pub async fn log_in(api: &Api, credentials: &Credentials, data: &Path) -> Result<Api> {
    let Credentials { email, password } = credentials;
    if let Ok(token) = std::fs::read_to_string(data.join("setup-token")) {
        let body = json!({"token": token.trim(), "email": email, "name": "Demo administrator",
            "password": password});
        let answer = call(api, Method::POST, "/api/auth/setup", Some(body)).await?;
        if answer.status == 201 {
            return Ok(api.with_token(&text(&answer.json(), "token")?));
        }
    }
    let body = json!({"email": email, "password": password});
    let answer = call(api, Method::POST, "/api/auth/login", Some(body)).await?;
    if answer.status == 401 {
        bail!(
            "the data in {} has users already, but not with the password in demo/credentials; set \
             GURURMM_DATA_DIR to another directory",
            data.display()
        );
    }
    Ok(api.with_token(&text(&done(answer, 200)?, "token")?))
}

/// Finds or makes the demo's client and site.
pub async fn site(api: &Api) -> Result<Site> {
    let client = find_or_make(api, "/api/clients", json!({"name": CLIENT})).await?;
    let body = json!({"name": SITE, "client_id": client["id"]});
    let site = find_or_make(api, "/api/sites", body).await?;
    Ok(Site {
        id: text(&site, "id")?,
        code: text(&site, "site_code")?,
    })
}

async fn find_or_make(api: &Api, path: &str, body: Value) -> Result<Value> {
    let list = done(call(api, Method::GET, path, None).await?, 200)?;
    let matches = |item: &Value| {
        let fields = body.as_object().into_iter().flatten();
        fields.into_iter().all(|(key, value)| &item[key] == value)
    };
    let found = list["items"].as_array().into_iter().flatten();
    if let Some(item) = found.into_iter().find(|item| matches(item)) {
        return Ok(item.clone());
    }
    done(call(api, Method::POST, path, Some(body)).await?, 201)
}

/// Waits until the site has an agent online; answers it and its machine's name.
pub async fn wait_online(
    api: &Api,
    site: &Site,
    services: &mut [Service],
) -> Result<(AgentId, String)> {
    let start = Instant::now();
    let path = format!("/api/agents?site_id={}", site.id);
    loop {
        for service in services.iter_mut() {
            service.check()?;
        }
        let list = done(call(api, Method::GET, &path, None).await?, 200)?;
        let mut agents = list["items"].as_array().into_iter().flatten();
        if let Some(agent) = agents.find(|agent| agent["status"] == "online") {
            let id = text(agent, "id")?.parse()?;
            return Ok((id, text(agent, "hostname")?));
        }
        if let Some(agent) = services.last() {
            agent.in_time(start)?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Opens a tunnel, runs a command through it and answers the session and what was printed.
pub async fn run_command(api: &Api, agent: AgentId, command: &str) -> Result<(SessionId, String)> {
    let body = json!({"agent_id": agent});
    let mut answer = call(api, Method::POST, "/api/v1/tunnel/open", Some(body.clone())).await?;
    let start = Instant::now();
    // A run that was killed leaves a session until the agent's old connection is noticed as dead.
    while answer.status == 409 && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        answer = call(api, Method::POST, "/api/v1/tunnel/open", Some(body.clone())).await?;
    }
    let session: SessionId = text(&done(answer, 201)?, "session_id")?.parse()?;
    let mut viewer = Viewer::open(api, session).await;
    let path = format!("/api/v1/tunnel/{session}/command");
    let body = json!({"command": command});
    let started = done(call(api, Method::POST, &path, Some(body)).await?, 202)?;
    let output = viewer.output(&text(&started, "channel_id")?).await;
    ensure!(
        output.exit_code == Some(0),
        "`{command}` ended with {:?}: {}",
        output.exit_code,
        output.stderr
    );
    viewer.close().await;
    Ok((session, output.stdout.trim_end().to_owned()))
}

/// Closes the tunnel.
pub async fn close(api: &Api, session: SessionId) -> Result<()> {
    let body = json!({"session_id": session});
    let answer = call(api, Method::POST, "/api/v1/tunnel/close", Some(body)).await?;
    done(answer, 200).map(drop)
}

async fn call(api: &Api, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
    let headers = [("content-type", "application/json")];
    api.send(method, path, &headers, body.map(|body| body.to_string()))
        .await
        .with_context(|| format!("the server does not answer {path}"))
}

fn done(answer: Answer, status: u16) -> Result<Value> {
    if answer.status != status {
        bail!("the server answered {}: {}", answer.status, answer.text);
    }
    Ok(answer.json())
}

fn text(body: &Value, field: &str) -> Result<String> {
    body[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {field} in the server's answer {body}"))
}
