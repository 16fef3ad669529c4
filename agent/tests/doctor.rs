//! `doctor` against what can be wrong between an agent and its server, with real certificates and real sockets.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{Datelike, Duration, Utc};
use harness::ask_agent;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// An authority of the tests' own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for a name, until so many days from now.
    fn certify(&self, name: &str, days: i64) -> Arc<ServerConfig> {
        // Fails only if it was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let end = Utc::now() + Duration::days(days);
        let (month, day) = (
            u8::try_from(end.month()).unwrap(),
            u8::try_from(end.day()).unwrap(),
        );
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(end.year(), month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }
}

/// What the server does with a connection, once it is encrypted.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// It opens WebSockets, its clock so many seconds before this machine's.
    Opens(i64),
    /// It knows no such address.
    NotFound,
    /// It says nothing.
    Silent,
}

struct Stage {
    folder: TempDir,
    port: u16,
    scheme: &'static str,
    task: Option<JoinHandle<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Stage {
    async fn start(tls: Option<Arc<ServerConfig>>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                serve(stream, manner).await;
                            }
                        }
                        None => serve(stream, manner).await,
                    }
                });
            }
        });
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            scheme,
            task: Some(task),
        };
        stage.configure("");
        stage
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Writes the configuration, with more lines about the server.
    fn configure(&self, lines: &str) {
        let (scheme, port) = (self.scheme, self.port);
        let text = format!(
            "[server]\nurl = \"{scheme}://localhost:{port}/ws\"\napi_key = \"A-B-1\"\n{lines}\n"
        );
        fs::write(self.file(), text).unwrap();
        private(&self.file());
    }

    fn trust(&self, authority: &Authority) {
        let path = self.folder.path().join("ca.pem");
        fs::write(&path, authority.0.pem()).unwrap();
        self.configure(&format!("ca_file = \"{}\"", path.display()));
    }

    async fn examine(&self) -> Findings {
        let file = self.file();
        let (code, text) =
            ask_agent(&["doctor", "--json", "--config", file.to_str().unwrap()]).await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            code == Some(0),
            report["healthy"] == json!(true),
            "{report}"
        );
        Findings(report)
    }
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, manner: Manner) {
    match manner {
        #[allow(
            clippy::result_large_err,
            reason = "the library's type of a refusal, which is not used"
        )]
        Manner::Opens(off) => {
            let dated = |_: &Request, mut response: Response| {
                let date = (Utc::now() + Duration::seconds(off)).to_rfc2822();
                let date = date.replace("+0000", "GMT").parse().unwrap();
                response.headers_mut().insert("date", date);
                Ok(response)
            };
            if let Ok(mut socket) = accept_hdr_async(stream, dated).await {
                use futures_util::StreamExt;
                while let Some(Ok(_)) = socket.next().await {}
            }
        }
        Manner::NotFound => {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
        Manner::Silent => std::future::pending().await,
    }
}

struct Findings(Value);

impl Findings {
    fn of(&self, check: &str) -> &Value {
        let all = self.0["findings"].as_array().unwrap();
        all.iter().find(|it| it["check"] == check).unwrap()
    }

    fn outcome(&self, check: &str) -> &str {
        self.of(check)["outcome"].as_str().unwrap()
    }

    /// The check has failed with this text, tells what to do, and what comes after it was not tried.
    fn failed(&self, check: &str, text: &str) {
        let finding = self.of(check);
        assert_eq!(finding["outcome"], "fail", "{}", self.0);
        assert!(
            finding["message"].as_str().unwrap().contains(text),
            "{finding}"
        );
        assert!(finding["fix"].as_str().unwrap().len() > 10, "{finding}");
    }
}

