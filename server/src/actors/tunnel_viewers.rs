//! Who watches a session: attaching, credit, probes, and viewers that take nothing.

use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use gururmm_shared::{
    ChannelId, ErrorReply, Probe, ServerMessage, SessionSnapshot, StreamMessage, TunnelData,
    TunnelPayload, ViewerInfo, ViewerList, close_code,
};

use super::session_messages::{AttachViewer, FromViewer, Onlooker, SessionError, ToViewer};
use super::tunnel::TunnelSession;
use crate::domain::channels::{Cancelled, Outgoing};
use crate::domain::session_state::Phase;
use crate::domain::terminal_input::ViewerKey;
use crate::domain::viewers::ViewerNumber;

/// A viewer and what it is waited for.
pub(super) struct WatchingViewer {
    /// Its socket.
    pub(super) socket: Recipient<ToViewer>,
    /// When it last took something, or was last owed nothing.
    progress: Instant,
    /// Its probe that is on the way, under the name it gave the channel.
    probe: Option<ChannelId>,
    /// Who it is.
    who: Onlooker,
    /// Whether it knows terminals.
    pub(super) terminals: bool,
}

impl TunnelSession {
    /// Sends what a step of the channels asks for.
    pub(super) fn send_out(&mut self, outgoing: Outgoing) {
        for delivery in outgoing.deliveries {
            if let Some(viewer) = self.viewers.get(&delivery.viewer) {
                let text = ByteString::from(delivery.message.encode());
                viewer.socket.do_send(ToViewer::Text {
                    text,
                    bytes: delivery.bytes,
                });
            }
        }
        for grant in outgoing.grants {
            let window = gururmm_shared::OutputWindow { limit: grant.limit };
            self.send_to_agent(ServerMessage::TunnelData(TunnelData {
                channel_id: grant.channel_id,
                data: TunnelPayload::Window(window),
            }));
        }
    }

    fn send_to_viewer(&self, number: ViewerNumber, message: &StreamMessage) {
        if let Some(viewer) = self.viewers.get(&number) {
            let text = ByteString::from(message.encode());
            viewer.socket.do_send(ToViewer::Text { text, bytes: 0 });
        }
    }

    /// The session as a viewer meets it; one that does not know terminals sees none of them.
    fn snapshot(&self, number: ViewerNumber) -> StreamMessage {
        let viewer = self.viewers.get(&number);
        let knows_terminals = viewer.is_some_and(|viewer| viewer.terminals);
        let mut channels = self.channels.summaries();
        if knows_terminals {
            channels.extend(self.terminals.summaries());
        }
        StreamMessage::Session(SessionSnapshot {
            session_id: self.id,
            agent_id: self.agent.agent_id,
            status: self.state.status().to_owned(),
            opened_at: self.opened_at,
            channels,
            viewer: knows_terminals.then_some(number),
            read_only: viewer.is_some_and(|viewer| viewer.who.read_only),
            consent: self.consent,
        })
    }

    /// A viewer's own actor cannot notice that its peer takes nothing: it is frozen with it.
    pub(super) fn drop_stalled_viewers(&mut self, now: Instant) {
        let waiting: Vec<ViewerNumber> = self.channels.waiting_viewers().collect();
        let patience = Duration::from_secs(self.settings.viewer_stall_seconds.into());
        let mut stalled = Vec::new();
        for (number, viewer) in &mut self.viewers {
            if !viewer.socket.connected() {
                // It left before it had its number, so it could not say goodbye.
                stalled.push(*number);
            } else if !waiting.contains(number) {
                viewer.progress = now;
            } else if now.saturating_duration_since(viewer.progress) >= patience {
                stalled.push(*number);
            }
        }
        for number in self.terminals.tick(now, patience) {
            if !stalled.contains(&number) {
                stalled.push(number);
            }
        }
        let some = !stalled.is_empty();
        for number in stalled {
            tracing::warn!(session.id = %self.id, viewer = number, "a viewer took nothing for too long and is closed");
            if let Some(viewer) = self.viewers.remove(&number) {
                let reason = "took no data for too long";
                viewer.socket.do_send(ToViewer::Close {
                    code: close_code::STALLED,
                    reason,
                });
            }
            self.detach(number);
        }
        if some {
            self.announce_viewers();
        }
    }

