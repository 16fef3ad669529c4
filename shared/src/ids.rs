//! Identifiers as types, so that a session can never be passed where an agent is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes a new identifier that sorts by its time of making (UUIDv7, RFC 9562).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// A command given to many machines at once.
    JobId
);
id!(
    /// A user of the dashboard and the API.
    UserId
);
id!(
    /// A client organisation of the MSP.
    ClientId
);
id!(
    /// A site of a client.
    SiteId
);
id!(
    /// An enrolled machine.
    AgentId
);
id!(
    /// A tunnel session between one technician and one agent.
    SessionId
);
id!(
    /// A command, inside or outside a tunnel; the key of its idempotency.
    CommandId
);
id!(
    /// A row of the audit.
    AuditId
);
id!(
    /// A policy.
    PolicyId
);
id!(
    /// An alert.
    AlertId
);
id!(
    /// A maintenance window.
    MaintenanceId
);
id!(
    /// A channel by which alerts are told.
    NotificationId
);
id!(
    /// What is told of an alert by one channel.
    DeliveryId
);
id!(
    /// A registration token.
    RegistrationTokenId
);
id!(
    /// A key of a user for scripts.
    ApiKeyId
);
id!(
    /// A saved script.
    ScriptId
);
id!(
    /// A schedule.
    ScheduleId
);
id!(
    /// A run of a schedule, or the note why there was none.
    ScheduleRunId
);
id!(
    /// The recording of a terminal.
    RecordingId
);
id!(
    /// A release of the agent for one platform.
    ReleaseId
);
id!(
    /// The way of a release to the fleet.
    RolloutId
);