#[tokio::test]
async fn all_is_well_with_a_private_authority_and_each_step_says_so() {
    let authority = Authority::new();
    let stage = Stage::start(Some(authority.certify("localhost", 90)), Manner::Opens(0)).await;
    stage.trust(&authority);
    let found = stage.examine().await;
    for check in [
        "config",
        "state",
        "identity",
        "dns",
        "tcp",
        "proxy",
        "tls",
        "websocket",
        "clock",
    ] {
        assert_eq!(found.outcome(check), "ok", "{check}: {}", found.0);
    }
    let left: Vec<_> = fs::read_dir(stage.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "it leaves nothing behind");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let (authority, other) = (Authority::new(), Authority::new());
    let stage = Stage::start(Some(authority.certify("localhost", -3)), Manner::Opens(0)).await;
    stage.trust(&authority);
    let ended = (Utc::now() - Duration::days(3))
        .format("%Y-%m-%d")
        .to_string();
    let found = stage.examine().await;
    found.failed("tls", &format!("ended on {ended}"));
    assert_eq!(found.outcome("websocket"), "skipped");

    let stage = Stage::start(Some(authority.certify("example.com", 90)), Manner::Opens(0)).await;
    stage.trust(&authority);
    stage
        .examine()
        .await
        .failed("tls", "is not for localhost but for example.com");

    let stage = Stage::start(Some(authority.certify("localhost", 90)), Manner::Opens(0)).await;
    stage.trust(&other);
    stage
        .examine()
        .await
        .failed("tls", "signed by nobody who is trusted");
    stage.configure("");
    let found = stage.examine().await;
    found.failed("tls", "signed by nobody who is trusted");
    assert!(
        found.of("tls")["fix"]
            .as_str()
            .unwrap()
            .contains("server.ca_file")
    );
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_a_warning() {
    let authority = Authority::new();
    let stage = Stage::start(Some(authority.certify("localhost", 5)), Manner::Opens(0)).await;
    stage.trust(&authority);
    let found = stage.examine().await;
    assert_eq!(found.outcome("tls"), "warn", "{}", found.0);
    assert_eq!(found.outcome("websocket"), "ok");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much() {
    let stage = Stage::start(None, Manner::Opens(3600)).await;
    let found = stage.examine().await;
    found.failed("clock", "behind the server's");
    assert_eq!(found.outcome("tls"), "warn", "not encrypted");
    let stage = Stage::start(None, Manner::Opens(-60)).await;
    assert_eq!(stage.examine().await.outcome("clock"), "warn");
}

#[tokio::test]
async fn a_closed_port_and_a_name_that_is_none_are_told_before_what_needs_them() {
    let mut stage = Stage::start(None, Manner::Opens(0)).await;
    let task = stage.task.take().unwrap();
    task.abort();
    // It is over when its listener is closed.
    let _ = task.await;
    let found = stage.examine().await;
    found.failed("tcp", "the server at localhost");
    for check in ["proxy", "tls", "websocket", "clock"] {
        assert_eq!(found.outcome(check), "skipped");
    }
    let text = fs::read_to_string(stage.file()).unwrap();
    fs::write(
        stage.file(),
        text.replace("localhost", "no-such-host.invalid"),
    )
    .unwrap();
    let found = stage.examine().await;
    found.failed("dns", "no-such-host.invalid");
    assert_eq!(found.outcome("tcp"), "skipped");
}

#[tokio::test]
async fn a_server_that_opens_no_websocket_is_told_with_its_answer_and_a_silent_one_in_time() {
    let stage = Stage::start(None, Manner::NotFound).await;
    stage.examine().await.failed("websocket", "404");
    let stage = Stage::start(None, Manner::Silent).await;
    stage
        .examine()
        .await
        .failed("websocket", "no answer within 10 s");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_as_the_proxy() {
    let stage = Stage::start(None, Manner::Opens(0)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    stage.configure(&format!("proxy = \"http://user:secret@{address}\""));
    let found = stage.examine().await;
    found.failed("tcp", "the proxy at 127.0.0.1");
    assert!(!found.0.to_string().contains("secret"));
}

#[tokio::test]
async fn the_machine_s_own_faults_are_told() {
    let stage = Stage::start(None, Manner::Opens(0)).await;
    let text = fs::read_to_string(stage.file()).unwrap();
    let missing = stage.folder.path().join("missing");
    let lines = format!("[agent]\nstate_dir = \"{}\"\n", missing.display());
    fs::write(stage.file(), format!("{text}{lines}")).unwrap();
    stage.examine().await.failed("state", "cannot be written");

    fs::create_dir(&missing).unwrap();
    fs::write(missing.join("identity.json"), "{").unwrap();
    private(&missing.join("identity.json"));
    stage.examine().await.failed("identity", "damaged");

    fs::write(stage.file(), format!("{text}[servers]\n")).unwrap();
    stage
        .examine()
        .await
        .failed("config", "line 5: unknown key `servers`");
}
