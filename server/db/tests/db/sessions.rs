//! Tunnel sessions.

use gururmm_shared::{AgentId, SessionId, UserId};

use super::{a_technician, an_agent, new_audit};
use gururmm_db::api_keys::{self, NewApiKey};
use gururmm_db::tech_sessions::{self, NewSession, OpenOutcome};
use gururmm_db::testing::{execute, number, on_both};
use gururmm_db::types::now;
use gururmm_db::users::{self, UserChange};
use gururmm_db::{Db, DbError};

pub(super) fn new_session(tech_id: UserId, agent_id: AgentId, max_open: u32) -> NewSession {
    NewSession {
        session_id: SessionId::generate(),
        tech_id,
        agent_id,
        at: now(),
        max_open,
        token_version: 1,
        key_id: None,
    }
}

pub(super) async fn open(db: &Db, new: NewSession) -> Result<OpenOutcome, DbError> {
    let audit = new_audit("open", Some(new.session_id));
    tech_sessions::open(db, new, audit).await
}

async fn open_at_once(db: &Db, sessions: Vec<NewSession>) -> Vec<OpenOutcome> {
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|new| {
            let db = db.clone();
            tokio::spawn(async move { open(&db, new).await.unwrap() })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[test]
fn second_open_session_of_the_same_technician_and_agent_is_refused_by_the_index() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let two = (0..2).map(|_| new_session(tech.id, agent.id, 10)).collect();
        let outcomes = open_at_once(&db, two).await;
        assert!(outcomes.contains(&OpenOutcome::Opened), "{outcomes:?}");
        assert!(outcomes.contains(&OpenOutcome::Duplicate), "{outcomes:?}");
        assert_eq!(
            number(&db, "SELECT count(*) FROM tunnel_audit").await,
            1,
            "with its audit row"
        );
        let copy = "INSERT INTO tech_sessions (session_id, tech_id, agent_id, opened_at, last_activity, status) \
                    SELECT 'other', tech_id, agent_id, opened_at, last_activity, 'ready' FROM tech_sessions";
        let refused = execute(&db, copy).await.unwrap_err();
        assert!(
            refused.is_duplicate_of("tech_sessions_one_active"),
            "{refused:?}"
        );
        let colleague = a_technician(&db).await;
        assert_eq!(
            open(&db, new_session(colleague.id, agent.id, 1)).await,
            Ok(OpenOutcome::Opened)
        );
    });
}

#[test]
fn the_limit_of_sessions_holds_when_eight_are_opened_at_once() {
    on_both(async |db| {
        let tech = a_technician(&db).await;
        let mut sessions = Vec::new();
        for _ in 0..8 {
            sessions.push(new_session(tech.id, an_agent(&db).await.id, 3));
        }
        let outcomes = open_at_once(&db, sessions).await;
        let opened = outcomes
            .iter()
            .filter(|outcome| **outcome == OpenOutcome::Opened)
            .count();
        let refused = outcomes
            .iter()
            .filter(|o| **o == OpenOutcome::TooMany { open: 3 })
            .count();
        assert_eq!((opened, refused), (3, 5), "{outcomes:?}");
        assert_eq!(tech_sessions::list_open(&db).await.unwrap().len(), 3);
        assert_eq!(number(&db, "SELECT count(*) FROM tunnel_audit").await, 3);
    });
}

#[test]
fn only_an_existing_and_enabled_technician_opens_a_session_with_an_existing_agent() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let nobody = new_session(UserId::generate(), agent.id, 1);
        assert_eq!(open(&db, nobody).await, Err(DbError::NotFound));
        let nowhere = new_session(tech.id, AgentId::generate(), 1);
        assert_eq!(open(&db, nowhere).await, Err(DbError::ForeignKey));
        let disabled = UserChange {
            disabled: Some(true),
            ..UserChange::default()
        };
        users::update(&db, tech.id, disabled).await.unwrap();
        let session = new_session(tech.id, agent.id, 1);
        assert_eq!(open(&db, session).await, Err(DbError::NotFound));
        assert_eq!(number(&db, "SELECT count(*) FROM tech_sessions").await, 0);
        assert_eq!(number(&db, "SELECT count(*) FROM tunnel_audit").await, 0);
    });
}

