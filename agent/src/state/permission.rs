//! Whether a channel or a request is allowed: by the session, by the policy's rules and by the limits.

use gururmm_shared::{
    ChannelId, ChannelKind, ErrorCode, Feature, OpenChannel, Operation, OperationError, SessionId,
    TunnelRules,
};

use super::tunnel::Tunnel;

/// Channels that a session may have open at once, of all kinds.
pub(super) const CHANNELS: usize = 128;

/// Why a channel must not be opened, if so.
pub(super) fn refuse_open(tunnel: &Tunnel, open: &OpenChannel) -> Option<OperationError> {
    refuse_session(tunnel, open.session_id)
        .or_else(|| refuse_feature(&tunnel.rules, open.kind.feature()))
        .or_else(|| refuse_kind(&tunnel.rules, &open.kind))
        .or_else(|| open.kind.check().err())
        .or_else(|| refuse_more(tunnel))
        .or_else(|| {
            tunnel.has_stream(open.stream).then(|| {
                OperationError::new(
                    ErrorCode::AlreadyExists,
                    format!("stream {} is open already, take another", open.stream),
                )
            })
        })
}

/// Why a request must not be carried out, if so.
pub(super) fn refuse_request(
    tunnel: &Tunnel,
    session: SessionId,
    operation: &Operation,
) -> Option<OperationError> {
    let feature = operation.feature();
    refuse_session(tunnel, session)
        .or_else(|| refuse_feature(&tunnel.rules, feature))
        .or_else(|| {
            let changes_files = feature == Feature::Files && operation.writes();
            refuse_writing(&tunnel.rules, changes_files)
        })
        .or_else(|| operation.check().err())
        .or_else(|| refuse_more(tunnel))
}

/// Why nothing more can be opened, if so.
pub(super) fn refuse_more(tunnel: &Tunnel) -> Option<OperationError> {
    (tunnel.running.len() >= CHANNELS).then(|| {
        OperationError::new(
            ErrorCode::TooMany,
            format!("{CHANNELS} channels are open already, close one first"),
        )
    })
}

/// Why something of this kind is not allowed at all, if so.
pub(super) fn refuse_feature(rules: &TunnelRules, feature: Feature) -> Option<OperationError> {
    (!rules.allows(feature)).then(|| {
        not_allowed(format!(
            "the policy of this machine does not allow {}",
            feature.name()
        ))
    })
}

/// What is said where no session is open.
pub(super) fn no_session() -> OperationError {
    OperationError::new(ErrorCode::Gone, "no tunnel is open")
}

/// What is said where a channel's name was used before.
pub(super) fn name_taken(channel: &ChannelId) -> OperationError {
    OperationError::new(
        ErrorCode::AlreadyExists,
        format!("the channel {channel} was opened before, take another name"),
    )
}

fn refuse_session(tunnel: &Tunnel, session: SessionId) -> Option<OperationError> {
    (session != tunnel.session)
        .then(|| not_allowed("the channel is for another session than the open one"))
}

fn refuse_kind(rules: &TunnelRules, kind: &ChannelKind) -> Option<OperationError> {
    match kind {
        ChannelKind::Terminal(options) => {
            let shell = options.shell.as_ref()?;
            (!rules.allows_shell(shell))
                .then(|| not_allowed("the policy of this machine does not list this shell"))
        }
        ChannelKind::Tcp(target) => (!rules.allows_tcp(&target.host, target.port))
            .then(|| not_allowed("the policy of this machine does not allow connections to there")),
        other => refuse_writing(rules, other.writes()),
    }
}

fn refuse_writing(rules: &TunnelRules, changes_files: bool) -> Option<OperationError> {
    (changes_files && !rules.file_writes)
        .then(|| not_allowed("the policy of this machine does not allow files to be changed"))
}

fn not_allowed(message: impl Into<String>) -> OperationError {
    OperationError::new(ErrorCode::NotAllowed, message)
}
