//! The agent as a process: its configuration, its key, its reports, and how it comes back.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use gururmm_tests::api::text;
use gururmm_tests::binaries::binary;
use gururmm_tests::{AgentSettings, TestAgent, eventually, on_both_databases};

/// The files that hold a key of the agent. It writes its own when the server says that it is online
/// already.
async fn kept_keys(agent: &TestAgent) -> Vec<PathBuf> {
    eventually("the key is kept", Duration::from_secs(10), || async {
        let files = std::fs::read_dir(agent.state_dir()).ok()?;
        let keys: Vec<_> = files
            .map(|entry| entry.unwrap().path())
            .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("grmm_")))
            .collect();
        (!keys.is_empty()).then_some(keys)
    })
    .await
}

on_both_databases! {
    async fn the_agent_keeps_its_own_key_in_a_file_of_mode_0600(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, _) = rmm.agent().await;
        let keys = kept_keys(&agent).await;
        for path in &keys {
            let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        assert_eq!(keys.len(), 1);
    }

    async fn after_its_enrolment_the_agent_uses_its_own_key_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        kept_keys(&agent).await;
        agent.stop().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
        let config = std::fs::read_to_string(agent.config_file()).unwrap();
        std::fs::write(agent.config_file(), config.replace(&rmm.site.code, "GONE-CODE-0000")).unwrap();
        agent.restart();
        assert_eq!(agent.wait_online(&rmm.admin).await, id);
        assert!(!agent.log().contains("GONE-CODE-0000"));
    }

    async fn the_agent_enrols_with_a_sites_key_too(world: World) {
        let rmm = world.deploy(&[]).await;
        let agent = TestAgent::start(&rmm.server.agents_url(), &rmm.site.key, AgentSettings::default());
        agent.wait_online(&rmm.admin).await;
        assert!(!agent.log().contains(&rmm.site.key[5..]));
    }

    async fn the_agent_reports_its_machine(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
        assert_eq!(body["os"]["family"], "linux");
        assert_eq!(body["os"]["arch"], std::env::consts::ARCH);
        assert!(!text(&body, "hostname").is_empty() && !text(&body, "agent_version").is_empty());
        let state = eventually("metrics and network are there", Duration::from_secs(40), || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            let ready = state["metrics"].is_object() && !state["network"].is_null();
            ready.then_some(state)
        })
        .await;
        let metrics = &state["metrics"];
        assert!(metrics["memory_total_bytes"].as_u64().unwrap() > 64 << 20, "{metrics}");
        assert!(metrics["memory_used_bytes"].as_u64() <= metrics["memory_total_bytes"].as_u64());
        let cpu = metrics["cpu_percent"].as_f64().unwrap();
        assert!((0.0..=100.0).contains(&cpu), "{cpu}");
        assert!(metrics["disk_total_bytes"].as_u64().unwrap() > 0, "{metrics}");
        assert!(metrics["uptime_seconds"].as_u64().unwrap() > 0, "{metrics}");
        assert!(state["network"].to_string().contains("127.0.0.1"), "{state}");
    }

    async fn the_agent_comes_back_after_the_server_was_away(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        rmm.server.kill9();
        eventually("the agent has noticed", Duration::from_secs(10), || async {
            agent.log().contains("not connected").then_some(())
        })
        .await;
        assert!(agent.is_running());
        rmm.server.restart().await;
        assert_eq!(agent.wait_online(&rmm.admin).await, id);
    }

    async fn a_stop_of_the_agent_is_told_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        agent.stop().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
    }
}

#[test]
fn the_agent_dials_again_with_jitter_and_never_faster_than_it_may() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let settings = AgentSettings {
        reconnect_seconds: 0.5,
        reconnect_max_seconds: 2.0,
        ..AgentSettings::default()
    };
    let _agent = TestAgent::start(&url, "DARK-GROVE-7839", settings);
    let mut times = Vec::new();
    for _ in 0..8 {
        // A server that hangs up at once.
        drop(listener.accept().unwrap());
        times.push(Instant::now());
    }
    let gaps: Vec<f64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64())
        .collect();
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    let shortest = gaps.iter().copied().fold(f64::MAX, f64::min);
    assert!(longest - shortest > 0.05, "no jitter: {gaps:?}");
    let all: f64 = gaps.iter().sum();
    assert!(all > 0.5, "7 attempts in {all} s are a stampede: {gaps:?}");
}

#[test]
fn a_broken_agent_toml_is_one_line_and_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    let good = gururmm_tests::agent::config(
        "ws://127.0.0.1:1/ws",
        "A-B-1",
        "d",
        &directory.path().display().to_string(),
        &AgentSettings::default(),
    );
    for (text, word) in [
        (good.replace("= 10", "= 9"), "interval_seconds"),
        (good.replace("ws://", "ftp://"), "url"),
        (good.replace("[commands]", "[commandos]"), "commandos"),
        (good.replace("[agent]", "[agent"), "agent.toml"),
        (good.replace("api_key", "api_kee"), "api_ke"),
        (String::new(), "server"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let line = refused(&file);
        assert!(line.contains(word), "{word}: {line}");
    }
    let line = refused(&directory.path().join("none.toml"));
    assert!(line.contains("none.toml"), "{line}");
}

fn refused(file: &std::path::Path) -> String {
    let output = Command::new(binary("gururmm-agent"))
        .args(["run", "--config"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned()
}
