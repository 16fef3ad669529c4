//! What the connection and the readers of channels share: which channels there are, and how the line is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gururmm_shared::{ChannelId, Frame, ResetCode, StreamId, StreamMessage, TerminalOpened};
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::Watch;
use super::link_state::LinkState;
use super::outbox::{Outbox, Outgoing};
use super::terminal_channel::TerminalChannel;
use super::text_channel::TextChannel;
use crate::client::ClientError;

/// Messages that a slow listener may be behind.
const MESSAGES: usize = 256;

/// The shared part.
#[derive(Debug)]
pub(super) struct Board {
    pub outbox: Outbox,
    channels: Mutex<Channels>,
    state: watch::Sender<LinkState>,
    messages: broadcast::Sender<StreamMessage>,
    changed: watch::Sender<()>,
    cut: Notify,
    signs: Mutex<Option<Signs>>,
}

/// How far each terminal's input was when a sign was asked for.
type Signs = Vec<(Arc<TerminalChannel>, u64)>;

#[derive(Debug)]
struct Channels {
    terminals: HashMap<ChannelId, Arc<TerminalChannel>>,
    streams: HashMap<StreamId, Arc<TerminalChannel>>,
    texts: HashMap<ChannelId, Arc<TextChannel>>,
    watch: Watch,
    expecting: usize,
}

/// While it lives, channels that nobody has taken yet are kept.
#[derive(Debug)]
pub(super) struct Expecting<'a>(&'a Board);

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        let (terminals, texts) = {
            let mut channels = self.0.lock();
            channels.expecting -= 1;
            let terminals: Vec<_> = channels.terminals.values().cloned().collect();
            let texts: Vec<_> = channels.texts.keys().cloned().collect();
            (terminals, texts)
        };
        terminals.iter().for_each(|one| self.0.let_go(one));
        texts.iter().for_each(|one| self.0.let_go_text(one));
    }
}

impl Channels {
    fn keeps(&self, channel: &ChannelId) -> bool {
        let wanted = match &self.watch {
            Watch::Own => false,
            Watch::Only(wanted) => wanted == channel,
            Watch::All => true,
        };
        wanted || self.expecting > 0
    }
}

impl Board {
    pub fn new(watch: Watch) -> (Self, mpsc::Receiver<Outgoing>) {
        let (outbox, queue) = Outbox::new();
        let board = Self {
            outbox,
            channels: Mutex::new(Channels {
                terminals: HashMap::new(),
                streams: HashMap::new(),
                texts: HashMap::new(),
                watch,
                expecting: 0,
            }),
            state: watch::Sender::new(LinkState::Connected),
            messages: broadcast::Sender::new(MESSAGES),
            changed: watch::Sender::new(()),
            cut: Notify::new(),
            signs: Mutex::new(None),
        };
        (board, queue)
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        // No code under the lock can panic half-way through a change.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn expect(&self) -> Expecting<'_> {
        self.lock().expecting += 1;
        Expecting(self)
    }

    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub fn set_state(&self, state: LinkState) {
        self.state.send_if_modified(|now| {
            let other = !now.is_over() && *now != state;
            if other {
                *now = state;
            }
            other
        });
    }

    pub fn messages(&self) -> broadcast::Receiver<StreamMessage> {
        self.messages.subscribe()
    }

    pub fn tell(&self, message: StreamMessage) {
        // Nobody may be listening.
        let _ = self.messages.send(message);
    }

    pub fn cut(&self) {
        self.cut.notify_one();
    }

    pub async fn cut_asked(&self) {
        self.cut.notified().await;
    }

    /// Ends all that reads or writes.
    pub fn end(&self, why: &str) {
        let (terminals, texts) = {
            let channels = self.lock();
            let terminals: Vec<_> = channels.terminals.values().cloned().collect();
            let texts: Vec<_> = channels.texts.values().cloned().collect();
            (terminals, texts)
        };
        terminals.iter().for_each(|terminal| terminal.gone(why));
        texts.iter().for_each(|text| text.fail(why));
        self.changed.send_replace(());
    }

    /// The connection is gone: no frame goes out before each terminal is attached again.
    pub fn detach(&self) {
        self.lock().terminals.values().for_each(|one| one.detach());
        self.outbox.forget_urgent();
        *self.signs() = None;
    }

    fn signs(&self) -> MutexGuard<'_, Option<Signs>> {
        // No code under the lock can panic half-way through a change.
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server has to be asked for a sign that it has what was typed.
    pub fn wants_sign(&self) -> bool {
        self.signs().is_none()
            && self
                .lock()
                .terminals
                .values()
                .any(|one| one.typed().is_unconfirmed())
    }

