//! Which protocol is spoken.

/// The protocol that this build speaks; an `auth` without `protocol` means [`FIRST_GENERATION`].
pub const PROTOCOL: u32 = 2;

/// The protocol of agents that know only the original's messages.
pub const FIRST_GENERATION: u32 = 1;

/// Capability of an agent that sends command output only within the window it was granted.
pub const CAPABILITY_OUTPUT_WINDOW: &str = "output_window";

/// The agent writes a command's id to disk before it starts it, and answers a repeat from there: it may
/// be sent again without fear that it runs twice.
pub const CAPABILITY_COMMAND_JOURNAL: &str = "command_journal";

/// The agent understands `command_cancel`.
pub const CAPABILITY_COMMAND_CANCEL: &str = "command_cancel";

/// The agent tells with `command_output` what a running command writes.
pub const CAPABILITY_COMMAND_OUTPUT: &str = "command_output";

/// The agent gives a command the variables of `environment`.
pub const CAPABILITY_COMMAND_ENVIRONMENT: &str = "command_environment";

/// The agent speaks the data plane: binary frames, `open`, and the rules of `tunnel_open`.
pub const CAPABILITY_DATA_PLANE: &str = "data_plane";

/// The agent opens pseudo-terminals.
pub const CAPABILITY_TERMINAL: &str = "terminal";

/// The agent reads and writes files.
pub const CAPABILITY_FILES: &str = "files";

/// The agent opens TCP connections.
pub const CAPABILITY_TCP_FORWARD: &str = "tcp_forward";

/// The agent lists and controls services.
pub const CAPABILITY_SERVICES: &str = "services";

/// The agent lists and ends processes.
pub const CAPABILITY_PROCESSES: &str = "processes";

/// The agent reads and writes the registry.
pub const CAPABILITY_REGISTRY: &str = "registry";

/// The agent carries the bytes of files over a connection of their own, where the server offers one.
pub const CAPABILITY_BULK_LANE: &str = "bulk_lane";

/// The agent tells of changes of services as they happen.
pub const CAPABILITY_SERVICE_WATCH: &str = "service_watch";

/// The agent asks, or tells, the person at the machine before a tunnel opens.
pub const CAPABILITY_CONSENT: &str = "consent";

/// The agent keeps terminals over a lost connection, within the grace of `tunnel_open`.
pub const CAPABILITY_RESUME: &str = "resume";

/// The agent installs releases that are signed, and nothing else.
pub const CAPABILITY_SIGNED_UPDATE: &str = "signed_update";
