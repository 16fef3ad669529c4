//! The way to the server, step by step: name, connection, proxy, TLS, WebSocket; and the clocks at both ends.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::Uri;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};

use super::{Finding, Outcome, PATIENCE, tls};
use crate::config::{Config, ServerSettings};
use crate::connection::Dialer;
use crate::connection::dial::{is_secure, place_of, roots_of, tls_of, uri_of};
use crate::connection::proxy::{Proxies, Proxy};
use crate::platform::SET_CLOCK;

/// Clocks that differ by more are worth a word.
const OFF: u64 = 30;
/// And by so much more that log-ins and certificates suffer.
const FAR_OFF: u64 = 300;
/// The steps, in their order.
const STEPS: [&str; 6] = ["dns", "tcp", "proxy", "tls", "websocket", "clock"];

/// Looks at all of it; after a step that has failed the others are skipped.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let failed = walk(&config.server, &mut findings).await.err();
    findings.extend(failed);
    let last = findings.last().map_or("", |finding| finding.check);
    let done = STEPS.iter().position(|step| *step == last);
    for step in &STEPS[done.map_or(0, |done| done + 1)..] {
        findings.push(Finding::skipped(step, "not looked at, for what is above"));
    }
    findings
}

async fn walk(server: &ServerSettings, findings: &mut Vec<Finding>) -> Result<(), Finding> {
    let wrong = |check, problem: String| Finding::fail(check, problem, "mend agent.toml");
    let uri = uri_of(&server.url).map_err(|problem| wrong("dns", problem))?;
    let proxy = Proxies::new(server.proxy.as_deref())
        .on_the_way_to(&uri)
        .map_err(|problem| wrong("dns", problem))?;
    let first = match &proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => place_of(&uri),
    };
    findings.push(dns(first).await?);
    findings.push(tcp(first, proxy.is_some()).await?);
    findings.push(match &proxy {
        Some(proxy) => through(proxy, &uri).await?,
        None => Finding::ok("proxy", "none on the way"),
    });
    if is_secure(&uri) {
        findings.push(encrypted(server, &uri).await?);
    } else {
        findings.push(Finding::warn(
            "tls",
            "the connection is not encrypted",
            "use wss:// in server.url",
        ));
    }
    let (found, headers) = websocket(server, &uri).await;
    let failed = found.outcome == Outcome::Fail;
    findings.push(found);
    match headers {
        Some(headers) => findings.push(clock(&headers, Utc::now())),
        None if failed => {}
        None => findings.push(Finding::skipped("clock", "the server told no time")),
    }
    Ok(())
}

async fn in_time<T>(
    check: &'static str,
    step: impl Future<Output = T>,
    fix: &str,
) -> Result<T, Finding> {
    timeout(PATIENCE, step).await.map_err(|_| {
        let problem = format!("no answer within {} s", PATIENCE.as_secs());
        Finding::fail(check, problem, fix)
    })
}

async fn dns((host, port): (&str, u16)) -> Result<Finding, Finding> {
    let fix = "look at the machine's DNS servers, and at the name in server.url or server.proxy";
    let found = in_time("dns", lookup_host((host, port)), fix).await?;
    let addresses: Vec<String> = found
        .map_err(|error| Finding::fail("dns", format!("{host} is not found: {error}"), fix))?
        .map(|address| address.ip().to_string())
        .collect();
    Ok(Finding::ok(
        "dns",
        format!("{host} is {}", addresses.join(", ")),
    ))
}

async fn tcp((host, port): (&str, u16), is_proxy: bool) -> Result<Finding, Finding> {
    let what = if is_proxy { "the proxy" } else { "the server" };
    let fix = format!(
        "look whether {what} runs and listens at port {port}, and whether a firewall lets this machine there"
    );
    let connected = in_time("tcp", TcpStream::connect((host, port)), &fix).await?;
    connected
        .map_err(|error| Finding::fail("tcp", format!("{what} at {host}:{port}: {error}"), fix))?;
    Ok(Finding::ok(
        "tcp",
        format!("{what} at {host}:{port} answers"),
    ))
}

