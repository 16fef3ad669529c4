//! PostgreSQL: each table by `COPY` in one snapshot, and back in one transaction.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, pin_mut};
use tokio_postgres::{Client, NoTls, Transaction};

use crate::archive::folder_of;
use crate::migrations::{self, Migration};
use crate::restore::occupied;
use crate::{BackupError, Manifest, Table};

/// How long the server may take to take the connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection of a server that has ended may be seen.
const PARTING: Duration = Duration::from_secs(3);
/// The lock that servers take in turn to migrate: none does so meanwhile.
const LOCK: i64 = 0x6772_6d6d_6d69_6772;
/// Bytes of a table that are sent at once.
const PIECE: usize = 64 * 1024;
const MIGRATIONS: &str = "__diesel_schema_migrations";

/// Where a table lies in a backup.
pub(crate) fn copy_of(table: &Table) -> PathBuf {
    PathBuf::from(format!("database/{}.copy", table.name))
}

async fn connect(url: &str) -> Result<Client, BackupError> {
    let connecting = tokio_postgres::connect(url, NoTls);
    let connected = tokio::time::timeout(CONNECT_LIMIT, connecting).await;
    let (client, connection) = connected.map_err(|_| {
        BackupError::Database("it does not answer; check database.url".to_owned())
    })??;
    // Its errors reach whoever waits for the client.
    tokio::spawn(connection);
    client
        .batch_execute("SET application_name = 'gururmm-backup'; SET client_encoding = 'UTF8'")
        .await?;
    Ok(client)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

/// Copies all tables as they stand in one moment, and writes into the manifest what they are.
pub(crate) async fn copy_out(
    url: &str,
    folder: &Path,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let mut client = connect(url).await?;
    let snapshot = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    manifest.schema = applied(&snapshot).await?;
    if manifest.schema.is_empty() {
        return Err(BackupError::Unfit(
            "the database holds no tables of GuruRMM; check database.url".to_owned(),
        ));
    }
    for name in tables(&snapshot).await? {
        let columns = columns(&snapshot, &name).await?;
        let mut table = Table {
            name,
            rows: 0,
            columns,
        };
        let path = folder.join(copy_of(&table));
        table.rows = copy_table_out(&snapshot, &table, &path).await?;
        manifest.tables.push(table);
    }
    manifest.sequences = sequences(&snapshot).await?;
    snapshot.commit().await?;
    Ok(())
}

async fn applied(tx: &Transaction<'_>) -> Result<Vec<String>, BackupError> {
    let there = tx
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&MIGRATIONS])
        .await?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = tx
        .query(
            &format!("SELECT version FROM {MIGRATIONS} ORDER BY version"),
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn tables(tx: &Transaction<'_>) -> Result<Vec<String>, BackupError> {
    let rows = tx
        .query(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() \
             AND table_type = 'BASE TABLE' AND table_name <> $1 ORDER BY table_name",
            &[&MIGRATIONS],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Those that a copy holds: what the database computes itself is left out.
async fn columns(tx: &Transaction<'_>, table: &str) -> Result<Vec<String>, BackupError> {
    let rows = tx
        .query(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position",
            &[&table],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn sequences(tx: &Transaction<'_>) -> Result<BTreeMap<String, i64>, BackupError> {
    let rows = tx
        .query(
            "SELECT sequencename::text, last_value FROM pg_sequences \
             WHERE schemaname = current_schema() AND last_value IS NOT NULL",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Writes a table to a file; in this form no row holds a line's end, so lines are rows.
async fn copy_table_out(
    tx: &Transaction<'_>,
    table: &Table,
    path: &Path,
) -> Result<i64, BackupError> {
    let failed = |error| BackupError::file(path, error);
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|error| BackupError::file(folder, error))?;
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let columns = quoted_list(&table.columns);
    let statement = format!("COPY {} ({columns}) TO STDOUT", quoted(&table.name));
    let pieces = tx.copy_out(&statement).await?;
    pin_mut!(pieces);
    let mut rows = 0_i64;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        rows += piece.iter().filter(|byte| **byte == b'\n').count() as i64;
        file.write_all(&piece).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok(rows)
}

/// Empties the database and fills it from a backup: all of it, or nothing.
pub(crate) async fn copy_in(
    url: &str,
    folder: &Path,
    manifest: &Manifest,
    force: bool,
) -> Result<(), BackupError> {
    let mut client = connect(url).await?;
    forbid_servers(&client).await?;
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let known = migrations::postgres();
    let applied = applied(&tx).await?;
    if !force && is_in_use(&tx).await? {
        return Err(occupied("the database"));
    }
    remove_all(&tx, &known, &applied).await?;
    make_tables(&tx, &known, &manifest.schema).await?;
    fill(&tx, folder, manifest).await?;
    tx.commit().await?;
    Ok(())
}

/// A server that has just ended may still be seen for a moment.
async fn forbid_servers(client: &Client) -> Result<(), BackupError> {
    let began = Instant::now();
    loop {
        let servers = client
            .query_one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'gururmm-server'",
                &[],
            )
            .await?;
        if servers.get::<_, i64>(0) == 0 {
            return Ok(());
        }
        if began.elapsed() > PARTING {
            return Err(BackupError::Occupied(
                "a server is connected to the database; stop it first".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn count(tx: &Transaction<'_>, table: &str) -> Result<i64, BackupError> {
    let statement = format!("SELECT count(*) FROM {}", quoted(table));
    Ok(tx.query_one(&statement, &[]).await?.get(0))
}

async fn is_in_use(tx: &Transaction<'_>) -> Result<bool, BackupError> {
    let there = tables(tx).await?;
    for name in ["users", "clients", "agents"] {
        if there.iter().any(|table| table == name) && count(tx, name).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes all migrations back, from empty tables: none stumbles over a row then.
async fn remove_all(
    tx: &Transaction<'_>,
    known: &[Migration],
    applied: &[String],
) -> Result<(), BackupError> {
    if let Some(unknown) = applied
        .iter()
        .find(|version| !known.iter().any(|one| one.version == **version))
    {
        return Err(BackupError::Occupied(format!(
            "the database has a migration of a newer program ({unknown}); restore into an empty database"
        )));
    }
    if applied.is_empty() {
        return Ok(());
    }
    empty(tx, &tables(tx).await?).await?;
    for migration in known.iter().rev() {
        if applied.contains(&migration.version) {
            tx.batch_execute(&migration.down).await?;
        }
    }
    tx.batch_execute(&format!("DELETE FROM {MIGRATIONS}"))
        .await?;
    Ok(())
}

/// Removes all rows; what forbids that, or writes it down, is silent meanwhile.
async fn empty(tx: &Transaction<'_>, tables: &[String]) -> Result<(), BackupError> {
    if tables.is_empty() {
        return Ok(());
    }
    triggers(tx, tables, "DISABLE").await?;
    tx.batch_execute(&format!("TRUNCATE {}", quoted_list(tables)))
        .await?;
    triggers(tx, tables, "ENABLE").await
}

async fn triggers(tx: &Transaction<'_>, tables: &[String], what: &str) -> Result<(), BackupError> {
    for table in tables {
        let statement = format!("ALTER TABLE {} {what} TRIGGER USER", quoted(table));
        tx.batch_execute(&statement).await?;
    }
    Ok(())
}

async fn make_tables(
    tx: &Transaction<'_>,
    known: &[Migration],
    schema: &[String],
) -> Result<(), BackupError> {
    // As diesel makes it.
    tx.batch_execute(&format!(
        "CREATE TABLE IF NOT EXISTS {MIGRATIONS} (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    ))
    .await?;
    for migration in known {
        if schema.contains(&migration.version) {
            tx.batch_execute(&migration.up).await?;
            let statement = format!("INSERT INTO {MIGRATIONS} (version) VALUES ($1)");
            tx.execute(&statement, &[&migration.version]).await?;
        }
    }
    Ok(())
}

/// Fills the tables. References between them are taken away for that and come back, checked, at the end: so the order
/// does not matter, nor that some go in circles.
async fn fill(tx: &Transaction<'_>, folder: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let there = tables(tx).await?;
    let told: Vec<String> = manifest.tables.iter().map(|one| one.name.clone()).collect();
    if there != told {
        return Err(BackupError::Damaged(
            "its tables are not those of its migrations".to_owned(),
        ));
    }
    // Migrations may have put rows there.
    empty(tx, &there).await?;
    let references = take_references(tx).await?;
    triggers(tx, &there, "DISABLE").await?;
    for table in &manifest.tables {
        copy_table_in(tx, table, &folder.join(copy_of(table))).await?;
        if count(tx, &table.name).await? != table.rows {
            return Err(BackupError::Damaged(format!(
                "{} has not the rows that its manifest tells of",
                table.name
            )));
        }
    }
    triggers(tx, &there, "ENABLE").await?;
    for (table, name, definition) in references {
        let statement = format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {definition}",
            quoted(&table),
            quoted(&name)
        );
        tx.batch_execute(&statement).await?;
    }
    for (sequence, last) in &manifest.sequences {
        tx.execute(
            "SELECT setval(format('%I', $1::text)::regclass, $2)",
            &[sequence, last],
        )
        .await?;
    }
    Ok(())
}

type Reference = (String, String, String);

async fn take_references(tx: &Transaction<'_>) -> Result<Vec<Reference>, BackupError> {
    let rows = tx
        .query(
            "SELECT r.relname::text, c.conname::text, pg_get_constraintdef(c.oid) FROM pg_constraint c \
             JOIN pg_class r ON r.oid = c.conrelid WHERE c.contype = 'f' AND c.conparentid = 0 \
             AND c.connamespace = current_schema()::regnamespace ORDER BY 1, 2",
            &[],
        )
        .await?;
    let references: Vec<Reference> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    for (table, name, _) in &references {
        let statement = format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            quoted(table),
            quoted(name)
        );
        tx.batch_execute(&statement).await?;
    }
    Ok(references)
}

async fn copy_table_in(
    tx: &Transaction<'_>,
    table: &Table,
    path: &Path,
) -> Result<(), BackupError> {
    let failed = |error| BackupError::file(path, error);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let columns = quoted_list(&table.columns);
    let statement = format!("COPY {} ({columns}) FROM STDIN", quoted(&table.name));
    let sink = tx.copy_in(&statement).await?;
    pin_mut!(sink);
    loop {
        let mut piece = vec![0; PIECE];
        let count = file.read(&mut piece).map_err(failed)?;
        if count == 0 {
            break;
        }
        piece.truncate(count);
        sink.send(Bytes::from(piece)).await?;
    }
    sink.finish().await?;
    Ok(())
}
