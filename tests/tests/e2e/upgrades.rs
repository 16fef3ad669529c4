//! Databases of earlier programs: from each level of the schema on, with rows in it, a server of today starts and shows
//! what was there.

use std::path::{Path, PathBuf};

use gururmm_tests::database::Engine;
use gururmm_tests::server::run_server;
use gururmm_tests::{Api, Database, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn a_database_of_each_earlier_level_is_migrated_with_its_rows(world: World) {
        let levels = migrations(world.database.engine());
        assert!(levels.len() >= 15, "{levels:?}");
        for level in 1..=levels.len() {
            let directory = tempfile::tempdir().unwrap();
            let data_dir = directory.path().join("data");
            std::fs::create_dir(&data_dir).unwrap();
            let database = Database::create(world.database.engine(), &data_dir).await;
            make(&database, &data_dir, &levels[..level]).await;
            fill(&database, level).await;
            let output = run_server(&data_dir, &database, &[], &["migrate"], "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "level {level}: {said}");
            let applied = String::from_utf8_lossy(&output.stdout).matches("applied ").count();
            assert_eq!(applied, levels.len() - level, "level {level}");
            for (table, rows) in [("users", 1), ("clients", 1), ("sites", 1)] {
                let query = format!("SELECT CAST(count(*) AS TEXT) AS value FROM {table}");
                assert_eq!(database.count(&query).await, rows, "level {level}: {table}");
            }
            let name = "SELECT name AS value FROM clients";
            assert_eq!(database.values(name).await, [Some("Old Client".to_owned())], "level {level}");
            if level >= 3 {
                let output = "SELECT stdout AS value FROM commands WHERE status = 'completed'";
                assert_eq!(database.values(output).await, [Some("old output".to_owned())], "level {level}");
            }
            if level >= 4 {
                let sessions = "SELECT CAST(count(*) AS TEXT) AS value FROM tech_sessions WHERE status = 'closed'";
                assert_eq!(database.count(sessions).await, 1, "level {level}");
            }
            if level >= 2 {
                let agent = "SELECT hostname AS value FROM agents";
                assert_eq!(database.values(agent).await, [Some("old-machine".to_owned())], "level {level}");
            }
            database.remove().await;
        }
    }

    async fn a_server_starts_on_the_first_schema_and_shows_what_was_there(world: World) {
        let levels = migrations(world.database.engine());
        make(&world.database, &world.data_dir(), &levels[..2]).await;
        fill(&world.database, 2).await;
        let arguments = ["admin", "create", "--email", "new@example.com", "--password-stdin"];
        let output = run_server(&world.data_dir(), &world.database, &[], &arguments, "a long password");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let server = world.server(&[]).await;
        let admin = Api::new(&server.url()).log_in("new@example.com", "a long password").await;
        let agents = admin.get("/api/agents").await.expect(200);
        assert_eq!(agents["items"][0]["hostname"], "old-machine", "{agents}");
        let clients = admin.get("/api/clients").await.expect(200);
        assert_eq!(clients["items"][0]["name"], "Old Client", "{clients}");
        admin.post("/api/clients", json!({"name": "New Client"})).await.check(201);
    }
}

/// The folders of an engine's migrations, oldest first.
fn migrations(engine: Engine) -> Vec<PathBuf> {
    let name = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let entries = std::fs::read_dir(folder.join(name)).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// Makes a database as an earlier program left it.
async fn make(database: &Database, data_dir: &Path, levels: &[PathBuf]) {
    if database.engine() == Engine::Sqlite {
        // Where the harness finds it, too, once it says that it is a database.
        std::fs::write(data_dir.join("gururmm.db"), "").unwrap();
    }
    let run = async |statement: &str| execute(database, data_dir, statement).await;
    run(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )
    .await;
    for level in levels {
        let up = std::fs::read_to_string(level.join("up.sql")).unwrap();
        run(&up).await;
        let name = level.file_name().unwrap().to_str().unwrap();
        let version = name.split('_').next().unwrap().replace('-', "");
        run(&format!(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')"
        ))
        .await;
    }
}

async fn execute(database: &Database, data_dir: &Path, statement: &str) {
    let done = match database {
        Database::Sqlite(_) => sqlite(data_dir, statement),
        Database::Postgres { .. } => database.execute(statement).await,
    };
    done.unwrap_or_else(|error| panic!("{error}: {statement}"));
}

fn sqlite(data_dir: &Path, statement: &str) -> Result<(), String> {
    use diesel::Connection;
    use diesel::connection::SimpleConnection;
    let path = data_dir.join("gururmm.db");
    let mut connection = diesel::SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    connection
        .batch_execute(statement)
        .map_err(|error| error.to_string())
}

/// Puts a row into the first tables that a level has.
async fn fill(database: &Database, level: usize) {
    let is_sqlite = database.engine() == Engine::Sqlite;
    let id = |n: u8| {
        let digits = format!("{n:02x}").repeat(16);
        if is_sqlite {
            format!("X'{digits}'")
        } else {
            format!("'{digits}'::uuid")
        }
    };
    let digits = "ab".repeat(32);
    let (time, hash) = if is_sqlite {
        ("1700000000000000", format!("X'{digits}'"))
    } else {
        ("'2023-11-14 22:13:20+00'", format!("'\\x{digits}'"))
    };
    let (user, client, site, agent, command) = (id(1), id(2), id(3), id(4), id(5));
    let rows = [
        (
            1,
            format!(
                "INSERT INTO users (id, email, name, password_hash, role, created_at, updated_at) \
                 VALUES ({user}, 'old@example.com', 'Old', 'x', 'technician', {time}, {time})"
            ),
        ),
        (
            1,
            format!(
                "INSERT INTO clients (id, name, created_at, updated_at) VALUES ({client}, 'Old Client', {time}, {time})"
            ),
        ),
        (
            1,
            format!(
                "INSERT INTO sites (id, client_id, name, site_code, api_key_hash, created_at, updated_at) \
                 VALUES ({site}, {client}, 'Old Site', 'OLD-1', {hash}, {time}, {time})"
            ),
        ),
        (
            2,
            format!(
                "INSERT INTO agents (id, site_id, device_id, hostname, os_family, os_name, os_version, os_arch, \
                 protocol, capabilities, status, created_at, updated_at) VALUES ({agent}, {site}, 'device', \
                 'old-machine', 'linux', 'Debian', '12', 'x86_64', 1, '[]', 'offline', {time}, {time})"
            ),
        ),
        (
            3,
            format!(
                "INSERT INTO commands (id, agent_id, created_by, command_type, command, timeout_seconds, status, \
                 exit_code, stdout, created_at, finished_at) VALUES ({command}, {agent}, {user}, 'shell', 'true', 60, \
                 'completed', 0, 'old output', {time}, {time})"
            ),
        ),
        (
            4,
            format!(
                "INSERT INTO tech_sessions (session_id, tech_id, agent_id, opened_at, last_activity, closed_at, status) \
                 VALUES ('018c0000-0000-7000-8000-000000000001', {user}, {agent}, {time}, {time}, {time}, 'closed')"
            ),
        ),
    ];
    for (since, statement) in rows {
        if level >= since {
            let done = database.execute(&statement).await;
            done.unwrap_or_else(|error| panic!("level {level}: {error}: {statement}"));
        }
    }
}