    /// Whoever waited for this viewer waits no more.
    fn detach(&mut self, number: ViewerNumber) {
        let outgoing = self.channels.detach(number);
        self.send_out(outgoing);
        let step = self.terminals.detach(number, Instant::now());
        self.carry_out(step);
    }

    /// Tells those who know the message who watches now.
    fn announce_viewers(&mut self) {
        let mut viewers: Vec<ViewerInfo> = self
            .viewers
            .iter()
            .map(|(number, viewer)| ViewerInfo {
                viewer: *number,
                user_id: viewer.who.user_id,
                name: viewer.who.name.clone(),
                read_only: viewer.who.read_only,
            })
            .collect();
        viewers.sort_unstable_by_key(|viewer| viewer.viewer);
        let list = StreamMessage::Viewers(ViewerList { viewers });
        let step = self.terminals.tell_all(&list);
        self.carry_out(step);
    }

    /// A viewer that comes back by its name takes the place of the socket that it had, which may not know yet
    /// that it is dead.
    fn replace(&mut self, key: Option<ViewerKey>) {
        let Some(number) = key.and_then(|key| self.terminals.by_key(key)) else {
            return;
        };
        if let Some(viewer) = self.viewers.remove(&number) {
            viewer.socket.do_send(ToViewer::Close {
                code: close_code::REPLACED,
                reason: "the same viewer attached again",
            });
        }
        self.detach(number);
    }

    /// What was to measure the line is lost with it.
    pub(super) fn forget_probes(&mut self) {
        for viewer in self.viewers.values_mut() {
            viewer.probe = None;
        }
    }

    fn on_viewer_data(&mut self, number: ViewerNumber, data: TunnelData) {
        if !matches!(self.state.phase(), Phase::Ready | Phase::Suspended) {
            return;
        }
        self.note_activity();
        let viewer = self.viewers.get(&number);
        let knows_terminals = viewer.is_some_and(|viewer| viewer.terminals);
        let read_only = viewer.is_some_and(|viewer| viewer.who.read_only);
        match data.data {
            TunnelPayload::Resize(_) | TunnelPayload::Signal(_) if knows_terminals => {
                self.viewer_order(number, data);
            }
            TunnelPayload::Close if knows_terminals && self.terminals.has(&data.channel_id) => {
                self.viewer_order(number, data);
            }
            TunnelPayload::Close if read_only => {
                self.refuse(number, "read_only", "you only watch this session");
            }
            TunnelPayload::Close => match self.channels.cancel(&data.channel_id) {
                Cancelled::Now => self.send_to_agent(ServerMessage::TunnelData(data)),
                // The agent needs no reminder, and its connection has no bound for them.
                Cancelled::Before => {}
                Cancelled::NotRunning => {
                    self.refuse(number, "unknown_channel", "no command runs in that channel");
                }
            },
            TunnelPayload::Probe(_) if self.state.phase() == Phase::Suspended => {
                self.refuse(number, "suspended", "the line to the agent is lost");
            }
            TunnelPayload::Probe(probe) => self.send_probe(number, data.channel_id, probe),
            _ => self.refuse(
                number,
                "unknown_payload",
                "a viewer sends close and probe only",
            ),
        }
    }

