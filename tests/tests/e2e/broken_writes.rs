//! A database that refuses a write, or loses the answer to one: nothing is left open, and no end is
//! without its audit.

use std::time::Duration;

use gururmm_shared::{AgentMessage, TunnelClosed};
use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::{
    Database, Deployment, Heard, Obstacle, Proxy, World, eventually, on_both_databases,
};
use reqwest::Method;
use serde_json::json;

on_both_databases! {
    async fn a_close_whose_audit_is_refused_ends_what_runs_and_is_on_record_later(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session_id = rmm.open_raw(&mut agent, id).await;
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "tunnel_audit", "NEW.action = 'close'").await;
        let api = rmm.technician.from_address([127, 0, 0, 78].into());
        let close = api.post("/api/v1/tunnel/close", json!({"session_id": session_id}));
        let (closed, ()) = tokio::join!(close, async {
            // What runs on the machine ends all the same.
            assert_eq!(agent.tunnel_close().await, session_id);
            let reason = String::new();
            agent.send(&AgentMessage::TunnelClosed(TunnelClosed { session_id, reason, consent: None })).await;
            let failed = format!("{session_id}");
            eventually("the end was tried to be written", Duration::from_secs(10), || async {
                let log = rmm.server.log();
                log.lines().any(|line| line.contains("cannot be written yet") && line.contains(&failed)).then_some(())
            })
            .await;
            // No end without its audit.
            assert_eq!(rmm.session_row(session_id).await["status"], "ready");
            refusing.remove().await;
        });
        closed.check(200);
        rmm.wait_session(session_id, "closed", "closed_by_technician", Duration::from_secs(10)).await;
        let rows = rmm.audit(session_id).await;
        let closes: Vec<_> = rows.iter().filter(|row| row["action"] == "close").collect();
        assert_eq!(closes.len(), 1, "{rows:?}");
        // The row tells of the request, not of the later try.
        assert_eq!(text(closes[0], "request_id"), closed.header("x-request-id"));
        assert_eq!(closes[0]["remote_addr"], "127.0.0.78");
        assert_eq!(closes[0]["outcome"], "closed_by_technician");
        rmm.open_raw(&mut agent, id).await;
    }

    async fn a_session_whose_row_is_refused_is_a_503_and_leaves_nothing_behind(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "tech_sessions", "NEW.status = 'active'").await;
        let open = json!({"agent_id": id});
        rmm.technician.post("/api/v1/tunnel/open", open).await.refusal(503);
        if let Some(Heard::Message(message)) = agent.hear_within(Duration::from_millis(500)).await {
            panic!("the agent was asked all the same: {message:?}");
        }
        eventually("no session is left", Duration::from_secs(5), || async {
            let own = rmm.technician.get("/api/v1/tunnel").await.expect(200);
            items(&own).is_empty().then_some(())
        })
        .await;
        refusing.remove().await;
        rmm.open_raw(&mut agent, id).await;
    }
}

/// A server whose connections to the database go over a line that can be cut.
async fn through_a_line(world: &World) -> (Deployment, Proxy) {
    let Database::Postgres { url, .. } = &world.database else {
        unreachable!("it runs on PostgreSQL")
    };
    let mut through: reqwest::Url = url.parse().unwrap();
    let target = format!("127.0.0.1:{}", through.port().unwrap());
    let line = Proxy::start(target.parse().unwrap()).await;
    through.set_port(Some(line.address().port())).unwrap();
    let rmm = world.deploy(&[("database.url", through.as_str())]).await;
    (rmm, line)
}

/// On PostgreSQL only, as below.
mod a_command_whose_commit_arrives_after_its_connection_broke_is_there_once_after_the_repeat {
    use super::*;

    #[test]
    fn postgres() {
        gururmm_tests::world::run(Engine::Postgres, body);
    }

    async fn body(world: World) {
        let (rmm, line) = through_a_line(&world).await;
        let (agent, id) = rmm.raw_agent().await;
        agent.close().await;
        let commit = Obstacle::at_commit(&rmm.database, "commands").await;
        let path = format!("/api/agents/{id}/command");
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        let ask = || async {
            let body = json!({"command": "true"}).to_string();
            let sent = rmm
                .technician
                .send(Method::POST, &path, &headers, Some(body));
            sent.await.unwrap()
        };
        let (answer, ()) = tokio::join!(ask(), async {
            commit.wait_holds().await;
            line.cut();
        });
        answer.refusal(503);
        assert!(
            commit.holds().await,
            "it was committed too early to show anything"
        );
        commit.remove().await;
        let commands = "SELECT id::text AS value FROM commands";
        let made = eventually("the command is there", Duration::from_secs(20), || async {
            rmm.database.values(commands).await.pop().flatten()
        })
        .await;
        let again = eventually(
            "the repeat is answered",
            Duration::from_secs(20),
            || async {
                let again = ask().await;
                (again.status == 202).then_some(again)
            },
        )
        .await;
        assert_eq!(text(&again.json(), "command_id"), made);
        assert_eq!(rmm.database.values(commands).await, [Some(made)]);
    }
}

/// On PostgreSQL only: between SQLite and the server there is nothing that could break.
mod a_session_whose_commit_arrives_after_its_connection_broke_is_closed {
    use super::*;

    #[test]
    fn postgres() {
        gururmm_tests::world::run(Engine::Postgres, body);
    }

    async fn body(world: World) {
        let (rmm, line) = through_a_line(&world).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let commit = Obstacle::at_commit(&rmm.database, "tech_sessions").await;
        let open = json!({"agent_id": id});
        let (answer, ()) = tokio::join!(
            rmm.technician.post("/api/v1/tunnel/open", open.clone()),
            async {
                commit.wait_holds().await;
                line.cut();
            }
        );
        answer.refusal(503);
        assert!(
            commit.holds().await,
            "it was committed too early to show anything"
        );
        commit.remove().await;
        let sessions =
            "SELECT status || '/' || coalesce(close_reason, '') AS value FROM tech_sessions";
        eventually("the session is closed", Duration::from_secs(20), || async {
            let rows = rmm.database.values(sessions).await;
            (rows == [Some("error/fault".to_owned())]).then_some(())
        })
        .await;
        let unfinished =
            "SELECT CAST(count(*) AS TEXT) AS value FROM tunnel_audit WHERE outcome IS NULL";
        eventually("its audit is complete", Duration::from_secs(5), || async {
            (rmm.database.count(unfinished).await == 0).then_some(())
        })
        .await;
        rmm.open_raw(&mut agent, id).await;
    }
}
