//! The audit: it is finished once, and outlives what it speaks of.

use gururmm_shared::{AgentId, AuditId, CommandId, SessionId};

use super::sessions::{new_session, open};
use super::{a_technician, an_agent, new_audit};
use gururmm_db::testing::{execute, number, on_both};
use gururmm_db::tunnel_audit::{self, AuditFilter};
use gururmm_db::types::now;
use gururmm_db::{agents, tech_sessions};

fn of_session(session_id: SessionId) -> AuditFilter {
    AuditFilter {
        session_id: Some(session_id),
        agent_id: None,
        limit: 100,
        ..AuditFilter::default()
    }
}

#[test]
fn sessions_that_a_crash_left_open_are_closed_with_their_audit_rows() {
    on_both(async |db| {
        let tech = a_technician(&db).await;
        let (one, two) = (an_agent(&db).await, an_agent(&db).await);
        let (ended, left) = (
            new_session(tech.id, one.id, 5),
            new_session(tech.id, two.id, 5),
        );
        let (ended_id, left_id) = (ended.session_id, left.session_id);
        open(&db, ended).await.unwrap();
        open(&db, left).await.unwrap();
        tech_sessions::close(&db, ended_id, "closed", "by technician", now())
            .await
            .unwrap();
        let command = new_audit("command", Some(left_id));
        tunnel_audit::insert(&db, command).await.unwrap();
        let at = now();
        let closed = tech_sessions::close_left_open(&db, "server restarted", at, vec![])
            .await
            .unwrap();
        let [session] = closed.as_slice() else {
            panic!("{closed:?}")
        };
        assert_eq!(session.session_id, left_id);
        assert_eq!(session.close_reason.as_deref(), Some("server restarted"));
        assert_eq!(session.closed_at, Some(at));
        let rows = tunnel_audit::list(&db, of_session(left_id)).await.unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            assert_eq!(
                (row.outcome.as_deref(), row.ended_at),
                (Some("server restarted"), Some(at))
            );
        }
        assert!(
            tech_sessions::close_left_open(&db, "again", now(), vec![])
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            tunnel_audit::finish_left_open(&db, "lost".to_owned(), now(), vec![]).await,
            Ok(1)
        );
        let rows = tunnel_audit::list(&db, of_session(ended_id)).await.unwrap();
        assert_eq!(rows[0].outcome.as_deref(), Some("lost"));
    });
}

#[test]
fn deleting_a_user_or_an_agent_deletes_its_sessions_but_no_audit() {
    on_both(async |db| {
        let (tech, agent) = (a_technician(&db).await, an_agent(&db).await);
        let other = an_agent(&db).await;
        open(&db, new_session(tech.id, agent.id, 5)).await.unwrap();
        open(&db, new_session(tech.id, other.id, 5)).await.unwrap();
        assert_eq!(agents::delete(&db, agent.id).await, Ok(true));
        assert_eq!(agents::delete(&db, agent.id).await, Ok(false));
        assert_eq!(number(&db, "SELECT count(*) FROM tech_sessions").await, 1);
        execute(&db, "DELETE FROM users").await.unwrap();
        assert_eq!(number(&db, "SELECT count(*) FROM tech_sessions").await, 0);
        assert_eq!(number(&db, "SELECT count(*) FROM tunnel_audit").await, 2);
    });
}

#[test]
fn an_audit_row_is_finished_once_and_a_command_is_in_the_audit_once() {
    on_both(async |db| {
        let session_id = SessionId::generate();
        let mut audit = new_audit("command", Some(session_id));
        audit.command_id = Some(CommandId::generate());
        audit.agent_id = Some(AgentId::generate());
        tunnel_audit::insert(&db, audit.clone()).await.unwrap();
        let at = now();
        let finish =
            |outcome: &str| tunnel_audit::finish(&db, audit.id, outcome.to_owned(), Some(3), at);
        assert_eq!(finish("exited").await, Ok(true));
        assert_eq!(finish("timed_out").await, Ok(false));
        let nothing =
            tunnel_audit::finish(&db, AuditId::generate(), "x".to_owned(), None, at).await;
        assert_eq!(nothing, Ok(false));
        let again = tunnel_audit::NewAudit {
            id: AuditId::generate(),
            ..audit.clone()
        };
        let refused = tunnel_audit::insert(&db, again).await.unwrap_err();
        assert!(
            refused.is_duplicate_of("tunnel_audit_command_id_key"),
            "{refused:?}"
        );
        let mut close = new_audit("close", Some(session_id));
        close.at = audit.at + chrono::Duration::seconds(1);
        tunnel_audit::insert(&db, close.clone()).await.unwrap();
        let rows = tunnel_audit::list(&db, of_session(session_id))
            .await
            .unwrap();
        assert_eq!(
            rows.iter().map(|row| row.id).collect::<Vec<_>>(),
            [close.id, audit.id]
        );
        assert_eq!(rows[1].outcome.as_deref(), Some("exited"));
        assert_eq!((rows[1].exit_code, rows[1].ended_at), (Some(3), Some(at)));
        let of_agent = AuditFilter {
            session_id: None,
            agent_id: audit.agent_id,
            limit: 1,
            ..AuditFilter::default()
        };
        assert_eq!(
            tunnel_audit::list(&db, of_agent).await.unwrap(),
            vec![rows[1].clone()]
        );
    });
}
