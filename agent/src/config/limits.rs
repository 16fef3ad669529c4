//! The limits of the values in `agent.toml`.

use std::ops::RangeInclusive;

use tokio_tungstenite::tungstenite::http::Uri;

use super::{Config, WatchdogSettings, WatchedProcess, WatchedService};

/// A key and what is wrong with its value.
pub type Problem = (&'static str, String);

const DAY: u64 = 86_400;
/// Services, and processes, that are watched at most.
const MOST_WATCHED: usize = 100;
const MOST_RESTARTS: u32 = 100;

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
        log,
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
        ("log.max_mib", log.max_mib, 1..=1024),
        ("log.keep", log.keep, 0..=100),
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
    watched(watchdog)?;
    if let Some(proxy) = &server.proxy {
        check_proxy(proxy)?;
    }
    if let Some(file) = log.file.as_ref()
        && !file.is_absolute()
    {
        let problem = format!("is {file:?}, it must be an absolute path");
        return Err(("log.file", problem));
    }
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

/// Checks what is to be watched, by file or by policy.
///
/// # Errors
/// The key, and what is wrong with it.
pub fn watched(settings: &WatchdogSettings) -> Result<(), Problem> {
    for (key, count) in [
        ("watchdog.services", settings.services.len()),
        ("watchdog.processes", settings.processes.len()),
    ] {
        if count > MOST_WATCHED {
            return Err((
                key,
                format!("has {count} entries, {MOST_WATCHED} are the most"),
            ));
        }
    }
    for service in &settings.services {
        check_service(service).map_err(|problem| ("watchdog.services", problem))?;
    }
    for process in &settings.processes {
        check_process(process).map_err(|problem| ("watchdog.processes", problem))?;
    }
    Ok(())
}

fn check_service(service: &WatchedService) -> Result<(), String> {
    let plain = |c: char| !c.is_control() && c != '/';
    let name = service.name.as_str();
    if name.is_empty() || name.len() > 255 || name.starts_with('-') || !name.chars().all(plain) {
        return Err(format!("has {name:?}, which is no name of a service"));
    }
    if service.max_restarts > MOST_RESTARTS || service.restart_cooldown_seconds > DAY {
        return Err(format!(
            "{name} has max_restarts over {MOST_RESTARTS}, or restart_cooldown_seconds over {DAY}"
        ));
    }
    Ok(())
}

fn check_process(process: &WatchedProcess) -> Result<(), String> {
    let fits = match (&process.name, &process.path) {
        (Some(name), None) => !name.is_empty() && name.len() <= 255,
        (None, Some(path)) => path.is_absolute(),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err("has an entry without a name or an absolute path of a program, or with both".to_owned())
}

fn check_proxy(text: &str) -> Result<(), Problem> {
    let uri: Option<Uri> = text.parse().ok();
    let fits = uri.is_some_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty())
    });
    if fits || text == "none" {
        return Ok(());
    }
    // It may hold a password, which belongs into no log.
    let problem = "must look like \"http://proxy.example.com:3128\", with user:password@ before the host where it wants that, or be \"none\"";
    Err(("server.proxy", problem.to_owned()))
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
