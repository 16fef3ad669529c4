//! Releases, rollouts and what becomes of each agent's update.

use chrono::{DateTime, Duration, Utc};
use gururmm_shared::{ReleaseId, RolloutId};
use serde_json::json;

use super::{a_technician, an_agent};
use gururmm_db::agent_updates::{self, NewUpdate, Outcome};
use gururmm_db::agents::{self, AgentConnected};
use gururmm_db::page::PageOf;
use gururmm_db::releases::{self, Added, NewRelease, Release, ReleaseFilter, Removal};
use gururmm_db::retention::{self, Keep};
use gururmm_db::rollouts::{self, Change, NewRollout, Rollout, RolloutFilter};
use gururmm_db::testing::{execute, number, on_both};
use gururmm_db::types::now;
use gururmm_db::{Db, DbError};

fn new_release(version: &str, channel: &str, sha256: char) -> NewRelease {
    let at = now();
    NewRelease {
        version: version.to_owned(),
        platform: "linux-x86_64".to_owned(),
        channel: channel.to_owned(),
        sha256: sha256.to_string().repeat(64),
        size_bytes: 10,
        downgrade: false,
        manifest: "{}".to_owned(),
        signature: "s".to_owned(),
        released_at: at,
        expires_at: at + Duration::days(1),
        added_by: None,
    }
}

async fn a_release(db: &Db, version: &str) -> Release {
    match releases::add(db, new_release(version, "stable", 'a'), 10).await {
        Ok(Added::New(release)) => release,
        other => panic!("{other:?}"),
    }
}

async fn a_rollout(db: &Db, channel: &str) -> Result<Rollout, DbError> {
    let new = NewRollout {
        id: RolloutId::generate(),
        version: "1.1.0".to_owned(),
        channel: channel.to_owned(),
        platform: None,
        waves: json!([10, 100]),
        soak_seconds: 60,
        max_failed_percent: 5,
        created_by: a_technician(db).await.id,
    };
    rollouts::insert(db, new).await
}

fn update(agent: &agents::Agent, rollout: Option<RolloutId>) -> NewUpdate {
    NewUpdate {
        agent_id: agent.id,
        from_version: Some("1.0.0".to_owned()),
        to_version: "1.1.0".to_owned(),
        release_id: ReleaseId::generate(),
        rollout: rollout.map(|id| (id, 0)),
    }
}

fn failed(code: &str) -> Outcome {
    Outcome {
        to: "1.1.0".to_owned(),
        error: Some("it did not".to_owned()),
        code: Some(code.to_owned()),
        ..Outcome::default()
    }
}

async fn comes_with(db: &Db, agent: &agents::Agent, version: &str, previous: Option<&str>) {
    let connected = AgentConnected {
        id: agent.id,
        hostname: "ws-1".to_owned(),
        os_family: "linux".to_owned(),
        os_name: String::new(),
        os_version: String::new(),
        os_arch: "x86_64".to_owned(),
        agent_version: Some(version.to_owned()),
        previous_version: previous.map(str::to_owned),
        protocol: 2,
        capabilities: vec!["signed_update".to_owned()],
        at: now(),
    };
    agents::mark_connected(db, vec![connected]).await.unwrap();
}

fn long_ago() -> DateTime<Utc> {
    now() - Duration::hours(1)
}

async fn statuses(db: &Db, agent: &agents::Agent) -> Vec<(String, Option<String>)> {
    let rows = agent_updates::of_agent(db, agent.id, None, 10)
        .await
        .unwrap();
    rows.into_iter().map(|row| (row.status, row.code)).collect()
}

