//! The book of commands outside tunnels: what waits, what runs, what has ended, which results the
//! server has not acknowledged. Pure: it is told events and tells what is to be written and done.
//!
//! ```text
//!             room                        ends              Ack
//!   queued ─────────▶ running ──────────────────▶ waiting ─────────▶ remembered ──▶ forgotten
//!      │ not written      │ the agent died: interrupted ▲      (10,000 later)
//!      ▼                  └─────────────────────────────┤
//!   forgotten with the    cancelled, refused ───────────┘  never started
//!   agent: the server sends it again
//! ```
//!
//! An id is written before its command starts. From then on it is known for ever after, as far as
//! memory is bounded, and a repeat is answered and never run.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gururmm_shared::{Command, CommandId, CommandResult};

use super::kept::written_bytes;
use super::record::{Record, Summary};
use super::step::{Effect, Event, Room};
use super::verdict;
use crate::platform::Leader;

/// Acknowledged commands that are remembered. No age ends that: a clock that jumps would make the
/// agent forget, and what is forgotten can run twice.
const REMEMBERED: usize = 10_000;

/// Results that may wait for their acknowledgement; the oldest are then only remembered.
const WAITING: usize = 10_000;

/// Output that the waiting results may hold together, as JSON writes it; the oldest is given up.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Output that waited for so long is given up when the agent starts.
const OUTPUT_AGE_SECONDS: u64 = 30 * 86_400;

/// Text of commands that may wait for room.
const QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// Ids that an `auth` has room for: it may be 16 KiB long.
const IN_FLIGHT: usize = 256;

#[derive(Debug)]
struct Waiting {
    at: u64,
    result: Arc<CommandResult>,
}

/// The book.
#[derive(Debug)]
pub struct Ledger {
    room: Room,
    queue: VecDeque<Command>,
    queued_bytes: usize,
    running: Vec<(CommandId, Option<Leader>)>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    remembered: HashMap<CommandId, Summary>,
    remembered_order: VecDeque<CommandId>,
    stopping: bool,
}

