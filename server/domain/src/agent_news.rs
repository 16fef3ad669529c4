//! What is told of an agent while it changes: at once when it comes, goes or changes its mode; of its
//! load at most once in some seconds.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// How often the load of one agent is told at most.
pub const LOAD_PAUSE: Duration = Duration::from_secs(5);

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is not connected.
    #[default]
    Offline,
    /// It is connected, and nobody is in a tunnel to it.
    Heartbeat,
    /// Somebody is in a tunnel to it.
    Tunnel,
}

impl Mode {
    /// The word for it on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Heartbeat => "heartbeat",
            Self::Tunnel => "tunnel",
        }
    }

    /// As agents are listed: whether it is connected.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Heartbeat | Self::Tunnel => "online",
        }
    }
}

/// The load of a machine, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Of its CPUs.
    pub cpu: Option<f64>,
    /// Of its memory.
    pub memory: Option<f64>,
    /// Of its disks.
    pub disk: Option<f64>,
}

/// What is known of an agent.
#[derive(Debug, Clone, Default)]
pub struct AgentNews {
    /// What it is doing.
    pub mode: Mode,
    /// When it last gave a sign of life.
    pub last_seen: Option<DateTime<Utc>>,
    /// Its load.
    pub load: Load,
    told_at: Option<Instant>,
    untold: bool,
}

impl AgentNews {
    /// Notes what it is doing; whether that is news, which is told at once.
    pub fn on_mode(&mut self, mode: Mode, at: DateTime<Utc>, now: Instant) -> bool {
        if self.mode == mode {
            return false;
        }
        if mode != Mode::Offline || self.mode != Mode::Offline {
            self.last_seen = Some(at);
        }
        self.mode = mode;
        self.tell(now);
        true
    }

    /// Notes its load; whether it is told now.
    pub fn on_load(&mut self, load: Load, at: DateTime<Utc>, now: Instant) -> bool {
        self.load = load;
        self.last_seen = Some(at);
        self.untold = true;
        self.is_due(now)
    }

    /// Whether a load that came too soon is told now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let rested = self
            .told_at
            .is_none_or(|told| now.saturating_duration_since(told) >= LOAD_PAUSE);
        if !self.untold || !rested {
            return false;
        }
        self.tell(now);
        true
    }

    fn tell(&mut self, now: Instant) {
        self.told_at = Some(now);
        self.untold = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(cpu: f64) -> Load {
        Load {
            cpu: Some(cpu),
            ..Load::default()
        }
    }

    #[test]
    fn who_comes_goes_or_changes_its_mode_is_told_at_once() {
        let (mut news, at, now) = (AgentNews::default(), Utc::now(), Instant::now());
        assert!(news.on_mode(Mode::Heartbeat, at, now));
        assert!(!news.on_mode(Mode::Heartbeat, at, now));
        assert!(news.on_mode(Mode::Tunnel, at, now));
        assert!(news.on_mode(Mode::Offline, at, now));
        assert_eq!(news.last_seen, Some(at));
    }

    #[test]
    fn a_load_is_told_once_in_five_seconds_and_the_last_one_in_the_end() {
        let (mut news, at, start) = (AgentNews::default(), Utc::now(), Instant::now());
        assert!(news.on_load(load(1.0), at, start));
        let soon = start + Duration::from_secs(1);
        assert!(!news.on_load(load(2.0), at, soon));
        assert!(!news.on_load(load(3.0), at, soon));
        assert!(!news.is_due(soon));
        let later = start + LOAD_PAUSE;
        assert!(news.is_due(later));
        assert_eq!(news.load.cpu, Some(3.0));
        assert!(!news.is_due(later + LOAD_PAUSE), "it is told already");
    }

    #[test]
    fn a_change_of_mode_tells_the_load_with_it() {
        let (mut news, at, now) = (AgentNews::default(), Utc::now(), Instant::now());
        assert!(news.on_load(load(1.0), at, now));
        assert!(!news.on_load(load(2.0), at, now));
        assert!(news.on_mode(Mode::Heartbeat, at, now));
        assert!(!news.is_due(now + LOAD_PAUSE));
    }
}
