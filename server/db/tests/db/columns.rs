//! What columns take and what they refuse, the same on both databases.

use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, SessionId};

use super::{a_technician, an_agent, new_audit, new_user};
use gururmm_db::testing::{execute, number, on_both};
use gururmm_db::tunnel_audit::{self, AuditFilter};
use gururmm_db::{DbError, agents, tech_sessions, users};

pub(super) fn is_refused<T>(result: Result<T, DbError>) -> bool {
    matches!(result, Err(DbError::Constraint(_)))
}

#[test]
fn ids_and_times_come_back_as_they_were_to_the_microsecond() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        for micros in [
            0,
            -1,
            1,
            951_782_400_000_001,
            1_763_718_612_123_456,
            253_402_300_799_999_999,
        ] {
            let at: DateTime<Utc> = DateTime::from_timestamp_micros(micros).unwrap();
            execute(&db, "UPDATE agents SET key_used_at = NULL")
                .await
                .unwrap();
            agents::mark_key_used(&db, agent.id, at).await.unwrap();
            let read = agents::by_id(&db, agent.id).await.unwrap().unwrap();
            assert_eq!(read.key_used_at, Some(at));
            agents::mark_key_used(&db, agent.id, gururmm_db::types::now())
                .await
                .unwrap();
            let read = agents::by_id(&db, agent.id).await.unwrap().unwrap();
            assert_eq!(read.key_used_at, Some(at), "only the first time counts");
        }
        for _ in 0..50 {
            let (session, command) = (SessionId::generate(), gururmm_shared::CommandId::generate());
            let mut audit = new_audit("command", Some(session));
            audit.command_id = Some(command);
            audit.agent_id = Some(AgentId(uuid::Uuid::new_v4()));
            audit.ended_at = Some(audit.at);
            tunnel_audit::insert(&db, audit.clone()).await.unwrap();
            let filter = AuditFilter {
                session_id: Some(session),
                agent_id: audit.agent_id,
                limit: 9,
                ..AuditFilter::default()
            };
            let rows = tunnel_audit::list(&db, filter).await.unwrap();
            let [row] = rows.as_slice() else {
                panic!("{rows:?}")
            };
            assert_eq!(
                (row.id, row.at, row.ended_at),
                (audit.id, audit.at, audit.ended_at)
            );
            assert_eq!(
                (row.session_id, row.command_id),
                (Some(session), Some(command))
            );
            assert_eq!(row.agent_id, audit.agent_id);
        }
        let text = "SELECT count(*) FROM tunnel_audit WHERE length(session_id) = 36 \
                    AND session_id = lower(session_id)";
        assert_eq!(number(&db, text).await, 50, "hyphenated, in lower case");
    });
}

#[test]
fn a_role_or_status_that_does_not_exist_is_refused() {
    on_both(async |db| {
        assert!(is_refused(
            users::insert(&db, new_user("a@example.com", "root")).await
        ));
        let agent = an_agent(&db).await;
        let tech = a_technician(&db).await;
        assert!(is_refused(
            execute(&db, "UPDATE users SET role = 'Administrator'").await
        ));
        assert!(is_refused(
            execute(&db, "UPDATE agents SET status = 'away'").await
        ));
        assert!(is_refused(
            tunnel_audit::insert(&db, new_audit("look", None)).await
        ));
        let new = tech_sessions::NewSession {
            session_id: SessionId::generate(),
            tech_id: tech.id,
            agent_id: agent.id,
            at: agent.created_at,
            max_open: 1,
            token_version: 1,
            key_id: None,
        };
        let (id, at) = (new.session_id, new.at);
        let audit = new_audit("open", Some(id));
        tech_sessions::open(&db, new, audit).await.unwrap();
        assert!(is_refused(
            tech_sessions::close(&db, id, "gone", "x", at).await
        ));
        assert!(
            is_refused(tech_sessions::close(&db, id, "ready", "x", at).await),
            "with an end"
        );
        assert!(is_refused(
            execute(&db, "UPDATE tech_sessions SET status = 'closed'").await
        ));
        assert_eq!(
            tech_sessions::close(&db, id, "error", "x", at).await,
            Ok(true)
        );
    });
}

#[test]
fn a_policy_has_one_target_at_most_and_an_alert_is_open_once() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let literal = |id: uuid::Uuid| match db.kind() {
            gururmm_db::DatabaseKind::Sqlite => format!("x'{}'", id.simple()),
            gururmm_db::DatabaseKind::Postgres => format!("'{id}'::uuid"),
        };
        let (agent_id, site_id) = (literal(agent.id.0), literal(agent.site_id.unwrap().0));
        let time = "(SELECT created_at FROM agents)";
        let policy = async |site: &str, agent: &str| {
            let id = literal(uuid::Uuid::new_v4());
            execute(&db, &format!(
                "INSERT INTO policies (id, name, site_id, agent_id, settings, created_at, updated_at) \
                 VALUES ({id}, 'p', {site}, {agent}, '{{}}', {time}, {time})"
            ))
            .await
        };
        assert_eq!(policy("NULL", "NULL").await, Ok(1));
        assert_eq!(policy("NULL", &agent_id).await, Ok(1));
        assert!(is_refused(policy(&site_id, &agent_id).await));
        let alert =
            async |status: &str| {
                let id = literal(uuid::Uuid::new_v4());
                execute(&db, &format!(
                "INSERT INTO alerts (id, agent_id, kind, severity, status, message, opened_at) \
                 VALUES ({id}, {agent_id}, 'offline', 'warning', '{status}', '', {time})"
            ))
            .await
            };
        assert_eq!(alert("resolved").await, Ok(1));
        assert_eq!(alert("open").await, Ok(1));
        assert!(
            alert("acknowledged")
                .await
                .unwrap_err()
                .is_duplicate_of("alerts_one_unresolved")
        );
        agents::delete(&db, agent.id).await.unwrap();
        assert_eq!(number(&db, "SELECT count(*) FROM alerts").await, 0);
        assert_eq!(number(&db, "SELECT count(*) FROM policies").await, 1);
    });
}
