//! Which protocol is spoken.

/// The protocol that this build speaks; an `auth` without `protocol` means [`FIRST_GENERATION`].
pub const PROTOCOL: u32 = 2;

/// The protocol of agents that know only the original's messages.
pub const FIRST_GENERATION: u32 = 1;

/// Capability of an agent that sends command output only within the window it was granted.
pub const CAPABILITY_OUTPUT_WINDOW: &str = "output_window";