    /// A sign is asked for now.
    pub fn ask_sign(&self) {
        let fed = |one: &Arc<TerminalChannel>| (one.clone(), one.typed().fed());
        let asked = self.lock().terminals.values().map(fed).collect();
        *self.signs() = Some(asked);
    }

    /// The sign came.
    pub fn on_sign(&self) {
        for (terminal, fed) in self.signs().take().into_iter().flatten() {
            terminal.typed().confirm(fed);
        }
    }

    pub fn by_stream(&self, stream: StreamId) -> Option<Arc<TerminalChannel>> {
        self.lock().streams.get(&stream).cloned()
    }

    pub fn known_terminal(&self, channel: &ChannelId) -> Option<Arc<TerminalChannel>> {
        self.lock().terminals.get(channel).cloned()
    }

    pub fn add_terminal(&self, opened: TerminalOpened) -> Arc<TerminalChannel> {
        let terminal = Arc::new(TerminalChannel::new(opened));
        let mut channels = self.lock();
        let id = terminal.channel_id().clone();
        channels.terminals.insert(id, terminal.clone());
        channels
            .streams
            .insert(terminal.stream_id(), terminal.clone());
        drop(channels);
        self.changed.send_replace(());
        terminal
    }

    /// The channel of a command, which is made if it is not there.
    pub fn text(&self, channel: &ChannelId) -> Arc<TextChannel> {
        let mut channels = self.lock();
        let texts = &mut channels.texts;
        texts.entry(channel.clone()).or_default().clone()
    }

    /// Takes a terminal once it is there.
    pub async fn terminal(&self, channel: &ChannelId) -> Result<Arc<TerminalChannel>, ClientError> {
        self.wait(|channels| channels.terminals.get(channel).cloned())
            .await
    }

    /// Takes the first terminal once there is one.
    pub async fn any_terminal(&self) -> Result<Arc<TerminalChannel>, ClientError> {
        let running = |channels: &Channels| {
            let running = channels.terminals.values().filter(|one| !one.is_closed());
            running.min_by_key(|one| one.stream_id()).cloned()
        };
        self.wait(running).await
    }

    async fn wait(
        &self,
        find: impl Fn(&Channels) -> Option<Arc<TerminalChannel>>,
    ) -> Result<Arc<TerminalChannel>, ClientError> {
        let mut changed = self.changed.subscribe();
        let mut state = self.state.subscribe();
        loop {
            if let Some(terminal) = find(&self.lock()) {
                terminal.claim();
                return Ok(terminal);
            }
            if let Some(error) = state.borrow_and_update().error() {
                return Err(error);
            }
            // Both senders live as long as this board.
            tokio::select! {
                _ = changed.changed() => {}
                _ = state.changed() => {}
            }
        }
    }

    /// Stops watching a terminal that nobody here reads: it would hold up its program.
    pub fn let_go(&self, terminal: &TerminalChannel) {
        let mut channels = self.lock();
        if terminal.is_claimed() || channels.keeps(terminal.channel_id()) {
            return;
        }
        channels.terminals.remove(terminal.channel_id());
        channels.streams.remove(&terminal.stream_id());
        drop(channels);
        let reset = Frame::reset(terminal.stream_id(), ResetCode::Cancelled, "not watched");
        self.outbox.urgent(terminal, reset);
    }

    /// Drops what came of a command that nobody here reads.
    pub fn let_go_text(&self, channel: &ChannelId) {
        let channels = self.lock();
        if let Some(text) = channels.texts.get(channel)
            && !channels.keeps(channel)
        {
            text.let_go();
        }
    }

    /// Where each channel goes on, as the query says it.
    pub fn positions(&self) -> Vec<(ChannelId, u64)> {
        let channels = self.lock();
        let terminals = channels.terminals.iter();
        let texts = channels.texts.iter();
        terminals
            .map(|(id, one)| (id.clone(), one.received()))
            .chain(texts.map(|(id, one)| (id.clone(), one.received())))
            .collect()
    }

    /// Forgets what the server no longer knows.
    pub fn keep_only(&self, known: &[ChannelId]) {
        let channels = self.lock();
        let lost = "the server no longer knows this channel";
        for (id, terminal) in &channels.terminals {
            if !known.contains(id) && !terminal.is_closed() {
                terminal.gone(lost);
            }
        }
        for (id, text) in &channels.texts {
            if !known.contains(id) {
                text.fail(lost);
            }
        }
    }
}
