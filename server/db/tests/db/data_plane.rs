//! The audit of the data plane, and the migration that makes room for it.

use gururmm_shared::{CommandId, SessionId};

use super::new_audit;
use gururmm_db::audit_acts::{self, ActFilter, ActSort};
use gururmm_db::page::PageOf;
use gururmm_db::testing::{execute, number, on_both, run_script};
use gururmm_db::tunnel_audit::{self, Audit, AuditFilter, Ending};
use gururmm_db::types::now;
use gururmm_db::{Db, DbError};

const NAMES: [&str; 7] = [
    "terminal", "tcp", "file", "service", "process", "registry", "watch",
];

macro_rules! migration {
    ($which:literal) => {
        (
            include_str!(concat!(
                "../../../../migrations/sqlite/2026-11-27-000011_data_plane/",
                $which
            )),
            include_str!(concat!(
                "../../../../migrations/postgres/2026-11-27-000011_data_plane/",
                $which
            )),
        )
    };
}

/// Runs one half of the migration by itself.
async fn run(db: &Db, (on_sqlite, on_postgres): (&str, &str)) {
    run_script(db, on_sqlite, on_postgres).await;
}

async fn rows(db: &Db) -> Vec<Audit> {
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    tunnel_audit::list(db, filter).await.unwrap()
}

#[test]
fn what_goes_through_a_tunnel_has_a_name_in_the_audit_and_nothing_else_has() {
    on_both(async |db| {
        let session_id = Some(SessionId::generate());
        for name in NAMES {
            let row = new_audit(name, session_id);
            tunnel_audit::insert(&db, row.clone()).await.unwrap();
            let acts = ActFilter {
                action: Some(format!("tunnel.{name}")),
                ..ActFilter::default()
            };
            let acts = audit_acts::list(&db, acts, PageOf::<ActSort>::first(10)).await;
            assert_eq!(acts.unwrap()[0].act_id, row.id);
        }
        let left = audit_acts::without_end(&db, 0, 100).await.unwrap();
        assert_eq!(left, [], "tunnels end theirs themselves");
        let strange = tunnel_audit::insert(&db, new_audit("desktop", session_id)).await;
        assert!(
            matches!(strange, Err(DbError::Constraint(_))),
            "{strange:?}"
        );
    });
}

#[test]
fn an_end_tells_what_was_replaced_and_what_was_carried_and_is_sealed_with_it() {
    on_both(async |db| {
        let write = new_audit("registry", Some(SessionId::generate()));
        tunnel_audit::insert(&db, write.clone()).await.unwrap();
        let ending = Ending {
            outcome: "completed".to_owned(),
            before: Some("dword 80".to_owned()),
            ..Ending::default()
        };
        let finished = tunnel_audit::finish_with(&db, write.id, ending.clone(), now()).await;
        assert_eq!(finished, Ok(true));
        let again = tunnel_audit::finish_with(&db, write.id, ending, now()).await;
        assert_eq!(again, Ok(false), "it is finished once");
        let read = new_audit("file", Some(SessionId::generate()));
        tunnel_audit::insert(&db, read.clone()).await.unwrap();
        let ending = Ending {
            outcome: "cancelled".to_owned(),
            bytes: Some(512),
            ..Ending::default()
        };
        tunnel_audit::finish_with(&db, read.id, ending, now())
            .await
            .unwrap();
        let rows = rows(&db).await;
        let of = |id| rows.iter().find(|row| row.id == id).unwrap();
        assert_eq!(of(write.id).before.as_deref(), Some("dword 80"));
        assert_eq!((of(read.id).bytes, &of(read.id).before), (Some(512), &None));
        for (detail, count) in [("dword 80", 1), ("512 bytes", 1), ("", 0)] {
            let sql = format!(
                "SELECT count(*) FROM audit_log WHERE stage = 'ended' AND detail = '{detail}'"
            );
            assert_eq!(number(&db, &sql).await, count, "{detail}");
        }
    });
}

#[test]
fn rows_and_what_guards_them_come_through_the_migration_both_ways() {
    on_both(async |db| {
        let mut command = new_audit("command", Some(SessionId::generate()));
        command.command_id = Some(CommandId::generate());
        tunnel_audit::insert(&db, command.clone()).await.unwrap();
        tunnel_audit::insert(&db, new_audit("tcp", command.session_id))
            .await
            .unwrap();
        let entries = "SELECT count(*) FROM audit_log";
        let before = number(&db, entries).await;
        run(&db, migration!("down.sql")).await;
        let count = "SELECT count(*) FROM tunnel_audit";
        assert_eq!(
            number(&db, count).await,
            1,
            "the older program knows no tcp"
        );
        run(&db, migration!("up.sql")).await;
        assert_eq!(number(&db, entries).await, before, "nothing is told twice");
        let rows = rows(&db).await;
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].id, rows[0].command_id),
            (command.id, command.command_id)
        );
        let again = tunnel_audit::insert(&db, command.clone())
            .await
            .unwrap_err();
        assert!(matches!(again, DbError::Duplicate { .. }), "{again:?}");
        let finished = tunnel_audit::finish(&db, command.id, "exited".to_owned(), Some(0), now());
        assert_eq!(finished.await, Ok(true));
        assert_eq!(number(&db, entries).await, before + 1, "its end is told");
        let long = "UPDATE tunnel_audit SET detail = substr(detail, 1, 1)";
        assert!(execute(&db, long).await.is_ok());
        let nul = "UPDATE tunnel_audit SET bytes = -1";
        assert!(execute(&db, nul).await.is_err(), "a check holds");
    });
}
