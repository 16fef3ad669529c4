//! WebSocket close codes in use: those of RFC 6455 section 7.4.1, and ours from the private range.

/// The session or the job is done.
pub const NORMAL: u16 = 1000;
/// The server stops or restarts; come back with jitter.
pub const GOING_AWAY: u16 = 1001;
/// A frame that is no WebSocket frame.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A binary frame where only text is spoken.
pub const UNSUPPORTED: u16 = 1003;
/// Text that is no UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// Not authenticated in time, refused, or too fast; the reason says which.
pub const POLICY: u16 = 1008;
/// A frame or message over its limit.
pub const TOO_LARGE: u16 = 1009;
/// A fault of the server.
pub const INTERNAL_ERROR: u16 = 1011;
/// The same agent connected again; the newer connection holds.
pub const REPLACED: u16 = 4001;
/// The agent's identity was deleted or its key replaced.
pub const IDENTITY_REVOKED: u16 = 4003;
/// A viewer did not take its data for too long.
pub const STALLED: u16 = 4008;
