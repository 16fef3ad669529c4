//! Settings: read once at start, from file, environment and flags, each value's origin known.

mod check;
mod defaults;
mod load;
mod report;
mod settings;
mod tls;
mod trusted_proxies;

pub use load::{ConfigError, Flags, Loaded, load};
pub use settings::{
    AgentSettings, AuthSettings, CommandSettings, HttpSettings, LimitSettings, LogFormat,
    LogSettings, MetricsSettings, NotificationSettings, ScheduleSettings, ServerSettings, Settings,
    SmtpSettings, SmtpTls, TunnelSettings, UpdateSettings,
};
pub use tls::{TlsMode, TlsSettings, host};
pub use trusted_proxies::TrustedProxies;
