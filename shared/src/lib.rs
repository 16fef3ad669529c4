//! The wire between GuruRMM's server, its agents and its viewers.
//!
//! Owns the shapes of every message, their decoding, and the arithmetic of flow control. Does no
//! I/O and knows neither tokio, actix nor a database: both ends of a socket use the same code.

mod agent_config;
mod agent_message;
pub mod byte_stream;
mod channel;
mod channel_id;
pub mod close_code;
mod command_pattern;
#[cfg(feature = "command_rules")]
pub mod command_rules;
mod command_type;
mod consent;
mod decode;
pub mod environment;
pub mod flow;
pub mod frame;
mod ids;
mod inventory;
pub mod lane;
mod limits;
mod operation;
mod piece_queue;
mod server_message;
mod tunnel_payload;
mod tunnel_rules;
mod utf8_stream;
mod version;
mod viewer_message;
mod waiting;
pub mod window_budget;

pub use agent_config::{
    CommandsConfig, ConfigUpdate, InventoryConfig, MetricsConfig, ServiceConfig, TunnelConfig,
    UpdateConfig, WatchdogConfig,
};
pub use agent_message::{
    AgentMessage, Auth, CommandOutput, CommandResult, KeptSession, KeptTerminal, Metrics,
    NetworkState, OsInfo, StreamPosition, TunnelClosed, TunnelReady, UpdateResult, WatchdogEvent,
};
pub use channel::{
    ArchiveRead, ArchiveWrite, ChannelKind, Closed, FileRead, FileWrite, LaneOffer, OpenChannel,
    Opened, ServiceWatch, Signal, SignalName, TcpTarget, TerminalOptions, TerminalSize,
};
pub use channel_id::{ChannelId, InvalidChannelId};
pub use command_pattern::CommandPattern;
pub use command_type::CommandType;
pub use consent::{ConsentDefault, ConsentMode, ConsentOutcome, ConsentRequest};
pub use decode::DecodeError;
pub use frame::{Frame, FrameError, ResetCode, StreamId};
pub use ids::{
    AgentId, AlertId, ApiKeyId, AuditId, ClientId, CommandId, DeliveryId, JobId, MaintenanceId,
    NotificationId, PolicyId, RecordingId, RegistrationTokenId, ReleaseId, RolloutId, ScheduleId,
    ScheduleRunId, ScriptId, SessionId, SiteId, UserId,
};
pub use inventory::{
    DiskInfo, HardwareInfo, InterfaceInfo, Inventory, InventorySections, ServiceInfo, SoftwareInfo,
    SystemInfo, UserInfo,
};
pub use operation::{
    ErrorCode, FileInfo, FileKind, Operation, OperationError, ProcessInfo, RegistryData,
    RegistryValue, Reply, Request, ServiceAction, ServiceChange, ServiceChangeKind, ServiceState,
    StartType,
};
pub use server_message::{
    Ack, AuthAck, Command, CommandCancel, ErrorReply, ServerMessage, TunnelClose, TunnelOpen,
    TunnelResume, Update,
};
pub use tunnel_payload::{
    EndReason, OutputWindow, Probe, Terminal, TerminalOutput, TunnelData, TunnelError,
    TunnelPayload,
};
pub use tunnel_rules::{Feature, TunnelRules};
pub use utf8_stream::Utf8Stream;
pub use version::{
    CAPABILITY_BULK_LANE, CAPABILITY_COMMAND_CANCEL, CAPABILITY_COMMAND_ENVIRONMENT,
    CAPABILITY_COMMAND_JOURNAL, CAPABILITY_COMMAND_OUTPUT, CAPABILITY_CONSENT,
    CAPABILITY_DATA_PLANE, CAPABILITY_FILES, CAPABILITY_OUTPUT_WINDOW, CAPABILITY_PROCESSES,
    CAPABILITY_REGISTRY, CAPABILITY_RESUME, CAPABILITY_SERVICE_WATCH, CAPABILITY_SERVICES,
    CAPABILITY_SIGNED_UPDATE, CAPABILITY_TCP_FORWARD, CAPABILITY_TERMINAL, FIRST_GENERATION,
    PROTOCOL,
};
pub use viewer_message::{
    ChannelOpened, ChannelState, ChannelSummary, OutputGap, SessionClosed, SessionSnapshot,
    StreamMessage, Suspended, TakeSize, TerminalClosed, TerminalOpened, TerminalResized,
    TerminalScreen, ViewerInfo, ViewerList, ViewerMessage,
};
