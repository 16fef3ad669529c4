//! The agent for Windows under Wine, where `GURURMM_WINDOWS_AGENT` says where its program is: every
//! [`crate::TestAgent`] is one then.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::binaries::binary;

/// What says where the program is.
const VARIABLE: &str = "GURURMM_WINDOWS_AGENT";

fn program() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// The agent's program.
#[must_use]
pub fn agent() -> Command {
    match program() {
        Some(program) => {
            let mut command = Command::new("wine");
            command.arg(program);
            command
        }
        None => Command::new(binary("gururmm-agent")),
    }
}

/// A path of this machine as agents see it: Wine shows its root as drive Z.
#[must_use]
pub fn as_agents_see(path: &Path) -> String {
    let text = path.to_string_lossy().into_owned();
    match program() {
        Some(_) => format!("Z:{text}"),
        None => text,
    }
}

/// Runs the agent's program for Windows to its end.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn run_agent(arguments: &[&str]) -> Output {
    assert!(
        program().is_some(),
        "{VARIABLE} is not set: run `make windows`"
    );
    agent()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("wine is installed")
}