#[test]
fn a_version_is_one_program_and_may_be_signed_anew() {
    on_both(async |db| {
        let first = a_release(&db, "1.0.0").await;
        let mut again = new_release("1.0.0", "stable", 'a');
        again.manifest = "{\"anew\":1}".to_owned();
        let Ok(Added::SignedAnew(anew)) = releases::add(&db, again, 1).await else {
            panic!("the same program")
        };
        assert_eq!(
            (anew.id, anew.manifest.as_str()),
            (first.id, "{\"anew\":1}")
        );
        let other = releases::add(&db, new_release("1.0.0", "beta", 'b'), 10).await;
        assert!(matches!(other, Ok(Added::Taken(_))), "{other:?}");
        let full = releases::add(&db, new_release("1.0.0", "beta", 'a'), 1).await;
        assert_eq!(full, Ok(Added::Full));
        let beta = releases::add(&db, new_release("1.0.0", "beta", 'a'), 2).await;
        assert!(matches!(beta, Ok(Added::New(_))), "{beta:?}");
        let in_beta = ReleaseFilter {
            channel: Some("beta".to_owned()),
            ..ReleaseFilter::default()
        };
        assert_eq!(releases::all(&db, in_beta).await.unwrap().len(), 1);
        assert_eq!(releases::is_program(&db, "a".repeat(64)).await, Ok(true));
        assert_eq!(releases::is_program(&db, "c".repeat(64)).await, Ok(false));
    });
}

#[test]
fn a_release_on_its_way_stays_and_its_program_goes_with_the_last_row() {
    on_both(async |db| {
        let stable = a_release(&db, "1.1.0").await;
        let Ok(Added::New(beta)) = releases::add(&db, new_release("1.1.0", "beta", 'a'), 10).await
        else {
            panic!("another channel")
        };
        let rollout = a_rollout(&db, "stable").await.unwrap();
        let in_use = releases::remove(&db, stable.id).await;
        assert_eq!(in_use, Ok(Removal::InUse));
        let removed = |removal| match removal {
            Ok(Removal::Removed { program_in_use, .. }) => program_in_use,
            other => panic!("{other:?}"),
        };
        assert!(
            removed(releases::remove(&db, beta.id).await),
            "stable has it"
        );
        stop(&db, &rollout).await.unwrap();
        assert!(!removed(releases::remove(&db, stable.id).await));
        let gone = releases::remove(&db, stable.id).await;
        assert_eq!(gone, Ok(Removal::Missing));
    });
}

async fn stop(db: &Db, rollout: &Rollout) -> Option<Rollout> {
    let change = Change {
        from: &["running", "paused"],
        at_wave: rollout.wave,
        state: "stopped",
        reason: Some("enough".to_owned()),
        wave: rollout.wave,
        at: now(),
    };
    rollouts::change(db, rollout.id, change).await.unwrap()
}

#[test]
fn a_channel_has_one_open_rollout_and_a_change_sees_what_was_before() {
    on_both(async |db| {
        let first = a_rollout(&db, "stable").await.unwrap();
        let second = a_rollout(&db, "stable").await.unwrap_err();
        assert!(second.is_duplicate_of("rollouts_one_open"), "{second:?}");
        let beta = a_rollout(&db, "beta").await.unwrap();
        let open = rollouts::open(&db).await.unwrap();
        assert_eq!(open, [first.clone(), beta]);
        let next = Change {
            from: &["running"],
            at_wave: 0,
            state: "running",
            reason: None,
            wave: 1,
            at: now() + Duration::seconds(1),
        };
        let changed = rollouts::change(&db, first.id, next.clone()).await.unwrap();
        let changed = changed.unwrap();
        assert_eq!(changed.wave, 1);
        assert!(changed.wave_began_at > first.wave_began_at);
        let late = rollouts::change(&db, first.id, next).await.unwrap();
        assert_eq!(late, None, "it is at another wave by now");
        let stopped = stop(&db, &changed).await.unwrap();
        assert_eq!(stopped.wave_began_at, changed.wave_began_at);
        assert!(stopped.ended_at.is_some());
        assert_eq!(stop(&db, &changed).await, None, "it is over");
        a_rollout(&db, "stable").await.unwrap();
        let over = RolloutFilter {
            state: Some("stopped".to_owned()),
            ..RolloutFilter::default()
        };
        let listed = rollouts::list(&db, over, PageOf::first(10)).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&stopped));
        assert_eq!(rollouts::by_id(&db, stopped.id).await, Ok(Some(stopped)));
    });
}

