//! Backups: made while the server works, brought back into a new one, where everything is as it was.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use gururmm_shared::AgentId;
use gururmm_tests::api::text;
use gururmm_tests::database::Engine;
use gururmm_tests::deployment::{ADMIN, TECHNICIAN};
use gururmm_tests::server::run_server;
use gururmm_tests::{
    Api, Database, Deployment, Proxy, TestAgent, TestServer, World, eventually, on_both_databases,
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

on_both_databases! {
    async fn a_backup_made_while_commands_flow_is_brought_back_with_all_rows_log_ins_and_agents(world: World) {
        let mut rmm = world.deploy(&[]).await;
        // The agent finds whichever server runs by a line that is turned over later.
        let line = Proxy::start(rmm.server.address()).await;
        let agent = TestAgent::start(&line.agents_url(), &rmm.site.code, gururmm_tests::AgentSettings::default());
        let id = agent.wait_online(&rmm.admin).await;
        let session = rmm.open(id).await;
        rmm.run(session, "echo in the audit").await;
        let file = world.file("backup.tar.gz");
        let done = Done::run(&rmm, id).await;
        // Commands go on while the backup is made.
        let stop = std::sync::atomic::AtomicBool::new(false);
        let flow = async {
            let mut given = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                give(&rmm.technician, id, "echo flows").await;
                given += 1;
            }
            given
        };
        let back_up = async {
            let (data_dir, database, to) = (world.data_dir(), world.database.clone(), file.clone());
            let run = move || run_server(&data_dir, &database, &[], &["backup", to.to_str().unwrap()], "");
            let output = tokio::task::spawn_blocking(run).await.unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            output
        };
        let (given, output) = tokio::join!(flow, back_up);
        let said = succeeded(&output);
        assert!(given > 0 && said.contains("rows of"), "{given}: {said}");
        assert_eq!(mode(&file), 0o600);
        rmm.server.stop().await;

        let other = Fresh::make(&world).await;
        let said = succeeded(&other.run(&["restore", file.to_str().unwrap()]));
        assert!(said.contains("chain whole"), "{said}");
        done.is_there(&other.database).await;

        let server = other.start(rmm.server.address()).await;
        let admin = Api::new(&server.url()).log_in(ADMIN.0, ADMIN.1).await;
        Api::new(&server.url()).log_in(TECHNICIAN.0, TECHNICIAN.1).await;
        // A log-in of before is still one: the key that signed it came along.
        let old = Api::new(&server.url()).with_token(rmm.technician.token());
        old.get("/api/auth/me").await.check(200);
        eventually("the agent comes back with its key", SOON, || async {
            let agent = admin.get(&format!("/api/agents/{id}")).await.expect(200);
            (agent["status"] == "online").then_some(())
        })
        .await;
        let command = give(&old, id, "echo after the restore").await;
        wait_done(&old, &command).await;
        let verify = other.run(&["audit", "verify"]);
        assert!(succeeded(&verify).contains("chain whole"));
    }

    async fn every_row_of_every_table_comes_back_as_it_was(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        rmm.run(session, "echo 'ünïcode \\\\ and\ttab'").await;
        Done::run(&rmm, id).await;
        rmm.server.stop().await;
        let file = world.file("backup.tar.gz");
        let path = file.to_str().unwrap();
        succeeded(&run_server(&world.data_dir(), &world.database, &[], &["backup", path], ""));
        let other = Fresh::make(&world).await;
        succeeded(&other.run(&["restore", path]));
        let (then, now) = (rows(&world.database).await, rows(&other.database).await);
        let names = |all: &[(String, Vec<String>)]| -> Vec<String> { all.iter().map(|one| one.0.clone()).collect() };
        assert_eq!(names(&then), names(&now));
        assert!(then.len() > 30, "{}", then.len());
        let mut filled = 0;
        for ((table, then), (_, now)) in then.iter().zip(&now) {
            filled += usize::from(!then.is_empty());
            // The restore itself is in the audit.
            let most = usize::from(table.starts_with("audit_"));
            let more = now.len().checked_sub(then.len());
            assert!(more.is_some_and(|more| more <= most), "{table}: {} and {}", then.len(), now.len());
            for row in then.iter().filter(|_| table != "__diesel_schema_migrations") {
                assert!(now.contains(row), "{table}: {row} is missing in {now:?}");
            }
        }
        assert!(filled > 10, "only {filled} tables had rows");
        // Numbers go on where they were, and nothing that was sealed is sealed again.
        let server = other.start(([127, 0, 0, 1], 0).into()).await;
        let admin = Api::new(&server.url()).log_in(ADMIN.0, ADMIN.1).await;
        admin.post("/api/clients", json!({"name": "After"})).await.check(201);
        drop(server);
        assert!(succeeded(&other.run(&["audit", "verify"])).contains("chain whole"));
    }

    async fn a_restore_refuses_what_it_should_not_touch_and_what_is_no_backup(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let file = world.file("backup.tar.gz");
        let path = file.to_str().unwrap();
        let run = |arguments: &[&str]| run_server(&world.data_dir(), &world.database, &[], arguments, "");
        succeeded(&run(&["backup", path]));
        // The server runs.
        assert!(refused(&run(&["restore", path, "--force"])).contains("stop it first"));
        rmm.server.stop().await;
        // There are users.
        assert!(refused(&run(&["restore", path])).contains("--force"));
        let before = counts(&world.database).await;
        // Damaged files, each in another way.
        let whole = std::fs::read(&file).unwrap();
        let half = whole.len() / 2;
        let mut turned = whole.clone();
        turned[half] ^= 1;
        for (bytes, word) in [
            (&whole[..half], "damaged"),
            (&whole[..whole.len() - 30], "damaged"),
            (&turned[..], "damaged"),
            (&b"not a backup at all"[..], "no backup"),
            (&b""[..], "no backup"),
        ] {
            let bad = world.file("bad.tar.gz");
            std::fs::write(&bad, bytes).unwrap();
            let said = refused(&run(&["restore", bad.to_str().unwrap(), "--force"]));
            assert!(said.contains(word), "{said}");
        }
        for (change, word) in [
            (r#"s["schema"].append("20990101000000")"#, "newer version"),
            (r#"s["format"] = 2"#, "format 2"),
            (r#"s["database"] = "oracle""#, "oracle"),
        ] {
            let bad = world.file("changed.tar.gz");
            changed(&file, &bad, change);
            let said = refused(&run(&["restore", bad.to_str().unwrap(), "--force"]));
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(counts(&world.database).await, before, "nothing was touched");
        assert!(leftovers(&world.data_dir()).is_empty());
        // With --force what is there is put aside.
        let said = succeeded(&run(&["restore", path, "--force"]));
        assert!(said.contains("what was there before is in"), "{said}");
        rmm.server.restart().await;
        Api::new(&rmm.server.url()).log_in(ADMIN.0, ADMIN.1).await;
    }

    async fn a_backup_without_a_database_or_a_place_is_one_line(world: World) {
        let run = |arguments: &[&str]| run_server(&world.data_dir(), &world.database, &[], arguments, "");
        let nowhere = world.file("no/such/folder/backup");
        let said = refused(&run(&["backup", nowhere.to_str().unwrap()]));
        let word = match world.database.engine() {
            Engine::Sqlite => "there is no database",
            Engine::Postgres => "there is no folder",
        };
        assert!(said.contains(word), "{said}");
        let file = world.file("backup");
        assert!(!file.exists() && !refused(&run(&["restore", file.to_str().unwrap()])).is_empty());
        let mut server = world.server(&[]).await;
        server.stop().await;
        // One before the first user is one, too.
        succeeded(&run(&["backup", file.to_str().unwrap()]));
        succeeded(&run(&["restore", file.to_str().unwrap()]));
    }
}

/// A command that was done before the backup, with its audit.
struct Done(String);

impl Done {
    async fn run(rmm: &Deployment, agent: AgentId) -> Self {
        let id = give(&rmm.technician, agent, "echo before").await;
        wait_done(&rmm.technician, &id).await;
        Self(id)
    }

    async fn is_there(&self, database: &Database) {
        let id = &self.0;
        let is = match database.engine() {
            Engine::Sqlite => format!("hex(id) = upper(replace('{id}', '-', ''))"),
            Engine::Postgres => format!("id = '{id}'"),
        };
        let query = format!(
            "SELECT CAST(count(*) AS TEXT) AS value FROM commands WHERE {is} AND status = 'completed'"
        );
        assert_eq!(database.count(&query).await, 1);
    }
}

/// Every row of every table as text.
async fn rows(database: &Database) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (table, _) in counts(database).await {
        let row = match database.engine() {
            Engine::Postgres => format!("CAST({table} AS TEXT)"),
            Engine::Sqlite => {
                let columns = format!(
                    "SELECT group_concat('quote(\"' || name || '\")', '||') AS value FROM pragma_table_info('{table}')"
                );
                database.values(&columns).await.pop().flatten().unwrap()
            }
        };
        let found = database
            .values(&format!("SELECT {row} AS value FROM {table}"))
            .await;
        all.push((table, found.into_iter().flatten().collect()));
    }
    all
}

/// How many rows every table has.
async fn counts(database: &Database) -> Vec<(String, i64)> {
    let tables = match database.engine() {
        Engine::Sqlite => {
            "SELECT name AS value FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
        }
        Engine::Postgres => {
            "SELECT table_name::text AS value FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    let mut counts = Vec::new();
    for table in database.values(tables).await.into_iter().flatten() {
        let query = format!("SELECT CAST(count(*) AS TEXT) AS value FROM {table}");
        counts.push((table, database.count(&query).await));
    }
    counts
}

async fn give(api: &Api, agent: AgentId, command: &str) -> String {
    let path = format!("/api/agents/{agent}/command");
    let given = api
        .post(&path, json!({"command": command}))
        .await
        .expect(202);
    text(&given, "command_id").to_owned()
}

async fn wait_done(api: &Api, command: &str) {
    eventually("the command is done", SOON, || async {
        let shown = api
            .get(&format!("/api/commands/{command}"))
            .await
            .expect(200);
        (shown["status"] == "completed").then_some(())
    })
    .await;
}

/// A server that is not set up, beside the world's own.
struct Fresh {
    directory: tempfile::TempDir,
    database: Database,
}

impl Fresh {
    async fn make(world: &World) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let database = Database::create(world.database.engine(), &data_dir).await;
        Self {
            directory,
            database,
        }
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_server(&self.data_dir(), &self.database, &[], arguments, "")
    }

    /// Starts it where the other one was.
    async fn start(&self, address: std::net::SocketAddr) -> TestServer {
        TestServer::start_at(address, &self.data_dir(), &self.database, &[]).await
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it succeeded");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What a restore that failed may not leave behind.
fn leftovers(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("restore")).collect()
}

/// The same backup with another manifest.
fn changed(from: &Path, to: &Path, change: &str) {
    let script = format!(
        "import io, json, sys, tarfile\n\
         a = tarfile.open(sys.argv[1]); b = tarfile.open(sys.argv[2], 'w:gz')\n\
         for m in a:\n\
         \x20   d = a.extractfile(m).read()\n\
         \x20   if m.name == 'manifest.json':\n\
         \x20       s = json.loads(d); {change}; d = json.dumps(s).encode()\n\
         \x20   m.size = len(d); b.addfile(m, io.BytesIO(d))\n\
         b.close()\n"
    );
    let status = std::process::Command::new("python3")
        .args(["-c", &script])
        .args([from, to])
        .status();
    assert!(status.unwrap().success());
}
