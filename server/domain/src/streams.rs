//! The streams and requests of one session: which may begin, what is on its way, how each ends. What the
//! session's actor keeps beside each is carried along and handed back.
//!
//! ```text
//!   admit ──▶ begin ──▶ Opening ──opened──▶ Open ──closed──▶ ended, once
//!                │         └─────closed, timed out, cancelled──▲ ▲
//!                └──▶ Asked ─────────reply, timed out────────────┘
//! ```

use std::collections::HashMap;

use gururmm_shared::{AuditId, ChannelId, ChannelKind, Feature, Operation, TunnelRules};

/// Bytes that the streams of a session may have on their way to the server, all together.
const TOTAL_WINDOW: u64 = 16 << 20;
/// What a file may have.
const FILE_WINDOW: u64 = 1 << 20;
/// What a file may have whose bytes have a lane of their own: there they are in nobody's way.
const LANE_WINDOW: u64 = 4 << 20;
/// What a connection may have.
const TCP_WINDOW: u64 = 256 << 10;
/// What each has at least: a stream that cannot move would be worse than a little more memory.
const LEAST_WINDOW: u64 = 64 << 10;

/// Why nothing is begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The policy does not let this role use it.
    #[error("the policy of this agent does not let your role use {}; ask an administrator", .0.name())]
    Feature(Feature),
    /// The policy lets files only be read.
    #[error("the policy of this agent lets files only be read; ask an administrator")]
    ReadOnly,
    /// The policy does not let TCP go there.
    #[error("the policy of this agent does not let connections go to {0}; ask an administrator")]
    Target(String),
    /// The policy does not list the shell.
    #[error("the policy of this agent does not list that shell; ask an administrator")]
    Shell,
}

/// Whether the rules let a channel be opened.
///
/// # Errors
/// [`Refused`].
pub fn check_channel(rules: &TunnelRules, kind: &ChannelKind) -> Result<(), Refused> {
    check(rules, kind.feature(), kind.writes())?;
    match kind {
        ChannelKind::Tcp(target) if !rules.allows_tcp(&target.host, target.port) => {
            let target = format!("{}:{}", target.host, target.port);
            Err(Refused::Target(target))
        }
        ChannelKind::Terminal(options)
            if !options
                .shell
                .as_deref()
                .is_none_or(|shell| rules.allows_shell(shell)) =>
        {
            Err(Refused::Shell)
        }
        _ => Ok(()),
    }
}

/// Whether the rules let something be asked for.
///
/// # Errors
/// [`Refused`].
pub fn check_operation(rules: &TunnelRules, operation: &Operation) -> Result<(), Refused> {
    check(rules, operation.feature(), operation.writes())
}

fn check(rules: &TunnelRules, feature: Feature, writes: bool) -> Result<(), Refused> {
    if !rules.allows(feature) {
        return Err(Refused::Feature(feature));
    }
    if feature == Feature::Files && writes && !rules.file_writes {
        return Err(Refused::ReadOnly);
    }
    Ok(())
}

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Asked,
}

#[derive(Debug)]
struct Entry<T> {
    audit_id: AuditId,
    state: State,
    window: u64,
    kept: T,
}

/// One that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Over<T> {
    /// Its row.
    pub audit_id: AuditId,
    /// What was kept beside it.
    pub kept: T,
}

/// The bookkeeping.
#[derive(Debug)]
pub struct Streams<T> {
    most: usize,
    reserved: usize,
    entries: HashMap<ChannelId, Entry<T>>,
}

