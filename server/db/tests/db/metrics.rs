//! Metrics, network, watchdog events and updates.

use chrono::Duration;
use gururmm_shared::AgentId;
use serde_json::json;

use super::an_agent;
use gururmm_db::agent_updates::Outcome;
use gururmm_db::metrics::{self, MetricsSample};
use gururmm_db::testing::{number, on_both};
use gururmm_db::types::now;
use gururmm_db::watchdog_events::{self, NewWatchdogEvent};
use gururmm_db::{DbError, agent_state, agent_updates, agents};

fn sample(agent_id: AgentId) -> MetricsSample {
    MetricsSample {
        agent_id,
        recorded_at: now(),
        reported_at: None,
        cpu_percent: Some(12.5),
        memory_used_bytes: Some(1),
        memory_total_bytes: Some(2),
        disk_used_bytes: Some(3),
        disk_total_bytes: Some(4),
        network_rx_bytes: Some(5),
        network_tx_bytes: Some(6),
        uptime_seconds: Some(7),
    }
}

#[test]
fn samples_of_a_deleted_agent_do_not_fail_the_batch() {
    on_both(async |db| {
        let (agent, gone) = (an_agent(&db).await, an_agent(&db).await);
        agents::delete(&db, gone.id).await.unwrap();
        let batch = vec![
            sample(gone.id),
            sample(agent.id),
            sample(AgentId::generate()),
        ];
        assert_eq!(metrics::store_samples(&db, batch).await, Ok(1));
        assert_eq!(
            metrics::store_samples(&db, vec![sample(gone.id)]).await,
            Ok(0)
        );
        assert_eq!(metrics::store_samples(&db, Vec::new()).await, Ok(0));
        assert_eq!(number(&db, "SELECT count(*) FROM metrics").await, 1);
        assert_eq!(number(&db, "SELECT count(*) FROM agent_state").await, 1);
    });
}

#[test]
fn the_newest_sample_is_the_state_in_whatever_order_samples_come() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let newest = sample(agent.id);
        let at = |seconds| newest.recorded_at - Duration::seconds(seconds);
        let older = |seconds| MetricsSample {
            recorded_at: at(seconds),
            uptime_seconds: Some(0),
            ..newest.clone()
        };
        metrics::store_samples(&db, vec![older(10)]).await.unwrap();
        metrics::store_samples(&db, vec![newest.clone(), older(20)])
            .await
            .unwrap();
        metrics::store_samples(&db, vec![older(30)]).await.unwrap();
        let network = json!([{ "name": "eth0" }]);
        agent_state::store_network(&db, agent.id, network.clone(), Some("h".to_owned()), at(0))
            .await
            .unwrap();
        let state = agents::overview(&db, agent.id)
            .await
            .unwrap()
            .unwrap()
            .state
            .unwrap();
        assert_eq!(
            (state.metrics_at, state.uptime_seconds),
            (Some(at(0)), Some(7))
        );
        assert_eq!(
            (state.cpu_percent, state.network_tx_bytes),
            (Some(12.5), Some(6))
        );
        assert_eq!(
            (state.network, state.network_at),
            (Some(network), Some(at(0)))
        );
        let recent = metrics::recent(&db, agent.id, 3).await.unwrap();
        let times: Vec<_> = recent.iter().map(|sample| sample.recorded_at).collect();
        assert_eq!(times, [at(0), at(10), at(20)]);
    });
}

#[test]
fn numbers_that_sql_cannot_hold_are_clamped_or_left_out() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        for (cpu_percent, stored) in [
            (f64::NAN, None),
            (f64::INFINITY, None),
            (1e300, Some(1e300)),
        ] {
            let odd = MetricsSample {
                cpu_percent: Some(cpu_percent),
                memory_used_bytes: Some(u64::MAX),
                disk_used_bytes: None,
                reported_at: Some(now()),
                ..sample(agent.id)
            };
            assert_eq!(metrics::store_samples(&db, vec![odd.clone()]).await, Ok(1));
            let read = metrics::recent(&db, agent.id, 1).await.unwrap().remove(0);
            assert_eq!(
                (read.cpu_percent, read.memory_used_bytes),
                (stored, Some(i64::MAX))
            );
            assert_eq!(
                (read.disk_used_bytes, read.reported_at),
                (None, odd.reported_at)
            );
        }
    });
}

