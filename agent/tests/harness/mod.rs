//! A server made of one listener, and the real agent as a process that dials it.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

pub mod plane;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Far more than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The site code in the configuration of the tests.
pub const SITE_CODE: &str = "DARK-GROVE-7839";

/// Awaits, but not for ever.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

/// A listener and the agent that dials it.
pub struct Stage {
    listener: TcpListener,
    /// The agent's directory.
    pub directory: TempDir,
    /// The agent's process.
    pub agent: Child,
    /// What is set in its environment.
    pub environment: Vec<(String, String)>,
}

impl Stage {
    /// Starts an agent that is to dial this stage.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts an agent with more lines in its configuration.
    pub async fn start_with(lines: &str) -> Self {
        let mut stage = Self::prepare(lines).await;
        stage.restart_agent();
        stage
    }

    /// All but the agent, for [`Stage::restart_agent`]; `edit` may change the configuration, given its folder.
    pub async fn set(edit: impl FnOnce(String, &Path) -> String) -> Self {
        let stage = Self::prepare("").await;
        let path = stage.file("agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, edit(text, stage.directory.path())).unwrap();
        stage
    }

    /// Where the agent dials.
    pub fn address(&self) -> std::net::SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// What the agent wrote of itself last, once that is as it should be.
    pub async fn until_heartbeat(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let path = self.file("heartbeat");
        soon(async {
            loop {
                let text = fs::read_to_string(&path).unwrap_or_default();
                if let Ok(beat) = serde_json::from_str::<Value>(&text)
                    && fits(&beat)
                {
                    return beat;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Starts an agent whose files can grow to so many blocks of 512 bytes: its disk is full early, and
    /// its log, a file too, is full from the start.
    pub async fn start_with_small_files(blocks: u32) -> Self {
        let mut stage = Self::prepare("").await;
        let log = stage.file("agent.log");
        fs::write(&log, vec![b'.'; blocks as usize * 512]).unwrap();
        let line = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {} run --config {} 2>>{}",
            env!("CARGO_BIN_EXE_gururmm-agent"),
            stage.file("agent.toml").display(),
            log.display()
        );
        stage.agent = Command::new("/bin/sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        stage
    }

    /// All but the agent: in its place there is something that has ended.
    async fn prepare(lines: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let toml = configuration(&url) + lines;
        fs::write(directory.path().join("agent.toml"), toml).unwrap();
        let mut agent = Command::new("true").spawn().unwrap();
        agent.wait().await.unwrap();
        Self {
            listener,
            directory,
            agent,
            environment: Vec::new(),
        }
    }

    /// Waits until the journal of commands holds a text.
    pub async fn until_journal_holds(&self, text: &str) {
        let journal = self.file("commands.journal");
        soon(async {
            while !fs::read_to_string(&journal).is_ok_and(|journal| journal.contains(text)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Starts the agent again, after it was killed.
    pub fn restart_agent(&mut self) {
        self.agent = Command::new(env!("CARGO_BIN_EXE_gururmm-agent"))
            .args(["run", "--config"])
            .arg(self.directory.path().join("agent.toml"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
    }

    /// Takes the agent's next connection, with its `auth` already read.
    pub async fn accept(&self) -> (Connection, Value) {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let mut connection = Connection {
            socket: soon(accept_async(stream)).await.unwrap(),
        };
        let auth = connection.expect("auth").await;
        (connection, auth)
    }

    /// Takes the agent's next connection and acknowledges it as the second generation does.
    pub async fn accept_and_acknowledge(&self) -> Connection {
        self.accept_again().await.0
    }

    /// The same, with the agent's `auth`.
    pub async fn accept_again(&self) -> (Connection, Value) {
        let (mut connection, auth) = self.accept().await;
        connection
            .send(json!({"type": "auth_ack", "payload": {"protocol": 2}}))
            .await;
        (connection, auth)
    }

    /// Opens a session and waits until the agent is ready.
    pub async fn open(&self, connection: &mut Connection) -> String {
        let session = uuid::Uuid::new_v4().to_string();
        connection.send(tunnel_open(&session)).await;
        assert_eq!(
            connection.expect("tunnel_ready").await["session_id"],
            session.as_str()
        );
        session
    }

    /// A file beside the agent's configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.agent.id().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// Ends the agent by a signal.
    pub async fn end_agent(&mut self, signal: nix::sys::signal::Signal) {
        self.signal(signal);
        soon(self.agent.wait()).await.unwrap();
    }
}

/// The message that opens a session.
pub fn tunnel_open(session: &str) -> Value {
    json!({"type": "tunnel_open", "payload": {
        "session_id": session, "tech_id": uuid::Uuid::new_v4().to_string()}})
}

/// The message that runs a command in a channel, as the reference has it.
pub fn terminal(channel: &str, command: &str) -> Value {
    json!({"type": "tunnel_data", "payload": {
        "channel_id": channel,
        "data": {"type": "terminal", "payload": {"command": command}}}})
}

/// A new id of a command.
pub fn command_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The message that runs a command outside of tunnels.
pub fn command(id: &str, line: &str) -> Value {
    json!({"type": "command", "payload": {
        "id": id, "command_type": "shell", "command": line, "timeout_seconds": 600}})
}

/// A message about a command that says no more than its id.
pub fn about(kind: &str, id: &str) -> Value {
    json!({"type": kind, "payload": {"id": id}})
}

fn configuration(url: &str) -> String {
    format!(
        "[server]\nurl = \"{url}\"\napi_key = \"{SITE_CODE}\"\nreconnect_seconds = 0.05\n\
         reconnect_max_seconds = 0.1\n[agent]\ndevice_id = \"test-device\"\n\
         [metrics]\ninterval_seconds = 3600\n[log]\nfilter = \"warn\"\n"
    )
}

/// Runs the agent's program to its end.
pub async fn run_agent(arguments: &[&str]) -> (ExitStatus, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gururmm-agent"))
        .args(arguments)
        .output();
    let output = soon(output).await.unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// Runs the agent's program to its end: its exit code and what it answers.
pub async fn ask_agent(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gururmm-agent"))
        .args(arguments)
        .output();
    let output = soon(output).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text + &errors)
}

/// The server's side of a connection.
pub struct Connection {
    socket: WebSocketStream<TcpStream>,
}

impl Connection {
    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Receives the next message: its type and its payload.
    pub async fn receive(&mut self) -> (String, Value) {
        loop {
            let message = soon(self.socket.next())
                .await
                .expect("still connected")
                .unwrap();
            if let Message::Text(text) = message {
                let mut message: Value = serde_json::from_str(&text).unwrap();
                let kind = message["type"].as_str().unwrap().to_owned();
                return (kind, message["payload"].take());
            }
        }
    }

    /// Receives the next message of a type; only the agent's own reports may come before it.
    pub async fn expect(&mut self, wanted: &str) -> Value {
        self.expect_past(wanted, "heartbeat").await
    }

    /// The same, where messages of another type may come before it too.
    pub async fn expect_past(&mut self, wanted: &str, passed: &str) -> Value {
        loop {
            let (kind, payload) = self.receive().await;
            if kind == wanted {
                return payload;
            }
            let report = ["heartbeat", "inventory", "metrics", "network_state", passed]
                .contains(&kind.as_str());
            assert!(report, "{kind} {payload} instead of {wanted}");
        }
    }

    /// Receives the next result of a command; its output may come before it.
    pub async fn result(&mut self) -> Value {
        self.expect_past("command_result", "command_output").await
    }

    /// Closes with a code.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "test".into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = soon(self.socket.next()).await {}
    }

    /// Waits for the close frame of the agent and tells its code.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match soon(self.socket.next())
                .await
                .expect("a close frame")
                .unwrap()
            {
                Message::Close(frame) => return frame.unwrap().code.into(),
                _ => continue,
            }
        }
    }

    /// Collects the output of a channel to its end: standard output and the exit code.
    pub async fn output(&mut self, channel: &str) -> (String, i64) {
        let mut stdout = String::new();
        loop {
            let data = self.expect("tunnel_data").await;
            assert_eq!(data["channel_id"], channel);
            assert_eq!(data["data"]["type"], "terminal_output");
            let output = &data["data"]["payload"];
            stdout += output["stdout"].as_str().unwrap();
            if let Some(exit_code) = output["exit_code"].as_i64() {
                return (stdout, exit_code);
            }
        }
    }
}

/// Waits until a file holds `count` lines, each a process, and tells them.
pub async fn pids_in(path: &Path, count: usize) -> Vec<i32> {
    soon(async {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() == count {
                return text
                    .lines()
                    .map(|line| line.trim().parse().unwrap())
                    .collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Whether a process lives; a zombie does not.
pub fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until none of the processes lives.
pub async fn all_gone(pids: &[i32]) {
    soon(async {
        while pids.iter().any(|pid| lives(*pid)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
