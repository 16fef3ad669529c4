//! The audit: who did what to which machine, when, from where, and how it ended.

use std::time::Duration;

use gururmm_shared::{ServerMessage, TerminalOutput};
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::{TECHNICIAN, session_id};
use gururmm_tests::{Heard, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn an_open_a_command_and_a_close_have_a_row_each(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let api = rmm.technician.from_address([127, 0, 0, 77].into());
        let opened = api.post("/api/v1/tunnel/open", json!({"agent_id": id})).await;
        let session = session_id(&opened.expect(201));
        let mut viewer = rmm.view(session).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let command = api.post(&path, json!({"command": "echo ☂; exit 3"})).await;
        let channel = text(&command.expect(202), "channel_id").to_owned();
        viewer.output(&channel).await;
        let command_id = text(&command.json(), "command_id").to_owned();
        rmm.wait_outcome(session, &command_id, "failed").await;
        let closed = api.post("/api/v1/tunnel/close", json!({"session_id": session})).await;
        closed.check(200);

        let rows = rmm.audit(session).await;
        let actions: Vec<_> = rows.iter().map(|row| text(row, "action")).collect();
        assert_eq!(actions, ["open", "command", "close"]);
        let hostname = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200)["hostname"].clone();
        for (row, answer) in rows.iter().zip([&opened, &command, &closed]) {
            assert_eq!(row["user_id"], rmm.technician_id.as_str());
            assert_eq!(row["user_email"], TECHNICIAN.0);
            assert_eq!(row["agent_id"], id.to_string());
            assert_eq!(row["agent_hostname"], hostname);
            assert_eq!(row["session_id"], session.to_string());
            assert_eq!(row["remote_addr"], "127.0.0.77");
            assert_eq!(text(row, "request_id"), answer.header("x-request-id"));
            let at: chrono::DateTime<chrono::Utc> = text(row, "at").parse().unwrap();
            assert!((chrono::Utc::now() - at).num_seconds().abs() < 60);
            uuid::Uuid::parse_str(text(row, "id")).unwrap();
        }
        let command_row = &rows[1];
        assert_eq!(command_row["detail"], "echo ☂; exit 3");
        assert_eq!(command_row["command_id"], command.json()["command_id"]);
        assert_eq!(command_row["channel_id"], channel.as_str());
        assert_eq!(command_row["outcome"], "failed");
        assert_eq!(command_row["exit_code"], 3);
        assert!(command_row["ended_at"].is_string());
    }

    async fn how_a_command_ended_is_on_record(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        rmm.run(session, "true").await;
        rmm.run(session, "exit 9").await;
        let mut viewer = rmm.view(session).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let body = json!({"command": "sleep 60", "timeout_seconds": 1});
        let answer = rmm.technician.post(&path, body).await.expect(202);
        viewer.output(text(&answer, "channel_id")).await;
        rmm.command(session, "sleep 60").await;
        let told = |rows: &[Value]| -> Vec<(Value, Value)> {
            rows.iter().filter(|row| row["action"] == "command")
                .map(|row| (row["outcome"].clone(), row["exit_code"].clone()))
                .collect()
        };
        eventually("three commands have ended, one runs", Duration::from_secs(10), || async {
            let rows = told(&rmm.audit(session).await);
            let expected = [(json!("completed"), json!(0)), (json!("failed"), json!(9)),
                (json!("timed_out"), json!(124)), (Value::Null, Value::Null)];
            (rows == expected).then_some(())
        })
        .await;
        let close = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        eventually("the last was cancelled", Duration::from_secs(10), || async {
            let rows = told(&rmm.audit(session).await);
            (rows[3].0 == "cancelled").then_some(())
        })
        .await;
    }

    async fn the_row_is_there_when_the_agent_gets_the_command(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        for number in 0..10 {
            let line = format!("command number {number}");
            let ((command, _), rows) = tokio::join!(rmm.command(session, &line), async {
                let (_, terminal) = agent.terminal().await;
                (terminal.command_id.unwrap(), rmm.audit(session).await)
            });
            let (told, rows) = rows;
            assert_eq!(told.to_string(), command);
            let row = rows.iter().find(|row| row["command_id"] == command.as_str());
            assert_eq!(row.expect("committed before it is sent")["detail"], line.as_str());
        }
    }

    async fn the_row_of_an_open_is_there_when_the_agent_gets_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let (session, rows) = tokio::join!(rmm.open(id), async {
            let session = agent.tunnel_open().await;
            let rows = rmm.audit(session).await;
            agent.ready(session).await;
            rows
        });
        assert_eq!(rows.len(), 1, "{session}: {rows:?}");
        assert_eq!(rows[0]["action"], "open");
    }

    async fn a_command_whose_audit_cannot_be_written_is_not_sent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        rmm.database.execute("ALTER TABLE tunnel_audit RENAME TO tunnel_audit_gone").await.unwrap();
        let path = format!("/api/v1/tunnel/{session}/command");
        let answer = rmm.technician.post(&path, json!({"command": "true"})).await;
        let problem = answer.problem(503, "unavailable");
        assert!(!problem.to_string().contains("tunnel_audit"), "{problem}");
        if let Some(Heard::Message(ServerMessage::TunnelData(data))) =
            agent.hear_within(Duration::from_millis(500)).await
        {
            panic!("it was sent all the same: {data:?}");
        }
        rmm.database.execute("ALTER TABLE tunnel_audit_gone RENAME TO tunnel_audit").await.unwrap();
        rmm.command(session, "true").await;
        agent.terminal().await;
    }

    async fn a_refusal_has_a_row_too(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let (other_id, other) = rmm.add_user("other@example.com", "technician").await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let refused = other.post(&path, json!({"command": "id"})).await;
        refused.refusal(403);
        let row = refusal(&rmm.admin, refused.header("x-request-id")).await;
        assert_eq!(row["user_id"], other_id.as_str());
        assert_eq!(row["session_id"], session.to_string());
        assert_eq!(row["agent_id"], id.to_string());
        assert_eq!(row["remote_addr"], "127.0.0.1");

        let open = json!({"agent_id": id});
        let twice = rmm.technician.post("/api/v1/tunnel/open", open.clone()).await;
        twice.problem(409, "session_exists");
        let row = refusal(&rmm.admin, twice.header("x-request-id")).await;
        assert!(row.to_string().contains("session_exists"), "{row}");

        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        let denied = reader.post("/api/v1/tunnel/open", open.clone()).await;
        denied.refusal(403);
        let row = refusal(&rmm.admin, denied.header("x-request-id")).await;
        assert_eq!(row["user_email"], "reader@example.com");

        agent.close().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
        let offline = rmm.technician.post("/api/v1/tunnel/open", open).await;
        offline.problem(409, "agent_offline");
        let row = refusal(&rmm.admin, offline.header("x-request-id")).await;
        assert!(row.to_string().contains("agent_offline"), "{row}");
    }

    async fn the_audit_outlives_its_agent_and_its_session(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        rmm.run(session, "echo kept").await;
        rmm.admin.delete(&format!("/api/agents/{id}")).await.check(204);
        let rows = rmm.audit(session).await;
        let command = rows.iter().find(|row| row["action"] == "command").unwrap();
        assert_eq!(command["detail"], "echo kept");
        assert_eq!(command["agent_id"], id.to_string());
        assert!(command["agent_hostname"].is_string());
        let sessions = "SELECT CAST(count(*) AS TEXT) AS value FROM tech_sessions";
        assert_eq!(rmm.database.count(sessions).await, 0);
    }

    async fn a_session_that_ends_by_itself_has_a_close_row_with_the_reason(world: World) {
        let rmm = world.deploy(&[("tunnel.idle_timeout_seconds", "1")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        rmm.wait_session(session, "closed", "idle_timeout", Duration::from_secs(10)).await;
        eventually("the close is on record", Duration::from_secs(5), || async {
            let rows = rmm.audit(session).await;
            let row = rows.iter().find(|row| row["action"] == "close")?;
            assert!(row.to_string().contains("idle_timeout"), "{row}");
            Some(())
        })
        .await;
    }

    async fn an_owner_reads_the_audit_of_a_session_and_administrators_all(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let (channel, ()) = {
            rmm.command(session, "first").await;
            let (channel, _) = agent.terminal().await;
            (channel, ())
        };
        let end = TerminalOutput { exit_code: Some(0), offset: Some(0), ..TerminalOutput::default() };
        agent.output(&channel, end).await;
        rmm.command(session, "second").await;
        let path = format!("/api/v1/tunnel/{session}/audit");
        let own = items(&rmm.technician.get(&path).await.expect(200));
        let details: Vec<_> = own.iter().filter(|row| row["action"] == "command")
            .map(|row| text(row, "detail")).collect();
        assert_eq!(details, ["first", "second"], "oldest first");
        rmm.technician.get("/api/audit/tunnel").await.refusal(403);

        let list = |query: String| {
            let admin = &rmm.admin;
            async move { items(&admin.get(&format!("/api/audit/tunnel?{query}")).await.expect(200)) }
        };
        let newest = list("limit=1".to_owned()).await;
        assert_eq!(newest.len(), 1);
        assert_eq!(newest[0]["detail"], "second");
        assert_eq!(list(format!("agent_id={id}")).await.len(), 3);
        assert!(list(format!("agent_id={}", uuid::Uuid::new_v4())).await.is_empty());
        for bad in ["limit=x", "limit=0", "agent_id=x", "session_id=x"] {
            rmm.admin.get(&format!("/api/audit/tunnel?{bad}")).await.refusal(400);
        }
    }
}

/// The refusal that a request led to.
async fn refusal(admin: &gururmm_tests::Api, request_id: &str) -> Value {
    let what = format!("request {request_id} has a row of its refusal");
    eventually(&what, Duration::from_secs(5), || async {
        let rows = items(&admin.get("/api/audit/tunnel?limit=100").await.expect(200));
        let row = rows
            .into_iter()
            .find(|row| row["request_id"] == request_id)?;
        assert_eq!(row["action"], "refused", "{row}");
        Some(row)
    })
    .await
}
