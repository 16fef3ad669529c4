//! Where something is, and which places somebody may act on.

use std::collections::BTreeSet;

use gururmm_shared::{ClientId, SiteId};

/// Where something is. An agent without a site is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The client it belongs to.
    pub client_id: Option<ClientId>,
    /// The site it belongs to.
    pub site_id: Option<SiteId>,
}

impl Place {
    /// A client, or what belongs to it as a whole.
    #[must_use]
    pub fn client(id: ClientId) -> Self {
        Self {
            client_id: Some(id),
            site_id: None,
        }
    }

    /// A site, or what is there.
    #[must_use]
    pub fn site(client_id: ClientId, id: SiteId) -> Self {
        Self {
            client_id: Some(client_id),
            site_id: Some(id),
        }
    }
}

/// Which clients and sites somebody may see and act on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All of them, and what belongs to none.
    #[default]
    Everything,
    /// These clients with all their sites, and these sites.
    Only {
        /// Whole clients.
        clients: BTreeSet<ClientId>,
        /// Single sites.
        sites: BTreeSet<SiteId>,
    },
}

impl Scope {
    /// Whether something at `place` is within.
    #[must_use]
    pub fn covers(&self, place: Place) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { clients, sites } => {
                place.client_id.is_some_and(|id| clients.contains(&id))
                    || place.site_id.is_some_and(|id| sites.contains(&id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_clients_whole_and_its_sites_alone() {
        let (client, other) = (ClientId::generate(), ClientId::generate());
        let (site, neighbour) = (SiteId::generate(), SiteId::generate());
        let scope = Scope::Only {
            clients: BTreeSet::from([client]),
            sites: BTreeSet::from([site]),
        };
        assert!(scope.covers(Place::client(client)));
        assert!(scope.covers(Place::site(client, SiteId::generate())));
        assert!(scope.covers(Place::site(other, site)));
        assert!(
            !scope.covers(Place::client(other)),
            "the client of a site is more than the site"
        );
        assert!(!scope.covers(Place::site(other, neighbour)));
        assert!(!scope.covers(Place::default()));
        assert!(Scope::Everything.covers(Place::default()));
        assert!(
            !Scope::Only {
                clients: BTreeSet::new(),
                sites: BTreeSet::new()
            }
            .covers(Place::client(client))
        );
    }
}
