//! Where something is, and which places somebody may act on.

use std::collections::BTreeSet;

use gururmm_shared::{ClientId, SiteId};

/// Where something is. An agent without a site is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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

    /// Whether all of `inner` is within; `client_of` knows where sites are.
    pub fn includes(&self, inner: &Self, client_of: impl Fn(SiteId) -> Option<ClientId>) -> bool {
        match inner {
            Self::Everything => *self == Self::Everything,
            Self::Only { clients, sites } => {
                let client = |id: &ClientId| self.covers(Place::client(*id));
                let site = |id: &SiteId| self.covers(place_of(*id, &client_of));
                clients.iter().all(client) && sites.iter().all(site)
            }
        }
    }

    /// What is within both; `client_of` knows where sites are.
    #[must_use]
    pub fn cut_to(&self, other: &Self, client_of: impl Fn(SiteId) -> Option<ClientId>) -> Self {
        let (own_clients, own_sites, clients, sites) = match (self, other) {
            (Self::Everything, scope) | (scope, Self::Everything) => return scope.clone(),
            (
                Self::Only { clients, sites },
                Self::Only {
                    clients: others,
                    sites: other_sites,
                },
            ) => (clients, sites, others, other_sites),
        };
        let within = |scope: &Self, id: &SiteId| scope.covers(place_of(*id, &client_of));
        let both = own_sites.iter().filter(|id| within(other, id));
        let both = both.chain(sites.iter().filter(|id| within(self, id)));
        Self::Only {
            clients: own_clients.intersection(clients).copied().collect(),
            sites: both.copied().collect(),
        }
    }
}

fn place_of(id: SiteId, client_of: &impl Fn(SiteId) -> Option<ClientId>) -> Place {
    Place {
        client_id: client_of(id),
        site_id: Some(id),
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

    #[test]
    fn two_scopes_cut_to_what_is_within_both() {
        let (client, other) = (ClientId::generate(), ClientId::generate());
        let (here, there, far) = (SiteId::generate(), SiteId::generate(), SiteId::generate());
        let client_of = |id| Some(if id == far { other } else { client });
        let only = |clients: &[ClientId], sites: &[SiteId]| Scope::Only {
            clients: clients.iter().copied().collect(),
            sites: sites.iter().copied().collect(),
        };
        let whole = only(&[client], &[]);
        let single = only(&[], &[here, far]);
        assert_eq!(whole.cut_to(&single, client_of), only(&[], &[here]));
        assert_eq!(single.cut_to(&whole, client_of), only(&[], &[here]));
        assert_eq!(Scope::Everything.cut_to(&single, client_of), single);
        assert_eq!(single.cut_to(&Scope::Everything, client_of), single);
        assert_eq!(
            only(&[], &[here]).cut_to(&only(&[], &[there]), client_of),
            only(&[], &[])
        );

        assert!(whole.includes(&only(&[client], &[here, there]), client_of));
        assert!(
            !whole.includes(&single, client_of),
            "a site of another client"
        );
        assert!(
            !single.includes(&whole, client_of),
            "a client is more than a site"
        );
        assert!(!whole.includes(&Scope::Everything, client_of));
        assert!(Scope::Everything.includes(&Scope::Everything, client_of));
    }
}