#[test]
fn an_agent_has_one_update_under_way_and_one_of_each_rollout() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let rollout = a_rollout(&db, "stable").await.unwrap();
        let new = || update(&agent, Some(rollout.id));
        let sent = agent_updates::begin(&db, new(), now()).await.unwrap();
        assert_eq!((sent.status.as_str(), sent.attempts), ("sent", 1));
        let again = agent_updates::begin(&db, update(&agent, None), now()).await;
        let again = again.unwrap_err();
        assert!(
            again.is_duplicate_of("agent_updates_one_under_way"),
            "{again:?}"
        );
        let asked = agent_updates::ask(&db, update(&agent, None), now()).await;
        assert!(matches!(asked, Err(DbError::Duplicate { .. })), "{asked:?}");
        let moved = agent_updates::record_result(&db, agent.id, failed("bad_checksum")).await;
        let moved = moved.unwrap().unwrap();
        assert_eq!(
            (moved.rollout_id, moved.status),
            (Some(rollout.id), "failed")
        );
        let second = agent_updates::begin(&db, new(), now()).await.unwrap_err();
        assert!(
            second.is_duplicate_of("agent_updates_one_a_rollout"),
            "{second:?}"
        );
        let waits = agent_updates::ask(&db, update(&agent, None), now())
            .await
            .unwrap();
        let instead = agent_updates::ask(&db, update(&agent, None), now())
            .await
            .unwrap();
        assert_eq!(agent_updates::send(&db, waits.id, now()).await, Ok(None));
        let sent = agent_updates::send(&db, instead.id, now()).await.unwrap();
        assert_eq!(sent.unwrap().attempts, 1);
        let known = [
            ("sent".to_owned(), None),
            ("failed".to_owned(), Some("superseded".to_owned())),
            ("failed".to_owned(), Some("bad_checksum".to_owned())),
        ];
        assert_eq!(statuses(&db, &agent).await, known);
        let tallies = agent_updates::tallies(&db, rollout.id).await.unwrap();
        assert_eq!(tallies, [(0, "failed".to_owned(), 1)]);
        let failures = agent_updates::failures(&db, rollout.id).await.unwrap();
        assert_eq!(failures, [(Some("bad_checksum".to_owned()), 1)]);
        let members = agent_updates::members(&db, rollout.id).await.unwrap();
        assert_eq!(members, [agent.id]);
        assert_eq!(agent_updates::under_way(&db).await.unwrap().len(), 1);
    });
}

#[test]
fn the_version_that_was_sent_completes_and_silence_fails() {
    on_both(async |db| {
        let (quick, silent) = (an_agent(&db).await, an_agent(&db).await);
        comes_with(&db, &quick, "1.0.0", None).await;
        for agent in [&quick, &silent] {
            agent_updates::begin(&db, update(agent, None), now())
                .await
                .unwrap();
        }
        assert!(
            agent_updates::settle(&db, now(), long_ago())
                .await
                .unwrap()
                .is_empty()
        );
        comes_with(&db, &quick, "1.1.0", None).await;
        let moved = agent_updates::settle(&db, now(), long_ago()).await.unwrap();
        assert_eq!(moved.len(), 1);
        assert_eq!(
            (moved[0].agent_id, moved[0].status),
            (quick.id, "completed")
        );
        let later = now() + Duration::seconds(1);
        let moved = agent_updates::settle(&db, later, later).await.unwrap();
        assert_eq!((moved[0].agent_id, moved[0].status), (silent.id, "failed"));
        let known = [("failed".to_owned(), Some("no_answer".to_owned()))];
        assert_eq!(statuses(&db, &silent).await, known);
        // It was only slow.
        let runs = Outcome {
            to: "1.1.0".to_owned(),
            success: true,
            ..Outcome::default()
        };
        let moved = agent_updates::record_result(&db, silent.id, runs).await;
        assert_eq!(moved.unwrap().unwrap().status, "completed");
        assert_eq!(
            statuses(&db, &silent).await,
            [("completed".to_owned(), None)]
        );
    });
}

