//! Transfers in whose middle something is killed with SIGKILL: nothing half is at the target, and the rest is enough.
//!
//! `GURURMM_TEST_TRANSFER_MIB` says how large they are; 512 is what is promised.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use gururmm_shared::SessionId;
use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::files::{FileAnswer, noise, sha256, text};
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
        let (mut machine, bytes, _) = start(&world).await;
        let to = half_uploaded(&machine, &bytes, async |machine| {
            machine.agent.kill9();
            machine.agent.restart();
        }, &mut |_| ()).await;
        let files = again(&machine).await;
        finish_upload(&machine, &files, &to, &bytes).await;
    }

    async fn an_upload_goes_on_after_the_server_was_killed(world: World) {
        let (mut machine, bytes, _) = start(&world).await;
        let to = half_uploaded(&mut machine, &bytes).await;
        finish_upload(&machine, &again(&machine).await, &to, &bytes).await;
    }
}