impl Ledger {
    /// An empty book.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self {
            room,
            queue: VecDeque::new(),
            queued_bytes: 0,
            running: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            remembered: HashMap::new(),
            remembered_order: VecDeque::new(),
            stopping: false,
        }
    }

    /// The book as `records` tell it, at `now`. What it says to be running was left by an agent that
    /// has died: once it is made sure that it does not run, its end is to be told as an event.
    #[must_use]
    pub fn recover(room: Room, records: Vec<Record>, now: u64) -> Self {
        let mut ledger = Self::new(room);
        for record in records {
            ledger.replay(record);
        }
        let stale = |one: &Waiting| one.at.saturating_add(OUTPUT_AGE_SECONDS) < now;
        for place in 0..ledger.waiting.len() {
            if stale(&ledger.waiting[place]) {
                ledger.give_up_output(place);
            }
        }
        ledger
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Started { id } if !self.knows(id) => self.running.push((id, None)),
            Record::Started { .. } => {}
            Record::Running { id, leader } => self.note_leader(id, leader),
            Record::Ended { at, result } => {
                self.running.retain(|(running, _)| *running != result.id);
                if !self.knows(result.id) {
                    self.keep(at, result);
                }
            }
            Record::Acknowledged { id, summary } => {
                self.running.retain(|(running, _)| *running != id);
                self.take_waiting(id);
                self.remember(id, summary);
            }
        }
    }

    /// Everything that is to survive the agent's end, in as few records as can be.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let remembered = self.remembered_order.iter().filter_map(|id| {
            let (id, summary) = (*id, *self.remembered.get(id)?);
            Some(Record::Acknowledged { id, summary })
        });
        let started = self
            .running
            .iter()
            .map(|(id, _)| Record::Started { id: *id });
        let leaders = self
            .running
            .iter()
            .filter_map(|(id, leader)| leader.map(|leader| Record::Running { id: *id, leader }));
        let waiting = self.waiting.iter().map(Waiting::record);
        remembered
            .chain(started)
            .chain(leaders)
            .chain(waiting)
            .collect()
    }

    /// Takes an event, at `now` in seconds since 1970, and tells what is to be done, in order.
    pub fn on_event(&mut self, event: Event, now: u64) -> Vec<Effect> {
        match event {
            Event::Ordered(command) => self.ordered(*command, now),
            Event::Begun(id, leader) => {
                self.note_leader(id, leader);
                vec![Effect::Note(Record::Running { id, leader })]
            }
            Event::Ended(result) if self.result(result.id).is_some() => Vec::new(),
            Event::Ended(result) => {
                self.running.retain(|(running, _)| *running != result.id);
                let mut effects = self.ended(result, now);
                effects.extend(self.fill());
                effects
            }
            Event::Cancelled(id) => self.cancelled(id, now),
            Event::Acknowledged(id) => self.acknowledged(id),
            Event::Stopping => {
                self.stopping = true;
                // They were never started: the server sends them to the next agent.
                self.queue.clear();
                self.queued_bytes = 0;
                let running = self.running.iter();
                running.map(|(id, _)| Effect::Interrupt(*id)).collect()
            }
        }
    }

    fn ordered(&mut self, command: Command, now: u64) -> Vec<Effect> {
        let id = command.id;
        if let Some(result) = self.result(id) {
            return vec![Effect::Send(result)];
        }
        if self.stopping || self.knows(id) {
            return Vec::new();
        }
        let bytes = self.queued_bytes + size_of_order(&command);
        let full = self.running.len() >= self.room.running
            && (self.queue.len() >= self.room.queued || bytes > QUEUED_BYTES);
        if full {
            let waiting = self.queue.len();
            let running = self.running.len();
            let refusal = format!(
                "{running} commands are running and {waiting} wait already: send it again later"
            );
            return self.ended(verdict::refused(id, refusal), now);
        }
        self.queued_bytes = bytes;
        self.queue.push_back(command);
        self.fill()
    }

    fn fill(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.running.len() < self.room.running
            && let Some(command) = self.queue.pop_front()
        {
            self.queued_bytes -= size_of_order(&command);
            self.running.push((command.id, None));
            effects.push(Effect::Start(Box::new(command)));
        }
        effects
    }

    fn cancelled(&mut self, id: CommandId, now: u64) -> Vec<Effect> {
        if let Some(result) = self.result(id) {
            return vec![Effect::Send(result)];
        }
        if self.is_running(id) {
            return vec![Effect::Cancel(id)];
        }
        if let Some(place) = self.queue.iter().position(|command| command.id == id)
            && let Some(command) = self.queue.remove(place)
        {
            self.queued_bytes -= size_of_order(&command);
        }
        self.ended(verdict::cancelled(id), now)
    }

    fn ended(&mut self, result: CommandResult, now: u64) -> Vec<Effect> {
        let result = Arc::new(result);
        self.keep(now, Arc::clone(&result));
        let record = Record::Ended {
            at: now,
            result: Arc::clone(&result),
        };
        vec![Effect::Keep(record, result)]
    }

    fn acknowledged(&mut self, id: CommandId) -> Vec<Effect> {
        let Some(taken) = self.take_waiting(id) else {
            return Vec::new();
        };
        let summary = Summary::of(&taken.result);
        self.remember(id, summary);
        vec![Effect::Note(Record::Acknowledged { id, summary })]
    }

    fn keep(&mut self, at: u64, result: Arc<CommandResult>) {
        self.waiting_bytes += size(&result);
        self.waiting.push_back(Waiting { at, result });
        let mut oldest = 0;
        // The newest is never given up.
        while self.waiting_bytes > WAITING_BYTES && oldest + 1 < self.waiting.len() {
            self.give_up_output(oldest);
            oldest += 1;
        }
        while self.waiting.len() > WAITING
            && let Some(lost) = self.waiting.pop_front()
        {
            self.waiting_bytes -= size(&lost.result);
            tracing::error!(command.id = %lost.result.id, "too many results wait for the server: this one is told only when it is asked for again");
            self.remember(lost.result.id, Summary::of(&lost.result));
        }
    }

    fn give_up_output(&mut self, place: usize) {
        let Some(waiting) = self.waiting.get_mut(place) else {
            return;
        };
        let bare = verdict::without_output(waiting.result.id, Summary::of(&waiting.result));
        let (before, after) = (size(&waiting.result), size(&bare));
        // Nothing is won by giving up less than the mark takes.
        if before > after {
            tracing::warn!(command.id = %bare.id, "the output of a result that waits for the server is given up");
            waiting.result = Arc::new(bare);
            self.waiting_bytes -= before - after;
        }
    }

    fn remember(&mut self, id: CommandId, summary: Summary) {
        if self.remembered.insert(id, summary).is_none() {
            self.remembered_order.push_back(id);
        }
        while self.remembered_order.len() > REMEMBERED
            && let Some(oldest) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }

    fn note_leader(&mut self, id: CommandId, leader: Leader) {
        if let Some((_, known)) = self.running.iter_mut().find(|(running, _)| *running == id) {
            *known = Some(leader);
        }
    }

    fn take_waiting(&mut self, id: CommandId) -> Option<Waiting> {
        let place = self.waiting.iter().position(|one| one.result.id == id)?;
        let taken = self.waiting.remove(place)?;
        self.waiting_bytes -= size(&taken.result);
        Some(taken)
    }

    /// The result of a command that has ended.
    fn result(&self, id: CommandId) -> Option<Arc<CommandResult>> {
        if let Some(waiting) = self.waiting.iter().find(|one| one.result.id == id) {
            return Some(Arc::clone(&waiting.result));
        }
        let summary = *self.remembered.get(&id)?;
        Some(Arc::new(verdict::without_output(id, summary)))
    }

    fn is_running(&self, id: CommandId) -> bool {
        self.running.iter().any(|(running, _)| *running == id)
    }

    fn knows(&self, id: CommandId) -> bool {
        self.is_running(id)
            || self.remembered.contains_key(&id)
            || self.queue.iter().any(|command| command.id == id)
            || self.waiting.iter().any(|one| one.result.id == id)
    }

    /// The commands that run, and the first process of each where it is known.
    #[must_use]
    pub fn running(&self) -> &[(CommandId, Option<Leader>)] {
        &self.running
    }

    /// The results that wait for their acknowledgement, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<CommandResult>> {
        self.waiting.iter().map(|one| &one.result)
    }

    /// The commands that run, wait for room or wait for an acknowledgement; at most as many as an
    /// `auth` has room for. Of what is left out a repeat is answered as well.
    #[must_use]
    pub fn in_flight(&self) -> Vec<CommandId> {
        let running = self.running.iter().map(|(id, _)| *id);
        let queued = self.queue.iter().map(|command| command.id);
        let waiting = self.waiting.iter().map(|one| one.result.id);
        let all = running.chain(queued).chain(waiting);
        all.take(IN_FLIGHT).collect()
    }
}

impl Waiting {
    fn record(&self) -> Record {
        Record::Ended {
            at: self.at,
            result: Arc::clone(&self.result),
        }
    }
}

fn size(result: &CommandResult) -> usize {
    written_bytes(&result.stdout) + written_bytes(&result.stderr)
}

fn size_of_order(command: &Command) -> usize {
    use gururmm_shared::CommandType::ClaudeTask;
    let task = match &command.command_type {
        ClaudeTask {
            task,
            context_files,
            ..
        } => task.len() + context_files.iter().map(String::len).sum::<usize>(),
        _ => 0,
    };
    command.command.len() + task
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