impl<T> Streams<T> {
    /// None, of which there may be so many at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            reserved: 0,
            entries: HashMap::new(),
        }
    }

    /// How many are on their way or about to be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len() + self.reserved
    }

    /// Keeps a place for one whose row is being written.
    ///
    /// # Errors
    /// As many as may be are: the number.
    pub fn reserve(&mut self) -> Result<(), usize> {
        if self.count() >= self.most {
            return Err(self.most);
        }
        self.reserved += 1;
        Ok(())
    }

    /// Gives a place back.
    pub fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// The window that a new stream gets, so that all together stay within bounds.
    #[must_use]
    pub fn window(&self, feature: Feature) -> u64 {
        let granted: u64 = self.entries.values().map(|entry| entry.window).sum();
        let wanted = match feature {
            Feature::Files => FILE_WINDOW,
            _ => TCP_WINDOW,
        };
        let left = TOTAL_WINDOW.saturating_sub(granted) / 4;
        wanted.min(left).max(LEAST_WINDOW)
    }

    /// The window that a stream gets whose bytes go over a lane; its own, where there is no room for more.
    pub fn widen(&mut self, channel_id: &ChannelId) -> Option<u64> {
        let granted: u64 = self.entries.values().map(|entry| entry.window).sum();
        let entry = self.entries.get_mut(channel_id)?;
        let left = TOTAL_WINDOW.saturating_sub(granted) / 4;
        entry.window = LANE_WINDOW.min(entry.window + left).max(entry.window);
        Some(entry.window)
    }

    /// A stream is to be opened; takes the place that was kept.
    pub fn open(&mut self, channel_id: ChannelId, audit_id: AuditId, window: u64, kept: T) {
        self.begin(channel_id, audit_id, State::Opening, window, kept);
    }

    /// Something is asked for; takes the place that was kept.
    pub fn ask(&mut self, channel_id: ChannelId, audit_id: AuditId, kept: T) {
        self.begin(channel_id, audit_id, State::Asked, 0, kept);
    }

    fn begin(
        &mut self,
        channel_id: ChannelId,
        audit_id: AuditId,
        state: State,
        window: u64,
        kept: T,
    ) {
        self.release();
        let entry = Entry {
            audit_id,
            state,
            window,
            kept,
        };
        self.entries.insert(channel_id, entry);
    }

    /// The agent says that a stream is open; what was kept beside it, the first time.
    pub fn opened(&mut self, channel_id: &ChannelId) -> Option<&mut T> {
        let entry = self.entries.get_mut(channel_id)?;
        if entry.state != State::Opening {
            return None;
        }
        entry.state = State::Open;
        Some(&mut entry.kept)
    }

    /// A stream has ended, whoever ended it.
    pub fn closed(&mut self, channel_id: &ChannelId) -> Option<Over<T>> {
        self.end_if(channel_id, |state| state != State::Asked)
    }

    /// The answer to a request is there.
    pub fn answered(&mut self, channel_id: &ChannelId) -> Option<Over<T>> {
        self.end_if(channel_id, |state| state == State::Asked)
    }

    /// The agent took too long to open a stream, or to answer.
    pub fn timed_out(&mut self, channel_id: &ChannelId) -> Option<Over<T>> {
        self.end_if(channel_id, |state| state != State::Open)
    }

    fn end_if(&mut self, channel_id: &ChannelId, fits: impl Fn(State) -> bool) -> Option<Over<T>> {
        if !fits(self.entries.get(channel_id)?.state) {
            return None;
        }
        let entry = self.entries.remove(channel_id)?;
        Some(Over {
            audit_id: entry.audit_id,
            kept: entry.kept,
        })
    }

    /// Ends all: the session does.
    pub fn end_all(&mut self) -> Vec<Over<T>> {
        let entries = self.entries.drain();
        entries
            .map(|(_, entry)| Over {
                audit_id: entry.audit_id,
                kept: entry.kept,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use gururmm_shared::{FileRead, FileWrite, TcpTarget};

    use super::*;

    fn channel(number: u64) -> ChannelId {
        ChannelId::of(Feature::Files, number)
    }

    fn begun(most: usize, count: u64) -> Streams<u64> {
        let mut streams = Streams::new(most);
        for number in 0..count {
            streams.reserve().unwrap();
            streams.open(channel(number), AuditId::generate(), FILE_WINDOW, number);
        }
        streams
    }

    #[test]
    fn places_are_counted_from_before_the_row_is_written() {
        let mut streams = begun(3, 1);
        assert_eq!(streams.reserve(), Ok(()));
        assert_eq!(streams.reserve(), Ok(()));
        assert_eq!(streams.reserve(), Err(3));
        streams.release();
        assert_eq!(streams.count(), 2);
        assert!(streams.closed(&channel(0)).is_some());
        assert_eq!(streams.count(), 1);
    }

    #[test]
    fn a_stream_opens_once_and_ends_once() {
        let mut streams = begun(8, 1);
        assert!(streams.opened(&channel(0)).is_some());
        assert!(streams.opened(&channel(0)).is_none());
        assert!(streams.timed_out(&channel(0)).is_none(), "it is open");
        assert!(streams.answered(&channel(0)).is_none(), "it is no request");
        assert_eq!(streams.closed(&channel(0)).map(|over| over.kept), Some(0));
        assert!(streams.closed(&channel(0)).is_none());
        assert!(streams.opened(&channel(0)).is_none());
    }

    #[test]
    fn a_request_is_answered_once_and_is_no_stream() {
        let mut streams = Streams::new(8);
        streams.reserve().unwrap();
        streams.ask(channel(1), AuditId::generate(), ());
        assert!(streams.opened(&channel(1)).is_none());
        assert!(streams.closed(&channel(1)).is_none());
        assert!(streams.answered(&channel(1)).is_some());
        assert!(streams.answered(&channel(1)).is_none());
        assert!(streams.timed_out(&channel(1)).is_none());
    }

    #[test]
    fn what_has_not_opened_in_time_ends() {
        let mut streams = begun(8, 1);
        assert!(streams.timed_out(&channel(0)).is_some());
        assert!(streams.opened(&channel(0)).is_none(), "it is too late");
    }

    #[test]
    fn the_end_of_the_session_ends_all_that_is_on_its_way() {
        let mut streams = begun(8, 3);
        streams.opened(&channel(1));
        assert_eq!(streams.end_all().len(), 3);
        assert_eq!(streams.end_all().len(), 0);
    }

    #[test]
    fn windows_together_stay_within_bounds_however_many_there_are() {
        let mut streams = Streams::new(128);
        assert_eq!(streams.window(Feature::Files), FILE_WINDOW);
        assert_eq!(streams.window(Feature::Tcp), TCP_WINDOW);
        let mut total = 0;
        for number in 0..128 {
            let window = streams.window(Feature::Files);
            assert!(window >= LEAST_WINDOW);
            total += window;
            streams.reserve().unwrap();
            streams.open(channel(number), AuditId::generate(), window, ());
        }
        assert!(total <= TOTAL_WINDOW + 128 * LEAST_WINDOW, "{total}");
    }

    #[test]
    fn lanes_widen_windows_within_the_same_bounds() {
        let mut streams = begun(128, 2);
        let wide: Vec<u64> = [0, 1, 0]
            .into_iter()
            .filter_map(|number| streams.widen(&channel(number)))
            .collect();
        assert_eq!(wide, [LANE_WINDOW, 3_932_160, LANE_WINDOW]);
        assert_eq!(streams.widen(&channel(9)), None);
        let mut streams = begun(128, 16);
        assert_eq!(streams.widen(&channel(3)), Some(FILE_WINDOW));
    }

    #[test]
    fn rules_refuse_a_feature_a_write_and_a_target() {
        let read = ChannelKind::FileRead(FileRead {
            path: "/a".to_owned(),
            offset: 0,
            length: None,
            version: None,
        });
        let write = ChannelKind::FileWrite(FileWrite {
            path: "/a".to_owned(),
            upload: "u".to_owned(),
            offset: 0,
            size: 1,
            sha256: None,
            overwrite: false,
            mode: None,
            modified: None,
        });
        let rules = TunnelRules {
            features: vec![Feature::Files, Feature::Tcp],
            file_writes: false,
            ..TunnelRules::default()
        };
        assert_eq!(check_channel(&rules, &read), Ok(()));
        assert_eq!(check_channel(&rules, &write), Err(Refused::ReadOnly));
        let tcp = |host: &str| {
            ChannelKind::Tcp(TcpTarget {
                host: host.to_owned(),
                port: 80,
            })
        };
        assert_eq!(check_channel(&rules, &tcp("127.0.0.1")), Ok(()));
        assert_eq!(
            check_channel(&rules, &tcp("10.0.0.1")),
            Err(Refused::Target("10.0.0.1:80".to_owned()))
        );
        let list = check_operation(&rules, &Operation::ServiceList);
        assert_eq!(list, Err(Refused::Feature(Feature::Services)));
        let delete = Operation::FileDelete {
            path: "/a".to_owned(),
            recursive: false,
        };
        assert_eq!(check_operation(&rules, &delete), Err(Refused::ReadOnly));
        let rules = TunnelRules {
            file_writes: false,
            ..TunnelRules::default()
        };
        let kill = Operation::ProcessKill { pid: 1, started: 0 };
        assert_eq!(check_operation(&rules, &kill), Ok(()), "no file is written");
    }
}
