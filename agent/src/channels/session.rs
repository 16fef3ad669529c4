//! What the channels of a session have in common.

use std::sync::Arc;

use gururmm_shared::{SessionId, TunnelRules};

use crate::connection::{LaneDialer, Lanes};
use crate::platform::Launcher;

/// A session, as its channels know it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// Its secret mark, by which its processes are found.
    pub mark: Arc<str>,
    /// Who starts its programs.
    pub launcher: Launcher,
    /// What may be done in it.
    pub rules: Arc<TunnelRules>,
    /// Where its output goes.
    pub lanes: Lanes,
    /// Who dials lanes for its files.
    pub dialer: Option<LaneDialer>,
}
