//! What somebody with the rights of the database could do to the audit, and that it is found.

use crate::db::audit_log::{self, NewEntry, Stage};
use crate::db::testing::{execute, number, on_both};
use crate::db::{DatabaseKind, Db};
use crate::services::audit_chain::ChainKey;
use crate::services::audit_head::ChainFiles;
use crate::services::audit_seal::Sealer;
use crate::services::audit_verify::{Findings, accept, verify};

/// A chain over five entries.
struct Chain {
    db: Db,
    files: ChainFiles,
    sealer: Sealer,
    _directory: tempfile::TempDir,
}

impl Chain {
    async fn of_five(db: &Db) -> Self {
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
    async fn open(db: &Db) -> Self {
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

    async fn write(&self, detail: &str) {
        let entry = NewEntry {
            detail: detail.to_owned(),
            user_email: "a@example.com".to_owned(),
            ..NewEntry::new(Stage::Event, "client.create")
        };
        audit_log::insert(&self.db, entry).await.unwrap();
    }

    async fn seal(&self) {
        while self.sealer.step().await.unwrap() {}
    }

    async fn run(&self, sql: &str) {
        execute(&self.db, sql).await.unwrap();
    }

    async fn look(&self) -> Findings {
        verify(&self.db, &self.files).await.unwrap()
    }

    /// The faults must be these, by how they begin.
    async fn finds(&self, expected: &[&str]) {
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

#[test]
fn an_untouched_chain_is_whole_and_what_waits_is_counted() {
    on_both(async |db| {
        let chain = Chain::of_five(&db).await;
        chain.write("not yet").await;
        let found = chain.look().await;
        assert_eq!((found.sealed, found.unsealed, found.fault_count), (5, 1, 0));
        let summary = found.summary();
        assert!(
            summary.starts_with("audit: 6 entries, chain whole, head 5 "),
            "{summary}"
        );
        assert!(summary.ends_with(", 1 not sealed yet"), "{summary}");
        chain.seal().await;
        assert_eq!(chain.look().await.sealed, 6);
    });
}

#[test]
fn entries_and_seals_can_be_added_and_neither_changed_nor_deleted() {
    on_both(async |db| {
        let chain = Chain::of_five(&db).await;
        for sql in [
            "UPDATE audit_log SET detail = 'x'",
            "UPDATE audit_log SET detail = 'x' WHERE id = 3",
            "DELETE FROM audit_log WHERE id = 5",
            "UPDATE audit_seals SET seq = 9 WHERE seq = 5",
            "DELETE FROM audit_seals",
        ] {
            let error = execute(&db, sql).await.unwrap_err();
            assert!(format!("{error:?}").contains("append-only"), "{error:?}");
        }
        if db.kind() == DatabaseKind::Postgres {
            execute(&db, "TRUNCATE audit_log").await.unwrap_err();
        }
        chain.finds(&[]).await;
    });
}

#[test]
fn an_edited_entry_is_found_whatever_was_edited() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain
            .run("CREATE TABLE before_it AS SELECT * FROM audit_log")
            .await;
        let later = match db.kind() {
            DatabaseKind::Sqlite => "at + 1",
            DatabaseKind::Postgres => "at + interval '1 microsecond'",
        };
        let other = match db.kind() {
            DatabaseKind::Sqlite => "randomblob(16)",
            DatabaseKind::Postgres => "gen_random_uuid()",
        };
        for (column, value) in [
            ("act_id", other),
            ("stage", "'asked'"),
            ("at", later),
            ("action", "'client.delete'"),
            ("user_id", other),
            ("user_email", "'b@example.com'"),
            ("key_id", other),
            ("agent_id", other),
            ("agent_hostname", "''"),
            ("client_id", other),
            ("site_id", other),
            ("session_id", "'x'"),
            ("command_id", other),
            ("target", "'x'"),
            ("detail", "'entry 4'"),
            ("remote_addr", "'127.0.0.1'"),
            ("request_id", "'x'"),
            ("outcome", "'ok'"),
            ("exit_code", "0"),
        ] {
            chain
                .run(&format!(
                    "UPDATE audit_log SET {column} = {value} WHERE id = 3"
                ))
                .await;
            chain
                .finds(&["edited or reordered: the entry 3 does not fit its seal 3"])
                .await;
            let back =
                format!("(SELECT {column} FROM before_it WHERE before_it.id = audit_log.id)");
            chain
                .run(&format!(
                    "UPDATE audit_log SET {column} = {back} WHERE id = 3"
                ))
                .await;
            chain.finds(&[]).await;
        }
    });
}

#[test]
fn an_entry_that_is_deleted_in_the_middle_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.run("DELETE FROM audit_log WHERE id = 3").await;
        chain
            .finds(&["deleted: the entry 3 of the seal 3 is missing"])
            .await;
    });
}

