//! Which settings hold for an agent, and what they forbid.

use std::collections::HashMap;

use gururmm_shared::{AgentId, ClientId, SiteId};

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

/// Which of these agents do not run a command, by their policies; reads all policies once, and works
/// out what agents have in common once.
///
/// # Errors
/// The policies cannot be read.
pub async fn refusals(
    db: &Db,
    agents: &[(AgentId, Place)],
    command: &str,
) -> Result<Vec<(AgentId, Refusal)>, DbError> {
    let stored = policies::list(db).await?;
    let mut of_agents = HashMap::new();
    let mut wider = Vec::new();
    for policy in &stored {
        match policy.agent_id {
            Some(id) => {
                of_agents.insert(id, policy);
            }
            None => wider.push(policy),
        }
    }
    let mut of_places: HashMap<(Option<ClientId>, Option<SiteId>), Option<Refusal>> =
        HashMap::new();
    let mut refused = Vec::new();
    for (agent_id, place) in agents {
        let own = of_agents.get(agent_id).copied();
        let there = (place.client_id, place.site_id);
        let decide = || {
            let around = wider.iter().copied();
            let around = around.filter(|policy| touches(policy, *agent_id, *place));
            let rules = rules(&merged(around.chain(own))?)?;
            Ok::<_, DbError>(rules.check(command).err())
        };
        let refusal = match of_places.get(&there) {
            Some(known) if own.is_none() => known.clone(),
            _ => {
                let decided = decide()?;
                if own.is_none() {
                    of_places.insert(there, decided.clone());
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

/// Whether the policy of an agent lets a command run there.
///
/// # Errors
/// [`CommandRefused`]: it does not, or that cannot be found out.
pub async fn check_command(
    db: &Db,
    agent_id: AgentId,
    command: &str,
) -> Result<(), CommandRefused> {
    let effective = effective(db, agent_id).await?;
    Ok(rules(&effective)?.check(command)?)
}
