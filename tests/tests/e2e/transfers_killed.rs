//! Transfers in whose middle something is killed with SIGKILL: nothing half is at the target, and the rest is enough.
//!
//! `GURURMM_TEST_TRANSFER_MIB` says how large they are; 512 is what is promised.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::files::{noise, sha256, text};
use gururmm_tests::machine::names;
use gururmm_tests::wait::{CLEAN_UP, SOON};
use gururmm_tests::{Files, Machine, Tool, World, eventually, on_both_databases};
use reqwest::Method;
use reqwest::header::{IF_RANGE, RANGE};
use serde_json::Value;

on_both_databases! {
    async fn an_upload_goes_on_after_its_client_was_killed(world: World) {
        let (machine, bytes, from) = start(&world).await;
        let to = machine.path("target");
        let tool = Tool::logged_in(&machine.rmm.server.url(), TECHNICIAN).await;
        let place = format!("{}:{}", machine.id, text(&to));
        let arguments = ["--json", "cp", text(&from), &place];
        let mut copying = tool.start(&arguments);
        eventually("some of it is there", SOON, || async {
            (part_bytes(machine.folder()) > 0).then_some(())
        })
        .await;
        copying.kill9();
        assert!(!to.exists(), "the copy was done before it was killed, or half of it is at the target");
        let ended = tool.run(&arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(told["resumed_from"].as_u64().unwrap() > 0, "{told}");
        assert_eq!(told["sha256"], sha256(&bytes));
        assert!(std::fs::read(&to).unwrap() == bytes);
        assert_eq!(machine.names(), ["source", "target"]);
    }

    async fn a_download_goes_on_after_its_client_was_killed(world: World) {
        let (machine, bytes, from) = start(&world).await;
        let tool = Tool::logged_in(&machine.rmm.server.url(), TECHNICIAN).await;
        let folder = world.file("here");
        std::fs::create_dir(&folder).unwrap();
        let to = folder.join("target");
        let place = format!("{}:{}", machine.id, text(&from));
        let arguments = ["--json", "cp", &place, text(&to)];
        let mut copying = tool.start(&arguments);
        eventually("some of it is here", SOON, || async {
            (part_bytes(&folder) > 0).then_some(())
        })
        .await;
        copying.kill9();
        assert!(!to.exists(), "the copy was done before it was killed, or half of it is at the target");
        let ended = tool.run(&arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(told["resumed_from"].as_u64().unwrap() > 0, "{told}");
        assert!(std::fs::read(&to).unwrap() == bytes);
        assert_eq!(names(&folder), ["target"]);
    }

    async fn an_upload_goes_on_after_the_agent_was_killed(world: World) {
        upload_while_killing(&world, Victim::Agent).await;
    }

    async fn an_upload_goes_on_after_the_server_was_killed(world: World) {
        upload_while_killing(&world, Victim::Server).await;
    }

    async fn a_download_goes_on_after_the_agent_was_killed(world: World) {
        download_while_killing(&world, Victim::Agent).await;
    }

    async fn a_download_goes_on_after_the_server_was_killed(world: World) {
        download_while_killing(&world, Victim::Server).await;
    }
}

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Agent,
    Server,
}

impl Victim {
    fn kill(self, machine: &mut Machine) {
        match self {
            Self::Agent => machine.agent.kill9(),
            Self::Server => machine.rmm.server.kill9(),
        }
    }

    /// Starts it again; answers the files as a new session reaches them.
    async fn revive(self, machine: &mut Machine) -> Files {
        match self {
            Self::Agent => machine.agent.restart(),
            Self::Server => machine.rmm.server.restart().await,
        }
        let rmm = &machine.rmm;
        let session = rmm
            .wait_opens(&rmm.technician, machine.id, CLEAN_UP * 2)
            .await;
        Files::of(&rmm.technician, session)
    }
}

async fn upload_while_killing(world: &World, victim: Victim) {
    let (mut machine, bytes, _) = start(world).await;
    let to = machine.path("target");
    let half = bytes.len() / 2;
    let mut held = machine.files.begin_upload((&to, "u"), &bytes, 0).await;
    held.send(&bytes[..half]).await;
    eventually("half of it is on the disk", SOON * 3, || async {
        let there = machine.files.uploaded(&to, "u").await;
        (there == half as u64).then_some(())
    })
    .await;
    victim.kill(&mut machine);
    if let Victim::Agent = victim {
        let (rmm, session) = (&machine.rmm, machine.session);
        rmm.wait_session(session, "closed", "agent_disconnected", CLEAN_UP)
            .await;
    }
    // It is told without another byte of the client's.
    let answer = held.answer().await;
    assert!(
        answer.as_ref().is_none_or(|(status, _)| *status >= 400),
        "{answer:?}"
    );
    assert!(!to.exists(), "half a file is at the target");
    let files = victim.revive(&mut machine).await;
    assert!(!to.exists(), "half a file is at the target");
    let offset = files.uploaded(&to, "u").await;
    assert!(
        (1..=half as u64).contains(&offset),
        "it goes on from {offset}"
    );
    let offset = usize::try_from(offset).unwrap();
    let answer = files.upload((&to, "u"), &bytes, offset, &[]).await;
    assert_eq!(answer.json(200)["sha256"], sha256(&bytes));
    assert!(std::fs::read(&to).unwrap() == bytes);
    assert_eq!(machine.names(), ["source", "target"]);
}

async fn download_while_killing(world: &World, victim: Victim) {
    let (mut machine, bytes, from) = start(world).await;
    let query = [("path", text(&from))];
    let request = machine.files.request(Method::GET, "files/content", &query);
    let response = request.send().await.unwrap();
    let tag = response.headers()["etag"].clone();
    let mut body = response.bytes_stream();
    let mut got = body.next().await.unwrap().unwrap().to_vec();
    victim.kill(&mut machine);
    let broken = loop {
        match body.next().await {
            Some(Ok(piece)) => got.extend_from_slice(&piece),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(broken, "the download ended as if it were whole");
    assert!(got.len() < bytes.len(), "nothing was left to be broken off");
    let files = victim.revive(&mut machine).await;
    let request = files
        .request(Method::GET, "files/content", &query)
        .header(RANGE, format!("bytes={}-", got.len()))
        .header(IF_RANGE, tag);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 206);
    got.extend_from_slice(&response.bytes().await.unwrap());
    assert_eq!(sha256(&got), sha256(&bytes));
}

/// A machine with a large file.
async fn start(world: &World) -> (Machine, Vec<u8>, PathBuf) {
    let machine = Machine::start(world).await;
    let mib = std::env::var("GURURMM_TEST_TRANSFER_MIB");
    let mib: usize = mib.map_or(64, |text| text.parse().expect("a number of MiB"));
    let bytes = noise(mib << 20);
    let from = machine.file("source", &bytes);
    (machine, bytes, from)
}

/// Bytes of what a transfer that has not ended has written in a folder.
fn part_bytes(folder: &Path) -> u64 {
    let part = names(folder)
        .into_iter()
        .find(|name| name.ends_with(".gururmm-part"));
    part.and_then(|name| folder.join(name).metadata().ok())
        .map_or(0, |metadata| metadata.len())
}
