//! Who watches terminals: how they come, go and come back, and who of them has stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gururmm_shared::{ChannelId, StreamId, StreamMessage};

use super::Terminals;
use super::step::{TerminalStep, Word};
use crate::terminal_input::{ViewerKey, Writer};
use crate::viewers::ViewerNumber;

/// Viewers that are remembered when they are gone.
pub(super) const REMEMBERED_VIEWERS: usize = 64;
/// For how long they are.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// How a viewer watches.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// By which name it may come back.
    pub key: Option<ViewerKey>,
    /// Whether it only looks.
    pub read_only: bool,
    /// From which offset on, in every terminal that is not named.
    pub from: Option<u64>,
    /// From which offset on in these.
    pub from_channel: BTreeMap<ChannelId, u64>,
}

pub(super) struct Watcher {
    pub(super) watch: Watch,
    pub(super) writer: Writer,
    pub(super) in_flight: u64,
    pub(super) taken: u64,
    pub(super) mark: Option<(u64, Instant)>,
    pub(super) turn: StreamId,
}

impl Terminals {
    /// Lets a viewer watch; `owed` bytes are on the way to it already.
    pub fn attach(&mut self, viewer: ViewerNumber, watch: Watch, owed: u64) -> TerminalStep {
        if let Some(key) = watch.key {
            self.gone.retain(|(gone, _)| *gone != key);
        }
        let writer = watch.key.map_or(Writer::Once(viewer), Writer::Known);
        let watcher = Watcher {
            watch,
            writer,
            in_flight: owed,
            taken: 0,
            mark: None,
            turn: StreamId(0),
        };
        self.viewers.insert(viewer, watcher);
        let mut step = TerminalStep::default();
        let streams: Vec<StreamId> = self.terminals.keys().copied().collect();
        for &stream in &streams {
            let from = self.wanted(viewer, stream);
            self.greet(viewer, stream, from, &mut step);
        }
        for stream in streams {
            self.pump(stream, &mut step);
        }
        step
    }

    /// Lets a viewer go; whoever waited for it waits no more.
    pub fn detach(&mut self, viewer: ViewerNumber, now: Instant) -> TerminalStep {
        let mut step = TerminalStep::default();
        let Some(watcher) = self.viewers.remove(&viewer) else {
            return step;
        };
        match watcher.watch.key {
            Some(key) => self.remember(key, now),
            None => self.forget_writer(watcher.writer),
        }
        let streams: Vec<StreamId> = self.terminals.keys().copied().collect();
        for stream in streams {
            let Some(terminal) = self.terminals.get_mut(&stream) else {
                continue;
            };
            if terminal.detach(viewer) && terminal.is_running() {
                self.announce_size(stream, &mut step);
            }
            self.pump(stream, &mut step);
        }
        self.forget_ended();
        step
    }

    /// The viewer that is attached by this name.
    #[must_use]
    pub fn by_key(&self, key: ViewerKey) -> Option<ViewerNumber> {
        let found = self
            .viewers
            .iter()
            .find(|(_, one)| one.watch.key == Some(key));
        found.map(|(number, _)| *number)
    }

    /// Gives a viewer back the credit of what its socket has taken.
    pub fn taken(&mut self, viewer: ViewerNumber, bytes: u64) -> TerminalStep {
        let mut step = TerminalStep::default();
        if let Some(watcher) = self.viewers.get_mut(&viewer) {
            watcher.in_flight = watcher.in_flight.saturating_sub(bytes);
            watcher.taken += bytes;
            self.pump_viewer(viewer, &mut step);
        }
        step
    }

