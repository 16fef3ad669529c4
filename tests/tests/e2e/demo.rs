//! `make run`: what its program prints, what it leaves, and the one line of what is in its way.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::binaries::binary;
use gururmm_tests::process::Process;
use gururmm_tests::processes::running;
use gururmm_tests::{Api, eventually};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A server and an agent are started, one after the other, beside other tests.
const UP: Duration = Duration::from_secs(60);
const DOWN: Duration = Duration::from_secs(20);

fn demo(data: &Path, listen: &str, more: &[(&str, &str)]) -> Process {
    let mut command = Command::new(binary("demo"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GURURMM_")) {
        command.env_remove(name);
    }
    command
        .env("GURURMM_DATA_DIR", data)
        .env("GURURMM_LISTEN", listen)
        .envs(more.iter().copied());
    Process::start("demo", command)
}

/// What stands behind a word at the beginning of a line.
fn told(log: &str, word: &str) -> String {
    let line = log.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word:?} in {log}"))
        .trim()
        .to_owned()
}

/// Waits until all is up; answers the password and the agent's id.
async fn up(demo: &Process) -> (String, String) {
    eventually("the demo is up", UP, || async {
        demo.log().contains("Ctrl-C stops it").then_some(())
    })
    .await;
    let log = demo.log();
    let uname = Command::new("uname").arg("-a").output().unwrap().stdout;
    let uname = String::from_utf8(uname).unwrap();
    assert!(log.contains(uname.trim()), "{log}");
    let (email, password) = (told(&log, "Log-in"), told(&log, "Password"));
    let api = Api::new(&told(&log, "Address"));
    let api = api.log_in(&email, &password).await;
    let agents = items(&api.get("/api/agents").await.expect(200));
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!(agents[0]["status"], "online");
    (password, text(&agents[0], "id").to_owned())
}

async fn ends_by(demo: &mut Process, signal: Signal, data: &Path) {
    demo.signal(signal);
    let status = demo.wait(DOWN).await;
    assert_eq!(status.code(), Some(0), "{signal}");
    let data = data.to_string_lossy().into_owned();
    let left = running(|arguments| arguments.iter().any(|one| one.contains(&data)));
    assert!(left.is_empty(), "{signal}: {left:?}");
}

/// The one line of a demo that does not come up.
async fn refused(mut demo: Process) -> String {
    let status = demo.wait(UP).await;
    assert_eq!(status.code(), Some(1));
    // The reader of its output may be a moment behind.
    let log = eventually("it says why", DOWN, || async {
        let log = demo.log();
        (!log.is_empty()).then_some(log)
    })
    .await;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.starts_with("make run: "), "{log}");
    log
}

#[tokio::test]
async fn a_first_run_makes_all_a_second_goes_on_with_it_and_neither_leaves_a_process() {
    let folder = TempDir::new().unwrap();
    // Not there yet.
    let data = folder.path().join("data");
    let mut first = demo(&data, "127.0.0.1:0", &[]);
    let made = up(&first).await;
    ends_by(&mut first, Signal::SIGINT, &data).await;
    let mut second = demo(&data, "127.0.0.1:0", &[]);
    let found = up(&second).await;
    assert_eq!(found, made, "the same password and the same agent");
    ends_by(&mut second, Signal::SIGTERM, &data).await;
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_broken_configuration_are_one_line_each() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let line = refused(demo(&data, &listen, &[])).await;
    assert!(
        line.contains(&listen) && line.contains("GURURMM_LISTEN"),
        "{line}"
    );
    assert!(!data.exists(), "nothing is made in vain");

    let file = folder.path().join("gururmm.toml");
    std::fs::write(&file, "[tunnel]\nmax_vievers = 7\n").unwrap();
    let config = [("GURURMM_CONFIG", file.to_str().unwrap())];
    let line = refused(demo(&data, "127.0.0.1:0", &config)).await;
    assert!(line.contains("max_vievers"), "{line}");
}

/// `make tools` where each of these is a program that prints this as its version; answers what it says.
fn make_tools(programs: &[(&str, &str)]) -> (bool, String) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = TempDir::new().unwrap();
    for (name, version) in programs {
        let program = folder.path().join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for name in ["sort", "cut"] {
        let here = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let here = here.iter().find(|path| path.exists()).unwrap();
        symlink(here, folder.path().join(name)).unwrap();
    }
    let make = ["/usr/bin/make", "/usr/local/bin/make", "/bin/make"];
    let make = make.iter().find(|path| Path::new(path).exists()).unwrap();
    let output = Command::new(make)
        .args(["--silent", "tools"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("PATH", folder.path())
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn make_names_each_tool_that_is_missing_or_too_old_in_one_line() {
    let all = [
        ("cargo", ""),
        ("cc", ""),
        ("node", "v20.0.0"),
        ("npm", "10"),
        ("rustc", "rustc 1.95.0 (x)"),
    ];
    assert_eq!(make_tools(&all), (true, String::new()));
    for name in ["cargo", "cc", "node", "npm"] {
        let others: Vec<_> = all
            .iter()
            .copied()
            .filter(|(other, _)| *other != name)
            .collect();
        let (done, said) = make_tools(&others);
        assert!(!done && said.lines().count() == 1, "{name}: {said}");
        let what = if name == "cc" { "C compiler" } else { name };
        assert!(
            said.contains(what) && said.contains("install"),
            "{name}: {said}"
        );
    }
    for (name, old, words) in [
        ("node", "v18.19.1", "node is v18.19.1"),
        ("rustc", "rustc 1.94.1 (x)", "Rust is 1.94.1"),
    ] {
        let programs =
            all.map(|(other, version)| (other, if other == name { old } else { version }));
        let (done, said) = make_tools(&programs);
        assert!(
            !done && said.lines().count() == 1 && said.contains(words),
            "{name}: {said}"
        );
    }
}
