//! What somebody with the rights of the database could do to the audit, and that it is found.

use super::audit_testing::Chain;
use crate::db::DatabaseKind;
use crate::db::testing::on_both;
use crate::services::audit_verify::accept;

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
