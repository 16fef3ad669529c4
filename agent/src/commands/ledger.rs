//! The book of commands outside tunnels: what runs, what ended, which results the server has not
//! acknowledged. Pure, in memory and bounded: it does not survive the agent's end.

use std::collections::{HashMap, HashSet, VecDeque};

use gururmm_shared::{CommandId, CommandResult};

/// Ended commands that are remembered, so that a repeated order is answered and not run again.
const REMEMBERED: usize = 1024;

/// Results that may wait for their acknowledgement.
const UNACKNOWLEDGED: usize = 256;

/// Output that the waiting results may hold together.
const UNACKNOWLEDGED_BYTES: usize = 32 * 1024 * 1024;

/// What is to be done with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Run it.
    Start,
    /// It runs already.
    Running,
    /// It has ended before; this is its result.
    Ended(CommandResult),
}

/// The book.
#[derive(Debug, Default)]
pub struct Ledger {
    running: HashSet<CommandId>,
    ended: HashMap<CommandId, CommandResult>,
    ended_order: VecDeque<CommandId>,
    waiting: VecDeque<CommandId>,
    waiting_bytes: usize,
}

impl Ledger {
    /// Takes an order.
    pub fn begin(&mut self, id: CommandId) -> Begin {
        if let Some(result) = self.ended.get(&id) {
            return Begin::Ended(result.clone());
        }
        if self.running.insert(id) {
            Begin::Start
        } else {
            Begin::Running
        }
    }

    /// How many commands run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Takes a result, to be kept until it is acknowledged; tells those given up for it.
    pub fn end(&mut self, result: CommandResult) -> Vec<CommandId> {
        let id = result.id;
        self.running.remove(&id);
        self.waiting_bytes += size(&result);
        self.waiting.push_back(id);
        if self.ended.insert(id, result).is_none() {
            self.ended_order.push_back(id);
        }
        let mut given_up = Vec::new();
        while self.waiting.len() > UNACKNOWLEDGED
            || (self.waiting_bytes > UNACKNOWLEDGED_BYTES && self.waiting.len() > 1)
        {
            let Some(oldest) = self.waiting.front().copied() else {
                break;
            };
            self.acknowledge(oldest);
            given_up.push(oldest);
        }
        while self.ended_order.len() > REMEMBERED {
            if let Some(oldest) = self.ended_order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
        given_up
    }

    /// Notes that the server has a result: of it only how it ended is remembered.
    pub fn acknowledge(&mut self, id: CommandId) {
        let Some(place) = self.waiting.iter().position(|waiting| *waiting == id) else {
            return;
        };
        self.waiting.remove(place);
        if let Some(result) = self.ended.get_mut(&id) {
            self.waiting_bytes -= size(result);
            result.stdout = String::new();
            result.stderr = String::new();
        }
    }

    /// The results that wait for their acknowledgement, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &CommandResult> {
        self.waiting.iter().filter_map(|id| self.ended.get(id))
    }

    /// The commands that run or whose results wait; at most as many as an `auth` has room for.
    #[must_use]
    pub fn in_flight(&self) -> Vec<CommandId> {
        self.running
            .iter()
            .chain(&self.waiting)
            .take(UNACKNOWLEDGED)
            .copied()
            .collect()
    }
}

fn size(result: &CommandResult) -> usize {
    result.stdout.len() + result.stderr.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: CommandId, bytes: usize) -> CommandResult {
        CommandResult {
            id,
            exit_code: Some(0),
            stdout: "x".repeat(bytes),
            stderr: String::new(),
            duration_ms: 1,
            reason: None,
        }
    }

    #[test]
    fn a_repeated_order_is_not_run_again() {
        let mut ledger = Ledger::default();
        let id = CommandId::generate();
        assert_eq!(ledger.begin(id), Begin::Start);
        assert_eq!(ledger.begin(id), Begin::Running);
        ledger.end(result(id, 3));
        assert_eq!(ledger.begin(id), Begin::Ended(result(id, 3)));
        ledger.acknowledge(id);
        assert_eq!(ledger.begin(id), Begin::Ended(result(id, 0)));
    }

    #[test]
    fn a_result_waits_until_it_is_acknowledged() {
        let mut ledger = Ledger::default();
        let (first, second) = (CommandId::generate(), CommandId::generate());
        ledger.begin(first);
        assert_eq!(ledger.in_flight(), [first]);
        ledger.end(result(first, 1));
        ledger.begin(second);
        assert_eq!(ledger.in_flight().len(), 2);
        assert_eq!(ledger.waiting().count(), 1);
        ledger.acknowledge(second);
        assert_eq!(
            ledger.waiting().count(),
            1,
            "a running command has no result yet"
        );
        ledger.acknowledge(first);
        ledger.acknowledge(first);
        assert_eq!(ledger.waiting().count(), 0);
        assert_eq!((ledger.running(), ledger.waiting_bytes), (1, 0));
    }

    #[test]
    fn waiting_results_are_bounded_in_number_and_in_bytes() {
        let mut ledger = Ledger::default();
        let ids: Vec<_> = (0..=UNACKNOWLEDGED)
            .map(|_| CommandId::generate())
            .collect();
        let given_up: Vec<_> = ids
            .iter()
            .flat_map(|id| ledger.end(result(*id, 1)))
            .collect();
        assert_eq!(given_up, ids[..1]);
        let big = CommandId::generate();
        assert_eq!(
            ledger.end(result(big, UNACKNOWLEDGED_BYTES)).len(),
            UNACKNOWLEDGED
        );
        assert_eq!(ledger.waiting_bytes, UNACKNOWLEDGED_BYTES);
        assert_eq!(ledger.waiting().count(), 1, "the newest is never given up");
    }

    #[test]
    fn ended_commands_are_remembered_up_to_a_bound() {
        let mut ledger = Ledger::default();
        for _ in 0..2 * REMEMBERED {
            ledger.end(result(CommandId::generate(), 1));
        }
        assert_eq!(ledger.ended.len(), REMEMBERED);
    }
}