    pub(super) fn refuse(&self, number: ViewerNumber, code: &str, message: &str) {
        let error = ErrorReply {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        self.send_to_viewer(number, &StreamMessage::Error(error));
    }

    /// One probe of each viewer at a time: that is their bound.
    fn send_probe(&mut self, number: ViewerNumber, channel_id: ChannelId, probe: Probe) {
        if probe.data.len() > Probe::MAX_BYTES {
            return self.refuse(number, "probe_too_long", "a probe has at most 1024 bytes");
        }
        let Some(viewer) = self.viewers.get_mut(&number) else {
            return;
        };
        if viewer.probe.is_some() {
            return self.refuse(
                number,
                "probe_pending",
                "wait for the last probe to come back",
            );
        }
        let Ok(name) = ChannelId::try_from(format!("probe-{number}")) else {
            return;
        };
        viewer.probe = Some(channel_id);
        self.send_to_agent(ServerMessage::TunnelData(TunnelData {
            channel_id: name,
            data: TunnelPayload::Probe(probe),
        }));
    }

    /// Takes a probe back to the viewer whose number stands in the channel's name.
    pub(super) fn deliver_probe(&mut self, channel_id: &ChannelId, probe: Probe) {
        let number = channel_id
            .as_str()
            .strip_prefix("probe-")
            .and_then(|n| n.parse().ok());
        let Some(number) = number else { return };
        let Some(viewer) = self.viewers.get_mut(&number) else {
            return;
        };
        let Some(channel_id) = viewer.probe.take() else {
            return;
        };
        if probe.data.len() <= Probe::MAX_BYTES {
            let data = TunnelData {
                channel_id,
                data: TunnelPayload::ProbeReply(probe),
            };
            self.send_to_viewer(number, &StreamMessage::TunnelData(data));
        }
    }
}

impl Handler<AttachViewer> for TunnelSession {
    type Result = Result<(), SessionError>;

    fn handle(&mut self, message: AttachViewer, _: &mut Self::Context) -> Self::Result {
        if !matches!(self.state.phase(), Phase::Ready | Phase::Suspended) {
            return Err(SessionError::Closed);
        }
        self.replace(message.terminals.as_ref().and_then(|watch| watch.key));
        let most = self.settings.max_viewers as usize;
        if self.viewers.len() >= most {
            return Err(SessionError::TooManyViewers(most));
        }
        self.note_activity();
        self.next_viewer += 1;
        let number = self.next_viewer;
        message.viewer.do_send(ToViewer::Attached(number));
        let viewer = WatchingViewer {
            socket: message.viewer,
            progress: Instant::now(),
            probe: None,
            who: message.who,
            terminals: message.terminals.is_some(),
        };
        self.viewers.insert(number, viewer);
        let snapshot = self.snapshot(number).encode();
        let bytes = snapshot.len() as u64;
        let outgoing = self.channels.attach(number, message.from, bytes);
        if let Some(viewer) = self.viewers.get(&number) {
            let text = ByteString::from(snapshot);
            viewer.socket.do_send(ToViewer::Text { text, bytes });
        }
        self.send_out(outgoing);
        if let Some(watch) = message.terminals {
            if self.state.phase() == Phase::Suspended {
                self.send_to_viewer(number, &self.suspended_message());
            }
            let step = self.terminals.attach(number, watch, 0);
            self.carry_out(step);
        }
        self.announce_viewers();
        Ok(())
    }
}

impl Handler<FromViewer> for TunnelSession {
    type Result = ();

    fn handle(&mut self, message: FromViewer, _: &mut Self::Context) {
        match message {
            FromViewer::Consumed(number, bytes) => {
                if let Some(viewer) = self.viewers.get_mut(&number) {
                    viewer.progress = Instant::now();
                }
                let outgoing = self.channels.consumed(number, bytes);
                self.send_out(outgoing);
            }
            FromViewer::Taken(number, bytes) => {
                let step = self.terminals.taken(number, bytes);
                self.carry_out(step);
            }
            FromViewer::Said(number, data) => self.on_viewer_data(number, data),
            FromViewer::TakeSize(number, take) => self.viewer_takes_size(number, take),
            FromViewer::Frame(number, frame) => self.viewer_frame(number, frame),
            FromViewer::Gone(number) => {
                // One that was replaced or dropped has been let go before.
                if self.viewers.remove(&number).is_some() {
                    self.detach(number);
                    self.announce_viewers();
                }
            }
        }
    }
}
