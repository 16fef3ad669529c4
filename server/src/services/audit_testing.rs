//! A chain of a test's own, and what somebody with the rights of the database can do to it.

use crate::db::audit_log::{self, NewEntry, Stage};
use crate::db::testing::execute;
use crate::db::{DatabaseKind, Db};
use crate::services::audit_head::ChainFiles;
use crate::services::audit_seal::Sealer;
use crate::services::audit_verify::{Findings, verify};

/// A chain over five entries.
pub struct Chain {
    pub db: Db,
    pub files: ChainFiles,
    sealer: Sealer,
    _directory: tempfile::TempDir,
}

impl Chain {
    pub async fn of_five(db: &Db) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = ChainFiles::of(directory.path());
        std::fs::write(&files.key, "a secret of the data directory").unwrap();
        own(&files.key);
        let key = files.read_key().unwrap().unwrap();
        let sealer = Sealer::new(db.clone(), key, files.clone());
        let chain = Self {
            db: db.clone(),
            files,
            sealer,
            _directory: directory,
        };
        for n in 1..=5 {
            chain.write(&format!("entry {n}")).await;
        }
        chain.seal().await;
        assert_eq!(chain.look().await.fault_count, 0);
        chain
    }

    /// The same, with nothing in the way of changes any more.
    pub async fn open(db: &Db) -> Self {
        let chain = Self::of_five(db).await;
        for table in ["audit_log", "audit_seals"] {
            match db.kind() {
                DatabaseKind::Sqlite => {
                    chain.run(&format!("DROP TRIGGER {table}_no_update")).await;
                    chain.run(&format!("DROP TRIGGER {table}_no_delete")).await;
                }
                DatabaseKind::Postgres => {
                    let drop = format!("DROP TRIGGER {table}_append_only ON {table}");
                    chain.run(&drop).await;
                }
            }
        }
        chain
    }

    pub async fn write(&self, detail: &str) {
        let entry = NewEntry {
            detail: detail.to_owned(),
            user_email: "a@example.com".to_owned(),
            ..NewEntry::new(Stage::Event, "client.create")
        };
        audit_log::insert(&self.db, entry).await.unwrap();
    }

    pub async fn seal(&self) {
        while self.sealer.step().await.unwrap() {}
    }

    pub async fn run(&self, sql: &str) {
        execute(&self.db, sql).await.unwrap();
    }

    pub async fn look(&self) -> Findings {
        verify(&self.db, &self.files).await.unwrap()
    }

    /// The faults must be these, by how they begin.
    pub async fn finds(&self, expected: &[&str]) {
        let found = self.look().await;
        assert_eq!(found.fault_count, expected.len(), "{:?}", found.faults);
        for (fault, expected) in found.faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault:?} is not {expected:?}");
        }
    }
}

fn own(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
