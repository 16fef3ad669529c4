//! Files on lanes of their own: whole both ways, beside a terminal that answers; over the agent's connection where a lane
//! cannot be had; and a token that is good once, for one channel of one agent.

use bytes::Bytes;
use futures_util::StreamExt;
use gururmm_shared::lane::{END, PATH, TOKEN_HEADER};
use gururmm_shared::{
    AgentId, AgentMessage, CAPABILITY_BULK_LANE, CAPABILITY_DATA_PLANE, CAPABILITY_FILES,
    ChannelId, LaneOffer, OpenChannel, Opened, ServerMessage, SessionId, TunnelData, TunnelPayload,
};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::deployment::add_site;
use gururmm_tests::files::{noise, text};
use gururmm_tests::wait::SOON;
use gururmm_tests::{
    Deployment, Files, Machine, Newcomers, Proxy, RawAgent, TestAgent, eventually,
    on_both_databases,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

const MIB: usize = 1 << 20;

on_both_databases! {
    async fn files_and_folders_go_both_ways_on_lanes_and_small_ones_do_not(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(3 * MIB);
        let small = machine.file("small", b"small");
        machine.files.download(&small, &[]).await.check(200);
        machine.files.upload((&machine.path("small-up"), "u"), b"small", 0, &[]).await.check(200);
        assert_eq!(lanes(&machine.rmm).await, (0, 0));
        let from = machine.file("from", &bytes);
        assert!(machine.files.download(&from, &[]).await.body == bytes);
        let to = machine.path("to");
        machine.files.upload((&to, "u"), &bytes, 0, &[]).await.check(200);
        assert!(std::fs::read(&to).unwrap() == bytes);
        assert_eq!(lanes(&machine.rmm).await, (1, 1));
        let folder = machine.path("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("inside"), &bytes).unwrap();
        let archive = machine.files.get("files/archive", &[("path", text(&folder))]).await;
        archive.check(200);
        let there = machine.path("there");
        machine.files.unpack(text(&there), archive.body, false).await.check(200);
        assert!(std::fs::read(there.join("inside")).unwrap() == bytes);
        assert_eq!(lanes(&machine.rmm).await, (2, 2));
        let row = machine.act(&format!("read {} from 0", text(&from))).await;
        assert_eq!((&row["outcome"], &row["bytes"]), (&json!("completed"), &json!(3 * MIB)), "{row}");
    }

    async fn parts_of_a_file_go_on_lanes_from_every_offset(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(5 * MIB);
        let from = machine.file("from", &bytes);
        for offset in [1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 5 * MIB - 1] {
            let range = format!("bytes={offset}-");
            let part = machine.files.download(&from, &[("range", &range)]).await;
            part.check(206);
            assert!(part.body == bytes[offset..], "from {offset}");
            let to = machine.path(&format!("to-{offset}"));
            let mut held = machine.files.begin_upload((&to, "u"), &bytes, 0).await;
            held.send(&bytes[..offset]).await;
            eventually("it is on the disk", SOON * 3, || async {
                (machine.files.uploaded(&to, "u").await == offset as u64).then_some(())
            })
            .await;
            held.cut();
            machine.files.upload((&to, "u"), &bytes, offset, &[]).await.check(200);
            assert!(std::fs::read(&to).unwrap() == bytes, "from {offset}");
        }
    }

    async fn where_the_server_offers_no_lanes_files_go_over_the_connection(world: World) {
        let rmm = world.deploy(&[("tunnel.bulk_lane", "false")]).await;
        let (_agent, id) = rmm.agent().await;
        carries(&rmm, id).await;
        assert_eq!(lanes(&rmm).await, (0, 0));
    }

    async fn where_a_lane_is_refused_files_go_over_the_connection(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        proxy.treat_newcomers(Newcomers::Closed);
        carries(&rmm, id).await;
        assert_eq!(lanes(&rmm).await, (0, 0));
    }

    async fn where_a_proxy_holds_a_lane_back_files_go_over_the_connection(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        proxy.treat_newcomers(Newcomers::Held);
        carries(&rmm, id).await;
        assert_eq!(lanes(&rmm).await, (0, 0));
    }

    async fn a_lane_that_breaks_off_breaks_its_transfer_which_goes_on_and_nothing_else(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let files = Files::of(&rmm.technician, session);
        let bytes = noise(24 * MIB);
        let from = world.file("from");
        std::fs::write(&from, &bytes).unwrap();
        let request = files.request(Method::GET, "files/content", &[("path", text(&from))]);
        let response = request.send().await.unwrap();
        let tag = response.headers()["etag"].clone();
        let mut body = response.bytes_stream();
        let mut got = body.next().await.unwrap().unwrap().to_vec();
        assert_eq!(lanes(&rmm).await, (1, 0));
        proxy.cut_but_the_first(1);
        while let Some(Ok(piece)) = body.next().await {
            got.extend_from_slice(&piece);
        }
        assert!(got.len() < bytes.len(), "nothing was left to be broken off");
        let rest = files
            .request(Method::GET, "files/content", &[("path", text(&from))])
            .header("range", format!("bytes={}-", got.len()))
            .header("if-range", tag);
        let rest = rest.send().await.unwrap();
        assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
        got.extend_from_slice(&rest.bytes().await.unwrap());
        assert!(got == bytes);
        let to = world.file("to");
        let mut held = files.begin_upload((&to, "u"), &bytes, 0).await;
        held.send(&bytes[..MIB]).await;
        eventually("some of it is there", SOON, || async {
            (files.uploaded(&to, "u").await == MIB as u64).then_some(())
        })
        .await;
        proxy.cut_but_the_first(1);
        let (status, body) = held.answer().await.expect("an answer");
        assert_eq!((status, &body["code"]), (409, &json!("gone")), "{body}");
        assert!(!to.exists());
        let offset = usize::try_from(files.uploaded(&to, "u").await).unwrap();
        files.upload((&to, "u"), &bytes, offset, &[]).await.check(200);
        assert!(std::fs::read(&to).unwrap() == bytes);
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn a_token_is_good_once_and_for_its_own_agent_and_channel_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = lane_agent(&rmm, &rmm.site.code).await;
        let other = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let (_other, _, other_key) = lane_agent(&rmm, &other.code).await;
        let session = rmm.open_raw(&mut agent, id).await;
        let files = Files::of(&rmm.technician, session);
        let (channel, offer) = offered(&files, &mut agent).await;
        assert_eq!(put(&rmm, (session, &channel), "nonsense", &offer.token).await, 401);
        assert_eq!(put(&rmm, (session, &channel), &key, "nonsense").await, 404);
        assert_eq!(put(&rmm, (session, &channel), &other_key, &offer.token).await, 404);
        assert_eq!(put(&rmm, (session, &channel), &key, &offer.token).await, 404, "it is gone");
        let (channel, offer) = offered(&files, &mut agent).await;
        let (wrong, _) = offered(&files, &mut agent).await;
        assert_eq!(put(&rmm, (session, &wrong), &key, &offer.token).await, 404);
        assert_eq!(put(&rmm, (session, &channel), &key, &offer.token).await, 404, "it is gone");
        let (channel, offer) = offered(&files, &mut agent).await;
        assert_eq!(put(&rmm, (session, &channel), &key, &offer.token).await, 204);
        let joined = agent.expect("lane_joined", |message| match message {
            ServerMessage::TunnelData(TunnelData { channel_id, data: TunnelPayload::LaneJoined }) => Some(channel_id.clone()),
            _ => None,
        });
        assert_eq!(joined.await, channel);
        assert_eq!(put(&rmm, (session, &channel), &key, &offer.token).await, 404);
        assert_eq!(lanes(&rmm).await.0, 1);
    }

    async fn the_end_of_the_session_ends_its_lanes_and_its_tokens(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = lane_agent(&rmm, &rmm.site.code).await;
        let session = rmm.open_raw(&mut agent, id).await;
        let files = Files::of(&rmm.technician, session);
        let (channel, offer) = offered(&files, &mut agent).await;
        let (late, late_offer) = offered(&files, &mut agent).await;
        let (pieces, body) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let body = futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
        let request = lane_request(&rmm, (session, &channel), &key, &offer.token);
        let held = tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send());
        agent.expect("lane_joined", |message| match message {
            ServerMessage::TunnelData(TunnelData { data: TunnelPayload::LaneJoined, .. }) => Some(()),
            _ => None,
        })
        .await;
        let close = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        let answer = tokio::time::timeout(SOON, held).await.expect("the lane ends").unwrap();
        assert!(answer.is_err() || answer.unwrap().status() == StatusCode::CONFLICT);
        assert_eq!(put(&rmm, (session, &late), &key, &late_offer.token).await, 404);
        drop(pieces);
    }
}

/// How many lanes there were, from machines and to them.
async fn lanes(rmm: &Deployment) -> (u64, u64) {
    let figures = rmm.server.anonymous().get("/metrics").await.text;
    let of = |way: &str| {
        let name = format!("gururmm_lanes_total{{way=\"{way}\"}} ");
        let line = figures.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |value| value.parse().expect("a number"))
    };
    (of("down"), of("up"))
}

