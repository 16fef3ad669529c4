//! Encryption by the server itself: its own authority, certificates from files, and the way from HTTP to HTTPS.

use std::path::Path;
use std::time::Duration;

use gururmm_shared::AgentId;
use gururmm_tests::api::text;
use gururmm_tests::deployment::ADMIN;
use gururmm_tests::server::run_server;
use gururmm_tests::{AgentSettings, Api, TestAgent, TestServer, eventually, on_both_databases};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

on_both_databases! {
    async fn an_agent_that_pins_the_servers_own_authority_connects_and_others_are_not_fooled(world: World) {
        let settings = [("tls.mode", "self-signed"), ("tls.names", "rmm.test,192.0.2.7")];
        let mut rmm = world.deploy(&settings).await;
        let given = rmm.server.anonymous().get("/api/install/ca.pem").await;
        given.check(200);
        let tag = given.header("etag").trim_matches('"').to_owned();
        assert!(tag.len() == 64 && rmm.server.log().contains(&tag), "the log does not tell {tag}");
        assert!(!given.text.contains("PRIVATE"), "{}", given.text);
        let ca_file = world.file("ca.pem");
        std::fs::write(&ca_file, &given.text).unwrap();
        // Who trusts this authority and no other gets in, by each name of the server.
        let port = rmm.server.address().port();
        for host in ["127.0.0.1", "localhost", "rmm.test"] {
            let client = trusting(&given.text, host, rmm.server.address());
            let answer = client.get(format!("https://{host}:{port}/healthz")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{host}");
            assert!(answer.headers()["strict-transport-security"].to_str().unwrap().contains("max-age="));
        }
        // Who trusts another one does not.
        let (other, _) = made("localhost");
        let client = trusting(&other, "localhost", rmm.server.address());
        assert!(client.get(format!("https://localhost:{port}/healthz")).send().await.is_err());
        let pinning = |ca_file: &Path| AgentSettings { ca_file: Some(ca_file.to_owned()), ..AgentSettings::default() };
        let url = rmm.server.agents_url();
        let agent = TestAgent::start(&url, &rmm.site.code, pinning(&ca_file));
        let id = agent.wait_online(&rmm.admin).await;
        runs(&rmm.technician, id).await;
        let other_file = world.file("other.pem");
        std::fs::write(&other_file, &other).unwrap();
        let fooled = TestAgent::start(&url, &rmm.site.code, pinning(&other_file));
        eventually("the other agent refuses the certificate", SOON, || async {
            fooled.log().to_lowercase().contains("certificate").then_some(())
        })
        .await;
        // A restart makes another certificate and keeps the authority.
        rmm.server.stop().await;
        rmm.server.restart().await;
        assert_eq!(rmm.server.anonymous().get("/api/install/ca.pem").await.text, given.text);
        rmm.wait_status(id, "online", SOON).await;
    }

    async fn the_cookie_of_a_log_in_over_tls_goes_over_tls_only(world: World) {
        let rmm = world.deploy(&[("tls.mode", "self-signed")]).await;
        let body = json!({"email": ADMIN.0, "password": ADMIN.1, "cookie": true});
        let answer = rmm.server.anonymous().post("/api/auth/login", body).await;
        answer.check(200);
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
    }

    async fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_leaves_the_old_in_use(world: World) {
        let (certificate, key) = (world.file("server.pem"), world.file("server.key"));
        let put = |pair: &(String, String)| {
            std::fs::write(&key, &pair.1).unwrap();
            std::fs::write(&certificate, &pair.0).unwrap();
        };
        let (one, two, three) = (made("localhost"), made("localhost"), made("localhost"));
        put(&one);
        let settings = [
            ("tls.mode", "file"),
            ("tls.certificate", certificate.to_str().unwrap()),
            ("tls.key", key.to_str().unwrap()),
            ("tls.reload_seconds", "1"),
        ];
        let rmm = world.deploy(&settings).await;
        rmm.admin.get("/api/install/ca.pem").await.problem(404, "no_private_ca");
        let ca_file = world.file("ca.pem");
        std::fs::write(&ca_file, &one.0).unwrap();
        let agents = AgentSettings { ca_file: Some(ca_file), ..AgentSettings::default() };
        let url = rmm.server.agents_url().replace("127.0.0.1", "localhost");
        let agent = TestAgent::start(&url, &rmm.site.code, agents);
        let id = agent.wait_online(&rmm.admin).await;
        assert!(serves(&rmm.server, &one).await);
        put(&two);
        eventually("the second certificate is in use", SOON, || async { serves(&rmm.server, &two).await.then_some(()) }).await;
        assert!(!serves(&rmm.server, &one).await);
        // Connections that were open stay so: the agent trusts the first certificate alone.
        runs(&rmm.technician, id).await;
        assert_eq!(agent.log().matches("connected").count(), 1, "{}", agent.log());
        // A key that belongs to another certificate.
        std::fs::write(&key, &three.1).unwrap();
        let told = || rmm.server.log().lines().filter(|line| line.contains("the old one stays in use")).count();
        eventually("the fault is told", SOON, || async { (told() > 0).then_some(()) }).await;
        assert!(serves(&rmm.server, &two).await);
        std::fs::write(&certificate, "rubbish").unwrap();
        eventually("the rubbish is told", SOON, || async { (told() > 1).then_some(()) }).await;
        assert!(serves(&rmm.server, &two).await);
        put(&three);
        eventually("the third certificate is in use", SOON, || async { serves(&rmm.server, &three).await.then_some(()) }).await;
    }

    async fn a_hang_up_looks_at_the_certificate_at_once(world: World) {
        let (certificate, key) = (world.file("server.pem"), world.file("server.key"));
        let (one, two) = (made("localhost"), made("localhost"));
        let put = |pair: &(String, String)| {
            std::fs::write(&key, &pair.1).unwrap();
            std::fs::write(&certificate, &pair.0).unwrap();
        };
        put(&one);
        let settings = [
            ("tls.mode", "file"),
            ("tls.certificate", certificate.to_str().unwrap()),
            ("tls.key", key.to_str().unwrap()),
            ("tls.reload_seconds", "3600"),
        ];
        let server = world.server(&settings).await;
        assert!(serves(&server, &one).await);
        put(&two);
        server.hang_up();
        eventually("the second certificate is in use", SOON, || async { serves(&server, &two).await.then_some(()) }).await;
    }

    async fn plain_http_leads_browsers_to_https_and_takes_no_secrets(world: World) {
        let settings = [("tls.mode", "self-signed"), ("tls.redirect_listen", "127.0.0.1:0")];
        let server = world.server(&settings).await;
        let log = server.log();
        let (_, rest) = log.split_once("http://").expect("the log tells the port");
        let port: u16 = rest.split_once(' ').unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap();
        let plain = gururmm_tests::Api::new(&format!("http://127.0.0.1:{port}"));
        let answer = plain.get("/agents?site=1").await;
        answer.check(308);
        assert_eq!(answer.header("location"), format!("{}/agents?site=1", server.url()));
        let body = json!({"email": "a@example.com", "password": "secret"});
        plain.post("/api/auth/login", body).await.problem(403, "https_only");
        plain.get("/api/install/ca.pem").await.check(308);
        // The encrypted port speaks no plain HTTP.
        let wrong = gururmm_tests::Api::new(&format!("http://{}", server.address()));
        assert!(wrong.try_get("/healthz").await.is_err());
    }

    async fn a_certificate_that_cannot_be_used_is_one_line_at_the_start(world: World) {
        let (certificate, key) = (world.file("server.pem"), world.file("server.key"));
        let (one, other) = (made("localhost"), made("localhost"));
        std::fs::write(&certificate, &one.0).unwrap();
        std::fs::write(&key, &other.1).unwrap();
        let settings = [
            ("tls.mode", "file"),
            ("tls.certificate", certificate.to_str().unwrap()),
            ("tls.key", key.to_str().unwrap()),
            ("log.filter", "off"),
        ];
        for word in ["do not fit", "server.key"] {
            let output = run_server(&world.data_dir(), &world.database, &settings, &["serve", "--listen", "127.0.0.1:0"], "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.trim().lines().count() == 1 && said.contains(word), "{said}");
            let _ = std::fs::remove_file(&key);
        }
        let output = run_server(&world.data_dir(), &world.database, &[("tls.mode", "file")], &["config", "check"], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("tls.certificate"), "{said}");
    }
}

/// A command goes to an agent, and its result comes back.
async fn runs(api: &Api, agent: AgentId) {
    let path = format!("/api/agents/{agent}/command");
    let given = api.post(&path, json!({"command": "echo encrypted"})).await;
    let path = format!("/api/commands/{}", text(&given.expect(202), "command_id"));
    eventually("the command is done", SOON, || async {
        let shown = api.get(&path).await.expect(200);
        (shown["status"] == "completed").then(|| assert_eq!(shown["stdout"], "encrypted\n"))
    })
    .await;
}

/// A certificate that is its own authority, and its key.
fn made(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A client that trusts one certificate alone, and finds this name at this address.
fn trusting(pem: &str, host: &str, address: std::net::SocketAddr) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve(host, address)
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Whether new connections get this certificate.
async fn serves(server: &TestServer, pair: &(String, String)) -> bool {
    let client = trusting(&pair.0, "localhost", server.address());
    let url = format!("https://localhost:{}/healthz", server.address().port());
    client.get(url).send().await.is_ok()
}