    /// Viewers that have let something wait for `patience`; to be asked regularly. Forgets who did not come
    /// back, and brings the screens up to date.
    pub fn tick(&mut self, now: Instant, patience: Duration) -> Vec<ViewerNumber> {
        while let Some((key, since)) = self.gone.front().copied()
            && now.saturating_duration_since(since) >= REMEMBERED_FOR
        {
            self.gone.pop_front();
            self.forget_writer(Writer::Known(key));
        }
        let mut stalled = BTreeSet::new();
        for (number, watcher) in &mut self.viewers {
            match watcher.mark {
                Some((taken, since)) if watcher.in_flight > 0 && taken == watcher.taken => {
                    if now.saturating_duration_since(since) >= patience {
                        stalled.insert(*number);
                    }
                }
                _ => watcher.mark = (watcher.in_flight > 0).then_some((watcher.taken, now)),
            }
        }
        for terminal in self.terminals.values_mut() {
            terminal.catch_up();
            for number in self.viewers.keys() {
                if terminal.is_stalled(*number, now, patience) {
                    stalled.insert(*number);
                }
            }
        }
        stalled.into_iter().collect()
    }

    /// Tells every viewer something.
    pub fn tell_all(&mut self, message: &StreamMessage) -> TerminalStep {
        let mut step = TerminalStep::default();
        let viewers: Vec<ViewerNumber> = self.viewers.keys().copied().collect();
        for viewer in viewers {
            self.tell(viewer, Word::Message(Box::new(message.clone())), &mut step);
        }
        step
    }

    /// From where a viewer wants to see a terminal.
    pub(super) fn wanted(&self, viewer: ViewerNumber, stream: StreamId) -> Option<u64> {
        let watch = &self.viewers.get(&viewer)?.watch;
        let channel_id = &self.terminals.get(&stream)?.channel_id;
        watch.from_channel.get(channel_id).copied().or(watch.from)
    }

    /// Greets those who were not yet: the terminal is older than they are.
    pub(super) fn greet_all(&mut self, stream: StreamId, step: &mut TerminalStep) {
        let viewers: Vec<ViewerNumber> = self.viewers.keys().copied().collect();
        for viewer in viewers {
            let terminal = self.terminals.get(&stream);
            if terminal.is_some_and(|one| !one.cursors.contains_key(&viewer)) {
                let from = self.wanted(viewer, stream);
                self.greet(viewer, stream, from, step);
            }
        }
    }

    pub(super) fn greet(
        &mut self,
        viewer: ViewerNumber,
        stream: StreamId,
        from: Option<u64>,
        step: &mut TerminalStep,
    ) {
        let (Some(watcher), Some(terminal)) =
            (self.viewers.get(&viewer), self.terminals.get_mut(&stream))
        else {
            return;
        };
        let read_only = watcher.watch.read_only;
        // It is greeted when the bytes are there from which its screen is drawn.
        if terminal.is_refilling() && !from.is_some_and(|from| terminal.reaches(from)) {
            return;
        }
        let greeting = terminal.attach(viewer, watcher.writer, read_only, from);
        let opened = StreamMessage::TerminalOpened(greeting.opened);
        self.tell(viewer, Word::Message(Box::new(opened)), step);
        if let Some(screen) = greeting.screen {
            let screen = StreamMessage::TerminalScreen(screen);
            self.tell(viewer, Word::Message(Box::new(screen)), step);
        }
        if !read_only {
            self.tell(viewer, Word::Frame(greeting.input.encode()), step);
        }
    }

    pub(super) fn watching(&self, stream: StreamId) -> Vec<ViewerNumber> {
        let terminal = self.terminals.get(&stream);
        terminal
            .map(|one| one.cursors.keys().copied().collect())
            .unwrap_or_default()
    }

    pub(super) fn remember(&mut self, key: ViewerKey, now: Instant) {
        self.gone.retain(|(gone, _)| *gone != key);
        self.gone.push_back((key, now));
        if self.gone.len() > REMEMBERED_VIEWERS
            && let Some((oldest, _)) = self.gone.pop_front()
        {
            self.forget_writer(Writer::Known(oldest));
        }
    }

    pub(super) fn forget_writer(&mut self, writer: Writer) {
        for terminal in self.terminals.values_mut() {
            terminal.input.forget(writer);
        }
    }
}
