//! Tells connected agents what has changed in the policies that touch them.
//!
//! One actor, one push after the other: two at once could overtake each other and leave an agent
//! with the older settings. An agent that connects meanwhile reads its settings after it is
//! registered, so it gets what is pushed in any case.

use std::collections::HashMap;

use actix::prelude::*;
use gururmm_shared::{AgentId, ClientId, ServerMessage, SiteId};

use super::registry::AgentRegistry;
use super::registry_messages::{Online, TellAgent};
use crate::db::{Db, DbError, places, policies};
use crate::domain::scope::Place;
use crate::services::policies::{merged, touches};

/// Targets that wait; with more of them all agents are told.
const MOST_WAITING: usize = 100;

/// Whose settings may be others now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum PolicyChanged {
    /// Those of all agents.
    Everywhere,
    /// Those of a client's agents.
    Client(ClientId),
    /// Those of a site's agents.
    Site(SiteId),
    /// Those of one agent.
    Agent(AgentId),
}

impl PolicyChanged {
    fn concerns(self, agent_id: AgentId, place: Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Client(id) => place.client_id == Some(id),
            Self::Site(id) => place.site_id == Some(id),
            Self::Agent(id) => agent_id == id,
        }
    }
}

/// The actor.
pub struct PolicyPush {
    db: Db,
    registry: Addr<AgentRegistry>,
    waiting: Vec<PolicyChanged>,
    pushing: bool,
}

impl PolicyPush {
    /// An actor with nothing to tell.
    #[must_use]
    pub fn new(db: Db, registry: Addr<AgentRegistry>) -> Self {
        Self {
            db,
            registry,
            waiting: Vec::new(),
            pushing: false,
        }
    }

    fn push(&mut self, ctx: &mut Context<Self>) {
        if self.pushing || self.waiting.is_empty() {
            return;
        }
        self.pushing = true;
        let changed = std::mem::take(&mut self.waiting);
        let (db, registry) = (self.db.clone(), self.registry.clone());
        let push = async move { push(&db, &registry, &changed).await };
        ctx.spawn(push.into_actor(self).map(|pushed, act, ctx| {
            if let Err(error) = pushed {
                tracing::error!(%error, "agents could not be told of a policy; they get it when they connect again");
            }
            act.pushing = false;
            act.push(ctx);
        }));
    }
}

async fn push(
    db: &Db,
    registry: &Addr<AgentRegistry>,
    changed: &[PolicyChanged],
) -> Result<(), DbError> {
    let protocol = i32::try_from(gururmm_shared::PROTOCOL).unwrap_or(i32::MAX);
    let touched: HashMap<AgentId, Place> = places::of_agents(db, protocol)
        .await?
        .into_iter()
        .filter(|(id, place)| changed.iter().any(|change| change.concerns(*id, *place)))
        .collect();
    let agents = touched.keys().copied().collect();
    let online = registry
        .send(Online { agents })
        .await
        .map_err(|error| DbError::Unavailable(format!("the registry does not answer: {error}")))?;
    if online.is_empty() {
        return Ok(());
    }
    let all = policies::all(db).await?;
    for agent_id in online.into_keys() {
        let Some(place) = touched.get(&agent_id) else {
            continue;
        };
        let own = all
            .iter()
            .filter(|policy| touches(policy, agent_id, *place));
        let config = merged(own)?.settings.for_agent();
        registry.do_send(TellAgent {
            agent_id,
            message: ServerMessage::ConfigUpdate(config),
        });
    }
    Ok(())
}

impl Actor for PolicyPush {
    type Context = Context<Self>;
}

impl Supervised for PolicyPush {}

impl Handler<PolicyChanged> for PolicyPush {
    type Result = ();

    fn handle(&mut self, changed: PolicyChanged, ctx: &mut Self::Context) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting = vec![PolicyChanged::Everywhere];
        } else if !self.waiting.contains(&changed) {
            self.waiting.push(changed);
        }
        self.push(ctx);
    }
}
