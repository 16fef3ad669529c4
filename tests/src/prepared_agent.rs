//! A real agent whose surroundings the test prepares: a small disk, names that resolve as the test likes, programs of
//! the test's own, permissions that hold even for root. Only the agent sees them.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use gururmm_shared::AgentId;
use tempfile::TempDir;

use crate::agent::{AgentSettings, config};
use crate::binaries::binary;
use crate::deployment::{Deployment, wait_device_online};
use crate::process::Process;

/// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`: root reads and writes what permissions forbid.
const ABOVE_PERMISSIONS: [libc::c_ulong; 2] = [1, 2];

/// What is other than usual for an agent.
#[derive(Debug, Clone, Copy)]
pub enum Surroundings<'a> {
    /// What permissions forbid is forbidden to it.
    Permissions,
    /// At this folder there is a disk of so many bytes.
    SmallDisk(&'a Path, u64),
    /// This is its `/etc/hosts`.
    Hosts(&'a Path),
    /// This is its `PATH`.
    Programs(&'a str),
}

/// An agent with surroundings of its own.
pub struct PreparedAgent {
    process: Process,
    _directory: TempDir,
}

impl PreparedAgent {
    /// Starts one that enrols with the site's code, and waits until it is online.
    pub async fn start(rmm: &Deployment, surroundings: Surroundings<'_>) -> (Self, AgentId) {
        let directory = tempfile::Builder::new()
            .prefix("gururmm-agent-")
            .tempdir()
            .unwrap();
        let device_id = format!("test-device-{}", uuid::Uuid::new_v4());
        let state = directory.path().join("state");
        let file = directory.path().join("agent.toml");
        let settings = AgentSettings::default();
        let url = rmm.server.agents_url();
        let state = state.to_string_lossy();
        let text = config(&url, &rmm.site.code, &device_id, &state, &settings);
        std::fs::write(&file, text).unwrap();
        let mut command = command(surroundings);
        command
            .args(["run", "--config"])
            .arg(&file)
            .current_dir(directory.path());
        let agent = Self {
            process: Process::start("gururmm-agent", command),
            _directory: directory,
        };
        let id = wait_device_online(&rmm.admin, &device_id).await;
        (agent, id)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A path as the agent sees it.
    #[must_use]
    pub fn seen(&self, path: &Path) -> std::path::PathBuf {
        let root = format!("/proc/{}/root", self.process.pid());
        Path::new(&root).join(path.strip_prefix("/").expect("absolute"))
    }
}

fn command(surroundings: Surroundings<'_>) -> Command {
    let agent = binary("gururmm-agent");
    match surroundings {
        Surroundings::Permissions => {
            let mut command = Command::new(agent);
            below_permissions(&mut command);
            command
        }
        Surroundings::Programs(path) => {
            let mut command = Command::new(agent);
            command.env("PATH", path);
            command
        }
        Surroundings::SmallDisk(folder, bytes) => {
            let mut command = mounted(r#"mount -t tmpfs -o size="$2",mode=700 tmpfs "$1""#);
            command.arg(folder).arg(bytes.to_string()).arg(agent);
            command
        }
        Surroundings::Hosts(file) => {
            let mut command = mounted(r#"mount --bind "$1" "$2""#);
            command.arg(file).arg("/etc/hosts").arg(agent);
            command
        }
    }
}

/// A command in a mount namespace of its own: two words for `mount`, then what is run.
fn mounted(mount: &str) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = format!(r#"{mount} && shift 2 && exec "$@""#);
    command.args(["--mount", "sh", "-c", &script, "gururmm-test"]);
    command
}

/// Takes from the process what lets root do what permissions forbid.
#[allow(unsafe_code, reason = "async-signal-safe calls between fork and exec")]
fn below_permissions(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            for capability in ABOVE_PERMISSIONS {
                // Who may not drop it does not have it.
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            Ok(())
        });
    }
}
