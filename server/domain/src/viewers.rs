//! Who watches a session: what each viewer has still to get of each channel, and its credit.

use std::collections::BTreeMap;

use gururmm_shared::{
    ChannelId, ChannelState, OutputGap, StreamMessage, TerminalOutput, TunnelData, TunnelError,
    TunnelPayload,
};

use super::replay::Replay;

/// Bytes on the way to one viewer at most.
pub const VIEWER_CREDIT_BYTES: u64 = 256 * 1024;

/// A viewer's number within its session.
pub type ViewerNumber = u64;

/// A message for one viewer, with the credit it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Who gets it.
    pub viewer: ViewerNumber,
    /// What.
    pub message: StreamMessage,
    /// Bytes to be given back when the viewer's socket has taken it.
    pub bytes: u64,
}

#[derive(Default)]
struct Cursor {
    offset: u64,
    told_end: bool,
}

struct Viewer {
    in_flight: u64,
    from: u64,
    cursors: BTreeMap<ChannelId, Cursor>,
}

/// All viewers of a session.
#[derive(Default)]
pub struct Viewers {
    viewers: BTreeMap<ViewerNumber, Viewer>,
}

impl Viewers {
    /// Tells every viewer of a new channel.
    pub fn announce(
        &mut self,
        channel_id: &ChannelId,
        opened: &StreamMessage,
        bytes: u64,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(self.viewers.len());
        for (&number, viewer) in &mut self.viewers {
            viewer.cursors.insert(channel_id.clone(), Cursor::default());
            viewer.in_flight += bytes;
            deliveries.push(Delivery {
                viewer: number,
                message: opened.clone(),
                bytes,
            });
        }
        deliveries
    }

    /// Adds a viewer that watches from `from` on, in every channel; `owed` bytes are on the way to
    /// it already.
    pub fn attach(&mut self, viewer: ViewerNumber, from: u64, owed: u64) {
        self.viewers.insert(
            viewer,
            Viewer {
                in_flight: owed,
                from,
                cursors: BTreeMap::new(),
            },
        );
    }

    /// Takes a viewer away.
    pub fn detach(&mut self, viewer: ViewerNumber) {
        self.viewers.remove(&viewer);
    }

    /// Gives a viewer back the credit of what its socket has taken; false if there is no such one.
    pub fn consumed(&mut self, viewer: ViewerNumber, bytes: u64) -> bool {
        let Some(watching) = self.viewers.get_mut(&viewer) else {
            return false;
        };
        watching.in_flight = watching.in_flight.saturating_sub(bytes);
        true
    }

    /// Those that have something on the way.
    pub fn waiting(&self) -> impl Iterator<Item = ViewerNumber> + '_ {
        self.viewers
            .iter()
            .filter(|(_, viewer)| viewer.in_flight > 0)
            .map(|(&number, _)| number)
    }

    /// Sends each viewer what its credit allows of a channel; answers up to which byte the slowest
    /// has been sent it.
    pub fn feed(
        &mut self,
        channel_id: &ChannelId,
        replay: &Replay,
        state: &ChannelState,
    ) -> (Vec<Delivery>, u64) {
        let mut deliveries = Vec::new();
        let mut slowest = replay.next();
        for (&number, viewer) in &mut self.viewers {
            let cursor = viewer.cursors.entry(channel_id.clone()).or_insert(Cursor {
                offset: viewer.from,
                told_end: false,
            });
            let room = VIEWER_CREDIT_BYTES.saturating_sub(viewer.in_flight);
            let sent = fill(
                number,
                channel_id,
                replay,
                state,
                cursor,
                room,
                &mut deliveries,
            );
            viewer.in_flight += sent;
            slowest = slowest.min(cursor.offset);
        }
        (deliveries, slowest)
    }

    /// Forgets a channel.
    pub fn forget(&mut self, channel_id: &ChannelId) {
        for viewer in self.viewers.values_mut() {
            viewer.cursors.remove(channel_id);
        }
    }
}

/// Sends one viewer what is new in one channel, at most `room` bytes of it; answers the bytes.
fn fill(
    viewer: ViewerNumber,
    channel_id: &ChannelId,
    replay: &Replay,
    state: &ChannelState,
    cursor: &mut Cursor,
    room: u64,
    deliveries: &mut Vec<Delivery>,
) -> u64 {
    let mut send = |message, bytes| {
        deliveries.push(Delivery {
            viewer,
            message,
            bytes,
        })
    };
    let mut sent = 0;
    // Only to a viewer that takes something: one gap then stands for all that was missed.
    if room > 0 && cursor.offset < replay.first() {
        let gap = OutputGap {
            channel_id: channel_id.clone(),
            from: cursor.offset,
            to: replay.first(),
        };
        send(StreamMessage::OutputGap(gap), 0);
        cursor.offset = replay.first();
    }
    while sent < room
        && let Some(piece) = replay.at(cursor.offset)
    {
        let piece = piece.since(cursor.offset);
        let bytes = piece.end() - piece.offset;
        send(data(channel_id, piece.to_output()), bytes);
        cursor.offset = piece.end();
        sent += bytes;
    }
    if cursor.offset >= replay.next() && !cursor.told_end {
        match state {
            ChannelState::Running => {}
            ChannelState::Ended { exit_code, reason } => {
                let last = TerminalOutput {
                    exit_code: *exit_code,
                    reason: *reason,
                    offset: Some(replay.next()),
                    ..TerminalOutput::default()
                };
                send(data(channel_id, last), 0);
                cursor.told_end = true;
            }
            ChannelState::Failed { error } => {
                let error = TunnelError {
                    channel_id: channel_id.clone(),
                    error: error.clone(),
                };
                send(StreamMessage::TunnelError(error), 0);
                cursor.told_end = true;
            }
        }
    }
    sent
}

fn data(channel_id: &ChannelId, output: TerminalOutput) -> StreamMessage {
    StreamMessage::TunnelData(TunnelData {
        channel_id: channel_id.clone(),
        data: TunnelPayload::TerminalOutput(output),
    })
}
