//! The chain as the server makes it: append-only, whole after a kill, and the way out of what cannot
//! be helped.

use super::audit_testing::Chain;
use crate::db::DatabaseKind;
use crate::db::testing::{execute, number, on_both};
use crate::services::audit_chain::ChainKey;
use crate::services::audit_verify::{accept, verify};

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