#[test]
fn an_entry_that_is_deleted_with_its_seal_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.run("DELETE FROM audit_log WHERE id = 3").await;
        chain.run("DELETE FROM audit_seals WHERE seq = 3").await;
        chain.finds(&["deleted: the seal 3 is missing"]).await;
        chain.run("DELETE FROM audit_log WHERE id IN (1, 2)").await;
        chain
            .run("DELETE FROM audit_seals WHERE seq IN (1, 2)")
            .await;
        chain
            .finds(&["deleted: the seals 1 to 3 are missing"])
            .await;
    });
}

#[test]
fn entries_that_are_cut_off_at_the_end_are_found_also_when_more_was_written_since() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.run("DELETE FROM audit_log WHERE id >= 4").await;
        chain.run("DELETE FROM audit_seals WHERE seq >= 4").await;
        chain
            .finds(&["cut off: the server sealed 5 entries and the table ends at 3"])
            .await;
        chain.write("later").await;
        chain.seal().await;
        chain
            .finds(&["deleted: the seals 4 to 5 are missing"])
            .await;
        chain.write("much later").await;
        chain.seal().await;
        chain
            .finds(&["deleted: the seals 4 to 5 are missing"])
            .await;
    });
}

#[test]
fn an_audit_that_was_emptied_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.run("DELETE FROM audit_log").await;
        chain.run("DELETE FROM audit_seals").await;
        chain
            .finds(&["cut off: the server sealed 5 entries and the table ends at 0"])
            .await;
    });
}

#[test]
fn entries_whose_contents_are_exchanged_are_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain
            .run("UPDATE audit_log SET detail = 'entry 4' WHERE id = 3")
            .await;
        chain
            .run("UPDATE audit_log SET detail = 'entry 3' WHERE id = 4")
            .await;
        chain
            .finds(&[
                "edited or reordered: the entry 3",
                "edited or reordered: the entry 4",
            ])
            .await;
    });
}

#[test]
fn entries_that_are_put_into_another_order_are_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        // The numbers of the entries.
        for (from, to) in [(3, 99), (4, 3), (99, 4)] {
            chain
                .run(&format!("UPDATE audit_log SET id = {to} WHERE id = {from}"))
                .await;
        }
        let faults = chain.look().await.fault_count;
        assert_eq!(faults, 2);
        for (from, to) in [(3, 99), (4, 3), (99, 4)] {
            chain
                .run(&format!("UPDATE audit_log SET id = {to} WHERE id = {from}"))
                .await;
        }
        chain.finds(&[]).await;
        // Which seal is whose.
        for (from, to) in [(3, 99), (4, 3), (99, 4)] {
            let swap = format!("UPDATE audit_seals SET entry_id = {to} WHERE entry_id = {from}");
            chain.run(&swap).await;
        }
        chain
            .finds(&[
                "edited or reordered: the entry 4",
                "edited or reordered: the entry 3",
            ])
            .await;
    });
}

#[test]
fn seals_that_are_numbered_anew_over_a_deleted_entry_are_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.run("DELETE FROM audit_log WHERE id = 3").await;
        chain.run("DELETE FROM audit_seals WHERE seq = 3").await;
        chain
            .run("UPDATE audit_seals SET seq = 3 WHERE seq = 4")
            .await;
        chain
            .run("UPDATE audit_seals SET seq = 4 WHERE seq = 5")
            .await;
        chain
            .finds(&[
                "edited or reordered: the entry 4 does not fit its seal 3",
                "edited or reordered: the entry 5 does not fit its seal 4",
                "cut off: the server sealed 5 entries and the table ends at 4",
            ])
            .await;
    });
}

#[test]
fn an_entry_that_was_slipped_in_without_a_seal_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.write("nobody did this").await;
        chain.run("DELETE FROM audit_unsealed").await;
        chain
            .finds(&["slipped in: the entry 6 has no seal and waits for none"])
            .await;
    });
}

#[test]
fn a_seal_that_the_server_did_not_make_is_found_also_when_more_was_written_since() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.write("nobody did this").await;
        chain.run("DELETE FROM audit_unsealed").await;
        let forged = "INSERT INTO audit_seals (seq, entry_id, hash) \
                      SELECT 6, 6, hash FROM audit_seals WHERE seq = 5";
        chain.run(forged).await;
        chain
            .finds(&["edited or reordered: the entry 6 does not fit its seal 6"])
            .await;
        chain.write("the server goes on").await;
        chain.seal().await;
        let found = chain.look().await;
        assert!(
            found.faults[0].contains("the entry 6 "),
            "{:?}",
            found.faults
        );
        assert_eq!(found.unsealed, 0);
    });
}

