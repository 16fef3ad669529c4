//! The limits of the values in `agent.toml`.

use std::ops::RangeInclusive;

use tokio_tungstenite::tungstenite::http::Uri;

use super::Config;

/// A key and what is wrong with its value.
type Problem = (&'static str, String);

const DAY: u64 = 86_400;

/// Checks every value that has limits and tells the first that is outside.
pub fn check(config: &Config) -> Result<(), Problem> {
    let Config {
        server,
        agent,
        metrics,
        inventory,
        watchdog,
        commands,
        consent,
        update,
        ..
    } = config;
    url(&server.url)?;
    not_empty("server.api_key", &server.api_key)?;
    for (key, value, range) in [
        (
            "server.auth_timeout_seconds",
            server.auth_timeout_seconds,
            1..=300,
        ),
        (
            "server.idle_timeout_seconds",
            server.idle_timeout_seconds,
            1..=3600,
        ),
        ("agent.heartbeat_seconds", agent.heartbeat_seconds, 1..=3600),
        (
            "agent.network_check_seconds",
            agent.network_check_seconds,
            1..=DAY,
        ),
        (
            "metrics.interval_seconds",
            metrics.interval_seconds,
            10..=3600,
        ),
        (
            "inventory.interval_seconds",
            inventory.interval_seconds,
            60..=7 * DAY,
        ),
        (
            "watchdog.check_interval_seconds",
            watchdog.check_interval_seconds,
            1..=DAY,
        ),
        (
            "commands.max_timeout_seconds",
            commands.max_timeout_seconds,
            1..=7 * DAY,
        ),
        (
            "commands.timeout_seconds",
            commands.timeout_seconds,
            1..=commands.max_timeout_seconds,
        ),
        (
            "commands.max_running",
            commands.max_running as u64,
            1..=1024,
        ),
        ("commands.max_queued", commands.max_queued as u64, 0..=4096),
        (
            "commands.output_limit_bytes",
            commands.output_limit_bytes as u64,
            4096..=1 << 20,
        ),
        ("update.wait_seconds", update.wait_seconds, 0..=DAY),
        ("update.confirm_seconds", update.confirm_seconds, 1..=3600),
        ("update.download_seconds", update.download_seconds, 1..=DAY),
        ("update.stall_seconds", update.stall_seconds, 1..=3600),
    ] {
        within(key, value, &range)?;
    }
    delay("server.reconnect_seconds", server.reconnect_seconds, 0.0)?;
    delay(
        "server.reconnect_max_seconds",
        server.reconnect_max_seconds,
        server.reconnect_seconds,
    )?;
    not_empty("commands.python", &commands.python)?;
    not_empty("commands.powershell", &commands.powershell)?;
    not_empty("commands.script_interpreter", &commands.script_interpreter)?;
    not_empty(
        "commands.claude_task_program",
        &commands.claude_task_program,
    )?;
    if let Some(root) = commands.claude_task_root.as_ref()
        && !root.is_absolute()
    {
        let problem = format!("is {root:?}, it must be an absolute path");
        return Err(("commands.claude_task_root", problem));
    }
    if let Some(program) = consent.program.as_ref()
        && !program.is_absolute()
    {
        let problem = format!("is {program:?}, it must be an absolute path");
        return Err(("consent.program", problem));
    }
    if let Some(device_id) = &agent.device_id {
        not_empty("agent.device_id", device_id)?;
    }
    Ok(())
}

fn within(key: &'static str, value: u64, range: &RangeInclusive<u64>) -> Result<(), Problem> {
    if range.contains(&value) {
        return Ok(());
    }
    Err((
        key,
        format!(
            "is {value}, it must be from {} to {}",
            range.start(),
            range.end()
        ),
    ))
}

fn delay(key: &'static str, value: f64, at_least: f64) -> Result<(), Problem> {
    if value > 0.0 && value >= at_least && value <= 3600.0 {
        return Ok(());
    }
    Err((
        key,
        format!("is {value}, it must be more than 0, at least {at_least} and at most 3600"),
    ))
}

fn not_empty(key: &'static str, value: &str) -> Result<(), Problem> {
    if value.trim().is_empty() {
        return Err((key, "is empty".to_owned()));
    }
    Ok(())
}

fn url(text: &str) -> Result<(), Problem> {
    let uri: Option<Uri> = text.parse().ok();
    let fits = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("ws" | "wss"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if fits {
        return Ok(());
    }
    Err((
        "server.url",
        format!("is {text:?}, it must look like \"wss://rmm.example.com/ws\""),
    ))
}
