//! What becomes of subscribers that take nothing, come too often or may not any more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::Utc;
use gururmm_shared::{AgentId, ClientId, SessionId, UserId};

use super::event_messages::{
    Admit, Attach, CountSubscribers, EndSubscriptions, Happened, NotAdmitted, Subscription, Taken,
    ToSubscriber,
};
use super::events::EventHub;
use super::registry_messages::SessionsOf;
use crate::db::testing::Scratch;
use crate::db::users::{self, NewUser, User};
use crate::db::{DatabaseSettings, Db};
use crate::domain::role::Role;
use crate::domain::scope::Scope;

/// A subscriber's socket that keeps what it is told.
struct Socket {
    hub: Addr<EventHub>,
    id: u64,
    takes: bool,
    texts: Vec<String>,
    closed: Option<u16>,
}

impl Actor for Socket {
    type Context = Context<Self>;
}

impl Handler<ToSubscriber> for Socket {
    type Result = ();

    fn handle(&mut self, message: ToSubscriber, _: &mut Self::Context) {
        match message {
            ToSubscriber::Texts(texts) => {
                self.texts.extend(texts.iter().map(ToString::to_string));
                if self.takes {
                    self.hub.do_send(Taken(self.id));
                }
            }
            ToSubscriber::Close { code, .. } => self.closed = Some(code),
        }
    }
}

#[derive(Message)]
#[rtype(result = "(Vec<String>, Option<u16>)")]
struct Heard;

impl Handler<Heard> for Socket {
    type Result = MessageResult<Heard>;

    fn handle(&mut self, _: Heard, _: &mut Self::Context) -> Self::Result {
        MessageResult((self.texts.clone(), self.closed))
    }
}

/// Takes what comes from now on, and what came.
#[derive(Message)]
#[rtype(result = "()")]
struct Take;

impl Handler<Take> for Socket {
    type Result = ();

    fn handle(&mut self, _: Take, _: &mut Self::Context) {
        self.takes = true;
        self.hub.do_send(Taken(self.id));
    }
}

async fn database(settings: &DatabaseSettings) -> (Db, User) {
    let db = Db::connect(settings).await.unwrap();
    db.migrate().await.unwrap();
    let user = NewUser {
        email: "root@example.com".to_owned(),
        name: "Root".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        role: "administrator".to_owned(),
    };
    let user = users::insert(&db, user).await.unwrap();
    (db, user)
}

fn subscription(user: &User) -> Subscription {
    Subscription {
        user_id: user.id,
        key_id: None,
        role: Role::Administrator,
        scope: Scope::Everything,
        token_version: user.token_version,
        valid_until: None,
    }
}

