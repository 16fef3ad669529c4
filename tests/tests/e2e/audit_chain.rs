//! `gururmm-server audit verify` on a real server's audit: whole while it runs, after a stop and after
//! a kill; and what somebody with the database's password did to it is found.

use std::time::Duration;

use gururmm_tests::api::text;
use gururmm_tests::database::Engine;
use gururmm_tests::server::run_server;
use gururmm_tests::{Database, Deployment, World, eventually, on_both_databases};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(15);

/// The exit code of `audit verify` and what it said.
fn verify(world: &World, more: &[&str]) -> (i32, String) {
    let arguments = [&["audit", "verify"][..], more].concat();
    let output = run_server(&world.data_dir(), &world.database, &[], &arguments, "");
    let said = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code().expect("no signal ended it");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code <= 1 && !error.contains("panicked"), "{error}");
    (code, said + &error)
}

/// Waits until everything is sealed and the head's file knows it.
async fn wait_sealed(world: &World) {
    eventually("all is sealed", SOON, || async {
        let waiting = "SELECT CAST(count(*) AS TEXT) AS value FROM audit_unsealed";
        let last = "SELECT CAST(coalesce(max(seq), 0) AS TEXT) AS value FROM audit_seals";
        let head = std::fs::read_to_string(world.data_dir().join("audit-head")).ok()?;
        let head: Value = serde_json::from_str(&head).ok()?;
        let waiting = world.database.count(waiting).await;
        let last = world.database.count(last).await;
        (waiting == 0 && head["seq"] == last).then_some(())
    })
    .await;
}

/// Takes away what is in the way of changes, as the owner of the database can.
async fn disarm(database: &Database) {
    for table in ["audit_log", "audit_seals"] {
        let drop = match database.engine() {
            Engine::Sqlite => {
                format!("DROP TRIGGER {table}_no_update; DROP TRIGGER {table}_no_delete;")
            }
            Engine::Postgres => format!("DROP TRIGGER {table}_append_only ON {table};"),
        };
        database.execute(&drop).await.unwrap();
    }
}

async fn add_clients(rmm: &Deployment, names: &[&str]) {
    for name in names {
        rmm.admin
            .post("/api/clients", json!({"name": name}))
            .await
            .check(201);
    }
}