async fn through(proxy: &Proxy, uri: &Uri) -> Result<Finding, Finding> {
    let fix = "have the proxy allow CONNECT to the server, or take it out of server.proxy and the environment";
    let way = async {
        let stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).await;
        let stream = stream.map_err(|error| format!("the proxy {proxy}: {error}"))?;
        proxy.tunnel(stream, uri).await
    };
    in_time("proxy", way, fix)
        .await?
        .map_err(|problem| Finding::fail("proxy", problem, fix))?;
    Ok(Finding::ok("proxy", format!("{proxy} leads to the server")))
}

async fn encrypted(server: &ServerSettings, uri: &Uri) -> Result<Finding, Finding> {
    let wrong = |problem: String| Finding::fail("tls", problem, "mend agent.toml");
    let config = tls_of(server).map_err(wrong)?;
    let roots = roots_of(server).map_err(wrong)?;
    let host = place_of(uri).0.to_owned();
    let name = ServerName::try_from(host).map_err(|error| wrong(error.to_string()))?;
    let fix = "look whether the server speaks TLS at this port";
    let handshake = async {
        let stream = Proxies::new(server.proxy.as_deref()).connect(uri).await;
        let stream = stream.map_err(|problem| Finding::fail("tls", problem, fix))?;
        TlsConnector::from(Arc::clone(&config))
            .connect(name.clone(), stream)
            .await
            .map_err(|error| tls::failure(&error, server.ca_file.is_some()))
    };
    let stream = in_time("tls", handshake, fix).await??;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(tls::success(certificates, &name, roots))
}

/// Also answers the headers of the server, where it has answered.
async fn websocket(server: &ServerSettings, uri: &Uri) -> (Finding, Option<HeaderMap>) {
    let fix = "look whether server.url ends as the server's address does (/ws), and whether a proxy before the server passes WebSockets on";
    let failed = |problem: String| Finding::fail("websocket", problem, fix);
    let opened = async {
        let dialer = Dialer::new(server).map_err(|problem| (failed(problem), None))?;
        let stream = Proxies::new(server.proxy.as_deref()).connect(uri).await;
        let stream = stream.map_err(|problem| (failed(problem), None))?;
        match dialer.open(stream).await {
            Ok((mut socket, response)) => {
                // Whether it hears the good-bye changes nothing.
                let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                Ok(response.headers().clone())
            }
            Err(Error::Http(response)) => {
                let status = response.status();
                let headers = response.headers().clone();
                Err((failed(answered(uri, status)), Some(headers)))
            }
            Err(error) => Err((failed(format!("{uri}: {error}")), None)),
        }
    };
    match in_time("websocket", opened, fix).await {
        Ok(Ok(headers)) => (
            Finding::ok("websocket", format!("{uri} opens one")),
            Some(headers),
        ),
        Ok(Err(failed)) => failed,
        Err(finding) => (finding, None),
    }
}

fn answered(uri: &Uri, status: StatusCode) -> String {
    format!("{uri} answers {status} in place of opening one")
}

/// Compares this machine's clock with what a server says in an answer.
fn clock(headers: &HeaderMap, now: DateTime<Utc>) -> Finding {
    let told = headers.get("date").and_then(|date| date.to_str().ok());
    let told = told.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let Some(told) = told else {
        return Finding::skipped("clock", "the server told no time");
    };
    let off = now.timestamp().saturating_sub(told.timestamp());
    let way = if off < 0 { "behind" } else { "before" };
    let seconds = off.unsigned_abs();
    let message = format!("{seconds} s {way} the server's");
    match seconds {
        FAR_OFF.. => Finding::fail("clock", message, SET_CLOCK),
        OFF.. => Finding::warn("clock", message, SET_CLOCK),
        _ => Finding::ok("clock", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_date_that_the_server_tells() {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z")
            .unwrap()
            .to_utc();
        let at = |date: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("date", date.parse().unwrap());
            clock(&headers, now).outcome
        };
        assert_eq!(at("Sun, 01 Mar 2026 12:00:20 GMT"), Outcome::Ok);
        assert_eq!(at("Sun, 01 Mar 2026 11:59:00 GMT"), Outcome::Warn);
        assert_eq!(at("Sun, 01 Mar 2026 13:00:00 GMT"), Outcome::Fail);
        assert_eq!(at("yesterday"), Outcome::Skipped);
        assert_eq!(clock(&HeaderMap::new(), now).outcome, Outcome::Skipped);
    }
}
