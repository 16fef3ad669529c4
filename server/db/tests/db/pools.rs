//! What a panic, a caller that goes away and a crowd do to the connections: nothing.

use std::time::Duration;

use super::all_clients;
use gururmm_db::testing::{
    Scratch, number, on_both, panic_in_a_reader, panic_in_a_transaction, panic_in_a_writer,
    settings_of,
};
use gururmm_db::{Db, clients};

/// Waits until something is so.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "not in time: {what}");
}

#[test]
fn a_panic_in_the_writer_does_not_lose_the_pool() {
    on_both(async |db| {
        clients::insert(&db, "kept".to_owned()).await.unwrap();
        for n in 0..20 {
            let error = panic_in_a_writer(&db).await.unwrap_err();
            assert!(error.to_string().contains("panicked"), "{error}");
            clients::insert(&db, format!("after {n}")).await.unwrap();
        }
        assert_eq!(
            all_clients(&db).await.unwrap().len(),
            21,
            "and is rolled back"
        );
    });
}

#[test]
fn a_panic_in_a_reader_or_between_statements_does_not_lose_the_pool() {
    on_both(async |db| {
        for n in 0..20 {
            assert!(panic_in_a_reader(&db).await.is_err());
            assert!(panic_in_a_transaction(&db).await.is_err());
            clients::insert(&db, format!("after {n}")).await.unwrap();
        }
        assert_eq!(all_clients(&db).await.unwrap().len(), 20);
    });
}

#[test]
fn a_dropped_future_still_commits() {
    on_both(async |db| {
        let mut given_up = 0;
        for n in 0..20 {
            let insert = clients::insert(&db, format!("client {n}"));
            // Begun, and given up at once, as by a client that hangs up.
            let begun = tokio::time::timeout(Duration::ZERO, insert).await;
            given_up += usize::from(begun.is_err());
        }
        assert!(given_up > 0, "none was given up before it was done");
        until("all are committed", async || {
            all_clients(&db).await.unwrap().len() == 20
        })
        .await;
    });
}

#[test]
fn a_write_outlives_the_last_handle() {
    on_both(async |db| {
        let settings = settings_of(&db);
        let other = Db::connect(&settings).await.unwrap();
        let begun =
            tokio::time::timeout(Duration::ZERO, clients::insert(&other, "last".to_owned())).await;
        drop((begun, other));
        until("it is committed", async || {
            !all_clients(&db).await.unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn a_crowd_of_writers_and_readers_is_served() {
    on_both(async |db| {
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    clients::insert(&db, format!("client {n}")).await.unwrap();
                    all_clients(&db).await.unwrap().len()
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap() > 0);
        }
        assert_eq!(number(&db, "SELECT count(*) FROM clients").await, 64);
    });
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let scratch = Scratch::postgres().await;
    let db = Db::connect(&scratch.settings).await.unwrap();
    for _ in 0..5 {
        assert_eq!(db.ping().await, Ok(()));
        let other = Db::connect(&scratch.settings).await.unwrap();
        // Each is waited for until it is gone, for at most ten seconds.
        let end_others = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) \
                          FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(number(&other, end_others).await >= 1);
        // This side of the connections hears of it a moment later, and nothing tells when.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            db.ping().await,
            Ok(()),
            "the dead connection is seen before it is used"
        );
    }
    scratch.remove().await;
}

#[test]
fn a_handle_may_be_made_and_dropped_without_a_runtime_or_inside_of_one() {
    let scratch = Scratch::sqlite();
    let db = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(Db::connect(&scratch.settings))
        .unwrap();
    drop(db);
    tokio::runtime::Builder::new_multi_thread()
        .build()
        .unwrap()
        .block_on(async {
            drop(Db::connect(&scratch.settings).await.unwrap());
        });
}
