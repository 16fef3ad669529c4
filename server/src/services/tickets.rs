//! Single-use tickets that open a viewer's stream, so that no token stands in a URL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gururmm_shared::SessionId;

use super::warrants::Warrant;
use crate::domain::credentials::{digest, generate_token};

/// Tickets that are out at most; the oldest are dropped.
const MOST: usize = 10_000;

/// Whom a ticket lets in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The session whose stream it opens.
    pub session_id: SessionId,
    /// Who it was made for, and by what right they asked for it.
    pub warrant: Warrant,
    /// The user's name.
    pub name: String,
    /// Whether it only lets look.
    pub read_only: bool,
}

struct Ticket {
    admission: Admission,
    expires: Instant,
}

/// The tickets that are out, under their digests.
#[derive(Default)]
pub struct Tickets {
    open: Mutex<HashMap<[u8; 32], Ticket>>,
}

impl Tickets {
    /// Makes a ticket.
    pub fn issue(&self, admission: Admission, life: Duration, now: Instant) -> String {
        let ticket = generate_token(&mut rand::rng());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, ticket| ticket.expires > now);
        if open.len() >= MOST {
            let oldest = open
                .iter()
                .min_by_key(|(_, ticket)| ticket.expires)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        open.insert(
            digest(&ticket),
            Ticket {
                admission,
                expires: now + life,
            },
        );
        ticket
    }

    /// Takes a ticket for a session; it is gone whether or not it fits.
    pub fn redeem(&self, ticket: &str, session_id: SessionId, now: Instant) -> Option<Admission> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = open.remove(&digest(ticket))?;
        let fits = ticket.expires > now && ticket.admission.session_id == session_id;
        fits.then_some(ticket.admission)
    }
}

#[cfg(test)]
mod tests {
    use gururmm_shared::UserId;

    use super::*;

    fn admission() -> Admission {
        Admission {
            session_id: SessionId::generate(),
            warrant: Warrant {
                user_id: UserId::generate(),
                token_version: 1,
                key_id: None,
                valid_until: None,
            },
            name: "Someone".to_owned(),
            read_only: false,
        }
    }

    #[test]
    fn a_ticket_opens_its_session_once() {
        let (tickets, admission, now) = (Tickets::default(), admission(), Instant::now());
        let ticket = tickets.issue(admission.clone(), Duration::from_secs(30), now);
        assert_eq!(
            tickets.redeem(&ticket, admission.session_id, now),
            Some(admission.clone())
        );
        assert_eq!(tickets.redeem(&ticket, admission.session_id, now), None);
    }

    #[test]
    fn a_ticket_for_another_session_is_refused_and_gone() {
        let (tickets, admission, now) = (Tickets::default(), admission(), Instant::now());
        let ticket = tickets.issue(admission.clone(), Duration::from_secs(30), now);
        assert_eq!(tickets.redeem(&ticket, SessionId::generate(), now), None);
        assert_eq!(tickets.redeem(&ticket, admission.session_id, now), None);
    }

    #[test]
    fn an_expired_ticket_is_refused() {
        let (tickets, admission, now) = (Tickets::default(), admission(), Instant::now());
        let life = Duration::from_secs(30);
        let ticket = tickets.issue(admission.clone(), life, now);
        assert_eq!(
            tickets.redeem(&ticket, admission.session_id, now + life),
            None
        );
    }

    #[test]
    fn tickets_that_nobody_redeems_do_not_pile_up() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..MOST + 10 {
            tickets.issue(admission(), Duration::from_secs(30), now);
        }
        assert_eq!(tickets.open.lock().unwrap().len(), MOST);
    }
}
