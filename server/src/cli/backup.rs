//! `backup FILE` and `restore FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use gururmm_backup::{Database, Source, Target};
use secrecy::ExposeSecret;

use super::say;
use crate::app;
use crate::config::Settings;
use crate::data_lock::DataLock;
use crate::db::{Db, audit_log, figures};
use crate::services::audit_head::ChainFiles;
use crate::services::{audit_trail, audit_verify, disk};

/// Room that must be left beside a backup.
const MARGIN: u64 = 64 << 20;

/// What `backup` is told.
#[derive(Args)]
pub struct Backup {
    /// Where to. It holds the keys of the server and what people typed: keep it where only you get at it.
    file: PathBuf,
    /// With the recordings of terminals, which may be large.
    #[arg(long)]
    recordings: bool,
}

/// What `restore` is told.
#[derive(Args)]
pub struct Restore {
    /// The backup.
    file: PathBuf,
    /// Even where there are users, clients or agents: files are put aside, tables of PostgreSQL are removed.
    #[arg(long)]
    force: bool,
}

fn database(settings: &Settings) -> Database {
    Database::of(settings.database.url.expose_secret(), &settings.data_dir)
}

impl Backup {
    /// Makes one.
    ///
    /// # Errors
    /// One line; then there is no new file.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let database = database(settings);
        if let Database::Sqlite(path) = &database {
            // Opening it would make one.
            anyhow::ensure!(
                path.exists(),
                "there is no database at {}; check data_dir and database.url",
                path.display()
            );
        }
        let db = app::open_database(settings).await?;
        check_room(&db, &self.file).await?;
        self.write_down(&db).await?;
        let source = Source {
            database: &database,
            data_dir: &settings.data_dir,
            program: env!("CARGO_PKG_VERSION"),
            recordings: self.recordings,
        };
        let written = gururmm_backup::write(&source, &self.file).await?;
        let manifest = written.manifest;
        say(&format!(
            "wrote {}: {} rows of {} tables, {} KiB\n",
            self.file.display(),
            manifest.rows(),
            manifest.tables.len(),
            written.size_bytes.div_ceil(1024),
        ))?;
        if !manifest.signing_key {
            say(
                "the signing key stands in the configuration and is not in it; keep the configuration, too\n",
            )?;
        }
        Ok(())
    }

    /// A backup takes every secret along, so it is written down before; a database that waits for its migration
    /// has no place for that.
    async fn write_down(&self, db: &Db) -> anyhow::Result<()> {
        if db.pending_migrations().await? > 0 {
            return Ok(());
        }
        let mut entry = audit_trail::event("backup.written", "ok");
        entry.detail =
            serde_json::json!({"by": "command line", "recordings": self.recordings}).to_string();
        audit_log::insert(db, entry).await?;
        Ok(())
    }
}

/// The copy of the database and its compressed form lie beside each other for a moment.
async fn check_room(db: &Db, file: &Path) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    anyhow::ensure!(
        folder.is_dir(),
        "there is no folder {}; make it first",
        folder.display()
    );
    let size = u64::try_from(figures::size_bytes(db).await?).unwrap_or(0);
    let needed = size.saturating_mul(2).saturating_add(MARGIN);
    if let Some(space) = disk::space(folder) {
        anyhow::ensure!(
            space.free >= needed,
            "{} has {} MiB left and the backup may need {} MiB; write it to another disk",
            folder.display(),
            space.free >> 20,
            needed >> 20
        );
    }
    Ok(())
}

impl Restore {
    /// Brings one back.
    ///
    /// # Errors
    /// One line; then nothing was changed, unless it says so.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        std::fs::create_dir_all(&settings.data_dir).with_context(|| {
            format!(
                "cannot make the data directory {}",
                settings.data_dir.display()
            )
        })?;
        let _alone = DataLock::of_restore(&settings.data_dir)?;
        let target = Target {
            database: &database(settings),
            data_dir: &settings.data_dir,
            force: self.force,
        };
        let restored = gururmm_backup::restore(&target, &self.file).await?;
        let manifest = restored.manifest;
        say(&format!(
            "brought back: {} rows of {} tables, as of {}\n",
            manifest.rows(),
            manifest.tables.len(),
            manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        ))?;
        for path in restored.put_aside {
            say(&format!("what was there before is in {}\n", path.display()))?;
        }
        finish(settings).await
    }
}

/// Brings an older schema up to date, writes the restore down, and looks whether the audit is whole.
async fn finish(settings: &Settings) -> anyhow::Result<()> {
    let db = app::open_database(settings).await?;
    let migrations = db.migrate().await?;
    if !migrations.is_empty() {
        audit_log::insert(&db, audit_trail::migrated(&migrations)).await?;
        say(&format!("migrated: {}\n", migrations.join(", ")))?;
    }
    let mut entry = audit_trail::event("backup.restored", "ok");
    entry.detail = serde_json::json!({"by": "command line"}).to_string();
    audit_log::insert(&db, entry).await?;
    let findings = audit_verify::verify(&db, &ChainFiles::of(&settings.data_dir)).await?;
    say(&format!("{}\n", findings.summary()))?;
    anyhow::ensure!(
        findings.fault_count == 0,
        "all was brought back, but the audit in the backup was not whole; see docs/audit.md"
    );
    say("start the server now\n")
}
