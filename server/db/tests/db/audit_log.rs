//! What flows into the audit by itself: tunnels and commands, watchdogs, updates, machines.

use gururmm_shared::{CommandId, SessionId};

use super::{an_agent, new_audit};
use gururmm_db::agent_updates::Outcome;
use gururmm_db::audit_acts::{self, Act, ActFilter, ActSort};
use gururmm_db::audit_log::{self, NewEntry, Stage};
use gururmm_db::page::PageOf;
use gururmm_db::testing::{number, on_both};
use gururmm_db::types::now;
use gururmm_db::watchdog_events::{NewWatchdogEvent, insert_batch};
use gururmm_db::{Db, agent_updates, agents, places, tunnel_audit};

async fn acts(db: &Db, filter: ActFilter) -> Vec<Act> {
    audit_acts::list(db, filter, PageOf::<ActSort>::first(100))
        .await
        .unwrap()
}

fn action(action: &str) -> ActFilter {
    ActFilter {
        action: Some(action.to_owned()),
        ..ActFilter::default()
    }
}

#[test]
fn what_tunnels_and_commands_write_down_is_in_the_audit_with_its_end() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let mut asked = new_audit("command", None);
        asked.agent_id = Some(agent.id);
        asked.command_id = Some(CommandId::generate());
        asked.detail = "true".to_owned();
        tunnel_audit::insert(&db, asked.clone()).await.unwrap();
        let found = acts(&db, action("command.run")).await;
        let [act] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (act.act_id, act.at, &act.outcome),
            (asked.id, asked.at, &None)
        );
        assert_eq!(
            (act.detail.as_str(), act.command_id),
            ("true", asked.command_id)
        );
        let place = places::of_agent(&db, agent.id).await.unwrap().unwrap();
        assert_eq!(
            (act.client_id, act.site_id),
            (place.client_id, place.site_id)
        );
        let at = now();
        tunnel_audit::finish(&db, asked.id, "failed".to_owned(), Some(3), at)
            .await
            .unwrap();
        let found = acts(&db, action("command.run")).await;
        assert_eq!(found.len(), 1, "one act, not two rows");
        assert_eq!(found[0].outcome.as_deref(), Some("failed"));
        assert_eq!((found[0].exit_code, found[0].ended_at), (Some(3), Some(at)));
        // What is refused has ended at once, and the names tell where it was.
        let mut refused = new_audit("refused", Some(SessionId::generate()));
        refused.outcome = Some("not_allowed".to_owned());
        refused.ended_at = Some(refused.at);
        tunnel_audit::insert(&db, refused).await.unwrap();
        tunnel_audit::insert(&db, new_audit("command", Some(SessionId::generate())))
            .await
            .unwrap();
        assert_eq!(acts(&db, action("access.refused")).await.len(), 1);
        assert_eq!(acts(&db, action("tunnel.")).await.len(), 1);
        let waiting = "SELECT count(*) FROM audit_unsealed";
        let rows = "SELECT count(*) FROM audit_log";
        assert_eq!(number(&db, waiting).await, number(&db, rows).await);
    });
}

#[test]
fn what_watchdogs_and_updates_tell_is_in_the_audit() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let event = |service: &str| NewWatchdogEvent {
            agent_id: agent.id,
            service: service.to_owned(),
            event: "gave_up".to_owned(),
            message: Some("five times".to_owned()),
            reported_at: None,
            recorded_at: now(),
        };
        insert_batch(&db, vec![event("nginx"), event("sshd")])
            .await
            .unwrap();
        let found = acts(&db, action("watchdog.event")).await;
        assert_eq!(found.len(), 2);
        assert!(found.iter().any(|act| act.target == "nginx"));
        assert_eq!(found[0].outcome.as_deref(), Some("gave_up"));
        assert_eq!(found[0].detail, "five times");
        assert_eq!(found[0].agent_hostname.as_deref(), Some("ws-1"));
        let (from, error) = (Some("1.0.0".to_owned()), Some("no room".to_owned()));
        let outcome = Outcome {
            from,
            to: "1.1.0".to_owned(),
            success: false,
            error,
            code: None,
        };
        agent_updates::record_result(&db, agent.id, outcome)
            .await
            .unwrap();
        let found = acts(&db, action("agent.update")).await;
        assert_eq!((found.len(), found[0].target.as_str()), (1, "1.1.0"));
        assert_eq!(found[0].outcome.as_deref(), Some("failed"));
        assert_eq!(found[0].detail, "from 1.0.0: no room");
    });
}

#[test]
fn what_becomes_of_a_machine_is_in_the_audit_and_outlives_it() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        let elsewhere = super::a_site(&db).await;
        agents::replace_key(&db, agent.id, Some([9; 32]), None)
            .await
            .unwrap();
        agents::move_to_site(&db, agent.id, elsewhere.id)
            .await
            .unwrap();
        agents::delete(&db, agent.id).await.unwrap();
        let of_agent = ActFilter {
            agent_id: Some(agent.id),
            ..ActFilter::default()
        };
        let found = acts(&db, of_agent).await;
        let actions: Vec<_> = found.iter().map(|act| act.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "agent.enrolled",
                "agent.key_replaced",
                "agent.moved",
                "agent.deleted"
            ]
        );
        let deleted = &found[3];
        assert_eq!(deleted.agent_hostname.as_deref(), Some("ws-1"));
        assert_eq!(deleted.site_id, Some(elsewhere.id));
        assert_eq!(deleted.client_id, Some(elsewhere.client_id));
    });
}

#[test]
fn an_act_is_asked_for_once_and_ends_once() {
    on_both(async |db| {
        let asked = NewEntry::new(Stage::Asked, "client.create");
        audit_log::insert(&db, asked.clone()).await.unwrap();
        audit_log::insert(&db, asked.clone()).await.unwrap_err();
        audit_log::insert(&db, asked.ended("ok")).await.unwrap();
        audit_log::insert(&db, asked.ended("unknown"))
            .await
            .unwrap_err();
        assert_eq!(acts(&db, ActFilter::default()).await.len(), 1);
    });
}
