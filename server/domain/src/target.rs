//! What something is for: all agents, those of a client or a site, or one.

use gururmm_shared::{AgentId, ClientId, SiteId};

use super::scope::Place;

/// A target; the nearest id that is there counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// A client's agents.
    pub client_id: Option<ClientId>,
    /// A site's agents.
    pub site_id: Option<SiteId>,
    /// One agent.
    pub agent_id: Option<AgentId>,
}

impl Target {
    /// Whether at most one of the three is named.
    #[must_use]
    pub fn is_single(self) -> bool {
        let named = [
            self.client_id.is_some(),
            self.site_id.is_some(),
            self.agent_id.is_some(),
        ];
        named.into_iter().filter(|named| *named).count() <= 1
    }

    /// Whether it is for all agents.
    #[must_use]
    pub fn is_everything(self) -> bool {
        self == Self::default()
    }

    /// Whether an agent at a place is meant.
    #[must_use]
    pub fn covers(self, agent_id: AgentId, place: Place) -> bool {
        if let Some(id) = self.agent_id {
            return id == agent_id;
        }
        if let Some(id) = self.site_id {
            return place.site_id == Some(id);
        }
        self.client_id.is_none_or(|id| place.client_id == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_covers_what_it_names_and_no_more() {
        let (agent, client, site) = (
            AgentId::generate(),
            ClientId::generate(),
            SiteId::generate(),
        );
        let place = Place::site(client, site);
        let of_client = |id| Target {
            client_id: Some(id),
            ..Target::default()
        };
        assert!(Target::default().covers(agent, place));
        assert!(of_client(client).covers(agent, place));
        assert!(!of_client(ClientId::generate()).covers(agent, place));
        let of_site = Target {
            site_id: Some(SiteId::generate()),
            ..Target::default()
        };
        assert!(!of_site.covers(agent, place) && of_site.is_single());
        let own = Target {
            agent_id: Some(agent),
            ..Target::default()
        };
        assert!(own.covers(agent, Place::default()) && !own.covers(AgentId::generate(), place));
        assert!(
            !Target {
                client_id: Some(client),
                ..own
            }
            .is_single()
        );
    }
}
