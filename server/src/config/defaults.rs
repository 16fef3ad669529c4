//! What holds where nothing is set.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::settings::{
    AgentSettings, AuthSettings, CommandSettings, DatabaseSettings, HttpSettings, LimitSettings,
    LogFormat, LogSettings, MetricsSettings, NotificationSettings, RetentionSettings,
    ScheduleSettings, ServerSettings, Settings, SmtpSettings, SmtpTls, TunnelSettings,
    UpdateSettings,
};
use super::tls::TlsSettings;

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3001)),
            data_dir: PathBuf::from("./data"),
            server: ServerSettings::default(),
            tls: TlsSettings::default(),
            database: DatabaseSettings::default(),
            auth: AuthSettings::default(),
            agents: AgentSettings::default(),
            tunnel: TunnelSettings::default(),
            commands: CommandSettings::default(),
            schedules: ScheduleSettings::default(),
            updates: UpdateSettings::default(),
            metrics: MetricsSettings::default(),
            retention: RetentionSettings::default(),
            limits: LimitSettings::default(),
            http: HttpSettings::default(),
            notifications: NotificationSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            max_connections: 10,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            signing_key: SecretString::default(),
            token_hours: 24,
            registration: false,
            account_attempts_per_minute: 10,
            address_attempts_per_minute: 60,
        }
    }
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            auth_timeout_seconds: 10,
            ping_interval_seconds: 15,
            idle_timeout_seconds: 45,
            messages_per_second: 50,
            message_burst: 200,
            accept_site_codes_of_first_generation: false,
            enrollments_per_site_per_minute: 300,
        }
    }
}

impl Default for TunnelSettings {
    fn default() -> Self {
        Self {
            open_timeout_seconds: 15,
            idle_timeout_seconds: 900,
            max_sessions_per_technician: 10,
            max_running_commands: 16,
            commands_per_minute: 300,
            operations_per_minute: 3000,
            max_viewers: 16,
            command_timeout_seconds: 300,
            max_command_timeout_seconds: 86_400,
            replay_bytes: 1024 * 1024,
            window_bytes: gururmm_shared::flow::INITIAL_WINDOW_BYTES,
            viewer_stall_seconds: 30,
            ticket_seconds: 30,
            max_channels: 128,
            bulk_lane: true,
            resume_grace_seconds: 0,
        }
    }
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 300,
            max_timeout_seconds: 86_400,
            expiry_seconds: 7 * 86_400,
            max_expiry_seconds: 30 * 86_400,
            max_in_flight: 32,
            max_waiting: 1000,
            per_minute: 600,
            result_grace_seconds: 30,
            poll_margin_seconds: 300,
        }
    }
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            max: 1000,
            grace_seconds: 600,
            keep_runs: 1000,
        }
    }
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            concurrent: 50,
            answer_seconds: 3600,
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            commands_days: 90,
            alerts_days: 365,
            events_days: 90,
            sessions_days: 365,
            audit_days: 0,
        }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            raw_days: 7,
            minute_days: 30,
            hour_days: 400,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_minute: 1200,
            json_body_bytes: 64 * 1024,
            command_bytes: 32 * 1024,
            agent_message_bytes: 2 * 1024 * 1024,
            viewer_message_bytes: 16 * 1024,
            event_streams_per_user: 20,
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            docs: true,
            allowed_origins: Vec::new(),
        }
    }
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            allow_private_targets: false,
            retry_seconds: 30,
            smtp: SmtpSettings::default(),
        }
    }
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: SmtpTls::Starttls,
            username: String::new(),
            password: SecretString::default(),
            from: String::new(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "info,actix_server=warn".to_owned(),
            format: LogFormat::Text,
            file: PathBuf::new(),
            max_mib: 100,
            keep: 5,
        }
    }
}
