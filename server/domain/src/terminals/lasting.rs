//! Terminals that outlive a lost connection of their agent, or a restart of the server.

use gururmm_shared::{
    ChannelId, Closed, ErrorCode, KeptTerminal, OperationError, StreamId, StreamPosition,
    TunnelData, TunnelPayload,
};

use super::Terminals;
use super::step::{TerminalStep, ToAgent};
use crate::terminal::{NewTerminal, Terminal};

impl Terminals {
    /// Sends the agent nothing until [`Terminals::resume`].
    pub fn suspend(&mut self) {
        for terminal in self.terminals.values_mut() {
            terminal.input.hold();
        }
    }

    /// Goes on with the terminals that an agent kept: how far each is here, and what follows once the agent
    /// knows. The others have ended.
    pub fn resume(&mut self, kept: &[KeptTerminal]) -> (Vec<StreamPosition>, TerminalStep) {
        let (mut positions, mut step) = (Vec::new(), TerminalStep::default());
        let running: Vec<StreamId> = self.running().collect();
        for stream in running {
            let Some(terminal) = self.terminals.get_mut(&stream) else {
                continue;
            };
            let same = |one: &&KeptTerminal| {
                one.position.stream == stream && one.channel_id == terminal.channel_id
            };
            let found = kept.iter().find(same).filter(|one| terminal.fits(one));
            let position = terminal.position();
            let passed = found.and_then(|one| {
                terminal
                    .input
                    .resume(one.position.received, one.position.limit)
            });
            let (Some(one), Some(passed)) = (found, passed) else {
                let error = OperationError::new(
                    ErrorCode::Gone,
                    "the machine did not keep it over the lost connection",
                );
                self.end(stream, Closed::failed(error), Some("lost"), &mut step);
                continue;
            };
            positions.push(position);
            if one.size != terminal.size {
                step.to_agent.push(ToAgent::Data(TunnelData {
                    channel_id: terminal.channel_id.clone(),
                    data: TunnelPayload::Resize(terminal.size),
                }));
            }
            if terminal.closing {
                step.to_agent.push(ToAgent::Data(TunnelData {
                    channel_id: terminal.channel_id.clone(),
                    data: TunnelPayload::Close,
                }));
            }
            self.pass(stream, passed, &mut step);
        }
        (positions, step)
    }

    /// Adds a terminal that an agent kept while there was no server; answers how far it is here. Viewers are
    /// told once the agent has sent again what they need.
    pub fn adopt(
        &mut self,
        new: NewTerminal,
        kept: &KeptTerminal,
    ) -> (StreamPosition, TerminalStep) {
        let stream = new.stream;
        self.channels.insert(new.channel_id.clone(), stream);
        let terminal = Terminal::adopted(new, &kept.position);
        let position = terminal.position();
        self.terminals.insert(stream, terminal);
        let mut step = TerminalStep::default();
        self.greet_all(stream, &mut step);
        (position, step)
    }

    /// The channels of the streams that run.
    pub fn routes(&self) -> Vec<(ChannelId, StreamId)> {
        let running = self.terminals.values().filter(|one| one.is_running());
        running
            .map(|one| (one.channel_id.clone(), one.stream))
            .collect()
    }

    /// The highest numbers of channels and streams that were used: new ones come after them.
    #[must_use]
    pub fn numbers(&self) -> (u64, u32) {
        let number = |one: &Terminal| {
            let name = one.channel_id.as_str().rsplit_once('-');
            name.and_then(|(_, number)| number.parse().ok())
        };
        let channels = self.terminals.values().filter_map(number).max();
        let streams = self.terminals.keys().next_back().map(|stream| stream.0);
        (channels.unwrap_or(0), streams.unwrap_or(0))
    }
}
