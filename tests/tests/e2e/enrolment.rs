//! How an agent joins: site codes, site keys and its own key.

use gururmm_shared::{AgentMessage, Auth};
use gururmm_tests::api::items;
use gururmm_tests::deployment::add_site;
use gururmm_tests::{Heard, RawAgent, RawSocket, on_both_databases};
use std::time::Duration;

on_both_databases! {
    async fn a_site_code_enrols_a_device_and_gives_it_a_key_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(&rmm.site.code).await;
        assert_eq!(ack.protocol, Some(2));
        assert!(ack.server_time.is_some());
        let id = ack.agent_id.unwrap();
        let key = ack.api_key.expect("a first enrolment gives a key");
        assert!(key.starts_with("grmm_") && key.len() >= 37, "a key with 128 bits");
        assert_ne!(key, rmm.site.key);

        let mut again = reconnect(&rmm.server.agents_url(), &agent).await;
        let ack = again.enrol(&key).await;
        assert_eq!(ack.agent_id, Some(id));
        assert_eq!(ack.api_key, None, "a key is told once");
        assert_eq!(items(&rmm.admin.get("/api/agents").await.expect(200)).len(), 1);
    }

    async fn a_key_is_kept_as_its_hash_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let key = agent.enrol(&rmm.site.code).await.api_key.unwrap();
        let hash = <sha2::Sha256 as sha2::Digest>::digest(&key);
        let stored = match rmm.database.engine() {
            gururmm_tests::database::Engine::Sqlite => "lower(hex(key_hash))",
            gururmm_tests::database::Engine::Postgres => "encode(key_hash, 'hex')",
        };
        let rows = rmm.database.values(&format!("SELECT {stored} AS value FROM agents")).await;
        assert_eq!(rows, [Some(format!("{hash:x}"))]);
        let body = rmm.admin.get("/api/agents").await;
        assert!(!body.text.contains(&key) && !body.text.contains("key"), "{}", body.text);
    }

    async fn a_site_code_on_an_enrolled_device_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let key = agent.enrol(&rmm.site.code).await.api_key.unwrap();
        let mut own = reconnect(&rmm.server.agents_url(), &agent).await;
        own.enrol(&key).await;
        let mut thief = reconnect(&rmm.server.agents_url(), &agent).await;
        let auth = thief.auth(&rmm.site.code);
        assert_eq!(thief.refused(auth, 1008).await, "already_enrolled");
        // The refused one disturbs the one that is there.
        own.send(&AgentMessage::Heartbeat).await;
        assert!(own.hear_within(Duration::from_millis(300)).await.is_none());
    }

    async fn a_site_key_enrols_and_is_refused_later_too(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let key = agent.enrol(&rmm.site.key).await.api_key.expect("its own key");
        let mut own = reconnect(&rmm.server.agents_url(), &agent).await;
        own.enrol(&key).await;
        let mut again = reconnect(&rmm.server.agents_url(), &agent).await;
        let auth = again.auth(&rmm.site.key);
        assert_eq!(again.refused(auth, 1008).await, "already_enrolled");
    }

    async fn an_enrolment_whose_answer_was_lost_may_be_repeated_with_its_nonce(world: World) {
        let rmm = world.deploy(&[]).await;
        let with_nonce = |agent: &RawAgent, nonce: Option<&str>| Auth {
            enrollment_nonce: nonce.map(str::to_owned),
            ..agent.auth(&rmm.site.code)
        };
        let nonce = "a-secret-of-the-agent-0123456789abcdef";
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let auth = with_nonce(&agent, Some(nonce));
        let first = agent.authenticate(auth).await;

        for wrong in [None, Some("another-secret-0123456789abcdef0123")] {
            let mut thief = reconnect(&rmm.server.agents_url(), &agent).await;
            let auth = with_nonce(&thief, wrong);
            assert_eq!(thief.refused(auth, 1008).await, "already_enrolled", "{wrong:?}");
        }
        let mut again = reconnect(&rmm.server.agents_url(), &agent).await;
        let auth = with_nonce(&again, Some(nonce));
        let second = again.authenticate(auth).await;
        assert_eq!(second.agent_id, first.agent_id);
        let new_key = second.api_key.expect("the answer was lost: a new key");
        assert_ne!(Some(&new_key), first.api_key.as_ref());

        let mut lost = reconnect(&rmm.server.agents_url(), &agent).await;
        let auth = lost.auth(&first.api_key.unwrap());
        assert_eq!(lost.refused(auth, 1008).await, "unknown_key");
        let mut own = reconnect(&rmm.server.agents_url(), &agent).await;
        own.enrol(&new_key).await;
        let mut late = reconnect(&rmm.server.agents_url(), &agent).await;
        let auth = with_nonce(&late, Some(nonce));
        assert_eq!(late.refused(auth, 1008).await, "already_enrolled", "the key was used");
    }

    async fn what_is_no_key_of_ours_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let url = rmm.server.agents_url();
        for (key, code) in [
            ("grmm_0123456789abcdef0123456789abcdef", "unknown_key"),
            ("DARK-GROVE-0000", "unknown_site_code"),
            ("' OR '1'='1", "unknown_site_code"),
            ("", "unknown_site_code"),
        ] {
            let mut agent = RawAgent::connect(&url).await;
            let auth = agent.auth(key);
            let got = agent.refused(auth, 1008).await;
            assert!(got == code || (key.is_empty() && got == "bad_auth"), "{key:?}: {got}");
        }
        let mut agent = RawAgent::connect(&url).await;
        let auth = Auth { device_id: None, ..agent.auth(&rmm.site.code) };
        assert_eq!(agent.refused(auth, 1008).await, "device_id_required");
        let mut agent = RawAgent::connect(&url).await;
        agent.send(&AgentMessage::Heartbeat).await;
        assert_eq!(agent.expect_error().await.code, "auth_required");
        assert_eq!(agent.expect_close().await.0, 1008);
        let mut agent = RawAgent::connect(&url).await;
        agent.send_text(r#"{"type":"auth","payload":{"hostname":7}}"#).await;
        assert_eq!(agent.expect_error().await.code, "bad_auth");
        assert_eq!(agent.expect_close().await.0, 1008);
        assert!(items(&rmm.admin.get("/api/agents").await.expect(200)).is_empty());
    }

    async fn guessed_site_codes_are_limited_for_an_address_and_for_no_other(world: World) {
        let rmm = world.deploy(&[]).await;
        let server = rmm.server.address();
        let (guesser, other) = ([127, 0, 5, 1].into(), [127, 0, 5, 2].into());
        let mut enrolled = RawAgent::connect_from(guesser, server).await;
        let key = enrolled.enrol(&rmm.site.code).await.api_key.unwrap();
        let mut codes = Vec::new();
        for number in 0..40 {
            let mut agent = RawAgent::connect_from(guesser, server).await;
            let auth = agent.auth(&format!("GUESS-{number}"));
            let code = agent.refused(auth, 1008).await;
            let limited = code == "rate_limited";
            codes.push(code);
            if limited {
                break;
            }
        }
        let last = codes.pop().unwrap();
        assert_eq!(last, "rate_limited", "guessing was never limited");
        assert!(codes.len() >= 20, "limited after {} guesses", codes.len());
        assert!(codes.iter().all(|code| code == "unknown_site_code"), "{codes:?}");
        // The right code is no way around it.
        let mut agent = RawAgent::connect_from(guesser, server).await;
        let auth = agent.auth(&rmm.site.code);
        assert_eq!(agent.refused(auth, 1008).await, "rate_limited");
        // Keys are not guessed, and other addresses have done nothing.
        let mut again = RawAgent::connect_from(guesser, server).await;
        again.device_id.clone_from(&enrolled.device_id);
        again.enrol(&key).await;
        RawAgent::connect_from(guesser, server).await.enrol(&rmm.site.key).await;
        RawAgent::connect_from(other, server).await.enrol(&rmm.site.code).await;
    }

    async fn right_site_codes_are_not_limited(world: World) {
        let rmm = world.deploy(&[]).await;
        for _ in 0..30 {
            rmm.raw_agent().await;
        }
    }

    async fn a_device_id_or_a_host_name_over_its_limits_does_not_enrol(world: World) {
        let rmm = world.deploy(&[]).await;
        for device in ["d".repeat(5000), "d\u{0}d".to_owned(), String::new()] {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let mut auth = agent.auth(&rmm.site.code);
            auth.device_id = Some(device);
            let code = agent.refused(auth, 1008).await;
            assert!(["bad_auth", "device_id_required"].contains(&code.as_str()), "{code}");
        }
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let auth = Auth { hostname: "h".repeat(5000), ..agent.auth(&rmm.site.code) };
        assert_eq!(agent.refused(auth, 1008).await, "bad_auth");
        assert!(items(&rmm.admin.get("/api/agents").await.expect(200)).is_empty());
    }

    async fn a_name_that_cannot_be_stored_as_it_is_is_no_reason_to_lose_a_machine(world: World) {
        let rmm = world.deploy(&[]).await;
        for name in ["h".repeat(250), "h\u{0}h".to_owned(), "h\u{1b}[31m\n".to_owned(), String::new()] {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let mut auth = agent.auth(&rmm.site.code);
            auth.hostname.clone_from(&name);
            auth.version = Some(name.clone());
            auth.os_info = Some(gururmm_shared::OsInfo::Text(name));
            let id = agent.authenticate(auth).await.agent_id.unwrap();
            let body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
            let told = gururmm_tests::api::text(&body, "hostname");
            assert!(told.chars().count() <= 255 && !told.contains(['\0', '\u{1b}', '\n']), "{told:?}");
        }
    }

    async fn the_same_device_at_two_sites_is_two_agents(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let one = first.enrol(&rmm.site.code).await.agent_id;
        let mut second = reconnect(&rmm.server.agents_url(), &first).await;
        let two = second.enrol(&other.code).await.agent_id;
        assert_ne!(one, two);
    }

    async fn two_first_enrolments_of_one_device_at_once_make_one_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let url = rmm.server.agents_url();
        let mut first = RawAgent::connect(&url).await;
        let mut second = reconnect(&url, &first).await;
        let (a, b) = (first.auth(&rmm.site.code), second.auth(&rmm.site.code));
        first.send(&AgentMessage::Auth(a)).await;
        second.send(&AgentMessage::Auth(b)).await;
        let (a, b) = tokio::join!(first.hear(), second.hear());
        let acks = [&a, &b].into_iter().filter(|heard| {
            matches!(heard, Heard::Message(gururmm_shared::ServerMessage::AuthAck(_)))
        });
        assert_eq!(acks.count(), 1, "{a:?} {b:?}");
        assert_eq!(items(&rmm.admin.get("/api/agents").await.expect(200)).len(), 1);
    }

    async fn who_does_not_authenticate_in_time_is_closed_with_1008(world: World) {
        let rmm = world.deploy(&[("agents.auth_timeout_seconds", "1")]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        assert_eq!(agent.expect_close().await.0, 1008);
    }

    async fn one_byte_a_second_is_closed_when_the_time_for_auth_is_over(world: World) {
        let rmm = world.deploy(&[("agents.auth_timeout_seconds", "2")]).await;
        let mut socket = RawSocket::connect(rmm.server.address()).await;
        let auth = format!(r#"{{"type":"auth","payload":{{"api_key":"{}"}}}}"#, rmm.site.code);
        let mut bytes = gururmm_tests::raw_socket::header(true, 1, auth.len() as u64);
        bytes.extend_from_slice(auth.as_bytes());
        let start = std::time::Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for byte in bytes.iter().take(10) {
            tick.tick().await;
            if socket.write(&[*byte]).await.is_err() {
                break;
            }
        }
        assert_eq!(socket.close_code().await, Some(1008));
        assert!(start.elapsed() < Duration::from_secs(20));
        assert!(items(&rmm.admin.get("/api/agents").await.expect(200)).is_empty());
    }
}

/// A new connection that says it is the same device.
async fn reconnect(url: &str, device: &RawAgent) -> RawAgent {
    let mut agent = RawAgent::connect(url).await;
    agent.device_id.clone_from(&device.device_id);
    agent
}
