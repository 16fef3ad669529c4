//! Machines that were copied with their agent's key: two of them come with one key, each with its own start of its
//! own system. One machine that is started again comes with another start, too, but the earlier one never comes back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use gururmm_shared::AgentId;

use crate::db::audit_log::NewEntry;
use crate::db::{Db, DbError, places};
use crate::domain::policy::alerts::Severity;
use crate::services::alerts::{Told, open};
use crate::services::audit_trail;

/// The alert's kind; a person resolves it.
pub const KIND: &str = "copied_machine";
/// Bytes of a start's name that are taken.
const BOOT_ID_BYTES: usize = 64;
/// Agents that are remembered at most; without their memory a copy is found a little later.
const REMEMBERED: usize = 200_000;

/// Who came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Which start of its system this is.
    pub boot_id: String,
    /// What it calls itself.
    pub hostname: String,
    /// From where.
    pub address: IpAddr,
}

/// Two machines with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair(pub Visitor, pub Visitor);

#[derive(Debug, Default)]
struct Memory {
    last: Option<Visitor>,
    before: Option<Visitor>,
}

impl Memory {
    fn came(&mut self, visitor: Visitor) -> Option<Pair> {
        let last = self.last.as_ref();
        if last.is_some_and(|last| last.boot_id == visitor.boot_id) {
            self.last = Some(visitor);
            return None;
        }
        let back = self.before.as_ref();
        let back = back.is_some_and(|before| before.boot_id == visitor.boot_id);
        self.before = self.last.replace(visitor.clone());
        let other = self.before.clone().filter(|_| back)?;
        Some(Pair(visitor, other))
    }
}

/// Who came with which key of late.
#[derive(Default)]
pub struct Copies(Mutex<HashMap<AgentId, Memory>>);

impl Copies {
    /// Notes who came; tells of the two where somebody else came in between.
    pub fn came(&self, agent_id: AgentId, visitor: Visitor) -> Option<Pair> {
        if visitor.boot_id.is_empty() || visitor.boot_id.len() > BOOT_ID_BYTES {
            return None;
        }
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memories.len() >= REMEMBERED && !memories.contains_key(&agent_id) {
            memories.clear();
        }
        memories.entry(agent_id).or_default().came(visitor)
    }
}

/// Writes two machines with one key down, and opens an alert where there is none of it.
///
/// # Errors
/// The database's.
pub async fn report(db: &Db, agent_id: AgentId, Pair(one, other): Pair) -> Result<Told, DbError> {
    let said = |visitor: &Visitor| format!("{} at {}", visitor.hostname, visitor.address);
    let message = format!(
        "two machines use the key of this agent: {} and {}; one is a copy of the other. Remove the agent's identity.json from the copy, and enrol it anew",
        said(&one),
        said(&other)
    );
    let entry = NewEntry {
        agent_id: Some(agent_id),
        agent_hostname: Some(one.hostname.clone()),
        target: agent_id.to_string(),
        remote_addr: one.address.to_string(),
        detail: serde_json::json!({"copies": [said(&one), said(&other)]}).to_string(),
        ..audit_trail::event("agent.copied", "ok")
    };
    audit_trail::note(db, entry).await;
    let place = places::of_agent(db, agent_id).await?.unwrap_or_default();
    open(
        db,
        agent_id,
        place,
        KIND.to_owned(),
        Severity::Critical,
        message,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(boot_id: &str) -> Visitor {
        Visitor {
            boot_id: boot_id.to_owned(),
            hostname: format!("host of {boot_id}"),
            address: IpAddr::from([192, 0, 2, 1]),
        }
    }

    #[test]
    fn a_start_that_comes_back_after_another_is_of_a_second_machine() {
        let (copies, agent) = (Copies::default(), AgentId::generate());
        for boot in ["a", "a", "b", "b", "c"] {
            assert_eq!(copies.came(agent, visitor(boot)), None, "{boot}");
        }
        let pair = Pair(visitor("b"), visitor("c"));
        assert_eq!(copies.came(agent, visitor("b")), Some(pair));
        assert_eq!(
            copies.came(agent, visitor("b")),
            None,
            "a line that breaks is no copy"
        );
    }

    #[test]
    fn agents_are_told_apart_and_those_that_tell_no_start_are_left_alone() {
        let (copies, one, other) = (Copies::default(), AgentId::generate(), AgentId::generate());
        for (agent, boot) in [
            (one, "a"),
            (other, "b"),
            (one, "a"),
            (one, ""),
            (one, "b"),
            (other, "b"),
        ] {
            assert_eq!(copies.came(agent, visitor(boot)), None);
        }
    }
}
