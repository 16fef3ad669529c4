//! Which settings hold for an agent, and what they forbid.

use std::collections::HashMap;
use std::sync::Arc;

use gururmm_shared::AgentId;

use crate::db::policies::Policy;
use crate::db::{Db, DbError, places, policies};
use crate::domain::command_rules::{CommandRules, Refusal};
use crate::domain::policy::{Effective, Layer, Level, PolicySettings, merge};
use crate::domain::scope::Place;

/// How near to an agent a policy is.
#[must_use]
pub fn level(policy: &Policy) -> Level {
    if policy.agent_id.is_some() {
        Level::Agent
    } else if policy.site_id.is_some() {
        Level::Site
    } else if policy.client_id.is_some() {
        Level::Client
    } else {
        Level::Default
    }
}

/// Whether a policy touches an agent at a place.
#[must_use]
pub fn touches(policy: &Policy, agent_id: AgentId, place: Place) -> bool {
    match level(policy) {
        Level::Default => true,
        Level::Client => policy.client_id == place.client_id,
        Level::Site => policy.site_id == place.site_id,
        Level::Agent => policy.agent_id == Some(agent_id),
    }
}

/// The settings of a stored policy.
///
/// # Errors
/// They were written by a program that knows other fields.
pub fn settings(policy: &Policy) -> Result<PolicySettings, DbError> {
    serde_json::from_value(policy.settings.clone())
        .map_err(|error| DbError::Other(format!("policy {} cannot be read: {error}", policy.id)))
}

/// Merges the stored policies that touch one agent.
///
/// # Errors
/// As [`settings`].
pub fn merged<'a>(policies: impl Iterator<Item = &'a Policy>) -> Result<Effective, DbError> {
    let layers = policies.map(|policy| {
        Ok(Layer {
            policy_id: policy.id,
            name: policy.name.clone(),
            level: level(policy),
            settings: settings(policy)?,
        })
    });
    Ok(merge(layers.collect::<Result<_, DbError>>()?))
}

/// What holds for an agent.
///
/// # Errors
/// [`DbError::NotFound`] where there is no such agent.
pub async fn effective(db: &Db, agent_id: AgentId) -> Result<Effective, DbError> {
    let place = places::of_agent(db, agent_id).await?;
    let place = place.ok_or(DbError::NotFound)?;
    let found = policies::of_agent(db, agent_id, place).await?;
    merged(found.iter())
}

/// Why a command is not run.
#[derive(Debug, thiserror::Error)]
pub enum CommandRefused {
    /// The policy does not allow it.
    #[error(transparent)]
    ByPolicy(#[from] Refusal),
    /// The policy cannot be read.
    #[error(transparent)]
    Unknown(#[from] DbError),
}

/// All stored policies, read once; what agents have in common is worked out once.
pub struct Rulebook {
    of_agents: HashMap<AgentId, Policy>,
    wider: Vec<Policy>,
    of_places: HashMap<Place, Arc<CommandRules>>,
}

impl Rulebook {
    /// Reads the policies.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(db: &Db) -> Result<Self, DbError> {
        let mut of_agents = HashMap::new();
        let mut wider = Vec::new();
        for policy in policies::all(db).await? {
            match policy.agent_id {
                Some(id) => {
                    of_agents.insert(id, policy);
                }
                None => wider.push(policy),
            }
        }
        Ok(Self {
            of_agents,
            wider,
            of_places: HashMap::new(),
        })
    }

    /// Whether an agent has a policy of its own.
    fn has_own(&self, agent_id: AgentId) -> bool {
        self.of_agents.contains_key(&agent_id)
    }

    fn rules_for(&mut self, agent_id: AgentId, place: Place) -> Result<Arc<CommandRules>, DbError> {
        let own = self.of_agents.get(&agent_id);
        if own.is_none()
            && let Some(known) = self.of_places.get(&place)
        {
            return Ok(Arc::clone(known));
        }
        let around = self.wider.iter();
        let around = around.filter(|policy| touches(policy, agent_id, place));
        let rules = Arc::new(rules(&merged(around.chain(own))?)?);
        if own.is_none() {
            self.of_places.insert(place, Arc::clone(&rules));
        }
        Ok(rules)
    }

    /// Why an agent does not run a command (its kind, its text), where its policy does not let it.
    ///
    /// # Errors
    /// A stored policy cannot be read.
    pub fn check(
        &mut self,
        agent_id: AgentId,
        place: Place,
        (kind, command): (&str, &str),
    ) -> Result<Option<Refusal>, DbError> {
        Ok(self.rules_for(agent_id, place)?.check(kind, command).err())
    }
}

/// Which of these agents do not run a command (its kind, its text), by their policies; it is looked at once for all agents
/// that have their policies in common.
///
/// # Errors
/// The policies cannot be read.
pub async fn refusals(
    db: &Db,
    agents: &[(AgentId, Place)],
    (kind, command): (&str, &str),
) -> Result<Vec<(AgentId, Refusal)>, DbError> {
    let mut rulebook = Rulebook::load(db).await?;
    let mut of_places: HashMap<Place, Option<Refusal>> = HashMap::new();
    let mut refused = Vec::new();
    for (agent_id, place) in agents {
        let own = rulebook.has_own(*agent_id);
        let refusal = match of_places.get(place) {
            Some(known) if !own => known.clone(),
            _ => {
                let decided = rulebook.check(*agent_id, *place, (kind, command))?;
                if !own {
                    of_places.insert(*place, decided.clone());
                }
                decided
            }
        };
        refused.extend(refusal.map(|refusal| (*agent_id, refusal)));
    }
    Ok(refused)
}

fn rules(effective: &Effective) -> Result<CommandRules, DbError> {
    let commands = &effective.settings.commands;
    commands
        .rules()
        .map_err(|problem| DbError::Other(format!("a pattern of a stored policy {problem}")))
}

/// Whether the policy of an agent lets a command (its kind, its text) run there.
///
/// # Errors
/// [`CommandRefused`]: it does not, or that cannot be found out.
pub async fn check_command(
    db: &Db,
    agent_id: AgentId,
    (kind, command): (&str, &str),
) -> Result<(), CommandRefused> {
    let effective = effective(db, agent_id).await?;
    Ok(rules(&effective)?.check(kind, command)?)
}