async fn subscribe(
    hub: &Addr<EventHub>,
    who: Subscription,
    takes: bool,
) -> Result<Addr<Socket>, NotAdmitted> {
    let id = hub.send(Admit(who)).await.unwrap()?;
    let socket = Socket {
        hub: hub.clone(),
        id,
        takes,
        texts: Vec::new(),
        closed: None,
    };
    let socket = socket.start();
    let recipient = socket.clone().recipient();
    hub.send(Attach {
        id,
        socket: recipient,
    })
    .await
    .unwrap();
    Ok(socket)
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn a_session() -> Happened {
    Happened::Session {
        session_id: SessionId::generate(),
        agent_id: AgentId::generate(),
        owner: UserId::generate(),
        status: "ready",
    }
}

fn with_hub(patience: Duration, test: impl AsyncFn(Addr<EventHub>, Db, User)) {
    let scratch = Scratch::sqlite();
    actix::System::new().block_on(async {
        let (db, user) = database(&scratch.settings).await;
        let hub = EventHub::new(db.clone(), 2, patience).start();
        test(hub, db, user).await;
    });
}

#[test]
fn a_subscriber_that_falls_behind_is_told_once_to_look_anew_and_goes_on() {
    with_hub(Duration::from_secs(600), async |hub, _, user| {
        let socket = subscribe(&hub, subscription(&user), false).await.unwrap();
        // More than wait for one subscriber, beside what is on its way.
        for _ in 0..30_000 {
            hub.send(a_session()).await.unwrap();
        }
        socket.send(Take).await.unwrap();
        let resync = r#"{"type":"resync"}"#;
        eventually("it is told to look anew", async || {
            let (texts, _) = socket.send(Heard).await.unwrap();
            texts.iter().any(|text| text == resync)
        })
        .await;
        hub.do_send(a_session());
        eventually("it goes on", async || {
            let (texts, _) = socket.send(Heard).await.unwrap();
            texts.last().is_some_and(|text| text.contains("session"))
        })
        .await;
        let (texts, closed) = socket.send(Heard).await.unwrap();
        assert!(texts[0].contains(r#""type":"hello""#), "{}", texts[0]);
        assert_eq!(texts.iter().filter(|text| *text == resync).count(), 1);
        assert_eq!(closed, None);
    });
}

#[test]
fn a_subscriber_that_takes_nothing_is_closed_with_1013_and_others_hear_on() {
    with_hub(Duration::from_millis(500), async |hub, _, user| {
        let stalled = subscribe(&hub, subscription(&user), false).await.unwrap();
        let other = subscribe(&hub, subscription(&user), true).await.unwrap();
        hub.do_send(a_session());
        eventually("it is closed", async || {
            stalled.send(Heard).await.unwrap().1 == Some(1013)
        })
        .await;
        let heard = other.send(Heard).await.unwrap();
        assert_eq!((heard.0.len(), heard.1), (2, None));
        assert_eq!(hub.send(CountSubscribers).await.unwrap(), 1);
    });
}

#[test]
fn a_user_has_so_many_streams_and_a_place_is_free_again_when_one_ends() {
    with_hub(Duration::from_secs(600), async |hub, _, user| {
        for _ in 0..2 {
            subscribe(&hub, subscription(&user), true).await.unwrap();
        }
        let third = subscribe(&hub, subscription(&user), true).await;
        assert_eq!(third.err(), Some(NotAdmitted::TooMany(2)));
        let end = EndSubscriptions(SessionsOf::User(user.id));
        hub.send(end).await.unwrap();
        assert!(subscribe(&hub, subscription(&user), true).await.is_ok());
    });
}

#[test]
fn who_was_revoked_by_somebody_else_or_has_expired_is_closed_within_5_s() {
    with_hub(Duration::from_secs(600), async |hub, db, user| {
        let revoked = subscribe(&hub, subscription(&user), true).await.unwrap();
        let expiring = Subscription {
            valid_until: Some(Utc::now() + chrono::Duration::milliseconds(500)),
            ..subscription(&user)
        };
        let expired = subscribe(&hub, expiring, true).await.unwrap();
        // As the command line does it, which says so to nobody.
        users::bump_token_version(&db, user.id).await.unwrap();
        let began = Instant::now();
        for socket in [revoked, expired] {
            eventually("it is closed", async || {
                socket.send(Heard).await.unwrap().1 == Some(1008)
            })
            .await;
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn nobody_hears_of_what_is_outside_of_the_scope_or_somebody_elses() {
    with_hub(Duration::from_secs(600), async |hub, _, user| {
        let elsewhere = Subscription {
            scope: Scope::Only {
                clients: BTreeSet::from([ClientId::generate()]),
                sites: BTreeSet::new(),
            },
            ..subscription(&user)
        };
        let technician = Subscription {
            role: Role::Technician,
            user_id: UserId::generate(),
            ..subscription(&user)
        };
        let elsewhere = subscribe(&hub, elsewhere, true).await.unwrap();
        let technician = subscribe(&hub, technician, true).await.unwrap();
        let all = subscribe(&hub, subscription(&user), true).await.unwrap();
        hub.do_send(a_session());
        eventually("who may hears of it", async || {
            all.send(Heard).await.unwrap().0.len() == 2
        })
        .await;
        for deaf in [elsewhere, technician] {
            assert_eq!(deaf.send(Heard).await.unwrap().0.len(), 1, "only hello");
        }
    });
}