#[test]
fn the_last_seal_exchanged_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        let sql = "UPDATE audit_seals SET hash = (SELECT s.hash FROM audit_seals AS s WHERE s.seq = 1) WHERE seq = 5";
        chain.run(sql).await;
        chain
            .finds(&["edited or reordered: the entry 5", "exchanged: the seal 5"])
            .await;
    });
}

#[test]
fn an_entry_that_went_before_it_was_sealed_is_found() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        chain.write("gone").await;
        chain.run("DELETE FROM audit_log WHERE id = 6").await;
        chain
            .finds(&["deleted: the entry 6 went before it was sealed"])
            .await;
        chain.write("the server goes on").await;
        chain.seal().await;
        assert_eq!(chain.look().await.sealed, 6);
        chain
            .finds(&["deleted: the entry 6 went before it was sealed"])
            .await;
        accept(&db, &chain.files, 1).await.unwrap();
        chain.finds(&[]).await;
    });
}

#[test]
fn seals_of_another_key_are_found() {
    on_both(async |db| {
        let chain = Chain::of_five(&db).await;
        std::fs::write(&chain.files.key, "another secret").unwrap();
        let found = chain.look().await;
        assert_eq!(
            found.fault_count, 6,
            "five seals and the head: {:?}",
            found.faults
        );
        std::fs::remove_file(&chain.files.key).unwrap();
        let error = verify(&db, &chain.files).await.unwrap_err().to_string();
        assert!(error.contains("--accept-head"), "{error}");
    });
}

#[test]
fn a_head_that_lags_behind_is_no_fault_and_one_that_is_missing_is() {
    on_both(async |db| {
        let chain = Chain::of_five(&db).await;
        // As a server leaves it that is killed between its commit and its file.
        let before = std::fs::read(&chain.files.head).unwrap();
        chain.write("six").await;
        chain.write("seven").await;
        chain.seal().await;
        std::fs::write(&chain.files.head, before).unwrap();
        chain.finds(&[]).await;
        chain.write("eight").await;
        chain.seal().await;
        chain.finds(&[]).await;
        let key = chain.files.read_key().unwrap().unwrap();
        assert_eq!(chain.files.read_head(&key).unwrap().unwrap().seq, 8);
        std::fs::remove_file(&chain.files.head).unwrap();
        chain.finds(&["head: "]).await;
    });
}

#[test]
fn what_was_accepted_is_not_looked_at_again_and_what_comes_after_is() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        // An old backup: the database is back where it was, the data directory is not.
        chain.run("DELETE FROM audit_log WHERE id >= 4").await;
        chain.run("DELETE FROM audit_seals WHERE seq >= 4").await;
        let faults = chain.look().await.fault_count;
        assert_eq!(accept(&db, &chain.files, faults).await.unwrap(), 3);
        chain.write("after").await;
        chain.seal().await;
        chain.finds(&[]).await;
        let found = chain.look().await;
        assert_eq!(
            found.sealed, 2,
            "what was accepted itself, and what came after"
        );
        assert!(
            found.summary().contains("accepted on"),
            "{}",
            found.summary()
        );
        let told = "SELECT count(*) FROM audit_log WHERE action = 'audit.accepted' AND detail LIKE '%\"faults\":1%'";
        assert_eq!(number(&db, told).await, 1);
        chain
            .run("UPDATE audit_log SET detail = 'x' WHERE detail = 'after'")
            .await;
        chain.finds(&["edited or reordered"]).await;
    });
}

#[test]
fn a_chain_longer_than_a_page_is_sealed_and_looked_through() {
    on_both(async |db| {
        let chain = Chain::open(&db).await;
        let many = match db.kind() {
            DatabaseKind::Sqlite => {
                "INSERT INTO audit_log (act_id, stage, at, action) \
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1200) \
                 SELECT randomblob(16), 'event', x, 'client.create' FROM n"
            }
            DatabaseKind::Postgres => {
                "INSERT INTO audit_log (act_id, stage, at, action) \
                 SELECT gen_random_uuid(), 'event', now(), 'client.create' FROM generate_series(1, 1200)"
            }
        };
        chain.run(many).await;
        assert!(!chain.look().await.warnings.is_empty() || db.kind() == DatabaseKind::Postgres);
        chain.seal().await;
        assert_eq!(chain.look().await.sealed, 1205);
        chain
            .run("UPDATE audit_log SET detail = 'x' WHERE id BETWEEN 600 AND 629")
            .await;
        let found = chain.look().await;
        assert_eq!((found.fault_count, found.faults.len()), (30, 20));
    });
}

#[test]
fn the_same_chain_holds_with_a_key_only_its_owner_has() {
    let one = ChainKey::new("one");
    assert_eq!(one.mac(&[b"a", b"b"]), one.mac(&[b"ab"]));
    assert_ne!(one.mac(&[b"a"]), ChainKey::new("two").mac(&[b"a"]));
}
