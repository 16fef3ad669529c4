//! An agent that is updated: installed in a folder of its own, and started again by a loop, as a service manager does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::release::{Depot, program, windows_program};
use super::{Connection, Stage, soon};

/// The version that is there at first.
pub const OLD: &str = "0.1.0";
/// The one that it is updated to.
pub const NEW: &str = "0.2.0";

/// Starts the agent whenever it has ended.
struct Supervisor {
    task: JoinHandle<()>,
    pid: watch::Receiver<Option<u32>>,
    starts: Arc<AtomicUsize>,
}

impl Supervisor {
    fn start(mut command: impl FnMut() -> Command + Send + 'static, again: bool) -> Self {
        let (tell, pid) = watch::channel(None);
        let starts: Arc<AtomicUsize> = Arc::default();
        let count = starts.clone();
        let task = tokio::spawn(async move {
            loop {
                // A program that is just being put in place is there in the next moment.
                if let Ok(mut child) = command().stdin(Stdio::null()).kill_on_drop(true).spawn() {
                    count.fetch_add(1, Ordering::Relaxed);
                    tell.send_replace(child.id());
                    let _ = child.wait().await;
                    tell.send_replace(None);
                }
                if !again {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { task, pid, starts }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(pid) = *self.pid.borrow() {
            kill(pid);
        }
    }
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    // One that has just ended needs no end.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

/// A listener, a depot, and an installed agent that knows both.
pub struct Updating {
    supervisor: Supervisor,
    path: PathBuf,
    /// The listener and the agent's directory; its own agent does not run.
    pub stage: Stage,
    /// Where programs are fetched.
    pub depot: Depot,
}

impl Updating {
    /// An agent of version [`OLD`], with more lines in its configuration.
    pub async fn start(lines: &str) -> Self {
        Self::start_by(
            lines,
            |_| {},
            |program, config| {
                let mut command = Command::new(program);
                command.args(["run", "--config"]).arg(config);
                command
            },
        )
        .await
    }

    /// The agent for Windows, under Wine. There is no service manager: it is started once, and starts itself again.
    pub async fn start_windows() -> Self {
        let stage = Stage::prepare("[update]\nconfirm_seconds = 8\n").await;
        let program = stage.file("bin/gururmm-agent.exe");
        let config = stage.file("agent.toml");
        let start = move || {
            let mut command = Command::new("wine");
            command
                .arg(&program)
                .args(["run", "--config"])
                .arg(in_wine(&config));
            command
        };
        let program = stage.file("bin/gururmm-agent.exe");
        Self::with(stage, (&program, &windows_program(OLD)), start, false).await
    }

    /// The same, made ready by `prepare` and started by `command`, of program and configuration.
    pub async fn start_by(
        lines: &str,
        prepare: impl FnOnce(&Path),
        command: impl Fn(&Path, &Path) -> Command + Send + 'static,
    ) -> Self {
        let stage = Stage::prepare(lines).await;
        let (path, config) = (stage.file("bin/gururmm-agent"), stage.file("agent.toml"));
        fs::create_dir(stage.file("bin")).unwrap();
        prepare(stage.directory.path());
        let started = path.clone();
        let start = move || command(&started, &config);
        Self::with(stage, (&path, &program(OLD, None)), start, true).await
    }

    async fn with(
        stage: Stage,
        (path, program): (&Path, &[u8]),
        mut command: impl FnMut() -> Command + Send + 'static,
        again: bool,
    ) -> Self {
        let depot = Depot::start().await;
        fs::create_dir_all(stage.file("bin")).unwrap();
        fs::write(path, program).unwrap();
        let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, rights).unwrap();
        let kill_at = stage.file("kill_at");
        let started = move || {
            let mut command = command();
            command.env("GURURMM_TEST_KILL_AT", &kill_at);
            command
        };
        Self {
            supervisor: Supervisor::start(started, again),
            path: path.to_owned(),
            stage,
            depot,
        }
    }

    /// The agent's program.
    pub fn program(&self) -> PathBuf {
        self.path.clone()
    }

    /// Which version the program on the disk is.
    pub fn version_on_disk(&self) -> String {
        let bytes = fs::read(self.program()).unwrap();
        let tail = String::from_utf8_lossy(&bytes[bytes.len() - 100..]).into_owned();
        let at = tail.rfind("GURURMM-TEST-VERSION:").unwrap();
        let line = tail[at..].lines().next().unwrap();
        line.split_once(':').unwrap().1.to_owned()
    }

    /// What lies beside the agent's program, by name.
    pub fn beside_the_program(&self) -> Vec<String> {
        let entries = fs::read_dir(self.stage.file("bin")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !self.path.ends_with(name)).collect();
        names.sort();
        names
    }

    /// The record of updates; an empty object where there is none.
    pub fn record(&self) -> Value {
        let text = fs::read_to_string(self.stage.file("update/state.json"));
        text.map_or(json!({}), |text| serde_json::from_str(&text).unwrap())
    }

    /// Waits until something is so.
    pub async fn until(&self, mut so: impl FnMut(&Self) -> bool) {
        soon(async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// How often the agent was started by the supervisor.
    pub fn starts(&self) -> usize {
        self.supervisor.starts.load(Ordering::Relaxed)
    }

    /// The agent's process, where it runs.
    pub fn pid(&self) -> Option<u32> {
        *self.supervisor.pid.borrow()
    }

    /// Kills the agent, if it runs, and waits until it is gone.
    pub async fn kill(&mut self) {
        let running = *self.supervisor.pid.borrow_and_update();
        if let Some(pid) = running {
            kill(pid);
            soon(self.supervisor.pid.wait_for(|now| *now != Some(pid)))
                .await
                .unwrap();
        }
    }

    /// Lets the agent die at this step, once.
    pub fn kill_at(&self, step: &str) {
        fs::write(self.stage.file("kill_at"), step).unwrap();
    }

    /// Waits until the agent has died at that step.
    pub async fn until_killed(&self) {
        self.until(|this| !this.stage.file("kill_at").exists())
            .await;
    }

    /// Takes connections until one is an agent's that gets as far as its `auth`; others were a dead agent's.
    pub async fn accept(&self) -> (Connection, Value) {
        soon(async {
            loop {
                let (stream, _) = self.stage.listener.accept().await.unwrap();
                let Ok(socket) = accept_async(stream).await else {
                    continue;
                };
                let mut connection = Connection { socket };
                if let Some((kind, auth)) = connection.receive_or_end().await {
                    assert_eq!(kind, "auth");
                    return (connection, auth);
                }
            }
        })
        .await
    }

    /// Takes a connection as it is.
    pub async fn accept_stream(&self) -> tokio::net::TcpStream {
        soon(self.stage.listener.accept()).await.unwrap().0
    }

    /// Takes an agent's connection and acknowledges it.
    pub async fn acknowledge(&self) -> (Connection, Value) {
        let (mut connection, auth) = self.accept().await;
        connection.try_send(acknowledgement()).await;
        (connection, auth)
    }

    /// Tells that the update was refused, by this code, and that the old version runs on.
    pub async fn refused(&self, connection: &mut Connection, order: Value, code: &str) -> String {
        connection.send(order).await;
        let result = connection.expect("update_result").await;
        assert_eq!(result["code"], code, "{result}");
        assert_eq!(result["success"], false);
        assert_eq!(self.version_on_disk(), OLD);
        assert_eq!(self.beside_the_program(), [""; 0]);
        result["error"].as_str().unwrap().to_owned()
    }

    /// Installs the release of an order and tells the new version's connection.
    pub async fn updated(&self, connection: &mut Connection, order: Value) -> (Connection, Value) {
        connection.send(order).await;
        connection.closed().await;
        self.acknowledge().await
    }
}

/// A path of this machine as programs under Wine see it.
fn in_wine(path: &Path) -> String {
    format!("Z:{}", path.display())
}

/// What the server answers to `auth`.
pub fn acknowledgement() -> Value {
    json!({"type": "auth_ack", "payload": {"protocol": 2, "api_key": "grmm_own"}})
}

impl Connection {
    /// Receives the next message; none where the connection has ended.
    pub async fn receive_or_end(&mut self) -> Option<(String, Value)> {
        loop {
            match soon(self.socket.next()).await?.ok()? {
                Message::Text(text) => {
                    let mut message: Value = serde_json::from_str(&text).unwrap();
                    let kind = message["type"].as_str().unwrap().to_owned();
                    return Some((kind, message["payload"].take()));
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Sends a message to an agent that may have gone.
    pub async fn try_send(&mut self, message: Value) {
        use futures_util::SinkExt;
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }
}
