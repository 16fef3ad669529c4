//! The limits of values, and what must hold between them.

use super::settings::Settings;
use super::trusted_proxies::TrustedProxies;

impl Settings {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first key that is outside its limits, with them.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            (
                "database.max_connections",
                self.database.max_connections,
                1,
                1000,
            ),
            ("auth.token_hours", self.auth.token_hours, 1, 24 * 30),
            (
                "auth.account_attempts_per_minute",
                self.auth.account_attempts_per_minute,
                1,
                100_000,
            ),
            (
                "auth.address_attempts_per_minute",
                self.auth.address_attempts_per_minute,
                1,
                100_000,
            ),
            (
                "agents.auth_timeout_seconds",
                self.agents.auth_timeout_seconds,
                1,
                300,
            ),
            (
                "agents.ping_interval_seconds",
                self.agents.ping_interval_seconds,
                1,
                3600,
            ),
            (
                "agents.enrollments_per_site_per_minute",
                self.agents.enrollments_per_site_per_minute,
                1,
                1_000_000,
            ),
            (
                "agents.idle_timeout_seconds",
                self.agents.idle_timeout_seconds,
                2,
                7200,
            ),
            (
                "agents.messages_per_second",
                self.agents.messages_per_second,
                1,
                100_000,
            ),
            (
                "agents.message_burst",
                self.agents.message_burst,
                1,
                1_000_000,
            ),
            (
                "tunnel.open_timeout_seconds",
                self.tunnel.open_timeout_seconds,
                1,
                300,
            ),
            (
                "tunnel.idle_timeout_seconds",
                self.tunnel.idle_timeout_seconds,
                1,
                7 * 86_400,
            ),
            (
                "tunnel.max_sessions_per_technician",
                self.tunnel.max_sessions_per_technician,
                1,
                10_000,
            ),
            (
                "tunnel.max_running_commands",
                self.tunnel.max_running_commands,
                1,
                60,
            ),
            (
                "tunnel.commands_per_minute",
                self.tunnel.commands_per_minute,
                1,
                10_000_000,
            ),
            (
                "tunnel.operations_per_minute",
                self.tunnel.operations_per_minute,
                1,
                10_000_000,
            ),
            ("tunnel.max_viewers", self.tunnel.max_viewers, 1, 1000),
            (
                "tunnel.command_timeout_seconds",
                self.tunnel.command_timeout_seconds,
                1,
                604_800,
            ),
            (
                "tunnel.max_command_timeout_seconds",
                self.tunnel.max_command_timeout_seconds,
                1,
                604_800,
            ),
            (
                "tunnel.viewer_stall_seconds",
                self.tunnel.viewer_stall_seconds,
                1,
                3600,
            ),
            ("tunnel.ticket_seconds", self.tunnel.ticket_seconds, 1, 3600),
            ("tunnel.max_channels", self.tunnel.max_channels, 1, 1024),
            (
                "tunnel.resume_grace_seconds",
                self.tunnel.resume_grace_seconds,
                0,
                86_400,
            ),
            ("schedules.max", self.schedules.max, 1, 100_000),
            (
                "schedules.grace_seconds",
                self.schedules.grace_seconds,
                60,
                86_400,
            ),
            ("schedules.keep_runs", self.schedules.keep_runs, 10, 100_000),
            ("updates.concurrent", self.updates.concurrent, 1, 10_000),
            (
                "updates.answer_seconds",
                self.updates.answer_seconds,
                1,
                7 * 86_400,
            ),
            ("metrics.raw_days", self.metrics.raw_days, 1, 3650),
            ("metrics.minute_days", self.metrics.minute_days, 1, 3650),
            ("metrics.hour_days", self.metrics.hour_days, 1, 36_500),
            (
                "limits.requests_per_minute",
                self.limits.requests_per_minute,
                1,
                10_000_000,
            ),
            (
                "commands.timeout_seconds",
                self.commands.timeout_seconds,
                1,
                604_800,
            ),
            (
                "commands.max_timeout_seconds",
                self.commands.max_timeout_seconds,
                1,
                604_800,
            ),
            (
                "commands.expiry_seconds",
                self.commands.expiry_seconds,
                1,
                31_536_000,
            ),
            (
                "commands.max_expiry_seconds",
                self.commands.max_expiry_seconds,
                1,
                31_536_000,
            ),
            (
                "commands.max_in_flight",
                self.commands.max_in_flight,
                1,
                200,
            ),
            (
                "commands.max_waiting",
                self.commands.max_waiting,
                1,
                1_000_000,
            ),
            (
                "commands.per_minute",
                self.commands.per_minute,
                1,
                10_000_000,
            ),
            (
                "commands.result_grace_seconds",
                self.commands.result_grace_seconds,
                1,
                3600,
            ),
            (
                "commands.poll_margin_seconds",
                self.commands.poll_margin_seconds,
                1,
                86_400,
            ),
            (
                "retention.commands_days",
                self.retention.commands_days,
                0,
                36_500,
            ),
            (
                "retention.alerts_days",
                self.retention.alerts_days,
                0,
                36_500,
            ),
            (
                "retention.events_days",
                self.retention.events_days,
                0,
                36_500,
            ),
            (
                "retention.sessions_days",
                self.retention.sessions_days,
                0,
                36_500,
            ),
            ("retention.audit_days", self.retention.audit_days, 0, 36_500),
            (
                "notifications.retry_seconds",
                self.notifications.retry_seconds,
                1,
                3600,
            ),
            (
                "limits.json_body_bytes",
                self.limits.json_body_bytes,
                1024,
                64 << 20,
            ),
            (
                "limits.command_bytes",
                self.limits.command_bytes,
                64,
                64 << 10,
            ),
            (
                "limits.agent_message_bytes",
                self.limits.agent_message_bytes,
                65_536,
                64 << 20,
            ),
            (
                "limits.viewer_message_bytes",
                self.limits.viewer_message_bytes,
                4096,
                1 << 20,
            ),
            ("log.max_mib", self.log.max_mib, 1, 10_240),
            ("log.keep", self.log.keep, 1, 1000),
            ("tls.reload_seconds", self.tls.reload_seconds, 1, 86_400),
            (
                "limits.event_streams_per_user",
                self.limits.event_streams_per_user,
                1,
                1000,
            ),
        ];
        for (key, value, min, max) in positive {
            if !(min..=max).contains(&value) {
                return Err(format!("{key} = {value} is outside {min} to {max}"));
            }
        }
        self.check_relations()
    }

    fn check_relations(&self) -> Result<(), String> {
        if self.agents.idle_timeout_seconds <= self.agents.ping_interval_seconds {
            return Err(
                "agents.idle_timeout_seconds must be more than agents.ping_interval_seconds"
                    .to_owned(),
            );
        }
        for (key, value) in [
            ("tunnel.replay_bytes", self.tunnel.replay_bytes),
            ("tunnel.window_bytes", self.tunnel.window_bytes),
        ] {
            if !(65_536..=16 << 20).contains(&value) {
                return Err(format!("{key} = {value} is outside 65536 to 16777216"));
            }
        }
        let key = secrecy::ExposeSecret::expose_secret(&self.auth.signing_key).len();
        if key > 0 && key < 32 {
            return Err(
                "auth.signing_key needs at least 32 bytes; leave it out to have one made"
                    .to_owned(),
            );
        }
        let smtp = &self.notifications.smtp;
        if !smtp.host.is_empty() && smtp.from.is_empty() {
            return Err(
                "notifications.smtp.from must be set beside notifications.smtp.host".to_owned(),
            );
        }
        let public = &self.server.public_url;
        if !public.is_empty() && !is_origin(public) {
            return Err(format!(
                "server.public_url: {public:?} is no origin; write it as https://host[:port], without a slash at its end"
            ));
        }
        for origin in &self.http.allowed_origins {
            if !is_origin(origin) {
                return Err(format!(
                    "http.allowed_origins: {origin:?} is no origin; write it as https://host[:port]"
                ));
            }
        }
        TrustedProxies::parse(&self.server.trusted_proxies)?;
        self.tls.check(&self.server.public_url)
    }
}

/// Whether a text is what browsers send as `Origin`.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '?', '#', '@', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_an_origin_or_nothing() {
        let with = |public_url: &str| {
            let mut settings = Settings::default();
            public_url.clone_into(&mut settings.server.public_url);
            settings.check()
        };
        for good in ["", "https://rmm.example.com", "http://10.0.0.1:3001"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in [
            "rmm.example.com",
            "https://",
            "https://rmm.example.com/",
            "ftp://x",
        ] {
            assert!(
                with(bad).is_err_and(|why| why.contains("server.public_url")),
                "{bad}"
            );
        }
    }
}
