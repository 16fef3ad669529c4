//! Who may do what: the roles, the capabilities and the one table that ties them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
pub enum Role {
    /// Runs the system.
    Administrator,
    /// Works on machines.
    Technician,
    /// Looks.
    ReadOnly,
}

/// What a user may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// See clients, sites and agents.
    ReadFleet,
    /// Create clients and sites.
    ManagePlaces,
    /// Delete and move agents.
    ManageAgents,
    /// Create, change and disable users.
    ManageUsers,
    /// Open tunnels and use one's own.
    UseTunnels,
    /// Read everybody's audit.
    ReadAudit,
    /// Run commands, jobs and scripts on agents, and cancel them.
    RunCommands,
    /// Write scripts and schedules.
    ManageAutomation,
    /// Write policies and alert rules, and where alerts are told.
    ManagePolicies,
    /// Acknowledge, resolve and snooze alerts.
    HandleAlerts,
    /// Read the recordings of terminals: administrators everybody's, technicians their own.
    ReadRecordings,
    /// Delete recordings before their time.
    DeleteRecordings,
    /// Watch others' tunnels, and change nothing in them.
    WatchTunnels,
    /// See how the server itself is.
    ReadSystem,
    /// Add releases of the agent and bring them to machines.
    ManageUpdates,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Technician, Self::ReadOnly];

    /// The table: whether the role may do it.
    #[must_use]
    pub fn may(self, capability: Capability) -> bool {
        use Capability::{
            HandleAlerts, ManageAutomation, ReadFleet, ReadRecordings, RunCommands, UseTunnels,
        };
        match self {
            Self::Administrator => true,
            Self::Technician => matches!(
                capability,
                ReadFleet
                    | UseTunnels
                    | RunCommands
                    | ManageAutomation
                    | HandleAlerts
                    | ReadRecordings
            ),
            Self::ReadOnly => matches!(capability, ReadFleet),
        }
    }

    /// Whether the role may do it with what belongs to somebody else, too.
    #[must_use]
    pub fn may_with_others(self, capability: Capability) -> bool {
        let own_only = matches!(capability, Capability::ReadRecordings);
        self.may(capability) && (!own_only || self == Self::Administrator)
    }

    /// Whether it may do all that `other` may.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        let rank = |role| match role {
            Self::ReadOnly => 0,
            Self::Technician => 1,
            Self::Administrator => 2,
        };
        rank(self) >= rank(other)
    }

    /// The word for it on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Technician => "technician",
            Self::ReadOnly => "read_only",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is administrator, technician or read_only")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_user_may_neither_open_tunnels_nor_change_anything() {
        for capability in [
            Capability::UseTunnels,
            Capability::ManagePlaces,
            Capability::ManageAgents,
            Capability::ManageUsers,
            Capability::ReadAudit,
            Capability::RunCommands,
            Capability::ManageAutomation,
            Capability::ManagePolicies,
            Capability::HandleAlerts,
            Capability::ReadRecordings,
            Capability::DeleteRecordings,
            Capability::WatchTunnels,
            Capability::ReadSystem,
            Capability::ManageUpdates,
        ] {
            assert!(!Role::ReadOnly.may(capability), "{capability:?}");
        }
    }

    #[test]
    fn recordings_of_others_are_for_administrators_alone() {
        let reads = Capability::ReadRecordings;
        assert!(Role::Technician.may(reads));
        assert!(!Role::Technician.may_with_others(reads));
        assert!(Role::Administrator.may_with_others(reads));
        assert!(!Role::ReadOnly.may(reads));
        assert!(!Role::Technician.may(Capability::DeleteRecordings));
        assert!(Role::Technician.may_with_others(Capability::HandleAlerts));
    }

    #[test]
    fn only_an_administrator_watches_the_tunnels_of_others() {
        assert!(Role::Administrator.may(Capability::WatchTunnels));
        assert!(!Role::Technician.may(Capability::WatchTunnels));
    }

    #[test]
    fn a_role_includes_itself_and_those_below() {
        assert!(Role::Administrator.includes(Role::Technician));
        assert!(Role::Technician.includes(Role::Technician));
        assert!(Role::Technician.includes(Role::ReadOnly));
        assert!(!Role::ReadOnly.includes(Role::Technician));
        assert!(!Role::Technician.includes(Role::Administrator));
    }

    #[test]
    fn every_role_reads_back_from_its_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
