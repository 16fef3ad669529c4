//! The list of one's own open sessions.

use gururmm_shared::{AgentId, SessionId};
use gururmm_tests::api::{items, text};
use gururmm_tests::{Api, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn everybody_sees_the_sessions_of_their_own_and_no_others(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut first, first_id) = rmm.raw_agent().await;
        let (mut second, second_id) = rmm.raw_agent().await;
        assert_eq!(listed(&rmm.technician).await, []);
        let one = rmm.open_raw(&mut first, first_id).await;
        let two = rmm.open_raw(&mut second, second_id).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let open = json!({"agent_id": first_id});
        let (answer, theirs) = tokio::join!(other.post("/api/v1/tunnel/open", open), async {
            let session = first.tunnel_open().await;
            first.ready(session).await;
            session
        });
        answer.check(201);
        let mut own = [(one, first_id), (two, second_id)];
        own.sort_unstable();
        assert_eq!(listed(&rmm.technician).await, own);
        assert_eq!(listed(&other).await, [(theirs, first_id)]);
        // Not even an administrator sees others' here; the audit is for that.
        assert_eq!(listed(&rmm.admin).await, []);

        let close = json!({"session_id": one});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        assert_eq!(listed(&rmm.technician).await, [(two, second_id)]);
        assert_eq!(listed(&other).await, [(theirs, first_id)]);
    }

    async fn a_session_is_listed_while_it_opens(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let (session, listed) = tokio::join!(rmm.open(id), async {
            let session = agent.tunnel_open().await;
            let listed = listed(&rmm.technician).await;
            agent.ready(session).await;
            listed
        });
        assert_eq!(listed, [(session, id)]);
    }

    async fn the_list_is_for_those_who_may_open_sessions(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.get("/api/v1/tunnel").await.refusal(403);
        rmm.server.anonymous().get("/api/v1/tunnel").await.refusal(401);
    }
}

async fn listed(api: &Api) -> Vec<(SessionId, AgentId)> {
    let body = api.get("/api/v1/tunnel").await.expect(200);
    let id = |row, field| text(row, field).parse::<uuid::Uuid>().unwrap();
    let mut rows: Vec<_> = items(&body)
        .iter()
        .map(|row| {
            (
                SessionId(id(row, "session_id")),
                AgentId(id(row, "agent_id")),
            )
        })
        .collect();
    rows.sort_unstable();
    rows
}
