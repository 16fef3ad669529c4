//! Many sessions at once, each with a terminal: fifty to light agents of the tests' own, ten to real ones.

use futures_util::future::join_all;
use gururmm_shared::SessionId;
use gururmm_tests::echo_agent::EchoAgent;
use gururmm_tests::terminal_viewer::{OpenedTerminal, TerminalViewer};
use gururmm_tests::{Deployment, on_both_databases};
use serde_json::json;

const MANY: usize = 50;
const REAL: usize = 10;
const SETTINGS: [(&str, &str); 1] = [("tunnel.max_sessions_per_technician", "100")];

on_both_databases! {
    async fn fifty_sessions_with_a_terminal_each_go_on_at_once(world: World) {
        let rmm = world.deploy(&SETTINGS).await;
        let url = rmm.server.agents_url();
        let agents = join_all((0..MANY).map(|_| EchoAgent::start(&url, &rmm.site.code))).await;
        let talks = agents.iter().map(|agent| async {
            let session = rmm.open(agent.id).await;
            let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
            let terminal = viewer.run(&rmm.technician, "true").await;
            // Each is who it says it is.
            viewer.reads(&terminal, &format!("{}\n", agent.id)).await;
            for round in 0..20 {
                talk(&mut viewer, &terminal, &format!("{round} to {}", agent.id)).await;
            }
            // More than any window, both ways.
            let before = viewer.of(&terminal).bytes.len();
            let bulk = vec![b'x'; 700_000];
            viewer.types(&terminal, &bulk).await;
            viewer.has(&terminal, before + bulk.len()).await;
            talk(&mut viewer, &terminal, "at the end").await;
            (session, viewer, terminal)
        });
        let talks = join_all(talks).await;
        closes_one_and_others_go_on(&rmm, talks).await;
    }

    async fn ten_real_agents_have_a_terminal_each_at_once(world: World) {
        let rmm = world.deploy(&SETTINGS).await;
        let agents = join_all((0..REAL).map(|_| rmm.agent())).await;
        let talks = agents.iter().enumerate().map(|(number, (_, id))| {
            let rmm = &rmm;
            async move {
                let session = rmm.open(*id).await;
                let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
                let script = format!("stty raw -echo; echo agent-{number}; exec cat");
                let terminal = viewer.run(&rmm.technician, &script).await;
                viewer.reads(&terminal, &format!("agent-{number}\n")).await;
                for round in 0..20 {
                    talk(&mut viewer, &terminal, &format!("{round} to {number}")).await;
                }
                (session, viewer, terminal)
            }
        });
        let talks = join_all(talks).await;
        closes_one_and_others_go_on(&rmm, talks).await;
    }
}

async fn talk(viewer: &mut TerminalViewer, terminal: &OpenedTerminal, words: &str) {
    let words = format!("<{words}>");
    viewer.types(terminal, words.as_bytes()).await;
    assert!(viewer.reads(terminal, &words).await.ends_with(&words));
}

async fn closes_one_and_others_go_on(
    rmm: &Deployment,
    mut talks: Vec<(SessionId, TerminalViewer, OpenedTerminal)>,
) {
    let (session, mut viewer, _) = talks.remove(talks.len() / 2);
    let close = json!({"session_id": session});
    rmm.technician
        .post("/api/v1/tunnel/close", close)
        .await
        .check(200);
    assert_eq!(viewer.close_code().await, Some(1000));
    let mut lasting = Vec::new();
    for (session, mut viewer, terminal) in talks {
        talk(&mut viewer, &terminal, "still").await;
        assert_eq!(rmm.session(session).await["status"], "ready");
        lasting.push(viewer);
    }
}