#[test]
fn a_session_without_its_audit_row_is_not_opened() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let new = new_session(tech.id, agent.id, 1);
        let mut audit = new_audit("open", Some(new.session_id));
        audit.detail = "x".repeat(65_537);
        let refused = tech_sessions::open(&db, new, audit).await;
        assert!(
            matches!(refused, Err(DbError::Constraint(_))),
            "{refused:?}"
        );
        assert_eq!(number(&db, "SELECT count(*) FROM tech_sessions").await, 0);
    });
}

#[test]
fn a_session_goes_from_active_to_ready_to_closed_and_each_step_is_once_only() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let new = new_session(tech.id, agent.id, 1);
        let (id, opened_at) = (new.session_id, new.at);
        open(&db, new).await.unwrap();
        let later = opened_at + chrono::Duration::seconds(5);
        assert_eq!(tech_sessions::mark_ready(&db, id, later).await, Ok(true));
        assert_eq!(tech_sessions::mark_ready(&db, id, later).await, Ok(false));
        let newest = later + chrono::Duration::seconds(5);
        assert_eq!(
            tech_sessions::touch(&db, vec![(id, newest), (id, opened_at)]).await,
            Ok(1)
        );
        assert_eq!(
            tech_sessions::touch(&db, vec![(id, later)]).await,
            Ok(0),
            "never backwards"
        );
        let session = tech_sessions::by_session_id(&db, id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (session.status.as_str(), session.last_activity),
            ("ready", newest)
        );
        assert_eq!(session.closed_at, None);
        assert_eq!(tech_sessions::list_open(&db).await.unwrap(), vec![session]);

        let closes = (0..4).map(|n| {
            let (db, reason) = (db.clone(), format!("reason {n}"));
            tokio::spawn(async move {
                tech_sessions::close(&db, id, "closed", &reason, newest)
                    .await
                    .unwrap()
            })
        });
        let mut closed = 0;
        for task in closes.collect::<Vec<_>>() {
            closed += usize::from(task.await.unwrap());
        }
        assert_eq!(closed, 1);
        assert_eq!(
            tech_sessions::close(&db, id, "error", "late", newest).await,
            Ok(false)
        );
        assert_eq!(tech_sessions::mark_ready(&db, id, newest).await, Ok(false));
        assert_eq!(tech_sessions::touch(&db, vec![(id, now())]).await, Ok(0));
        let session = tech_sessions::by_session_id(&db, id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (session.status.as_str(), session.closed_at),
            ("closed", Some(newest))
        );
        let again = new_session(tech.id, agent.id, 1);
        assert_eq!(
            open(&db, again).await,
            Ok(OpenOutcome::Opened),
            "the place is free again"
        );
    });
}

#[test]
fn a_key_that_ended_since_it_was_shown_opens_no_session() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let key = async |hash: u8, expires_at| {
            let new = NewApiKey {
                user_id: tech.id,
                name: "script".to_owned(),
                key_hash: [hash; 32],
                role: "technician".to_owned(),
                scope: None,
                expires_at,
            };
            api_keys::insert(&db, new, 10).await.unwrap().unwrap().id
        };
        let with = |key_id| NewSession {
            key_id: Some(key_id),
            ..new_session(tech.id, agent.id, 10)
        };
        let soon = Some(now() + chrono::Duration::hours(1));
        let (good, other) = (key(1, soon).await, key(2, None).await);
        let expired = key(3, Some(now() - chrono::Duration::seconds(1))).await;
        assert_eq!(open(&db, with(expired)).await, Err(DbError::NotFound));
        api_keys::delete(&db, other).await.unwrap();
        assert_eq!(open(&db, with(other)).await, Err(DbError::NotFound));
        let stranger = a_technician(&db).await;
        let theirs = NewSession {
            tech_id: stranger.id,
            ..with(good)
        };
        assert_eq!(open(&db, theirs).await, Err(DbError::NotFound));
        assert_eq!(open(&db, with(good)).await, Ok(OpenOutcome::Opened));
        let revoke = "UPDATE api_keys SET revoked_at = created_at";
        execute(&db, revoke).await.unwrap();
        let elsewhere = NewSession {
            agent_id: an_agent(&db).await.id,
            ..with(good)
        };
        assert_eq!(open(&db, elsewhere).await, Err(DbError::NotFound));
    });
}
