//! An agent of the build `--features legacy`, where a proxy or a firewall lets HTTP through and no WebSocket.
#![cfg(all(unix, feature = "legacy"))]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{command_id, soon};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const KEY: &str = "grmm_polling";

/// A request: path, `Authorization`, body.
type Asked = (String, String, Value);

/// A server that knows only HTTP, and its agent.
struct Stage {
    asked: Arc<Mutex<Vec<Asked>>>,
    folder: TempDir,
    _agent: Child,
}

impl Stage {
    /// The first question for commands is answered with this one, after as many are cut off.
    async fn start(command: Value, cut_off: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, command) = (Arc::clone(&seen), command.clone());
                tokio::spawn(serve(stream, seen, command, cut_off));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        let text = format!(
            "[server]\nurl = \"ws://{address}/ws\"\napi_key = \"DARK-GROVE-7839\"\n\
             reconnect_seconds = 0.05\nreconnect_max_seconds = 0.1\n\
             [agent]\ndevice_id = \"old\"\nheartbeat_seconds = 1\n[log]\nfilter = \"warn\"\n"
        );
        fs::write(&path, text).unwrap();
        let agent = Command::new(env!("CARGO_BIN_EXE_gururmm-agent"))
            .args(["run", "--config"])
            .arg(&path)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            asked,
            folder,
            _agent: agent,
        }
    }

    /// What was asked for by this path.
    fn found(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| it.0 == path).cloned().collect()
    }

    /// Waits for so many requests to a path.
    async fn until(&self, path: &str, count: usize) -> Vec<Asked> {
        soon(async {
            loop {
                let found = self.found(path);
                if found.len() >= count {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>, command: Value, cut_off: usize) {
    let mut stream = BufReader::new(stream);
    let (mut path, mut key, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap().to_owned();
        } else if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => value.clone_into(&mut key),
                _ => {}
            }
        } else {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let count = {
        let mut asked = asked.lock().unwrap();
        asked.push((path.clone(), key, body));
        asked.iter().filter(|it| it.0 == path).count()
    };
    let (status, answer) = match path.as_str() {
        "/api/agent/register-legacy" => (
            "201 Created",
            json!({"agent_id": "0190a0a0-0000-7000-8000-00000000000a", "api_key": KEY}),
        ),
        "/api/agent/heartbeat" if count <= cut_off => return,
        "/api/agent/heartbeat" => {
            let commands = if count == cut_off + 1 {
                vec![command]
            } else {
                Vec::new()
            };
            ("200 OK", json!({"pending_commands": commands}))
        }
        "/api/agent/command-result" => ("200 OK", json!({"status": "stored"})),
        _ => ("403 Forbidden", json!({})),
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all((head + &answer).as_bytes()).await;
}

fn echo(id: &str) -> Value {
    json!({"id": id, "command_type": "shell", "command": "echo polled", "timeout_seconds": 30})
}

#[tokio::test]
async fn where_websockets_are_blocked_the_agent_enrols_runs_commands_and_tells_samples_by_http() {
    let id = command_id();
    let stage = Stage::start(echo(&id), 0).await;
    let results = stage.until("/api/agent/command-result", 1).await;
    let (_, key, result) = &results[0];
    assert_eq!(key, &format!("Bearer {KEY}"));
    assert_eq!(
        (&result["command_id"], &result["stdout"]),
        (&json!(id), &json!("polled\n"))
    );
    assert_eq!(result["exit_code"], 0);
    let registered = stage.until("/api/agent/register-legacy", 1).await;
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].2["device_id"], "old");
    assert!(
        stage.until("/ws", 3).await.len() >= 3,
        "a WebSocket comes first"
    );
    let mut questions = stage.until("/api/agent/heartbeat", 2).await;
    while !questions
        .iter()
        .any(|it| it.2["metrics"]["uptime_seconds"].is_number())
    {
        questions = stage
            .until("/api/agent/heartbeat", questions.len() + 1)
            .await;
    }
    assert_ne!(questions[0].2["poll_id"], questions[1].2["poll_id"]);
    let identity = fs::read_to_string(stage.folder.path().join("identity.json")).unwrap();
    assert!(identity.contains(KEY));
}

#[tokio::test]
async fn a_question_whose_answer_was_lost_is_asked_again_with_its_number() {
    let id = command_id();
    let stage = Stage::start(echo(&id), 2).await;
    stage.until("/api/agent/command-result", 1).await;
    let questions = stage.until("/api/agent/heartbeat", 4).await;
    let ids: Vec<&Value> = questions.iter().map(|it| &it.2["poll_id"]).collect();
    assert!(
        ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3],
        "{ids:?}"
    );
}
