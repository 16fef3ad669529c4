//! Sends what is queued: webhooks signed after Standard Webhooks, and e-mail over SMTP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chrono::Utc;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use standardwebhooks::Webhook;

use crate::config::{NotificationSettings, SmtpTls};
use crate::db::deliveries::Delivery;
use crate::db::notifications::Channel;
use crate::domain::delivery::is_public;

/// How long a target may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 4096;
/// Characters of an answer that are kept where it is a refusal.
const ANSWER_CHARS: usize = 200;

/// Checks a webhook's URL as far as that can be done without asking for its address.
///
/// # Errors
/// A sentence for the one who typed it.
pub fn check_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("must name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; the signature tells who calls".to_owned());
    }
    Ok(url)
}

/// Checks an e-mail address.
///
/// # Errors
/// A sentence for the one who typed it.
pub fn check_address(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "is no e-mail address".to_owned())
}

/// The addresses of a host, each of which may be called.
async fn addresses(url: &Url, allow_private: bool) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().ok_or("the URL names no host")?;
    let port = url.port_or_known_default().unwrap_or(443);
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = match literal.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| "the host's address was not found in time".to_owned())?
            .map_err(|error| format!("the host has no address: {error}"))?
            .take(16)
            .collect(),
    };
    if found.is_empty() {
        return Err("the host has no address".to_owned());
    }
    if !allow_private && let Some(inside) = found.iter().find(|found| !is_public(found.ip())) {
        let address = inside.ip();
        return Err(format!(
            "{address} is a private address; set notifications.allow_private_targets to allow it"
        ));
    }
    Ok(found)
}

async fn post(
    channel: &Channel,
    delivery: &Delivery,
    settings: &NotificationSettings,
) -> Result<(), String> {
    let url = check_url(&channel.target)?;
    // What is called is what was checked: the name is not asked for again.
    let found = addresses(&url, settings.allow_private_targets).await?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .resolve_to_addrs(&host, &found)
        .user_agent(concat!("gururmm/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("the request cannot be made: {error}"))?;
    let secret = channel
        .secret
        .as_deref()
        .ok_or("the channel has no secret")?;
    let signer = Webhook::new(secret).map_err(|error| format!("the secret is none: {error}"))?;
    let (id, at) = (delivery.id.to_string(), Utc::now().timestamp());
    let body = delivery.payload.to_string();
    let signature = signer
        .sign(&id, at, body.as_bytes())
        .map_err(|error| format!("it cannot be signed: {error}"))?;
    let mut answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await
        .map_err(|error| plain(&error))?;
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES)]),
            // Its status is there; what it says beside that does not matter so much.
            Ok(None) | Err(_) => break,
        }
    }
    if answer.status().is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = crate::domain::text::tame(&said, ANSWER_CHARS);
    Err(format!(
        "the target answered {}: {said}",
        answer.status().as_u16()
    ))
}

/// The error with its causes, without the URL: it may hold a secret.
fn plain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "the target did not answer within 10 s".to_owned()
    } else {
        "the target cannot be reached".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

async fn mail(
    channel: &Channel,
    delivery: &Delivery,
    settings: &NotificationSettings,
) -> Result<(), String> {
    let smtp = &settings.smtp;
    if smtp.host.is_empty() {
        return Err("no mail server is configured; set notifications.smtp.host".to_owned());
    }
    let alert = &delivery.payload["data"]["alert"];
    let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
    let host = alert["agent"]["hostname"].as_str().unwrap_or("GuruRMM");
    let word = match delivery.event.as_str() {
        "alert.resolved" => "resolved".to_owned(),
        _ => text("severity"),
    };
    let subject = format!("[{word}] {host}: {}", text("message"));
    let subject: String = subject
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let body = format!(
        "{}\n\nagent:    {host}\nkind:     {}\nseverity: {}\nstatus:   {}\nsince:    {}\n",
        text("message"),
        text("kind"),
        text("severity"),
        text("status"),
        text("opened_at"),
    );
    let message = Message::builder()
        .from(
            check_address(&smtp.from)
                .map_err(|problem| format!("notifications.smtp.from {problem}"))?,
        )
        .to(check_address(&channel.target)?)
        .subject(subject)
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|error| format!("the message cannot be written: {error}"))?;
    let builder = match smtp.tls {
        SmtpTls::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&smtp.host),
        SmtpTls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&smtp.host),
        SmtpTls::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(
            &smtp.host,
        )),
    };
    let mut builder = builder
        .map_err(|error| format!("the mail server cannot be used: {error}"))?
        .port(smtp.port)
        .timeout(Some(TIMEOUT));
    if !smtp.username.is_empty() {
        let password = smtp.password.expose_secret().to_owned();
        builder = builder.credentials(Credentials::new(smtp.username.clone(), password));
    }
    let sending = builder.build::<Tokio1Executor>();
    let sent = tokio::time::timeout(TIMEOUT * 3, sending.send(message)).await;
    match sent {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("the mail server refused: {error}")),
        Err(_) => Err("the mail server did not answer in time".to_owned()),
    }
}

/// Makes one attempt.
///
/// # Errors
/// Why it did not arrive, for the log of deliveries.
pub async fn send(
    channel: &Channel,
    delivery: &Delivery,
    settings: &NotificationSettings,
) -> Result<(), String> {
    match channel.kind.as_str() {
        "webhook" => post(channel, delivery, settings).await,
        "email" => mail(channel, delivery, settings).await,
        other => Err(format!("channels of kind {other} are not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_the_web_without_credentials_are_taken() {
        for url in ["https://hooks.example.com/a?b=c", "http://192.0.2.1:8080/x"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "ftp://a/",
            "file:///etc/passwd",
            "a",
            "https://u:p@a/",
            "gopher://x",
            "",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_private_target_is_refused_however_it_is_written() {
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
        ] {
            let url = check_url(url).unwrap();
            let refused = addresses(&url, false).await.unwrap_err();
            assert!(refused.contains("private address"), "{url}: {refused}");
            assert!(addresses(&url, true).await.is_ok(), "{url}");
        }
    }
}
