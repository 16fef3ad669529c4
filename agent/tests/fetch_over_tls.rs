//! Fetching a program over TLS: from the agent's own server with the trust that its configuration says, from elsewhere with
//! that in public authorities, and from nobody else.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;
use std::sync::Arc;

use gururmm_agent::connection::LaneDialer;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server that answers every request with its head.
struct Mirror {
    folder: TempDir,
    port: u16,
}

impl Mirror {
    async fn start() -> Self {
        // Fails only if it was installed before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let chain = vec![made.cert.der().clone()];
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever does not trust the certificate goes away here.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.write_all(&head).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { folder, port }
    }

    fn dialer(&self, with_ca: bool) -> LaneDialer {
        let ca = self.folder.path().join("ca.pem");
        let ca = if with_ca {
            format!("ca_file = {ca:?}")
        } else {
            String::new()
        };
        let (port, folder) = (self.port, self.folder.path().join("agent.toml"));
        let text =
            format!("[server]\nurl = \"wss://localhost:{port}/ws\"\napi_key = \"A-B-1\"\n{ca}");
        let config = gururmm_agent::config::Config::parse(&text, &folder).unwrap();
        let dialer = LaneDialer::new(&config.server).unwrap();
        dialer.set_key(Some("grmm_own".to_owned()));
        dialer
    }
}

async fn fetched(dialer: &LaneDialer, address: &str) -> Result<String, String> {
    let mut file = dialer.fetch(address).await?;
    let mut bytes = Vec::new();
    while let Some(more) = file.next().await? {
        bytes.extend_from_slice(&more);
    }
    assert_eq!(file.length(), Some(0), "nothing is left of it");
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn the_own_server_is_trusted_as_the_configuration_says_and_is_given_the_key() {
    let mirror = Mirror::start().await;
    let dialer = mirror.dialer(true);
    let whole = format!("https://localhost:{}/a?b=c", mirror.port);
    for address in ["/a?b=c", whole.as_str()] {
        let head = fetched(&dialer, address).await.unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("authorization: Bearer grmm_own\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("host: localhost:{}\r\n", mirror.port)),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let mirror = Mirror::start().await;
    let error = fetched(&mirror.dialer(false), "/a").await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    // What the configuration trusts is the own server, and no other one.
    let other = Mirror::start().await;
    let address = format!("https://localhost:{}/a", other.port);
    let error = fetched(&mirror.dialer(true), &address).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
}
