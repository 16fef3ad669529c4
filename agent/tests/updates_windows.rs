//! An update of the agent for Windows, whose program cannot be replaced while it runs: under Wine, by `.ci/windows`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;

use harness::release::{Release, Serving, windows_program};
use harness::updating::{NEW, OLD, Updating};

/// Ends what a test has started under Wine: it is nobody's child.
struct Remains(String);

impl Remains {
    fn pids(&self) -> Vec<i32> {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
        let own = i32::try_from(std::process::id()).unwrap();
        pids.filter(|pid| *pid != own)
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line)
                    .replace('\\', "/")
                    .contains(&self.0)
            })
            .collect()
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        for pid in self.pids() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[tokio::test]
#[ignore = "needs Wine and the agent for Windows: .ci/windows runs it"]
async fn the_agent_for_windows_gives_way_to_a_new_version_and_gets_its_name_back_from_a_bad_one() {
    let updating = Updating::start_windows().await;
    let folder = updating.stage.directory.path().display().to_string();
    let remains = Remains(folder);
    let (mut server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], OLD);
    let release = |version: &str| {
        let release = Release::of(version, windows_program(version));
        release.with("platform", "windows-x86_64")
    };
    let order = updating.depot.offer(&release(NEW), Serving::Whole);
    let (mut server, auth) = updating.updated(&mut server, order).await;
    assert_eq!(auth["version"], NEW);
    assert_eq!(auth["previous_version"], OLD);
    assert_eq!(server.expect("update_result").await["success"], true);
    assert_eq!(updating.version_on_disk(), NEW);

    // Nobody acknowledges the next one.
    let order = updating.depot.offer(&release("0.3.0"), Serving::Whole);
    server.send(order).await;
    server.closed().await;
    let (unanswered, auth) = updating.accept().await;
    assert_eq!(auth["version"], "0.3.0");
    let (mut server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], NEW);
    drop(unanswered);
    let result = loop {
        let result = server.expect("update_result").await;
        if result["version"] == "0.3.0" {
            break result;
        }
    };
    assert_eq!(result["code"], "rolled_back", "{result}");
    assert_eq!(updating.version_on_disk(), NEW);
    drop(remains);
}
