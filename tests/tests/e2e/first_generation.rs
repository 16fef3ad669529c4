//! An agent of the first generation, which knows only the original's messages.

use gururmm_shared::{ServerMessage, SessionId, TunnelData, TunnelPayload};
use gururmm_tests::{Deployment, RawAgent, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn an_agent_that_sends_exactly_the_three_messages_of_the_reference_is_understood(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = old_agent(&rmm).await;
        let id = rmm.admin.get("/api/agents").await.expect(200)["items"][0]["id"]
            .as_str().unwrap().parse().unwrap();
        let body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
        assert_eq!(body["protocol"], 1);
        assert!(body["os"].to_string().contains("Windows Server 2012"), "{body}");
        assert_eq!(body["hostname"], "old-machine");

        let (session, ()) = tokio::join!(rmm.open(id), async {
            let session = agent.tunnel_open().await;
            agent.send_text(&ready(session)).await;
        });
        let mut viewer = rmm.view(session).await;
        let (hello, channel) = rmm.command(session, "echo Hello, World!").await;
        assert_eq!(old_terminal(&mut agent).await, (channel.clone(), "echo Hello, World!".to_owned()));
        agent.send_text(&format!(r#"{{"type":"tunnel_data","payload":{{"channel_id":"{channel}","data":{{"type":"terminal_output","payload":{{"stdout":"Hello, World!\n","stderr":"","exit_code":0}}}}}}}}"#)).await;
        let output = viewer.output(&channel).await;
        assert_eq!(output.stdout, "Hello, World!\n");
        assert_eq!(output.exit_code, Some(0));

        let (forbidden, channel) = rmm.command(session, "forbidden").await;
        old_terminal(&mut agent).await;
        agent.send_text(&format!(r#"{{"type":"tunnel_error","payload":{{"channel_id":"{channel}","error":"Failed to execute command: permission denied"}}}}"#)).await;
        let error = viewer
            .expect("tunnel_error", |message| match message {
                gururmm_shared::StreamMessage::TunnelError(error) => Some(error.clone()),
                _ => None,
            })
            .await;
        assert_eq!(error.channel_id.as_str(), channel);
        assert_eq!(error.error, "Failed to execute command: permission denied");

        let close = json!({"session_id": session});
        let (closed, told) = tokio::join!(rmm.technician.post("/api/v1/tunnel/close", close), agent.tunnel_close());
        closed.check(200);
        assert_eq!(told, session);
        rmm.wait_outcome(session, &hello, "completed").await;
        rmm.wait_outcome(session, &forbidden, "failed").await;
    }

    async fn its_refusal_of_a_tunnel_is_a_409(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = old_agent(&rmm).await;
        let agents = rmm.admin.get("/api/agents").await.expect(200);
        let open = json!({"agent_id": agents["items"][0]["id"]});
        let (answer, ()) = tokio::join!(rmm.technician.post("/api/v1/tunnel/open", open), async {
            let session = agent.tunnel_open().await;
            let error = json!({"type": "tunnel_error",
                "payload": {"channel_id": session, "error": "Tunnel already active"}});
            agent.send_text(&error.to_string()).await;
        });
        answer.problem(409, "agent_refused");
    }

    async fn it_may_come_back_with_its_site_code_where_that_is_configured(world: World) {
        let rmm = world.deploy(&[("agents.accept_site_codes_of_first_generation", "true")]).await;
        let first = old_agent(&rmm).await;
        let mut second = old_agent(&rmm).await;
        drop(first);
        let agents = gururmm_tests::api::items(&rmm.admin.get("/api/agents").await.expect(200));
        assert_eq!(agents.len(), 1);
        second.send_text(r#"{"type":"heartbeat"}"#).await;
        // An agent that has a key of its own cannot be taken over so.
        let (mut new, _) = rmm.raw_agent().await;
        let mut thief = RawAgent::connect(&rmm.server.agents_url()).await;
        let auth = gururmm_shared::Auth { device_id: Some(new.device_id.clone()), protocol: None,
            ..thief.auth(&rmm.site.code) };
        assert_eq!(thief.refused(auth, 1008).await, "already_enrolled");
        new.send(&gururmm_shared::AgentMessage::Heartbeat).await;
    }

    async fn without_that_its_site_code_works_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let _first = old_agent(&rmm).await;
        let mut second = RawAgent::connect(&rmm.server.agents_url()).await;
        second.send_text(&auth(&rmm.site.code)).await;
        assert_eq!(second.expect_error().await.code, "already_enrolled");
        assert_eq!(second.expect_close().await.0, 1008);
    }
}

fn auth(key: &str) -> String {
    json!({"type": "auth", "payload": {"api_key": key, "hostname": "old-machine",
        "os_info": "Windows Server 2012 R2", "version": "0.0.9", "device_id": "old-device",
        "previous_version": null}})
    .to_string()
}

async fn old_agent(rmm: &Deployment) -> RawAgent {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    agent.send_text(&auth(&rmm.site.code)).await;
    agent
        .expect("auth_ack", |message| {
            matches!(message, ServerMessage::AuthAck(_)).then_some(())
        })
        .await;
    agent
}

fn ready(session: SessionId) -> String {
    format!(r#"{{"type":"tunnel_ready","payload":{{"session_id":"{session}"}}}}"#)
}

/// The command as the first generation reads it: its channel and its text.
async fn old_terminal(agent: &mut RawAgent) -> (String, String) {
    agent
        .expect("a terminal command", |message| match message {
            ServerMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Terminal(terminal),
            }) => Some((channel_id.to_string(), terminal.command.clone())),
            _ => None,
        })
        .await
}
