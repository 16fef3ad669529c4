//! The way to the server through an HTTP proxy: one that the agent finds in its configuration and that lets it through,
//! wants a password, refuses, hangs, or says nonsense.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use harness::{Stage, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does with who asks.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Through,
    ThroughWith(&'static str),
    Refusing,
    Hanging,
    Endless,
}

/// A proxy, and what it was asked.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&seen)));
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    fn first(&self) -> String {
        self.asked
            .lock()
            .unwrap()
            .first()
            .cloned()
            .unwrap_or_default()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    asked.lock().unwrap().push(request.clone());
    let target = request.split(' ').nth(1).unwrap().to_owned();
    let lets = match manner {
        Manner::Through => true,
        Manner::ThroughWith(secret) => request.to_lowercase().contains(&format!(
            "proxy-authorization: basic {}\r\n",
            secret.to_lowercase()
        )),
        Manner::Refusing => {
            let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            return;
        }
        Manner::Hanging => return std::future::pending().await,
        Manner::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
            return;
        }
    };
    if !lets {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(answer).await;
        return;
    }
    let mut server = TcpStream::connect(target).await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\nVia: a test\r\n\r\n")
        .await
        .unwrap();
    // However it ends.
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

/// An agent that is told of this proxy.
async fn behind(proxy: &Proxy, user: &str) -> Stage {
    let address = proxy.address;
    let mut stage = Stage::set(|toml, _| {
        let line = format!("proxy = \"http://{user}{address}\"\nauth_timeout_seconds = 1\n[agent]");
        toml.replace("[agent]", &line)
    })
    .await;
    stage.restart_agent();
    stage
}

#[tokio::test]
async fn the_agent_connects_through_the_proxy_of_its_configuration() {
    let proxy = Proxy::start(Manner::Through).await;
    let stage = behind(&proxy, "").await;
    let mut server = stage.accept_and_acknowledge().await;
    server.expect("heartbeat").await;
    let target = stage.address();
    assert!(
        proxy
            .first()
            .starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")),
        "{}",
        proxy.first()
    );
    assert!(!proxy.first().to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_proxy_that_wants_a_name_and_a_password_gets_them() {
    let proxy = Proxy::start(Manner::ThroughWith("YWdlbnQ6cyA6cw==")).await;
    let stage = behind(&proxy, "agent:s%20%3As@").await;
    let mut server = stage.accept_and_acknowledge().await;
    server.expect("heartbeat").await;
}

async fn last_error(manner: Manner, user: &str) -> String {
    let proxy = Proxy::start(manner).await;
    let stage = behind(&proxy, user).await;
    let beat = stage
        .until_heartbeat(|beat| beat["last_error"].is_string())
        .await;
    assert!(beat["connected_since"].is_null());
    beat["last_error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_proxy_has_against_the_agent_is_told_with_what_to_do() {
    let error = last_error(Manner::ThroughWith("eA=="), "").await;
    assert!(error.contains("put them into server.proxy"), "{error}");
    let error = last_error(Manner::ThroughWith("eA=="), "agent:secret@").await;
    assert!(
        error.contains("does not accept the name and password"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
    let error = last_error(Manner::Refusing, "").await;
    assert!(
        error.contains("403") && error.contains("allow CONNECT"),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_that_hangs_or_never_ends_its_answer_costs_no_more_than_the_time_out() {
    let error = last_error(Manner::Hanging, "").await;
    assert_eq!(error, "the server did not answer in time");
    let error = last_error(Manner::Endless, "").await;
    assert!(
        error.contains("gave no way") || error.contains("in time"),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked_for_the_way_to_this_machine() {
    let proxy = Proxy::start(Manner::Through).await;
    let mut stage = Stage::set(|toml, _| toml).await;
    let url = format!("http://{}", proxy.address);
    stage.environment.push(("HTTPS_PROXY".to_owned(), url));
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    soon(server.expect("heartbeat")).await;
    assert_eq!(proxy.first(), "");
}
