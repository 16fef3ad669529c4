//! Viewers: tickets, what they see, late, slow and several.

use std::time::Duration;

use gururmm_shared::{ChannelState, Probe, StreamMessage, TunnelPayload};
use gururmm_tests::processes::resident_kib;
use gururmm_tests::viewer::ticket;
use gururmm_tests::{Viewer, on_both_databases};
use serde_json::json;

/// What `seq 1 6000000` prints: up to a million, and 8 bytes for each number above.
const SEQUENCE_BYTES: u64 = 6_888_896 + 5_000_000 * 8;

on_both_databases! {
    async fn a_ticket_opens_one_stream_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/ticket");
        let answer = rmm.technician.post(&path, json!({})).await.expect(201);
        let ends: chrono::DateTime<chrono::Utc> = answer["expires_at"].as_str().unwrap().parse().unwrap();
        let life = ends - chrono::Utc::now();
        assert!(life.num_seconds() <= 30 && life.num_seconds() >= 20, "{life}");
        let query = format!("ticket={}", answer["ticket"].as_str().unwrap());
        let api = &rmm.technician;
        let mut viewer = Viewer::connect(api, session, &query, None).await.expect("a good ticket");
        assert_eq!(viewer.session().await.session_id, session);
        assert_eq!(Viewer::connect(api, session, &query, None).await.err(), Some(401), "used");
    }

    async fn of_two_uses_of_a_ticket_at_once_one_wins(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let query = format!("ticket={}", ticket(&rmm.technician, session).await);
        let api = &rmm.technician;
        let (a, b) = tokio::join!(
            Viewer::connect(api, session, &query, None),
            Viewer::connect(api, session, &query, None)
        );
        assert!(a.is_ok() != b.is_ok());
    }

    async fn a_ticket_that_expired_or_is_for_another_session_opens_nothing(world: World) {
        let rmm = world.deploy(&[("tunnel.ticket_seconds", "1")]).await;
        let (mut first, one) = rmm.raw_agent().await;
        let (mut second, two) = rmm.raw_agent().await;
        let mine = rmm.open_raw(&mut first, one).await;
        let other = rmm.open_raw(&mut second, two).await;
        let api = &rmm.technician;
        let query = format!("ticket={}", ticket(api, other).await);
        assert_eq!(Viewer::connect(api, mine, &query, None).await.err(), Some(401), "another session's");
        let query = format!("ticket={}", ticket(api, mine).await);
        gururmm_tests::hold("time passes", Duration::from_millis(2100), || async { true }).await;
        assert_eq!(Viewer::connect(api, mine, &query, None).await.err(), Some(401), "expired");
    }

    async fn a_stream_without_a_ticket_is_a_401_and_a_jwt_is_no_ticket(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let jwt = rmm.technician.token();
        for query in [String::new(), "ticket=".to_owned(), "ticket=guess".to_owned(), format!("ticket={jwt}"),
            format!("token={jwt}"), format!("access_token={jwt}"), "ticket=%27%20OR%201--".to_owned()] {
            let status = Viewer::connect(&rmm.technician, session, &query, None).await.err();
            assert!(matches!(status, Some(400 | 401)), "{query}: {status:?}");
        }
    }

    async fn a_foreign_origin_is_a_403_and_the_own_and_configured_ones_are_not(world: World) {
        let settings = [("http.allowed_origins", "https://rmm.example.com")];
        let rmm = world.deploy(&settings).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let own = rmm.server.url();
        for (origin, allowed) in [
            (own.as_str(), true),
            ("https://rmm.example.com", true),
            ("https://evil.example.com", false),
            ("https://rmm.example.com.evil.example", false),
            ("http://127.0.0.1:1", false),
            ("null", false),
        ] {
            let query = format!("ticket={}", ticket(&rmm.technician, session).await);
            let result = Viewer::connect(&rmm.technician, session, &query, Some(origin)).await;
            let expected = if allowed { None } else { Some(403) };
            assert_eq!(result.err(), expected, "{origin}");
        }
    }

    async fn two_viewers_see_the_same(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let (mut one, mut two) = (rmm.view(session).await, rmm.view(session).await);
        let (_, channel) = rmm.command(session, "seq 1 50000; echo done >&2; exit 4").await;
        let (a, b) = tokio::join!(one.output(&channel), two.output(&channel));
        assert_eq!(a.stdout.len(), 288_894);
        assert_eq!((&a.stdout, &a.stderr, a.exit_code), (&b.stdout, &b.stderr, b.exit_code));
    }

    async fn a_viewer_that_comes_late_gets_what_it_missed(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut first = rmm.view(session).await;
        let (command, channel) = rmm.command(session, "echo early; sleep 0.5; echo error >&2; exit 5").await;
        first.output(&channel).await;
        first.close().await;
        let mut late = rmm.view(session).await;
        let snapshot = late.session().await;
        assert_eq!(snapshot.agent_id, id);
        let summary = &snapshot.channels[0];
        assert_eq!(summary.channel_id.as_str(), channel);
        assert_eq!(summary.command_id.to_string(), command);
        assert_eq!((summary.first_offset, summary.next_offset), (0, 12));
        assert_eq!(summary.state, ChannelState::Ended { exit_code: Some(5), reason: None });
        let output = late.output(&channel).await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("early\n", "error\n"));
        assert_eq!(output.exit_code, Some(5));
        let mut from = Viewer::open_from(&rmm.technician, session, Some(6)).await;
        let output = from.output(&channel).await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", "error\n"));
    }

    async fn a_viewer_that_comes_in_the_middle_loses_and_doubles_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut first = rmm.view(session).await;
        let command = "for i in $(seq 1 200); do seq $i 200; sleep 0.01; done";
        let (_, channel) = rmm.command(session, command).await;
        first.piece(&channel).await;
        let mut outputs = Vec::new();
        for _ in 0..4 {
            let mut viewer = rmm.view(session).await;
            outputs.push(tokio::spawn({
                let channel = channel.clone();
                async move { viewer.output(&channel).await }
            }));
        }
        let expected: String = (1..=200_u32)
            .flat_map(|from| from..=200)
            .map(|number| format!("{number}\n"))
            .collect();
        for output in outputs {
            let output = output.await.unwrap();
            assert!(output.stdout == expected, "{} bytes of {}", output.stdout.len(), expected.len());
        }
        first.output(&channel).await;
    }

    async fn more_than_1_mib_back_is_a_gap_and_then_the_last_1_mib(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut first = rmm.view(session).await;
        let (_, channel) = rmm.command(session, "seq 1 400000").await;
        let all = first.output(&channel).await.stdout;
        assert!(all.len() > 2 << 20);
        let mut late = rmm.view(session).await;
        let output = late.output(&channel).await;
        let gap = output.gap.expect("an output_gap");
        assert_eq!(gap.from, 0);
        assert_eq!(gap.to as usize, all.len() - output.stdout.len());
        assert!(all.ends_with(&output.stdout));
        let kept = output.stdout.len();
        // Whole pieces are kept, so at most one more than asked for.
        let asked = 1 << 20;
        assert!((asked..=asked + gururmm_shared::flow::PIECE_BYTES).contains(&kept), "{kept} bytes");
    }

    async fn a_probe_comes_back_from_the_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let (_, channel) = rmm.command(session, "sleep 20").await;
        for data in ["x".repeat(64), "ü".to_owned(), "y".repeat(1024)] {
            viewer.send_data(&channel, TunnelPayload::Probe(Probe { data: data.clone() })).await;
            let back = viewer
                .expect("probe_reply", |message| match message {
                    StreamMessage::TunnelData(answer) => match &answer.data {
                        TunnelPayload::ProbeReply(probe) => Some(probe.data.clone()),
                        _ => None,
                    },
                    _ => None,
                })
                .await;
            assert_eq!(back, data);
        }
        viewer.send_data(&channel, TunnelPayload::Probe(Probe { data: "z".repeat(1025) })).await;
        viewer
            .expect("error", |message| matches!(message, StreamMessage::Error(_)).then_some(()))
            .await;
    }

    async fn a_ping_is_answered_and_nonsense_is_an_error_that_the_session_survives(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let mut viewer = rmm.view(session).await;
        viewer.send(&gururmm_shared::ViewerMessage::Ping).await;
        viewer.expect("pong", |message| matches!(message, StreamMessage::Pong).then_some(())).await;
        for bad in ["{", r#"{"type":"dance"}"#, r#"{"type":"tunnel_data","payload":{}}"#,
            r#"{"type":"tunnel_data","payload":{"channel_id":"terminal-77","data":{"type":"close"}}}"#,
            r#"{"type":"tunnel_data","payload":{"channel_id":"terminal-1","data":{"type":"terminal","payload":{"command":"id"}}}}"#] {
            viewer.send_text(bad).await;
            viewer
                .expect("error", |message| matches!(message, StreamMessage::Error(_)).then_some(()))
                .await;
        }
        let mut other = rmm.view(session).await;
        other.send_text(&format!(r#"{{"type":"{}"}}"#, "x".repeat(100_000))).await;
        assert_eq!(other.close_code().await, Some(1009));
        let mut binary = rmm.view(session).await;
        binary.try_send(tokio_tungstenite::tungstenite::Message::binary(vec![1, 2, 3])).await.unwrap();
        assert_eq!(binary.close_code().await, Some(1003));
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn the_number_of_viewers_is_limited(world: World) {
        let rmm = world.deploy(&[("tunnel.max_viewers", "2")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let mut one = rmm.view(session).await;
        one.session().await;
        let mut two = rmm.view(session).await;
        two.session().await;
        let query = format!("ticket={}", ticket(&rmm.technician, session).await);
        match Viewer::connect(&rmm.technician, session, &query, None).await {
            Err(status) => assert_eq!(status, 429),
            Ok(mut third) => assert_eq!(third.close_code().await, Some(1008)),
        }
        two.close().await;
        gururmm_tests::eventually("there is room again", Duration::from_secs(10), || async {
            let query = format!("ticket={}", ticket(&rmm.technician, session).await);
            let mut viewer = Viewer::connect(&rmm.technician, session, &query, None).await.ok()?;
            viewer.next().await.ok().map(drop)
        })
        .await;
    }

    async fn a_slow_viewer_slows_the_command_and_loses_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        viewer.session().await;
        let before = resident_kib(rmm.server.pid());
        let marker = world.file("written");
        let command = format!("seq 1 6000000; touch {}", marker.display());
        let (_, channel) = rmm.command(session, &command).await;
        viewer.piece(&channel).await;
        // It takes nothing for a while: 45 MiB cannot all be on their way.
        gururmm_tests::hold("the command waits", Duration::from_secs(5), || async { !marker.exists() }).await;
        let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < 16 * 1024, "the server grew by {grown} KiB");
        let mut last_line = String::new();
        let last = viewer
            .expect("the end", |message| match message {
                StreamMessage::OutputGap(gap) => panic!("lost: {gap:?}"),
                StreamMessage::TunnelData(data) => match &data.data {
                    TunnelPayload::TerminalOutput(output) => {
                        if !output.stdout.is_empty() {
                            last_line = output.stdout.lines().last().unwrap_or_default().to_owned();
                        }
                        output.is_last().then(|| output.clone())
                    }
                    _ => None,
                },
                _ => None,
            })
            .await;
        assert_eq!(last.exit_code, Some(0));
        assert_eq!(last.offset.map(|offset| offset + last.len()), Some(SEQUENCE_BYTES));
        assert_eq!(last_line, "6000000");
    }

    async fn a_viewer_that_takes_nothing_is_closed_with_4008_and_the_session_lives(world: World) {
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut stalled = rmm.view(session).await;
        stalled.session().await;
        let mut reader = rmm.view(session).await;
        let (_, channel) = rmm.command(session, "seq 1 6000000").await;
        let output = reader.output(&channel).await;
        assert_eq!(output.exit_code, Some(0));
        assert_eq!(output.gap, None);
        assert_eq!(output.stdout.len() as u64, SEQUENCE_BYTES);
        // The close frame waits behind what it did not take, so it may not get it; the server says what it did.
        let code = stalled.close_code().await;
        assert!(code.is_none_or(|code| code == 4008), "{code:?}");
        let log = rmm.server.log();
        assert_eq!(log.matches("a viewer took nothing for too long and is closed").count(), 1, "{log}");
        assert_eq!(rmm.run(session, "echo alive").await.stdout, "alive\n");
    }

    async fn the_end_of_a_session_is_told_and_closed_with_1000(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        viewer.session().await;
        let body = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        let (last, code) = viewer.closed().await;
        assert_eq!((last.status.as_str(), last.reason.as_str()), ("closed", "closed_by_technician"));
        assert_eq!(code, Some(1000));
    }
}