#[test]
fn the_version_before_is_kept_whoever_tells_it() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let previous = async || {
            let read = agents::by_id(&db, agent.id).await.unwrap().unwrap();
            read.previous_version
        };
        comes_with(&db, &agent, "1.0.0", None).await;
        assert_eq!(previous().await, None);
        comes_with(&db, &agent, "1.1.0", None).await;
        assert_eq!(previous().await.as_deref(), Some("1.0.0"));
        comes_with(&db, &agent, "1.1.0", None).await;
        assert_eq!(previous().await.as_deref(), Some("1.0.0"), "it comes again");
        comes_with(&db, &agent, "1.2.0", Some("1.1.5")).await;
        assert_eq!(previous().await.as_deref(), Some("1.1.5"), "it says so");
    });
}

#[test]
fn an_agent_that_is_busy_is_asked_again_and_not_for_ever() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let first = agent_updates::begin(&db, update(&agent, None), now())
            .await
            .unwrap();
        for attempt in 1..4 {
            let moved = agent_updates::record_result(&db, agent.id, failed("busy")).await;
            assert_eq!(moved.unwrap().unwrap().status, "pending");
            let twice = agent_updates::record_result(&db, agent.id, failed("busy")).await;
            assert_eq!(twice, Ok(None), "it waits already");
            let rows = agent_updates::under_way(&db).await.unwrap();
            assert_eq!((rows.len(), rows[0].attempts), (1, attempt));
            assert!(rows[0].not_before > Some(now() + Duration::minutes(14)));
            agent_updates::send(&db, first.id, now()).await.unwrap();
        }
        let moved = agent_updates::record_result(&db, agent.id, failed("busy")).await;
        assert_eq!(moved.unwrap().unwrap().status, "failed");
    });
}

#[test]
fn an_agent_may_think_better_of_how_its_update_ended() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        agent_updates::begin(&db, update(&agent, None), now())
            .await
            .unwrap();
        comes_with(&db, &agent, "1.1.0", None).await;
        agent_updates::settle(&db, now(), long_ago()).await.unwrap();
        // It came, and went back all the same.
        let record = || agent_updates::record_result(&db, agent.id, failed("rolled_back"));
        assert_eq!(record().await.unwrap().unwrap().status, "failed");
        assert_eq!(record().await, Ok(None), "it says so twice");
        let known = [("failed".to_owned(), Some("rolled_back".to_owned()))];
        assert_eq!(statuses(&db, &agent).await, known);
        let nobody_asked = Outcome {
            to: "9.9.9".to_owned(),
            success: true,
            ..Outcome::default()
        };
        let told = agent_updates::record_result(&db, agent.id, nobody_asked).await;
        assert_eq!(told, Ok(None));
        assert_eq!(statuses(&db, &agent).await.len(), 2);
    });
}

#[test]
fn a_rollouts_updates_are_kept_until_it_is_over() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let rollout = a_rollout(&db, "stable").await.unwrap();
        let new = update(&agent, Some(rollout.id));
        agent_updates::begin(&db, new, now()).await.unwrap();
        agent_updates::record_result(&db, agent.id, failed("no_space"))
            .await
            .unwrap();
        let keep = Keep {
            events: Some(Duration::days(1)),
            ..Keep::default()
        };
        let count = "SELECT count(*) FROM agent_updates";
        let later = now() + Duration::days(3);
        retention::delete_old(&db, keep, later, 10).await.unwrap();
        assert_eq!(number(&db, count).await, 1);
        stop(&db, &rollout).await.unwrap();
        retention::delete_old(&db, keep, later, 10).await.unwrap();
        assert_eq!(number(&db, count).await, 0);
    });
}

#[test]
fn agents_that_wait_for_approval_are_no_part_of_the_fleet() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        comes_with(&db, &agent, "1.0.0", None).await;
        let builds = agents::builds(&db, None).await.unwrap();
        assert_eq!(builds.len(), 1);
        assert_eq!(builds[0].capabilities, json!(["signed_update"]));
        let time = "(SELECT created_at FROM agents)";
        let id = "(SELECT id FROM agents)";
        let sql =
            format!("INSERT INTO agent_approvals (agent_id, requested_at) VALUES ({id}, {time})");
        execute(&db, &sql).await.unwrap();
        assert!(
            agents::builds(&db, Some(agent.id))
                .await
                .unwrap()
                .is_empty()
        );
    });
}