on_both_databases! {
    async fn an_audit_that_nobody_touched_is_whole_while_the_server_runs_and_after_it(world: World) {
        let mut rmm = world.deploy(&[]).await;
        add_clients(&rmm, &["A", "B"]).await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with("audit: ") && said.contains("chain whole"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        wait_sealed(&world).await;
        rmm.server.stop().await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(", 0 not sealed yet"), "what was written last is sealed at the stop: {said}");
        let stopped = "SELECT CAST(count(*) AS TEXT) AS value FROM audit_log WHERE action = 'server.stopped'";
        assert_eq!(world.database.count(stopped).await, 1);
    }

    async fn a_server_that_is_killed_leaves_a_whole_chain(world: World) {
        let mut rmm = world.deploy(&[]).await;
        for round in 0..4 {
            let names: Vec<String> = (0..20).map(|n| format!("Client {round} {n}")).collect();
            let admin = rmm.admin.clone();
            let writing = tokio::spawn(async move {
                for name in names {
                    // The kill may come in between.
                    let _ = admin.try_post("/api/clients", &json!({"name": name})).await;
                }
            });
            // The sealer looks every second: a kill now and then finds it at work.
            eventually("something is sealed", SOON, || async {
                let sealed = "SELECT CAST(count(*) AS TEXT) AS value FROM audit_seals";
                (world.database.count(sealed).await > round).then_some(())
            })
            .await;
            rmm.server.kill9();
            writing.await.unwrap();
            let (code, said) = verify(&world, &[]);
            assert_eq!(code, 0, "{said}");
            rmm.server.restart().await;
        }
        wait_sealed(&world).await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 0, "{said}");
    }

    async fn an_entry_edited_by_the_owner_of_the_database_is_found(world: World) {
        let rmm = world.deploy(&[]).await;
        add_clients(&rmm, &["Edited"]).await;
        wait_sealed(&world).await;
        let edit = "UPDATE audit_log SET user_email = 'somebody@else.example' WHERE detail LIKE '%Edited%'";
        let error = rmm.database.execute(edit).await.unwrap_err();
        assert!(error.contains("append-only"), "{error}");
        disarm(&rmm.database).await;
        rmm.database.execute(edit).await.unwrap();
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("edited or reordered: the entry "), "{said}");
        assert!(said.contains("1 fault,"), "{said}");
    }

    async fn an_entry_deleted_by_the_owner_of_the_database_is_found(world: World) {
        let rmm = world.deploy(&[]).await;
        add_clients(&rmm, &["Deleted", "Kept"]).await;
        wait_sealed(&world).await;
        disarm(&rmm.database).await;
        let delete = "DELETE FROM audit_seals WHERE entry_id IN \
            (SELECT id FROM audit_log WHERE detail LIKE '%Deleted%')";
        rmm.database.execute(delete).await.unwrap();
        rmm.database.execute("DELETE FROM audit_log WHERE detail LIKE '%Deleted%'").await.unwrap();
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("deleted: the seal "), "{said}");
    }

    async fn an_end_that_is_cut_off_is_found_also_after_more_was_written_and_can_be_accepted(world: World) {
        let mut rmm = world.deploy(&[]).await;
        add_clients(&rmm, &["Kept", "Cut off"]).await;
        wait_sealed(&world).await;
        disarm(&rmm.database).await;
        let first = rmm.database.count(
            "SELECT CAST(min(id) AS TEXT) AS value FROM audit_log WHERE detail LIKE '%Cut off%'").await;
        let seals = format!("DELETE FROM audit_seals WHERE entry_id >= {first}");
        rmm.database.execute(&seals).await.unwrap();
        rmm.database.execute(&format!("DELETE FROM audit_log WHERE id >= {first}")).await.unwrap();
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("cut off: "), "{said}");
        add_clients(&rmm, &["Written later"]).await;
        wait_sealed(&world).await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("deleted: the seals "), "{said}");
        rmm.server.stop().await;
        let (code, said) = verify(&world, &["--accept-head"]);
        assert_eq!(code, 0, "{said}");
        rmm.server.restart().await;
        wait_sealed(&world).await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("accepted on"), "{said}");
    }

    async fn an_entry_slipped_in_past_the_server_is_found(world: World) {
        let mut rmm = world.deploy(&[]).await;
        wait_sealed(&world).await;
        rmm.server.stop().await;
        let id = match rmm.database.engine() {
            Engine::Sqlite => "randomblob(16), 'event', 1",
            Engine::Postgres => "gen_random_uuid(), 'event', now()",
        };
        let slip = format!("INSERT INTO audit_log (act_id, stage, at, action) VALUES ({id}, 'client.delete')");
        rmm.database.execute(&slip).await.unwrap();
        rmm.database.execute("DELETE FROM audit_unsealed").await.unwrap();
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("slipped in: the entry "), "{said}");
    }

    async fn a_chain_without_its_key_is_not_said_to_be_whole(world: World) {
        let mut rmm = world.deploy(&[]).await;
        wait_sealed(&world).await;
        rmm.server.stop().await;
        std::fs::remove_file(world.data_dir().join("audit-key")).unwrap();
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("audit-key") && said.contains("--accept-head"), "{said}");
        // A new key begins anew, and what was there before does not fit it.
        rmm.server.restart().await;
        wait_sealed(&world).await;
        let (code, said) = verify(&world, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(rmm.server.log().contains("audit verify"), "the log says what to do");
    }

    async fn how_far_the_sealer_is_stands_in_the_figures(world: World) {
        let rmm = world.deploy(&[]).await;
        add_clients(&rmm, &["A"]).await;
        let figure = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            line.unwrap_or(-1.0)
        };
        // The act first: the figures before it told of what was sealed before it.
        let act = eventually("the act is sealed", SOON, || async {
            let acts = rmm.admin.get("/api/audit?action=client.create&limit=1").await.expect(200);
            let act = acts["items"][0].clone();
            (act["sealed"] == true).then_some(act)
        })
        .await;
        eventually("the figures tell", SOON, || async {
            let figures = rmm.admin.get("/metrics").await.text;
            let sealed = figure(&figures, "gururmm_audit_sealed_seq");
            let waiting = figure(&figures, "gururmm_audit_unsealed");
            (sealed > 5.0 && waiting == 0.0).then_some(())
        })
        .await;
        assert!(act["seq"].as_i64().unwrap() > 0 && !text(&act, "id").is_empty(), "{act}");
    }
}