#[test]
fn a_batch_may_be_larger_than_a_statement() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let batch = vec![sample(agent.id); 12_000];
        let began = std::time::Instant::now();
        assert_eq!(metrics::store_samples(&db, batch).await, Ok(12_000));
        eprintln!("{}: 12,000 samples in {:?}", db.kind(), began.elapsed());
        assert_eq!(number(&db, "SELECT count(*) FROM metrics").await, 12_000);
    });
}

#[test]
fn batches_over_the_same_agents_do_not_block_each_other_for_good() {
    on_both(async |db| {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(an_agent(&db).await.id);
        }
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let (db, mut ids) = (db.clone(), ids.clone());
                ids.rotate_left(n);
                tokio::spawn(async move {
                    let times = ids.iter().map(|id| (*id, now())).collect::<Vec<_>>();
                    match n % 4 {
                        0 => agents::mark_seen(&db, times).await,
                        1 => agents::mark_offline(&db, times).await,
                        _ => {
                            let batch = ids.iter().map(|id| sample(*id)).collect();
                            metrics::store_samples(&db, batch).await
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(number(&db, "SELECT count(*) FROM metrics").await, 160);
    });
}

#[test]
fn the_network_of_an_agent_that_is_gone_is_refused() {
    on_both(async |db| {
        let stored =
            agent_state::store_network(&db, AgentId::generate(), json!([]), None, now()).await;
        assert_eq!(stored, Err(DbError::ForeignKey));
    });
}

#[test]
fn watchdog_events_are_kept_the_newest_first() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let event = |agent_id, service: &str| NewWatchdogEvent {
            agent_id,
            service: service.to_owned(),
            event: "stopped".to_owned(),
            message: Some("m".repeat(5_000)),
            reported_at: Some(now()),
            recorded_at: now(),
        };
        let batch = vec![
            event(agent.id, "one"),
            event(AgentId::generate(), "lost"),
            event(agent.id, "t\0wo"),
        ];
        assert_eq!(watchdog_events::insert_batch(&db, batch).await, Ok(2));
        let events = watchdog_events::recent(&db, agent.id, 10).await.unwrap();
        let services: Vec<_> = events.iter().map(|event| event.service.as_str()).collect();
        assert_eq!(services, ["t\u{fffd}wo", "one"]);
        assert_eq!(events[0].message.as_ref().map(String::len), Some(4_000));
    });
}

#[test]
fn an_update_result_ends_the_update_under_way_or_is_kept_by_itself() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let record = async |to: &str, error: Option<&str>| {
            let (from, to) = (Some("1.0".to_owned()), to.to_owned());
            let error = error.map(str::to_owned);
            let outcome = Outcome {
                from,
                to,
                success: error.is_none(),
                error,
                code: None,
            };
            agent_updates::record_result(&db, agent.id, outcome).await
        };
        record("1.1", None).await.unwrap();
        record("1.2", Some("checksum")).await.unwrap();
        let failed = "SELECT count(*) FROM agent_updates WHERE status = 'failed' \
                      AND to_version = '1.2' AND error = 'checksum' AND finished_at IS NOT NULL";
        assert_eq!(number(&db, failed).await, 1);
        gururmm_db::testing::execute(
            &db,
            "UPDATE agent_updates SET status = 'sent' WHERE to_version = '1.2'",
        )
        .await
        .unwrap();
        record("1.2", None).await.unwrap();
        let completed =
            "SELECT count(*) FROM agent_updates WHERE status = 'completed' AND error IS NULL";
        assert_eq!(number(&db, completed).await, 2);
        assert_eq!(number(&db, "SELECT count(*) FROM agent_updates").await, 2);
    });
}
