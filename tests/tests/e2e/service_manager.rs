//! The server under a service manager: what it is told, what it hands over, and how little is lost by a restart.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gururmm_tests::api::text;
use gururmm_tests::database::Engine;
use gururmm_tests::{Api, Deployment, Proxy, TestServer, World, eventually, on_both_databases};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

on_both_databases! {
    async fn the_service_manager_hears_ready_then_the_watchdog_and_stopping_at_the_end(world: World) {
        let manager = Manager::at(&world);
        let mut server = world.server(&manager.settings(1)).await;
        manager.hear("READY=1").await;
        for _ in 0..3 {
            let message = manager.hear("WATCHDOG=1").await;
            assert!(message.contains("STATUS=0 agents, 0 sessions"), "{message}");
        }
        server.stop().await;
        manager.hear("STOPPING=1").await;
    }

    async fn a_reload_is_no_end(world: World) {
        let mut server = world.server(&[]).await;
        server.hang_up();
        eventually("it is told", SOON, || async { server.log().contains("SIGHUP").then_some(()) }).await;
        server.anonymous().get("/healthz").await.check(200);
        assert!(server.is_running());
    }

    async fn a_log_file_that_was_moved_is_opened_anew_on_a_hang_up_and_loses_no_last_line(world: World) {
        let file = world.file("server.log");
        let settings = [("log.file", file.to_str().unwrap()), ("log.format", "json")];
        let mut server = world.server(&settings).await;
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        eventually("lines come", SOON, || async { read(&file).contains("listening on").then_some(()) }).await;
        let moved = world.file("moved.log");
        std::fs::rename(&file, &moved).unwrap();
        server.hang_up();
        eventually("a new file is there", SOON, || async { read(&file).contains("SIGHUP").then_some(()) }).await;
        assert!(!read(&moved).contains("SIGHUP"));
        server.stop().await;
        let last = read(&file).lines().last().unwrap().to_owned();
        let last: serde_json::Value = serde_json::from_str(&last).unwrap();
        assert_eq!(text(&last["fields"], "message"), "stopped", "the last line is not lost");
        assert_eq!(server.log(), "", "standard error is left alone");
    }

    async fn a_socket_that_is_handed_over_outlives_a_restart_and_nobody_is_refused(world: World) {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = TestServer::start_on(&socket, &world.data_dir(), &world.database, &[]).await;
        assert!(server.log().contains("taken over from the service manager"), "{}", server.log());
        let mut rmm = Deployment::on(server, world.database.clone()).await;
        let (agent, id) = rmm.agent().await;
        let command = json!({"command": "sleep 3; echo finished"});
        let given = rmm.technician.post(&format!("/api/agents/{id}/command"), command).await.expect(202);
        let command = text(&given, "command_id").to_owned();
        eventually("the command runs", SOON, || async {
            let shown = rmm.technician.get(&format!("/api/commands/{command}")).await.expect(200);
            (shown["status"] == "running").then_some(())
        })
        .await;
        let stop = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(ask_all_the_time(rmm.server.url(), stop.clone()));
        let began = Instant::now();
        rmm.server.stop().await;
        rmm.server = TestServer::start_on(&socket, &world.data_dir(), &world.database, &[]).await;
        let away = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        let (asked, longest) = asking.await.unwrap();
        println!("restart: {away:?}; the longest of {asked} answers took {longest:?}");
        assert!(asked > 0 && longest < Duration::from_secs(5), "{longest:?} of {asked}");
        // The agent comes back, and what ran meanwhile is finished, not run again.
        let admin = rmm.technician.clone();
        eventually("the command is done", SOON, || async {
            let shown = admin.get(&format!("/api/commands/{command}")).await.expect(200);
            (shown["status"] == "completed").then_some(())
        })
        .await;
        assert!(agent.log().contains("connected"));
    }

    async fn a_restart_without_a_handed_socket_is_less_than_five_seconds_without_service(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let began = Instant::now();
        rmm.server.stop().await;
        rmm.server.restart().await;
        let away = began.elapsed();
        rmm.wait_status(id, "online", SOON).await;
        println!("restart: {away:?}; with its agent: {:?}", began.elapsed());
        assert!(away < Duration::from_secs(5), "{away:?}");
    }
}

/// On PostgreSQL only: a file cannot hang by order.
mod a_database_that_neither_answers_nor_fails_starves_the_watchdog {
    use super::*;

    #[test]
    fn postgres() {
        gururmm_tests::world::run(Engine::Postgres, body);
    }

    async fn body(world: World) {
        let mut through: reqwest::Url = world.database.url().unwrap().parse().unwrap();
        let target = format!("127.0.0.1:{}", through.port().unwrap());
        let line = Proxy::start(target.parse().unwrap()).await;
        through.set_port(Some(line.address().port())).unwrap();
        let manager = Manager::at(&world);
        let mut settings = manager.settings(1);
        settings.push(("database.url", through.as_str()));
        let server = world.server(&settings).await;
        manager.hear("WATCHDOG=1").await;
        line.pull();
        eventually("the server notices", SOON, || async {
            server
                .log()
                .contains("the watchdog is not fed")
                .then_some(())
        })
        .await;
        manager.forget();
        let silence = manager.hear_within("WATCHDOG=1", Duration::from_secs(3));
        assert_eq!(silence.await, None);
        line.plug();
        manager.hear("WATCHDOG=1").await;
    }
}

/// Who listens to what a service says.
struct Manager {
    socket: tokio::net::UnixDatagram,
    path: String,
}

impl Manager {
    fn at(world: &World) -> Self {
        let path = world.file("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket: tokio::net::UnixDatagram::from_std(socket).unwrap(),
            path: path.to_str().unwrap().to_owned(),
        }
    }

    fn settings(&self, watchdog_seconds: u64) -> Vec<(&str, &str)> {
        assert_eq!(watchdog_seconds, 1);
        vec![
            ("NOTIFY_SOCKET", self.path.as_str()),
            ("WATCHDOG_USEC", "1000000"),
        ]
    }

    /// Waits for a message with this line; others before it are passed over.
    async fn hear(&self, line: &str) -> String {
        let heard = self.hear_within(line, SOON).await;
        heard.unwrap_or_else(|| panic!("{line} never came"))
    }

    async fn hear_within(&self, line: &str, limit: Duration) -> Option<String> {
        let hear = async {
            loop {
                let mut buffer = [0; 4096];
                let count = self.socket.recv(&mut buffer).await.unwrap();
                let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if message.lines().any(|has| has == line) {
                    return message;
                }
            }
        };
        tokio::time::timeout(limit, hear).await.ok()
    }

    /// Passes over what came until now.
    fn forget(&self) {
        let mut buffer = [0; 4096];
        while self.socket.try_recv(&mut buffer).is_ok() {}
    }
}

/// Asks on ever new connections; how often, and how long the longest answer took. A connection that the old server took
/// and did not come to serve is closed by it: that is asked again, as every client does.
async fn ask_all_the_time(url: String, stop: Arc<AtomicBool>) -> (usize, Duration) {
    let (mut asked, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut tries = 0;
        while Api::new(&url).try_get("/healthz").await.is_err() {
            tries += 1;
            assert!(tries < 3, "refused {tries} times in a row");
        }
        asked += 1;
        longest = longest.max(began.elapsed());
    }
    (asked, longest)
}
