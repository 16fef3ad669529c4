//! A server whose disk fills up: it says so, loses nothing, and goes on by itself when there is room again. On SQLite
//! only: the disk of a PostgreSQL is not the server's, and what it says of it is tested with the errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::{World, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_secs(40);

mod a_full_disk_refuses_new_work_in_words_loses_nothing_and_heals_by_itself {
    use super::*;

    #[test]
    fn sqlite() {
        gururmm_tests::world::run(Engine::Sqlite, body);
    }

    async fn body(world: World) {
        let Some(disk) = SmallDisk::mount(&world.data_dir()) else {
            // Only who may mount has a disk that is small enough.
            panic!("no disk of its own can be mounted: run this test as root");
        };
        let mut rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let path = format!("/api/agents/{id}/command");
        let slow = json!({"command": "sleep 4; echo survived"});
        let given = rmm.technician.post(&path, slow).await.expect(202);
        let command = text(&given, "command_id").to_owned();
        let show = || async {
            rmm.technician
                .get(&format!("/api/commands/{command}"))
                .await
                .expect(200)
        };
        eventually("the command runs", SOON, || async {
            (show().await["status"] == "running").then_some(())
        })
        .await;
        disk.fill();
        let refused = eventually("new work is refused", SOON, || async {
            let name = format!("Client {}", uuid::Uuid::new_v4());
            let answer = rmm.admin.post("/api/clients", json!({"name": name})).await;
            (answer.status != 201).then_some(answer)
        })
        .await;
        refused.problem(503, "server_disk_full");
        assert_eq!(refused.header("retry-after"), "30");
        let before = clients(&rmm.admin).await;
        let command_refused = rmm
            .technician
            .post(&path, json!({"command": "echo never"}))
            .await;
        command_refused.problem(503, "server_disk_full");
        // Reading goes on, and so does the agent's connection.
        let shown = rmm
            .admin
            .get(&format!("/api/agents/{id}"))
            .await
            .expect(200);
        assert_eq!(shown["status"], "online");
        // The result comes while there is no room for it: it is told again until there is.
        eventually("the result was refused", SOON, || async {
            let log = rmm.server.log();
            log.contains("the ends of commands cannot be kept")
                .then_some(())
        })
        .await;
        disk.make_room();
        eventually("the result is kept", SOON, || async {
            let shown = show().await;
            (shown["status"] == "completed").then(|| assert_eq!(shown["stdout"], "survived\n"))
        })
        .await;
        assert_eq!(clients(&rmm.admin).await, before, "what was there is there");
        let added = rmm
            .admin
            .post("/api/clients", json!({"name": "After"}))
            .await;
        added.check(201);
        drop(agent);
        rmm.server.stop().await;
        let verify = gururmm_tests::server::run_server(
            &world.data_dir(),
            &world.database,
            &[],
            &["audit", "verify"],
            "",
        );
        let said = String::from_utf8_lossy(&verify.stdout).into_owned();
        assert!(
            verify.status.success() && said.contains("chain whole"),
            "{said}"
        );
    }
}

async fn clients(admin: &gururmm_tests::Api) -> usize {
    let page = admin.get("/api/clients?limit=200").await.expect(200);
    items(&page).len()
}

/// A disk of some MiB, in the place of a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m,mode=700", "none"]);
        let mounted = mount.arg(folder).status();
        let mounted = mounted.is_ok_and(|status| status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        for size in [65_536, 4096, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