/// A file comes down and goes up whole.
async fn carries(rmm: &Deployment, id: AgentId) {
    let files = Files::of(&rmm.technician, rmm.open(id).await);
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(3 * MIB);
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, &bytes).unwrap();
    assert!(files.download(&from, &[]).await.body == bytes);
    files.upload((&to, "u"), &bytes, 0, &[]).await.check(200);
    assert!(std::fs::read(&to).unwrap() == bytes);
}

async fn behind_proxy(rmm: &Deployment) -> (TestAgent, AgentId, Proxy) {
    let proxy = Proxy::start(rmm.server.address()).await;
    let settings = AgentSettings::default();
    let agent = TestAgent::start(&proxy.agents_url(), &rmm.site.code, settings);
    let id = agent.wait_online(&rmm.admin).await;
    (agent, id, proxy)
}

/// An agent of the tests' own that knows lanes, and its key.
async fn lane_agent(rmm: &Deployment, code: &str) -> (RawAgent, AgentId, String) {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let mut auth = agent.auth(code);
    auth.capabilities = [
        CAPABILITY_DATA_PLANE,
        CAPABILITY_FILES,
        CAPABILITY_BULK_LANE,
    ]
    .map(str::to_owned)
    .into();
    let ack = agent.authenticate(auth).await;
    let key = ack.api_key.expect("a key of its own");
    (agent, ack.agent_id.expect("its id"), key)
}

