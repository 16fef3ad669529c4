//! Opening and closing tunnels, and who may.

use std::time::Duration;

use gururmm_shared::{AgentMessage, SessionId, TunnelClosed};
use gururmm_tests::api::text;
use gururmm_tests::deployment::{open, session_id};
use gururmm_tests::{Answer, Api, on_both_databases};
use serde_json::json;
use uuid::Uuid;

on_both_databases! {
    async fn a_tunnel_opens_once_the_agent_is_ready_and_closes_on_both_sides(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let status = rmm.session(session).await;
        assert_eq!(status["session_id"], session.to_string());
        assert_eq!(status["agent_id"], id.to_string());
        assert_eq!(status["tech_id"], rmm.technician_id.as_str());
        assert_eq!(status["status"], "ready");
        assert!(status["opened_at"].is_string() && status["last_activity"].is_string(), "{status}");
        assert!(status["closed_at"].is_null() && status["close_reason"].is_null(), "{status}");
        assert_eq!(status["channels"], json!([]));
        let (answer, told) = tokio::join!(close(&rmm.technician, session), agent.tunnel_close());
        let answer = answer.expect(200);
        assert_eq!(answer["session_id"], session.to_string());
        assert_eq!(answer["status"], "closed");
        assert_eq!(told, session);
        let status = rmm.session(session).await;
        assert_eq!(status["status"], "closed");
        assert_eq!(status["close_reason"], "closed_by_technician");
        assert!(status["closed_at"].is_string(), "{status}");
    }

    async fn a_second_close_is_a_409(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        close(&rmm.technician, session).await.check(200);
        close(&rmm.technician, session).await.problem(409, "session_closed");
        let command = json!({"command": "true"});
        let path = format!("/api/v1/tunnel/{session}/command");
        rmm.technician.post(&path, command).await.problem(409, "session_closed");
    }

    async fn of_two_closes_at_once_one_closes(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let (a, b) = tokio::join!(close(&rmm.technician, session), close(&rmm.technician, session));
        let mut codes = [a.status, b.status];
        codes.sort_unstable();
        assert_eq!(codes, [200, 409], "{} {}", a.text, b.text);
    }

    async fn an_agent_that_is_offline_is_a_409(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
        try_open(&rmm.technician, &id.to_string()).await.problem(409, "agent_offline");
    }

    async fn an_agent_that_refuses_is_a_409_and_the_session_ends(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let id_text = id.to_string();
        let (answer, session) = tokio::join!(try_open(&rmm.technician, &id_text), async {
            let session_id = agent.tunnel_open().await;
            let reason = "a tunnel is open already".to_owned();
            agent.send(&AgentMessage::TunnelClosed(TunnelClosed { session_id, reason, consent: None })).await;
            session_id
        });
        answer.problem(409, "agent_refused");
        rmm.wait_session(session, "error", "agent_refused", Duration::from_secs(5)).await;
        rmm.open_raw(&mut agent, id).await;
    }

    async fn a_second_session_of_the_same_technician_to_the_agent_is_a_409(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        try_open(&rmm.technician, &id.to_string()).await.problem(409, "session_exists");
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn of_two_opens_at_once_one_is_a_201_and_one_a_409(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        for _ in 0..5 {
            let id = id.to_string();
            let (a, b) = tokio::join!(try_open(&rmm.technician, &id), try_open(&rmm.technician, &id));
            let mut codes = [a.status, b.status];
            codes.sort_unstable();
            assert_eq!(codes, [201, 409], "{} {}", a.text, b.text);
            let (won, lost) = if a.status == 201 { (a, b) } else { (b, a) };
            lost.problem(409, "session_exists");
            close(&rmm.technician, session_id(&won.json())).await.check(200);
        }
    }

    async fn the_index_of_the_database_refuses_a_second_open_session(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let copy = |status: &str, closed: &str| format!(
            "INSERT INTO tech_sessions (session_id, tech_id, agent_id, opened_at, last_activity, status, closed_at) \
             SELECT '{}', tech_id, agent_id, opened_at, last_activity, '{status}', {closed} \
             FROM tech_sessions WHERE session_id = '{session}'", Uuid::new_v4());
        for status in ["active", "ready"] {
            let error = rmm.database.execute(&copy(status, "NULL")).await.unwrap_err();
            assert!(error.to_lowercase().contains("unique"), "{error}");
        }
        rmm.database.execute(&copy("closed", "opened_at")).await.unwrap();
        let error = rmm.database.execute(&copy("happy", "NULL")).await.unwrap_err();
        assert!(error.to_lowercase().contains("check"), "{error}");
    }

    async fn an_agent_that_does_not_answer_in_time_is_a_504_and_the_session_ends_as_error(world: World) {
        let rmm = world.deploy(&[("tunnel.open_timeout_seconds", "1")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let id_text = id.to_string();
        let (answer, session) = tokio::join!(try_open(&rmm.technician, &id_text), agent.tunnel_open());
        answer.problem(504, "open_timed_out");
        rmm.wait_session(session, "error", "open_timed_out", Duration::from_secs(5)).await;
        // A late answer is told that nobody waits any more, and opens nothing.
        agent.ready(session).await;
        assert_eq!(agent.tunnel_close().await, session);
        assert_eq!(rmm.session(session).await["status"], "error");
        rmm.open_raw(&mut agent, id).await;
    }

    async fn an_agent_that_goes_during_the_open_is_a_409_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let id_text = id.to_string();
        let (answer, session) = tokio::join!(try_open(&rmm.technician, &id_text), async move {
            let session = agent.tunnel_open().await;
            drop(agent);
            session
        });
        answer.problem(409, "agent_offline");
        rmm.wait_session(session, "closed", "agent_disconnected", Duration::from_secs(5)).await;
    }

    async fn a_malformed_body_is_a_400_and_an_unknown_agent_a_404(world: World) {
        let rmm = world.deploy(&[]).await;
        for path in ["/api/v1/tunnel/open", "/api/v1/tunnel/close"] {
            for body in ["", "{", "{}", "[]", r#"{"agent_id":7,"session_id":7}"#,
                r#"{"agent_id":"x","session_id":"x"}"#] {
                rmm.technician.post_text(path, body).await.refusal(400);
            }
        }
        let none = Uuid::new_v4();
        try_open(&rmm.technician, &none.to_string()).await.problem(404, "not_found");
        close(&rmm.technician, SessionId(none)).await.refusal(404);
        for path in [format!("/api/v1/tunnel/status/{none}"), format!("/api/v1/tunnel/{none}/audit")] {
            rmm.technician.get(&path).await.refusal(404);
        }
        let command = json!({"command": "true"});
        let path = format!("/api/v1/tunnel/{none}/command");
        rmm.technician.post(&path, command.clone()).await.refusal(404);
        rmm.technician.post(&format!("/api/v1/tunnel/{none}/ticket"), json!({})).await.refusal(404);
        rmm.technician.get("/api/v1/tunnel/status/not-a-uuid").await.refusal(400);
        rmm.technician.post("/api/v1/tunnel/not-a-uuid/command", command).await.refusal(400);
        rmm.technician.post("/api/v1/tunnel/not-a-uuid/ticket", json!({})).await.refusal(400);
    }

    async fn somebody_elses_session_is_a_403_even_for_an_administrator(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        for api in [&other, &rmm.admin] {
            close(api, session).await.refusal(403);
            api.get(&format!("/api/v1/tunnel/status/{session}")).await.refusal(403);
            let command = json!({"command": "true"});
            api.post(&format!("/api/v1/tunnel/{session}/command"), command).await.refusal(403);
            api.post(&format!("/api/v1/tunnel/{session}/ticket"), json!({})).await.refusal(403);
        }
        other.get(&format!("/api/v1/tunnel/{session}/audit")).await.refusal(403);
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn two_technicians_and_one_agent_have_one_tunnel_at_a_time(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let refused = try_open(&other, &id.to_string()).await;
        refused.problem(409, "agent_refused");
        let output = rmm.run(session, "echo still here").await;
        assert_eq!(output.stdout, "still here\n");
        close(&rmm.technician, session).await.check(200);
        let session = rmm.wait_opens(&other, id, Duration::from_secs(10)).await;
        close(&other, session).await.check(200);
    }

    async fn one_technician_has_sessions_to_several_agents(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_first, one) = rmm.agent().await;
        let (_second, two) = rmm.agent().await;
        let (a, b) = tokio::join!(rmm.open(one), rmm.open(two));
        assert_ne!(a, b);
        let (x, y) = tokio::join!(rmm.run(a, "echo one"), rmm.run(b, "echo two"));
        assert_eq!((x.stdout.as_str(), y.stdout.as_str()), ("one\n", "two\n"));
    }

    async fn the_number_of_sessions_of_a_technician_is_limited(world: World) {
        let rmm = world.deploy(&[("tunnel.max_sessions_per_technician", "2")]).await;
        let mut sessions = Vec::new();
        let mut agents = Vec::new();
        for _ in 0..2 {
            let (mut agent, id) = rmm.raw_agent().await;
            sessions.push(rmm.open_raw(&mut agent, id).await);
            agents.push(agent);
        }
        let (mut third, id) = rmm.raw_agent().await;
        try_open(&rmm.technician, &id.to_string()).await.problem(429, "too_many_sessions");
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let (theirs, ()) = tokio::join!(open(&other, id), async {
            let session = third.tunnel_open().await;
            third.ready(session).await;
        });
        close(&other, theirs).await.check(200);
        close(&rmm.technician, sessions[0]).await.check(200);
        rmm.open_raw(&mut third, id).await;
    }

    async fn a_session_that_lies_still_is_closed(world: World) {
        let rmm = world.deploy(&[("tunnel.idle_timeout_seconds", "2")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        rmm.wait_session(session, "closed", "idle_timeout", Duration::from_secs(15)).await;
        assert_eq!(agent.tunnel_close().await, session);
        rmm.open_raw(&mut agent, id).await;
    }

    async fn a_session_with_a_command_does_not_lie_still_even_if_it_prints_nothing(world: World) {
        let rmm = world.deploy(&[("tunnel.idle_timeout_seconds", "1")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "sleep 4; echo done").await;
        assert_eq!((output.stdout.as_str(), output.exit_code), ("done\n", Some(0)));
        rmm.wait_session(session, "closed", "idle_timeout", Duration::from_secs(15)).await;
    }

    async fn a_session_whose_command_prints_does_not_lie_still(world: World) {
        let rmm = world.deploy(&[("tunnel.idle_timeout_seconds", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done").await;
        assert_eq!(output.stdout, "1\n2\n3\n4\n5\n6\n");
        assert_eq!(output.exit_code, Some(0));
    }

    async fn a_tunnel_that_the_agent_closes_is_closed(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session_id = rmm.open_raw(&mut agent, id).await;
        let mut viewer = rmm.view(session_id).await;
        let reason = "the machine goes down".to_owned();
        agent.send(&AgentMessage::TunnelClosed(TunnelClosed { session_id, reason, consent: None })).await;
        rmm.wait_session(session_id, "closed", "agent_closed", Duration::from_secs(5)).await;
        let (last, code) = viewer.closed().await;
        assert_eq!((last.status.as_str(), last.reason.as_str()), ("closed", "agent_closed"));
        assert_eq!(code, Some(1000));
    }

    async fn another_agent_cannot_answer_for_the_one_that_was_asked(world: World) {
        let rmm = world.deploy(&[("tunnel.open_timeout_seconds", "2")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let (mut thief, _) = rmm.raw_agent().await;
        let id_text = id.to_string();
        let (answer, session) = tokio::join!(try_open(&rmm.technician, &id_text), async {
            let session = agent.tunnel_open().await;
            thief.ready(session).await;
            session
        });
        answer.problem(504, "open_timed_out");
        let row = rmm.session(session).await;
        assert_eq!(text(&row, "status"), "error");
    }
}

async fn try_open(api: &Api, agent: &str) -> Answer {
    api.post("/api/v1/tunnel/open", json!({"agent_id": agent}))
        .await
}

async fn close(api: &Api, session: SessionId) -> Answer {
    api.post("/api/v1/tunnel/close", json!({"session_id": session}))
        .await
}
