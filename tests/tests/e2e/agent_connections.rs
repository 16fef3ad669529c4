//! Connections of agents that end, are replaced, or say nothing any more.

use std::time::Duration;

use gururmm_shared::{AgentMessage, Auth};
use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::wait::SOON;
use gururmm_tests::{
    Deployment, Heard, Obstacle, Proxy, RawAgent, World, eventually, hold, on_both_databases,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

const SHORT: [(&str, &str); 2] = [
    ("agents.ping_interval_seconds", "1"),
    ("agents.idle_timeout_seconds", "3"),
];

on_both_databases! {
    async fn an_agent_that_says_goodbye_is_offline_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
    }

    async fn an_agent_whose_connection_breaks_is_offline_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        drop(agent);
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
    }

    async fn an_agent_that_goes_while_it_is_let_in_is_soon_offline(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let device_id = first.device_id.clone();
        first.close().await;
        for _ in 0..20 {
            let mut again = RawAgent::connect(&rmm.server.agents_url()).await;
            again.device_id.clone_from(&device_id);
            let auth = again.auth(&key);
            again.send(&AgentMessage::Auth(auth)).await;
            drop(again);
        }
        rmm.wait_status(id, "offline", Duration::from_secs(10)).await;
        hold("it stays offline", Duration::from_secs(2), || async {
            let agent = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
            agent["status"] == "offline"
        })
        .await;
    }

    async fn a_silent_peer_is_offline_after_the_idle_time_out(world: World) {
        let rmm = world.deploy(&SHORT).await;
        let (agent, id) = rmm.raw_agent().await;
        // It is not read: its library answers no ping.
        rmm.wait_status(id, "offline", Duration::from_secs(15)).await;
        drop(agent);
    }

    async fn an_agent_that_only_answers_pings_stays_online(world: World) {
        let rmm = world.deploy(&SHORT).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let answers = async {
            loop {
                if let Heard::Message(gururmm_shared::ServerMessage::Ping) = agent.hear().await {
                    agent.send(&AgentMessage::Heartbeat).await;
                }
            }
        };
        let online = hold("the agent is online", Duration::from_secs(8), || async {
            let body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
            body["status"] == "online"
        });
        tokio::select! {
            () = answers => unreachable!("it answers for ever"),
            () = online => {}
        }
    }

    async fn a_pulled_network_is_noticed_on_both_sides_and_mended(world: World) {
        let rmm = world.deploy(&SHORT).await;
        let proxy = Proxy::start(rmm.server.address()).await;
        let settings = gururmm_tests::AgentSettings {
            idle_timeout_seconds: 3,
            ..gururmm_tests::AgentSettings::default()
        };
        let agent = gururmm_tests::TestAgent::start(&proxy.agents_url(), &rmm.site.code, settings);
        let id = agent.wait_online(&rmm.admin).await;
        let session = rmm.open(id).await;
        let marker = gururmm_tests::processes::Marker::new();
        rmm.command(session, &marker.sleep()).await;
        marker.wait_running(1, Duration::from_secs(10)).await;
        proxy.pull();
        rmm.wait_status(id, "offline", Duration::from_secs(20)).await;
        rmm.wait_session(session, "closed", "agent_disconnected", Duration::from_secs(20)).await;
        // The other side notices by itself: the network is still away.
        marker.wait_gone(Duration::from_secs(20)).await;
        proxy.plug();
        rmm.wait_status(id, "online", Duration::from_secs(30)).await;
        rmm.wait_opens(&rmm.technician, id, Duration::from_secs(30)).await;
    }

    async fn a_second_connection_replaces_the_first_whose_late_end_harms_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let mut second = RawAgent::connect(&rmm.server.agents_url()).await;
        second.device_id.clone_from(&first.device_id);
        second.enrol(&key).await;
        let session = rmm.open_raw(&mut second, id).await;
        // The first hears of it and answers the close only now.
        assert_eq!(first.expect_close().await.0, 4001);
        drop(first);
        hold("the second stays", Duration::from_secs(2), || async {
            let agent = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
            agent["status"] == "online" && rmm.session(session).await["status"] == "ready"
        })
        .await;
        let (command, _) = rmm.command(session, "x").await;
        let (_, terminal) = second.terminal().await;
        assert_eq!(terminal.command_id.unwrap().to_string(), command);
    }

    async fn a_copied_machine_is_told_with_both_its_names_and_neither_is_kept_out(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let device = first.device_id.clone();
        first.close().await;
        let come = async |boot: &str, hostname: &str| {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            agent.device_id.clone_from(&device);
            let boot_id = Some(boot.to_owned());
            let auth = Auth { boot_id, hostname: hostname.to_owned(), ..agent.auth(&key) };
            agent.authenticate(auth).await;
            agent
        };
        let alerts = async || {
            let path = format!("/api/alerts?agent_id={id}");
            let found = items(&rmm.admin.get(&path).await.expect(200));
            found.into_iter().filter(|alert| alert["kind"] == "copied_machine").collect::<Vec<_>>()
        };
        // One that is started again is no copy.
        drop(come("boot-1", "till-1").await);
        drop(come("boot-2", "till-1").await);
        let _second = come("boot-3", "till-2").await;
        assert!(alerts().await.is_empty());
        let _first = come("boot-2", "till-1").await;
        let alert = eventually("the copy is told", SOON, || async { alerts().await.pop() }).await;
        let message = text(&alert, "message");
        assert!(message.contains("till-1") && message.contains("till-2"), "{message}");
        let _again = come("boot-3", "till-2").await;
        rmm.wait_status(id, "online", SOON).await;
        assert_eq!(alerts().await.len(), 1);
        let acts = items(&rmm.admin.get("/api/audit?action=agent.copied").await.expect(200));
        assert!(!acts.is_empty());
    }

    async fn a_replaced_connection_ends_its_sessions(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let session = rmm.open_raw(&mut first, id).await;
        let mut second = RawAgent::connect(&rmm.server.agents_url()).await;
        second.device_id.clone_from(&first.device_id);
        second.enrol(&key).await;
        rmm.wait_session(session, "closed", "agent_disconnected", Duration::from_secs(10)).await;
        rmm.open_raw(&mut second, id).await;
    }

    async fn agents_come_back_after_a_restart_of_the_server(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        rmm.server.stop().await;
        rmm.server.restart().await;
        rmm.wait_status(id, "online", Duration::from_secs(20)).await;
        rmm.wait_opens(&rmm.technician, id, Duration::from_secs(20)).await;
    }

    async fn after_a_crash_of_the_server_no_agent_is_online_that_is_not_there(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        rmm.server.kill9();
        drop(agent);
        rmm.server.restart().await;
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
        let open = rmm.technician.post("/api/v1/tunnel/open", json!({"agent_id": id})).await;
        open.problem(409, "agent_offline");
    }

    async fn a_deleted_agent_is_closed_with_4003_and_its_key_works_no_more(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(&rmm.site.code).await;
        let id = ack.agent_id.unwrap();
        rmm.admin.delete(&format!("/api/agents/{id}")).await.check(204);
        assert_eq!(agent.expect_close().await.0, 4003);
        rmm.admin.get(&format!("/api/agents/{id}")).await.refusal(404);
        let mut again = RawAgent::connect(&rmm.server.agents_url()).await;
        again.device_id.clone_from(&agent.device_id);
        let auth = again.auth(&ack.api_key.unwrap());
        assert_eq!(again.refused(auth, 1008).await, "unknown_key");
    }

    async fn a_deleted_agent_does_not_come_back_on_a_connection_that_it_still_had(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut live = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = live.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let mut waiting = RawAgent::connect(&rmm.server.agents_url()).await;
        waiting.device_id.clone_from(&live.device_id);
        rmm.admin.delete(&format!("/api/agents/{id}")).await.check(204);
        // Whatever it says on the old connection before it hears of the end.
        let _ = live.try_send(Message::text(AgentMessage::Auth(live.auth(&key)).encode())).await;
        let _ = live.try_send(Message::text(AgentMessage::Heartbeat.encode())).await;
        assert_eq!(live.expect_close().await.0, 4003);
        let auth = waiting.auth(&key);
        assert_eq!(waiting.refused(auth, 1008).await, "unknown_key");
        none_is_online(&rmm).await;
    }

    async fn a_moved_agent_keeps_its_key_and_its_id(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(&rmm.site.code).await;
        let id = ack.agent_id.unwrap();
        let other = gururmm_tests::deployment::add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let body = json!({"site_id": other.id});
        let moved = rmm.admin.post(&format!("/api/agents/{id}/move"), body).await.expect(200);
        assert_eq!(moved["site"]["id"], other.id.as_str());
        let mut again = RawAgent::connect(&rmm.server.agents_url()).await;
        again.device_id.clone_from(&agent.device_id);
        let ack = again.enrol(&ack.api_key.unwrap()).await;
        assert_eq!(ack.agent_id, Some(id));
    }
}

