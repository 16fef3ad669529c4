//! Migrations and the way to the database.

use std::time::{Duration, Instant};

use gururmm_db::testing::{
    Scratch, execute, number, on_both, on_both_unmigrated, select_every_column,
};
use gururmm_db::{DatabaseKind, DatabaseSettings, Db, DbError, clients};

const MIGRATIONS: usize = 17;
/// Those of the product and diesel's own.
const TABLES: i64 = 42;

async fn tables(db: &Db) -> i64 {
    let catalogue = match db.kind() {
        DatabaseKind::Sqlite => {
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        DatabaseKind::Postgres => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' \
             AND table_type = 'BASE TABLE'"
        }
    };
    number(db, catalogue).await
}

#[test]
fn migrations_go_up_and_down_and_up_again() {
    on_both_unmigrated(async |settings| {
        let db = Db::connect(&settings).await.unwrap();
        assert_eq!(db.pending_migrations().await, Ok(MIGRATIONS));
        let up = db.migrate().await.unwrap();
        assert_eq!(up.len(), MIGRATIONS);
        assert!(up[0].contains("users_and_sites"), "{up:?}");
        assert_eq!(db.pending_migrations().await, Ok(0));
        assert_eq!(db.migrate().await, Ok(Vec::new()));
        assert_eq!(tables(&db).await, TABLES);
        let mut down = db.revert_all().await.unwrap();
        assert_eq!(tables(&db).await, 1, "diesel's own");
        down.reverse();
        assert_eq!(down, up);
        assert_eq!(db.migrate().await, Ok(up));
        assert_eq!(tables(&db).await, TABLES);
    });
}

#[test]
fn two_servers_that_start_at_once_migrate_once() {
    on_both_unmigrated(async |settings| {
        let (one, two) = (
            Db::connect(&settings).await.unwrap(),
            Db::connect(&settings).await.unwrap(),
        );
        let (one, two) = tokio::join!(one.migrate(), two.migrate());
        assert_eq!(one.unwrap().len() + two.unwrap().len(), MIGRATIONS);
    });
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    on_both(async |db| {
        execute(
            &db,
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')",
        )
        .await
        .unwrap();
        let error = db.migrate().await.unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    });
}

#[test]
fn every_table_has_the_columns_of_the_schema() {
    on_both(async |db| {
        for (table, result) in select_every_column(&db).await {
            assert_eq!(result, Ok(0), "{table}");
        }
    });
}

#[test]
fn both_databases_answer_a_ping() {
    on_both(async |db| assert_eq!(db.ping().await, Ok(())));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_gives_one_clear_line_in_time() {
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = nothing.local_addr().unwrap().port();
    for url in [
        "postgres://rmm:s3cret@127.0.0.1:1/gururmm".to_owned(),
        format!("postgres://rmm:s3cret@127.0.0.1:{silent}/gururmm"),
        "sqlite:///proc/nowhere/x.db".to_owned(),
        "sqlite:///proc/version".to_owned(),
    ] {
        let began = Instant::now();
        let error = Db::connect(&DatabaseSettings::new(&url))
            .await
            .err()
            .unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
        let line = error.to_string();
        eprintln!("{line}");
        assert!(
            line.starts_with("cannot ") && !line.contains('\n'),
            "{line}"
        );
        assert!(
            line.contains("database.url") && !line.contains("s3cret"),
            "{line}"
        );
    }
    drop(nothing);
}

#[tokio::test]
async fn a_missing_postgresql_database_is_named() {
    let mut scratch = Scratch::postgres().await;
    let wrong = scratch
        .settings
        .url
        .replace("gururmm_test_", "gururmm_missing_");
    let url = std::mem::replace(&mut scratch.settings.url, wrong);
    let line = Db::connect(&scratch.settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        line.contains("gururmm_missing_") && line.contains("does not exist"),
        "{line}"
    );
    scratch.settings.url = url;
    scratch.remove().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_sqlite_file_and_its_directory_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("x.db");
    let db = Db::connect(&DatabaseSettings::new(format!("sqlite:{}", path.display())))
        .await
        .unwrap();
    db.migrate().await.unwrap();
    clients::insert(&db, "Acme".to_owned()).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["x.db", "x.db-wal", "x.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn sqlite_is_as_careful_as_it_should_be() {
    let scratch = Scratch::sqlite();
    let db = Db::connect(&scratch.settings).await.unwrap();
    for (pragma, expected) in [
        ("foreign_keys", 1),
        ("synchronous", 2),
        ("query_only", 1),
        ("trusted_schema", 0),
    ] {
        let sql = format!("SELECT {pragma} FROM pragma_{pragma}");
        assert_eq!(number(&db, &sql).await, expected, "{pragma}");
    }
    let wal = "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'";
    assert_eq!(number(&db, wal).await, 1);
}