/// Asks for a download, which the agent is offered a lane for, and says that it is open.
async fn offered(files: &Files, agent: &mut RawAgent) -> (ChannelId, LaneOffer) {
    let files = files.clone();
    // Whatever becomes of it: it ends with its session.
    tokio::spawn(async move {
        let request = files.request(Method::GET, "files/content", &[("path", "/data")]);
        let response = request.send().await;
        if let Ok(response) = response {
            drop(response.bytes().await);
        }
    });
    let (channel, lane) = agent
        .expect("open", |message| match message {
            ServerMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Open(open),
            }) => {
                let OpenChannel { lane, .. } = &**open;
                Some((channel_id.clone(), lane.clone()))
            }
            _ => None,
        })
        .await;
    let opened = Opened {
        size: Some(3 * MIB as u64),
        lane: true,
        ..Opened::default()
    };
    agent
        .send(&AgentMessage::TunnelData(TunnelData {
            channel_id: channel.clone(),
            data: TunnelPayload::Opened(opened),
        }))
        .await;
    (channel, lane.expect("a lane is offered"))
}

fn lane_request(
    rmm: &Deployment,
    (session, channel): (SessionId, &ChannelId),
    key: &str,
    token: &str,
) -> reqwest::RequestBuilder {
    let url = format!("{}/{PATH}/{session}/{channel}", rmm.server.url());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.put(url).bearer_auth(key).header(TOKEN_HEADER, token)
}

/// Sends a lane's body of nothing.
async fn put(rmm: &Deployment, channel: (SessionId, &ChannelId), key: &str, token: &str) -> u16 {
    let request = lane_request(rmm, channel, key, token).body(END.to_vec());
    request.send().await.expect("an answer").status().as_u16()
}