/// On PostgreSQL only: SQLite's one writer would delete the agent after it was let in, not while.
mod an_agent_that_is_deleted_while_it_is_let_in_stays_out {
    use super::*;

    #[test]
    fn postgres() {
        gururmm_tests::world::run(Engine::Postgres, body);
    }

    async fn body(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        first.close().await;
        let status = "SELECT status AS value FROM agents";
        eventually(
            "nothing waits to be written",
            Duration::from_secs(5),
            || async {
                let rows = rmm.database.values(status).await;
                (rows == [Some("offline".to_owned())]).then_some(())
            },
        )
        .await;
        // The first use of a key is noted between the look at it and the agent's place among the
        // connected.
        let noting = Obstacle::before_statements(&rmm.database, "UPDATE", "agents").await;
        let mut again = RawAgent::connect(&rmm.server.agents_url()).await;
        again.send(&AgentMessage::Auth(again.auth(&key))).await;
        noting.wait_holds().await;
        rmm.admin
            .delete(&format!("/api/agents/{id}"))
            .await
            .check(204);
        noting.remove().await;
        match again.hear().await {
            Heard::Closed(Some((code, _))) => assert_eq!(code, 1001),
            other => panic!("a deleted agent was let in: {other:?}"),
        }
        none_is_online(&rmm).await;
    }
}

/// No agent is connected, as the server's figures tell.
async fn none_is_online(rmm: &Deployment) {
    let figures = rmm.server.anonymous().get("/metrics").await;
    let online = figures
        .text
        .lines()
        .find(|line| line.starts_with("gururmm_agents_online "));
    assert_eq!(online, Some("gururmm_agents_online 0"), "{}", figures.text);
}
